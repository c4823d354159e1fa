"""A run's turn in a session: how it gets the session, waits for it, and gives it back. Durable.

Each step is an operation of the session's entity. That another run has died is found out by asking
the scheduler, in an activity. An event only wakes who waits: what is so, the entity says.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from durabletask.task import OrchestrationContext, Task, TaskFailedError, when_any

from durable_agents.durable_clients import durable_client
from durable_agents.errors import (
    AgentCallFailed,
    AgentCancelled,
    AgentTimeout,
    MaxTurnsExceeded,
    MessageTooLarge,
    SessionBusy,
    SessionNotFound,
)
from durable_agents.messages import Message, RunRequest, SessionTurn, TokenUsage
from durable_agents.sessions import (
    Begin,
    Closing,
    Compact,
    Compacted,
    Finish,
    Grant,
    Place,
    session_entity_id,
)
from durable_agents.sessions.compaction import shortened
from durable_agents.sessions.document import size_of_messages
from durable_agents.sessions.operations import MESSAGES_LIMIT
from durable_agents.sessions.words import Outcome, Word

# An activity; the prefix is that of functions which are no one's own.
ENDED_FUNCTION = "BuiltIn__InstanceEnded"
CANCEL_EVENT = "cancel"
_ENDED = ("COMPLETED", "FAILED", "TERMINATED")
# How often a run that waits looks whether the one it waits for still lives.
_FIRST_LOOK = timedelta(seconds=10)
_LONGEST_LOOK = timedelta(seconds=60)

type Steps[T] = Generator[Task[Any], Any, T]
type Until = Callable[[Task[Any]], Steps[Any]]
"""Waits for a task, and raises an `AgentCallFailed` when the run is over before that."""


@dataclass(frozen=True)
class OpenTurn:
    """A turn that has its session, or whose message another turn has answered.

    Attributes:
        session: What model requests of the turn say of it.
        compact: Whether the older turns should be summarised before the model is asked.
        answered: Whether another turn took the message in; there is nothing more to do.
        answer: What the agent said in that turn.
    """

    session: SessionTurn
    compact: bool = False
    answered: bool = False
    answer: str = ""


def waiting_event(turn: str) -> str:
    """Return the name of the event that wakes the run that waits with a turn."""
    return f"session:{turn}"


async def instance_ended(request: str, client: str) -> bool:
    """Tell whether an orchestration has ended or is not there: an activity.

    Args:
        request: Its instance id.
        client: What the binding of a durable client says.
    """
    state = await durable_client(client).get_orchestration_state(request, fetch_payloads=False)
    return state is None or state.runtime_status.name in _ENDED


def open_turn(context: OrchestrationContext, request: RunRequest, until: Until) -> Steps[OpenTurn]:
    """Get the session of a run, waiting for it if the request says so.

    Args:
        context: The run.
        request: What it was started with; it names a session.
        until: How to wait.

    Raises:
        SessionBusy: Another run has the session, and the message does not wait.
        SessionNotFound: The session is another principal's.
        MessageTooLarge: The messages are too large for a session.
        AgentCallFailed: The run was over before it had the session, or the turn that took its
            message in came to nothing. Its place in line is given up.
    """
    opening = _Opening(context, request, until)
    try:
        return (yield from opening.open())
    except (SessionBusy, SessionNotFound, MessageTooLarge):
        raise
    except AgentCallFailed as error:
        yield from close_turn(context, opening.session, outcome=outcome_of(error))
        raise


def close_turn(
    context: OrchestrationContext,
    session: SessionTurn,
    *,
    messages: tuple[Message, ...] = (),
    usage: TokenUsage | None = None,
    outcome: Outcome = "completed",
    error: str = "",
    last: bool = False,
) -> Steps[Closing]:
    """End a turn, and wake the run that has the session now and those whose messages it answered.

    A turn that has completed, but for which there are messages that it has not taken in, has not
    ended: see `Closing.pending`. The next model request brings them.

    Args:
        context: The run.
        session: The turn, with the ids of all messages that it has taken in.
        messages: What was said after the request, in order.
        usage: The tokens of the turn.
        outcome: How it ended.
        error: What went wrong.
        last: Whether the run cannot go on with messages that it has not taken in.
    """
    finish = Finish(
        turn=session.turn,
        # A session keeps no more of a turn, and a scheduler takes no more at once.
        messages=shortened(messages, MESSAGES_LIMIT),
        usage=usage or TokenUsage(),
        outcome=outcome,
        error=error,
        taken=session.taken,
        last=last,
        at=_now(context),
    )
    closing = Closing.model_validate((yield from _call(context, session, "finish", finish)))
    for place in (*closing.steered, *([closing.next] if closing.next else [])):
        _wake(context, place)
    return closing


def compact_turns(
    context: OrchestrationContext,
    session: SessionTurn,
    *,
    keep: int | None = None,
    summary: str = "",
    for_good: bool = False,
) -> Steps[Compacted]:
    """Replace the older turns of a session, for the requests of this turn or for good.

    Args:
        context: The run that has the session.
        session: Its turn.
        keep: How many completed turns stay; None for those that have a third of all the bytes.
        summary: What the others come to; empty to leave them out.
        for_good: Whether it stays so when the turn comes to nothing.
    """
    turn = "" if for_good else session.turn
    compact = Compact(keep=keep, summary=summary, turn=turn, at=_now(context))
    return Compacted.model_validate((yield from _call(context, session, "compact", compact)))


def outcome_of(error: AgentCallFailed) -> Outcome:
    """Return how a turn ended that ended with an error."""
    match error:
        case AgentCancelled():
            return "cancelled"
        case AgentTimeout():
            return "timed_out"
        case MaxTurnsExceeded():
            return "out_of_turns"
        case _:
            return "failed"


class _Opening:
    """Gets one session for one run."""

    def __init__(self, context: OrchestrationContext, request: RunRequest, until: Until) -> None:
        self._context = context
        self._request = request
        self._until = until
        self._woken: Task[Any] | None = None
        self._look = _FIRST_LOOK
        self._has_interrupted = False
        self._let_in = False
        self.session = SessionTurn(
            agent=request.agent, key=request.session, turn=context.instance_id
        )

    def open(self) -> Steps[OpenTurn]:
        takeover = ""
        while True:
            grant: Grant = yield from self._begin(takeover)
            if grant.state == "granted" and grant.outcome:
                # An instance of this id had a turn before; this is another one.
                turn = f"{self._context.instance_id}:{self._context.new_uuid()}"
                self.session = self.session.model_copy(update={"turn": turn})
                continue
            if grant.state == "unknown":
                continue
            opened = self._settled(grant)
            if opened is not None:
                return opened
            if grant.holder and (yield from self._has_ended(grant.holder)):
                takeover = grant.holder
                continue
            takeover = ""
            yield from self._wait(grant)

    def _begin(self, takeover: str) -> Steps[Grant]:
        principal = self._request.principal
        begin = Begin(
            turn=self.session.turn,
            instance=self._context.instance_id,
            messages=() if self._let_in else self._request.messages,
            again=self._let_in,
            on_busy=self._request.on_busy,
            at=_now(self._context),
            takeover=takeover,
            principal=principal.id if principal is not None else "",
        )
        size = size_of_messages(begin.messages)
        if size > MESSAGES_LIMIT:  # too large to be sent at all
            raise self._too_large(f"the messages have {size} bytes, a turn takes {MESSAGES_LIMIT}")
        answer = yield from _call(self._context, self.session, "begin", begin, self._until)
        grant = Grant.model_validate(answer)
        # From then on the session has the messages: the history need not have them again.
        self._let_in = grant.state in ("queued", "steered")
        if grant.next is not None:
            _wake(self._context, grant.next)
        return grant

    def _settled(self, grant: Grant) -> OpenTurn | None:
        match grant.state:
            case "granted":
                return OpenTurn(self.session, compact=grant.compact)
            case "steered" if grant.outcome == "completed" and grant.answer:
                return OpenTurn(self.session, answered=True, answer=grant.answer)
            case "steered" if grant.outcome:
                how = "its answer is gone" if grant.outcome == "completed" else grant.outcome
                cause = f"the turn that took in the message has ended: {how}"
                kind = AgentCancelled if grant.outcome == "cancelled" else AgentCallFailed
                raise kind(cause, agent=self._request.agent)
            case "not_found":
                raise SessionNotFound(
                    f"there is no session '{self.session.key:.100}'", agent=self._request.agent
                )
            case "too_large":
                raise self._too_large(grant.reason)
            case _:
                return None

    def _wait(self, grant: Grant) -> Steps[None]:
        if grant.state == "busy":
            raise SessionBusy(
                f"session '{self.session.key:.100}' is busy: {grant.reason}",
                agent=self._request.agent,
            )
        interrupts = grant.state == "queued" and self._request.on_busy == "interrupt"
        if interrupts and not self._has_interrupted:
            # Once: who has the session after that has interrupted as well, and came before.
            self._has_interrupted = True
            self._context.send_event(grant.holder, CANCEL_EVENT, data="interrupted")
        if self._woken is None or self._woken.is_complete:
            event = waiting_event(self.session.turn)
            self._woken = self._context.wait_for_external_event(event)
        timer = self._context.create_timer(self._look)
        self._look = min(self._look * 2, _LONGEST_LOOK)
        yield from self._until(when_any([self._woken, timer]))

    def _has_ended(self, instance: str) -> Steps[bool]:
        task: Task[Any] = self._context.call_activity(ENDED_FUNCTION, input=instance)
        return bool((yield from self._until(task)))

    def _too_large(self, reason: str) -> MessageTooLarge:
        return MessageTooLarge(
            f"too much for a session at once: {reason}", agent=self._request.agent
        )


def _call(
    context: OrchestrationContext,
    session: SessionTurn,
    operation: str,
    word: Word,
    until: Until | None = None,
) -> Steps[Any]:
    """Do an operation of a session, whatever becomes of the run unless `until` is given."""
    entity = session_entity_id(session.agent, session.key)
    task = cast("Task[Any]", context.call_entity(entity, operation, word.to_json()))
    try:
        if until is not None:
            return (yield from until(task))
        return (yield task)
    except AgentCallFailed:
        raise
    except TaskFailedError as error:
        raise AgentCallFailed(
            f"the session could not do '{operation}': {error}", agent=session.agent
        ) from None


def _wake(context: OrchestrationContext, place: Place) -> None:
    context.send_event(place.instance, waiting_event(place.turn))


def _now(context: OrchestrationContext) -> str:
    now: datetime = context.current_utc_datetime
    return (now if now.tzinfo else now.replace(tzinfo=UTC)).isoformat()
