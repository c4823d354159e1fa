"""One attempt of one call of a tool: from the request to what the model is told."""

import asyncio
import inspect
import logging
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from durabletask.payload import PayloadStore
from pydantic import ValidationError

from durable_agents.errors import InvalidInput
from durable_agents.messages import ToolRequest, ToolResult
from durable_agents.sound_text import sound
from durable_agents.tools.arguments import CallArguments
from durable_agents.tools.context import Later, ToolContext, ToolError
from durable_agents.tools.json_text import fingerprint
from durable_agents.tools.result_text import UnwritableResult, result_text, shortened

if TYPE_CHECKING:
    from durable_agents.tools.definition import Tool

logger = logging.getLogger(__name__)

MOST_THREADS = 64
_SHORT = 10_000

# Of their own: functions that hang keep no thread from anything else that needs one.
_threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="tool")

type ToolActivity = Callable[[Any], Coroutine[Any, Any, ToolResult]]


class _NotRun(Exception):
    pass


class Invocation:
    """An attempt of a call."""

    def __init__(
        self,
        tool: "Tool",
        reader: CallArguments,
        request: ToolRequest,
        store: PayloadStore | None,
    ) -> None:
        self._tool = tool
        self._reader = reader
        self._request = request
        self._store = store

    async def result(self) -> ToolResult:
        """Call the function and return how it went.

        Raises:
            asyncio.CancelledError: The call was cancelled.
        """
        try:
            checked = self._checked()
        except _NotRun as refused:
            return self._failed(str(refused))
        try:
            value = await self._called(checked)
        except ToolError as error:
            words = error.message.strip() or "the tool failed"
            return self._failed(words, retriable=error.retriable)
        except (Exception, SystemExit) as error:
            self._log(error)
            # Its words are for the operator: they may hold a connection string.
            words = f"the tool {self._tool.name} failed ({type(error).__name__})"
            return self._failed(words, retriable=True)
        if isinstance(value, Later):
            return self._later()
        try:
            # Only what may take its time is worth a thread.
            if value is None or (type(value) is str and len(value) <= _SHORT):
                text = result_text(value)
            else:
                text = await asyncio.to_thread(result_text, value)
        except UnwritableResult as error:
            logger.warning("%s: tool '%s': %s", self._request.instance, self._tool.name, error)
            return self._failed(
                f"the tool {self._tool.name} ran, but its result cannot be told: {error}"
            )
        return self._told(text, await self._kept(text))

    def _checked(self) -> Any:
        request, name = self._request, self._tool.name
        if request.fingerprint and fingerprint(name, request.arguments) != request.fingerprint:
            raise _NotRun(f"the tool {name} was not run: these arguments were not approved")
        try:
            checked = self._reader.reread(request.arguments)
            text = self._reader.text(checked)
        except ValueError as error:
            raise _NotRun(f"the tool {name} was not run: {error}") from None
        # The code may have changed since: a new default was not approved either.
        if request.fingerprint and fingerprint(name, text) != request.fingerprint:
            raise _NotRun(f"the tool {name} was not run: its parameters have changed since")
        return checked

    async def _called(self, checked: Any) -> object:
        function = self._tool.function
        values = self._reader.values(checked)
        if self._reader.context:
            values[self._reader.context] = self._context()
        if _is_async(function):
            return await function(**values)
        call = partial(copy_context().run, function, **values)
        returned = await asyncio.get_running_loop().run_in_executor(_threads, call)
        # A function that is not marked as async may return a coroutine all the same.
        return await returned if inspect.isawaitable(returned) else returned

    def _context(self) -> ToolContext:
        request = self._request
        return ToolContext(
            instance_id=request.instance,
            call_id=request.call_id,
            idempotency_key=request.idempotency_key,
            attempt=request.attempt,
            agent=request.agent,
            session_id=request.session,
            principal=request.principal,
            callback=request.callback,
        )

    def _later(self) -> ToolResult:
        if not self._request.callback:
            logger.warning(
                "%s: tool '%s' returned a result that comes later, and has no later=True",
                self._request.instance,
                self._tool.name,
            )
            return self._failed(f"the tool {self._tool.name} ran, but nobody can bring its result")
        return self._told("(the result comes later)").model_copy(update={"later": True})

    def _log(self, error: BaseException) -> None:
        # The frames without the error's words, which may repeat the arguments.
        frames = "".join(traceback.format_tb(error.__traceback__))
        logger.warning(
            "%s: tool '%s' failed in attempt %d (%s)\n%s",
            self._request.instance,
            self._tool.name,
            self._request.attempt,
            type(error).__name__,
            frames,
        )

    def _failed(self, words: str, *, retriable: bool = False) -> ToolResult:
        told = self._told(sound(words))
        return told.model_copy(update={"is_error": True, "retriable": retriable})

    async def _kept(self, text: str) -> str:
        """Keep a result that is too large to be told, and return where; empty for nowhere."""
        data = text.encode()
        if self._store is None or len(data) <= self._tool.max_result_bytes:
            return ""
        try:
            return await self._store.upload_async(data, instance_id=self._request.instance or None)
        except Exception as error:  # of a storage service
            # The tool has done its work: that its result is cut is no reason to do it again.
            logger.warning(
                "%s: the result of tool '%s' was not kept (%s)",
                self._request.instance,
                self._tool.name,
                type(error).__name__,
            )
            return ""

    def _told(self, text: str, place: str = "") -> ToolResult:
        return ToolResult(
            call_id=self._request.call_id,
            name=self._tool.name,
            text=shortened(text, self._tool.max_result_bytes, place),
        )


def tool_activity(tool: "Tool", store: PayloadStore | None = None) -> ToolActivity:
    """Return the activity function of a tool, named like `tool.activity`.

    It takes a `ToolRequest` as plain JSON data.

    Args:
        tool: The tool.
        store: Where the whole of a result goes that is too large to be told.

    Raises:
        InvalidInput: By the function, when it is given anything else.
    """

    # The worker and the SDK read these annotations; neither takes generic types.
    async def call(request: object) -> ToolResult:
        return await tool.run(_read(request, tool.name), store)

    call.__name__ = call.__qualname__ = tool.activity
    call.__doc__ = tool.description or f"Call the tool {tool.name}."
    return call


def _read(request: object, name: str) -> ToolRequest:
    try:
        return ToolRequest.model_validate(request)
    except ValidationError as error:
        # Without the input: arguments have no place in a message or a log.
        places = [".".join(map(str, detail["loc"])) for detail in error.errors(include_input=False)]
        raise InvalidInput(
            f"tool '{name}': the activity's input is not a tool request "
            f"(wrong: {', '.join(places) or 'all'})"
        ) from None


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - not whether there is one
    )
