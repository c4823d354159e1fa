"""Deployments of Azure OpenAI, through the `/openai/v1/` address of a resource."""

import asyncio
import os
import threading
from urllib.parse import urlsplit

from azure.core.credentials import TokenCredential
from azure.identity import DefaultAzureCredential, get_bearer_token_provider

from durable_agents.errors import ConfigurationError
from durable_agents.models.chat_completions import ChatCompletions
from durable_agents.models.connection import (
    DEFAULT_TIMEOUT,
    LOOPBACK,
    ApiKey,
    secret_url,
    usable_url,
)

# Set by the embedded runtime alone, for the apps it starts while no model is configured.
OFFLINE_MODEL_URL = "BATON_OFFLINE_MODEL_URL"

_SCOPE = "https://cognitiveservices.azure.com/.default"


class AzureOpenAIChatCompletionClient(ChatCompletions):
    """A deployment of Azure OpenAI, through its chat completions API.

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
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        access = azure_access(endpoint, deployment_name, credential, api_key)
        super().__init__(deployment_name, *access, timeout)


def azure_access(
    endpoint: str, deployment_name: str, credential: TokenCredential | None, api_key: str | None
) -> tuple[ApiKey, str]:
    """Return the key, or what gets tokens, and the address for a deployment.

    Raises:
        ConfigurationError: An argument is missing or cannot be used.
    """
    if not endpoint:
        raise ConfigurationError("the Azure resource is missing: set AZURE_OPENAI_ENDPOINT.")
    if not deployment_name:
        raise ConfigurationError(
            "the deployment is missing: set AZURE_OPENAI_DEPLOYMENT_NAME to its name."
        )
    if credential is not None and api_key:
        raise ConfigurationError("give the Azure OpenAI client a credential or a key, not both.")
    if offline := _offline_model():
        return "offline", offline  # no sign-in: there may be nobody to sign in as
    resource = secret_url(endpoint).removesuffix("/openai/v1")
    key: ApiKey = api_key or _TokenSource(credential or DefaultAzureCredential()).token
    return key, f"{resource}/openai/v1/"


def _offline_model() -> str:
    """Return the address of the embedded runtime's offline model, if that is what is to answer.

    Raises:
        ConfigurationError: The setting names another machine: prompts are not sent there by it.
    """
    address = os.environ.get(OFFLINE_MODEL_URL, "").strip()
    if not address:
        return ""
    if urlsplit(usable_url(address)).hostname not in LOOPBACK:
        raise ConfigurationError(
            f"{OFFLINE_MODEL_URL} is {address!r}; it is set by the embedded runtime alone, to an "
            "address of this machine. Unset it."
        )
    return address


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


AzureOpenAIChatClient = AzureOpenAIChatCompletionClient
"""The older name, which the published tutorials use."""
