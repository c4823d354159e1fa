"""Replays a recorded history: every turn of it, as the SDK's own worker sees it."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions._durable_functions import OrchestrationContext
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.json_format import ParseDict

HISTORIES = Path(__file__).parent / "histories"

type Deed = tuple[Any, ...]


@dataclass(frozen=True)
class Turn:
    """What a turn was told, and what the orchestrator did in it."""

    past: list[pb.HistoryEvent]
    news: list[pb.HistoryEvent]
    deeds: list[Deed]


def recorded(name: str) -> list[Turn]:
    document = json.loads((HISTORIES / f"{name}.json").read_text())
    return turns([ParseDict(event, pb.HistoryEvent()) for event in document["events"]])


def turns(events: list[pb.HistoryEvent]) -> list[Turn]:
    starts = [at for at, event in enumerate(events) if event.HasField("orchestratorStarted")]
    found: list[Turn] = []
    for start, end in zip(starts, [*starts[1:], len(events)], strict=True):
        group = events[start:end]
        deeds = [deed for event in group if (deed := _deed_of_event(event))]
        news = [one for one in group if not _deed_of_event(one)]
        found.append(Turn(events[:start], news, deeds))
    return found


def functions_of(app: func.FunctionRegister) -> dict[str, Any]:
    return {one.get_function_name(): one for one in app.get_functions()}


async def replay(functions: dict[str, Any], turn: Turn, *, with_times: bool = False) -> list[Deed]:
    """Return what today's code does in a turn of the past, on request with the time of timers."""
    request = pb.OrchestratorRequest(instanceId="i-1", pastEvents=turn.past, newEvents=turn.news)
    started = next(
        event.executionStarted
        for event in [*turn.past, *turn.news]
        if event.HasField("executionStarted")
    )
    function = functions[started.name]
    context = OrchestrationContext(base64.b64encode(request.SerializeToString()).decode())
    returned = await function.get_user_function()(**{function.get_trigger().name: context})
    response = pb.OrchestratorResponse()
    response.ParseFromString(base64.b64decode(returned))
    deeds = [_deed_of_action(action) for action in response.actions]
    if not with_times:
        return deeds
    now = turn.news[0].timestamp.ToDatetime()
    return [
        (*deed, action.createTimer.fireAt.ToDatetime() - now) if deed[0] == "timer" else deed
        for deed, action in zip(deeds, response.actions, strict=True)
    ]


def _deed_of_event(event: pb.HistoryEvent) -> Deed | None:
    if event.HasField("taskScheduled"):
        return ("task", event.eventId, event.taskScheduled.name)
    if event.HasField("timerCreated"):
        return ("timer", event.eventId)
    if event.HasField("subOrchestrationInstanceCreated"):
        return ("child", event.eventId, event.subOrchestrationInstanceCreated.name)
    if event.HasField("executionCompleted"):
        end = event.executionCompleted
        return _end(end.orchestrationStatus, end.result.value, end.failureDetails)
    return None


def _deed_of_action(action: pb.OrchestratorAction) -> Deed:
    if action.HasField("scheduleTask"):
        return ("task", action.id, action.scheduleTask.name)
    if action.HasField("createTimer"):
        return ("timer", action.id)
    if action.HasField("createSubOrchestration"):
        return ("child", action.id, action.createSubOrchestration.name)
    end = action.completeOrchestration
    return _end(end.orchestrationStatus, end.result.value, end.failureDetails)


def _end(status: Any, result: str, failure: pb.TaskFailureDetails) -> Deed:
    kind = failure.errorType.rpartition(".")[2]
    return ("end", pb.OrchestrationStatus.Name(status), result, kind, failure.errorMessage)
