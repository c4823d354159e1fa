"""Keeps messages that wait for a session in the order in which they came over HTTP.

A run takes its place in its first turn, and workers do turns in any order. So its place is taken
here, before anybody is told that the run was accepted; the run finds it taken.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from durabletask.client import AsyncTaskHubGrpcClient
from grpc import RpcError

from durable_agents.http.problems import Problem
from durable_agents.http.scheduler_calls import asked
from durable_agents.messages import RunRequest
from durable_agents.sessions import Begin, session_entity_id
from durable_agents.sessions.document import size_of_messages
from durable_agents.sessions.operations import MESSAGES_LIMIT

type _Key = tuple[asyncio.AbstractEventLoop, str, str]

_doors: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()


async def started_in_order(
    client: AsyncTaskHubGrpcClient,
    run: RunRequest,
    id: str,
    start: Callable[[], Awaitable[bool]],
) -> bool:
    """Start a run; one that waits for its session gets its place behind those that came before.

    Args:
        client: The durable client.
        run: What the run is started with.
        id: Its instance id.
        start: Starts it; False if it was there before.

    Returns:
        What `start` returned.
    """
    if not run.session or run.on_busy != "queue":
        return await start()
    key = (asyncio.get_running_loop(), run.agent, run.session)
    door = _doors.setdefault(key, asyncio.Lock())
    async with door:
        if not await start():
            return False
        # Without it the run takes its place itself, behind those that were faster.
        with suppress(Problem, RpcError):
            await _take_place(client, run, id)
    return True


async def _take_place(client: AsyncTaskHubGrpcClient, run: RunRequest, id: str) -> None:
    if size_of_messages(run.messages) > MESSAGES_LIMIT:
        return  # the run says so
    state = await asked(client.get_orchestration_state(id, fetch_payloads=False))
    if state is None:
        return
    begin = Begin(
        turn=id,
        instance=id,
        messages=run.messages,
        on_busy=run.on_busy,
        at=_as_utc(state.created_at).isoformat(),  # by the scheduler's clock
        principal=run.principal.id if run.principal is not None else "",
    )
    entity = session_entity_id(run.agent, run.session)
    await asked(client.signal_entity(entity, "begin", begin.to_json()))


def _as_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
