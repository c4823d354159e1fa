"""What an entity does next: which operations go to a worker, and who holds its lock. Pure.

A lock request travels through its lock set in order: each entity takes it when it comes to the
head of the queue and passes it on; the last one tells the orchestration. While an entity is
locked, only calls of the lock's holder reach it; everything else waits in its place.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import Message, Start
from local_runtime.scheduler.engine.limits import bounded, entity_id

MAX_BATCH = 200  # operations handed to a worker at once


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds an entity: an orchestration, for one critical section."""

    holder_id: str
    critical_section_id: str


@dataclass(frozen=True, slots=True)
class Queued:
    """A message in an entity's inbox, with its place."""

    position: int
    event: pb.HistoryEvent


@dataclass(slots=True)
class EntityPlan:
    """What to do with an entity's inbox now."""

    batch: list[Queued] = field(default_factory=list[Queued])
    consumed: list[int] = field(default_factory=list[int])
    messages: list[Message] = field(default_factory=list[Message])
    lock: Lock | None = None


def plan_entity(
    lock: Lock | None,
    queue: Iterable[Queued],
    is_wanted: Callable[[pb.EntityLockRequestedEvent], bool],
    now: int,
) -> EntityPlan:
    """Walk an entity's inbox in order and return what can happen now.

    Args:
        lock: who holds the entity.
        queue: its inbox, oldest first.
        is_wanted: whether the one who asked for a lock is still there to use it.
        now: the time, in microseconds.
    """
    plan = EntityPlan(lock=lock)
    waiting = list(queue)
    while _walk(waiting, plan, is_wanted, now):
        # A lock was released: what had to wait for it stands before what has been seen.
        consumed = set(plan.consumed)
        waiting = [queued for queued in waiting if queued.position not in consumed]
    return plan


def _walk(
    waiting: list[Queued],
    plan: EntityPlan,
    is_wanted: Callable[[pb.EntityLockRequestedEvent], bool],
    now: int,
) -> bool:
    """Plan as far as the lock allows; return whether a lock was released, and all starts anew."""
    for queued in waiting:
        match queued.event.WhichOneof("eventType"):
            case "entityUnlockSent":
                if plan.batch:
                    return False  # operations that came before the unlock run before it
                plan.consumed.append(queued.position)
                if plan.lock is not None and _releases(queued.event.entityUnlockSent, plan.lock):
                    plan.lock = None
                    return True
            case "entityLockRequested" if plan.lock is None:
                if plan.batch:
                    return False  # operations that came before the lock run before it is taken
                _take_lock(queued, plan, is_wanted, now)
            case "entityLockRequested":
                pass  # it waits; calls of the holder behind it go on
            case _:
                if plan.lock is None or _is_call_of(queued.event, plan.lock.holder_id):
                    plan.batch.append(queued)
                if len(plan.batch) >= MAX_BATCH:
                    return False
    return False


def _take_lock(
    queued: Queued,
    plan: EntityPlan,
    is_wanted: Callable[[pb.EntityLockRequestedEvent], bool],
    now: int,
) -> None:
    request = queued.event.entityLockRequested
    plan.consumed.append(queued.position)
    if is_wanted(request):
        plan.lock = Lock(request.parentInstanceId.value, request.criticalSectionId)
        plan.messages.append(_pass_on(queued.event, now))


def _releases(unlock: pb.EntityUnlockSentEvent, lock: Lock) -> bool:
    return (
        unlock.criticalSectionId == lock.critical_section_id
        and unlock.parentInstanceId.value == lock.holder_id
    )


def _is_call_of(event: pb.HistoryEvent, holder_id: str) -> bool:
    return (
        event.WhichOneof("eventType") == "entityOperationCalled"
        and event.entityOperationCalled.parentInstanceId.value == holder_id
    )


def _pass_on(event: pb.HistoryEvent, now: int) -> Message:
    request = event.entityLockRequested
    following = request.position + 1
    if following >= len(request.lockSet):
        granted = events.lock_granted(now, request.criticalSectionId)
        return Message(request.parentInstanceId.value, granted)
    onward = pb.HistoryEvent()
    onward.CopyFrom(event)
    onward.entityLockRequested.position = following
    return Message(entity_id(request.lockSet[following]), onward)


