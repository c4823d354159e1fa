"""What the managed scheduler takes at most, and what in a message is larger. Pure.

This scheduler takes more. Who builds an app on it should learn that before the app is deployed.
"""

from collections.abc import Iterator

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

# Documented as 1 MB. Of the two readings this is the smaller one: what is not larger fits by both.
PAYLOAD_BYTES = 1_000_000
MESSAGE_BYTES = 4 * 1024 * 1024
ID_CHARACTERS = 100

type _Payload = tuple[str, StringValue]


def large_payloads(request: Message) -> Iterator[tuple[str, int]]:
    """Say what in a request is too large for the managed scheduler, each with its size in bytes."""
    for what, payload in _payloads(request):
        size = len(payload.value.encode())
        if size > PAYLOAD_BYTES:
            yield what, size


def _payloads(request: Message) -> Iterator[_Payload]:
    match request:
        case pb.CreateInstanceRequest():
            yield "its input", request.input
        case pb.RaiseEventRequest():
            yield f"the data of event '{request.name}'", request.input
        case pb.SignalEntityRequest():
            yield f"the input of operation '{request.name}'", request.input
        case pb.ActivityResponse():
            yield "its output", request.result
        case pb.OrchestratorResponse():
            yield "its custom status", request.customStatus
            for action in request.actions:
                yield from _of_action(action)
        case pb.EntityBatchResult():
            yield "its state", request.entityState
            yield from _of_batch(request)
        case _:
            pass


def _of_action(action: pb.OrchestratorAction) -> Iterator[_Payload]:
    match action.WhichOneof("orchestratorActionType"):
        case "scheduleTask":
            yield f"the input of activity '{action.scheduleTask.name}'", action.scheduleTask.input
        case "createSubOrchestration":
            child = action.createSubOrchestration
            yield f"the input of sub-orchestration '{child.name}'", child.input
        case "sendEvent":
            yield f"the data of event '{action.sendEvent.name}'", action.sendEvent.data
        case "completeOrchestration":
            yield "its output", action.completeOrchestration.result
        case "sendEntityMessage":
            called = action.sendEntityMessage.entityOperationCalled
            yield f"the input of operation '{called.operation}'", called.input
            signaled = action.sendEntityMessage.entityOperationSignaled
            yield f"the input of operation '{signaled.operation}'", signaled.input
        case _:
            pass


def _of_batch(result: pb.EntityBatchResult) -> Iterator[_Payload]:
    for outcome in result.results:
        yield "the output of an operation", outcome.success.result
    for action in result.actions:
        signal, start = action.sendSignal, action.startNewOrchestration
        yield f"the input of operation '{signal.name}'", signal.input
        yield f"the input of orchestration '{start.name}'", start.input
