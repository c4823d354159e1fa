"""The SDK's own client, in the hands of somebody who tries again when the scheduler dies."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import grpc
from durabletask import client, entities, grpc_options

from tests.soak.ledger import Instance

_OPTIONS = grpc_options.GrpcChannelOptions(
    raw_options=[
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),
    ]
)
_LOOK_SECONDS = 20.0  # how long one call waits for an instance before the next one does
_NEVER_SENT = "failed to connect to all addresses"


class Refused(Exception):
    """A call that has to succeed ended with an error of its own."""


class Patient:
    """Makes each call until it is answered; tells how many tries may have got through."""

    def __init__(self, address: str, task_hub: str = "default") -> None:
        quiet = logging.getLogger("tests.soak.client")
        quiet.setLevel(logging.CRITICAL)
        self.sdk = client.AsyncTaskHubGrpcClient(
            host_address=address,
            metadata=[("taskhub", task_hub)],
            logger=quiet,
            channel_options=_OPTIONS,
            # A channel made anew cancels the calls on the old one.
            resiliency_options=grpc_options.GrpcClientResiliencyOptions(
                channel_recreate_failure_threshold=0
            ),
        )

    async def insist(
        self, call: Callable[[], Awaitable[Any]], *, taken: grpc.StatusCode | None = None
    ) -> tuple[Any, int]:
        """Call until there is an answer.

        Args:
            call: makes one try.
            taken: the error that tells, when a try got lost, that it had been taken.

        Returns:
            The answer (None for one that was taken) and how many tries may have got through.
        """
        tries = 0
        while True:
            try:
                return await call(), tries + 1
            except grpc.aio.AioRpcError as error:
                if tries and error.code() is taken:
                    return None, tries
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise Refused(f"{error.code().name}: {error.details()}") from error
                tries += _NEVER_SENT not in (error.details() or "")
            await self.pause()

    @staticmethod
    async def pause(seconds: float = 0.05) -> None:
        """Let the scheduler come back, or get further: it has no way to tell a client of that."""
        await asyncio.sleep(seconds)

    async def start(self, name: str, instance_id: str, given: object) -> None:
        await self.insist(
            lambda: self.sdk.schedule_new_orchestration(name, input=given, instance_id=instance_id),
            taken=grpc.StatusCode.ALREADY_EXISTS,
        )

    async def tell(self, instance_id: str, name: str, data: object) -> int:
        """Raise an event; how many times it may have arrived."""
        raised = self.insist(
            lambda: self.sdk.raise_orchestration_event(instance_id, name, data=data)
        )
        return (await raised)[1]

    async def signal(self, entity: entities.EntityInstanceId, at: datetime | None) -> int:
        """Signal an entity to add one; how many times it may have arrived."""
        sent = self.insist(
            lambda: self.sdk.signal_entity(entity, "add", 1, at.astimezone(UTC) if at else None)
        )
        return (await sent)[1]

    async def state(self, instance_id: str) -> client.OrchestrationState | None:
        return (await self.insist(lambda: self.sdk.get_orchestration_state(instance_id)))[0]

    async def finished(self, instance_id: str) -> client.OrchestrationState | None:
        """Wait for an instance's end, however long it takes."""
        while True:
            try:
                return (await self.insist(lambda: self._look(instance_id)))[0]
            except TimeoutError:
                continue

    async def _look(self, instance_id: str) -> client.OrchestrationState | None:
        return await self.sdk.wait_for_orchestration_completion(instance_id, timeout=_LOOK_SECONDS)

    async def value(self, entity: entities.EntityInstanceId) -> int:
        """The number an entity holds."""
        found = (await self.insist(lambda: self.sdk.get_entity(entity)))[0]
        return 0 if found is None else found.get_typed_state(int) or 0


def judged(instance: Instance, state: client.OrchestrationState) -> list[str]:
    """What is wrong with the way an instance ended."""
    failure = state.failure_details
    why = f"{failure.error_type}: {failure.message}" if failure is not None else None
    return instance.faults(status(state), state.get_output(), why)


def status(state: client.OrchestrationState) -> str:
    """The name of an instance's state, as in the file."""
    return state.runtime_status.name