def plan_purge(entity_id: str, queue: Iterable[Queued], now: int) -> EntityPlan:
    """Return what happens to the inbox of an entity that is purged.

    Operations go, and who waits for one is told. Locks are not the entity's own: they stay, and so
    do the requests for them, whose orchestrations would wait for ever.
    """
    plan = EntityPlan()
    failure = pb.TaskFailureDetails(
        errorType="EntityPurged",
        errorMessage=f"The entity '{entity_id}' was purged before the operation was done.",
    )
    for queued in queue:
        kind = queued.event.WhichOneof("eventType")
        if kind in ("entityLockRequested", "entityUnlockSent"):
            continue
        plan.consumed.append(queued.position)
        if kind == "entityOperationCalled":
            called = queued.event.entityOperationCalled
            answer = events.operation_failed(now, called.requestId, failure)
            plan.messages.append(_to_caller(called, answer))
    return plan


def _to_caller(called: pb.EntityOperationCalledEvent, answer: pb.HistoryEvent) -> Message:
    execution_id = called.parentExecutionId.value or None
    return Message(called.parentInstanceId.value, answer, execution_id=execution_id)


@dataclass(slots=True)
class EntityDecision:
    """The consequences of one batch: what was done, what it sent, and what is left of it."""

    done: list[int] = field(default_factory=list[int])
    messages: list[Message] = field(default_factory=list[Message])
    starts: list[Start] = field(default_factory=list[Start])


def decide_batch(
    batch: list[Queued], result: pb.EntityBatchResult, now: int, new_id: Callable[[], str]
) -> EntityDecision:
    """Return what follows from a worker's answer to a batch of operations.

    A worker may stop early: operations without a result stay queued. A failure of the whole
    batch (the entity's function is missing, say) fails each operation of it.
    """
    decision = EntityDecision()
    for index, queued in enumerate(batch):
        if not result.HasField("failureDetails") and index >= len(result.results):
            break
        decision.done.append(queued.position)
        if queued.event.WhichOneof("eventType") == "entityOperationCalled":
            called = queued.event.entityOperationCalled
            answer = _answer(called.requestId, index, result, now)
            decision.messages.append(_to_caller(called, answer))
    for action in result.actions:
        _act(action, now, new_id, decision)
    return decision


def _answer(request_id: str, index: int, result: pb.EntityBatchResult, now: int) -> pb.HistoryEvent:
    if result.HasField("failureDetails"):
        return events.operation_failed(now, request_id, bounded(result.failureDetails))
    outcome = result.results[index]
    if outcome.WhichOneof("resultType") == "failure":
        failure = bounded(outcome.failure.failureDetails)
        return events.operation_failed(now, request_id, failure)
    output = outcome.success.result if outcome.success.HasField("result") else None
    return events.operation_completed(now, request_id, output)


def _act(
    action: pb.OperationAction, now: int, new_id: Callable[[], str], decision: EntityDecision
) -> None:
    match action.WhichOneof("operationActionType"):
        case "sendSignal":
            signal = action.sendSignal
            due_at = (
                events.from_timestamp(signal.scheduledTime)
                if signal.HasField("scheduledTime")
                else None
            )
            event = signal_event(signal.instanceId, signal.name, signal, new_id(), now)
            decision.messages.append(Message(entity_id(signal.instanceId), event, due_at=due_at))
        case "startNewOrchestration":
            start = action.startNewOrchestration
            started = pb.ExecutionStartedEvent(
                name=start.name,
                version=start.version if start.HasField("version") else None,
                input=start.input if start.HasField("input") else None,
                parentTraceContext=(
                    start.parentTraceContext if start.HasField("parentTraceContext") else None
                ),
            )
            due_at = (
                events.from_timestamp(start.scheduledTime)
                if start.HasField("scheduledTime")
                else None
            )
            decision.starts.append(Start(start.instanceId or new_id(), started, due_at=due_at))
        case _:
            pass  # an action of no kind asks for nothing


def signal_event(
    target_id: str,
    operation: str,
    source: pb.SendSignalAction | pb.SignalEntityRequest,
    request_id: str,
    now: int,
) -> pb.HistoryEvent:
    """Return the message that carries a signal to an entity."""
    return pb.HistoryEvent(
        eventId=-1,
        timestamp=events.timestamp(now),
        entityOperationSignaled=pb.EntityOperationSignaledEvent(
            requestId=request_id,
            operation=operation,
            input=source.input if source.HasField("input") else None,
            scheduledTime=source.scheduledTime if source.HasField("scheduledTime") else None,
            targetInstanceId=events.text(target_id),
        ),
    )
