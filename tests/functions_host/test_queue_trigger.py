"""The queue trigger, against Azurite: what a function gets, and what becomes of its message."""

import base64
import contextlib

import pytest
from azure.core.exceptions import ResourceExistsError
from storage_answers import content_of, received, until

from tests.azurite import KEY


@pytest.fixture
def send(azurite):
    """Puts a text into a queue, as the Functions host encodes it; the message's id."""

    def send(name: str, text: str | bytes, *, plain: bool = False) -> str:
        queue = azurite.queues().get_queue_client(name)
        with contextlib.suppress(ResourceExistsError):
            queue.create_queue()
        content = text if isinstance(text, bytes) else text.encode()
        return queue.send_message(text if plain else base64.b64encode(content).decode()).id

    return send


@pytest.fixture
def texts(azurite):
    """Takes so many messages out of a queue; their decoded contents."""

    def texts(name: str, count: int) -> list[bytes]:
        queue = azurite.queues().get_queue_client(name)
        found: list[bytes] = []

        def take() -> bool:
            for message in queue.receive_messages():
                found.append(base64.b64decode(message.content))
                queue.delete_message(message)
            return len(found) >= count

        until(take)
        return sorted(found)

    return texts


def is_empty(azurite, name: str) -> bool:
    properties = azurite.queues().get_queue_client(name).get_queue_properties()
    return properties.approximate_message_count == 0


def test_a_function_gets_its_message_with_all_that_is_known_of_it(
    storage_app, send, texts, azurite
):
    _, http = storage_app
    sent = send("plain-x", "hello")

    (seen,) = http.get("/api/seen/plain/1").json()

    assert (seen["id"], seen["body"], seen["tries"]) == (sent, "hello", 1)
    assert seen["receipt"]
    inserted, expires, next_visible = seen["times"]
    assert inserted < next_visible < expires
    until(lambda: is_empty(azurite, "plain-x"))
    assert texts("answers", 1) == [b"did hello"], "the returned value goes to the output"


def test_a_message_that_fails_five_times_goes_to_the_poison_queue(storage_app, send, azurite):
    host, http = storage_app
    send("failing", "bad luck")

    (poisoned,) = http.get("/api/seen/poisoned/1").json()

    assert poisoned["body"] == "bad luck"
    assert [one["tries"] for one in http.get("/api/seen/failing/5").json()] == [1, 2, 3, 4, 5]
    until(lambda: is_empty(azurite, "failing"))
    assert "ValueError: never works" in host.log


def test_a_message_whose_function_mends_is_not_poisoned(storage_app, send, azurite):
    _, http = storage_app
    send("mending", "try again")

    assert [one["tries"] for one in http.get("/api/seen/mending/3").json()] == [1, 2, 3]
    until(lambda: is_empty(azurite, "mending"))


def test_a_message_in_the_wrong_encoding_goes_to_the_poison_queue(storage_app, send, azurite):
    host, _ = storage_app
    send("plain-x", "not base64!", plain=True)

    poison = azurite.queues().get_queue_client("plain-x-poison")
    (message,) = until(lambda: received(poison))

    assert message.content == "not base64!"
    host.wait_for_log("is not base64")


def test_a_binary_message_arrives_as_it_was_sent(storage_app, send, azurite):
    _, http = storage_app
    sent = send("binary", b"\x00\xff\x80")

    assert http.get("/api/seen/binary/1").json() == ["00ff80"]
    copies = azurite.blobs().get_container_client("copies")
    content = until(lambda: content_of(copies, f"{sent}-1.bin"))
    assert content == b"\x00\xff\x80"


@pytest.mark.parametrize(
    ("kind", "sent"),
    [("message", [b"one"]), ("bytes", [b"\x00\xff"]), ("list", [b"a", b"b"])],
)
def test_an_output_takes_messages_of_every_kind(storage_app, texts, kind, sent):
    _, http = storage_app

    assert http.post(f"/api/messages/{kind}").status_code == 200
    assert texts("kinds", len(sent)) == sent


def test_an_output_that_is_left_empty_sends_nothing(storage_app):
    assert storage_app[1].post("/api/messages/none").status_code == 200


def test_an_output_that_the_account_refuses_fails_the_function(storage_app):
    host, http = storage_app

    assert http.post("/api/messages/huge").status_code == 500
    host.wait_for_log("binding 'out' (queue): 413 RequestBodyTooLarge")


def test_an_http_function_reads_a_blob_and_writes_a_queue_and_a_blob(storage_app, texts, azurite):
    _, http = storage_app
    templates = azurite.blobs().get_container_client("templates")
    templates.create_container()
    templates.upload_blob("good.txt", b"Dear")

    reply = http.post("/api/order/o-1", json={"customer": {"kind": "good"}})

    assert reply.text == "Dear"
    assert texts("orders", 2) == [b"Dear 1", b"Dear 2"]
    (name,) = azurite.blobs().get_container_client("records").list_blob_names()
    folder, year, file = name.split("/")
    assert (folder, len(year), len(file)) == ("o-1", 4, 32 + len(".json"))


def test_a_blob_that_is_not_there_is_none(storage_app, texts):
    _, http = storage_app

    assert http.post("/api/order/o-2", json={"customer": {"kind": "new"}}).text == "(none)"
    assert texts("orders", 2) == [b"(none) 1", b"(none) 2"]


def test_an_expression_without_a_value_fails_the_function(storage_app):
    host, http = storage_app

    assert http.post("/api/order/o-3", json={"customer": {}}).status_code == 500
    host.wait_for_log("the trigger has no value for {customer.kind}")


def test_two_messages_with_one_text_start_two_orchestrations(storage_app, send):
    _, http = storage_app
    for _ in range(2):
        send("starts-calm", '{"n": 1}')

    seen = http.get("/api/seen/starts-calm/2").json()

    assert len({one["instances"][0] for one in seen}) == 2


def test_a_start_after_the_function_has_returned_counts_for_no_other_message(
    storage_app, send, azurite
):
    _, http = storage_app
    send("late", "first")
    until(lambda: is_empty(azurite, "late"))
    send("late", "second")

    first, again = http.get("/api/seen/late/2").json()
    (started_late,) = http.get("/api/seen/started_late/1").json()

    assert again == first != started_late


def test_no_key_is_logged(storage_app):
    host, _ = storage_app

    assert "AccountKey" not in host.log
    assert KEY not in host.log
