"""Azurite, the storage emulator, as a process of its own on free ports of this machine."""

import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0

# The account that every Azurite has; its key is published and protects nothing.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class Azurite:
    """A storage account that answers on this machine."""

    blob_port: int
    queue_port: int

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint=http://127.0.0.1:{self.blob_port}/{ACCOUNT};"
            f"QueueEndpoint=http://127.0.0.1:{self.queue_port}/{ACCOUNT};"
        )

    def queues(self) -> QueueServiceClient:
        return QueueServiceClient.from_connection_string(self.connection_string)

    def blobs(self) -> BlobServiceClient:
        return BlobServiceClient.from_connection_string(self.connection_string)


@contextlib.contextmanager
def running_azurite(data: Path, ports: Sequence[int] = (0, 0)) -> Iterator[Azurite]:
    """Start Azurite with its data in `data`, wait until it answers, and stop it in the end.

    Args:
        data: The folder of its data; what it held before is there again.
        ports: Of blobs and of queues; 0 for free ones.
    """
    command = ["node", _program(), "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    hosts = ["--blobHost", "127.0.0.1", "--queueHost", "127.0.0.1", "--tableHost", "127.0.0.1"]
    blob_port, queue_port = map(str, ports)
    chosen = ["--blobPort", blob_port, "--queuePort", queue_port, "--tablePort", "0"]
    process = subprocess.Popen(
        [*command, *hosts, *chosen, "--location", str(data)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    # Were it to hang as it starts, no test would say why.
    alarm = threading.Timer(PATIENCE, process.kill)
    alarm.start()
    try:
        found = _ports(process)
        alarm.cancel()
        yield Azurite(found["Blob"], found["Queue"])
    finally:
        alarm.cancel()
        process.terminate()
        try:
            process.wait(2)  # it writes its data, and then waits for clients to go away
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _program() -> str:
    script = ["sh", str(ROOT / "scripts" / "get-azurite.sh")]
    fetched = subprocess.run(script, capture_output=True, text=True, check=False)
    if fetched.returncode:
        raise RuntimeError(f"the tests of storage need Azurite\n{fetched.stderr}")
    return str(ROOT / fetched.stdout.strip())


def _ports(process: subprocess.Popen[str]) -> dict[str, int]:
    ports: dict[str, int] = {}
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if match := re.search(r"(\w+) service is successfully listening at \S+:(\d+)", line):
            ports[match[1]] = int(match[2])
        if len(ports) == 3:
            return ports
    raise RuntimeError(f"Azurite did not start:\n{''.join(said)}")
