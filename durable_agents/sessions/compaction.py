"""Keeps a session small: fewer turns by policy, never more bytes than an entity may have. Pure.

Turns go whole, the oldest first, so that no call of a tool is left without its result.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from durable_agents.messages import Message, Part, TextPart, ToolCall
from durable_agents.sessions.document import size_of, size_of_messages, size_of_turn, stored_size
from durable_agents.sessions.state import COMPLETED, SessionState, Turn
from durable_agents.sessions.words import SessionPolicy

# Bytes of the stored form. A scheduler takes 1 MB; names and the rest of the message need some.
STATE_LIMIT = 900_000
# From here on a session is worth a summary, if its agent makes any.
LARGE = 600_000
# How many ended turns are known by their id when nothing else can be spared.
FEW = 8
# How long texts of a turn may be, in characters, while it does not fit: tried in this order.
LENGTHS = (65_536, 16_384, 4_096, 1_024, 256)

type Change = Callable[[tuple[Message, ...]], tuple[Message, ...]]


def needs_compaction(state: SessionState, policy: SessionPolicy) -> bool:
    """Whether the older turns should be summarised before the model is asked again."""
    if policy.summarise_after is None or len(state.completed) < 2:
        return False
    return len(state.completed) >= policy.summarise_after or size_of(state) > LARGE


def turns_to_keep(state: SessionState, asked: int | None) -> int:
    """Return how many completed turns a compaction keeps.

    Args:
        state: The state before it.
        asked: How many are asked for; None for the newest that have a third of all the bytes.
    """
    if asked is not None:
        return asked
    sizes = [size_of_turn(turn) for turn in state.completed]
    kept, room = 0, sum(sizes) // 3
    for size in reversed(sizes):
        room -= size
        if room < 0:
            break
        kept += 1
    return kept


def without_older(state: SessionState, keep: int) -> SessionState:
    """Return the state with the newest completed turns, `keep` of them, and what came after them.

    A turn that runs stays. Broken turns go with the completed ones that they came before.
    """
    past = [turn for turn in state.turns if turn.id != state.holder]
    completed = [index for index, turn in enumerate(past) if turn.outcome == COMPLETED]
    if len(completed) <= keep:
        return state
    first = completed[-keep] if keep else len(past)
    return without(state, past[:first])


def without(state: SessionState, gone: list[Turn]) -> SessionState:
    """Return the state without some turns, counted as dropped."""
    ids = {turn.id for turn in gone}
    turns = tuple(turn for turn in state.turns if turn.id not in ids)
    return replace(state, turns=turns, dropped=state.dropped + len(ids))


def fitted(state: SessionState, newest: str = "") -> SessionState:
    """Return the state so that it may be stored.

    The oldest turns go first; then the results of tools in the newest turn are shortened, then its
    other texts; at last the newest turn is its request and the beginning of its last answer.

    Args:
        state: The state; what waits and what runs fits by itself.
        newest: The turn that has just ended; it stays, though maybe shorter.
    """
    excess = size_of(state) - STATE_LIMIT
    if excess <= 0:
        return state
    gone: list[Turn] = []
    for turn in state.turns:
        if excess <= 0:
            break
        if turn.id not in (state.holder, newest):
            gone.append(turn)
            excess -= size_of_turn(turn)
    state = without(state, gone)
    size = size_of(state)
    for turns in shorter(state, newest):
        if size <= STATE_LIMIT:
            return state
        if turns != state.turns:
            state = replace(state, turns=turns)
            size = size_of(state)
    return state if size <= STATE_LIMIT else replace(state, ended=state.ended[-FEW:])


def size_of_need(state: SessionState) -> int:
    """Return how many bytes a state has that cannot be spared: without turns that have ended."""
    turns = tuple(turn for turn in state.turns if turn.id == state.holder)
    return size_of(replace(state, turns=turns))


def shorter(state: SessionState, newest: str) -> Iterator[tuple[Turn, ...]]:
    """Yield the turns with the newest one shorter and shorter."""
    for change in CHANGES:
        yield tuple(
            replace(turn, reply=change(turn.reply)) if turn.id == newest else turn
            for turn in state.turns
        )


def shortened(messages: tuple[Message, ...], size: int) -> tuple[Message, ...]:
    """Return what was said in a turn so that it has at most so many bytes when it is stored."""
    for change in CHANGES:
        if size_of_messages(messages) <= size:
            break
        messages = change(messages)
    return messages


def cut(message: Message, length: int, tools_only: bool) -> Message:
    """Return a message with its result, or with all its texts, at most so long."""
    if message.result is not None:
        result = message.result.model_copy(update={"text": cut_text(message.result.text, length)})
        return message.model_copy(update={"result": result})
    if tools_only:
        return message
    parts = tuple(cut_part(part, length) for part in message.parts)
    calls = tuple(cut_call(call, length) for call in message.calls)
    return message.model_copy(update={"parts": parts, "calls": calls})


def cut_part(part: Part, length: int) -> Part:
    """Return a text that is at most so long; an image that is longer becomes a note."""
    if isinstance(part, TextPart):
        return part.model_copy(update={"text": cut_text(part.text, length)})
    if len(part.url) <= length:
        return part
    return TextPart(text=f"[an image of {len(part.url)} characters is left out]")


def cut_call(call: ToolCall, length: int) -> ToolCall:
    """Return a call whose arguments are at most so long; they are JSON and go as a whole."""
    if len(call.arguments) <= length:
        return call
    return call.model_copy(
        update={"arguments": f'{{"left_out":"{len(call.arguments)} characters"}}'}
    )


def cut_text(text: str, length: int) -> str:
    """Return the beginning of a text with a note of how long it was."""
    if len(text) <= length:
        return text
    note = f"\n[shortened: {len(text)} characters in all]"
    return text[: max(0, length - len(note))] + note


def cut_to_size(text: str, size: int) -> str:
    """Return the beginning of a text that has at most so many bytes when it is stored."""
    while stored_size(text) > size:
        text = cut_text(text, len(text) * size // (stored_size(text) + 1) - 1)
    return text


def bare(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return the last answer alone, and of that the beginning."""
    said = [message for message in messages if message.role == "assistant" and not message.calls]
    return tuple(cut(message, LENGTHS[-1], tools_only=False) for message in said[-1:])


def all_cut(length: int, tools_only: bool, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return messages with their results, or with all their texts, at most so long."""
    return tuple(cut(message, length, tools_only) for message in messages)


# What makes a turn shorter, in this order, as long as it does not fit.
CHANGES: tuple[Change, ...] = (
    *(partial(all_cut, length, True) for length in LENGTHS),
    *(partial(all_cut, length, False) for length in LENGTHS),
    bare,
)
