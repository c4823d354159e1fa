"""The functions of a user's app, found by trigger, and run as the Functions host runs them."""

import asyncio
import base64
import inspect
import json
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func
from azure.functions import meta
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.helpers import convert_to_entity_batch_request
from google.protobuf.message import Message

from durable_agents.testing import events

ORCHESTRATION, ACTIVITY, ENTITY = "orchestrationTrigger", "activityTrigger", "entityTrigger"
HTTP, CLIENT = "httpTrigger", "durableClient"
# Which property of a trigger has the name that orchestrations call the function by.
_NAMED_BY = {ORCHESTRATION: "orchestration", ACTIVITY: "activity", ENTITY: "entity_name"}


@dataclass(frozen=True)
class AppFunction:
    """One function of the app.

    Attributes:
        name: The name that callers know it by.
        kind: The type of its trigger.
        trigger: The trigger's binding.
        clients: The parameters that are given a durable client's configuration.
        code: The Python function that the app has registered.
    """

    name: str
    kind: str
    trigger: Any
    clients: tuple[str, ...]
    code: Any


class ActivityError(Exception):
    """An activity raised; `details` is what a history keeps of it."""

    def __init__(self, details: pb.TaskFailureDetails) -> None:
        super().__init__(f"{details.errorType}: {details.errorMessage}")
        self.details = details


