"""The side effects of the library: asking an agent's model, and running a tool, each an activity.

Whatever the orchestrator decides by is recorded here, in the result: the verdict on the answer, the
rules of the call, and what is to become of each tool that the model asks for.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from durable_agents.agent import Agent
from durable_agents.errors import AgentCallFailed, ResponseLost
from durable_agents.failure_text import to_text
from durable_agents.messages import (
    AgentResponse,
    CallPolicy,
    Message,
    ModelReply,
    ModelRequest,
    TokenUsage,
    Verdict,
)
from durable_agents.model import BackgroundModel, ChatModel, ChatRequest
from durable_agents.rendering import corrected, rendered
from durable_agents.run_watch import ending_with
from durable_agents.session_reading import Conversation, read_conversation
from durable_agents.structured_output import judge
from durable_agents.toolset import Toolset

logger = logging.getLogger(__name__)

# The value of the option `tool_choice` that disables tools.
_NO_TOOLS = "none"

type AgentActivity = Callable[[Any, str], Coroutine[Any, Any, AgentResponse]]


def agent_activity(agent: Agent, model: ChatModel, toolset: Toolset) -> AgentActivity:
    """Return the activity function of an agent. It is named like the agent.

    It is a coroutine function: the Functions worker runs those on its event loop, so that a hundred
    calls that wait for a model hold no hundred threads.
    """

    # The annotations are read: by the worker when it indexes the function (it takes no generic
    # types), and by the SDK, which learns from them what type a stored result has.
    async def ask(request: object, client: str) -> AgentResponse:
        policy: CallPolicy | None = None
        try:
            asked = _read(request)
            policy = asked.policy
            conversation = Conversation(())
            if not asked.pending:
                conversation = await read_conversation(client, asked)
            chat_request = _chat_request(agent, toolset, asked, conversation.messages)
            async with ending_with(client, asked.instance, asked.parent):
                reply = await _reply(model, asked, chat_request)
        except AgentCallFailed as failed:
            error = failed.of(agent.name)
            logger.warning("%s", error)
            # What str() gives is all that crosses the boundary.
            error.args = (to_text(error, policy),)
            raise error from failed
        if not isinstance(reply, ModelReply):
            return _no_answer_yet(agent, asked, reply, conversation)
        _log(agent, reply)
        return AgentResponse(
            text=reply.text,
            usage=reply.usage,
            agent=agent.name,
            model=reply.model,
            finish_reason=reply.finish_reason,
            request_id=reply.request_id,
            verdict=await _verdict(agent, toolset, asked, reply, conversation),
        )

    ask.__name__ = ask.__qualname__ = agent.name
    ask.__doc__ = agent.description or f"Ask the agent {agent.name}."
    return ask


@dataclass(frozen=True)
class _Pending:
    """A response that the server is making, or has stopped making, and what it took so far."""

    id: str
    usage: TokenUsage = field(default_factory=TokenUsage)


async def _reply(
    model: ChatModel, asked: ModelRequest, chat_request: ChatRequest
) -> ModelReply | _Pending:
    """Ask the model, or have its server begin, or ask for what it has begun."""
    if not isinstance(model, BackgroundModel) or not (asked.pending or model.background):
        if asked.pending:
            raise ResponseLost("the agent's model makes no responses in the background any more")
        return await model.complete(chat_request)
    if asked.cancel:
        return _Pending("", await model.cancel(asked.pending))
    if not asked.pending:
        return _Pending(await model.submit(chat_request))
    return await model.poll(asked.pending) or _Pending(asked.pending)


def _no_answer_yet(
    agent: Agent, asked: ModelRequest, pending: _Pending, conversation: Conversation
) -> AgentResponse:
    policy = asked.policy or CallPolicy()
    verdict = Verdict(policy=policy, pending=pending.id, taken=conversation.taken)
    return AgentResponse(text="", agent=agent.name, usage=pending.usage, verdict=verdict)


def _read(request: object) -> ModelRequest:
    try:
        return ModelRequest.model_validate(request)
    except ValidationError as error:
        # Without the input: a prompt has no place in a message or a log.
        places = [".".join(map(str, detail["loc"])) for detail in error.errors(include_input=False)]
        raise AgentCallFailed(
            f"the activity's input is not a model request (wrong: {', '.join(places) or 'all'})"
        ) from None


def _chat_request(
    agent: Agent, toolset: Toolset, asked: ModelRequest, messages: tuple[Message, ...]
) -> ChatRequest:
    options = _options(agent, asked)
    has_results = any(message.result is not None for message in asked.messages)
    if has_results and options.get("tool_choice") != _NO_TOOLS:
        # A model that must call a tool each time never comes to an answer.
        options.pop("tool_choice", None)
    return ChatRequest(
        messages=corrected(rendered(agent.name, agent.instructions, messages), asked.corrections),
        tools=toolset.specs if asked.tools else (),
        output=asked.output,
        options=options,
    )


def _options(agent: Agent, asked: ModelRequest) -> dict[str, Any]:
    return {**agent.options, **asked.options}


async def _verdict(
    agent: Agent,
    toolset: Toolset,
    asked: ModelRequest,
    reply: ModelReply,
    conversation: Conversation,
) -> Verdict | None:
    # Not on the loop: a class or a tool may have checks of its own that take their time. Where
    # there are none, no thread is woken.
    if reply.calls:
        # Servers may give calls all the same: what was disabled does not run.
        disabled = not asked.tools or _options(agent, asked).get("tool_choice") == _NO_TOOLS
        calls = await asyncio.to_thread(toolset.prepare, reply.calls, disabled=disabled)
        policy = asked.policy or CallPolicy()
        return Verdict(policy=policy, calls=calls, taken=conversation.taken)
    if asked.output is None and not conversation.taken:
        return None  # nothing is decided by it: the answer is taken as it is
    verdict = await asyncio.to_thread(judge, asked, reply.text)
    if verdict is None or not conversation.taken:
        return verdict
    return verdict.model_copy(update={"taken": conversation.taken})


def _log(agent: Agent, reply: ModelReply) -> None:
    logger.info(
        "agent '%s' (model '%s') answered: %d tokens in, %d out, %d calls",
        agent.name,
        reply.model,
        reply.usage.input_tokens,
        reply.usage.output_tokens,
        len(reply.calls),
    )
