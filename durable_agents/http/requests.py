"""Reads what a caller sends: the message, how to answer it, who calls, the key of a repeat."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import azure.functions as func

from durable_agents import json_text
from durable_agents.http.problems import Problem
from durable_agents.messages import Principal

MAX_BODY_BYTES = 1_000_000
_LONGEST_KEY = 256
_LONGEST_WAIT_SECONDS = 220.0  # Azure's load balancer gives up after 230
_DEFAULT_WAIT_SECONDS = 90.0
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
    body = request.get_body()
    if len(body) > MAX_BODY_BYTES:
        raise Problem(
            413,
            "InvalidInput",
            f"the body has {len(body)} bytes; {MAX_BODY_BYTES} are the most.",
        )
    fields = _fields(body, _header(request, "content-type"))
    if unknown := sorted(set(fields) - _FIELDS):
        known = ", ".join(sorted(_FIELDS - {"thread_id"}))
        raise _invalid(f"'{unknown[0]:.100}' is not a field of the body; these are: {known}.")
    message = fields.get("message")
    if not isinstance(message, str) or not message.strip():
        raise _invalid("'message' must be a text that is not empty.")
    on_busy = fields.get("on_busy")
    if on_busy is not None and on_busy not in _ON_BUSY:
        raise _invalid(f"'on_busy' must be one of {', '.join(_ON_BUSY)}.")
    wait, seconds = _wait(request, fields)
    return RunCall(
        message=message,
        session_id=_text(fields, "session_id") or _text(fields, "thread_id"),
        response_format=_object(fields, "response_format"),
        options=_object(fields, "options") or {},
        on_busy=on_busy,
        wait=wait,
        wait_seconds=seconds,
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


def _fields(body: bytes, content_type: str) -> dict[str, Any]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind and kind not in ("application/json", "text/plain") and not kind.endswith("+json"):
        raise Problem(415, "InvalidInput", "send application/json with a 'message', or text/plain.")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _invalid("the body is not UTF-8 text.") from None
    if kind == "text/plain":
        return {"message": text}
    try:
        given: object = json_text.parse(text)
    except (ValueError, RecursionError) as error:
        if not kind and text.strip() and text.lstrip()[0] not in "{[":
            return {"message": text}
        raise _invalid(f"the body is not JSON: {error}.") from None
    try:
        json.dumps(given, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _invalid("the body is not Unicode: it has half of a surrogate pair.") from None
    if not isinstance(given, dict):
        raise _invalid("the body must be a JSON object with a 'message'.")
    return cast("dict[str, Any]", given)


def _wait(request: func.HttpRequest, fields: Mapping[str, Any]) -> tuple[bool, float]:
    said: object = fields.get("wait_for_response")
    for text in (
        request.params.get("wait_for_response", ""),
        _header(request, "x-ms-wait-for-response"),
    ):
        said = text or said
    match said:
        case None | True | "true" | "True" | "1":
            wait = True
        case False | "false" | "False" | "0":
            wait = False
        case _:
            raise _invalid("'wait_for_response' must be true or false.")
    seconds = request.params.get("wait_seconds", "")
    try:
        longest = float(seconds) if seconds else _DEFAULT_WAIT_SECONDS
    except ValueError:
        raise _invalid("'wait_seconds' must be a number of seconds.") from None
    if not 0 <= longest <= _LONGEST_WAIT_SECONDS:
        raise _invalid(f"'wait_seconds' must be from 0 to {_LONGEST_WAIT_SECONDS:g}.")
    return wait, longest


def _key(request: func.HttpRequest) -> str:
    key = _header(request, "idempotency-key").strip()
    if len(key) > _LONGEST_KEY:
        raise _invalid(f"the Idempotency-Key has more than {_LONGEST_KEY} characters.")
    return key


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_KEY:
        raise _invalid(f"'{name}' must be a text of 1 to {_LONGEST_KEY} characters.")
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


def _invalid(detail: str) -> Problem:
    return Problem(400, "InvalidInput", detail)
