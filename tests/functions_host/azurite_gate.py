"""A gate before Azurite's blobs that lets every request through but those of one kind."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.azurite import Azurite

PATIENCE = 20.0


@dataclass
class Gate:
    """What stands between a host and a storage account."""

    behind: Azurite
    held: bytes
    """How the requests begin that are never sent on, and never answered."""
    account: Azurite
    """The account as it is seen through the gate."""
    holds: threading.Event = field(default_factory=threading.Event)

    def wait_until_held(self) -> None:
        assert self.holds.wait(PATIENCE), "no such request came"

    def serve(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self.behind.blob_port)) as account:
            answers = threading.Thread(target=pass_on, args=(account, client))
            answers.start()
            pass_on(client, account, self)
            answers.join()


def pass_on(source: socket.socket, sink: socket.socket, gate: Gate | None = None) -> None:
    """Send on what comes until it ends; from a request that is held on, nothing."""
    held = False
    with contextlib.suppress(OSError):
        while sent := source.recv(65536):
            if gate is not None and sent.startswith(gate.held):
                held = True
                gate.holds.set()
            if not held:
                sink.sendall(sent)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def gate_before(behind: Azurite, held: bytes) -> Iterator[Gate]:
    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            gate.serve(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as server:
        server.daemon_threads = True
        gate = Gate(behind, held, replace(behind, blob_port=server.server_address[1]))
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield gate
        server.shutdown()
