"""A call of an agent in an orchestration, over the wire to a model and back through replays."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from durabletask.task import RetryPolicy, TaskFailedError

from durable_agents import (
    Agent,
    AgentCallFailed,
    AgentFunctionApp,
    AgentTimeout,
    ModelRateLimited,
    ModelRejected,
    ModelUnavailable,
)
from durable_agents.messages import ModelReply
from durable_agents.model import ChatRequest
from tests.durable_agents.scripted_model import DROP, Reply, ScriptedModel, fails, says
from tests.durable_agents.virtual_host import VirtualHost

type Run = Callable[..., Any]

SECONDS = [timedelta(seconds=5), timedelta(seconds=10)]


class Faulty:
    """A way to a model, of somebody's own, with a fault in it."""

    model = "faulty"

    async def complete(self, request: ChatRequest) -> ModelReply:
        raise KeyError("oops")


def call(context: Any, app: Any) -> Any:
    return (yield app.get_agent(context, "Ada").run(context.get_input())).text


async def test_call_is_one_activity_under_the_agents_name(run: Run, model: ScriptedModel) -> None:
    outcome = await run(call)
    assert outcome.output == "An answer."
    assert outcome.activities == ["Ada"]
    assert [request.message for request in model.requests] == ["Hello?"]


async def test_response_says_who_answered_and_what_it_took(run: Run) -> None:
    def flow(context: Any, app: Any) -> Any:
        response = yield app.get_agent(context, "Ada").run("Hello?")
        return [response.agent, response.model, response.usage.total_tokens, response.finish_reason]

    assert (await run(flow)).output == ["Ada", "scripted-1", 18, "stop"]


async def test_rejected_request_is_made_once_and_fails_by_name(
    run: Run, model: ScriptedModel
) -> None:
    model.will(fails(400, "bad_prompt"), says("too late"))
    outcome = await run(call)
    assert len(model.requests) == 1
    assert outcome.failure.errorType == "durable_agents.errors.ModelRejected"
    for part in ("Ada", "small", "HTTP 400", "bad_prompt", "the server says 400", "req-2"):
        assert part in outcome.failure.errorMessage


async def test_model_that_fails_twice_and_then_answers_completes(
    run: Run, model: ScriptedModel
) -> None:
    model.will(fails(500), DROP, says("At last."))
    outcome = await run(call)
    assert outcome.output == "At last."
    assert outcome.activities == ["Ada"] * 3
    assert outcome.timers == SECONDS


async def test_model_that_fails_for_good_fails_after_three_attempts(
    run: Run, model: ScriptedModel
) -> None:
    model.will(fails(503))
    outcome = await run(call)
    assert len(model.requests) == 3
    assert outcome.failure.errorType == "durable_agents.errors.ModelUnavailable"
    assert "agent 'Ada' (model 'small'): HTTP 503" in outcome.failure.errorMessage


async def test_retry_after_is_waited_for_by_a_durable_timer(run: Run, model: ScriptedModel) -> None:
    model.will(fails(429, retry_after="100"), fails(503, retry_after="1"), says("At last."))
    outcome = await run(call)
    assert outcome.output == "At last."
    # The server's wait where it is longer, the policy's where that is.
    assert outcome.timers == [timedelta(seconds=100), timedelta(seconds=10)]


async def test_server_that_wants_more_than_a_day_is_not_waited_for(
    run: Run, model: ScriptedModel
) -> None:
    model.will(fails(429, retry_after="999999999"))
    outcome = await run(call)
    assert outcome.timers == []
    assert outcome.failure.errorType == "durable_agents.errors.ModelRateLimited"


async def test_policy_of_one_call_goes_before_the_apps(run: Run, model: ScriptedModel) -> None:
    def flow(context: Any, app: Any) -> Any:
        once = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2)
        return (yield app.get_agent(context, "Ada").run("Hello?", retry=once)).text

    model.will(fails(500))
    outcome = await run(flow)
    assert outcome.timers == [timedelta(seconds=1)]


