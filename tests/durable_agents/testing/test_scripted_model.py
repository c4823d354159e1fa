"""The scripted model: it says what is written, and fails tests that ask it something else."""

import pytest
from pydantic import BaseModel

from durable_agents import (
    Agent,
    AgentFunctionApp,
    ChatRequest,
    InvalidAgentOutput,
    Message,
    ModelRateLimited,
    ModelRejected,
    ModelUnavailable,
    tool,
)
from durable_agents.messages import ToolCall, ToolResult
from durable_agents.testing import (
    DurableTest,
    ScriptedModel,
    assert_called,
    assert_completed,
    assert_failed,
    calls,
    fails,
    says,
)

HELLO = ChatRequest((Message.of("user", "Hello?"),))


class City(BaseModel):
    name: str


async def test_replies_come_in_order_and_as_a_server_sends_them() -> None:
    with ScriptedModel(["one", says(City(name="Oslo")), says({"a": 1})]) as model:
        replies = [await model.complete(HELLO) for _ in range(3)]
    assert [reply.text for reply in replies] == ["one", '{"name":"Oslo"}', '{"a": 1}']
    assert (replies[0].model, replies[0].finish_reason) == ("scripted", "stop")
    assert replies[0].usage.total_tokens == 18
    assert model.bodies[0]["messages"] == [{"role": "user", "content": "Hello?"}]


async def test_usage_is_told_in_the_servers_words() -> None:
    details = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": None}
    with ScriptedModel([says("a", usage=details), says("b", usage=None)]) as model:
        first, second = await model.complete(HELLO), await model.complete(HELLO)
    assert (first.usage.total_tokens, second.usage.uncounted_calls) == (10, 1)


async def test_calls_get_ids_that_no_other_reply_has_unless_the_test_says_them() -> None:
    script = [calls(("add", {"a": 1}), ("add", "{broken")), calls(("now", ""), ("f.x", {}, ""))]
    with ScriptedModel(script) as model:
        first, second = await model.complete(HELLO), await model.complete(HELLO)
    found = [*first.calls, *second.calls]
    assert len({call.id for call in found}) == 4
    assert all(call.id for call in found)
    assert [call.arguments for call in found] == ['{"a": 1}', "{broken", "{}", "{}"]
    assert found[3].name == "f_x"  # as the library's own clients clean it


@pytest.mark.parametrize(
    ("reply", "error", "code", "retry_after"),
    [
        (fails(ModelUnavailable), ModelUnavailable, "", None),
        (fails(ModelRateLimited, retry_after=7), ModelRateLimited, "", 7),
        (fails(ModelRejected("no", code="x")), ModelRejected, "x", None),
        (fails(503), ModelUnavailable, "scripted", None),
        (fails(429, headers={"Retry-After": "3"}), ModelRateLimited, "scripted", 3),
        (fails(429, code="insufficient_quota"), ModelRejected, "insufficient_quota", None),
        (fails(400, code="unsupported_parameter"), ModelRejected, "unsupported_parameter", None),
        (says("half", finish_reason="length"), InvalidAgentOutput, "length", None),
        (says(None, refusal="I will not"), ModelRejected, "refusal", None),
        (says(""), ModelUnavailable, "", None),
    ],
)
async def test_failures_are_those_of_the_librarys_own_clients(
    reply: object, error: type[Exception], code: str, retry_after: float | None
) -> None:
    with ScriptedModel([reply]) as model, pytest.raises(error) as caught:  # pyright: ignore
        await model.complete(HELLO)
    assert (caught.value.code, caught.value.retry_after) == (code, retry_after)  # pyright: ignore


async def test_request_without_a_reply_fails_the_test_though_the_flow_goes_on() -> None:
    model = ScriptedModel()
    with pytest.raises(ModelRejected, match="no reply to this"):
        await model.complete(HELLO)
    with pytest.raises(AssertionError, match=r"request 1 has no reply in the script: .*Hello\?"):
        model.verify()


async def test_reply_that_is_never_asked_for_fails_the_test() -> None:
    with pytest.raises(AssertionError, match=r"a reply of Ada was not asked for: calls of add"):
        ScriptedModel({"Ada": [calls(("add", {}))]}).verify()


async def test_request_that_a_server_would_refuse_fails_and_uses_no_reply() -> None:
    call = ToolCall(id="1", name="add")
    messages = (Message.of("user", "x"), Message(role="assistant", calls=(call,)))
    model = ScriptedModel(["one"])
    with pytest.raises(ModelRejected, match="V1"):
        await model.complete(ChatRequest(messages))
    with pytest.raises(AssertionError, match="request 1 would be refused: V1"):
        model.verify()
    result = Message(role="tool", result=ToolResult(call_id="1", name="add", text="3"))
    assert (await model.complete(ChatRequest((*messages, result)))).text == "one"


@tool
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


def flow_of(*agents: str, model: ScriptedModel) -> AgentFunctionApp:
    app = AgentFunctionApp(
        [Agent(name=name, chat_client=model, tools=[add]) for name in ("Ada", "Bob")]
    )

    @app.orchestration_trigger(context_name="context")
    def flow(context: object) -> object:
        tasks = [app.get_agent(context, name).run("Hello?") for name in agents]  # pyright: ignore
        return [one.text for one in (yield context.task_all(tasks))]  # pyright: ignore

    return app


async def test_agents_of_an_app_have_scripts_of_their_own_and_their_tools_run() -> None:
    script = {"Bob": ["I am Bob"], "Ada": [calls(("add", {"a": 3})), "It is 5."]}
    async with DurableTest(flow_of("Ada", "Bob", model=ScriptedModel(script))) as host:
        run = await host.run("flow")
    assert_completed(run, ["It is 5.", "I am Bob"])
    (call,) = assert_called(run, "add", times=1)
    assert (call.arguments, call.text) == ({"a": 3, "b": 2}, "5")


async def test_host_verifies_the_models_of_agents_that_were_never_asked() -> None:
    app = flow_of(model=ScriptedModel(["unused"]))
    with pytest.raises(AssertionError, match="'unused'"):
        async with DurableTest(app):
            pass


async def test_host_verifies_models_that_it_is_given_or_that_were_asked() -> None:
    model = ScriptedModel(["for whom?"])
    with pytest.raises(AssertionError, match=r"'for whom\?'"):
        async with DurableTest(AgentFunctionApp([], chat_client=model), models=[model]):
            pass


async def test_failed_test_tells_its_own_failure_and_not_the_models() -> None:
    with pytest.raises(ZeroDivisionError):
        async with DurableTest(flow_of("Ada", model=ScriptedModel(["unused"]))):
            raise ZeroDivisionError


async def test_retries_take_no_time() -> None:
    model = ScriptedModel([fails(503), fails(429), "late"])
    async with DurableTest(flow_of("Ada", model=model)) as host:
        run = await host.run("flow")
    assert_completed(run, ["late"])
    assert [wait.total_seconds() for wait in run.timers] == [5, 10]


async def test_failure_reaches_the_flow_by_its_name() -> None:
    async with DurableTest(flow_of("Ada", model=ScriptedModel([fails(401)]))) as host:
        assert_failed(await host.run("flow"), ModelRejected, match="'Ada'.*HTTP 401")
