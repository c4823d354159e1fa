"""JSON schemas of what the webhook answers; the contract's tests hold the replies to them."""

from collections.abc import Mapping
from typing import Any

from local_runtime.functions_host.webhook.contract.parameters import STATUS_NAMES

type Schema = Mapping[str, Any]

_WHOLE_SECONDS = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
_FRACTION = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"
_TEXT: Schema = {"type": "string"}


def ref(name: str) -> Schema:
    """Return a reference to one of COMPONENTS."""
    return {"$ref": f"#/components/schemas/{name}"}


def closed(
    properties: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None
) -> Schema:
    """Return the schema of an object that has these fields and no others."""
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }


def _url(description: str) -> Schema:
    # Not `format: uri`: the placeholders `{text}` and `{eventName}` are in some.
    return {"type": "string", "pattern": "^https?://", "description": description}


ANY: Schema = {"description": "Any JSON."}
MESSAGE: Schema = {"type": "string"}
ERROR, EXCEPTION = ref("Error"), ref("Exception")
STATUS, CHECK_STATUS, PURGED = ref("Status"), ref("CheckStatus"), ref("Purged")
STATUS_LIST: Schema = {"type": "array", "items": STATUS}
ENTITY_LIST: Schema = {"type": "array", "items": ref("Entity")}

COMPONENTS: Mapping[str, Schema] = {
    "Error": closed({"Message": _TEXT}),
    "Exception": closed(
        {
            "Message": _TEXT,
            "ExceptionMessage": _TEXT,
            "ExceptionType": _TEXT,
            "StackTrace": _TEXT,
        }
    ),
    "CheckStatus": closed(
        {
            "id": {"type": "string", "minLength": 1},
            "statusQueryGetUri": _url("Answers the state."),
            "sendEventPostUri": _url("Raises an event; put its name for `{eventName}`."),
            "terminatePostUri": _url("Ends the instance; put a reason for `{text}`."),
            "purgeHistoryDeleteUri": _url("Deletes the finished instance."),
            "restartPostUri": _url("Runs the finished instance again."),
            "suspendPostUri": _url("Pauses the instance; put a reason for `{text}`."),
            "resumePostUri": _url("Lets it go on; put a reason for `{text}`."),
        }
    ),
    "Status": closed(
        {
            "name": _TEXT,
            "instanceId": _TEXT,
            "runtimeStatus": {"type": "string", "enum": list(STATUS_NAMES)},
            "input": ANY,
            "customStatus": ANY,
            "output": {"description": "Any JSON; the message of the failure if it has failed."},
            "createdTime": {"type": "string", "pattern": _WHOLE_SECONDS},
            "lastUpdatedTime": {"type": "string", "pattern": _WHOLE_SECONDS},
        },
        {"historyEvents": {"type": "array", "items": ref("HistoryEvent")}},
    ),
    "HistoryEvent": {
        "type": "object",
        "properties": {
            "EventType": _TEXT,
            "Timestamp": {"type": "string", "pattern": _FRACTION},
            "FunctionName": _TEXT,
            "ScheduledTime": {"type": "string", "pattern": _FRACTION},
        },
        "required": ["EventType", "Timestamp"],
        "not": {
            "anyOf": [
                {"required": [name]}
                for name in ("EventId", "IsPlayed", "TaskScheduledId", "TimerId")
            ]
        },
    },
    "Purged": closed({"instancesDeleted": {"type": "integer", "minimum": 1}}),
    "Entity": closed(
        {
            "entityId": closed({"name": _TEXT, "key": _TEXT}),
            "lastOperationTime": {"type": "string", "pattern": _FRACTION},
            "state": ANY,
        }
    ),
}
