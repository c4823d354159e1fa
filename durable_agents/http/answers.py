"""Answers to callers that are no problems: JSON."""

import json
from collections.abc import Mapping
from typing import Any

import azure.functions as func


def json_answer(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """Return an answer with a JSON object."""
    return func.HttpResponse(
        json.dumps(body),
        status_code=status,
        headers=dict(headers or {}),
        mimetype="application/json",
    )
