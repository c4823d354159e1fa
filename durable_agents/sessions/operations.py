"""What each operation does to a session. Pure: state and request in, state and answer out.

Every operation may come twice. A turn that is known is not begun again, and one that is over is
not ended again.
"""

from dataclasses import replace

from durable_agents.messages import Message
from durable_agents.sessions.compaction import (
    cut_to_size,
    fitted,
    needs_compaction,
    size_of_need,
    turns_to_keep,
    without_older,
)
from durable_agents.sessions.document import size_of_messages
from durable_agents.sessions.state import (
    COMPLETED,
    LEFT,
    Draft,
    Ended,
    SessionState,
    Turn,
    Waiting,
    ended,
    granted,
    in_line,
    remembered,
)
from durable_agents.sessions.tool_turns import whole
from durable_agents.sessions.words import (
    Begin,
    Closing,
    Compact,
    Compacted,
    Finish,
    Grant,
    Leave,
    Place,
    SessionPolicy,
)

# Bytes of the stored form. What one turn is told; what is left to the answer is the rest of
# `compaction.STATE_LIMIT`, at least 200 KB.
MESSAGES_LIMIT = 400_000
NEED_LIMIT = 700_000
ERROR_LIMIT = 2_000
SUMMARY_LIMIT = 64_000


def begin(
    state: SessionState | None, request: Begin, policy: SessionPolicy
) -> tuple[SessionState | None, Grant]:
    """Let a turn in, or say why not. A turn that is not let in leaves nothing behind."""
    before = state
    state = state or SessionState()
    if not state.permits(request.principal):
        return before, Grant(state="not_found")
    told: Place | None = None
    running = state.running
    if request.takeover and running is not None and running.instance == request.takeover:
        over = replace(running, outcome="interrupted", ended_at=request.at, error="the run ended")
        state, closing = ended(state, over)
        told = closing.next
    known = standing(state, request.turn, policy)
    if known is None:
        state, known = admitted(state, request, policy)
    if told is not None and told.turn != request.turn:
        known = known.model_copy(update={"next": told})
    if state != before and state != SessionState():
        state = replace(state, used_at=max(state.used_at, request.at))
        return fitted(state), known
    return before, known


def standing(state: SessionState, turn: str, policy: SessionPolicy) -> Grant | None:
    """Return how a turn stands, None if it is not known."""
    running = state.running
    waiting = state.waits(turn)
    over = state.has_ended(turn)
    if running is not None and running.id == turn:
        grant = Grant(state="granted", compact=needs_compaction(state, policy))
    elif waiting is not None:
        grant = Grant(state="steered" if waiting.kind == "steer" else "queued")
    elif over is not None:
        grant = of_ended(state, over)
    else:
        return None
    return held(state, grant)


def of_ended(state: SessionState, over: Ended) -> Grant:
    """Return how a turn stands that is over."""
    if over.outcome == LEFT:
        return Grant(state="busy", reason="the turn has given up its place")
    if not over.answered_by:
        return Grant(state="granted", outcome=over.outcome)
    by = next((past for past in state.turns if past.id == over.answered_by), None)
    said = [message.text for message in by.reply if message.role == "assistant"] if by else []
    return Grant(state="steered", outcome=over.outcome, answer=said[-1] if said else "")


def held(state: SessionState, grant: Grant) -> Grant:
    """Return a grant that says who has the session."""
    running = state.running
    if running is None:
        return grant
    return grant.model_copy(update={"holder": running.instance, "holder_turn": running.id})


