"""A session is deleted when nobody has used it for the time its agent gives it."""

from datetime import UTC, datetime, timedelta

import pytest

from durable_agents.sessions import SessionPolicy
from tests.durable_agents.sessions.session_hub import START, Session, agent, at

DAY = 24 * 60


def deliver(session: Session, number: int = -1) -> None:
    session.call("expire", session.signals[number][0])


def test_an_unused_session_is_deleted_after_fourteen_days() -> None:
    session = Session()
    session.say("1", "hi", "hello")
    assert [due for _, due in session.signals] == [START + timedelta(days=14)]
    deliver(session)
    assert session.stored is None


def test_a_signal_that_comes_after_a_newer_use_deletes_nothing_and_looks_again() -> None:
    session = Session()
    session.say("1", "hi", "hello")
    session.say("2", "x", "y", minutes=DAY)
    deliver(session)
    assert [due - START for _, due in session.signals] == [timedelta(days=14), timedelta(days=15)]
    session.begin("3", "z", minutes=14 * DAY)
    assert session.told("3") == ["hi", "hello", "x", "y", "z"]


def test_a_hundred_turns_have_one_signal_on_its_way() -> None:
    session = Session()
    for number in range(100):
        session.say(f"{number}", "q", "a", minutes=number)
    assert len(session.signals) == 1


def test_a_session_that_a_run_has_does_not_expire() -> None:
    session = Session()
    session.begin("1", "a long time")
    deliver(session)
    assert session.finish("1", agent("done"), minutes=20 * DAY).outcome == "completed"
    deliver(session)
    assert session.stored is not None
    assert session.signals[-1][1] == START + timedelta(days=34)
    deliver(session)
    assert session.stored is None


def test_a_signal_of_a_deleted_session_does_not_end_the_next_of_its_name() -> None:
    session = Session()
    session.say("1", "hi", "hello")
    session.call("delete", {})
    session.say("2", "anew", "yes", minutes=DAY)
    deliver(session, 0)
    assert session.stored is not None
    deliver(session, 0)
    assert len(session.signals) == 2


def test_a_signal_for_no_session_does_nothing() -> None:
    session = Session()
    session.call("expire", "2026-12-15T12:00:00.000Z")
    assert session.stored is None


def test_a_touch_is_a_use() -> None:
    session = Session()
    session.call("touch", {"at": at()})
    assert session.stored is None
    session.say("1", "hi", "hello")
    session.call("touch", {"at": at(DAY)})
    deliver(session)
    assert session.stored is not None


def test_an_agent_may_keep_its_sessions_for_ever_or_for_a_minute() -> None:
    session = Session(SessionPolicy(ttl=None))
    session.say("1", "hi", "hello")
    assert session.signals == []
    session = Session(SessionPolicy(ttl=timedelta(minutes=1)))
    session.say("1", "hi", "hello")
    assert session.signals[0][1] == datetime(2026, 12, 1, 12, 1, tzinfo=UTC)


def test_a_signal_of_before_expiry_was_turned_off_deletes_nothing() -> None:
    session = Session()
    session.say("1", "hi", "hello")
    later = Session(SessionPolicy(ttl=None), stored=session.stored)
    later.call("expire", session.signals[0][0])
    assert later.stored is not None
    assert later.signals == []


def test_moments_of_other_zones_and_of_none_are_compared_in_utc() -> None:
    session = Session()
    session.say("1", "hi", "hello")
    session.call("touch", {"at": "2026-12-02T01:00:00+02:00"})
    assert session.state.used_at == "2026-12-01T23:00:00.000Z"
    session.call("touch", {"at": "2026-12-01T23:30:00.5"})
    assert session.state.used_at == "2026-12-01T23:30:00.500Z"
    session.call("touch", {"at": at()})
    assert session.state.used_at == "2026-12-01T23:30:00.500Z"


@pytest.mark.parametrize("wrong", [{"ttl": timedelta(0)}, {"keep_turns": 0}])
def test_a_policy_that_keeps_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SessionPolicy(**wrong)
