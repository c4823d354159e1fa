"""What an app holds: its functions, found by trigger and, as the host does it, without case."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from local_runtime.errors import StartupError
from local_runtime.functions_host.app.worker_messages import RpcFunctionMetadata

ORCHESTRATION, ACTIVITY, ENTITY = "orchestrationTrigger", "activityTrigger", "entityTrigger"
HTTP_TRIGGER, HTTP_RESPONSE, DURABLE_CLIENT = "httpTrigger", "http", "durableClient"

# Which property of a durable trigger's binding holds the name that orchestrations call it by.
_DURABLE_NAME = {ORCHESTRATION: "orchestration", ACTIVITY: "activity", ENTITY: "entityName"}
_NOUN = {ORCHESTRATION: "orchestrator", ACTIVITY: "activity", ENTITY: "entity"}

logger = logging.getLogger("local_runtime.host")


@dataclass(frozen=True)
class Binding:
    """One binding of a function: its type, the parameter it fills, and its other settings."""

    type: str
    name: str
    settings: Mapping[str, Any]

    @classmethod
    def parse(cls, raw: str) -> "Binding":
        """Read the JSON form that the worker library reports."""
        settings = cast("dict[str, Any]", json.loads(raw))
        return cls(str(settings["type"]), str(settings["name"]), settings)

    @property
    def supported(self) -> bool:
        """Whether this host can serve the binding."""
        return self.type in (*_DURABLE_NAME, HTTP_TRIGGER, HTTP_RESPONSE, DURABLE_CLIENT)


@dataclass(frozen=True)
class Function:
    """One function of the app."""

    name: str
    function_id: str
    trigger: Binding
    others: tuple[Binding, ...]
    entry_point: str = ""
    """The name of the Python function."""

    @property
    def durable_name(self) -> str:
        """The name that callers know it by, which a durable trigger may set apart."""
        return str(self.trigger.settings.get(_DURABLE_NAME.get(self.trigger.type, "")) or self.name)

    def http_route(self, prefix: str) -> str | None:
        """Return the route below the host's address, without a slash before it.

        None if the function answers no HTTP requests.
        """
        if self.trigger.type != HTTP_TRIGGER:
            return None
        route = self.trigger.settings.get("route")
        return f"{prefix}/{self.name if route is None else str(route).strip('/')}".strip("/")

    @property
    def http_methods(self) -> tuple[str, ...]:
        """The verbs that an HTTP function answers, in upper case; empty for any."""
        methods = cast("list[str]", self.trigger.settings.get("methods") or [])
        return tuple(method.upper() for method in methods)

    @property
    def auth_level(self) -> str:
        """Which keys open an HTTP function, in lower case: `function` where it does not say."""
        return str(self.trigger.settings.get("authLevel") or "function").lower()

    @classmethod
    def parse(cls, metadata: RpcFunctionMetadata) -> "Function | None":
        """Read what the worker library found; None, with a warning, if it cannot be served."""
        bindings = [Binding.parse(raw) for raw in metadata.raw_bindings]
        for binding in bindings:
            if not binding.supported:
                logger.warning(
                    "function %r is not served: its binding %r of type %s is not supported by "
                    "the embedded runtime; everything else of the app runs",
                    metadata.name,
                    binding.name,
                    binding.type,
                )
                return None
        triggers = [binding for binding in bindings if binding.type.endswith("Trigger")]
        if len(triggers) != 1:
            raise StartupError(
                f"function {metadata.name!r} has {len(triggers)} triggers; give it exactly one."
            )
        others = tuple(binding for binding in bindings if binding is not triggers[0])
        entry_point = metadata.entry_point
        return cls(metadata.name, metadata.function_id, triggers[0], others, entry_point)


class FunctionIndex:
    """The functions of an app that this host serves."""

    def __init__(self, functions: Sequence[Function], agents: Sequence[str] = ()) -> None:
        self.functions = tuple(functions)
        self.agents = tuple(agents)
        self._by_name = {function.name.lower(): function for function in self.functions}
        self._durable = {
            trigger: {function.durable_name.lower(): function for function in self._of(trigger)}
            for trigger in _DURABLE_NAME
        }

    @classmethod
    def build(
        cls, metadata: Iterable[RpcFunctionMetadata], agents: Sequence[str] = ()
    ) -> "FunctionIndex":
        """Index what the worker library found.

        Raises:
            StartupError: Two functions of one kind would answer to the same name.
        """
        functions = [function for item in metadata if (function := Function.parse(item))]
        for trigger, noun in _NOUN.items():
            seen: dict[str, Function] = {}
            for function in functions:
                if function.trigger.type != trigger:
                    continue
                other = seen.setdefault(function.durable_name.lower(), function)
                if other is not function:
                    raise StartupError(
                        f"two functions, {other.name!r} and {function.name!r}, are registered as "
                        f"the {noun} {function.durable_name!r} (names are compared without "
                        "case); rename one of them."
                    )
        return cls(functions, agents)

    def find(self, trigger: str, name: str) -> Function | None:
        """Return the function that orchestrations know as `name`, whatever its case."""
        return self._durable[trigger].get(name.lower())

    def by_name(self, name: str) -> Function | None:
        """Return the function of this name of its own, whatever its case and its trigger."""
        return self._by_name.get(name.lower())

    def known(self, trigger: str) -> list[str]:
        """Return the names of all functions with this durable trigger, sorted."""
        return sorted(function.durable_name for function in self._durable[trigger].values())

    def http_functions(self) -> list[Function]:
        """Return the functions that answer HTTP requests."""
        return self._of(HTTP_TRIGGER)

    def unknown(self, trigger: str, name: str) -> str:
        """Say that there is no such function, and which there are, in the extension's words."""
        noun = _NOUN[trigger]
        known = ", ".join(f"'{name}'" for name in self.known(trigger))
        return (
            f"The function '{name}' doesn't exist, is disabled, or is not an {noun} "
            f"function. Additional info: "
            + (
                f"The following are the known {noun} functions: {known}."
                if known
                else f"No {noun} functions are currently registered!"
            )
        )

    def _of(self, trigger: str) -> list[Function]:
        return [function for function in self.functions if function.trigger.type == trigger]
