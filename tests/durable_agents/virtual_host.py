"""Runs an orchestration of an app: the SDK's own worker, with every turn a replay of all before.

It stands for scheduler and Functions host, with a clock that a timer moves: waits cost no time.
Of an activity's exception only what crosses on Azure is kept: class name, first line, stack.
"""

import asyncio
import base64
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import azure.functions as func
from azure.durable_functions.internal.converters import ActivityTriggerConverter
from azure.functions import meta
from azure.functions._durable_functions import OrchestrationContext
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

START = datetime(2026, 1, 1)  # noqa: DTZ001 - as the SDK has it, in UTC without saying so


@dataclass(frozen=True)
class Outcome:
    """How an orchestration ended."""

    output: Any
    failure: pb.TaskFailureDetails
    custom_status: Any
    elapsed: timedelta
    activities: list[str]
    timers: list[timedelta]


class VirtualHost:
    """Runs one orchestration. Activities in `stuck` never end; those in `late` end when a timer has
    fired that the orchestration had nothing but to wait for.
    """

    def __init__(
        self,
        app: func.FunctionRegister,
        *,
        stuck: Collection[str] = (),
        late: Collection[str] = (),
    ) -> None:
        self._functions = {one.get_function_name(): one for one in app.get_functions()}
        self._stuck = stuck
        self._late = late
        self._delayed: list[Any] = []
        self._now = START
        self._past: list[pb.HistoryEvent] = []
        self._timers: dict[int, datetime] = {}
        self._waits: list[timedelta] = []
        self._activities: list[str] = []

    async def run(self, name: str, given: Any = None) -> Outcome:
        started = pb.ExecutionStartedEvent(name=name, input=_text(given))
        news = [self._event(executionStarted=started)]
        while True:
            response = await self._turn(name, news)
            for action in response.actions:
                if action.HasField("completeOrchestration"):
                    return self._outcome(action.completeOrchestration, response)
            running = [work for action in response.actions if (work := self._take(action))]
            news = list(await asyncio.gather(*running))
            if not news:
                delayed, self._delayed = self._delayed, []
                news = [self._next_timer(), *await asyncio.gather(*delayed)]

    async def _turn(self, name: str, news: list[pb.HistoryEvent]) -> pb.OrchestratorResponse:
        news = [self._event(orchestratorStarted=pb.OrchestratorStartedEvent()), *news]
        request = pb.OrchestratorRequest(instanceId="i-1", pastEvents=self._past, newEvents=news)
        context = OrchestrationContext(base64.b64encode(request.SerializeToString()).decode())
        function = self._functions[name]
        returned = await function.get_user_function()(**{function.get_trigger().name: context})
        self._past += news
        response = pb.OrchestratorResponse()
        response.ParseFromString(base64.b64decode(returned))
        return response

    def _take(self, action: pb.OrchestratorAction) -> Any:
        """Record what the orchestrator asked for; return an activity that is to be run."""
        if action.HasField("createTimer"):
            at = action.createTimer.fireAt.ToDatetime()
            self._timers[action.id] = at
            self._waits.append(at - self._now)
            timer = pb.TimerCreatedEvent(fireAt=action.createTimer.fireAt)
            self._past.append(self._event(action.id, timerCreated=timer))
            return None
        task = action.scheduleTask
        scheduled = pb.TaskScheduledEvent(name=task.name, input=task.input)
        self._past.append(self._event(action.id, taskScheduled=scheduled))
        self._activities.append(task.name)
        if task.name in self._stuck:
            return None
        if task.name in self._late:
            self._delayed.append(self._activity(action.id, task))
            return None
        return self._activity(action.id, task)

    async def _activity(self, task_id: int, task: pb.ScheduleTaskAction) -> pb.HistoryEvent:
        function = self._functions[task.name]
        datum = meta.Datum(type="json", value=task.input.value)
        argument = ActivityTriggerConverter.decode(datum, trigger_metadata=None)
        try:
            result = function.get_user_function()(**{function.get_trigger().name: argument})
            result = await result if asyncio.iscoroutine(result) else result
        except Exception as error:
            details = pb.TaskFailureDetails(
                errorType=type(error).__name__, errorMessage=str(error).splitlines()[0]
            )
            failed = pb.TaskFailedEvent(taskScheduledId=task_id, failureDetails=details)
            return self._event(taskFailed=failed)
        value = StringValue(value=ActivityTriggerConverter.encode(result, expected_type=None).value)
        completed = pb.TaskCompletedEvent(taskScheduledId=task_id, result=value)
        return self._event(taskCompleted=completed)

    def _next_timer(self) -> pb.HistoryEvent:
        timer_id = min(self._timers, key=lambda one: self._timers[one])
        fire_at = self._timers.pop(timer_id)
        self._now = max(self._now, fire_at)
        return self._event(timerFired=pb.TimerFiredEvent(timerId=timer_id, fireAt=_moment(fire_at)))

    def _event(self, event_id: int = -1, **kind: Any) -> pb.HistoryEvent:
        return pb.HistoryEvent(eventId=event_id, timestamp=_moment(self._now), **kind)

    def _outcome(
        self, end: pb.CompleteOrchestrationAction, response: pb.OrchestratorResponse
    ) -> Outcome:
        status = response.customStatus.value
        return Outcome(
            output=json.loads(end.result.value) if end.result.value else None,
            failure=end.failureDetails,
            custom_status=json.loads(status) if status else None,
            elapsed=self._now - START,
            activities=self._activities,
            timers=self._waits,
        )


def _moment(at: datetime) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(at)
    return moment


def _text(value: Any) -> StringValue | None:
    return None if value is None else StringValue(value=json.dumps(value))
