"""Durable agents: every call of an agent is a durable activity, and its outcome tells the truth."""

from durable_agents.agent import Agent, AgentTool
from durable_agents.app import AgentBlueprint, AgentFunctionApp
from durable_agents.errors import (
    AgentCallFailed,
    AgentCancelled,
    AgentError,
    AgentNotRegistered,
    AgentTimeout,
    CodeChanged,
    ConfigurationError,
    InvalidAgent,
    InvalidAgentOutput,
    InvalidInput,
    MaxTurnsExceeded,
    MessageTooLarge,
    ModelRateLimited,
    ModelRejected,
    ModelUnavailable,
    SessionBusy,
    SessionNotFound,
    ToolFailed,
)
from durable_agents.handle import AgentSession, DurableAgent
from durable_agents.messages import (
    AgentResponse,
    ImagePart,
    Message,
    ModelReply,
    RunLimits,
    TextPart,
    TokenUsage,
)
from durable_agents.model import ChatModel, ChatRequest
from durable_agents.models import (
    AzureOpenAIChatClient,
    AzureOpenAIChatCompletionClient,
    OpenAIChatClient,
    OpenAIChatCompletionClient,
    chat_client_from_environment,
)
from durable_agents.payloads import payload_store_from_environment
from durable_agents.sessions import SessionPolicy
from durable_agents.tools import ToolContext, ToolError, tool

__all__ = [
    "Agent",
    "AgentBlueprint",
    "AgentCallFailed",
    "AgentCancelled",
    "AgentError",
    "AgentFunctionApp",
    "AgentNotRegistered",
    "AgentResponse",
    "AgentSession",
    "AgentTimeout",
    "AgentTool",
    "AzureOpenAIChatClient",
    "AzureOpenAIChatCompletionClient",
    "ChatModel",
    "ChatRequest",
    "CodeChanged",
    "ConfigurationError",
    "DurableAgent",
    "ImagePart",
    "InvalidAgent",
    "InvalidAgentOutput",
    "InvalidInput",
    "MaxTurnsExceeded",
    "Message",
    "MessageTooLarge",
    "ModelRateLimited",
    "ModelRejected",
    "ModelReply",
    "ModelUnavailable",
    "OpenAIChatClient",
    "OpenAIChatCompletionClient",
    "RunLimits",
    "SessionBusy",
    "SessionNotFound",
    "SessionPolicy",
    "TextPart",
    "TokenUsage",
    "ToolContext",
    "ToolError",
    "ToolFailed",
    "chat_client_from_environment",
    "payload_store_from_environment",
    "tool",
]
