"""One operation of the webhook: how it is asked for, who answers it, and what may be answered."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from local_runtime.functions_host.web.path_match import match_path
from local_runtime.functions_host.webhook.call import Call
from local_runtime.functions_host.webhook.contract.parameters import Parameter

type Handler = Callable[[Call], Awaitable[Response]]
type Schema = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Answer:
    """One status code of an operation. Without schemas its body is empty."""

    description: str
    schemas: tuple[Schema, ...] = ()
    headers: Mapping[str, Schema] = field(default_factory=dict[str, Schema])


@dataclass(frozen=True, eq=False)
class Body:
    """What an operation reads from a request's body, by media type."""

    description: str
    content: Mapping[str, Schema]
    required: bool = False


@dataclass(frozen=True, eq=False)
class Operation:
    """One verb of one path. What is not declared here a handler cannot read."""

    verb: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, Answer]
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    starts: bool = False
    """Whether it starts an instance, and may wait for its end."""

    def match(self, verb: str, segments: list[str]) -> dict[str, str] | None:
        """Return the parameters in the path; None if this is not its route."""
        return match_path(self.path, segments) if verb == self.verb else None
