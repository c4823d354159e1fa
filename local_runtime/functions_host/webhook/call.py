"""One request to the webhook, with what its handler needs to answer it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request

from local_runtime.clock import Clock
from local_runtime.functions_host.app.function_index import FunctionIndex
from local_runtime.functions_host.ids import IdSource
from local_runtime.functions_host.keys.protection import Protection
from local_runtime.functions_host.webhook.instances import Instances
from local_runtime.functions_host.webhook.management_urls import ManagementUrls
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

    def __init__(self, text: str) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in parse_qsl(text):
            if value.strip():
                self._values.setdefault(name.lower(), []).append(value)

    def get(self, name: str) -> str | None:
        """Return the first value of a parameter."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> Sequence[str]:
        """Return all values of a parameter that may be repeated."""
        return self._values.get(name.lower(), [])

    def flag(self, name: str, default: bool) -> bool:
        """Return a truth value; whatever is neither `true` nor `false` counts as not given."""
        return {"true": True, "false": False}.get((self.get(name) or "").strip().lower(), default)

    def seconds(self, name: str) -> float | None:
        """Return a number of seconds; None when it is not given, or not a number."""
        try:
            value = float(self.get(name) or "")
        except ValueError:
            return None
        return value if 0 <= value < float("inf") else None


@dataclass(frozen=True)
class Call:
    """One request: the parameters of its path and query, its body, and the hub it is about."""

    request: Request
    params: Mapping[str, str]
    query: Query
    body: bytes
    context: WebhookContext
    instances: Instances
    urls: ManagementUrls
