"""The rules of a run that whoever began it does not know: an activity says them, once.

A client in another process has the name of an agent, and not the agent. The run it begins asks in
its first step how that agent is to be called. The answer is recorded, so replays go by it whatever
the agent has become since.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Literal, Self

from pydantic import BaseModel

from durable_agents.messages import CallPolicy, OutputSchema, RunLimits, RunRequest
from durable_agents.registry import Registry
from durable_agents.structured_output import OutputFormat

# An activity; the prefix is that of functions which are no one's own.
RULES_FUNCTION = "BuiltIn__AgentRules"


class RunRules(BaseModel, frozen=True):
    """How an agent is called: the fields of `RunRequest` that have these names.

    Attributes:
        policy: How model calls are retried and answers corrected.
        limits: How far a run may go.
        on_busy: What happens when the session is busy.
        output: The form of the answers, if any.
    """

    policy: CallPolicy
    limits: RunLimits
    on_busy: Literal["reject", "queue", "interrupt", "steer"]
    output: OutputSchema | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the rules as plain JSON data; the SDK calls this when it stores a result."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the rules that `to_json` made `data` from."""
        return cls.model_validate(data)


def rules_activity(registry: Registry) -> Callable[[str], Coroutine[Any, Any, RunRules]]:
    """Return the activity: it takes the name of an agent, and returns its `RunRules`."""

    async def agent_rules(request: str) -> RunRules:
        known = registry.get(request)
        wanted = known.agent.response_format
        return RunRules(
            policy=known.policy,
            limits=known.agent.limits,
            on_busy=known.agent.sessions.on_busy,
            output=OutputFormat.create(wanted).schema if wanted is not None else None,
        )

    return agent_rules


def with_rules(request: RunRequest, rules: RunRules) -> RunRequest:
    """Return a request with what it leaves to the agent."""
    return request.model_copy(update={name: getattr(rules, name) for name in request.unset})
