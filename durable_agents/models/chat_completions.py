"""A model behind the chat completions API, of OpenAI or of any server that speaks it."""

from durable_agents.errors import ConfigurationError
from durable_agents.messages import ModelReply
from durable_agents.model import ChatRequest
from durable_agents.models.agent_making import MakesAgents
from durable_agents.models.chat_form import chat_fields, private_texts
from durable_agents.models.chat_reply import read_reply
from durable_agents.models.connection import DEFAULT_TIMEOUT, ApiKey, ModelServer

OPENAI = "https://api.openai.com/v1"


class ChatCompletions(MakesAgents):
    """Asks a model through the chat completions API. One call is one HTTP request."""

    def __init__(self, model: str, api_key: ApiKey, base_url: str, timeout: float) -> None:
        self.model = model
        self._server = ModelServer(model, api_key, base_url, timeout)

    async def complete(self, request: ChatRequest) -> ModelReply:
        """Ask the model once, in one HTTP request. A cancelled call closes its connection.

        Raises:
            AgentCallFailed: There is no usable answer; the type says who must act.
        """
        fields = chat_fields(request)
        raw = await self._server.ask(
            lambda client: client.chat.completions.with_raw_response.create(
                model=self.model, messages=fields.pop("messages"), extra_body=fields
            ),
            private_texts(request),
        )
        return read_reply(raw.http_response, self.model)

    async def close(self) -> None:
        """Close the connections of the running event loop; a later call opens new ones."""
        await self._server.close()


class OpenAIChatCompletionClient(ChatCompletions):
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
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        super().__init__(model, *openai_access(model, api_key, base_url), timeout)


def openai_access(model: str, api_key: str | None, base_url: str | None) -> tuple[str, str]:
    """Return the key and the address for a model of OpenAI or of a compatible server.

    Raises:
        ConfigurationError: There is no model's name, or neither a key nor an address.
    """
    if not model:
        raise ConfigurationError("the model's name is missing: set OPENAI_MODEL.")
    if not api_key and not base_url:
        raise ConfigurationError(
            "OpenAI needs a key: set OPENAI_API_KEY, or OPENAI_BASE_URL for another server."
        )
    # The SDK insists on some key; servers that need none ignore it.
    return api_key or "none", base_url or OPENAI


OpenAIChatClient = OpenAIChatCompletionClient
"""The older name, which the published tutorials use."""
