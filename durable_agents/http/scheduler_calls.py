"""Calls of the scheduler in bounded time: a request is answered also while it is away."""

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationState
from durabletask.entities import EntityInstanceId, EntityMetadata
from grpc import RpcError, StatusCode

from durable_agents.http.problems import Problem

# A scheduler that is well answers within milliseconds.
CALL_SECONDS = 8.0


async def asked[T](call: Awaitable[T], seconds: float | None = None) -> T:
    """Return what a scheduler answers to a call that is answered at once.

    Raises:
        Problem: It did not, in this time.
        RpcError: It answered that the call cannot be done: see `code_of`.
    """
    try:
        async with asyncio.timeout(CALL_SECONDS if seconds is None else seconds):
            return await call
    except TimeoutError:
        raise unavailable("no answer in time") from None
    except RpcError as error:
        if code_of(error) in _REFUSALS:
            raise
        raise unavailable(code_of(error).name) from None


async def found(client: AsyncTaskHubGrpcClient, entity: EntityInstanceId) -> EntityMetadata | None:
    """Return an entity; None if there is none, or what was asked for cannot be one.

    Raises:
        Problem: The scheduler did not answer.
    """
    try:
        return await asked(client.get_entity(entity))
    except RpcError:
        return None


async def ended(
    client: AsyncTaskHubGrpcClient, instance: str, seconds: float
) -> OrchestrationState | None:
    """Wait for the end of an orchestration: the scheduler is asked once, and answers at its end.

    Returns:
        The orchestration; None if it has not ended in time, is not there any more, or if the
        scheduler went away: the orchestration goes on without it being watched.
    """
    if seconds <= 0:
        return None
    try:
        return await client.wait_for_orchestration_completion(instance, timeout=seconds)
    except (TimeoutError, RpcError):
        return None


def code_of(error: RpcError) -> StatusCode:
    """Return the code of an error that a scheduler answers with."""
    return cast("StatusCode", cast("Any", error).code())


def unavailable(why: str) -> Problem:
    """Return how a request is answered while the scheduler is away."""
    return Problem(
        503,
        "SchedulerUnavailable",
        f"the scheduler did not answer ({why}); what was recorded is not lost: ask again.",
        headers={"Retry-After": "1"},
    )


# It is there, and says no; whatever else it says, it may say otherwise later.
_REFUSALS = {
    StatusCode.ALREADY_EXISTS,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.OUT_OF_RANGE,
    StatusCode.RESOURCE_EXHAUSTED,
}
