"""How one task hub of the scheduler is asked: its metadata, and how long an answer may take."""

from collections.abc import Callable
from typing import Any

from durabletask.internal.proto_task_hub_sidecar_service_stub import ProtoTaskHubSidecarServiceStub
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.scheduler.client import MAX_MESSAGE_BYTES, SchedulerClient

PATIENCE = 10.0
# An input travels with the rest of an instance's state: what comes in must be able to go out.
MAX_PAYLOAD_BYTES = MAX_MESSAGE_BYTES - 1024 * 1024


class HubCalls:
    """Calls of the scheduler that are about one task hub."""

    def __init__(self, scheduler: SchedulerClient, task_hub: str) -> None:
        self.task_hub = task_hub
        self._stub: ProtoTaskHubSidecarServiceStub = scheduler.stub
        self._waits: ProtoTaskHubSidecarServiceStub = scheduler.waits
        self._metadata = tuple(
            (name, task_hub if name == "taskhub" else value) for name, value in scheduler.metadata
        )

    async def _call(
        self, call: Callable[..., Any], request: object, *, patience: float = PATIENCE
    ) -> Any:
        # A scheduler that restarts is away for a moment: the call waits for it rather than fails.
        return await call(request, metadata=self._metadata, timeout=patience, wait_for_ready=True)


def optional(text: str | None) -> StringValue | None:
    """Return a text as a field that may be absent."""
    return None if text is None else StringValue(value=text)
