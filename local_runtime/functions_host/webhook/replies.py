"""The webhook's replies: JSON as the extension writes it, and its error bodies."""

import json
from collections.abc import Mapping

from starlette.responses import Response

from local_runtime.functions_host.webhook.shapes import json_text

JSON_TYPE = "application/json; charset=utf-8"
RETRY_SECONDS = 5


class Refused(Exception):
    """The request cannot be done; the reply says why."""

    def __init__(self, reply: Response) -> None:
        super().__init__()
        self.reply = reply


def to_json(value: object) -> bytes:
    """Write `value` as compact JSON in UTF-8."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair is valid in a JSON escape and in no UTF-8 text.
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def reply(status: int, value: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON reply."""
    return Response(to_json(value), status, {**(headers or {}), "Content-Type": JSON_TYPE})


def raw_reply(status: int, stored: str) -> Response:
    """Return a reply whose body is JSON that was stored, as it is; other text as a JSON string."""
    if not json_text.is_json(stored):
        return reply(status, stored)
    return Response(stored.encode(), status, {"Content-Type": JSON_TYPE})


def empty(status: int) -> Response:
    """Return a reply without a body."""
    return Response(b"", status)


def error(status: int, message: str) -> Response:
    """Return an error body."""
    return reply(status, {"Message": message})


def too_large(message: str) -> Response:
    """Return the refusal of what no message of the scheduler can hold."""
    return error(413, message)


def busy(message: str) -> Response:
    """Return the refusal of what may go well later; the caller is told when to try again."""
    return reply(503, {"Message": message}, {"Retry-After": str(RETRY_SECONDS)})


def exception(
    status: int, message: str, details: str, kind: str = "System.ArgumentException"
) -> Response:
    """Return the error body of what the extension reports as an exception."""
    return reply(
        status,
        {"Message": message, "ExceptionMessage": details, "ExceptionType": kind, "StackTrace": ""},
    )


def bad_argument(details: str) -> Refused:
    """Return the refusal of a wrong argument, to be raised."""
    return Refused(exception(400, "One or more of the arguments submitted is incorrect", details))


def bad_json(details: str) -> Refused:
    """Return the refusal of a body that is not JSON, to be raised."""
    kind = "Newtonsoft.Json.JsonReaderException"
    return Refused(exception(400, "Invalid JSON content", details, kind))
