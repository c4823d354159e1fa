"""One turn of an orchestrator: what a worker is given, and what its answer changes."""

import sqlite3
from dataclasses import dataclass, replace

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime import faults
from local_runtime.scheduler.engine import events
from local_runtime.scheduler.engine.decision import (
    Continuation,
    Decision,
    InvalidResponse,
    Message,
    Outcome,
    Rewind,
)
from local_runtime.scheduler.engine.orchestration import decide_turn
from local_runtime.scheduler.engine.status import Status
from local_runtime.scheduler.storage import (
    activities,
    checksums,
    history,
    instances,
    locks,
    messages,
    rewind,
    wire,
)
from local_runtime.scheduler.storage.controls import terminate
from local_runtime.scheduler.storage.instances import Instance
from local_runtime.scheduler.storage.transaction import Transaction

# New events in one turn: many large ones must not add up to what no message can hold.
_MAX_NEW_BYTES = 2 * 1024 * 1024


class Verified:
    """Instances of which all that was on disk has been verified since this process opened the hub.

    What else there is of them it has written itself: to verify that at each turn would cost more
    than all that is stored by it.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._ids: set[str] = set()

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._ids

    def add(self, instance_id: str) -> None:
        """Remember an instance; when they are too many, all are forgotten, and verified again."""
        if len(self._ids) >= self._most:
            self._ids.clear()
        self._ids.add(instance_id)


@dataclass(frozen=True, slots=True)
class Turn:
    """Leased work: the events a worker has been given, and where they stand in the inbox."""

    instance_id: str
    execution_id: str
    name: str
    version: str | None
    delivered: list[bytes]  # orchestratorStarted, then the inbox
    positions: list[int | None]  # of the delivered events in the inbox
    head: bytes  # OrchestratorRequest without events
    request: bytes  # OrchestratorRequest, whole

    def without_history(self) -> bytes:
        """Return the OrchestratorRequest for a worker that reads the history on a stream."""
        flag = pb.OrchestratorRequest(requiresHistoryStreaming=True).SerializeToString()
        return self.head + flag + wire.frames(wire.NEW_EVENTS, self.delivered)


def load(
    connection: sqlite3.Connection, now: int, instance_id: str, verified: Verified | None = None
) -> Turn | None:
    """Put together the next turn of an instance, or None when there is nothing for it to do.

    Only reads, and only what is committed: it changes nothing, so it waits for no transaction.

    Raises:
        DamagedRow: something of it is not what was written.
    """
    is_sound = verified is not None and instance_id in verified
    find = instances.find_again if is_sound else instances.find
    instance = find(connection, instance_id)
    if instance is None or instance.status.is_terminal:
        return None
    queue = messages.queue(connection, instance_id, is_sound=is_sound)
    if not instance.has_begun:
        queue = _beginning(instance, queue)
    if not queue:
        return None
    positions: list[int | None] = [None]
    match pb.HistoryEvent.FromString(queue[0][1]).WhichOneof("eventType"):
        case "executionRewound":
            queue = queue[:1]  # the protocol wants it alone
        case "orchestratorStarted":
            # The bare turn after a rewind: the event stands for the one that every turn has.
            positions = [queue[0][0]]
            queue = queue[1:]
        case _:
            pass
    if instance.suspended:
        queue = _before_suspension(queue, has_more=positions != [None])
    queue = _fitting(queue)
    positions += [position for position, _ in queue]
    delivered = [events.orchestrator_started(now).SerializeToString()]
    delivered += [event for _, event in queue]
    beginning = _head(instance)
    request = (
        beginning
        + history.read(connection, instance_id, instance.history_length, is_sound=is_sound)
        + wire.frames(wire.NEW_EVENTS, delivered)
    )
    if verified is not None and not is_sound:
        verified.add(instance_id)
    started = instance.started
    return Turn(
        instance_id,
        instance.execution_id,
        started.name,
        started.version.value if started.HasField("version") else None,
        delivered,
        positions,
        beginning,
        request,
    )


def _head(instance: Instance) -> bytes:
    """Return a request without events."""
    head = pb.OrchestratorRequest(
        instanceId=instance.instance_id, executionId=events.text(instance.execution_id)
    )
    if instance.trace is not None:
        head.orchestrationTraceContext.ParseFromString(instance.trace)
    return head.SerializeToString()


def _fitting(queue: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Return the events that one turn takes; the rest waits for the next one."""
    size = 0
    for index, (_, event) in enumerate(queue):
        size += len(event)
        if size > _MAX_NEW_BYTES and index > 0:
            return queue[:index]
    return queue


