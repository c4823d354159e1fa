"""Calls one function of the app through Microsoft's worker library."""

import asyncio
import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import azure_functions_runtime as worker

from local_runtime.functions_host.app import worker_messages
from local_runtime.functions_host.app.client_binding import ClientBinding
from local_runtime.functions_host.app.function_index import DURABLE_CLIENT, Function
from local_runtime.functions_host.app.watchdog import Watchdog
from local_runtime.functions_host.app.worker_messages import (
    InvocationRequest,
    InvocationResponse,
    ParameterBinding,
    RpcException,
    RpcTraceContext,
    StatusResult,
    StreamingMessage,
    TypedData,
    WorkerRequest,
)
from local_runtime.functions_host.ids import IdSource

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


@dataclass(frozen=True)
class Returned:
    """What a function returned, and what it put into its output parameters."""

    value: TypedData | None
    outputs: Mapping[str, TypedData | None] = field(default_factory=dict[str, TypedData | None])

    def message(self) -> bytes:
        """Return the Durable Task message that an orchestrator or entity function gives back."""
        text = str(self.value.value) if self.value is not None else ""
        return base64.b64decode(text, validate=True)


class Invoker:
    """Invokes the functions of the app that this process has loaded."""

    def __init__(self, client_binding: ClientBinding, new_id: IdSource, watchdog: Watchdog) -> None:
        self._client_binding = client_binding
        self._new_id = new_id
        self._watchdog = watchdog

    async def invoke(
        self,
        function: Function,
        trigger: TypedData,
        *,
        trace_parent: str = "",
        instance_id: str = "",
    ) -> Returned:
        """Call `function` with the value of its trigger; its other inputs are filled in here.

        Raises:
            FunctionFailed: The function raised, or gave back what cannot be sent.
            FunctionTimedOut: The function took too long; nothing is known of what it did.
        """
        inputs = [ParameterBinding(function.trigger.name, trigger)]
        for binding in function.others:
            if binding.type == DURABLE_CLIENT:
                client = TypedData(string=self._client_binding.to_json(binding.settings))
                inputs.append(ParameterBinding(binding.name, client))
        request = InvocationRequest(
            invocation_id=self._new_id(),
            function_id=function.function_id,
            input_data=inputs,
            trace_context=RpcTraceContext(trace_parent),
        )
        what = f"function {function.name}"
        response = await self._watchdog.watch(
            self._call(request), f"{instance_id}: {what}" if instance_id else what
        )
        if response.result.status != StatusResult.Success:
            exception = response.result.exception or RpcException()
            raise FunctionFailed(exception.message, exception.stack_trace)
        outputs = {binding.name: binding.data for binding in response.output_data}
        return Returned(response.return_value, outputs)

    async def _call(self, request: InvocationRequest) -> InvocationResponse:
        envelope = WorkerRequest(
            StreamingMessage(invocation_request=request), {"protos": worker_messages}
        )
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
