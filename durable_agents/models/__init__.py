"""The ways to a model: one request in, one reply out. They know no agent, but can make one."""

from durable_agents.models.azure import AzureOpenAIChatClient, AzureOpenAIChatCompletionClient
from durable_agents.models.chat_completions import (
    OpenAIChatClient,
    OpenAIChatCompletionClient,
)
from durable_agents.models.environment import chat_client_from_environment
from durable_agents.models.responses import AzureOpenAIResponsesClient, OpenAIResponsesClient

__all__ = [
    "AzureOpenAIChatClient",
    "AzureOpenAIChatCompletionClient",
    "AzureOpenAIResponsesClient",
    "OpenAIChatClient",
    "OpenAIChatCompletionClient",
    "OpenAIResponsesClient",
    "chat_client_from_environment",
]
