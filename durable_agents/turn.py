"""What a run does next, by what its model has answered. Pure: from recorded facts alone."""

from dataclasses import dataclass

from durable_agents.messages import AgentResponse, PreparedCall


@dataclass(frozen=True)
class Final:
    """The answer is there."""

    response: AgentResponse


@dataclass(frozen=True)
class CallTools:
    """Tools are to be called, all at the same time; their results go to the same agent."""

    calls: tuple[PreparedCall, ...]


@dataclass(frozen=True)
class HandOff:
    """The conversation goes to another agent, once the tools have been called.

    Attributes:
        calls: The calls of the reply, the transfers among them.
        target: The agent that goes on.
        followed: The id of the transfer that is followed: the first one.
    """

    calls: tuple[PreparedCall, ...]
    target: str
    followed: str

    @property
    def ignored(self) -> tuple[PreparedCall, ...]:
        """The transfers that are not followed."""
        return tuple(
            one for one in self.calls if one.action == "hand_off" and one.call.id != self.followed
        )


def next_step(response: AgentResponse) -> Final | CallTools | HandOff:
    """Return what follows from an answer."""
    calls = response.verdict.calls if response.verdict is not None else ()
    if not calls:
        return Final(response)
    transfer = next((one for one in calls if one.action == "hand_off"), None)
    if transfer is None:
        return CallTools(calls)
    return HandOff(calls, transfer.target, transfer.call.id)
