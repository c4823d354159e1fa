"""The ways to a model, through the official `openai` SDK. One call is one HTTP request.

Retries are off in the SDK: they are made durably, around the call. Every way a request can end is
sorted here into an answer or an error that says who must act (`errors`); what the server said is
read in `chat_reply`.
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import openai
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity import DefaultAzureCredential, get_bearer_token_provider
from pydantic import JsonValue

from durable_agents.agent import Agent
from durable_agents.chat_reply import failed_request, read_answer
from durable_agents.errors import ConfigurationError, ModelRejected, ModelUnavailable
from durable_agents.messages import AgentResponse, ModelRequest
from durable_agents.retry import seconds_setting

REQUEST_TIMEOUT = "AGENT_REQUEST_TIMEOUT_SECONDS"

_DEFAULT_TIMEOUT = 120.0
_SCOPE = "https://cognitiveservices.azure.com/.default"
_OPENAI = "https://api.openai.com/v1"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}

type ApiKey = str | Callable[[], Awaitable[str]]


class OpenAIChatClient:
    """A model of OpenAI, or of any server that speaks its chat completions API.

    Args:
        model: The model's name, as the server knows it.
        api_key: The key; servers of your own often need none.
        base_url: The server, with `/v1`; None for OpenAI itself.
        timeout: The longest time for one request, in seconds.

    Raises:
        ConfigurationError: There is no model's name, or the server's address cannot be one.
    """

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = _DEFAULT_TIMEOUT,
    ) -> None:
        if not model:
            raise ConfigurationError("the model's name is missing: set OPENAI_MODEL.")
        if not api_key and not base_url:
            raise ConfigurationError(
                "OpenAI needs a key: set OPENAI_API_KEY, or OPENAI_BASE_URL for another server."
            )
        # The SDK insists on some key; servers that need none ignore it.
        self._start(model, api_key or "none", _usable_url(base_url or _OPENAI), timeout)

    def _start(self, model: str, api_key: ApiKey, base_url: str, timeout: float) -> None:
        self.model = model
        self._server = _without_user(base_url)
        self._timeout = timeout
        self._clients = _ClientPerLoop(
            lambda: openai.AsyncOpenAI(
                api_key=api_key,
                base_url=base_url,
                timeout=timeout,
                max_retries=0,
                # A redirect would be a second request, with the prompt, to a place nobody named.
                http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, timeout=timeout),
            )
        )

    def create_agent(
        self,
        *,
        name: str,
        instructions: str = "",
        description: str = "",
        options: Mapping[str, JsonValue] | None = None,
    ) -> Agent:
        """Return an agent that stands on this model.

        Raises:
            InvalidAgent: The name cannot be one.
        """
        return Agent(
            name=name,
            instructions=instructions,
            description=description,
            chat_client=self,
            options=options or {},
        )

    async def complete(self, agent: Agent, request: ModelRequest) -> AgentResponse:
        """Ask the model once, in one HTTP request.

        Raises:
            AgentCallFailed: There is no usable answer; the type says who must act.
        """
        options = {**agent.options, **request.options}
        try:
            raw = await self._clients.get().chat.completions.with_raw_response.create(
                model=self.model,
                messages=_messages(agent, request),
                extra_body={**options, **_response_format(request)},
            )
        except openai.APITimeoutError as error:
            raise ModelUnavailable(
                f"no answer within {self._timeout:g} s", agent=agent.name, model=self.model
            ) from error
        except openai.APIConnectionError as error:
            what = type(error.__cause__ or error).__name__
            raise ModelUnavailable(
                f"the connection to {self._server} failed ({what})",
                agent=agent.name,
                model=self.model,
            ) from error
        except openai.APIStatusError as error:
            raise failed_request(error, agent.name, self.model) from error
        except ClientAuthenticationError as error:
            raise ModelRejected(
                f"could not sign in to Azure: {_first_line(error)}",
                agent=agent.name,
                model=self.model,
            ) from error
        except AzureError as error:
            raise ModelUnavailable(
                f"could not get a token from Azure: {_first_line(error)}",
                agent=agent.name,
                model=self.model,
            ) from error
        return read_answer(raw.http_response, agent.name, self.model)

    async def close(self) -> None:
        """Close the connections of the running event loop; a later call opens new ones."""
        await self._clients.close()


class AzureOpenAIChatClient(OpenAIChatClient):
    """A deployment of Azure OpenAI, through its `/openai/v1/` address.

    Args:
        endpoint: The resource, `https://NAME.openai.azure.com`.
        deployment_name: The deployment of a model in it.
        credential: Who calls; None for `DefaultAzureCredential` when there is no key either.
        api_key: A key of the resource, in place of a credential.
        timeout: The longest time for one request, in seconds.

    Raises:
        ConfigurationError: An argument is missing or cannot be used.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        deployment_name: str,
        credential: TokenCredential | None = None,
        api_key: str | None = None,
        timeout: float = _DEFAULT_TIMEOUT,
    ) -> None:
        if not endpoint:
            raise ConfigurationError("the Azure resource is missing: set AZURE_OPENAI_ENDPOINT.")
        if not deployment_name:
            raise ConfigurationError(
                "the deployment is missing: set AZURE_OPENAI_DEPLOYMENT_NAME to its name."
            )
        if credential is not None and api_key:
            raise ConfigurationError("give AzureOpenAIChatClient a credential or a key, not both.")
        resource = _secret_url(endpoint).removesuffix("/openai/v1")
        key: ApiKey = api_key or _TokenSource(credential or DefaultAzureCredential()).token
        self._start(deployment_name, key, f"{resource}/openai/v1/", timeout)


