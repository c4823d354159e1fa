"""A conversation as one agent's model is to see it. Pure.

Servers want one system message at the beginning, then user and assistant in turn, and every call of
a tool followed by its result. So what other agents said is told as a user's text with their name,
and neighbouring texts of users are one message.
"""

from collections.abc import Iterable

from durable_agents.messages import Correction, Message, TextPart


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
    return tuple(result)


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
    if message.role == "user":
        if not message.parts:
            return
        if result and result[-1].role == "user":
            before = result.pop()
            message = Message(role="user", parts=(*before.parts, *message.parts))
    elif message.role == "assistant" and not message.parts and not message.calls:
        return
    result.append(message)
