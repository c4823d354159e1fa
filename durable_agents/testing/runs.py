"""An orchestration as a test looks at it."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from durabletask.internal import orchestrator_service_pb2 as pb

from durable_agents.testing.instances import Execution, Instance
from durable_agents.testing.task_hub import ActivityWork, TaskHub

_PREFIX = "ORCHESTRATION_STATUS_"


@dataclass(frozen=True)
class Failure:
    """Why an orchestration or an activity failed.

    Attributes:
        type: The class name of the exception.
        message: Its text, as far as it crossed the durable boundary.
        stack: Where it was raised.
        inner: The failure that caused it, for an activity's that ended an orchestration.
    """

    type: str
    message: str
    stack: str = ""
    inner: "Failure | None" = None

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


@dataclass(frozen=True)
class Call:
    """One call of an activity: of an agent's model, or of a tool.

    Attributes:
        name: The activity.
        input: What it was given.
        output: What it returned; None while it has not.
        failure: Why it failed, if it did.
        at: When it was asked for.
        runs: How often it was begun; more than once only after a kill.
        is_done: Whether its end has been recorded.
        instance_id: The orchestration that called it.
    """

    name: str
    input: Any
    output: Any
    failure: Failure | None
    at: datetime
    runs: int
    is_done: bool
    instance_id: str

    @property
    def arguments(self) -> Any:
        """For a tool: the arguments that the tool was called with."""
        return json.loads(self.input["arguments"])

    @property
    def text(self) -> str:
        """What an agent's model answered, or what a tool came to."""
        return str(self.output["text"])


class Run:
    """An orchestration of a test, seen from outside. What it shows is as new as the host's work.

    Get it from `DurableTest.start`, or by its id from `DurableTest.find`.
    """

    def __init__(self, hub: TaskHub, instance: Instance) -> None:
        self._hub = hub
        self._instance = instance

    def __repr__(self) -> str:
        return f"<Run {self.name} {self.id} {self.status}>"

    @property
    def id(self) -> str:
        """The instance id."""
        return self._instance.id

    @property
    def name(self) -> str:
        """The orchestrator."""
        return self._instance.name

    @property
    def status(self) -> str:
        """`Pending`, `Running`, `Suspended`, `Completed`, `Failed` or `Terminated`."""
        name = pb.OrchestrationStatus.Name(self._instance.status)
        return name.removeprefix(_PREFIX).capitalize()

    @property
    def has_ended(self) -> bool:
        """Whether it is over, well or not."""
        return self._instance.has_ended

    @property
    def input(self) -> Any:
        """What it was started with."""
        started = self._instance.execution.started
        return _value(started.input.value if started.HasField("input") else None)

    @property
    def output(self) -> Any:
        """What it ended with; None while it has not."""
        return _value(self._instance.output)

    @property
    def failure(self) -> Failure | None:
        """Why it failed, if it did."""
        return _failure(self._instance.failure)

    @property
    def custom_status(self) -> Any:
        """What it says of itself."""
        return _value(self._instance.custom_status)

    @property
    def parent_id(self) -> str:
        """The instance id of its parent; empty for one that has none."""
        return self._instance.parent_id

    @property
    def children(self) -> list["Run"]:
        """Its sub-orchestrations, in the order of their start."""
        return [Run(self._hub, child) for child in self._hub.children(self.id)]

    @property
    def elapsed(self) -> timedelta:
        """How long it took, or has taken until now, in the test's time."""
        end = self._instance.completed_at or self._hub.now
        return end - self._instance.created_at

    @property
    def activities(self) -> list[str]:
        """The activities that it and its sub-orchestrations asked for, by name, in order."""
        return [work.name for work in self._work()]

    @property
    def timers(self) -> list[timedelta]:
        """The durable timers that it and its sub-orchestrations have set: how long each is."""
        ids = self.family
        return [wait.due - wait.at for wait in self._hub.waits if wait.instance_id in ids]

    @property
    def history(self) -> list[pb.HistoryEvent]:
        """The events of its history; after a continue-as-new, those since then."""
        return list(self._instance.execution.past)

    @property
    def executions(self) -> list[Execution]:
        """Its executions: one, and one more for each continue-as-new."""
        return list(self._instance.executions)

    @property
    def turns(self) -> int:
        """How many turns of the orchestrator there were, all executions together."""
        return sum(len(execution.turns) for execution in self._instance.executions)

    def calls(self, name: str) -> list[Call]:
        """Return the calls of an activity, by this run and its sub-orchestrations, in order."""
        return [_call(work) for work in self._work() if work.name.casefold() == name.casefold()]

    def waits_for(self) -> str:
        """Return in words what it waits for, for messages."""
        if self.has_ended:
            return "nothing: it has ended"
        open_work = [work.name for work in self._work() if not work.is_done]
        due = [one.due for one in self._hub.delayed if one.target in self.family]
        waits = [f"the activity '{name}'" for name in open_work]
        waits += [f"a timer at {min(due).isoformat()}"] if due else []
        waits += [f"{child}" for child in self.children if not child.has_ended]
        return ", ".join(waits) or "an event, or an entity"

    @property
    def family(self) -> set[str]:
        """The instance ids of it and of all below it."""
        ids = {self.id}
        waiting = [self.id]
        while waiting:
            for child in self._hub.children(waiting.pop()):
                if child.id not in ids:
                    ids.add(child.id)
                    waiting.append(child.id)
        return ids

    def _work(self) -> list[ActivityWork]:
        ids = self.family
        return [work for work in self._hub.work_log if work.key[0] in ids]


def _call(work: ActivityWork) -> Call:
    return Call(
        work.name,
        _value(work.given),
        _value(work.output),
        _failure(work.failure),
        work.at,
        work.runs,
        work.is_done,
        work.key[0],
    )


def _failure(details: pb.TaskFailureDetails | None) -> Failure | None:
    if details is None:
        return None
    inner = _failure(details.innerFailure) if details.HasField("innerFailure") else None
    # The SDK tells of an orchestrator's exception with its module.
    kind = details.errorType.rpartition(".")[2]
    return Failure(kind, details.errorMessage, details.stackTrace.value, inner)


def _value(text: str | None) -> Any:
    """Return stored data; a typed result is stored by the SDK with the name of its class."""
    value: Any = None if text is None or text == "" else json.loads(text)
    members = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if {"__class__", "__module__", "__data__"} <= set(members):
        return members["__data__"]
    return cast("Any", value)
