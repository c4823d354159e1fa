"""Reads what a caller sends: the message, how to answer it, who calls, the key of a repeat."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import azure.functions as func

from durable_agents import json_text
from durable_agents.http.problems import Problem
from durable_agents.messages import Principal
from durable_agents.sessions import session_id_problem

MAX_BODY_BYTES = 1_000_000
_LONGEST_KEY = 256
_LONGEST_NUMBER = 15
_LONGEST_WAIT_SECONDS = 220.0  # Azure's load balancer gives up after 230
_DEFAULT_WAIT_SECONDS = 90.0
_DEEPEST = 64
# An object with this name in it is read as a stored Python object by the SDK.
_RESERVED = "__class__"
# What curl says of a body that it is told nothing of.
_CURLS_OWN = "application/x-www-form-urlencoded"
_SLASH = re.compile("%2f", re.IGNORECASE)
_FIELDS = {
    "message",
    "session_id",
    "thread_id",
    "response_format",
    "options",
    "on_busy",
    "wait_for_response",
    "timeout",
}
_ON_BUSY = ("reject", "queue", "interrupt", "steer")


@dataclass(frozen=True)
class RunCall:
    """A request to run an agent.

    Attributes:
        message: What the agent is told.
        session_id: The session; empty for none.
        response_format: A JSON schema, if the answer is to have a form.
        options: Fields of the model request.
        on_busy: What happens when the session is busy; None for the agent's own policy.
        wait: Whether the answer is waited for.
        wait_seconds: How long.
        timeout: How long the run may take, in seconds.
        key: The caller's `Idempotency-Key`; empty for none.
        body_hash: Of what was asked: the same key with another body is another request.
        principal: Who calls, if the platform says so.
    """

    message: str
    session_id: str
    response_format: dict[str, Any] | None
    options: dict[str, Any]
    on_busy: Literal["reject", "queue", "interrupt", "steer"] | None
    wait: bool
    wait_seconds: float
    timeout: float | None
    key: str
    body_hash: str
    principal: Principal | None


def read_run_call(request: func.HttpRequest) -> RunCall:
    """Read a request to run an agent.

    Raises:
        Problem: 400, 413 or 415, with what is wrong.
    """
    fields = _fields(text_body(request), _header(request, "content-type"))
    if unknown := sorted(set(fields) - _FIELDS):
        known = ", ".join(sorted(_FIELDS - {"thread_id"}))
        raise _invalid(f"'{unknown[0]:.100}' is not a field of the body; these are: {known}.")
    message = fields.get("message")
    if not isinstance(message, str) or not message.strip():
        raise _invalid("'message' must be a text that is not empty.")
    on_busy = fields.get("on_busy")
    if on_busy is not None and on_busy not in _ON_BUSY:
        raise _invalid(f"'on_busy' must be one of {', '.join(_ON_BUSY)}.")
    return RunCall(
        message=message,
        session_id=_session(fields, "session_id") or _session(fields, "thread_id"),
        response_format=_object(fields, "response_format"),
        options=_object(fields, "options") or {},
        on_busy=on_busy,
        wait=_wait(request, fields),
        wait_seconds=wait_seconds(request, _DEFAULT_WAIT_SECONDS),
        timeout=_seconds(fields, "timeout"),
        key=_key(request),
        body_hash=hashlib.sha256(
            json.dumps({**fields, "wait_for_response": None}, sort_keys=True).encode()
        ).hexdigest(),
        principal=principal_of(request),
    )


def principal_of(
    request: func.HttpRequest, environ: Mapping[str, str] | None = None
) -> Principal | None:
    """Return who calls, as App Service authentication says; None where it is off.

    Its headers are believed only while it is on: without it anybody could send them.
    """
    environ = os.environ if environ is None else environ
    if environ.get("WEBSITE_AUTH_ENABLED", "").strip().lower() != "true":
        return None
    identity = _header(request, "x-ms-client-principal-id")
    if not identity:
        return None
    return Principal(
        id=identity,
        name=_header(request, "x-ms-client-principal-name"),
        provider=_header(request, "x-ms-client-principal-idp"),
    )


def wait_seconds(request: func.HttpRequest, default: float) -> float:
    """Return how long the caller wants to wait: the parameter `wait_seconds` of the query.

    Raises:
        Problem: 400: it is no number, or not one from 0 to 220.
    """
    given = request.params.get("wait_seconds", "")
    try:
        seconds = float(given) if given else default
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _LONGEST_WAIT_SECONDS:
        raise _invalid(f"'wait_seconds' must be a number from 0 to {_LONGEST_WAIT_SECONDS:g}.")
    return seconds


def last_event_id(request: func.HttpRequest) -> int:
    """Return the id of the last event that the caller knows, 0 for none.

    Raises:
        Problem: 400: it is not the id of an event.
    """
    given = _header(request, "last-event-id") or request.params.get("last_event_id", "") or "0"
    if not (given.isascii() and given.isdigit() and len(given) <= _LONGEST_NUMBER):
        raise _invalid("'Last-Event-ID' must be the id of an event.")
    return int(given)


def path_part(request: func.HttpRequest, name: str) -> str:
    """Return a parameter of the route: an id. Hosts decode all of it but slashes."""
    return _SLASH.sub("/", request.route_params.get(name, ""))


def text_body(request: func.HttpRequest) -> str:
    """Return a body as a text.

    Raises:
        Problem: 400 or 413: it is no text, or too large.
    """
    body = request.get_body()
    if len(body) > MAX_BODY_BYTES:
        raise Problem(
            413,
            "InvalidInput",
            f"the body has {len(body)} bytes; {MAX_BODY_BYTES} are the most.",
        )
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _invalid("the body is not UTF-8 text.") from None


def _fields(text: str, content_type: str) -> dict[str, Any]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _CURLS_OWN and text.lstrip().startswith("{"):
        kind = "application/json"
    if kind and kind not in ("application/json", "text/plain") and not kind.endswith("+json"):
        raise Problem(415, "InvalidInput", "send application/json with a 'message', or text/plain.")
    if kind == "text/plain":
        return {"message": text}
    try:
        given: object = json_text.parse(text)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        if not kind and text.strip() and text.lstrip()[0] not in "{[":
            return {"message": text}
        raise _invalid(f"the body is not JSON: {error}.") from None
    if not isinstance(given, dict):
        raise _invalid("the body must be a JSON object with a 'message'.")
    _require_storable(cast("object", given))
    return cast("dict[str, Any]", given)


def _require_storable(given: object) -> None:
    """Refuse what Python reads as JSON, and what no history or model takes."""
    _require_plain(given, 1)
    try:
        json.dumps(given, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _invalid("the body is not Unicode: it has half of a surrogate pair.") from None


def _require_plain(given: object, depth: int) -> None:
    if depth > _DEEPEST:
        raise _too_deep()
    if isinstance(given, dict):
        members = cast("dict[str, object]", given)
        if _RESERVED in members:
            raise _invalid(f"the name '{_RESERVED}' is reserved.")
        for value in members.values():
            _require_plain(value, depth + 1)
    elif isinstance(given, list):
        for value in cast("list[object]", given):
            _require_plain(value, depth + 1)


def _wait(request: func.HttpRequest, fields: Mapping[str, Any]) -> bool:
    said: object = fields.get("wait_for_response")
    for text in (
        request.params.get("wait_for_response", ""),
        _header(request, "x-ms-wait-for-response"),
    ):
        said = text.strip().lower() or said
    match said:
        case None | True | "true" | "1":
            return True
        case False | "false" | "0":
            return False
        case _:
            raise _invalid("'wait_for_response' must be true or false.")


def _key(request: func.HttpRequest) -> str:
    key = _header(request, "idempotency-key").strip()
    if len(key) > _LONGEST_KEY:
        raise _invalid(f"the Idempotency-Key has more than {_LONGEST_KEY} characters.")
    return key


def _session(fields: Mapping[str, Any], name: str) -> str:
    """Return the id of a session: one that the key of an entity can be made of."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid(f"'{name}' must be a text.")
    if problem := session_id_problem(value):
        raise _invalid(f"'{name}' cannot be used: {problem}.")
    return value


def _object(fields: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, dict):
        raise _invalid(f"'{name}' must be an object.")
    return cast("dict[str, Any] | None", value)


def _seconds(fields: Mapping[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 31_536_000:
        raise _invalid(f"'{name}' must be a number of seconds, up to one year.")
    return float(value)


def _header(request: func.HttpRequest, name: str) -> str:
    given = cast("Mapping[str, str]", request.headers)
    return next((value for key, value in given.items() if key.lower() == name), "")


def _too_deep() -> Problem:
    return _invalid(f"the body is nested more than {_DEEPEST} deep.")


def _invalid(detail: str) -> Problem:
    return Problem(400, "InvalidInput", detail)
