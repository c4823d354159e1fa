"""Calls one function of the app through Microsoft's worker library."""

import asyncio
import base64
import logging
import time
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import azure_functions_runtime as worker

from local_runtime.functions_host.app import worker_messages
from local_runtime.functions_host.app.client_binding import ClientBinding
from local_runtime.functions_host.app.function_index import DURABLE_CLIENT, Function
from local_runtime.functions_host.app.invocation_label import InvocationLabel, labelled
from local_runtime.functions_host.app.watchdog import Watchdog
from local_runtime.functions_host.app.worker_messages import (
    InvocationRequest,
    InvocationResponse,
    ParameterBinding,
    RetryContext,
    RpcException,
    RpcTraceContext,
    StatusResult,
    StreamingMessage,
    TypedData,
    WorkerRequest,
)
from local_runtime.functions_host.ids import IdSource

_NO_TRACE = RpcTraceContext()
_NO_RETRIES = RetryContext()
_PROPERTIES = {"protos": worker_messages}

logger = logging.getLogger("local_runtime.host")


class FunctionFailed(Exception):
    """The function raised.

    Attributes:
        text: `TypeName: message`, as the worker reports it.
        stack_trace: The traceback, as text.
    """

    def __init__(self, text: str, stack_trace: str) -> None:
        super().__init__(text)
        self.text = text
        self.stack_trace = stack_trace


@dataclass(slots=True)
class Returned:
    """What a function returned, and what it put into its output parameters."""

    value: TypedData | None
    outputs: Mapping[str, TypedData | None] = field(default_factory=dict[str, TypedData | None])

    def message(self) -> bytes:
        """Return the Durable Task message that an orchestrator or entity function gives back."""
        text = str(self.value.value) if self.value is not None else ""
        return base64.b64decode(text, validate=True)


class DataBindings(Protocol):
    """Reads the inputs of a function that lie outside the app, and writes such outputs."""

    async def read(
        self, function: Function, trigger: TypedData, metadata: Mapping[str, TypedData]
    ) -> list[ParameterBinding]:
        """Return the inputs.

        Raises:
            FunctionFailed: One cannot be read.
        """
        ...

    async def write(
        self,
        function: Function,
        returned: Returned,
        trigger: TypedData,
        metadata: Mapping[str, TypedData],
    ) -> None:
        """Write the outputs.

        Raises:
            FunctionFailed: One cannot be written.
        """
        ...


class NoDataBindings:
    """For an app that has no such bindings."""

    async def read(
        self, function: Function, trigger: TypedData, metadata: Mapping[str, TypedData]
    ) -> list[ParameterBinding]:
        """Return nothing."""
        return []

    async def write(
        self,
        function: Function,
        returned: Returned,
        trigger: TypedData,
        metadata: Mapping[str, TypedData],
    ) -> None:
        """Write nothing."""


class StartGuards(Protocol):
    """Sees to it that an event which comes again starts nothing twice."""

    def lent(self, event: str) -> AbstractAsyncContextManager[str]:
        """Give the address of the scheduler for an invocation that is for `event`."""
        ...


