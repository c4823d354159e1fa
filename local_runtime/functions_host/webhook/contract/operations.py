"""The table of the webhook's operations: the routes, and what the document is made of."""

from collections.abc import Mapping
from typing import Any

from local_runtime.functions_host.webhook.contract import parameters as p
from local_runtime.functions_host.webhook.contract import schemas as s
from local_runtime.functions_host.webhook.contract.operation import Answer, Body, Handler, Operation
from local_runtime.functions_host.webhook.handlers.control import (
    raise_event,
    resume,
    suspend,
    terminate,
)
from local_runtime.functions_host.webhook.handlers.entities import (
    delete_entity,
    get_entity,
    list_entities,
    signal_entity,
)
from local_runtime.functions_host.webhook.handlers.make_primary import make_primary
from local_runtime.functions_host.webhook.handlers.purge import purge_many, purge_one
from local_runtime.functions_host.webhook.handlers.rerun import restart, rewind
from local_runtime.functions_host.webhook.handlers.start import start
from local_runtime.functions_host.webhook.handlers.status import get_status, list_instances

type _Header = Mapping[str, Any]


def _location(retry_after: int) -> dict[str, _Header]:
    return {
        "Location": {"type": "string", "pattern": "^https?://"},
        "Retry-After": {"type": "integer", "enum": [retry_after]},
    }


_PAGED: dict[str, _Header] = {"x-ms-continuation-token": {"type": "string"}}
_ACCEPTED = Answer("It is on disk and will be done.")
_NOT_FOUND = Answer("There is no such instance.")
_GONE = Answer("The instance is finished.")
_STARTED = Answer("It is on its way; where to follow it.", (s.CHECK_STATUS,), _location(10))
_WAITED = Answer("The output, or the state of one that failed or was terminated.", (s.ANY,))
_WAITED_FAILED = Answer("It failed, and the caller asked for this code.", (s.STATUS,))
_TOO_LARGE = Answer("It is larger than one message of the scheduler holds.", (s.ERROR,))
_TRACE = (p.TRACE_PARENT, p.TRACE_STATE)
_WAIT = (p.TIMEOUT, p.POLLING_INTERVAL, p.RETURN_500)


def _start(path: str, *ids: p.Parameter) -> Operation:
    return Operation(
        "POST",
        path,
        start,
        "Start an orchestration",
        {
            200: _WAITED,
            202: _STARTED,
            400: Answer("Unknown orchestrator, bad id, or body that is not JSON."),
            **({409: Answer("An unfinished instance has this id.", (s.ERROR,))} if ids else {}),
            413: _TOO_LARGE,
            500: _WAITED_FAILED,
        },
        (p.FUNCTION_NAME, *ids, p.VERSION, *_WAIT, *_TRACE),
        Body("The input; read as JSON whatever its type.", {"application/json": s.ANY}),
        starts=True,
    )


def _control(name: str, handler: Handler, summary: str) -> Operation:
    return Operation(
        "POST",
        f"instances/{{instanceId}}/{name}",
        handler,
        summary,
        {202: _ACCEPTED, 404: _NOT_FOUND, 410: _GONE},
        (p.INSTANCE_ID, p.REASON),
    )


_INSTANCES = (
    Operation(
        "GET",
        "instances",
        list_instances,
        "List instances, the newest first",
        {
            200: Answer("One page; the header is empty at the end.", (s.STATUS_LIST,), _PAGED),
        },
        (
            *(p.ID_PREFIX, p.CREATED_FROM, p.CREATED_TO, p.RUNTIME_STATUS),
            *(p.SHOW_INPUT, p.TOP, p.CONTINUATION_TOKEN),
        ),
    ),
    Operation(
        "DELETE",
        "instances",
        purge_many,
        "Delete finished instances",
        {
            200: Answer("How many were deleted.", (s.PURGED,)),
            400: Answer("`createdTimeFrom` is missing, or no date.", (s.MESSAGE,)),
            404: Answer("There was none."),
        },
        (p.PURGE_FROM, p.CREATED_TO, p.RUNTIME_STATUS),
    ),
    Operation(
        "GET",
        "instances/{instanceId}",
        get_status,
        "Get the state of an instance",
        {
            200: Answer("It is finished.", (s.STATUS,)),
            202: Answer("It is not finished; ask again.", (s.STATUS,), _location(5)),
            404: _NOT_FOUND,
            413: _TOO_LARGE,
            500: _WAITED_FAILED,
        },
        (p.INSTANCE_ID, p.SHOW_HISTORY, p.SHOW_HISTORY_OUTPUT, p.SHOW_INPUT, p.RETURN_500),
    ),
    Operation(
        "DELETE",
        "instances/{instanceId}",
        purge_one,
        "Delete a finished instance, or an entity",
        {
            200: Answer("It was deleted.", (s.PURGED,)),
            404: _NOT_FOUND,
            412: Answer("It is not finished.", (s.MESSAGE,)),
        },
        (p.INSTANCE_ID,),
    ),
)

