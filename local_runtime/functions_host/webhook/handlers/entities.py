"""The routes below entities/: list them, read one, signal one."""

import json
from collections.abc import Awaitable
from typing import Any

import grpc
import grpc.aio
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import Int32Value, StringValue
from starlette.responses import Response

from local_runtime.functions_host.app.function_index import ENTITY
from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.contract.parameters import (
    CONTINUATION_TOKEN,
    ENTITY_KEY,
    ENTITY_NAME,
    FETCH_STATE,
    OPERATED_FROM,
    OPERATED_TO,
    OPERATION,
)
from local_runtime.functions_host.webhook.handlers.pages import asked_token, page_size
from local_runtime.functions_host.webhook.replies import Refused, empty, error, raw_reply, reply
from local_runtime.functions_host.webhook.shapes import json_text, moments
from local_runtime.functions_host.webhook.task_hub.paging import fitting_page, to_header
from local_runtime.functions_host.webhook.trace_context import trace_context

_EMPTY_KEY = "$"


async def list_entities(call: Call) -> Response:
    """Answer one page of entities by id; the continuation header is empty at the end."""
    name = call.params.get(ENTITY_NAME.name.lower())
    token = asked_token(call)
    with_state = call.query.flag(FETCH_STATE)

    async def fetch(size: int, with_payloads: bool) -> pb.QueryEntitiesResponse:
        return await _asked(
            call.entities.query(
                pb.EntityQuery(
                    instanceIdStartsWith=StringValue(value=_entity_id(name, "")) if name else None,
                    lastModifiedFrom=moments.parse(call.query.get(OPERATED_FROM)),
                    lastModifiedTo=moments.parse(call.query.get(OPERATED_TO)),
                    includeState=with_state and with_payloads,
                    pageSize=Int32Value(value=size),
                    continuationToken=StringValue(value=token) if token else None,
                )
            )
        )

    page = await fitting_page(fetch, page_size(call))
    items = [_item(entity) for entity in page.entities]
    return reply(200, items, {CONTINUATION_TOKEN.name: to_header(page.continuationToken.value)})


async def get_entity(call: Call) -> Response:
    """Answer an entity's state as it is, without an envelope."""
    key = call.path(ENTITY_KEY)
    entity_id = _entity_id(call.path(ENTITY_NAME), "" if key == _EMPTY_KEY else key)
    entity = await _asked(call.entities.get(entity_id))
    return empty(404) if entity is None else raw_reply(200, entity.serializedState.value)


async def signal_entity(call: Call) -> Response:
    """Send an operation, with the body for its input."""
    return await _signal(call, call.query.get(OPERATION) or "", _input(call))


async def delete_entity(call: Call) -> Response:
    """Send the operation `delete`: what it does is the entity's to say."""
    return await _signal(call, "delete", None)


async def _signal(call: Call, operation: str, data: str | None) -> Response:
    name, key = call.path(ENTITY_NAME), call.params.get(ENTITY_KEY.name.lower(), "")
    entity_id = _entity_id(name, key)
    index = call.context.index
    if index.find(ENTITY, name) is None:
        return error(400, index.unknown(ENTITY, name))
    now = Timestamp()
    now.FromDatetime(call.context.clock.now())
    request = pb.SignalEntityRequest(
        instanceId=entity_id,
        name=operation,
        input=None if data is None else StringValue(value=data),
        requestId=call.context.new_id(),
        parentTraceContext=trace_context(call),
        requestTime=now,
    )
    await _asked(call.entities.signal(request))
    return empty(202)


async def _asked[Answer](answer: Awaitable[Answer]) -> Answer:
    """Return the scheduler's answer.

    Raises:
        Refused: The scheduler takes no such name or key; below entities/ the extension says so
            in a message only.
    """
    try:
        return await answer
    except grpc.aio.AioRpcError as problem:
        if problem.code() != grpc.StatusCode.INVALID_ARGUMENT:
            raise
        raise Refused(error(400, problem.details() or "")) from problem


def _input(call: Call) -> str | None:
    if not call.body:
        return None
    if call.media_type != "application/json":
        return json.dumps(call.body.decode("utf-8-sig", "replace"), ensure_ascii=False)
    try:
        return json_text.check(call.body)
    except ValueError as problem:
        raise Refused(error(400, f"Could not parse JSON content: {problem}")) from problem


def _entity_id(name: str, key: str) -> str:
    """Return the scheduler's id of an entity.

    Raises:
        Refused: The name cannot be one: its `@` would be read as the end of another name.
    """
    if "@" in name:
        raise Refused(error(400, "Invalid entity id: an entity's name has no @ in it."))
    return f"@{name.lower()}@{key}"


def _item(entity: pb.EntityMetadata) -> dict[str, Any]:
    name, _, key = entity.instanceId.removeprefix("@").partition("@")
    shown = entity.HasField("serializedState")
    return {
        "entityId": {"name": name, "key": key},
        "lastOperationTime": moments.exact(entity.lastModifiedTime),
        "state": json_text.parse(entity.serializedState.value) if shown else None,
    }