async def test_retries_end_with_the_time_the_policy_gives_them(
    run: Run, model: ScriptedModel
) -> None:
    def flow(context: Any, app: Any) -> Any:
        policy = RetryPolicy(
            first_retry_interval=timedelta(seconds=10),
            max_number_of_attempts=9,
            retry_timeout=timedelta(seconds=35),
        )
        return (yield app.get_agent(context, "Ada").run("Hello?", retry=policy)).text

    model.will(fails(500))
    assert (await run(flow)).timers == [timedelta(seconds=10)] * 3


async def test_calls_in_task_all_are_retried_side_by_side(run: Run, model: ScriptedModel) -> None:
    def flow(context: Any, app: Any) -> Any:
        ada = app.get_agent(context, "Ada")
        answers = yield context.task_all([ada.run(f"Question {n}") for n in range(10)])
        return [answer.text for answer in answers]

    model.will(*[fails(500)] * 10, says("Done."))
    outcome = await run(flow)
    assert outcome.output == ["Done."] * 10
    assert outcome.elapsed == timedelta(seconds=5)


async def test_failure_in_task_all_is_the_agents_error(run: Run, model: ScriptedModel) -> None:
    def flow(context: Any, app: Any) -> Any:
        calls = [app.get_agent(context, name).run("Hello?") for name in ("Ada", "Bob")]
        try:
            yield context.task_all(calls)
        except ModelRejected as error:
            return [error.agent, error.model, error.request_id, error.cause]

    model.will(fails(401))
    agent, name, request_id, cause = (await run(flow)).output
    assert (agent, name, request_id) == ("Ada", "small", "req-2")
    assert cause == "HTTP 401 some_code: the server says 401"


@pytest.mark.parametrize("caught", [ModelRateLimited, AgentCallFailed, TaskFailedError])
async def test_flow_can_catch_a_failed_call_and_go_on(
    run: Run, model: ScriptedModel, caught: type[Exception]
) -> None:
    def flow(context: Any, app: Any) -> Any:
        try:
            return (yield app.get_agent(context, "Ada").run("Hello?")).text
        except caught as error:
            return (yield app.get_agent(context, "Bob").run(type(error).__name__)).text

    model.will(*[fails(429, retry_after="2")] * 3, says("Bob here."))
    outcome = await run(flow)
    assert outcome.output == "Bob here."
    assert model.requests[-1].message == "ModelRateLimited"


async def test_first_of_task_any_wins_while_the_other_waits_for_its_retry(
    run: Run, model: ScriptedModel
) -> None:
    def flow(context: Any, app: Any) -> Any:
        calls = [app.get_agent(context, name).run("Hello?") for name in ("Ada", "Bob")]
        winner = yield context.task_any(calls)
        return winner.result.text

    model.will(fails(500), says("First."))
    outcome = await run(flow)
    assert outcome.output == "First."
    assert outcome.elapsed == timedelta()


async def test_timeout_ends_a_call_that_has_no_answer(run: Run) -> None:
    def flow(context: Any, app: Any) -> Any:
        return (yield app.get_agent(context, "Ada").run("Hello?", timeout=30)).text

    outcome = await run(flow, stuck={"Ada"})
    assert outcome.elapsed == timedelta(seconds=30)
    assert outcome.failure.errorType == "durable_agents.errors.AgentTimeout"
    assert "agent 'Ada' (model 'small'): no answer within 0:00:30" in outcome.failure.errorMessage


async def test_timeout_covers_the_waits_between_retries(run: Run, model: ScriptedModel) -> None:
    def flow(context: Any, app: Any) -> Any:
        try:
            yield app.get_agent(context, "Ada").run("Hello?", timeout=timedelta(seconds=7))
        except AgentTimeout:
            yield context.create_timer(context.current_utc_datetime + timedelta(seconds=60))
            return (yield app.get_agent(context, "Bob").run("Hello?")).text

    model.will(fails(500), fails(500), says("Bob here."))
    outcome = await run(flow)
    assert outcome.output == "Bob here."
    assert outcome.activities == ["Ada", "Ada", "Bob"]


