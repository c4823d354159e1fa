"""Runs functions by hand: what their trigger would give them is made of a text."""

import asyncio
import json
import logging

from local_runtime.functions_host.app.function_index import (
    ACTIVITY,
    ENTITY,
    HTTP_TRIGGER,
    ORCHESTRATION,
    TIMER,
    Function,
)
from local_runtime.functions_host.app.http_extension import streaming_application
from local_runtime.functions_host.app.invocation import FunctionFailed, Invoker
from local_runtime.functions_host.app.worker_messages import RpcHttp, TypedData

# What a timer function is given when no timer has run out.
_NO_TIMER = '{"Schedule": {"AdjustForDST": true}, "ScheduleStatus": null, "IsPastDue": false}'

logger = logging.getLogger("local_runtime.host")


class NotByHand(Exception):
    """A function of this kind cannot be run by hand; the message says what to do instead."""


class HandRuns:
    """Functions that were started by hand and have not ended."""

    def __init__(self, invoker: Invoker, base_url: str) -> None:
        self._invoker = invoker
        self._base_url = base_url
        self._running: set[asyncio.Task[None]] = set()

    def start(self, function: Function, given: object) -> None:
        """Run a function with the text `given`, and do not wait for it.

        Raises:
            NotByHand: It has a trigger that no text can stand for.
        """
        text = "" if given is None else given if isinstance(given, str) else json.dumps(given)
        run = asyncio.create_task(self._run(function, self._trigger(function, text)))
        self._running.add(run)
        run.add_done_callback(self._running.discard)

    async def _run(self, function: Function, trigger: TypedData) -> None:
        logger.info("function %s: run by hand", function.name)
        try:
            await self._invoker.invoke(function, trigger)
        except FunctionFailed as failed:
            logger.error(
                "function %s, run by hand, failed: %s\n%s",
                function.name,
                failed.text,
                failed.stack_trace,
            )
        except Exception:
            logger.exception("function %s could not be run by hand", function.name)

    def _trigger(self, function: Function, text: str) -> TypedData:
        match function.trigger.type:
            case kind if kind in (ORCHESTRATION, ENTITY):
                raise NotByHand(
                    f"{function.name} is run by the task hub alone. Start an orchestration, or "
                    "signal an entity, through /runtime/webhooks/durabletask."
                )
            case kind if kind == HTTP_TRIGGER and streaming_application() is not None:
                # Its invocation would wait for ever for a request to stream.
                raise NotByHand(f"{function.name} streams; send it an HTTP request instead.")
            case kind if kind == HTTP_TRIGGER:
                body = TypedData(bytes=text.encode("utf-8", "replace"))
                headers = {"content-type": "application/json"}
                return TypedData(
                    http=RpcHttp(method="POST", url=self._base_url, headers=headers, body=body)
                )
            case kind if kind == ACTIVITY:
                return TypedData(json=_as_json(text))
            case kind if kind == TIMER:
                return TypedData(json=_NO_TIMER)
            case other:
                raise NotByHand(f"{function.name} has a {other}, which no text can stand for.")


def _as_json(text: str) -> str:
    """Return a text that is JSON as it is, and any other as a JSON string."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return json.dumps(text)
    return text
