"""Who gets a session, who waits, and what a later request holds."""

import pytest

from durable_agents.errors import AgentCancelled
from durable_agents.messages import SessionTurn
from durable_agents.sessions import conversation, exported
from tests.durable_agents.sessions.session_hub import (
    Session,
    agent,
    assert_valid,
    at,
    calls,
    result,
    user,
)

BROKEN = ["failed", "cancelled", "interrupted", "timed_out", "terminated", "out_of_turns"]


def test_a_turn_is_told_the_conversation_before_it() -> None:
    session = Session()
    session.say("1", "hi", "hello")
    session.begin("2", "and now?")
    assert session.told("2") == ["hi", "hello", "and now?"]


def test_a_repeated_begin_changes_nothing_and_says_the_same() -> None:
    session = Session()
    first = session.begin("1", "hi")
    stored = session.stored
    assert session.begin("1", "hi", minutes=9) == first
    assert session.stored == stored


def test_a_begin_that_comes_again_after_the_end_does_not_begin_again() -> None:
    session = Session()
    session.say("1", "hi", "hello")
    assert session.begin("1", "hi").outcome == "completed"
    assert session.begin("2", "x").state == "granted"
    assert session.told("2") == ["hi", "hello", "x"]


def test_a_repeated_finish_changes_nothing_and_says_the_same() -> None:
    session = Session()
    session.begin("1", "hi")
    session.begin("2", "x", on_busy="queue")
    first = session.finish("1", agent("hello"))
    assert first.next is not None
    assert first.next.instance == "run-2"
    session.finish("2", agent("y"))
    stored = session.stored
    assert session.finish("1", agent("other")) == first
    assert session.stored == stored


def test_a_busy_session_rejects_and_says_who_has_it() -> None:
    session = Session()
    session.begin("1", "hi")
    stored = session.stored
    refused = session.begin("2", "x")
    assert (refused.state, refused.holder, refused.holder_turn) == ("busy", "run-1", "1")
    assert session.stored == stored
    session.finish("1", agent("hello"))
    assert session.begin("2", "x").state == "granted"


def test_a_line_keeps_the_order_of_arrival_and_an_interrupt_goes_first() -> None:
    session = Session()
    session.begin("1")
    for turn, kind in [("a", "queue"), ("b", "queue"), ("i", "interrupt"), ("j", "interrupt")]:
        assert session.begin(turn, on_busy=kind).state == "queued"
    order = []
    turn = "1"
    while turn:
        following = session.finish(turn, agent("ok"), outcome="completed").next
        turn = following.turn if following else ""
        order.append(turn)
    assert order == ["i", "j", "a", "b", ""]


def test_a_steering_message_is_in_the_next_request_until_it_is_taken_and_then_in_no_other() -> None:
    session = Session()
    session.begin("1", "paint it")
    assert session.begin("2", "in blue", on_busy="steer").state == "steered"
    asked = SessionTurn(agent="Ada", key="s", turn="1")
    messages, steering = conversation(session.state, asked)
    assert [message.text for message in messages] == ["paint it"]
    assert [message.text for message in steering.values()] == ["in blue"]
    taken = tuple(steering)
    assert session.told("1", taken) == ["paint it"]
    closing = session.finish("1", user("in blue"), agent("blue it is"), taken=taken)
    assert [place.instance for place in closing.steered] == ["run-2"]
    assert closing.next is None
    session.begin("3", "thanks")
    assert session.told("3") == ["paint it", "in blue", "blue it is", "thanks"]


def test_a_taken_message_that_the_run_left_out_is_kept_before_the_answer() -> None:
    session = Session()
    session.begin("1", "paint it")
    session.begin("2", "in blue", on_busy="steer")
    session.finish("1", calls("a"), result("a"), agent("blue"), taken=("2/0",))
    session.begin("3", "thanks")
    assert session.told("3") == ["paint it", "", "done", "in blue", "blue", "thanks"]


