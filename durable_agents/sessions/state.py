"""What a session knows, and how it goes from one state to the next. Pure; the entity stores it.

One run at a time has the session. The others stand in line, or have put their messages into the
turn of the run that has it. A session that nobody has, nobody waits for.
"""

from dataclasses import dataclass, field, replace

from durable_agents.messages import Message, TokenUsage
from durable_agents.sessions.words import Closing, Place

# How many turns that have ended are known by their id after they are gone.
REMEMBERED = 64
COMPLETED = "completed"
LEFT = "left"


@dataclass(frozen=True)
class Turn:
    """A turn of the conversation: what the agent was told, and what came of it.

    Attributes:
        id: The correlation id.
        instance: The run that has or had it.
        at: When it began.
        request: What the agent was told.
        reply: What was said after that.
        outcome: How it ended; empty while it runs.
        error: What went wrong.
        ended_at: When it ended.
        usage: Its tokens.
    """

    id: str
    instance: str
    at: str
    request: tuple[Message, ...]
    reply: tuple[Message, ...] = ()
    outcome: str = ""
    error: str = ""
    ended_at: str = ""
    usage: TokenUsage = field(default_factory=TokenUsage)


@dataclass(frozen=True)
class Waiting:
    """A turn that waits: in line, in front of the line, or inside of the turn that runs."""

    turn: str
    instance: str
    at: str
    kind: str
    messages: tuple[Message, ...]

    @property
    def place(self) -> Place:
        """Who waits."""
        return Place(turn=self.turn, instance=self.instance)

    def by_id(self) -> dict[str, Message]:
        """The messages, each by an id of its own."""
        return {f"{self.turn}/{index}": message for index, message in enumerate(self.messages)}


@dataclass(frozen=True)
class Ended:
    """A turn that is over.

    Attributes:
        turn: Its id.
        outcome: How it ended; `left` if it gave up its place.
        answered_by: For a turn whose messages were put into another: that one.
        next: The run that got the session then.
        steered: The runs whose messages it had taken in.
    """

    turn: str
    outcome: str
    answered_by: str = ""
    next: Place | None = None
    steered: tuple[Place, ...] = ()

    def closing(self) -> Closing:
        """What its run was told."""
        return Closing(outcome=self.outcome, next=self.next, steered=self.steered)


@dataclass(frozen=True)
class Draft:
    """A compaction that counts for the running turn, and for good when that has completed.

    Attributes:
        keeps_from: The id of the first turn that stays.
        summary: What the turns before it come to.
    """

    keeps_from: str
    summary: str = ""


@dataclass(frozen=True)
class SessionState:
    """All that a session knows.

    Attributes:
        turns: In order of their beginning; the last one may be running.
        holder: The id of the turn that runs; empty for none.
        waiting: Who waits, in the order in which they will get the session.
        ended: The turns that ended last, the newest last.
        owner: The id of the principal whose session it is; empty for nobody's.
        summary: What the turns before the first one come to.
        dropped: How many turns are gone.
        usage: The tokens of all turns, those that are gone among them.
        used_at: When the session was used last.
        wakes_at: When the entity's own signal comes that looks whether it has expired.
        draft: A compaction that is not yet for good.
    """

    turns: tuple[Turn, ...] = ()
    holder: str = ""
    waiting: tuple[Waiting, ...] = ()
    ended: tuple[Ended, ...] = ()
    owner: str = ""
    summary: str = ""
    dropped: int = 0
    usage: TokenUsage = field(default_factory=TokenUsage)
    used_at: str = ""
    wakes_at: str = ""
    draft: Draft | None = None

    @property
    def running(self) -> Turn | None:
        """The turn that runs."""
        return next((turn for turn in self.turns if turn.id == self.holder), None)

    @property
    def completed(self) -> tuple[Turn, ...]:
        """The turns that ended well: the conversation."""
        return tuple(turn for turn in self.turns if turn.outcome == COMPLETED)

    def with_draft(self) -> "SessionState":
        """Return the state with its draft for good."""
        ids = [turn.id for turn in self.turns]
        state = replace(self, draft=None)
        if self.draft is None or self.draft.keeps_from not in ids:
            return state
        first = ids.index(self.draft.keeps_from)
        summary = self.draft.summary if first and self.draft.summary else self.summary
        turns, dropped = self.turns[first:], self.dropped + first
        return replace(state, turns=turns, dropped=dropped, summary=summary)

    def waits(self, turn: str) -> Waiting | None:
        """The turn with this id that waits."""
        return next((waiting for waiting in self.waiting if waiting.turn == turn), None)

    def has_ended(self, turn: str) -> Ended | None:
        """What is known of a turn that is over."""
        known = next((ended for ended in reversed(self.ended) if ended.turn == turn), None)
        if known is not None:
            return known
        past = next((past for past in self.turns if past.id == turn and past.outcome), None)
        return None if past is None else Ended(past.id, past.outcome)

    def permits(self, principal: str) -> bool:
        """Whether a principal may use the session; without an owner, everyone may."""
        return not self.owner or self.owner == principal

    def steering(self, taken: tuple[str, ...] = ()) -> dict[str, Message]:
        """The messages that were put into the running turn, without those taken in, by id."""
        return {
            key: message
            for waiting in self.waiting
            if waiting.kind == "steer"
            for key, message in waiting.by_id().items()
            if key not in taken
        }


def remembered(state: SessionState, *ended: Ended) -> SessionState:
    """Return the state that knows of more turns that are over."""
    return replace(state, ended=(*state.ended, *ended)[-REMEMBERED:])


def granted(state: SessionState, waiting: Waiting) -> SessionState:
    """Return the state in which a turn has begun. Nobody may have the session."""
    turn = Turn(waiting.turn, waiting.instance, waiting.at, waiting.messages)
    return replace(state, turns=(*state.turns, turn), holder=turn.id)


def in_line(state: SessionState, waiting: Waiting) -> SessionState:
    """Return the state in which a turn waits: an interrupting one before all that are not."""
    ahead = len(state.waiting)
    if waiting.kind == "interrupt":
        ahead = sum(other.kind == "interrupt" for other in state.waiting)
    line = (*state.waiting[:ahead], waiting, *state.waiting[ahead:])
    return replace(state, waiting=line)


def ended(
    state: SessionState, turn: Turn, taken: tuple[str, ...] = ()
) -> tuple[SessionState, Closing]:
    """End the running turn and give the session to the next in line.

    Messages that were put into the turn and that it has not taken in get a turn of their own, at
    the place in line that they came at.

    Args:
        state: The state, with the turn running.
        turn: The turn as it is to be kept.
        taken: Ids of the messages that it has taken in.
    """
    inside = [w for w in state.waiting if w.kind == "steer" and any(k in taken for k in w.by_id())]
    line = tuple(
        replace(waiting, kind="queue") if waiting.kind == "steer" else waiting
        for waiting in state.waiting
        if waiting not in inside
    )
    state = replace(
        state,
        turns=tuple(turn if turn.id == kept.id else kept for kept in state.turns),
        holder="",
        waiting=line[1:],
        usage=state.usage + turn.usage,
    )
    state = state.with_draft() if turn.outcome == COMPLETED else replace(state, draft=None)
    state = granted(state, line[0]) if line else state
    closing = Closing(
        outcome=turn.outcome,
        next=line[0].place if line else None,
        steered=tuple(waiting.place for waiting in inside),
    )
    return remembered(
        state,
        *(Ended(waiting.turn, turn.outcome, answered_by=turn.id) for waiting in inside),
        Ended(turn.id, turn.outcome, next=closing.next, steered=closing.steered),
    ), closing
