"""One request to a route below /admin, and the replies to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from local_runtime.functions_host.web.request_parts import read_body


@dataclass(frozen=True)
class AdminCall:
    """A request, with the parameters of its path."""

    request: Request
    params: Mapping[str, str]

    @property
    def base_url(self) -> str:
        """The address that the client called, without a path."""
        return f"{self.request.url.scheme}://{self.request.url.netloc}"

    async def body(self) -> dict[str, Any] | None:
        """Return the JSON object in the body, its names in lower case; None if there is none."""
        try:
            document: object = json.loads(await read_body(self.request))
        except (ValueError, RecursionError):
            return None
        if not isinstance(document, dict):
            return None
        items = cast("dict[str, Any]", document).items()
        return {name.lower(): value for name, value in items}


def json_reply(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON reply that nobody keeps: it may hold a key."""
    return Response(
        json.dumps(value, separators=(",", ":")),
        status,
        {
            **(headers or {}),
            "Content-Type": "application/json; charset=utf-8",
            "Cache-Control": "no-store",
        },
    )


def bad_request(text: str) -> Response:
    """Return 400 with a text."""
    return PlainTextResponse(text, 400)


def not_found() -> Response:
    """Return 404 without a body."""
    return Response(status_code=404)
