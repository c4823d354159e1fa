"""A gate before Azurite that lets every request through but those of one kind."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from tests.azurite import Azurite

PATIENCE = 20.0

type Doing = Literal["hold", "hold answer", "cut answer"]


@dataclass
class Gate:
    """What stands between a host and a storage account."""

    behind: Azurite
    held: bytes
    """How the requests begin that are held."""
    doing: Doing
    """Whether a request is kept back, or its answer; or whether answers are lost."""
    account: Azurite
    """The account as it is seen through the gate."""
    port: int
    """The port behind it."""
    cuts: int = 1
    """How many answers are lost."""
    holds: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def wait_until_held(self) -> None:
        assert self.holds.wait(PATIENCE), "no such request came"

    def open(self) -> None:
        """Let on what is held."""
        self.opened.set()

    def stays_shut(self) -> bool:
        """Wait until it is opened; whether it was taken away instead."""
        while not (self.opened.wait(0.02) or self.closed):
            pass
        return not self.opened.is_set()

    def serve(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as account:
            held = threading.Event()
            answers = threading.Thread(
                target=self._answers, args=(account, client, held), daemon=True
            )
            answers.start()
            self._requests(client, account, held)
            answers.join()

    def _requests(self, client: socket.socket, account: socket.socket, held) -> None:
        with contextlib.suppress(OSError):
            while sent := client.recv(65536):
                if sent.startswith(self.held) and self._catches():
                    held.set()
                if held.is_set() and self.doing == "hold":
                    self.holds.set()
                    if self.stays_shut():
                        break
                account.sendall(sent)
        with contextlib.suppress(OSError):
            account.shutdown(socket.SHUT_WR)

    def _catches(self) -> bool:
        if self.doing == "cut answer":
            self.cuts -= 1
        return self.cuts >= 0

    def _answers(self, account: socket.socket, client: socket.socket, held) -> None:
        with contextlib.suppress(OSError):
            while sent := account.recv(65536):
                if held.is_set() and self.doing != "hold":
                    self.holds.set()  # what was asked for has been done by now
                    if self.doing == "cut answer" or self.stays_shut():
                        break
                client.sendall(sent)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def gate_before(
    behind: Azurite, held: bytes, doing: Doing = "hold", *, queues: bool = False, cuts: int = 1
) -> Iterator[Gate]:
    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            gate.serve(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as server:
        server.daemon_threads = True
        port = server.server_address[1]
        seen = replace(behind, **{"queue_port" if queues else "blob_port": port})
        shut_off = behind.queue_port if queues else behind.blob_port
        gate = Gate(behind, held, doing, seen, shut_off, cuts)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield gate
        finally:
            gate.closed = True
            server.shutdown()
