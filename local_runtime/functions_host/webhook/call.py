"""One request to the webhook, with what its handler needs to answer it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request

from local_runtime.clock import Clock
from local_runtime.functions_host.app.function_index import FunctionIndex
from local_runtime.functions_host.ids import IdSource
from local_runtime.functions_host.keys.protection import Protection
from local_runtime.functions_host.webhook.contract.parameters import Parameter
from local_runtime.functions_host.webhook.management_urls import ManagementUrls
from local_runtime.functions_host.webhook.task_hub.entities import Entities
from local_runtime.functions_host.webhook.task_hub.instances import Instances
from local_runtime.functions_host.webhook.task_hub.start_queue import StartQueue
from local_runtime.scheduler.client import SchedulerClient
from local_runtime.settings import HostJson


@dataclass(frozen=True)
class WebhookContext:
    """What all requests to the webhook share."""

    scheduler: SchedulerClient
    index: FunctionIndex
    host: HostJson
    clock: Clock
    new_id: IdSource
    protection: Protection


class Query:
    """The parameters after `?`: names are compared without case, and blank values are absent."""

    def __init__(self, text: str, declared: Collection[Parameter]) -> None:
        self._declared = declared
        self._values: dict[str, list[str]] = {}
        for name, value in parse_qsl(text):
            if value.strip():
                self._values.setdefault(name.lower(), []).append(value)

    def get(self, parameter: Parameter) -> str | None:
        """Return the first value of a parameter."""
        return next(iter(self.all(parameter)), None)

    def all(self, parameter: Parameter) -> Sequence[str]:
        """Return all values of a parameter that may be repeated.

        Raises:
            LookupError: The operation does not declare it, so no document would show it.
        """
        if parameter not in self._declared:
            raise LookupError(f"{parameter.name} is read, but not declared")
        return self._values.get(parameter.name.lower(), [])

    def flag(self, parameter: Parameter) -> bool:
        """Return a truth value; whatever is neither `true` nor `false` counts as not given."""
        default = bool(parameter.schema.get("default", False))
        text = (self.get(parameter) or "").strip().lower()
        return {"true": True, "false": False}.get(text, default)

    def seconds(self, parameter: Parameter) -> float | None:
        """Return a number of seconds; None when it is not given, or not a number."""
        try:
            value = float(self.get(parameter) or "")
        except ValueError:
            return None
        return value if 0 <= value < float("inf") else None


@dataclass(frozen=True)
class Call:
    """One request: the parameters of its path and query, its body, and the hub it is about."""

    request: Request
    params: Mapping[str, str]
    """The parameters in the path, by their names in lower case."""
    query: Query
    body: bytes
    """Empty for an operation that declares none."""
    context: WebhookContext
    instances: Instances
    starts: StartQueue
    entities: Entities
    urls: ManagementUrls

    def path(self, parameter: Parameter) -> str:
        """Return a parameter in the path, decoded."""
        return self.params[parameter.name.lower()]

    def header(self, parameter: Parameter) -> str | None:
        """Return a header's value."""
        return self.request.headers.get(parameter.name)

    @property
    def media_type(self) -> str:
        """The body's type without its parameters, in lower case; empty if it has none."""
        return self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
