"""Sends what a server's connections write in one turn of the event loop together, at its end.

To send something wakes who waits for it, and on a busy machine that often takes the processor away
from the sender at once. A server that sends each answer as soon as it has it then works through the
other requests of the turn with one pause, and cold caches, after each.
"""

import asyncio
from collections.abc import Sized
from typing import Any

# So many connections wait for each other at the most.
_MAX_HELD = 32
# More than this is worth a call of the system of its own, and no copy.
_MAX_JOINED = 16 * 1024


class Outbox:
    """The connections of one server that have something to send."""

    def __init__(self, connections: Sized) -> None:
        """Take the server's connections, of which only the number matters."""
        self._connections = connections
        self._holding: list[HeldTransport] = []

    @property
    def is_for_one(self) -> bool:
        """Whether there is a single connection, which need not wait for others."""
        return len(self._connections) < 2

    def add(self, transport: "HeldTransport") -> None:
        """Have a transport send what it holds, at the end of this turn at the latest."""
        if not self._holding:
            asyncio.get_running_loop().call_soon(self._send)
        self._holding.append(transport)
        if len(self._holding) >= _MAX_HELD:
            self._send()

    def _send(self) -> None:
        holding, self._holding = self._holding, []
        for transport in holding:
            transport.flush()


class HeldTransport:
    """A transport that holds back small writes until the outbox is emptied; in their order."""

    def __init__(self, transport: asyncio.Transport, outbox: Outbox) -> None:
        self._transport = transport
        self._outbox = outbox
        self._held = b""
        self.is_closing = transport.is_closing
        self.get_write_buffer_size = transport.get_write_buffer_size

    def write(self, data: bytes) -> None:
        """Send this soon: at once if it is large."""
        if len(self._held) + len(data) > _MAX_JOINED or self._outbox.is_for_one:
            self.flush()
            self._transport.write(data)
        elif self._held:
            self._held += data
        elif data:
            self._held = data
            self._outbox.add(self)

    def flush(self) -> None:
        """Send what is held back."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def close(self) -> None:
        """Send what is held back, and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