class AppFunctions:
    """The functions of an app, found without regard to case, as the Functions host does.

    Args:
        app: The app.
        client: What durable clients of the app are made from: a JSON text.
    """

    def __init__(self, app: func.FunctionRegister, client: str = "{}") -> None:
        self.client = client
        self._found: dict[tuple[str, str], AppFunction] = {}
        # An app that a test has had before: names count as taken only within one listing.
        app.functions_bindings = None
        for one in app.get_functions():
            function = _read(one)
            self._found[function.kind, function.name.casefold()] = function

    @property
    def has_clients(self) -> bool:
        """Whether a function of the app wants a durable client."""
        return any(function.clients for function in self._found.values())

    def of_kind(self, kind: str) -> Iterator[AppFunction]:
        """Return the functions with this type of trigger."""
        return (function for function in self._found.values() if function.kind == kind)

    def names(self, kind: str) -> str:
        """Return the names of the functions with this type of trigger, for messages."""
        shown = (one.name for one in self.of_kind(kind) if not one.name.startswith("BuiltIn__"))
        return ", ".join(sorted(shown)) or "none"

    def knows(self, kind: str, name: str) -> bool:
        """Whether there is such a function."""
        return (kind, name.casefold()) in self._found

    async def turn(self, name: str, request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
        """Run a turn of an orchestrator; one that cannot be run ends as failed."""
        function = self._found.get((ORCHESTRATION, name.casefold()))
        if function is None:
            return _refused_turn(request, self._unknown(ORCHESTRATION, "Orchestrator", name))
        response = pb.OrchestratorResponse()
        try:
            returned = await function.code(**self._arguments(function, _encoded(request)))
            response.ParseFromString(base64.b64decode(returned))
        except Exception as error:
            return _refused_turn(request, _details(error))
        return response

    async def activity(self, name: str, given: str | None) -> str | None:
        """Run an activity on its input, a JSON text; return its result, a JSON text.

        Raises:
            ActivityError: It raised, or there is no such activity.
        """
        function = self._found.get((ACTIVITY, name.casefold()))
        if function is None:
            raise ActivityError(self._unknown(ACTIVITY, "Activity", name))
        try:
            # As the host does it: an input that is not there is the JSON null.
            datum = meta.Datum(type="json", value="null" if given is None else given)
            converter = _activity_converter()
            result = await self.call(function, converter.decode(datum, trigger_metadata=None))
            if result is None:
                return None
            return str(converter.encode(result, expected_type=None).value)
        except Exception as error:
            raise ActivityError(_details(error)) from error

    async def operations(self, request: pb.EntityRequest) -> pb.EntityBatchResult:
        """Run operations of an entity; one that cannot be run fails each, and keeps the state."""
        name = request.instanceId.removeprefix("@").partition("@")[0]
        batch, _ = convert_to_entity_batch_request(request)
        if not request.HasField("entityState"):
            batch.ClearField("entityState")
        function = self._found.get((ENTITY, name.casefold()))
        if function is None:
            return _refused_batch(batch, self._unknown(ENTITY, "Entity", name))
        result = pb.EntityBatchResult()
        try:
            returned = await function.code(**self._arguments(function, _encoded(batch)))
            result.ParseFromString(base64.b64decode(returned))
        except Exception as error:
            return _refused_batch(batch, _details(error))
        return result

    async def call(self, function: AppFunction, value: Any) -> Any:
        """Call a function with the value of its trigger: one that is no coroutine on a thread."""
        arguments = self._arguments(function, value)
        if inspect.iscoroutinefunction(function.code):
            return await function.code(**arguments)
        result = await asyncio.to_thread(function.code, **arguments)
        return await result if inspect.isawaitable(result) else result

    def _arguments(self, function: AppFunction, value: Any) -> dict[str, Any]:
        return {function.trigger.name: value, **dict.fromkeys(function.clients, self.client)}

    def _unknown(self, kind: str, noun: str, name: str) -> pb.TaskFailureDetails:
        return pb.TaskFailureDetails(
            errorType=f"{noun}FunctionNotFound",
            errorMessage=f"the app has no {noun.lower()} '{name}'; it has: {self.names(kind)}.",
            isNonRetriable=True,
        )


def _read(function: Any) -> AppFunction:
    trigger = function.get_trigger()
    kind = str(trigger.get_binding_name() or trigger.type)
    clients = tuple(
        str(one.name)
        for one in function.get_bindings()
        if CLIENT in (one.get_binding_name(), getattr(one, "type", None))
    )
    name = getattr(trigger, _NAMED_BY.get(kind, ""), None) or function.get_function_name()
    return AppFunction(str(name), kind, trigger, clients, function.get_user_function())


def _activity_converter() -> Any:
    """Return the SDK's converter, by the door that the Functions worker uses."""
    registry: Any = meta.get_binding_registry()
    return registry.get(ACTIVITY)


def _encoded(message: Message) -> str:
    return base64.b64encode(message.SerializeToString()).decode("ascii")


def _details(error: Exception) -> pb.TaskFailureDetails:
    """Return what crosses on Azure of an exception: class name, first line, stack."""
    lines = str(error).splitlines()
    stack = "".join(traceback.format_exception(error))
    return pb.TaskFailureDetails(
        errorType=type(error).__name__,
        errorMessage=lines[0].rstrip() if lines else "",
        stackTrace=events.text(stack),
    )


def _refused_turn(
    request: pb.OrchestratorRequest, details: pb.TaskFailureDetails
) -> pb.OrchestratorResponse:
    end = pb.CompleteOrchestrationAction(
        orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=details
    )
    # An action's id becomes its event's id, so it must not be one that the history holds.
    free = max((event.eventId for event in request.pastEvents), default=events.NO_ID) + 1
    action = pb.OrchestratorAction(id=free, completeOrchestration=end)
    return pb.OrchestratorResponse(instanceId=request.instanceId, actions=[action])


def _refused_batch(
    batch: pb.EntityBatchRequest, details: pb.TaskFailureDetails
) -> pb.EntityBatchResult:
    failure = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=details))
    return pb.EntityBatchResult(
        results=[failure for _ in batch.operations],
        entityState=batch.entityState if batch.HasField("entityState") else None,
    )


def client_configuration(port: int, task_hub: str) -> str:
    """Return what a durable client binding is given: where its scheduler listens, and the hub."""
    fields: Mapping[str, Any] = {
        "taskHubName": task_hub,
        "requiredQueryStringParameters": f"taskHub={task_hub}&connection=Storage",
        "connectionName": "Storage",
        "rpcBaseUrl": f"http://127.0.0.1:{port}",
        "httpBaseUrl": "http://localhost:7071/runtime/webhooks/durabletask",
    }
    return json.dumps(fields)
