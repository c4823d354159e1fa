"""The programs of `samples/worker`, as a reader would run them."""

import asyncio
import datetime
import ipaddress
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as rpc

from tests.end_to_end.model_server import serving
from tests.service import ROOT, environment

SIGNED_IN = """
import asyncio
from azure.core.credentials import AccessToken
from samples.worker.connection import Connection

class Credential:
    def get_token(self, *scopes, **options):
        assert scopes == ("https://durabletask.io/.default",)
        return AccessToken("a-token", 4102444800)

async def ask(connection):
    async with connection.async_client() as client:
        await client.get_orchestration_state("x")

connection = Connection.from_environment()
connection = Connection(connection.endpoint, connection.task_hub, Credential())
with connection.client() as client:
    client.get_orchestration_state("x")
asyncio.run(ask(connection))
connection.worker()
"""


class Model:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def answer(self, system: str, user: str) -> str:
        self.asked.append((system, user))
        return f"as a {'physicist' if 'physics' in system else 'chemist'}: {user}"


@asynccontextmanager
async def python(
    *arguments: str, env: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        env=environment(env),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        assert await process.wait() == 0


async def output_of(*arguments: str, env: Mapping[str, str]) -> str:
    async with python(*arguments, env=env) as process:
        output, _ = await process.communicate()
    return output.decode()


def assert_answered(output: str, model: Model) -> None:
    answers: dict[str, Any] = json.loads(output)
    assert answers["physicist"] == "as a physicist: What is temperature?"
    assert answers["chemist"] == "as a chemist: What is temperature?"
    # Threads of their own: neither was told what the other had been asked or had said.
    [physics, chemistry] = sorted(model.asked, reverse=True)[:2]
    assert physics[1] == chemistry[1] == "What is temperature?"


async def test_both_experts_answer_in_one_process(endpoint: str) -> None:
    model = Model()
    async with serving(model.answer) as settings:
        env = {**settings, "ENDPOINT": endpoint, "TASKHUB": "one-process"}
        assert_answered(await output_of("-m", "samples.worker.sample", env=env), model)


async def test_both_experts_answer_in_two_processes(endpoint: str) -> None:
    model = Model()
    async with serving(model.answer) as settings:
        env = {**settings, "ENDPOINT": endpoint, "TASKHUB": "two-processes"}
        async with python("-m", "samples.worker.worker", env=env) as worker:
            assert worker.stdout is not None
            assert b"Physicist, Chemist" in await worker.stdout.readline()
            assert_answered(await output_of("-m", "samples.worker.client", env=env), model)


class Managed(rpc.TaskHubSidecarServiceServicer):
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    async def GetInstance(self, request: Any, context: Any) -> pb.GetInstanceResponse:
        metadata = dict(context.invocation_metadata())
        self.seen.append((metadata["taskhub"], metadata["authorization"]))
        return pb.GetInstanceResponse(exists=False)


def certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, signed.public_bytes(serialization.Encoding.PEM)


async def test_an_https_endpoint_is_asked_with_a_token_and_the_task_hub(tmp_path: Path) -> None:
    private, public = certificate()
    (tmp_path / "roots.pem").write_bytes(public)
    managed, server = Managed(), grpc.aio.server()
    rpc.add_TaskHubSidecarServiceServicer_to_server(managed, server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(private, public)]))
    await server.start()
    env = {
        "ENDPOINT": f"https://localhost:{port}",
        "TASKHUB": "mine",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(tmp_path / "roots.pem"),
    }
    try:
        await output_of("-c", SIGNED_IN, env=env)
    finally:
        await server.stop(None)
    assert managed.seen == [("mine", "Bearer a-token")] * 2
