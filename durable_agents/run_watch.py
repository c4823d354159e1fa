"""Ends a call when the orchestration that waits for it has ended: nobody pays for the rest."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from grpc import RpcError

from durable_agents.durable_clients import durable_client
from durable_agents.errors import AgentCancelled

_BEGIN_SECONDS = 0.3
_AGAIN_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60
_ENDED = ("COMPLETED", "FAILED", "TERMINATED")


@asynccontextmanager
async def ending_with(client: str, *instances: str) -> AsyncGenerator[None]:
    """Cancel what runs inside when an orchestration ends: completed, failed or terminated.

    Args:
        client: The settings of a durable client; empty for not to watch.
        instances: The instance ids of the orchestrations of which none may end; empty ones are
            left out.

    Raises:
        AgentCancelled: One has ended. The body got a CancelledError, and has closed what it had.
    """
    task = asyncio.current_task()
    watched = tuple(filter(None, instances))
    if not client or not watched or task is None:
        yield
        return
    watch = _Watch(task, client, watched)
    # A timer costs next to nothing, and most calls of a fast model are over before it.
    timer = asyncio.get_running_loop().call_later(_BEGIN_SECONDS, watch.begin)
    try:
        yield
    except asyncio.CancelledError:
        if not watch.has_ended or task.uncancel() > 0:
            raise
        raise AgentCancelled("the run that waited for this call has ended") from None
    finally:
        timer.cancel()
        watch.stop()


class _Watch:
    """Cancels a task when one of some orchestrations ends."""

    def __init__(self, task: asyncio.Task[Any], client: str, instances: tuple[str, ...]) -> None:
        self.has_ended = False
        self._task = task
        self._client = client
        self._instances = instances
        self._watching: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        self._watching = [asyncio.create_task(self._watch(one)) for one in self._instances]

    def stop(self) -> None:
        for watching in self._watching:
            watching.cancel()

    async def _watch(self, instance: str) -> None:
        await _end_of(self._client, instance)
        if not self.has_ended:
            self.has_ended = True
            self._task.cancel()


async def _end_of(client: str, instance: str) -> None:
    """Return when the orchestration has ended."""
    while True:
        try:
            state = await durable_client(client).wait_for_orchestration_completion(
                instance, fetch_payloads=False, timeout=_LONGEST_WAIT_SECONDS
            )
            if state is None or state.runtime_status.name in _ENDED:
                return
        except TimeoutError:
            pass  # it goes on
        except RpcError:
            # The scheduler is away. It cannot say that the run has ended, so the call goes on.
            await asyncio.sleep(_AGAIN_SECONDS)