def chat_client_from_environment(environ: Mapping[str, str] | None = None) -> OpenAIChatClient:
    """Return the client of the model that the settings name; an empty setting counts as unset.

    `AZURE_OPENAI_ENDPOINT` and `AZURE_OPENAI_DEPLOYMENT_NAME` (with `AZURE_OPENAI_API_KEY`, or the
    identity the app runs under), else `OPENAI_API_KEY` or `OPENAI_BASE_URL` or both, and
    `OPENAI_MODEL`.

    Raises:
        ConfigurationError: No model is configured, or not completely; the message names the
            settings.
    """
    environ = os.environ if environ is None else environ

    def setting(name: str) -> str:
        return environ.get(name, "").strip()

    timeout = seconds_setting(environ, REQUEST_TIMEOUT, _DEFAULT_TIMEOUT)
    if timeout == 0:
        raise ConfigurationError(f"{REQUEST_TIMEOUT} is 0; set a number of seconds, or unset it.")
    if endpoint := setting("AZURE_OPENAI_ENDPOINT"):
        return AzureOpenAIChatClient(
            endpoint=endpoint,
            deployment_name=setting("AZURE_OPENAI_DEPLOYMENT_NAME"),
            api_key=setting("AZURE_OPENAI_API_KEY") or None,
            timeout=timeout,
        )
    key, base_url = setting("OPENAI_API_KEY"), setting("OPENAI_BASE_URL")
    if not key and not base_url:
        raise ConfigurationError(
            "no model is configured. Set AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_DEPLOYMENT_NAME "
            "(Azure OpenAI), or OPENAI_API_KEY and OPENAI_MODEL (OpenAI), or OPENAI_BASE_URL and "
            "OPENAI_MODEL (any compatible server, such as Ollama or vLLM)."
        )
    return OpenAIChatClient(
        setting("OPENAI_MODEL"), api_key=key or None, base_url=base_url or None, timeout=timeout
    )


class _ClientPerLoop:
    """Keeps one SDK client for each event loop: its connections belong to the loop they began on.

    Made at the first call, since the loop of the Functions worker runs only after the app is
    loaded.
    """

    def __init__(self, create: Callable[[], openai.AsyncOpenAI]) -> None:
        self._create = create
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI]
        self._clients = WeakKeyDictionary()

    def get(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = self._create()
        return client

    async def close(self) -> None:
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()


class _TokenSource:
    """Gets bearer tokens from a credential, and a new one before the old one ends."""

    def __init__(self, credential: TokenCredential) -> None:
        self._provider = get_bearer_token_provider(credential, _SCOPE)
        self._lock = threading.Lock()

    async def token(self) -> str:
        # A credential may start a process or ask a server: not on the loop that all calls share.
        return await asyncio.to_thread(self._next)

    def _next(self) -> str:
        # One at a time: a hundred calls that start together are to sign in once.
        with self._lock:
            return self._provider()


def _messages(agent: Agent, request: ModelRequest) -> Any:
    messages: list[dict[str, str]] = []
    if agent.instructions:
        messages.append({"role": "system", "content": agent.instructions})
    messages.append({"role": "user", "content": request.message})
    for correction in request.corrections:
        messages.append({"role": "assistant", "content": correction.answer})
        messages.append(
            {
                "role": "user",
                "content": f"That answer cannot be used: {correction.problem}. "
                "Answer again, with valid JSON of the asked form and nothing else.",
            }
        )
    return messages


def _response_format(request: ModelRequest) -> dict[str, Any]:
    if request.output is None:
        return {}
    output = request.output
    described = {"name": output.name, "schema": output.json_schema, "strict": output.strict}
    return {"response_format": {"type": "json_schema", "json_schema": described}}


def _usable_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # what stands for a port is none, or an IPv6 address is half one
        usable = False
    if not usable:
        raise ConfigurationError(f"the model's address {url!r} is not an http(s) URL.")
    return url.rstrip("/")


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _secret_url(url: str) -> str:
    usable = _usable_url(url)
    parts = urlsplit(usable)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError(f"{url!r} would send the key or token unencrypted; use https.")
    return usable


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
