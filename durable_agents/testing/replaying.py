"""Replays histories: every turn of them once more, to see whether today's code does the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb

from durable_agents.testing import events
from durable_agents.testing.functions import AppFunctions
from durable_agents.testing.instances import Turn

type Deed = tuple[Any, ...]
"""What an orchestrator did, as a history tells it: `("task", 3, "Ada")`, `("timer", 4)`,
`("child", 5, "run-Ada")`, `("event", 6, "go")`, `("entity", 7, "entityOperationCalled")`, or
`("end", status, result, the failure's type, its message)`."""


@dataclass(frozen=True)
class RecordedTurn:
    """A turn as a history tells of it.

    Attributes:
        past: The history before the turn.
        news: The new events.
        deeds: What the orchestrator did.
    """

    past: list[pb.HistoryEvent]
    news: list[pb.HistoryEvent]
    deeds: list[Deed]


def recorded_turns(history: Sequence[pb.HistoryEvent]) -> list[RecordedTurn]:
    """Return the turns that made a history."""
    starts = [at for at, event in enumerate(history) if event.HasField("orchestratorStarted")]
    found: list[RecordedTurn] = []
    for start, end in zip(starts, [*starts[1:], len(history)], strict=True):
        group = history[start:end]
        deeds = [deed for event in group if (deed := _deed_of_event(event))]
        news = [one for one in group if not _deed_of_event(one)]
        found.append(RecordedTurn(list(history[:start]), news, deeds))
    return found


async def replayed_actions(
    functions: AppFunctions, turn: RecordedTurn | Turn, instance_id: str = ""
) -> list[pb.OrchestratorAction]:
    """Return what today's code asks for in a turn of the past."""
    started = next(
        event.executionStarted
        for event in [*turn.past, *turn.news]
        if event.HasField("executionStarted")
    )
    request = pb.OrchestratorRequest(
        instanceId=instance_id or started.orchestrationInstance.instanceId or "i-1",
        pastEvents=turn.past,
        newEvents=turn.news,
    )
    response = await functions.turn(started.name, request)
    return list(response.actions)


def deeds_of(
    actions: Iterable[pb.OrchestratorAction], turn: RecordedTurn, *, with_times: bool = False
) -> list[Deed]:
    """Return actions as a history would tell of them.

    Args:
        actions: What an orchestrator asked for.
        turn: In which turn.
        with_times: Whether timers are told with how long they are.
    """
    now = events.moment(turn.news[0].timestamp)
    return [_deed_of_action(action, now if with_times else None) for action in actions]


async def differences(
    functions: AppFunctions, turns: Iterable[Turn], instance_id: str
) -> list[str]:
    """Replay turns that a test's host has kept; return what is done differently now, in words.

    More is compared than a scheduler would notice: inputs as well, so that an orchestrator that
    reads a clock, an environment or chance is found out.
    """
    found: list[str] = []
    for number, turn in enumerate(turns, 1):
        now = await replayed_actions(functions, turn, instance_id)
        before, after = [_plain(one) for one in turn.actions], [_plain(one) for one in now]
        if before != after:
            found.append(
                f"{instance_id}, turn {number}: recorded {_shown(turn.actions)}, "
                f"replayed {_shown(now)}"
            )
    return found


def _plain(action: pb.OrchestratorAction) -> pb.OrchestratorAction:
    """Return an action without stacks, which tell of lines and not of what was done."""
    plain = pb.OrchestratorAction()
    plain.CopyFrom(action)
    if plain.HasField("completeOrchestration"):
        failure = plain.completeOrchestration.failureDetails
        while failure.ByteSize():
            failure.ClearField("stackTrace")
            if not failure.HasField("innerFailure"):
                break
            failure = failure.innerFailure
    return plain


def _shown(actions: Iterable[pb.OrchestratorAction]) -> str:
    return "; ".join(" ".join(str(_plain(action)).split())[:500] for action in actions) or "nothing"


def _deed_of_event(event: pb.HistoryEvent) -> Deed | None:
    kind = event.WhichOneof("eventType") or ""
    match kind:
        case "taskScheduled":
            return ("task", event.eventId, event.taskScheduled.name)
        case "timerCreated":
            return ("timer", event.eventId)
        case "subOrchestrationInstanceCreated":
            return ("child", event.eventId, event.subOrchestrationInstanceCreated.name)
        case "eventSent":
            return ("event", event.eventId, event.eventSent.name)
        case _ if kind in _TO_ENTITIES:
            return ("entity", event.eventId, kind)
        case "executionCompleted":
            end = event.executionCompleted
            return _end(end.orchestrationStatus, end.result.value, end.failureDetails)
        case _:
            return None


_TO_ENTITIES = (
    "entityOperationCalled",
    "entityOperationSignaled",
    "entityLockRequested",
    "entityUnlockSent",
)


def _deed_of_action(action: pb.OrchestratorAction, now: Any) -> Deed:
    match action.WhichOneof("orchestratorActionType"):
        case "scheduleTask":
            return ("task", action.id, action.scheduleTask.name)
        case "createTimer":
            if now is None:
                return ("timer", action.id)
            wait: timedelta = events.moment(action.createTimer.fireAt) - now
            return ("timer", action.id, wait)
        case "createSubOrchestration":
            return ("child", action.id, action.createSubOrchestration.name)
        case "sendEvent":
            return ("event", action.id, action.sendEvent.name)
        case "sendEntityMessage":
            kind = action.sendEntityMessage.WhichOneof("EntityMessageType")
            return ("entity", action.id, kind)
        case _:
            end = action.completeOrchestration
            return _end(end.orchestrationStatus, end.result.value, end.failureDetails)


def _end(status: Any, result: str, failure: pb.TaskFailureDetails) -> Deed:
    kind = failure.errorType.rpartition(".")[2]
    return ("end", pb.OrchestrationStatus.Name(status), result, kind, failure.errorMessage)