def _before_suspension(
    queue: list[tuple[int, bytes]], *, has_more: bool
) -> list[tuple[int, bytes]]:
    """Return what a turn takes before a suspension, which gets a turn of its own.

    SDK workers set aside all that follows a suspension in a history. What they decide in the turn
    it comes with is recorded behind it, so they would decide it again in each turn until they
    resume; and an event behind it would be lost when the orchestrator continues as new.

    Args:
        queue: an inbox whose instance is suspended.
        has_more: whether the turn does something without the queue.
    """
    for index in reversed(range(len(queue))):
        if pb.HistoryEvent.FromString(queue[index][1]).HasField("executionSuspended"):
            return queue[:index] if index > 0 or has_more else queue
    return queue


def _beginning(instance: Instance, queue: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Put executionStarted first; without it (a later start), or while suspended, nothing runs."""
    if instance.suspended:
        return []
    for index, (_, event) in enumerate(queue):
        if pb.HistoryEvent.FromString(event).HasField("executionStarted"):
            return [queue[index], *queue[:index], *queue[index + 1 :]]
    return []


def commit(tx: Transaction, turn: Turn, response: pb.OrchestratorResponse) -> bool:
    """Apply an orchestrator's answer to its turn.

    Returns:
        False when the instance has meanwhile ended, been replaced or begun a new generation: the
        answer is dropped.

    Raises:
        InvalidResponse: the answer makes no sense; nothing is changed.
        InvalidValue: it holds an id or a time that cannot be; nothing is changed.
    """
    instance = instances.find_again(tx.connection, turn.instance_id)
    if (
        instance is None
        or instance.status.is_terminal
        or instance.execution_id != turn.execution_id
    ):
        return False
    decision = decide_turn(instance.generation, response, tx.now, tx.new_id)
    processed = len(turn.delivered)
    if response.HasField("numEventsProcessed"):
        processed = max(1, min(processed, response.numEventsProcessed.value))
    messages.remove(tx, [p for p in turn.positions[:processed] if p is not None])
    if response.HasField("customStatus"):
        # Its checksum comes with the rest of what this turn changes.
        tx.connection.execute(
            "UPDATE instances SET custom_status = ? WHERE instance_id = ?",
            (response.customStatus.value, turn.instance_id),
        )
    if isinstance(decision.end, Rewind):
        if not _asks_for_rewind(turn):
            raise InvalidResponse(f"{turn.instance_id}: a rewind that nobody asked for")
        messages.remove(tx, [p for p in turn.positions if p is not None])
        rewind.apply(tx, instance, decision.end)
        return True
    if isinstance(decision.end, Continuation):
        _begin_generation(tx, instance, decision.end)
    else:
        recorded = [event.SerializeToString() for event in decision.recorded]
        length = instance.history_length
        if _asks_for_rewind(turn):
            length = history.reopen(tx, turn.instance_id, length)  # answered by something else
        length = history.append(tx, turn.instance_id, length, turn.delivered[:processed] + recorded)
        instance = _save_progress(tx, instance, length, response, decision)
    faults.reach("turn.half")
    _carry_out(tx, instance, decision)
    _end(tx, instance, decision)
    if not isinstance(decision.end, Outcome) and messages.has_any(tx.connection, turn.instance_id):
        tx.effects.ready[turn.instance_id] = None
    return True


def _end(tx: Transaction, instance: Instance, decision: Decision) -> None:
    if isinstance(decision.end, Outcome):
        instances.end(tx, instance, decision.end)
    # After its own end: one that ends and terminates itself, or its parents, ends once.
    for termination in decision.terminations:
        terminate(tx, termination.instance_id, termination.output, recurse=termination.recurse)


def _save_progress(
    tx: Transaction,
    instance: Instance,
    length: int,
    response: pb.OrchestratorResponse,
    decision: Decision,
) -> Instance:
    """Store how far an instance is; return it as it then is, if this is its end."""
    trace = (
        response.orchestrationTraceContext.SerializeToString()
        if response.HasField("orchestrationTraceContext")
        else None
    )
    status = Status.SUSPENDED if instance.suspended else Status.RUNNING
    word = status.value
    custom_status = instance.custom_status
    if response.HasField("customStatus"):
        custom_status = response.customStatus.value
    trace = trace if trace is not None else instance.trace
    progress = checksums.progress(
        instance.instance_id,
        word,
        instance.suspended,
        length,
        tx.now,
        None,
        custom_status,
        trace,
        None,
    )
    tx.connection.execute(
        "UPDATE instances SET status = ?, history_length = ?, updated_at = ?, trace = ?,"
        " progress_checksum = ? WHERE instance_id = ?",
        (word, length, tx.now, trace, progress, instance.instance_id),
    )
    if not instance.has_begun:
        tx.effects.changed[instance.instance_id] = None
    if not isinstance(decision.end, Outcome):
        return instance
    return replace(
        instance, status=status, history_length=length, custom_status=custom_status, trace=trace
    )


def _begin_generation(tx: Transaction, instance: Instance, end: Continuation) -> None:
    """Continue as new: a fresh history; then the carried events, then those that came meanwhile."""
    instance_id = instance.instance_id
    execution_id = end.started.orchestrationInstance.executionId.value
    history.clear(tx, instance_id)
    tx.connection.execute(
        "DELETE FROM delayed WHERE target_id = ? AND execution_id IS NOT NULL", (instance_id,)
    )
    locks.release_all(tx, instance_id)
    meanwhile = messages.queue(tx.connection, instance_id)
    messages.remove(tx, [position for position, _ in meanwhile])
    faults.reach("generation.half")
    messages.put(tx, instance_id, events.execution_started(tx.now, end.started))
    for event in end.carryover:
        if _outlives_generation(event):
            messages.put(tx, instance_id, event)
    for _, event in meanwhile:
        parsed = pb.HistoryEvent.FromString(event)
        if _outlives_generation(parsed):
            messages.put(tx, instance_id, parsed)
    kept = pb.ExecutionStartedEvent()
    kept.CopyFrom(end.started)
    kept.ClearField("input")
    given = end.started.input.value if end.started.HasField("input") else None
    tx.connection.execute(
        "UPDATE instances SET execution_id = ?, started = ?, version = ?, input = ?,"
        " input_checksum = ?, status = CASE WHEN suspended THEN 'SUSPENDED' ELSE 'RUNNING' END,"
        " history_length = 0, updated_at = ?, trace = NULL WHERE instance_id = ?",
        (
            execution_id,
            kept.SerializeToString(),
            end.started.version.value if end.started.HasField("version") else None,
            given,
            checksums.payload(instance_id, given),
            tx.now,
            instance_id,
        ),
    )
    instances.seal(tx, instance_id)
    tx.effects.note(instance_id, "%s continued as new", instance.started.name)


def _outlives_generation(event: pb.HistoryEvent) -> bool:
    """Whether an unread event is for the instance, and not an answer to its old generation."""
    return event.WhichOneof("eventType") in (
        "eventRaised",
        "executionSuspended",
        "executionResumed",
    )


def _carry_out(tx: Transaction, instance: Instance, decision: Decision) -> None:
    for task in decision.tasks:
        activities.add(tx, instance.instance_id, instance.execution_id, task)
    for message in decision.messages:
        if isinstance(decision.end, Continuation) and _is_for_old_generation(message):
            continue
        locks.keep_account(tx, instance.instance_id, message.event)
        messages.send(tx, message)
    parent = pb.OrchestrationInstance(
        instanceId=instance.instance_id, executionId=events.text(instance.execution_id)
    )
    for start in decision.starts:
        instances.start_child(tx, parent, start)


def _is_for_old_generation(message: Message) -> bool:
    """Whether a message is void after continue-as-new: timers just set, locks just asked for."""
    return message.execution_id is not None or message.event.HasField("entityLockRequested")


def _asks_for_rewind(turn: Turn) -> bool:
    if len(turn.delivered) != 2:
        return False  # it comes alone, behind orchestratorStarted
    return pb.HistoryEvent.FromString(turn.delivered[1]).HasField("executionRewound")
