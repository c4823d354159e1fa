"""Makes agents that stand on a model: the one place where a way to a model knows of agents."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from pydantic import JsonValue

from durable_agents.agent import Agent


class MakesAgents:
    """Has `create_agent`, for clients of models."""

    def create_agent(
        self,
        *,
        name: str,
        instructions: str = "",
        description: str = "",
        tools: object = (),
        handoffs: Iterable[object] = (),
        options: Mapping[str, JsonValue] | None = None,
        **settings: Any,
    ) -> Agent:
        """Return an agent that stands on this model.

        Args:
            name: Its name.
            instructions: What the model is told before each message.
            description: What the agent is for.
            tools: Its tools; one, or several.
            handoffs: The agents that it may hand over to.
            options: Fields of the model request, as its server calls them.
            **settings: Any other field of an `Agent`.

        Raises:
            InvalidAgent: The name cannot be one, or another field is wrong.
        """
        for field, given in (("tools", _several(tools)), ("handoffs", tuple(handoffs))):
            if given:
                settings[field] = given
        return Agent(
            name=name,
            instructions=instructions,
            description=description,
            chat_client=cast("Any", self),
            options=options or {},
            **settings,
        )

    def as_agent(
        self,
        *,
        name: str,
        instructions: str = "",
        description: str = "",
        tools: object = (),
        handoffs: Iterable[object] = (),
        options: Mapping[str, JsonValue] | None = None,
        **settings: Any,
    ) -> Agent:
        """Do as `create_agent`: the newer name of the same in Agent Framework."""
        return self.create_agent(
            name=name,
            instructions=instructions,
            description=description,
            tools=tools,
            handoffs=handoffs,
            options=options,
            **settings,
        )


def _several(tools: object) -> tuple[object, ...]:
    if tools is None:
        return ()
    if isinstance(tools, Iterable) and not isinstance(tools, str | Callable):
        return tuple(cast("Iterable[object]", tools))
    return (tools,)
