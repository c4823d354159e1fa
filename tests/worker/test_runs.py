"""Agents on a plain worker, called from another process over the embedded scheduler."""

import signal
from typing import Any

import pytest

from durable_agents import (
    AgentCallFailed,
    AgentCancelled,
    AgentNotRegistered,
    AgentTimeout,
    InvalidAgentOutput,
    InvalidInput,
    MaxTurnsExceeded,
    ModelUnavailable,
)
from durable_agents.worker import AgentClient
from tests.worker.conftest import Shop
from tests.worker.shop import Paid


def output_of(shop: Shop, flow: str, given: Any) -> Any:
    instance = shop.client.schedule_new_orchestration(flow, input=given)
    state = shop.client.wait_for_orchestration_completion(instance, timeout=60)
    assert state is not None
    state.raise_if_failed()
    return state.get_output()


def test_a_flow_of_two_arguments_calls_agents_in_parallel(shop: Shop) -> None:
    with shop.working():
        assert output_of(shop, "panel", "What?") == ["What?", "other", "x"]


def test_a_killed_worker_repeats_no_call_that_has_ended(shop: Shop) -> None:
    clerk = AgentClient(shop.client).get_agent("Clerk")
    with shop.working() as process:
        run = clerk.start("order")
        shop.wait_for("tool")
        process.send_signal(signal.SIGKILL)
    before = ["model 0", "pay 250", "model 1", "deliver"]
    assert shop.effects == before
    with shop.working():
        # The call that was under way is made again: nobody knows how far it came.
        shop.wait_for("tool")
        shop.let_go("tool")
        response = clerk.result(run)
    assert shop.effects == [*before, "deliver", "model 2"]
    assert (response.text, response.agent, response.correlation_id) == ("order", "Clerk", run)


def test_a_session_goes_on_over_calls_and_workers(shop: Shop) -> None:
    echo = AgentClient(shop.client).get_agent("Echo")
    session = echo.create_session()
    with shop.working():
        assert echo.run("one", session=session).text == "one"
    with shop.working():
        assert echo.run("two", session=session.id).text == "one | two"
        assert echo.run("three").text == "three"


def test_a_message_to_a_busy_session_waits_if_the_call_says_so(shop: Shop) -> None:
    echo = AgentClient(shop.client).get_agent("Echo")
    with shop.working():
        hanging = echo.start("hang", session="s")
        shop.wait_for("model")
        waiting = echo.start("next", session="s", on_busy="queue")
        with pytest.raises(AgentCallFailed, match="busy"):
            echo.run("refused", session="s")
        shop.let_go("model")
        assert echo.cancel(hanging) == "cancelled"
        assert echo.result(waiting).text.endswith("next")


def test_a_cancelled_run_ends_its_call_and_says_so(shop: Shop) -> None:
    echo = AgentClient(shop.client).get_agent("Echo")
    with shop.working():
        run = echo.start("hang")
        shop.wait_for("model")
        shop.let_go("model")
        with pytest.raises(TimeoutError, match=run):
            echo.result(run, timeout=0.1)
        assert echo.cancel(run) == "cancelled"
        with pytest.raises(AgentCancelled):
            echo.result(run)
        assert echo.cancel(run) == "cancelled"
        answered = echo.start("hello")
        echo.result(answered)
        assert echo.cancel(answered) == "completed"


def test_a_call_has_a_time_limit_with_and_without_a_worker(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = AgentClient(shop.client).get_agent("Echo")
    with shop.working(), pytest.raises(AgentTimeout, match=r"^agent 'Echo': no answer within 1 s$"):
        echo.run("hang", timeout=1)
    monkeypatch.setattr("durable_agents.worker.agent_client._GRACE_SECONDS", 0.1)
    with pytest.raises(AgentTimeout, match="no worker has ended the run"):
        echo.run("hello", timeout=0.1)


def test_the_rules_of_a_run_are_those_of_the_worker(shop: Shop) -> None:
    agents = AgentClient(shop.client)
    with shop.working():
        with pytest.raises(ModelUnavailable):
            agents.get_agent("Echo").run("fail")
        assert shop.effects == ["model 0"] * 3
        with pytest.raises(InvalidAgentOutput, match="asked 2 times"):
            agents.get_agent("Form").run("bad")
        with pytest.raises(MaxTurnsExceeded, match="after 1 turns"):
            agents.get_agent("Short").run("order")
        assert agents.get_agent("Form").run("well").text == '{"cents": 250}'
        echo = agents.get_agent("Echo")
        assert echo.run("well", response_format=Paid).value == Paid(cents=250)
        assert echo.run("well", options={"response_format": Paid}).text == '{"cents": 250}'


def test_one_id_of_the_callers_begins_one_run(shop: Shop) -> None:
    echo = AgentClient(shop.client).get_agent("Echo")
    with shop.working():
        assert echo.run("hello", run_id="order-7").text == "hello"
        assert echo.run("hello", run_id="order-7").text == "hello"
        assert shop.effects == ["model 0"]
        with pytest.raises(InvalidInput, match="'order-7' was begun for another request"):
            echo.start("other", run_id="order-7")


def test_what_a_worker_does_not_have_is_named(shop: Shop) -> None:
    agents = AgentClient(shop.client)
    with shop.working():
        with pytest.raises(AgentNotRegistered, match="no agent named 'Nobody'"):
            agents.get_agent("Nobody").run("hello")
        run = agents.get_agent("Echo").start("hello")
        with pytest.raises(InvalidInput, match="'Clerk' has no run"):
            agents.get_agent("Clerk").result(run)
        with pytest.raises(InvalidInput, match="has no run 'unknown'"):
            agents.get_agent("Echo").cancel("unknown")


def test_without_a_durable_client_a_session_fails_with_the_reason(shop: Shop) -> None:
    echo = AgentClient(shop.client).get_agent("Echo")
    with shop.working("no-client"):
        with pytest.raises(AgentCallFailed, match=r"needs a durable client.*client=\.\.\."):
            echo.run("hello", session="s")
        assert echo.run("hello").text == "hello"


@pytest.mark.parametrize(
    "arguments",
    [
        {"message": ""},
        {"message": []},
        {"message": "x", "timeout": 0},
        {"message": "x", "timeout": float("nan")},
        {"message": "x", "timeout": float("inf")},
        {"message": "x", "session": " "},
        {"message": "x", "options": {"messages": []}},
        {"message": "x", "response_format": {"type": 7}},
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_begun(arguments: dict[str, Any]) -> None:
    # Nobody listens there: an attempt to begin a run would fail otherwise.
    from durabletask.client import TaskHubGrpcClient

    with TaskHubGrpcClient(host_address="127.0.0.1:9") as client:
        agents = AgentClient(client)
        with pytest.raises(InvalidInput):
            agents.get_agent("Echo").start(**arguments)
        with pytest.raises(InvalidInput, match="no agent can be named"):
            agents.get_agent("no name")
