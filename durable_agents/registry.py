"""The agents of an app by their names, and the functions that each of them becomes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from durabletask.payload import PayloadStore
from durabletask.task import RetryPolicy

from durable_agents.activities import AgentActivity, agent_activity
from durable_agents.agent import Agent
from durable_agents.errors import AgentNotRegistered, InvalidAgent, ModelRejected
from durable_agents.messages import CallPolicy, ModelReply
from durable_agents.model import ChatModel, ChatRequest
from durable_agents.retry import call_policy
from durable_agents.sessions import entity_name
from durable_agents.tools import Tool, ToolActivity, tool_activity
from durable_agents.toolset import Toolset


@dataclass(frozen=True)
class RegisteredAgent:
    """An agent with all that was found out about it at startup.

    Attributes:
        agent: The agent.
        model: The model behind it.
        toolset: What it may ask for.
        policy: How its calls are retried and corrected.
        public: Whether it was registered by name, and not only because another agent needs it.
    """

    agent: Agent
    model: ChatModel
    toolset: Toolset
    policy: CallPolicy
    public: bool

    @property
    def name(self) -> str:
        """The agent's name."""
        return self.agent.name

    @property
    def run_name(self) -> str:
        """The orchestration of its runs."""
        return f"run-{self.agent.name}"

    @property
    def session_name(self) -> str:
        """The entity that keeps its sessions."""
        return entity_name(self.agent.name)

    @cached_property
    def activity(self) -> AgentActivity:
        """The activity that asks its model."""
        return agent_activity(self.agent, self.model, self.toolset)


class _Gone:
    """The model of an agent that the app no longer has."""

    model = ""

    async def complete(self, request: ChatRequest) -> ModelReply:
        """Refuse: there is no such agent.

        Raises:
            ModelRejected: Always.
        """
        raise ModelRejected("the app has no such agent any more")


_GONE = _Gone()


class Registry:
    """The agents of an app.

    Args:
        retry: The policy of agents that name none.
        chat_client: The model of agents that name none.
        reserved: Names of functions that are taken.
        payload_store: Where results of tools go that are too large to be told.
    """

    def __init__(
        self,
        retry: RetryPolicy,
        chat_client: ChatModel | None,
        reserved: tuple[str, ...] = (),
        payload_store: PayloadStore | None = None,
    ) -> None:
        self._payload_store = payload_store
        self._retry = retry
        self._chat_client = chat_client
        self._agents: dict[str, RegisteredAgent] = {}
        self._tools: dict[str, tuple[Tool, ToolActivity]] = {}
        # The Functions host does not tell apart names that differ in case only.
        self._names = {name.casefold(): f"the function '{name}'" for name in reserved}

    @property
    def agents(self) -> Mapping[str, RegisteredAgent]:
        """The agents by name, those that only other agents need among them."""
        return self._agents

    def add(self, agent: Agent) -> tuple[list[RegisteredAgent], list[Tool]]:
        """Register an agent, and the agents it may ask or hand over to.

        Returns:
            Agents and tools that are new: their functions are to be made.

        Raises:
            InvalidAgent: A name is taken, or there is no model for an agent.
        """
        agents: list[RegisteredAgent] = []
        tools: list[Tool] = []
        known = self._agents.get(agent.name)
        if known is not None and known.agent is agent and not known.public:
            self._agents[agent.name] = RegisteredAgent(
                agent, known.model, known.toolset, known.policy, public=True
            )
            return [], []
        self._add(agent, agents, tools, public=True)
        return agents, tools

    def get(self, name: str) -> RegisteredAgent:
        """Return an agent.

        Raises:
            AgentNotRegistered: There is no such agent; the message lists those there are.
        """
        registered = self._agents.get(name)
        if registered is None:
            known = ", ".join(sorted(self._agents)) or "none"
            raise AgentNotRegistered(f"no agent is named '{name}'; registered: {known}.")
        return registered

    def get_or_gone(self, name: str) -> RegisteredAgent:
        """Return an agent, or what stands for one that the app no longer has.

        A run that has begun something with it replays that as it was. What is begun now fails, by
        the host, which has no function of that name.
        """
        known = self._agents.get(name)
        if known is not None:
            return known
        agent = Agent(name=name)
        return RegisteredAgent(
            agent, _GONE, Toolset.of(agent, self._retry), CallPolicy(), public=False
        )

    def require_complete(self) -> None:
        """See that every agent that is named is there.

        Raises:
            InvalidAgent: An agent may hand over to one that is not registered.
        """
        for one in self._agents.values():
            for target in one.toolset.targets:
                if target not in self._agents:
                    raise InvalidAgent(
                        f"agent '{one.name}' may hand over to '{target}', which is not registered."
                    )

    def tool_activity(self, name: str) -> ToolActivity | None:
        """Return the activity of a tool; None if the app has no such tool any more."""
        known = self._tools.get(name)
        return known[1] if known is not None else None

    def _add(
        self, agent: Agent, agents: list[RegisteredAgent], tools: list[Tool], *, public: bool
    ) -> None:
        model = agent.chat_client or self._chat_client
        if model is None:
            raise InvalidAgent(
                f"agent '{agent.name}' has no model: give it a chat_client, or give one to the app."
            )
        toolset = Toolset.of(agent, self._retry)
        registered = RegisteredAgent(
            agent,
            model,
            toolset,
            call_policy(agent.retry or self._retry, agent.corrections),
            public,
        )
        self._take(agent.name, agent.name, f"an agent named '{agent.name}'")
        self._take(registered.run_name, agent.name, f"the runs of agent '{agent.name}'")
        self._take(registered.session_name, agent.name, f"the sessions of agent '{agent.name}'")
        self._agents[agent.name] = registered
        agents.append(registered)
        for one in toolset.functions:
            self._add_tool(one, agent.name, tools)
        for other in toolset.agents:
            known = self._agents.get(other.name)
            if known is None or known.agent is not other:
                self._add(other, agents, tools, public=False)

    def _add_tool(self, one: Tool, agent: str, tools: list[Tool]) -> None:
        known = self._tools.get(one.activity)
        if known is not None and known[0].function is one.function:
            return
        self._take(one.activity, agent, f"a tool named '{one.activity}'")
        self._tools[one.activity] = (one, tool_activity(one, self._payload_store))
        tools.append(one)

    def _take(self, name: str, agent: str, what: str) -> None:
        taken = self._names.get(name.casefold())
        if taken is not None:
            raise InvalidAgent(f"agent '{agent}': {taken} is already registered.")
        self._names[name.casefold()] = what
