"""Agents at startup: what is refused, and by what name they are known."""

from typing import Any

import azure.durable_functions as df
import pytest

from durable_agents import (
    Agent,
    AgentBlueprint,
    AgentFunctionApp,
    AgentNotRegistered,
    ConfigurationError,
    InvalidAgent,
    OpenAIChatClient,
)
from tests.durable_agents.scripted_model import ScriptedModel
from tests.durable_agents.virtual_host import VirtualHost


@pytest.mark.parametrize("name", ["", "1st", "two words", "ärger", "a/b", "a" * 64, "ok\n"])
def test_bad_name_is_refused_and_named(name: str) -> None:
    with pytest.raises(InvalidAgent) as caught:
        Agent(name=name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["A", "my-agent_2", "a" * 63])
def test_good_name_is_the_name_of_the_agents_activity(
    chat_client: OpenAIChatClient, name: str
) -> None:
    app = AgentFunctionApp([chat_client.create_agent(name=name)])
    functions = {one.get_function_name(): one for one in app.get_functions()}
    assert functions[name].get_trigger().get_dict_repr()["activity"] == name


def test_second_agent_of_a_name_is_refused_whatever_its_case(app: AgentFunctionApp) -> None:
    with pytest.raises(InvalidAgent, match="agent 'ADA': an agent named 'Ada'"):
        app.add_agent(Agent(name="ADA"))
    assert list(app.agents) == ["Ada", "Bob"]


def test_agent_without_a_model_is_refused_and_named() -> None:
    with pytest.raises(InvalidAgent, match="'Ada' has no model"):
        AgentFunctionApp([Agent(name="Ada")])


def test_option_that_would_change_the_request_is_refused() -> None:
    with pytest.raises(InvalidAgent, match="'messages' is not an option"):
        Agent(name="Ada", options={"messages": []})


def test_wrong_retry_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_RETRY_FIRST_INTERVAL_SECONDS", "soon")
    with pytest.raises(ConfigurationError, match="AGENT_RETRY_FIRST_INTERVAL_SECONDS is 'soon'"):
        AgentFunctionApp()


def test_unknown_agent_is_refused_at_once_with_the_names_there_are(app: AgentFunctionApp) -> None:
    context: Any = None  # not looked at: the name is checked first
    with pytest.raises(AgentNotRegistered, match=r"'Eve'; registered: Ada, Bob\."):
        app.get_agent(context, "Eve")


def test_blueprint_without_an_app_says_what_to_do() -> None:
    context: Any = None
    with pytest.raises(AgentNotRegistered, match="register_functions"):
        AgentBlueprint().get_agent(context, "Ada")


@pytest.mark.parametrize("register", ["register_functions", "register_blueprint"])
async def test_flow_of_a_blueprint_calls_the_agents_of_its_app(
    app: AgentFunctionApp, register: str
) -> None:
    flows = AgentBlueprint()

    @flows.orchestration_trigger(context_name="context")
    def story(context: df.DurableOrchestrationContext) -> Any:
        return (yield flows.get_agent(context, "Ada").run("Hello?")).text

    getattr(app, register)(flows)
    outcome = await VirtualHost(app).run("story")
    assert outcome.output == "An answer."


async def test_ordinary_functions_and_blueprints_work_on_the_app(app: AgentFunctionApp) -> None:
    plain = df.Blueprint()

    @plain.activity_trigger(input_name="number")
    def double(number: int) -> int:
        return number * 2

    @app.orchestration_trigger(context_name="context")
    def story(context: Any) -> Any:
        return (yield context.call_activity("double", 4))

    app.register_functions(plain)
    assert (await VirtualHost(app).run("story")).output == 8


async def test_agents_own_model_goes_before_the_apps(
    model: ScriptedModel, chat_client: OpenAIChatClient
) -> None:
    elsewhere = OpenAIChatClient("unreachable", base_url="http://127.0.0.1:9/v1")
    app = AgentFunctionApp([chat_client.create_agent(name="Ada")], chat_client=elsewhere)

    @app.orchestration_trigger(context_name="context")
    def story(context: Any) -> Any:
        return (yield app.get_agent(context, "Ada").run("Hello?")).text

    assert (await VirtualHost(app).run("story")).output == "An answer."


def test_agents_may_hand_over_to_one_another_by_name(chat_client: OpenAIChatClient) -> None:
    ada = Agent(name="Ada", handoffs=["Bob"])
    bob = Agent(name="Bob", description="Knows bolts.", handoffs=[ada])
    app = AgentFunctionApp([bob], chat_client=chat_client)
    names = {one.get_function_name() for one in app.get_functions()}
    assert {"Ada", "run-Ada", "Bob", "run-Bob"} <= names
    assert list(app.agents) == ["Bob"]


def test_agent_that_may_hand_over_to_nobody_is_an_error_at_startup(
    chat_client: OpenAIChatClient,
) -> None:
    app = AgentFunctionApp([Agent(name="Ada", handoffs=["Bobby"])], chat_client=chat_client)
    with pytest.raises(InvalidAgent, match="'Ada' may hand over to 'Bobby', which is not"):
        app.get_functions()
