"""What a hub takes: ids it can file, times it can keep, failures that can be sent on. Pure."""

import re

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.struct_pb2 import Value

MAX_ID = 512
MAX_NESTING = 16

# Line ends in an id would forge lines of the log, and no log or page shows the others.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class InvalidValue(Exception):
    """A value that cannot be; the message says which."""


def check_instance_id(instance_id: str) -> None:
    """Let an orchestration instance's id pass.

    Raises:
        InvalidValue: it cannot be one.
    """
    if instance_id.startswith("@") or not _is_id(instance_id):
        raise InvalidValue(
            f"{shown(instance_id)!r} cannot be an instance id: that has 1 to {MAX_ID} characters, "
            "none of them a control character, and does not begin with '@' "
            "(that is how entity ids begin)"
        )


def entity_id(text: str) -> str:
    """Return an entity id in its one spelling: `@name@key`, the name in lower case.

    Raises:
        InvalidValue: the text is not an entity id.
    """
    start, separator, key = text[1:].partition("@")
    if not text.startswith("@") or not separator or not start or not _is_id(text):
        raise InvalidValue(
            f"{shown(text)!r} is not an entity id; one looks like @name@key, has at most "
            f"{MAX_ID} characters, and none of them is a control character"
        )
    return f"@{start.lower()}@{key}"


def _is_id(text: str) -> bool:
    return 0 < len(text) <= MAX_ID and _CONTROL.search(text) is None


def shown(text: str) -> str:
    """Return a text of somebody else's as it may stand in one line of a message or a log."""
    short = text if len(text) <= MAX_ID else f"{text[:80]}... ({len(text)} characters)"
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", short)


def bounded(failure: pb.TaskFailureDetails) -> pb.TaskFailureDetails:
    """Return a failure, cut off below a depth of inner failures and nested properties.

    Protobuf reads at most 100 levels. A failure travels inside other messages, and each parent may
    wrap it in its own: uncut, it would one day make a work item that no worker can read.
    """
    found = pb.TaskFailureDetails()
    found.CopyFrom(failure)
    level = found
    for _ in range(MAX_NESTING):
        for name in [name for name, value in level.properties.items() if _is_deep(value)]:
            del level.properties[name]
        if not level.HasField("innerFailure"):
            return found
        level = level.innerFailure
    level.ClearField("innerFailure")
    level.ClearField("properties")
    return found


def _is_deep(value: Value, allowed: int = MAX_NESTING) -> bool:
    if allowed == 0:
        return True
    match value.WhichOneof("kind"):
        case "struct_value":
            parts = list(value.struct_value.fields.values())
        case "list_value":
            parts = list(value.list_value.values)
        case _:
            return False
    return any(_is_deep(part, allowed - 1) for part in parts)
