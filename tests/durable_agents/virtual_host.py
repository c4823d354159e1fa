"""Runs an orchestration of an app: the SDK's own worker, with every turn a replay of all before.

It stands for scheduler and Functions host, with a clock that a timer moves: waits cost no time.
Of an activity's exception only what crosses on Azure is kept: class name, first line, stack.
"""

import asyncio
import base64
import json
from collections.abc import Collection
from dataclasses import dataclass, field
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
    """How an orchestration ended. Activities and timers are those of its children as well."""

    output: Any
    failure: pb.TaskFailureDetails
    custom_status: Any
    elapsed: timedelta
    activities: list[str]
    timers: list[timedelta]
    turns: int
    history: list[pb.HistoryEvent]


@dataclass
class Instance:
    """One orchestration; a child has the task of its parent that waits for it."""

    name: str
    id: str
    parent: tuple["Instance", int] | None = None
    inbox: list[pb.HistoryEvent] = field(default_factory=list)
    past: list[pb.HistoryEvent] = field(default_factory=list)
    timers: dict[int, datetime] = field(default_factory=dict)
    turns: int = 0
    end: pb.CompleteOrchestrationAction | None = None
    custom_status: str = ""


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
        self._instances: list[Instance] = []
        self._waits: list[timedelta] = []
        self._activities: list[str] = []

    async def run(self, name: str, given: Any = None) -> Outcome:
        root = self._start(name, "i-1", _text(given))
        while root.end is None:
            running: list[Any] = []
            for instance in [one for one in self._instances if one.inbox]:
                running += await self._turn(instance)
            await asyncio.gather(*running)
            if root.end is None and not any(one.inbox for one in self._instances):
                delayed, self._delayed = self._delayed, []
                self._fire_next_timer()
                await asyncio.gather(*delayed)
        return self._outcome(root, root.end)

    def _start(
        self, name: str, instance_id: str, given: Any, parent: tuple[Instance, int] | None = None
    ) -> Instance:
        started = pb.ExecutionStartedEvent(name=name, input=given)
        instance = Instance(name, instance_id, parent, [self._event(executionStarted=started)])
        self._instances.append(instance)
        return instance

    async def _turn(self, instance: Instance) -> list[Any]:
        """Run a turn; return the activities that are to be run."""
        instance.turns += 1
        news = [
            self._event(orchestratorStarted=pb.OrchestratorStartedEvent()),
            *instance.inbox,
        ]
        instance.inbox = []
        request = pb.OrchestratorRequest(
            instanceId=instance.id, pastEvents=instance.past, newEvents=news
        )
        context = OrchestrationContext(base64.b64encode(request.SerializeToString()).decode())
        function = self._functions[instance.name]
        returned = await function.get_user_function()(**{function.get_trigger().name: context})
        instance.past += news
        response = pb.OrchestratorResponse()
        response.ParseFromString(base64.b64decode(returned))
        instance.custom_status = response.customStatus.value
        for action in response.actions:
            if action.HasField("completeOrchestration"):
                self._end(instance, action.completeOrchestration)
                return []
        return [work for action in response.actions if (work := self._take(instance, action))]

    def _end(self, instance: Instance, end: pb.CompleteOrchestrationAction) -> None:
        instance.end = end
        self._instances.remove(instance)  # and with it its timers
        if instance.parent is None:
            return
        parent, task_id = instance.parent
        if end.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED:
            done = pb.SubOrchestrationInstanceCompletedEvent(
                taskScheduledId=task_id, result=end.result
            )
            parent.inbox.append(self._event(subOrchestrationInstanceCompleted=done))
        else:
            failed = pb.SubOrchestrationInstanceFailedEvent(
                taskScheduledId=task_id, failureDetails=end.failureDetails
            )
            parent.inbox.append(self._event(subOrchestrationInstanceFailed=failed))

    def _take(self, instance: Instance, action: pb.OrchestratorAction) -> Any:
        """Record what the orchestrator asked for; return an activity that is to be run."""
        if action.HasField("createTimer"):
            at = action.createTimer.fireAt.ToDatetime()
            instance.timers[action.id] = at
            self._waits.append(at - self._now)
            timer = pb.TimerCreatedEvent(fireAt=action.createTimer.fireAt)
            instance.past.append(self._event(action.id, timerCreated=timer))
            return None
        if action.HasField("createSubOrchestration"):
            child = action.createSubOrchestration
            created = pb.SubOrchestrationInstanceCreatedEvent(
                instanceId=child.instanceId, name=child.name, input=child.input
            )
            instance.past.append(self._event(action.id, subOrchestrationInstanceCreated=created))
            self._start(child.name, child.instanceId, child.input, (instance, action.id))
            return None
        task = action.scheduleTask
        scheduled = pb.TaskScheduledEvent(name=task.name, input=task.input)
        instance.past.append(self._event(action.id, taskScheduled=scheduled))
        self._activities.append(task.name)
        if task.name in self._stuck:
            return None
        if task.name in self._late:
            self._delayed.append(self._activity(instance, action.id, task))
            return None
        return self._activity(instance, action.id, task)

    async def _activity(self, of: Instance, task_id: int, task: pb.ScheduleTaskAction) -> None:
        function = self._functions[task.name]
        datum = meta.Datum(type="json", value=task.input.value)
        argument = ActivityTriggerConverter.decode(datum, trigger_metadata=None)
        try:
            # Nobody listens for what a durable client would ask: there is none.
            clients = {
                one.name: "" for one in function.get_bindings() if one.type == "durableClient"
            }
            result = function.get_user_function()(
                **{function.get_trigger().name: argument}, **clients
            )
            result = await result if asyncio.iscoroutine(result) else result
        except Exception as error:
            details = pb.TaskFailureDetails(
                errorType=type(error).__name__, errorMessage=str(error).splitlines()[0]
            )
            failed = pb.TaskFailedEvent(taskScheduledId=task_id, failureDetails=details)
            of.inbox.append(self._event(taskFailed=failed))
            return
        value = StringValue(value=ActivityTriggerConverter.encode(result, expected_type=None).value)
        completed = pb.TaskCompletedEvent(taskScheduledId=task_id, result=value)
        of.inbox.append(self._event(taskCompleted=completed))

    def _fire_next_timer(self) -> None:
        pending = [
            (at, instance, timer_id)
            for instance in self._instances
            for timer_id, at in instance.timers.items()
        ]
        fire_at, instance, timer_id = min(pending, key=lambda one: one[0])
        del instance.timers[timer_id]
        self._now = max(self._now, fire_at)
        fired = pb.TimerFiredEvent(timerId=timer_id, fireAt=_moment(fire_at))
        instance.inbox.append(self._event(timerFired=fired))

    def _event(self, event_id: int = -1, **kind: Any) -> pb.HistoryEvent:
        return pb.HistoryEvent(eventId=event_id, timestamp=_moment(self._now), **kind)

    def _outcome(self, root: Instance, end: pb.CompleteOrchestrationAction) -> Outcome:
        return Outcome(
            output=json.loads(end.result.value) if end.result.value else None,
            failure=end.failureDetails,
            custom_status=json.loads(root.custom_status) if root.custom_status else None,
            elapsed=self._now - START,
            activities=self._activities,
            timers=self._waits,
            turns=root.turns,
            history=root.past,
        )


def _moment(at: datetime) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(at)
    return moment


def _text(value: Any) -> StringValue | None:
    return None if value is None else StringValue(value=json.dumps(value))
