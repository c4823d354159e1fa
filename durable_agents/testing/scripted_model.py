"""A model for tests: it says what the test has written down, and refuses what real servers refuse.

It is in this process and speaks to nobody. What it is asked is judged in the form in which it would
go to a server, and what it says is read as what a server sends.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from durable_agents.errors import ModelRejected
from durable_agents.messages import ModelReply
from durable_agents.model import ChatRequest
from durable_agents.models.agent_making import MakesAgents
from durable_agents.models.chat_form import chat_fields
from durable_agents.testing.asking import current_asker
from durable_agents.testing.script import Script, Scripted, scripted
from durable_agents.testing.wire_check import wire_problems


class ScriptedModel(MakesAgents):
    """A `ChatModel` that answers each request by the next reply of its script.

    A request that the script has no reply for, one that a real server would refuse, and a reply
    that is never asked for fail the test: at the end of the host that asked, at the end of the
    `with` block of this model, or at `verify`.

    Args:
        script: The replies in order, for all that ask; a text is said. Or, for scripts of their
            own: the replies by the name of the agent that asks.
        model: The name of the model.

    Attributes:
        requests: What was asked, in order.
    """

    def __init__(
        self, script: Script | Mapping[str, Script] = (), *, model: str = "scripted"
    ) -> None:
        by_agent: Mapping[str, Script] = script if isinstance(script, Mapping) else {"": script}
        self.requests: list[ChatRequest] = []
        self._model = model
        self._left = {name: [scripted(one) for one in given] for name, given in by_agent.items()}
        self._problems: list[str] = []
        self._bodies: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None:
        if error is None:
            self.verify()

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._model

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was asked, in the form of a chat completions request."""
        return list(self._bodies)

    def will(self, *replies: Scripted | str, agent: str = "") -> None:
        """Add replies to the script, or to that of one agent."""
        self._left.setdefault(agent, []).extend(scripted(one) for one in replies)

    async def complete(self, request: ChatRequest) -> ModelReply:
        """Answer by the next reply of the script.

        Raises:
            AgentCallFailed: The script says so, has no more replies, or the request is one that a
                server would refuse.
        """
        asker = current_asker.get()
        if asker is not None and self not in asker.models:
            asker.models.append(self)
        body = {"model": self._model, **chat_fields(request)}
        self.requests.append(request)
        self._bodies.append(body)
        number = len(self.requests)
        if problems := wire_problems(body):
            self._problems += [f"request {number} would be refused: {one}" for one in problems]
            raise ModelRejected(f"HTTP 400 {'; '.join(problems)}", model=self._model)
        left = self._left.get(asker.name if asker is not None else "") or self._left.get("")
        if not left:
            who = f" of {asker.name}" if asker is not None else ""
            said = f"{body['messages'][-1]}"[:300] if body["messages"] else "nothing"
            self._problems.append(f"request {number}{who} has no reply in the script: {said}")
            raise ModelRejected("the script has no reply to this", model=self._model)
        return left.pop(0).with_ids(1000 * number + 1).played(self._model)

    def verify(self) -> None:
        """Fail the test if the model was not asked what its script expects.

        Raises:
            AssertionError: It says what was asked too much, would have been refused, or is left.
        """
        problems = list(self._problems)
        for agent, left in self._left.items():
            of_agent = f" of {agent}" if agent else ""
            problems += [f"a reply{of_agent} was not asked for: {one.shown}" for one in left]
        if problems:
            raise AssertionError("\n  ".join(["the scripted model:", *problems]))