def test_a_turn_with_messages_that_nobody_took_in_goes_on_with_them() -> None:
    session = Session()
    session.begin("1", "paint it")
    session.begin("2", "in blue", on_busy="steer")
    stored = session.stored
    closing = session.finish("1", agent("red"))
    assert not closing.ended
    assert [message.text for message in closing.pending.values()] == ["in blue"]
    assert session.stored == stored
    closing = session.finish("1", agent("red"), user("in blue"), agent("blue"), taken=("2/0",))
    assert closing.ended


@pytest.mark.parametrize("outcome", BROKEN)
def test_a_message_put_into_a_turn_that_broke_gets_a_turn_of_its_own(outcome: str) -> None:
    session = Session()
    session.begin("1", "paint it")
    session.begin("a", "x", on_busy="queue")
    session.begin("2", "in blue", on_busy="steer")
    assert session.finish("1", outcome=outcome).next.turn == "a"
    assert session.begin("2", "in blue").state == "queued"
    assert session.finish("a", agent("y")).next.turn == "2"
    assert session.told("2") == ["x", "y", "in blue"]


def test_who_steered_learns_the_answer_also_when_nobody_told_it() -> None:
    session = Session()
    session.begin("1", "paint it")
    session.begin("2", "in blue", on_busy="steer")
    session.finish("1", agent("blue"), taken=("2/0",))
    again = session.begin("2", "in blue", on_busy="steer")
    assert (again.state, again.outcome, again.answer) == ("steered", "completed", "blue")


def test_a_takeover_ends_the_turn_of_a_dead_run_once() -> None:
    """Case 15 (d)."""
    session = Session()
    session.say("1", "hi", "hello")
    session.begin("2", "gone")
    taken = session.begin("3", "and now?", takeover="run-2")
    assert taken.state == "granted"
    assert session.told("3") == ["hi", "hello", "and now?"]
    assert session.begin("4", "x", takeover="run-2").state == "busy"
    late = session.finish("2", agent("I am back"))
    assert (late.ended, late.outcome) == (True, "interrupted")
    assert session.told("3") == ["hi", "hello", "and now?"]


def test_a_takeover_gives_the_session_to_who_was_in_line_before() -> None:
    session = Session()
    session.begin("1")
    session.begin("2", on_busy="queue")
    grant = session.begin("3", on_busy="queue", takeover="run-1")
    assert (grant.state, grant.holder) == ("queued", "run-2")
    assert grant.next is not None
    assert grant.next.turn == "2"
    own = session.begin("3", on_busy="queue", takeover="run-2")
    assert (own.state, own.next) == ("granted", None)


def test_who_leaves_the_line_never_gets_the_session() -> None:
    session = Session()
    session.begin("1")
    session.begin("2", on_busy="queue")
    session.begin("3", "never said", on_busy="steer")
    session.call("leave", {"turn": "2"})
    session.call("leave", {"turn": "3"})
    assert session.told("1") == ["1"]
    assert session.finish("1", agent("ok")).next is None
    assert session.begin("2").state == "busy"


def test_leaving_does_not_end_a_turn_that_runs() -> None:
    session = Session()
    session.begin("1")
    session.call("leave", {"turn": "1"})
    assert session.begin("1").state == "granted"


def test_the_first_principal_owns_the_session() -> None:
    session = Session()
    session.begin("0", "anyone")
    session.finish("0", agent("ok"))
    assert session.begin("1", principal="ann").state == "granted"
    session.finish("1", agent("ok"))
    for stranger in ("bob", ""):
        refused = session.begin("2", principal=stranger, on_busy="queue", takeover="run-1")
        assert (refused.state, refused.holder) == ("not_found", "")
    assert session.begin("2", principal="ann").state == "granted"
    assert session.call("delete", {"principal": "bob"}) == {"done": False}
    assert session.call("reset", {"principal": "bob"}) == {"done": False}
    assert session.call("delete", {"principal": "ann"}) == {"done": True}
    assert session.stored is None


