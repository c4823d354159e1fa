"""The protocol's methods; a client that calls another gets UNIMPLEMENTED."""

from collections.abc import Awaitable, Callable
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from local_runtime.scheduler.service import (
    entity_calls,
    hub_calls,
    instance_calls,
    list_calls,
    worker_calls,
)
from local_runtime.scheduler.service.calls import default_hub

type Unary = Callable[[Any, Any], Awaitable[Message]]
type OnHubs = Callable[[Any, str, Any], Awaitable[Message]]
type Stream = Callable[[Any, Any, Any], Awaitable[None]]
type Unnamed = Callable[[Any, Any], str]

UNARY: dict[str, tuple[Unary, type[Message]]] = {
    "Hello": (worker_calls.hello, Empty),
    "CompleteOrchestratorTask": (worker_calls.complete_turn, pb.OrchestratorResponse),
    "CompleteActivityTask": (worker_calls.complete_activity, pb.ActivityResponse),
    "CompleteEntityTask": (worker_calls.complete_batch, pb.EntityBatchResult),
    "AbandonTaskOrchestratorWorkItem": (
        worker_calls.abandon_turn,
        pb.AbandonOrchestrationTaskRequest,
    ),
    "AbandonTaskActivityWorkItem": (
        worker_calls.abandon_activity,
        pb.AbandonActivityTaskRequest,
    ),
    "AbandonTaskEntityWorkItem": (worker_calls.abandon_batch, pb.AbandonEntityTaskRequest),
    "StartInstance": (instance_calls.start, pb.CreateInstanceRequest),
    "GetInstance": (instance_calls.get, pb.GetInstanceRequest),
    "WaitForInstanceStart": (instance_calls.wait_for_start, pb.GetInstanceRequest),
    "WaitForInstanceCompletion": (instance_calls.wait_for_completion, pb.GetInstanceRequest),
    "RaiseEvent": (instance_calls.raise_event, pb.RaiseEventRequest),
    "TerminateInstance": (instance_calls.terminate, pb.TerminateRequest),
    "SuspendInstance": (instance_calls.suspend, pb.SuspendRequest),
    "ResumeInstance": (instance_calls.resume, pb.ResumeRequest),
    "RewindInstance": (instance_calls.rewind, pb.RewindInstanceRequest),
    "RestartInstance": (instance_calls.restart, pb.RestartInstanceRequest),
    "SkipGracefulOrchestrationTerminations": (
        instance_calls.skip_graceful_terminations,
        pb.SkipGracefulOrchestrationTerminationsRequest,
    ),
    "QueryInstances": (list_calls.query, pb.QueryInstancesRequest),
    "ListInstanceIds": (list_calls.list_ids, pb.ListInstanceIdsRequest),
    "PurgeInstances": (list_calls.purge_instances, pb.PurgeInstancesRequest),
    "SignalEntity": (entity_calls.signal, pb.SignalEntityRequest),
    "GetEntity": (entity_calls.get, pb.GetEntityRequest),
    "QueryEntities": (entity_calls.query, pb.QueryEntitiesRequest),
    "CleanEntityStorage": (entity_calls.clean, pb.CleanEntityStorageRequest),
}

ON_HUBS: dict[str, tuple[OnHubs, type[Message]]] = {
    "CreateTaskHub": (hub_calls.create, pb.CreateTaskHubRequest),
    "DeleteTaskHub": (hub_calls.delete, pb.DeleteTaskHubRequest),
}

# With what tells which hub a call means that names none.
STREAMS: dict[str, tuple[Stream, type[Message], Unnamed]] = {
    "GetWorkItems": (worker_calls.get_work_items, pb.GetWorkItemsRequest, default_hub),
    "StreamInstanceHistory": (
        list_calls.stream_history,
        pb.StreamInstanceHistoryRequest,
        list_calls.hub_of_history,
    ),
}
