"""Keeps a conversation valid: a call of a tool and its result come together or not at all. Pure."""

from durable_agents.messages import Message, ToolCall, ToolResult

INTERRUPTED = "The call was interrupted. It may have happened, and nothing is known of its result."


def whole(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return the messages with one result for each call, right after it and in its order.

    A call without a result gets one that says that it was interrupted. A result without a call is
    left out.
    """
    kept: list[Message] = []
    for index, message in enumerate(messages):
        if message.role == "tool":
            continue
        kept.append(message)
        if message.calls:
            given = results_after(messages, index)
            kept += [given.get(call.id) or interrupted(call) for call in message.calls]
    return tuple(kept)


def results_after(messages: tuple[Message, ...], index: int) -> dict[str, Message]:
    """Return the first result of each call between one message of the agent and its next."""
    given: dict[str, Message] = {}
    for message in messages[index + 1 :]:
        if message.role == "assistant":
            break
        if message.role == "tool" and message.result is not None:
            given.setdefault(message.result.call_id, message)
    return given


def interrupted(call: ToolCall) -> Message:
    """Return the result of a call of which nothing is known."""
    result = ToolResult(call_id=call.id, name=call.name, text=INTERRUPTED, is_error=True)
    return Message(role="tool", result=result)
