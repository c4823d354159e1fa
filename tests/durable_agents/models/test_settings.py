"""Which model the settings name, and how the library signs in to it."""

import asyncio
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from durable_agents import (
    Agent,
    AzureOpenAIChatClient,
    AzureOpenAIChatCompletionClient,
    ConfigurationError,
    ModelRejected,
    ModelUnavailable,
    OpenAIChatClient,
    OpenAIChatCompletionClient,
    chat_client_from_environment,
)
from durable_agents.models import AzureOpenAIResponsesClient, OpenAIResponsesClient
from tests.durable_agents.conftest import ask
from tests.durable_agents.scripted_model import Reply, ScriptedModel, responds

NOW = int(datetime.now(UTC).timestamp())  # noqa: TID251


@dataclass
class Credential:
    """Gives tokens of a given life, or fails."""

    lifetime: int = 3600
    error: Exception | None = None
    scopes: list[str] = field(default_factory=list)
    seconds: float = 0

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        if self.error:
            raise self.error
        threading.Event().wait(self.seconds)  # a sign-in takes its time
        self.scopes += scopes
        return AccessToken(f"token-{len(self.scopes)}", NOW + self.lifetime)


def azure(model: ScriptedModel, credential: Credential) -> AzureOpenAIChatClient:
    return AzureOpenAIChatClient(
        endpoint=model.url + "/", deployment_name="my-gpt", credential=credential
    )


async def test_azure_is_asked_at_openai_v1_for_the_deployment_with_a_bearer_token(
    model: ScriptedModel,
) -> None:
    credential = Credential()
    client = azure(model, credential)
    await ask(client)
    await client.close()
    (request,) = model.requests
    assert request.path == "/openai/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer token-1"
    assert request.body["model"] == "my-gpt"
    assert credential.scopes == ["https://cognitiveservices.azure.com/.default"]


@pytest.mark.parametrize(
    ("lifetime", "tokens"), [(3600, ["token-1", "token-1"]), (60, ["token-1", "token-2"])]
)
async def test_token_is_used_until_it_nears_its_end_and_then_replaced(
    model: ScriptedModel, lifetime: int, tokens: list[str]
) -> None:
    client = azure(model, Credential(lifetime))
    await ask(client)
    await ask(client)
    await client.close()
    sent = [request.headers["authorization"] for request in model.requests]
    assert sent == [f"Bearer {token}" for token in tokens]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ClientAuthenticationError("no identity\nmore"), ModelRejected),
        (ServiceRequestError("no network"), ModelUnavailable),
    ],
)
async def test_failed_sign_in_is_told_from_a_network_failure(
    model: ScriptedModel, error: Exception, expected: type[Exception]
) -> None:
    client = azure(model, Credential(error=error))
    with pytest.raises(expected, match=r"Azure: no (identity|network)$"):
        await ask(client)
    await client.close()
    assert model.requests == []


async def test_calls_that_start_together_sign_in_once(model: ScriptedModel) -> None:
    credential = Credential(seconds=0.05)
    client = azure(model, credential)
    await asyncio.gather(*[ask(client) for _ in range(20)])
    await client.close()
    assert len(model.requests) == 20
    assert len(credential.scopes) == 1


async def test_client_works_on_every_event_loop_that_calls_it(model: ScriptedModel) -> None:
    client = OpenAIChatClient("small", base_url=f"{model.url}/v1")

    async def ask_and_close() -> str:
        answer = await ask(client)
        await client.close()
        return answer.text

    # The connection of this loop stays open, and must not be used from the other.
    first = (await ask(client)).text
    second = await asyncio.to_thread(asyncio.run, ask_and_close())
    assert [first, second, await ask_and_close()] == ["An answer."] * 3


@pytest.mark.parametrize("suffix", ["", "/", "/openai/v1", "/openai/v1/"])
async def test_azure_key_from_the_settings_is_sent(model: ScriptedModel, suffix: str) -> None:
    client = chat_client_from_environment(
        {
            "AZURE_OPENAI_ENDPOINT": model.url + suffix,
            "AZURE_OPENAI_DEPLOYMENT_NAME": "my-gpt",
            "AZURE_OPENAI_API_KEY": "azure-key",
            "OPENAI_API_KEY": "other-key",
        }
    )
    await ask(client)
    await client.close()
    assert model.requests[0].path == "/openai/v1/chat/completions"
    assert model.requests[0].headers["authorization"] == "Bearer azure-key"


