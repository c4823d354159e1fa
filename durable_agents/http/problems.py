"""Errors as HTTP answers: `application/problem+json` (RFC 9457), by who must act."""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import azure.functions as func

from durable_agents.errors import AgentCallFailed
from durable_agents.failure_text import FAULT

# What is not here is a fault of ours.
_STATUS = {
    "AgentNotRegistered": 404,
    "InvalidInput": 400,
    "SessionBusy": 409,
    "SessionNotFound": 404,
    "MessageTooLarge": 413,
    "AgentCancelled": 409,
    "ModelRateLimited": 429,
    "ModelRejected": 502,
    "ModelUnavailable": 502,
    "ResponseLost": 502,
    "InvalidAgentOutput": 502,
    "MaxTurnsExceeded": 502,
    "ToolFailed": 502,
    "BudgetExceeded": 429,
    "CircuitOpen": 503,
    "AgentTimeout": 504,
}


class Problem(Exception):
    """A request that comes to nothing, and how it is answered.

    Attributes:
        status: The HTTP status.
        code: The name of the error.
        detail: What is wrong, for people.
        members: What else the answer says.
        headers: Headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.members = dict(members or {})
        self.headers = dict(headers or {})

    def response(self) -> func.HttpResponse:
        """Return the answer."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **self.members,
        }
        return func.HttpResponse(
            json.dumps(body),
            status_code=self.status,
            headers=self.headers,
            mimetype="application/problem+json",
        )


def failed_run(error: AgentCallFailed, correlation_id: str) -> Problem:
    """Return how a run that has failed is answered.

    The words of an exception that is none of the library's own are not: they may name anything.
    """
    code = type(error).__name__
    if error.code == FAULT:
        return Problem(
            500,
            code,
            "the run failed by a fault in the app; the run's history says which.",
            members={"correlation_id": correlation_id, "agent": error.agent},
        )
    members: dict[str, Any] = {"correlation_id": correlation_id}
    for name, fact in (("agent", error.agent), ("model", error.model), ("cause", error.cause)):
        if fact:
            members[name] = fact
    if error.request_id:
        members["request_id"] = error.request_id
    if error.usage is not None:
        members["usage"] = error.usage.model_dump()
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    return Problem(status_for(code), code, str(error), members=members, headers=headers)


def status_for(code: str) -> int:
    """Return the HTTP status of an error of the library, by its name."""
    return _STATUS.get(code, 500)
