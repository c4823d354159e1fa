"""What is said to a session and what it answers: the inputs and results of the entity's operations.

They cross a durable boundary as plain JSON and are stored in histories: a new field needs a
default. `to_json` of each is what goes out, `model_validate` reads it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from durable_agents.messages import Message, TokenUsage


def as_utc(moment: str) -> str:
    """Return a moment in the one form in which moments are stored and compared.

    Args:
        moment: As ISO 8601 has it; without a zone it is in UTC.

    Raises:
        ValueError: It is no moment.
    """
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        raise ValueError("no moment in ISO 8601") from None
    zoned = parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return zoned.isoformat(timespec="milliseconds").replace("+00:00", "Z")


type Id = Annotated[str, Field(max_length=256)]
type Moment = Annotated[str, AfterValidator(as_utc)]
type Outcome = Literal[
    "completed", "failed", "cancelled", "interrupted", "timed_out", "terminated", "out_of_turns"
]


@dataclass(frozen=True)
class SessionPolicy:
    """How an agent keeps its sessions.

    Attributes:
        ttl: How long after its last use a session is deleted; None for never.
        keep_turns: How many completed turns are kept; None for all that there is room for.
        summarise_after: From how many completed turns on a run is told to have the older ones
            summarised; None for never.
        on_busy: What happens to a message while another run has the session.
    """

    ttl: timedelta | None = timedelta(days=14)
    keep_turns: int | None = None
    summarise_after: int | None = None
    on_busy: Literal["reject", "queue", "interrupt", "steer"] = "reject"

    def __post_init__(self) -> None:
        if self.ttl is not None and self.ttl <= timedelta(0):
            raise ValueError("the time to live of a session must be more than zero, or None")
        for name in ("keep_turns", "summarise_after"):
            count: int | None = getattr(self, name)
            if count is not None and count < 1:
                raise ValueError(f"{name} must be at least 1, or None")


class Word(BaseModel):
    """Anything that goes to a session or comes from it."""

    # What is said in a session has no place in a message or a log.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON data, without what is not set."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Place(Word):
    """A turn and the run that waits with it."""

    turn: Id
    instance: Id


class Begin(Word):
    """Asks for the session, for one turn.

    Attributes:
        turn: The turn's id, its correlation id. The same id asks for the same turn.
        instance: The run's instance id.
        messages: What the agent is told.
        on_busy: What to do while another run has the session.
        at: When, in UTC, as ISO 8601 has it.
        takeover: The instance id of a run that has the session and has ended without giving it
            back; empty for none.
        principal: The id of who called; empty if nobody knows.
        again: Whether the turn has been let in before: its messages are left out.
    """

    turn: Id
    instance: Id
    messages: tuple[Message, ...] = ()
    on_busy: Literal["reject", "queue", "interrupt", "steer"] = "reject"
    at: Moment
    takeover: Id = ""
    principal: Id = ""
    again: bool = False


class Grant(Word):
    """What came of asking for a session.

    Attributes:
        state: `granted`: the turn has the session. `queued`: it is in line. `steered`: its messages
            go into the next model request of the run that has the session. `busy`: it is not let
            in. `not_found`: the session is somebody else's. `too_large`: the messages have no room.
            `unknown`: it asked `again`, but the session does not know it, since it was deleted.
        holder: The instance id of the run that has the session now; empty for none.
        holder_turn: The turn of that run.
        compact: Whether the older turns should be summarised before the model is asked.
        reason: For people: why it was not let in.
        next: A run that has got the session by a takeover, and has to be told.
        outcome: How the turn ended, if it has ended: for a steered one, the turn that took it in.
        answer: For a steered turn that has ended: what the agent said, if it is still there.
    """

    state: Literal["granted", "busy", "queued", "steered", "not_found", "too_large", "unknown"]
    holder: str = ""
    holder_turn: str = ""
    compact: bool = False
    reason: str = ""
    next: Place | None = None
    outcome: str = ""
    answer: str = ""


class Finish(Word):
    """Ends a turn.

    Attributes:
        turn: The turn's id.
        messages: What was said in the turn after its request, in order: the messages of the agent
            and of tools, and those that were put in while it ran where they were taken in.
        usage: The tokens of the turn.
        outcome: How it ended.
        error: What went wrong, for people.
        taken: Ids of the messages put in while it ran that it has taken in.
        last: Whether the run cannot go on: what it has not taken in gets a turn of its own.
        at: When, in UTC, as ISO 8601 has it.
    """

    turn: Id
    messages: tuple[Message, ...] = ()
    usage: TokenUsage = TokenUsage()
    outcome: Outcome = "completed"
    error: str = ""
    taken: tuple[str, ...] = ()
    last: bool = False
    at: Moment


class Closing(Word):
    """What came of ending a turn.

    Attributes:
        ended: Whether the turn has ended. If not, the run goes on with what is `pending`.
        outcome: How it ended: as the run said, or how it was ended before (`interrupted` by a
            takeover). Empty if the session knows nothing of the turn: it was deleted.
        pending: Messages that were put in and that nobody has taken in, by their id.
        next: The run that has the session now, and has to be told; None for nobody.
        steered: The runs whose messages were taken in by this turn, and who wait for its answer.
    """

    ended: bool = True
    outcome: str = ""
    pending: dict[str, Message] = Field(default_factory=dict)
    next: Place | None = None
    steered: tuple[Place, ...] = ()


class Leave(Word):
    """Gives up a place in line, or messages that nobody has taken in."""

    turn: Id


class Compact(Word):
    """Replaces the older turns.

    Attributes:
        keep: How many of the completed turns stay as they are, counted from the newest; None for
            those that have a third of all the bytes.
        summary: What the others come to; empty to drop them.
        turn: The running turn that asks for it: the compaction counts for its requests, and for
            good only when it has completed. Empty for a compaction that is for good at once.
        at: When, in UTC, as ISO 8601 has it.
    """

    keep: int | None = Field(default=None, ge=0)
    summary: str = ""
    turn: Id = ""
    at: Moment


class Compacted(Word):
    """What came of a compaction.

    Attributes:
        dropped: How many turns are gone.
        kept: How many completed turns there are now.
    """

    dropped: int = 0
    kept: int = 0


class Touch(Word):
    """Says that a session is in use, so that it does not expire."""

    at: Moment


class Clearance(Word):
    """Asks to reset or delete a session.

    Attributes:
        principal: The id of who asks; empty if nobody knows.
        anyone: Whether the owner does not matter: an operator asks, or the runtime.
    """

    principal: Id = ""
    anyone: bool = False


class Done(Word):
    """Whether something was done; if not, there is no such session for who asked."""

    done: bool
