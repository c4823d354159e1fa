"""A conversation as one agent's model is to see it. Pure.

Servers want one system message at the beginning, then user and assistant in turn, the user first
and last, and every call of a tool followed by its result. So what other agents said is told as a
user's text with their name, and neighbouring texts of one side are one message.
"""

from collections.abc import Iterable

from durable_agents.messages import Correction, Message, TextPart

_BEGIN = "(The conversation begins.)"
_GO_ON = "Go on."


def rendered(agent: str, instructions: str, messages: Iterable[Message]) -> tuple[Message, ...]:
    """Return the messages of a request to an agent's model.

    Args:
        agent: Whose request it is; what it said itself is the assistant's.
        instructions: What it is told first; nothing if empty.
        messages: The conversation.
    """
    result: list[Message] = []
    if instructions:
        result.append(Message.of("system", instructions))
    foreign: dict[str, str] = {}
    for message in messages:
        if message.role == "assistant" and message.author not in ("", agent):
            foreign |= {call.id: message.author for call in message.calls}
            _add(result, _told(message))
        elif message.result is not None and message.result.call_id in foreign:
            _add(result, _told_result(foreign.pop(message.result.call_id), message))
        else:
            _add(result, message)
    return _from_user_to_user(result)


def corrected(
    messages: tuple[Message, ...], corrections: Iterable[Correction]
) -> tuple[Message, ...]:
    """Return the messages with the answers that could not be taken, each with why."""
    result = list(messages)
    for correction in corrections:
        _add(result, Message.of("assistant", correction.answer))
        _add(
            result,
            Message.of(
                "user",
                f"That answer cannot be used: {correction.problem}. "
                "Answer again, with valid JSON of the asked form and nothing else.",
            ),
        )
    return tuple(result)


def _told(message: Message) -> Message:
    text = message.text.strip()
    parts = (TextPart(text=f"{message.author}: {text}"),) if text else ()
    return Message(role="user", parts=parts)


def _told_result(author: str, message: Message) -> Message:
    result = message.result
    if result is None or result.handoff:
        return Message(role="user")
    failed = " (failed)" if result.is_error else ""
    return Message.of("user", f"{author} used {result.name}{failed}: {result.text}")


def _add(result: list[Message], message: Message) -> None:
    if not message.parts and not message.calls and message.result is None:
        return
    before = result[-1] if result else None
    if before is not None and before.role == message.role != "tool" and not before.calls:
        parts = (*before.parts, *message.parts)
        message = Message(role=message.role, parts=parts, calls=message.calls)
        result.pop()
    result.append(message)


def _from_user_to_user(messages: list[Message]) -> tuple[Message, ...]:
    """Let a conversation that the assistant begins or ends begin and end with the user."""
    result = list(messages)
    first = 1 if result and result[0].role == "system" else 0
    if result[first:] and result[first].role == "assistant":
        result.insert(first, Message.of("user", _BEGIN))
    if result and result[-1].role == "assistant" and not result[-1].calls:
        result.append(Message.of("user", _GO_ON))
    return tuple(result)
