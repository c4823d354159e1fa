"""Finds the HTTP function of a request, as the Functions host does, and reads what it answers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import azure.functions as func

from durable_agents.testing.functions import HTTP, AppFunction, AppFunctions

_PARAMETER = re.compile(r"\{(\*{0,2})([^:?=}]+)((?::[^}?=]*)*)(?:=([^}]*))?(\?)?\}")


@dataclass(frozen=True)
class Answer:
    """What an HTTP function answered.

    Attributes:
        status: The HTTP status.
        headers: The headers, their names in lower case.
        body: The body.
        error: What the function raised; the status is then 500, as on Azure.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    error: Exception | None = None

    @property
    def text(self) -> str:
        """The body as a text."""
        return self.body.decode()

    def json(self) -> Any:
        """Return the body as JSON data.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.body)


@dataclass(frozen=True)
class Route:
    """An HTTP function, and the parts of the path that it answers to."""

    function: AppFunction
    segments: tuple[str, ...]
    methods: frozenset[str]

    @property
    def rank(self) -> list[int]:
        """The order in which routes are tried: a literal before a parameter before the rest."""
        return [_kind(segment) for segment in self.segments]

    def match(self, path: list[str]) -> dict[str, str] | None:
        """Return the route's parameters in a path; None if it is not this route's."""
        found: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            parameter = _PARAMETER.fullmatch(segment)
            rest = path[index:]
            if parameter is None:
                if not rest or rest[0].casefold() != segment.casefold():
                    return None
            elif parameter[1]:
                return {**found, parameter[2]: "/".join(rest)}
            elif rest:
                if ":int" in parameter[3] and not rest[0].lstrip("-").isdigit():
                    return None
                found[parameter[2]] = rest[0]
            elif parameter[4]:
                found[parameter[2]] = parameter[4]
            elif not parameter[5]:
                return None
        return found if len(path) <= len(self.segments) else None


def find_route(
    functions: AppFunctions, prefix: str, method: str, url: str
) -> tuple[AppFunction, dict[str, str]]:
    """Return the function that answers a request, and the parameters in its path.

    Raises:
        LookupError: There is none; the message lists the routes there are.
    """
    path = [unquote(part) for part in urlsplit(url).path.strip("/").split("/")]
    routes = sorted((_route(one, prefix) for one in functions.of_kind(HTTP)), key=_rank)
    for route in routes:
        parameters = route.match(path)
        if parameters is not None and method.upper() in (route.methods or {method.upper()}):
            return route.function, parameters
    known = sorted(f"{','.join(sorted(r.methods))} /{'/'.join(r.segments)}" for r in routes)
    raise LookupError(f"the app answers no {method.upper()} {url}; it has: {'; '.join(known)}")


def http_request(
    method: str,
    url: str,
    route: Mapping[str, str],
    *,
    json_body: Any,
    body: bytes | str | None,
    headers: Mapping[str, str] | None,
    params: Mapping[str, str] | None,
) -> func.HttpRequest:
    """Return a request as a function is given it."""
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    data = body.encode() if isinstance(body, str) else body or b""
    if json_body is not None:
        data = json.dumps(json_body).encode()
        sent.setdefault("content-type", "application/json")
    split = urlsplit(url)
    query = {**dict(parse_qsl(split.query)), **(params or {})}
    whole = f"http://localhost:7071{split.path}" + (f"?{urlencode(query)}" if query else "")
    sent.setdefault("host", "localhost:7071")
    return func.HttpRequest(
        method=method.upper(),
        url=whole,
        headers=sent,
        params=query,
        route_params=dict(route),
        body=data,
    )


def answer_of(returned: object) -> Answer:
    """Return what a function returned as the answer that its caller gets."""
    if returned is None:
        return Answer(204, {}, b"")
    if isinstance(returned, func.HttpResponse):
        response: Any = returned
        headers = {str(name).lower(): str(value) for name, value in response.headers.items()}
        if response.mimetype:
            headers.setdefault("content-type", str(response.mimetype))
        return Answer(int(response.status_code), headers, bytes(response.get_body()))
    if isinstance(returned, str):
        return Answer(200, {"content-type": "text/plain"}, returned.encode())
    return Answer(500, {}, b"", TypeError(f"an answer cannot be {type(returned).__name__}"))


def _route(function: AppFunction, prefix: str) -> Route:
    methods = frozenset(str(one).upper() for one in function.trigger.methods or ())
    route = str(function.trigger.route or function.name).strip("/")
    segments = f"{prefix.strip('/')}/{route}".strip("/").split("/")
    return Route(function, tuple(segments), methods)


def _rank(route: Route) -> list[int]:
    return route.rank


def _kind(segment: str) -> int:
    parameter = _PARAMETER.fullmatch(segment)
    if parameter is None:
        return 0
    return 2 if parameter[1] else 1