def admitted(
    state: SessionState, request: Begin, policy: SessionPolicy
) -> tuple[SessionState, Grant]:
    """Let a new turn in, if there is room for it and the session is free or it may wait."""
    if request.again:
        return state, held(state, Grant(state="unknown"))
    size = size_of_messages(request.messages)
    if size > MESSAGES_LIMIT:
        reason = f"the messages have {size} bytes, a turn of a session takes {MESSAGES_LIMIT}"
        return state, held(state, Grant(state="too_large", reason=reason))
    if state.running is not None and request.on_busy == "reject":
        return state, held(state, Grant(state="busy", reason="another run has the session"))
    kind = "queue" if request.on_busy == "reject" else request.on_busy
    turn = Waiting(request.turn, request.instance, request.at, kind, request.messages)
    after = granted(state, turn) if state.running is None else in_line(state, turn)
    if state.running is not None and size_of_need(after) > NEED_LIMIT:
        return state, held(state, Grant(state="busy", reason="too much waits for the session"))
    after = replace(after, owner=after.owner or request.principal)
    grant = standing(after, request.turn, policy)
    assert grant is not None
    return after, grant


def finish(
    state: SessionState | None, request: Finish, policy: SessionPolicy
) -> tuple[SessionState | None, Closing]:
    """End a turn, unless there are messages for it that it has not taken in.

    A turn that waits and comes to another end than an answer gives up its place.
    """
    if state is None:
        return None, Closing()
    turn = state.running
    if state.waits(request.turn) is not None and request.outcome != COMPLETED:
        return leave(state, Leave(turn=request.turn)), Closing(outcome=LEFT)
    if turn is None or turn.id != request.turn:
        over = state.has_ended(request.turn)
        return state, over.closing() if over else Closing()
    pending = state.steering(request.taken)
    if pending and request.outcome == COMPLETED and not request.last:
        return state, Closing(ended=False, pending=pending)
    over = replace(
        turn,
        reply=whole(with_taken(state, request)),
        outcome=request.outcome,
        error=request.error[:ERROR_LIMIT],
        ended_at=request.at,
        usage=request.usage,
    )
    state, closing = ended(state, over, request.taken)
    state = replace(state, used_at=max(state.used_at, request.at))
    if policy.keep_turns is not None:
        state = without_older(state, policy.keep_turns)
    return fitted(state, over.id), closing


def with_taken(state: SessionState, request: Finish) -> tuple[Message, ...]:
    """Return what was said in a turn, with every message that it took in.

    One that the run has not put where it belongs stands before the last answer.
    """
    waiting = state.steering()
    missing = [
        waiting[key]
        for key in request.taken
        if key in waiting and waiting[key] not in request.messages
    ]
    said = request.messages
    at = len(said) - 1 if said and said[-1].role == "assistant" else len(said)
    return (*said[:at], *missing, *said[at:])


def leave(state: SessionState | None, request: Leave) -> SessionState | None:
    """Take a turn out of the line, and its messages out of the turn that runs."""
    if state is None or state.waits(request.turn) is None:
        return state
    line = tuple(waiting for waiting in state.waiting if waiting.turn != request.turn)
    return remembered(replace(state, waiting=line), Ended(request.turn, LEFT))


def compact(state: SessionState | None, request: Compact) -> tuple[SessionState | None, Compacted]:
    """Replace all but the newest completed turns; the turn that runs is not touched."""
    if state is None or (request.turn and request.turn != state.holder):
        return state, Compacted()
    seen = state.with_draft()
    after = without_older(seen, turns_to_keep(seen, request.keep))
    done = Compacted(dropped=after.dropped - seen.dropped, kept=len(after.completed))
    if not done.dropped:
        return state, done
    summary = cut_to_size(request.summary, SUMMARY_LIMIT)
    if request.turn:
        before = state.draft.summary if state.draft else ""
        draft = Draft(after.turns[0].id, summary or before)
        after = replace(state, draft=draft)
    elif summary:
        after = replace(after, summary=summary)
    return fitted(replace(after, used_at=max(after.used_at, request.at))), done


def reset(state: SessionState) -> SessionState:
    """Forget the conversation; who has the session, who waits and whose it is stay."""
    running: tuple[Turn, ...] = () if state.running is None else (state.running,)
    gone = len(state.turns) - len(running)
    dropped = state.dropped + gone
    return replace(state, turns=running, summary="", dropped=dropped, draft=None)
