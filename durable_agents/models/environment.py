"""Finds the model that the settings name."""

import os
from collections.abc import Mapping

from durable_agents.errors import ConfigurationError
from durable_agents.models.azure import AzureOpenAIChatCompletionClient
from durable_agents.models.chat_completions import ChatCompletions, OpenAIChatCompletionClient
from durable_agents.models.connection import DEFAULT_TIMEOUT
from durable_agents.retry import seconds_setting

REQUEST_TIMEOUT = "AGENT_REQUEST_TIMEOUT_SECONDS"


def chat_client_from_environment(environ: Mapping[str, str] | None = None) -> ChatCompletions:
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

    timeout = seconds_setting(environ, REQUEST_TIMEOUT, DEFAULT_TIMEOUT)
    if timeout == 0:
        raise ConfigurationError(f"{REQUEST_TIMEOUT} is 0; set a number of seconds, or unset it.")
    if endpoint := setting("AZURE_OPENAI_ENDPOINT"):
        return AzureOpenAIChatCompletionClient(
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
    return OpenAIChatCompletionClient(
        setting("OPENAI_MODEL"), api_key=key or None, base_url=base_url or None, timeout=timeout
    )
