"""What crosses a durable boundary without its defaults is read as what it was."""

from durable_agents.messages import ImagePart, Message, ModelRequest, TextPart


def test_a_request_with_texts_and_images_is_read_as_it_was_written() -> None:
    parts = (TextPart(text="look"), ImagePart(url="https://x/y.png"), TextPart(text=""))
    request = ModelRequest(version=2, messages=(Message(role="user", parts=parts),))
    assert ModelRequest.model_validate(request.to_payload()) == request
