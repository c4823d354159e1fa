"""Turns what the worker says of an exception into the failure details that histories keep.

The rules are those of the Durable Functions extension, so that a flow that looks at the type or
the message of a failure sees the same here as on Azure.
"""

import json
from typing import Any, cast

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf import json_format, struct_pb2
from google.protobuf.wrappers_pb2 import StringValue

from local_runtime.functions_host.app.invocation import FunctionFailed


def failure_details(failed: FunctionFailed) -> pb.TaskFailureDetails:
    """Return the details of an exception that a function raised."""
    serialized = _serialized_details(failed.text)
    if serialized is not None:
        return serialized
    error_type, separator, rest = failed.text.partition(": ")
    if not separator:
        error_type, rest = "(unknown)", failed.text
    return pb.TaskFailureDetails(
        errorType=error_type.rstrip(),
        # The extension keeps the first line of a message; the rest is still in the stack trace.
        errorMessage=rest.partition("\n")[0].rstrip(),
        stackTrace=StringValue(value=failed.stack_trace) if failed.stack_trace else None,
    )


def not_found(error_type: str, message: str) -> pb.TaskFailureDetails:
    """Return the details of a call of a function that does not exist; to retry it is useless."""
    return pb.TaskFailureDetails(errorType=error_type, errorMessage=message, isNonRetriable=True)


def _serialized_details(text: str) -> pb.TaskFailureDetails | None:
    """Read failure details that an SDK has put into the exception's text as one line of JSON."""
    if not text.startswith("{"):
        return None
    try:
        document: object = json.loads(text.partition("\n")[0])
        return _from_json(cast("dict[str, Any]", document))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _from_json(document: dict[str, Any]) -> pb.TaskFailureDetails:
    fields = {name[:1].lower() + name[1:]: value for name, value in document.items()}
    inner = fields.get("innerFailure")
    stack_trace = fields.get("stackTrace")
    details = pb.TaskFailureDetails(
        errorType=str(fields.get("errorType") or ""),
        errorMessage=str(fields.get("errorMessage") or ""),
        stackTrace=StringValue(value=str(stack_trace)) if stack_trace else None,
        innerFailure=_from_json(inner) if inner else None,
        isNonRetriable=bool(fields.get("isNonRetriable")),
    )
    for name, value in cast("dict[str, Any]", fields.get("properties") or {}).items():
        details.properties[name].CopyFrom(json_format.Parse(json.dumps(value), struct_pb2.Value()))
    return details