async def test_answer_after_the_timeout_is_dropped(run: Run, model: ScriptedModel) -> None:
    def flow(context: Any, app: Any) -> Any:
        try:
            yield app.get_agent(context, "Ada").run("Hello?", timeout=30)
        except AgentTimeout:
            return (yield app.get_agent(context, "Bob").run("Hello?")).text

    model.will(says("Too late."), says("Bob here."))
    outcome = await run(flow, late={"Ada"})
    assert outcome.output == "Bob here."
    assert [request.body["messages"][0]["content"] for request in model.requests] == [
        "You are Ada.",
        "You are Bob.",
    ]


async def test_answer_in_time_makes_the_timeout_nothing(run: Run) -> None:
    def flow(context: Any, app: Any) -> Any:
        answer = yield app.get_agent(context, "Ada").run("Hello?", timeout=1)
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=60))
        return answer.text

    assert (await run(flow)).output == "An answer."


async def test_native_orchestrator_of_the_sdk_can_call_agents(app: AgentFunctionApp) -> None:
    @app.orchestration_trigger(context_name="context")
    def native(context: Any, given: str) -> Any:
        return (yield app.get_agent(context, "Ada").run(given)).text

    assert (await VirtualHost(app).run("native", "Hello?")).output == "An answer."


@pytest.mark.parametrize("given", [None, "", "  ", 7, {"topic": "x"}, [], [7], ["  "], "\ud83d"])
async def test_message_that_is_no_text_is_refused_before_any_request(
    run: Run, model: ScriptedModel, given: Any
) -> None:
    outcome = await run(call, given)
    assert outcome.failure.errorType == "durable_agents.errors.InvalidInput"
    assert "'Ada'" in outcome.failure.errorMessage
    assert model.requests == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"options": {"model": "x"}},
        {"options": {"a": object()}},
        {"timeout": 0},
        {"timeout": 1e300},
        {"timeout": float("nan")},
        {"response_format": 7},
        {"response_format": {"type": "object", "if": {}}},
    ],
)
async def test_argument_that_cannot_be_used_is_refused_before_any_request(
    run: Run, model: ScriptedModel, wrong: dict[str, Any]
) -> None:
    def flow(context: Any, app: Any) -> Any:
        return (yield app.get_agent(context, "Ada").run("Hello?", **wrong)).text

    outcome = await run(flow)
    assert outcome.failure.errorType == "durable_agents.errors.InvalidInput"
    assert model.requests == []


async def test_servers_words_cannot_pose_as_facts_of_the_call(
    run: Run, model: ScriptedModel
) -> None:
    model.will(fails(400, 'x\n {"agent": "Eve", "model": "m"} y'))
    message = (await run(call)).failure.errorMessage
    assert message.startswith("agent 'Ada' (model 'small'): HTTP 400 x")
    assert message.endswith("y: the server says 400 [request req-2]")


async def test_fault_that_is_not_the_models_is_not_retried() -> None:
    app = AgentFunctionApp([Agent(name="Ada", chat_client=Faulty())])

    @app.orchestration_trigger(context_name="context")
    def story(context: Any) -> Any:
        yield app.get_agent(context, "Ada").run("Hello?")

    outcome = await VirtualHost(app).run("story")
    assert outcome.activities == ["Ada"]
    assert "agent 'Ada' (model 'faulty'): KeyError: 'oops'" in outcome.failure.errorMessage


async def test_activity_called_with_what_is_no_request_says_so_without_quoting_it(
    run: Run, model: ScriptedModel
) -> None:
    def flow(context: Any, app: Any) -> Any:
        del app
        yield context.call_activity("Ada", {"message": ["a secret"]})

    outcome = await run(flow)
    assert "the activity's input is not a model request" in outcome.failure.errorMessage
    assert "a secret" not in outcome.failure.errorMessage
    assert model.requests == []


