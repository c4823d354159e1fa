"""The parameters of the webhook's operations. Handlers read by these, and the document shows them.

Values that make no sense are ignored, as the extension ignores them: a schema says what is useful.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

type Schema = Mapping[str, Any]

HUB_NAME = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_NO_CONTROL = r"[^\u0000-\u001f\u007f-\u009f]"


@dataclass(frozen=True, eq=False)
class Parameter:
    """One parameter: its name (compared without case), where it stands, and what it may be."""

    name: str
    description: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    location: Literal["query", "header", "path"] = "query"
    required: bool = False


def _flag(name: str, description: str, *, default: bool = False) -> Parameter:
    return Parameter(name, description, {"type": "boolean", "default": default})


def _moment(name: str, description: str, *, required: bool = False) -> Parameter:
    schema = {"type": "string", "format": "date-time"}
    return Parameter(name, description, schema, required=required)


STATUS_NAMES = (
    *("Running", "Completed", "ContinuedAsNew", "Failed"),
    *("Canceled", "Terminated", "Pending", "Suspended"),
)

TASK_HUB = Parameter(
    "taskHub",
    "The task hub; the host's own if absent.",
    {"type": "string", "pattern": HUB_NAME},
)
CONNECTION = Parameter("connection", "The connection's name, repeated in the management URLs.")
CODE = Parameter("code", "The system key `durabletask_extension`, where keys are asked for.")

TIMEOUT = Parameter(
    "timeout",
    "Wait so many seconds for the end of the instance, and answer its output.",
    {"type": "number", "minimum": 0},
)
POLLING_INTERVAL = Parameter(
    "pollingInterval",
    "Not needed; must not be longer than `timeout`.",
    {"type": "number", "minimum": 0},
)
VERSION = Parameter("version", "The version of the new instance; host.json's default if absent.")
RETURN_500 = _flag(
    "returnInternalServerErrorOnFailure", "Answer 500, with the same body, for a failed instance."
)
SHOW_HISTORY = _flag("showHistory", "Add `historyEvents`.")
SHOW_HISTORY_OUTPUT = _flag("showHistoryOutput", "Show results in `historyEvents`.")
SHOW_INPUT = _flag("showInput", "Show inputs; `input` is null otherwise.", default=True)
ID_PREFIX = Parameter("instanceIdPrefix", "Only instances whose id begins so.")
CREATED_FROM = _moment("createdTimeFrom", "Only instances created at this time or later.")
PURGE_FROM = _moment("createdTimeFrom", CREATED_FROM.description, required=True)
CREATED_TO = _moment("createdTimeTo", "Only instances created before this time.")
RUNTIME_STATUS = Parameter(
    "runtimeStatus",
    "Only instances in these states: with commas, or repeated; case counts.",
    {"type": "array", "items": {"type": "string", "enum": list(STATUS_NAMES)}},
)
TOP = Parameter(
    "top",
    "The most items in one page; fewer come if more do not fit into one message.",
    {"type": "integer", "minimum": 1, "maximum": 2**31 - 1, "default": 100},
)
CONTINUATION_TOKEN = Parameter(
    "x-ms-continuation-token", "What the page before answered in this header.", location="header"
)
REASON = Parameter("reason", "Why; it goes into the history.")
NEW_ID = _flag("restartWithNewInstanceId", "Run under a new id.", default=True)
OPERATED_FROM = _moment("lastOperationTimeFrom", "Only entities used at this time or later.")
OPERATED_TO = _moment("lastOperationTimeTo", "Only entities last used before this time.")
FETCH_STATE = _flag("fetchState", "Show states; `state` is null otherwise.")
OPERATION = Parameter("op", "The operation's name; empty if absent.")

TRACE_PARENT = Parameter("traceparent", "The caller's trace (W3C).", location="header")
TRACE_STATE = Parameter("tracestate", "More of the caller's trace (W3C).", location="header")

_NON_EMPTY = {"type": "string", "minLength": 1}
FUNCTION_NAME = Parameter(
    "functionName", "The orchestrator, without regard to case.", _NON_EMPTY, "path"
)
INSTANCE_ID = Parameter("instanceId", "The instance.", _NON_EMPTY, "path")
NEW_INSTANCE_ID = Parameter(
    "instanceId",
    "The id of the new instance.",
    {
        "type": "string",
        "minLength": 1,
        "maxLength": 256,
        "pattern": r"^[^@/\\#?\u0000-\u001f\u007f-\u009f]"
        r"[^/\\#?\u0000-\u001f\u007f-\u009f]*$",
    },
    "path",
)
EVENT_NAME = Parameter("eventName", "The event, without regard to case.", _NON_EMPTY, "path")
ENTITY_NAME = Parameter(
    "entityName",
    "The entity's name, without regard to case.",
    {"type": "string", "minLength": 1, "pattern": r"^[^@\u0000-\u001f\u007f-\u009f]+$"},
    "path",
)
ENTITY_KEY = Parameter(
    "entityKey",
    "The entity's key. To read the one with the empty key, `$`.",
    {"type": "string", "minLength": 1, "pattern": f"^{_NO_CONTROL}+$"},
    "path",
)

EVERYWHERE = (TASK_HUB, CONNECTION, CODE)
