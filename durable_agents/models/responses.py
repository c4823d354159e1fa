"""A model behind the Responses API: each request alone, or in the background of the server.

In background mode a request is three steps that each take a moment: submit, whose id is recorded at
once; poll, until there is an answer; cancel. So whoever asks can die in between, and ask for the
answer instead of asking the model again.
"""

from collections.abc import Awaitable, Callable

import openai
from azure.core.credentials import TokenCredential

from durable_agents.errors import ModelUnavailable, ResponseLost
from durable_agents.messages import ModelReply, TokenUsage
from durable_agents.model import ChatRequest
from durable_agents.models.agent_making import MakesAgents
from durable_agents.models.azure import azure_access
from durable_agents.models.chat_completions import openai_access
from durable_agents.models.chat_form import private_texts
from durable_agents.models.connection import DEFAULT_TIMEOUT, ApiKey, ModelServer
from durable_agents.models.reply_parts import HttpReply, usage_in
from durable_agents.models.responses_form import response_fields
from durable_agents.models.responses_reply import (
    is_response_id,
    read_response,
    read_response_id,
)


class Responses(MakesAgents):
    """Asks a model through the Responses API.

    Attributes:
        model: The name of the model or deployment.
        background: Whether requests of this client are to be submitted and polled.
    """

    def __init__(
        self, model: str, api_key: ApiKey, base_url: str, timeout: float, background: bool
    ) -> None:
        self.model = model
        self.background = background
        self._server = ModelServer(model, api_key, base_url, timeout)

    async def complete(self, request: ChatRequest) -> ModelReply:
        """Ask the model once, in one HTTP request. A cancelled call closes its connection.

        Raises:
            AgentCallFailed: There is no usable answer; the type says who must act.
        """
        reply = await self._create(request, in_background=False)
        answer = read_response(reply, self.model)
        if answer is None:
            raise ModelUnavailable("the reply is not finished", model=self.model)
        return answer

    async def submit(self, request: ChatRequest) -> str:
        """Have the server begin with a request, and return the id of its response.

        Raises:
            AgentCallFailed: It has not begun, as far as is known.
        """
        return read_response_id(await self._create(request, in_background=True), self.model)

    async def poll(self, response_id: str) -> ModelReply | None:
        """Return the answer, or None as long as the model is at it.

        Raises:
            ResponseLost: The server does not know the id, or not any more.
            AgentCallFailed: There is no usable answer; or the server cannot be asked just now.
        """
        return read_response(await self._ask_of(response_id, _retrieve), self.model)

    async def cancel(self, response_id: str) -> TokenUsage:
        """Have the server stop, and return what had been used until then, as far as it says so.

        A response that has ended already stays as it is: `poll` tells how it ended.

        Raises:
            ResponseLost: The server does not know the id, or not any more.
            AgentCallFailed: The server cannot be asked just now.
        """
        return usage_in(await self._ask_of(response_id, _cancel))

    async def close(self) -> None:
        """Close the connections of the running event loop; a later call opens new ones."""
        await self._server.close()

    async def _create(self, request: ChatRequest, *, in_background: bool) -> HttpReply:
        fields = response_fields(request)
        if in_background:
            # What is not stored cannot be asked for later.
            fields |= {"background": True, "store": True}
        raw = await self._server.ask(
            lambda client: client.responses.with_raw_response.create(
                model=self.model, extra_body=fields
            ),
            private_texts(request),
        )
        return raw.http_response

    async def _ask_of(
        self, response_id: str, ask: Callable[[openai.AsyncOpenAI, str], Awaitable[HttpReply]]
    ) -> HttpReply:
        if not is_response_id(response_id):
            raise ResponseLost("the id of the response cannot be one", model=self.model)

        async def send(client: openai.AsyncOpenAI) -> HttpReply:
            try:
                return await ask(client, response_id)
            except openai.NotFoundError as error:
                raise ResponseLost(
                    f"the server does not know the response {response_id} (any more)",
                    model=self.model,
                ) from error

        return await self._server.ask(send)


async def _retrieve(client: openai.AsyncOpenAI, response_id: str) -> HttpReply:
    return (await client.responses.with_raw_response.retrieve(response_id)).http_response


async def _cancel(client: openai.AsyncOpenAI, response_id: str) -> HttpReply:
    try:
        return (await client.responses.with_raw_response.cancel(response_id)).http_response
    except (openai.BadRequestError, openai.ConflictError):
        return await _retrieve(client, response_id)  # it has ended already


class OpenAIResponsesClient(Responses):
    """A model of OpenAI, or of any server that speaks its Responses API.

    Args:
        model: The model's name, as the server knows it.
        api_key: The key; servers of your own often need none.
        base_url: The server, with `/v1`; None for OpenAI itself.
        timeout: The longest time for one request, in seconds.
        background: Whether requests are submitted, and polled until there is an answer.

    Raises:
        ConfigurationError: There is no model's name, or the server's address cannot be one.
    """

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        background: bool = False,
    ) -> None:
        super().__init__(model, *openai_access(model, api_key, base_url), timeout, background)


class AzureOpenAIResponsesClient(Responses):
    """A deployment of Azure OpenAI, through its Responses API.

    Args:
        endpoint: The resource, `https://NAME.openai.azure.com`.
        deployment_name: The deployment of a model in it.
        credential: Who calls; None for `DefaultAzureCredential` when there is no key either.
        api_key: A key of the resource, in place of a credential.
        timeout: The longest time for one request, in seconds.
        background: Whether requests are submitted, and polled until there is an answer.

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
        timeout: float = DEFAULT_TIMEOUT,
        background: bool = False,
    ) -> None:
        access = azure_access(endpoint, deployment_name, credential, api_key)
        super().__init__(deployment_name, *access, timeout, background)
