"""What the tests of the library share: a scripted model, and an app with an agent on it."""

from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import pytest

from durable_agents import Agent, AgentFunctionApp, OpenAIChatClient
from durable_agents.messages import Message, ModelReply
from durable_agents.model import ChatModel, ChatRequest
from tests.durable_agents.scripted_model import ScriptedModel
from tests.durable_agents.virtual_host import Outcome, VirtualHost

type Flow = Callable[[Any, AgentFunctionApp], Generator[Any, Any, Any]]


@pytest.fixture(autouse=True)
def strict_typing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK's codec read only types that were asked for; its other way warns."""
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with ScriptedModel() as server:
        yield server
        # Whatever a test is about: no server may refuse what is sent.
        assert server.faults == []


@pytest.fixture
async def chat_client(model: ScriptedModel) -> AsyncIterator[OpenAIChatClient]:
    client = OpenAIChatClient("small", api_key="key-1", base_url=f"{model.url}/v1", timeout=5)
    yield client
    await client.close()


@pytest.fixture
def app(chat_client: OpenAIChatClient) -> AgentFunctionApp:
    agents = [Agent(name=name, instructions=f"You are {name}.") for name in ("Ada", "Bob")]
    return AgentFunctionApp(agents, chat_client=chat_client)


@pytest.fixture
def run(app: AgentFunctionApp) -> Callable[..., Any]:
    """Run a flow written in the test: `await run(flow, input)`."""

    async def run_flow(flow: Flow, given: Any = "Hello?", **host: Any) -> Outcome:
        @app.orchestration_trigger(context_name="context")
        def story(context: Any) -> Any:
            return (yield from flow(context, app))

        return await VirtualHost(app, **host).run("story", given)

    return run_flow


async def ask(client: ChatModel, message: str = "Hello?", **request: Any) -> ModelReply:
    """Ask a model once."""
    said = (Message.of("system", "You are Ada."), Message.of("user", message))
    return await client.complete(ChatRequest(**{"messages": said, **request}))
