"""The only side effect of the library: asking an agent's model, once, as an activity.

Whatever the orchestrator decides by is recorded here, in the result: the verdict on the answer, and
the rules of the call.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from pydantic import ValidationError

from durable_agents.agent import Agent, ChatClient
from durable_agents.errors import AgentCallFailed
from durable_agents.failure_text import to_text
from durable_agents.messages import AgentResponse, CallPolicy, Message, ModelRequest
from durable_agents.model import ChatRequest
from durable_agents.structured_output import judge

logger = logging.getLogger(__name__)

type AgentActivity = Callable[[Any], Coroutine[Any, Any, AgentResponse]]


def agent_activity(agent: Agent, chat_client: ChatClient) -> AgentActivity:
    """Return the activity function of an agent. It is named like the agent.

    It is a coroutine function: the Functions worker runs those on its event loop, so that a hundred
    calls that wait for a model hold no hundred threads.
    """

    # The annotations are read: by the worker when it indexes the function (it takes no generic
    # types), and by the SDK, which learns from them what type a stored result has.
    async def ask(request: object) -> AgentResponse:
        policy: CallPolicy | None = None
        try:
            asked = _read(request, agent, chat_client.model)
            policy = asked.policy
            reply = await chat_client.complete(_chat(agent, asked))
        except AgentCallFailed as failure:
            error = failure.of(agent.name)
            logger.warning("%s", error)
            # What str() gives is all that crosses the boundary.
            error.args = (to_text(error, policy),)
            raise error from failure
        response = AgentResponse(
            text=reply.text,
            usage=reply.usage,
            agent=agent.name,
            model=reply.model,
            finish_reason=reply.finish_reason,
            request_id=reply.request_id,
        )
        logger.info(
            "agent '%s' (model '%s') answered: %d tokens in, %d out",
            agent.name,
            response.model,
            response.usage.input_tokens,
            response.usage.output_tokens,
        )
        # Not on the loop: a class may have checks of its own that take their time.
        verdict = await asyncio.to_thread(judge, asked, response.text)
        return response.model_copy(update={"verdict": verdict})

    ask.__name__ = ask.__qualname__ = agent.name
    ask.__doc__ = agent.description or f"Ask the agent {agent.name}."
    return ask


def _chat(agent: Agent, asked: ModelRequest) -> ChatRequest:
    messages = [Message.of("user", asked.message)]
    if agent.instructions:
        messages.insert(0, Message.of("system", agent.instructions))
    for correction in asked.corrections:
        messages.append(Message.of("assistant", correction.answer))
        problem = (
            f"That answer cannot be used: {correction.problem}. "
            "Answer again, with valid JSON of the asked form and nothing else."
        )
        messages.append(Message.of("user", problem))
    options = {**agent.options, **asked.options}
    return ChatRequest(messages=tuple(messages), output=asked.output, options=options)


def _read(request: object, agent: Agent, model: str) -> ModelRequest:
    try:
        return ModelRequest.model_validate(request)
    except ValidationError as error:
        # Without the input: a prompt has no place in a message or a log.
        places = [".".join(map(str, detail["loc"])) for detail in error.errors(include_input=False)]
        raise AgentCallFailed(
            f"the activity's input is not a model request (wrong: {', '.join(places) or 'all'})",
            agent=agent.name,
            model=model,
        ) from None
