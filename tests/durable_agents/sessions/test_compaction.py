"""Older turns make room, whole and counted, and a summary takes their place."""

import pytest

from durable_agents.messages import Message
from durable_agents.sessions import SessionPolicy, exported, to_summarise
from tests.durable_agents.sessions.session_hub import (
    Session,
    agent,
    assert_valid,
    at,
    calls,
    result,
)


def grown(turns: int, policy: SessionPolicy | None = None, size: int = 1) -> Session:
    session = Session(policy)
    for number in range(turns):
        session.begin(f"{number}", f"q{number}" * size)
        said = (calls(f"c{number}"), result(f"c{number}", f"r{number}"), agent(f"a{number}" * size))
        session.finish(f"{number}", *said)
    return session


def test_the_last_turns_are_kept_by_count() -> None:
    session = grown(6, SessionPolicy(keep_turns=2))
    session.begin("new", "x")
    assert session.told("new") == ["q4", "", "r4", "a4", "q5", "", "r5", "a5", "x"]
    assert exported(session.state)["dropped_turns"] == 4


@pytest.mark.parametrize("keep", [0, 1, 3, 9])
def test_compacting_splits_no_tool_turn_and_leaves_the_running_turn(keep: int) -> None:
    session = grown(4)
    session.begin("new", "x" * 100)
    done = session.call("compact", {"keep": keep, "summary": "", "at": at()})
    assert done.get("dropped", 0) == max(0, 4 - keep)
    request = session.request("new")
    assert_valid(request)
    assert len(request) == 4 * min(keep, 4) + 1
    assert request[-1].text == "x" * 100


def test_a_summary_stands_first_and_is_said_by_a_user() -> None:
    session = grown(4)
    session.begin("new", "x")
    older = to_summarise(session.state, 1)
    assert [message.text for message in older][-1] == "a2"
    session.call("compact", {"keep": 1, "summary": "they counted", "at": at()})
    first, *rest = session.request("new")
    assert first.role == "user"
    assert first.text.endswith("they counted\nq3")
    assert [message.text for message in rest] == ["", "r3", "a3", "x"]
    assert "system" not in [message.role for message in (first, *rest)]


def test_the_next_summary_is_made_of_the_one_before_it() -> None:
    session = grown(3)
    session.call("compact", {"keep": 1, "summary": "first", "at": at()})
    assert "first" in to_summarise(session.state, 0)[0].text
    session.call("compact", {"keep": 0, "summary": "second", "at": at()})
    session.begin("new", "x")
    told = session.told("new")
    assert len(told) == 1
    assert "second" in told[0]
    assert "first" not in told[0]


def test_compacting_twice_changes_nothing_more() -> None:
    session = grown(4)
    session.call("compact", {"keep": 2, "summary": "s", "at": at()})
    stored = session.stored
    assert session.call("compact", {"keep": 2, "summary": "t", "at": at()}) == {"kept": 2}
    assert session.stored == stored


def test_an_overflow_is_compacted_to_a_third() -> None:
    """Case 17 (a): six turns of 4 KB, of which the model takes no more than 20,000 characters."""
    session = grown(6, size=1000)
    session.begin("7", "x" * 100)
    session.call("compact", {"at": at()})
    assert sum(len(text) for text in session.told("7")) < 10_000
    assert session.told("7")[-1] == "x" * 100
    assert_valid(session.request("7"))


def test_a_message_that_does_not_fit_leaves_the_session_as_it_was() -> None:
    """Case 17 (b), (c)."""
    session = grown(3)
    session.begin("8", "y" * 30_000)
    before = session.told("8")
    session.call("compact", {"turn": "8", "keep": 1, "summary": "s", "at": at()})
    assert session.told("8")[1:] == ["", "r2", "a2", "y" * 30_000]
    session.finish("8", outcome="failed", error="context_length_exceeded")
    session.begin("9", "x")
    assert session.told("9") == [*before[:-1], "x"]


def test_a_compaction_for_a_turn_is_for_good_when_the_turn_has_completed() -> None:
    session = grown(3)
    session.begin("8", "y")
    session.call("compact", {"turn": "8", "keep": 1, "at": at()})
    session.begin("w", "w" * 300_000, on_busy="queue")
    assert session.call("compact", {"turn": "8", "keep": 1, "at": at()}) == {"kept": 1}
    session.finish("8", agent("z"))
    assert session.told("w")[:-1] == ["q2", "", "r2", "a2", "y", "z"]
    assert session.state.dropped == 2


def test_a_compaction_of_a_turn_that_is_over_changes_nothing() -> None:
    session = grown(3)
    stored = session.stored
    assert session.call("compact", {"turn": "1", "keep": 0, "at": at()}) == {}
    assert session.stored == stored


def test_a_run_is_told_when_the_older_turns_should_be_summarised() -> None:
    policy = SessionPolicy(summarise_after=3)
    session = grown(2, policy)
    assert not session.begin("2", "q").compact
    session.finish("2", agent("a"))
    assert session.begin("3", "q").compact
    session.call("compact", {"keep": 1, "summary": "s", "at": at()})
    assert not session.begin("3", "q").compact


def test_a_session_with_much_text_should_be_summarised_before_its_turns_are_dropped() -> None:
    session = Session(SessionPolicy(summarise_after=1000))
    for number in range(4):
        session.say(f"{number}", "q" * 80_000, "a" * 80_000)
    assert session.begin("new", "x").compact
    assert session.state.dropped == 0


def test_broken_turns_are_not_summarised() -> None:
    session = grown(1)
    session.begin("bad", "forbidden")
    session.finish("bad", outcome="failed")
    session.say("ok", "fine", "good")
    texts = [message.text for message in to_summarise(session.state, 0)]
    assert texts == ["q0", "", "r0", "a0", "fine", "good"]
    assert to_summarise(session.state, 2) == ()


def test_a_summary_before_a_running_turn_is_part_of_its_request() -> None:
    session = grown(1)
    picture = Message.of("user", "look")
    session.begin("new", messages=[picture])
    session.call("compact", {"keep": 0, "summary": "s", "at": at()})
    (only,) = session.request("new")
    assert only.text.endswith("s\nlook")
