"""What an app holds: its functions, found by trigger and, as the host does it, without case."""

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from local_runtime.errors import StartupError
from local_runtime.functions_host.app.worker_messages import RpcFunctionMetadata, RpcRetryOptions
from local_runtime.functions_host.storage.binding_check import storage_problem

ORCHESTRATION, ACTIVITY, ENTITY = "orchestrationTrigger", "activityTrigger", "entityTrigger"
HTTP_TRIGGER, HTTP_RESPONSE, DURABLE_CLIENT = "httpTrigger", "http", "durableClient"
QUEUE_TRIGGER, QUEUE_OUTPUT = "queueTrigger", "queue"
BLOB_TRIGGER, BLOB = "blobTrigger", "blob"
TIMER = "timerTrigger"

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
    def is_output(self) -> bool:
        """Whether the function puts something out through it."""
        return str(self.settings.get("direction", "")).lower() == "out"

    @property
    def connection(self) -> str:
        """The name of the setting for a storage binding's account; empty for the usual one."""
        return str(self.settings.get("connection") or "")

    def problem(self, environ: Mapping[str, str]) -> str | None:
        """Return why this host cannot serve the binding; None if it can."""
        if self.type in (QUEUE_TRIGGER, QUEUE_OUTPUT, BLOB_TRIGGER, BLOB):
            return storage_problem(self.type, self.settings, environ)
        if self.type in (*_DURABLE_NAME, HTTP_TRIGGER, HTTP_RESPONSE, DURABLE_CLIENT, TIMER):
            return None
        return "is not supported by the embedded runtime"


@dataclass(frozen=True)
class Function:
    """One function of the app."""

    name: str
    function_id: str
    trigger: Binding
    others: tuple[Binding, ...]
    entry_point: str = ""
    """The name of the Python function."""
    retry_options: RpcRetryOptions | None = None
    """Its retry policy, which only a timer function can have."""

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The trigger and all others."""
        return self.trigger, *self.others

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
        route = str(self.trigger.settings.get("route") or "").strip("/")
        return f"{prefix}/{route or self.name}".strip("/")

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
            problem = binding.problem(os.environ)
            if problem is not None:
                logger.warning(
                    "function %r is not served: its binding %r of type %s %s; everything else of "
                    "the app runs",
                    metadata.name,
                    binding.name,
                    binding.type,
                    problem,
                )
                return None
        triggers = [binding for binding in bindings if binding.type.endswith("Trigger")]
        if len(triggers) != 1:
            raise StartupError(
                f"function {metadata.name!r} has {len(triggers)} triggers; give it exactly one."
            )
        others = tuple(binding for binding in bindings if binding is not triggers[0])
        return cls(
            metadata.name,
            metadata.function_id,
            triggers[0],
            others,
            metadata.entry_point,
            _retry_options(metadata, triggers[0].type),
        )


def _retry_options(metadata: RpcFunctionMetadata, trigger: str) -> RpcRetryOptions | None:
    if metadata.retry_options is not None and trigger != TIMER:
        logger.warning(
            "the retry policy of function %r has no effect: its trigger is of type %s, and only "
            "timer functions are retried by such a policy; here and on Azure",
            metadata.name,
            trigger,
        )
        return None
    return metadata.retry_options


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

    def triggered_by(self, trigger: str) -> list[Function]:
        """Return the functions with a trigger of this type."""
        return self._of(trigger)

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