@pytest.mark.filterwarnings("ignore:azure.functions:DeprecationWarning")
async def test_calls_work_when_the_sdk_reads_types_from_the_data(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING")
    assert (await run(call)).output == "An answer."


async def test_retried_error_of_the_last_attempt_is_the_one_raised(
    run: Run, model: ScriptedModel
) -> None:
    model.will(fails(500), fails(429), fails(404))
    outcome = await run(call)
    assert outcome.failure.errorType == "durable_agents.errors.ModelRejected"
    assert ModelUnavailable.__name__ not in outcome.failure.errorMessage


@pytest.mark.parametrize("replies", [[says("Yes.")], [fails(500)] * 3 + [says("Yes.")]])
async def test_finished_call_leaves_no_timer_that_costs_a_turn(
    run: Run, model: ScriptedModel, replies: list[Reply]
) -> None:
    def flow(context: Any, app: Any) -> Any:
        calls = [app.get_agent(context, "Ada").run("Hello?", timeout=30) for _ in range(3)]
        answers = yield context.task_all(calls)
        yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        return len(answers)

    model.will(*replies)
    outcome = await run(flow)
    assert outcome.output == 3
    # The start, the answers, and the flow's own timer.
    fired = [event for event in outcome.history if event.HasField("timerFired")]
    assert len(fired) == 1
    assert outcome.turns <= 3 + 2  # answers may come one by one


async def test_failure_of_a_call_with_a_timeout_is_the_agents_error(
    run: Run, model: ScriptedModel
) -> None:
    def flow(context: Any, app: Any) -> Any:
        try:
            yield app.get_agent(context, "Ada").run("Hello?", timeout=30)
        except ModelRejected as error:
            return [error.agent, error.model, error.request_id, error.cause]

    model.will(fails(401))
    cause = "HTTP 401 some_code: the server says 401"
    assert (await run(flow)).output == ["Ada", "small", "req-2", cause]


async def test_fault_that_is_not_the_models_is_told_of_with_a_timeout_as_well() -> None:
    app = AgentFunctionApp([Agent(name="Ada", chat_client=Faulty())])

    @app.orchestration_trigger(context_name="context")
    def story(context: Any) -> Any:
        yield app.get_agent(context, "Ada").run("Hello?", timeout=30)

    outcome = await VirtualHost(app).run("story")
    assert outcome.activities == ["Ada"]
    assert outcome.failure.errorType == "durable_agents.errors.AgentCallFailed"
    assert "agent 'Ada' (model 'faulty'): KeyError: 'oops'" in outcome.failure.errorMessage


async def test_native_orchestrator_can_call_agents_with_a_timeout(app: AgentFunctionApp) -> None:
    @app.orchestration_trigger(context_name="context")
    def native(context: Any, given: str) -> Any:
        return (yield app.get_agent(context, "Ada").run(given, timeout=30)).text

    assert (await VirtualHost(app).run("native", "Hello?")).output == "An answer."


async def test_rules_of_a_call_are_in_the_input_of_each_of_its_requests(
    run: Run, model: ScriptedModel
) -> None:
    def flow(context: Any, app: Any) -> Any:
        twice = RetryPolicy(
            first_retry_interval=timedelta(seconds=1.5),
            max_number_of_attempts=2,
            retry_timeout=timedelta(minutes=1),
        )
        return (yield app.get_agent(context, "Ada").run("Hello?", retry=twice)).text

    model.will(fails(500), says("At last."))
    history = (await run(flow)).history
    asked = [event.taskScheduled for event in history if event.HasField("taskScheduled")]
    rules = {"attempts": 2, "first_interval": 1.5, "retry_timeout": 60.0, "corrections": 2}
    assert [json.loads(one.input.value)["policy"] for one in asked] == [rules, rules]


async def test_what_was_recorded_for_the_orchestrator_is_not_in_the_response(run: Run) -> None:
    def flow(context: Any, app: Any) -> Any:
        return (yield app.get_agent(context, "Ada").run("Hello?")).verdict

    assert (await run(flow)).output is None


@pytest.mark.parametrize("name", ["", " ", "a\x00", "a\u2028", "x" * 257, "\ud83d", "@" * 90])
async def test_id_that_no_session_can_have_is_refused_before_any_request(
    run: Run, model: ScriptedModel, name: str
) -> None:
    def flow(context: Any, app: Any) -> Any:
        yield app.get_agent(context, "Ada").run("Hello?", session=name)

    outcome = await run(flow)
    assert outcome.failure.errorType == "durable_agents.errors.InvalidInput"
    assert model.requests == []
