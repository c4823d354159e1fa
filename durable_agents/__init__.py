"""Durable agents: every call of an agent is a durable activity, and its outcome tells the truth."""

from durable_agents.agent import Agent, ChatClient
from durable_agents.app import AgentBlueprint, AgentFunctionApp, DurableAgent
from durable_agents.errors import (
    AgentCallFailed,
    AgentError,
    AgentNotRegistered,
    AgentTimeout,
    CodeChanged,
    ConfigurationError,
    InvalidAgent,
    InvalidAgentOutput,
    InvalidInput,
    ModelRateLimited,
    ModelRejected,
    ModelUnavailable,
    ResponseLost,
)
from durable_agents.messages import AgentResponse, TokenUsage
from durable_agents.models import (
    AzureOpenAIChatClient,
    AzureOpenAIChatCompletionClient,
    AzureOpenAIResponsesClient,
    OpenAIChatClient,
    OpenAIChatCompletionClient,
    OpenAIResponsesClient,
    chat_client_from_environment,
)
from durable_agents.payloads import payload_store_from_environment

__all__ = [
    "Agent",
    "AgentBlueprint",
    "AgentCallFailed",
    "AgentError",
    "AgentFunctionApp",
    "AgentNotRegistered",
    "AgentResponse",
    "AgentTimeout",
    "AzureOpenAIChatClient",
    "AzureOpenAIChatCompletionClient",
    "AzureOpenAIResponsesClient",
    "ChatClient",
    "CodeChanged",
    "ConfigurationError",
    "DurableAgent",
    "InvalidAgent",
    "InvalidAgentOutput",
    "InvalidInput",
    "ModelRateLimited",
    "ModelRejected",
    "ModelUnavailable",
    "OpenAIChatClient",
    "OpenAIChatCompletionClient",
    "OpenAIResponsesClient",
    "ResponseLost",
    "TokenUsage",
    "chat_client_from_environment",
    "payload_store_from_environment",
]
