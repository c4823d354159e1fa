"""A session stays small enough to be stored, whatever is said in it."""

import json

import pytest

from durable_agents.messages import ImagePart, Message, TokenUsage
from durable_agents.sessions import SessionPolicy
from durable_agents.sessions.compaction import STATE_LIMIT
from tests.durable_agents.sessions.session_hub import (
    Session,
    agent,
    assert_valid,
    at,
    calls,
    result,
    user,
)


def stored_bytes(session: Session) -> int:
    return len(session.stored.encode())


@pytest.mark.parametrize("length", [300, 1000])
def test_a_hundred_turns_store_at_most_three_times_their_text(length: int) -> None:
    session = Session()
    usage = TokenUsage(input_tokens=12_345, output_tokens=678, total_tokens=13_023)
    for number in range(100):
        turn = f"{number:032x}"
        session.begin(turn, "q" * length, instance=turn, minutes=number)
        session.finish(turn, agent("a" * length), usage=usage, minutes=number)
    assert stored_bytes(session) <= 3 * 200 * length
    assert len(session.state.turns) == 100


@pytest.mark.parametrize("letter", ["x", "ä", "漢", "😀", "\x00", '"'])
def test_a_message_that_is_too_large_is_refused_with_the_reason(letter: str) -> None:
    session = Session()
    session.say("1", "hi", "hello")
    stored = session.stored
    refused = session.begin("2", letter * 2_000_000)
    assert refused.state == "too_large"
    assert "400000" in refused.reason
    assert session.stored == stored
    session.begin("3", "x")
    assert session.told("3") == ["hi", "hello", "x"]


def test_an_image_that_is_too_large_is_refused() -> None:
    picture = Message(role="user", parts=(ImagePart(url="data:image/png;base64," + "A" * 10**6),))
    assert Session().begin("1", messages=[picture]).state == "too_large"


def test_the_oldest_turns_go_first_and_whole() -> None:
    session = Session()
    for number in range(12):
        session.begin(f"{number}", "q" * 50_000)
        said = (calls(f"c{number}"), result(f"c{number}", "r" * 50_000), agent("a" * 50_000))
        session.finish(f"{number}", *said, usage=TokenUsage(total_tokens=1))
        assert stored_bytes(session) <= STATE_LIMIT
    kept = [turn.id for turn in session.state.turns]
    assert kept == [str(number) for number in range(12 - len(kept), 12)]
    assert len(kept) >= 4
    assert session.state.dropped == 12 - len(kept)
    assert session.state.usage.total_tokens == 12
    session.begin("new", "more")
    assert_valid(session.request("new"))


@pytest.mark.parametrize("letter", ["r", "ä", "😀"])
def test_ten_large_results_in_one_reply_are_shortened_with_a_note(letter: str) -> None:
    """Case 07."""
    session = Session()
    session.begin("1", "hi")
    ids = [f"c{number}" for number in range(10)]
    results = [result(one, letter * 600_000) for one in ids]
    session.finish("1", calls(*ids), *results, agent("all done"))
    assert stored_bytes(session) <= STATE_LIMIT
    session.begin("2", "more")
    request = session.request("2")
    assert_valid(request)
    assert request[-2].text == "all done"
    assert "600000 characters in all" in request[2].text


@pytest.mark.parametrize(
    "said",
    [
        [agent("a" * 3_000_000)],
        [calls("a", arguments=json.dumps({"x": "y" * 2_000_000})), result("a"), agent("ok")],
        [part for n in range(5_000) for part in (calls(f"c{n}"), result(f"c{n}"))],
        [agent("x") for _ in range(10_000)],
        [Message(role="assistant", parts=(ImagePart(url="data:," + "A" * 2_000_000),))],
    ],
    ids=["answer", "arguments", "many calls", "many answers", "image"],
)
def test_no_answer_makes_the_state_too_large(said: list[Message]) -> None:
    session = Session()
    session.begin("1", "q" * 390_000)
    session.begin("w", "w" * 300_000, on_busy="queue")
    closing = session.finish("1", *said)
    assert closing.ended
    assert stored_bytes(session) <= STATE_LIMIT
    assert_valid(session.request("w"))


def test_a_line_that_has_no_room_turns_away_who_comes_last() -> None:
    session = Session()
    session.begin("0", "q" * 300_000)
    states = [session.begin(f"{n}", "w" * 100_000, on_busy="queue").state for n in range(1, 8)]
    assert states == ["queued"] * 3 + ["busy"] * 4
    assert stored_bytes(session) <= STATE_LIMIT
    assert session.finish("0", agent("a" * 10**6)).next.turn == "1"
    assert stored_bytes(session) <= STATE_LIMIT


def test_a_summary_and_an_error_are_not_stored_without_bounds() -> None:
    session = Session(SessionPolicy())
    session.say("1", "hi", "hello")
    session.begin("2", "x")
    session.finish("2", outcome="failed", error="😀" * 10**6)
    session.call("compact", {"keep": 0, "summary": "😀" * 10**6, "at": at()})
    assert stored_bytes(session) < 200_000
    session.begin("3", "and now?")
    assert "1000000 characters in all" in session.told("3")[0]


def test_many_broken_turns_do_not_fill_a_session() -> None:
    session = Session()
    for number in range(8):
        session.begin(f"{number}", "q" * 200_000)
        session.finish(f"{number}", calls("a"), outcome="failed", error="e" * 5000)
        assert stored_bytes(session) <= STATE_LIMIT
    assert session.begin("new", user("x").text).state == "granted"