@pytest.mark.parametrize("key", ["", "my-key"])
async def test_compatible_server_is_asked_with_or_without_a_key(
    model: ScriptedModel, key: str
) -> None:
    client = chat_client_from_environment(
        {"OPENAI_BASE_URL": f"{model.url}/v1", "OPENAI_MODEL": "llama", "OPENAI_API_KEY": key}
    )
    await ask(client)
    await client.close()
    assert model.requests[0].path == "/v1/chat/completions"
    assert model.requests[0].body["model"] == "llama"
    assert model.requests[0].headers["authorization"] == f"Bearer {key or 'none'}"


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "AZURE_OPENAI_ENDPOINT.*OPENAI_API_KEY.*OPENAI_BASE_URL"),
        ({"OPENAI_API_KEY": " "}, "no model is configured"),
        ({"AZURE_OPENAI_ENDPOINT": "https://a.example"}, "AZURE_OPENAI_DEPLOYMENT_NAME"),
        ({"OPENAI_API_KEY": "k"}, "OPENAI_MODEL"),
        ({"OPENAI_BASE_URL": "localhost:1", "OPENAI_MODEL": "m"}, "localhost:1"),
        ({"OPENAI_BASE_URL": "http://localhost:port/v1", "OPENAI_MODEL": "m"}, "localhost:port"),
        ({"OPENAI_BASE_URL": "http://[half/v1", "OPENAI_MODEL": "m"}, "half"),
        (
            {"AZURE_OPENAI_ENDPOINT": "http://a.example", "AZURE_OPENAI_DEPLOYMENT_NAME": "d"},
            "https",
        ),
        (
            {"OPENAI_API_KEY": "k", "AGENT_REQUEST_TIMEOUT_SECONDS": "long"},
            "AGENT_REQUEST_TIMEOUT_SECONDS",
        ),
    ],
)
def test_missing_or_wrong_setting_is_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        chat_client_from_environment(environ)


def test_openai_itself_is_the_server_when_only_a_key_is_given() -> None:
    client = chat_client_from_environment({"OPENAI_API_KEY": "k", "OPENAI_MODEL": "gpt"})
    assert type(client) is OpenAIChatClient
    assert client.model == "gpt"


def test_older_names_are_the_same_classes() -> None:
    assert OpenAIChatClient is OpenAIChatCompletionClient
    assert AzureOpenAIChatClient is AzureOpenAIChatCompletionClient


@pytest.mark.parametrize("kind", [OpenAIChatCompletionClient, OpenAIResponsesClient])
@pytest.mark.parametrize("method", ["create_agent", "as_agent"])
def test_client_makes_agents_that_stand_on_it(kind: Any, method: str) -> None:
    client = kind("small", base_url="http://localhost:1/v1")
    agent = getattr(client, method)(
        name="Ada", instructions="Be brief.", options={"temperature": 0}, corrections=1
    )
    assert agent == Agent(
        name="Ada",
        instructions="Be brief.",
        chat_client=client,
        options={"temperature": 0},
        corrections=1,
    )


async def test_cancelled_call_closes_its_connection(model: ScriptedModel) -> None:
    model.will(Reply(silent=True))
    client = OpenAIChatClient("small", base_url=f"{model.url}/v1")
    call = asyncio.create_task(ask(client))
    async with asyncio.timeout(5):
        await model.asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(5):
        await model.left.wait()
    await client.close()


@pytest.mark.parametrize("kind", [AzureOpenAIChatClient, AzureOpenAIResponsesClient])
async def test_azure_client_is_served_by_the_offline_model_without_a_sign_in(
    model: ScriptedModel, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    monkeypatch.setenv("BATON_OFFLINE_MODEL_URL", f"{model.url}/v1")
    credential = Credential(error=ClientAuthenticationError("nobody is signed in"))
    client = kind(
        endpoint="https://<name>.openai.azure.com", deployment_name="gpt", credential=credential
    )
    if kind is AzureOpenAIResponsesClient:
        model.will(responds("Hi"))
    assert (await ask(client)).text
    await client.close()
    assert model.requests[0].path.startswith("/v1/")
    assert model.requests[0].headers["authorization"] == "Bearer offline"


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/v1", "https://a.example/v1", "http://localhost.a.example/v1", "here"]
)
def test_offline_model_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("BATON_OFFLINE_MODEL_URL", url)
    with pytest.raises(ConfigurationError):
        AzureOpenAIChatClient(endpoint="https://a.example", deployment_name="gpt", api_key="k")