_ON_ONE_INSTANCE = (
    Operation(
        "POST",
        "instances/{instanceId}/raiseEvent/{eventName}",
        raise_event,
        "Raise an event",
        {
            202: _ACCEPTED,
            400: Answer("The body is no JSON, or its type is another.", (s.ERROR,)),
            404: _NOT_FOUND,
            410: _GONE,
            413: _TOO_LARGE,
        },
        (p.INSTANCE_ID, p.EVENT_NAME),
        Body("The event's data.", {"application/json": s.ANY}, required=True),
    ),
    _control("terminate", terminate, "End an instance"),
    _control("suspend", suspend, "Pause an instance"),
    _control("resume", resume, "Let a paused instance go on"),
    Operation(
        "POST",
        "instances/{instanceId}/restart",
        restart,
        "Run a finished instance again",
        {
            200: _WAITED,
            202: _STARTED,
            400: Answer("There is no such instance."),
            409: Answer("It is not finished.", (s.EXCEPTION,)),
            413: _TOO_LARGE,
            500: _WAITED_FAILED,
        },
        (p.INSTANCE_ID, p.NEW_ID, *_WAIT),
        starts=True,
    ),
    Operation(
        "POST",
        "instances/{instanceId}/rewind",
        rewind,
        "Let a failed instance go on from before its failure",
        {
            202: _ACCEPTED,
            404: Answer("There is no such instance.", (s.MESSAGE,)),
            412: Answer("It has not failed.", (s.MESSAGE,)),
        },
        (p.INSTANCE_ID, p.REASON),
    ),
)


def _list_entities(path: str, *name: p.Parameter) -> Operation:
    return Operation(
        "GET",
        path,
        list_entities,
        "List entities",
        {
            200: Answer("One page; the header is empty at the end.", (s.ENTITY_LIST,), _PAGED),
            400: Answer("Bad name.", (s.ERROR,)),
        },
        (*name, p.OPERATED_FROM, p.OPERATED_TO, p.FETCH_STATE, p.TOP, p.CONTINUATION_TOKEN),
    )


def _signal(path: str, *names: p.Parameter) -> Operation:
    return Operation(
        "POST",
        path,
        signal_entity,
        "Signal an entity" + ("" if p.ENTITY_KEY in names else ", the one with the empty key"),
        {
            202: _ACCEPTED,
            400: Answer("Unknown entity, bad key, or a body that is not JSON.", (s.ERROR,)),
            413: _TOO_LARGE,
        },
        (*names, p.OPERATION, *_TRACE),
        Body("The input.", {"application/json": s.ANY, "text/plain": {"type": "string"}}),
    )


def _delete(path: str, *names: p.Parameter) -> Operation:
    return Operation(
        "DELETE",
        path,
        delete_entity,
        "Signal the operation `delete`"
        + ("" if p.ENTITY_KEY in names else " to the entity with the empty key"),
        {202: _ACCEPTED, 400: Answer("Unknown entity, or bad key.", (s.ERROR,))},
        (*names, *_TRACE),
    )


_ENTITIES = (
    _list_entities("entities"),
    _list_entities("entities/{entityName}", p.ENTITY_NAME),
    Operation(
        "GET",
        "entities/{entityName}/{entityKey}",
        get_entity,
        "Get the state of an entity",
        {
            200: Answer("The state as it is.", (s.ANY,)),
            400: Answer("Bad name or key.", (s.ERROR,)),
            404: Answer("There is no such entity."),
            413: _TOO_LARGE,
        },
        (p.ENTITY_NAME, p.ENTITY_KEY),
    ),
    *(
        operation(path, *names)
        for operation in (_signal, _delete)
        for path, names in (
            ("entities/{entityName}", (p.ENTITY_NAME,)),
            ("entities/{entityName}/{entityKey}", (p.ENTITY_NAME, p.ENTITY_KEY)),
        )
    ),
)

OPERATIONS = (
    _start("orchestrators/{functionName}"),
    _start("orchestrators/{functionName}/{instanceId}", p.NEW_INSTANCE_ID),
    *_INSTANCES,
    *_ON_ONE_INSTANCE,
    *_ENTITIES,
    *(
        Operation(
            verb, "makeprimary", make_primary, "Make this app the primary", {200: Answer("It is.")}
        )
        for verb in ("GET", "POST", "DELETE", "OPTIONS")
    ),
)