class Invoker:
    """Invokes the functions of the app that this process has loaded."""

    def __init__(
        self,
        client_binding: ClientBinding,
        new_id: IdSource,
        watchdog: Watchdog,
        data_bindings: DataBindings,
        start_guards: StartGuards,
    ) -> None:
        self._client_binding = client_binding
        self._new_id = new_id
        self._watchdog = watchdog
        self._data_bindings = data_bindings
        self._start_guards = start_guards

    async def invoke(
        self,
        function: Function,
        trigger: TypedData,
        *,
        trace_parent: str = "",
        instance_id: str = "",
        metadata: Mapping[str, TypedData] | None = None,
        event: str | None = None,
        invocation_id: str | None = None,
        watched: bool = True,
        retry: RetryContext = _NO_RETRIES,
    ) -> Returned:
        """Call `function` with the value of its trigger; its other inputs are filled in here.

        What the task logs from now on is labelled with the function, the invocation and the
        instance.

        Args:
            function: Which function.
            trigger: The value of its trigger.
            trace_parent: The trace that the call belongs to.
            instance_id: The orchestration or entity that the call is for, for the log.
            metadata: What is known of the trigger's value: of a message, its id and so on.
            event: What names the event that the call is for, if the same event may come again:
                what was started for it then is not started once more.
            invocation_id: The invocation's id, for whoever must know it before; else one is made.
            watched: Whether it may take too long; False for a part of what `watch` is given.
            retry: How often the call has been tried before, and what became of it.

        Raises:
            FunctionFailed: The function raised, or gave back what cannot be sent.
            FunctionTimedOut: The function took too long; nothing is known of what it did.
        """
        known = metadata or {}
        request = InvocationRequest(
            invocation_id=invocation_id or self._new_id(),
            function_id=function.function_id,
            input_data=[],
            trigger_metadata=known,
            trace_context=RpcTraceContext(trace_parent) if trace_parent else _NO_TRACE,
            retry_context=retry,
        )
        if event is not None and any(one.type == DURABLE_CLIENT for one in function.others):
            async with self._start_guards.lent(f"{function.name} {event}") as scheduler_url:
                request.input_data = await self._inputs(function, trigger, known, scheduler_url)
                response = await self._labelled(function, instance_id, request, watched=watched)
        else:
            request.input_data = await self._inputs(function, trigger, known, None)
            response = await self._labelled(function, instance_id, request, watched=watched)
        if response.result.status != StatusResult.Success:
            exception = response.result.exception or RpcException()
            raise FunctionFailed(exception.message, exception.stack_trace)
        outputs = {binding.name: binding.data for binding in response.output_data}
        returned = Returned(response.return_value, outputs)
        await self._data_bindings.write(function, returned, trigger, known)
        return returned

    async def watch[T](
        self, function: Function, work: Coroutine[Any, Any, T], instance_id: str = ""
    ) -> T:
        """Return what `work` does for a function, which may take as long as one may.

        Raises:
            FunctionTimedOut: It took too long.
        """
        what = f"function {function.name}"
        return await self._watchdog.watch(work, f"{instance_id}: {what}" if instance_id else what)

    async def _inputs(
        self,
        function: Function,
        trigger: TypedData,
        known: Mapping[str, TypedData],
        scheduler_url: str | None,
    ) -> list[ParameterBinding]:
        inputs = [ParameterBinding(function.trigger.name, trigger)]
        for binding in function.others:
            if binding.type == DURABLE_CLIENT:
                client = self._client_binding.to_json(binding.settings, scheduler_url)
                inputs.append(ParameterBinding(binding.name, TypedData(string=client)))
        return inputs + await self._data_bindings.read(function, trigger, known)

    async def _labelled(
        self, function: Function, instance_id: str, request: InvocationRequest, *, watched: bool
    ) -> InvocationResponse:
        with labelled(InvocationLabel(function.name, instance_id, request.invocation_id)):
            began = time.perf_counter()
            logger.debug("begins")
            call = self._call(request)
            response = await (self.watch(function, call, instance_id) if watched else call)
            logger.debug("ended after %.1f ms", 1000 * (time.perf_counter() - began))
            return response

    async def _call(self, request: InvocationRequest) -> InvocationResponse:
        envelope = WorkerRequest(StreamingMessage(invocation_request=request), _PROPERTIES)
        try:
            return cast(
                "InvocationResponse",
                await worker.invocation_request(envelope),  # pyright: ignore[reportUnknownMemberType]
            )
        except SystemExit as error:
            # Without this an app that calls sys.exit() would end the whole host, once for every
            # time the scheduler delivers the work item again.
            raise FunctionFailed(f"SystemExit: {error}", "") from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise FunctionFailed(f"CancelledError: {error}", "") from error