def test_who_is_not_let_in_does_not_become_the_owner() -> None:
    session = Session()
    session.begin("1")
    assert session.begin("2", principal="bob").state == "busy"
    assert session.state.owner == ""


@pytest.mark.parametrize("outcome", BROKEN)
def test_a_broken_turn_is_shown_and_in_no_later_request(outcome: str) -> None:
    """Cases 15 (b)-(e) and 33."""
    session = Session()
    session.say("1", "hi", "hello")
    session.begin("2", "forbidden")
    session.finish("2", calls("a", "b"), result("b"), outcome=outcome, error="why")
    session.begin("3", "and now?")
    assert session.told("3") == ["hi", "hello", "and now?"]
    shown = exported(session.state)["turns"][1]
    assert (shown["broken"], shown["status"], shown["error"]) == (True, outcome, "why")
    assert [message.get("call_id") for message in shown["messages"]][2:] == ["a", "b"]
    assert "may have happened" in shown["messages"][2]["text"]


def test_no_request_has_a_call_without_its_result_or_a_result_without_its_call() -> None:
    session = Session()
    session.begin("1", "go")
    said = [result("z"), calls("a", "b"), user("quick"), result("b"), calls("c"), agent("done")]
    session.finish("1", *said)
    session.begin("2", "more")
    request = session.request("2")
    assert_valid(request)
    assert [message.text for message in request if message.text == "quick"] == ["quick"]


def test_a_turn_that_lost_its_session_is_not_told_the_conversation() -> None:
    session = Session()
    session.begin("1", "hi")
    session.begin("2", "x", takeover="run-1")
    with pytest.raises(AgentCancelled, match="no longer has session"):
        session.told("1")
    session.call("delete", {})
    with pytest.raises(AgentCancelled, match="no longer has session"):
        conversation(None, SessionTurn(agent="Ada", key="s", turn="2"))


def test_the_end_of_a_turn_does_not_bring_a_deleted_session_back() -> None:
    session = Session()
    session.begin("1", "hi")
    session.call("delete", {})
    closing = session.finish("1", agent("hello"))
    assert (closing.ended, closing.outcome, session.stored) == (True, "", None)


def test_a_reset_forgets_the_conversation_and_keeps_who_waits() -> None:
    session = Session()
    session.say("1", "hi", "hello")
    session.begin("2", "x")
    session.begin("3", "y", on_busy="queue")
    assert session.call("reset", {}) == {"done": True}
    assert session.told("2") == ["x"]
    assert session.finish("2", agent("ok")).next.turn == "3"


def test_an_operation_that_cannot_be_read_fails_and_changes_nothing() -> None:
    session = Session()
    session.begin("1", "hi")
    stored = session.stored
    with pytest.raises(ValueError, match="turn"):
        session.call("begin", {"at": at()})
    with pytest.raises(ValueError, match="no moment"):
        session.call("touch", {"at": "yesterday"})
    with pytest.raises(ValueError, match="role") as failed:
        session.call("begin", {"turn": "2", "messages": [{"parts": [{"text": "secret"}]}]})
    assert "secret" not in str(failed.value)
    assert session.stored == stored


def test_a_turn_that_waits_and_is_cancelled_gives_up_its_place() -> None:
    session = Session()
    session.begin("1")
    session.begin("2", on_busy="queue")
    assert session.finish("2", outcome="cancelled").outcome == "left"
    assert session.finish("1", agent("ok")).next is None


def test_who_asks_again_need_not_say_it_again() -> None:
    session = Session()
    session.begin("1")
    session.begin("2", "once", on_busy="queue")
    assert session.begin("2", messages=[], again=True).state == "queued"
    session.finish("1", agent("ok"))
    assert session.begin("2", messages=[], again=True).state == "granted"
    assert session.told("2") == ["1", "ok", "once"]


def test_who_asks_again_is_unknown_to_a_session_that_was_deleted() -> None:
    session = Session()
    assert session.begin("2", messages=[], again=True).state == "unknown"
    assert session.stored is None
