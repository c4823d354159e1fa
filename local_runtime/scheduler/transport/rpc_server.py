"""Serves gRPC calls on the event loop: bytes in, bytes out."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import grpc
from grpc._cython import cygrpc

from local_runtime.scheduler.transport.completion_loop import CompletionLoop
from local_runtime.scheduler.transport.completions import ThreadedCompletions

logger = logging.getLogger("local_runtime.scheduler")

type Metadata = Sequence[tuple[str, str | bytes]]
type Answer = Callable[["Call", bytes], Coroutine[Any, Any, None]]
"""Handles one call with its request; it ends the call, or lets it end with status OK."""

_NONE = 0  # no flags
_MORE_COMES = 1  # GRPC_WRITE_BUFFER_HINT: it may go out together with what is sent next
_SLOTS = 64  # calls that may come in between two looks at the queue without waiting


class Call:
    """One call: what came with it, and the way back. All its methods belong to the loop."""

    def __init__(self, event: Any, on_message: Callable[["Call", bytes], None]) -> None:
        self.method: str = event.call_details.method.decode("latin-1")
        self.metadata: Metadata = event.invocation_metadata
        self.task: asyncio.Task[None] | None = None
        self._call = event.call
        self._on_message = on_message
        self._is_over = False  # ended by us, or by a client that has gone
        self._is_fresh = True  # nothing has been sent
        self._is_sending = False
        self._outgoing: deque[tuple[bytes, Callable[[], None] | None]] = deque()
        self._drained: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """Ask for the request, and to be told when the client has gone."""
        self._call.start_server_batch((cygrpc.ReceiveCloseOnServerOperation(_NONE),), self._closed)
        self._call.start_server_batch((cygrpc.ReceiveMessageOperation(_NONE),), self._received)

    def reply(self, data: bytes) -> None:
        """Send the only answer, and end the call."""
        self._start(cygrpc.SendMessageOperation(data, _NONE), _status(grpc.StatusCode.OK, ""))
        self._is_over = True

    def end(self, code: grpc.StatusCode = grpc.StatusCode.OK, details: str = "") -> None:
        """End the call with a status; what is still queued is not sent."""
        self._outgoing.clear()
        self._start(_status(code, details))
        self._is_over = True

    def send(self, data: bytes, on_sent: Callable[[], None] | None = None) -> None:
        """Queue one message of many; they go out in order, and `on_sent` tells when it has."""
        if self._is_over:
            return
        self._outgoing.append((data, on_sent))
        if not self._is_sending:
            self._send_next()

    async def drained(self) -> None:
        """Return once everything queued has gone out, or the client has."""
        if self._is_over or not (self._outgoing or self._is_sending):
            return
        self._drained = asyncio.get_running_loop().create_future()
        await self._drained

    def _send_next(self) -> None:
        data, on_sent = self._outgoing.popleft()
        self._is_sending = True

        def sent(event: Any) -> None:
            self._is_sending = False
            if not event.success or self._is_over:
                self._outgoing.clear()
            elif on_sent is not None:
                on_sent()
            if self._outgoing:
                self._send_next()
            elif self._drained is not None and not self._drained.done():
                self._drained.set_result(None)

        # Never with the initial metadata, which would wait too, and is not done before it is out.
        flags = _MORE_COMES if self._outgoing and not self._is_fresh else _NONE
        self._start(cygrpc.SendMessageOperation(data, flags), then=sent)

    def _start(self, *operations: Any, then: Callable[[Any], None] | None = None) -> None:
        if self._is_over:
            return
        if self._is_fresh:
            self._is_fresh = False
            operations = (cygrpc.SendInitialMetadataOperation(None, _NONE), *operations)
        self._call.start_server_batch(operations, then or _nothing)

    def _received(self, event: Any) -> None:
        data = event.batch_operations[0].message()
        if data is None:
            # Gone already, or a client that sent no message at all.
            self.end(grpc.StatusCode.INTERNAL, "the call has no request")
            return
        self._on_message(self, data)

    def _closed(self, event: Any) -> None:
        if not event.batch_operations[0].cancelled():
            return
        self._is_over = True
        self._outgoing.clear()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self.task is not None:
            self.task.cancel()


class RpcServer:
    """A gRPC server on one port of 127.0.0.1, with a function for each method."""

    def __init__(self, options: Sequence[tuple[str, Any]], answers: Mapping[str, Answer]) -> None:
        self._answers = answers
        self._loop = asyncio.get_running_loop()
        self._threaded = None
        if isinstance(self._loop, CompletionLoop):
            self._queue = self._loop.completions.queue
        else:
            self._threaded = ThreadedCompletions(self._loop)
            self._queue = self._threaded.queue
        self._server = cygrpc.Server(tuple(options), False)
        self._server.register_completion_queue(self._queue)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def listen(self, port: int) -> int:
        """Listen on a port, 0 for any that is free; return it.

        Raises:
            RuntimeError: the port is in use.
        """
        bound: int = self._server.add_http2_port(f"127.0.0.1:{port}".encode())
        if not bound:
            raise RuntimeError(f"port {port} cannot be listened on")
        return bound

    def start(self) -> None:
        """Begin to take calls."""
        self._server.start()
        for _ in range(_SLOTS):
            self._request()

    async def stop(self, grace: float) -> None:
        """Take no more calls, and cut those that have not ended after so many seconds."""
        self._is_stopping = True
        ended: asyncio.Future[None] = self._loop.create_future()

        def all_ended(event: object) -> None:
            ended.set_result(None)

        self._server.shutdown(self._queue, all_ended)
        await asyncio.wait({ended}, timeout=grace)
        if not ended.done():
            self._server.cancel_all_calls()
            await ended
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        self._server.destroy()
        if self._threaded is not None:
            await self._threaded.close()

    def _request(self) -> None:
        self._server.request_call(self._queue, self._queue, self._arrived)

    def _arrived(self, event: Any) -> None:
        if not event.success:
            return  # the server is stopping: the slot comes back unused
        if not self._is_stopping:
            self._request()
        Call(event, self._answer).begin()

    def _answer(self, call: Call, request: bytes) -> None:
        answer = self._answers.get(call.method)
        if answer is None:
            call.end(grpc.StatusCode.UNIMPLEMENTED, f"there is no method {call.method}")
            return
        # Eager: an answer that waits for nothing is given here and now.
        task = asyncio.Task(self._run(answer, call, request), loop=self._loop, eager_start=True)
        if not task.done():
            call.task = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, answer: Answer, call: Call, request: bytes) -> None:
        try:
            await answer(call, request)
            await call.drained()
        except asyncio.CancelledError:
            call.end(grpc.StatusCode.CANCELLED, "the call was cut")
        except Exception as error:
            logger.exception("%s: unexpected error", call.method)
            call.end(grpc.StatusCode.UNKNOWN, f"unexpected {type(error).__name__}: {error}")
        else:
            call.end()


def _status(code: grpc.StatusCode, details: str) -> Any:
    return cygrpc.SendStatusFromServerOperation(None, code.value[0], details.encode(), _NONE)


def _nothing(event: object) -> None:
    """Do nothing: gRPC reports that an answer has gone out, and nobody waits for that."""
