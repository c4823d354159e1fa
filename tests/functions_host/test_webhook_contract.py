"""Every route of the webhook, to the letter: webhook_rows.py is the contract, row by row.

The document that the host publishes is held to the rows, and the rows to the document.
"""

import json

import grpc
import grpc.aio
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue
from host_process import APPS, WEBHOOK, running_host
from webhook_rows import NOTHING, ROWS, Row
from webhook_world import World, fits, path_of

from local_runtime.functions_host.webhook.task_hub.paging import fitting_page
from local_runtime.scheduler.client import SchedulerClient

COMMON = {"taskHub", "connection", "code"}


@pytest.fixture(scope="module")
def world(scheduler):
    with running_host(APPS / "webhook_contract", scheduler) as (_, http):
        yield World(http)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.law)
def test_route_answers_as_the_contract_says(world, row: Row):
    request, names = world.fill(row.request)
    verb, _, path = request.partition(" ")

    reply = world.send(verb, path, row.content, **row.sent)

    assert reply.status_code == row.code, reply.text
    if row.body is NOTHING:
        assert (reply.content, reply.headers.get("content-type")) == (b"", None)
    else:
        assert reply.headers["content-type"] == "application/json; charset=utf-8"
        assert fits(row.body, reply.json(), names), reply.text
        compact = json.dumps(reply.json(), separators=(",", ":"), ensure_ascii=False)
        assert row.stored or reply.content == compact.encode()
    for name, value in row.headers.items():
        assert fits(value, reply.headers.get(name), names), (name, reply.headers)
    label = world.label(verb, path)
    if label is not None:
        world.conforms(label, reply)


def test_every_answer_of_the_document_has_a_row(world):
    shown = {(world.label(*row.request.split(" ", 1)), str(row.code)) for row in ROWS}
    documented = {
        (f"{verb.upper()} {path}", code)
        for path, verbs in world.document["paths"].items()
        for verb, operation in verbs.items()
        for code in operation["responses"]
    }
    # 503 and 500 are of a host or a scheduler that is away; only a state in a 500 is asked for.
    failures = {("GET /instances/{instanceId}", "500"), *((f"POST /{path}", "500") for path in (
        "orchestrators/{functionName}", "orchestrators/{functionName}/{instanceId}",
        "instances/{instanceId}/restart",
    ))}  # fmt: skip
    away = {(op, code) for op, code in documented if code in ("500", "503")} - failures
    # That a request makes no sense for its task hub is shown for one operation.
    hub = {(op, "400") for op, code in documented if code == "400" and (op, code) not in shown}
    # What is asked for is too large: test_state_that_no_message_holds_answers_413, for two of them.
    large = {(op, "413") for op, _ in documented if op.startswith("GET") or "restart" in op}
    own = {("GET /openapi.json", "200")}
    # Every other verb refuses a web page of another origin, before it is looked at any further.
    pages = {(op, "403") for op, _ in documented if not op.startswith("GET")}

    assert documented - away - hub - large - own - pages <= shown


def test_every_parameter_of_the_document_has_a_row(world):
    missing = []
    for path, verbs in world.document["paths"].items():
        for verb, operation in verbs.items():
            label = f"{verb.upper()} {path}"
            rows = [row for row in ROWS if world.label(*row.request.split(" ", 1)) == label]
            text = " ".join(row.request + "&" + "&".join(f"{h}=" for h in row.sent) for row in rows)
            missing += [
                (label, parameter["name"])
                for parameter in operation["parameters"]
                if parameter["in"] != "path" and parameter["name"] not in COMMON
                and f"{parameter['name']}=".lower() not in text.lower()
            ]  # fmt: skip

    assert missing == []
    requests = " ".join(row.request for row in ROWS).lower()
    assert all(f"{name}=".lower() in requests for name in COMMON)


@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"])
def test_what_is_not_in_the_document_is_no_route(world, verb):
    for path, verbs in world.document["paths"].items():
        if verb.lower() in verbs:
            continue
        asked = path.strip("/").replace("{", "").replace("}", "")

        reply = world.send(verb, asked)

        assert (reply.status_code, reply.content) == (404, b""), (verb, path)


def test_document_is_openapi_and_names_its_server(world):
    world.schema.validate()

    assert world.document["openapi"] == "3.1.0"
    assert world.document["servers"] == [{"url": world.origin + WEBHOOK}]


def test_web_page_of_another_origin_is_refused_as_documented(world):
    for path, verbs in world.document["paths"].items():
        for verb, operation in verbs.items():
            reply = world.send(verb, path.strip("/"), Origin="http://evil.example")
            assert (reply.status_code == 403) == ("403" in operation["responses"]), (verb, path)
    assert "403" in world.document["paths"]["/orchestrators/{functionName}"]["post"]["responses"]
    assert "security" not in world.document


def test_management_urls_work_as_they_are(world):
    started = world.send("POST", "orchestrators/waiting").json()
    steps = [
        ("GET", "statusQueryGetUri", 202), ("POST", "suspendPostUri", 202),
        ("POST", "resumePostUri", 202), ("POST", "restartPostUri", 409),
        ("DELETE", "purgeHistoryDeleteUri", 412), ("POST", "terminatePostUri", 202),
        ("POST", "restartPostUri", 202), ("DELETE", "purgeHistoryDeleteUri", 200),
        ("GET", "statusQueryGetUri", 404), ("POST", "sendEventPostUri", 404),
    ]  # fmt: skip

    codes = [world.send(verb, path_of(started[name])).status_code for verb, name, _ in steps]

    assert codes == [code for _, _, code in steps]


@pytest.mark.parametrize("kind", ["instances", "entities/counter"])
def test_pages_end_with_an_empty_token(world, kind):
    hub = f"Pages{world.new()[-8:]}"
    world.post(f"orchestrators/waiting/a?taskHub={hub}")  # makes the hub
    made = set()
    for key in ("é", "ж 1", "plain", "100%", "$"):
        path = "orchestrators/waiting" if kind == "instances" else kind
        if kind == "instances":
            world.post(f"{path}/{key.replace('%', '%25')}?taskHub={hub}")
        else:
            key = f"{hub}{key}"
            world.post(f"{path}/{key.replace('%', '%25')}?op=touch")
            world.settle(
                f"{path}/{key.replace('%', '%25')}", lambda reply: reply.status_code == 200
            )
        made.add(key)
    query = f"taskHub={hub}" if kind == "instances" else ""
    seen, sizes, token = [], [], ""
    while True:
        reply = world.send("GET", f"{kind}?top=2&{query}", **{"x-ms-continuation-token": token})
        seen += [
            item["instanceId"] if kind == "instances" else item["entityId"]["key"]
            for item in reply.json()
        ]
        sizes.append(len(reply.json()))
        token = reply.headers["x-ms-continuation-token"]
        if not token:
            break

    assert made <= set(seen)
    assert len(seen) == len(set(seen))
    assert set(sizes[:-1]) == {2}


@pytest.mark.parametrize(
    ("sent", "content", "given"),
    [("application/json", b'{"a": [1, "\xc3\xa9"]}', {"a": [1, "é"]}),
     ("text/plain", b'{"a": 1}', '{"a": 1}'), ("", "grüße".encode(), "grüße"),
     ("application/octet-stream", b"\xff", "\ufffd"), ("application/json", b"", None)],
)  # fmt: skip
def test_signal_reaches_its_entity_with_its_input(world, sent, content, given):
    key = world.new()
    world.send("POST", f"entities/counter/{key}?op=Set%20it", content, **{"content-type": sent})

    world.settle(f"entities/counter/{key}", lambda reply: reply.status_code == 200)

    state = world.send("GET", f"entities/counter/{key}").json()
    assert state == {"operation": "Set it", "input": given}


def test_delete_signals_the_operation_delete(world):
    key = world.entity()

    world.send("DELETE", f"entities/counter/{key}")

    world.settle(f"entities/counter/{key}", lambda reply: reply.status_code == 404)


@pytest.mark.parametrize("path", ["orchestrators/waiting", "entities/counter?op=touch"])
def test_body_of_unknown_length_above_the_limit_answers_413(world, path):
    mebibyte = b" " * 1024 * 1024
    chunks = iter([mebibyte] * 64)

    reply = world.send("POST", path, chunks)

    assert reply.status_code == 413
    assert "63 MiB" in reply.json()["Message"]


async def test_dollar_reads_the_empty_key(world, scheduler):
    """The SDK's workers take no empty key, so this one is written by hand."""
    hub = f"Keys{world.new()[-8:]}"
    world.post(f"entities/counter?op=set&taskHub={hub}", b"1")
    async with SchedulerClient.open(scheduler, hub) as client:
        item = await work_item(client)
        assert item.entityRequestV2.instanceId == "@counter@"
        await client.stub.CompleteEntityTask(
            pb.EntityBatchResult(
                completionToken=item.completionToken,
                entityState=StringValue(value='{"a": 1}'),
                results=[pb.OperationResult(success=pb.OperationResultSuccess())],
            ),
            metadata=client.metadata,
        )

    reply = world.send("GET", f"entities/Counter/$?taskHub={hub}")

    assert (reply.status_code, reply.content) == (200, b'{"a": 1}')
    items = world.send("GET", f"entities?taskHub={hub}").json()
    assert [item["entityId"] for item in items] == [{"name": "counter", "key": ""}]


@pytest.mark.soak
async def test_state_that_no_message_holds_answers_413(world, scheduler):
    hub, path = f"Large{world.new()[-8:]}", "instances/large"
    large = json.dumps("x" * (33 * 1024 * 1024))
    world.post(f"orchestrators/waiting/large?taskHub={hub}", large.encode())
    async with SchedulerClient.open(scheduler, hub) as client:
        item = await work_item(client)
        action = pb.OrchestratorAction(
            completeOrchestration=pb.CompleteOrchestrationAction(
                orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED,
                result=StringValue(value=large),
            )
        )
        response = pb.OrchestratorResponse(
            instanceId="large", completionToken=item.completionToken, actions=[action]
        )
        await client.stub.CompleteOrchestratorTask(response, metadata=client.metadata)

    reply = world.send("GET", f"{path}?taskHub={hub}")
    listed = world.send("GET", f"instances?top=1&taskHub={hub}")

    assert (reply.status_code, "64 MiB" in reply.json()["Message"]) == (413, True)
    assert [(one["output"], one["runtimeStatus"]) for one in listed.json()] == [(None, "Completed")]
    assert world.send("DELETE", f"{path}?taskHub={hub}").json() == {"instancesDeleted": 1}


async def work_item(client: SchedulerClient) -> pb.WorkItem:
    """The first work item that a worker is given."""
    stream = client.stub.GetWorkItems(
        pb.GetWorkItemsRequest(
            maxConcurrentOrchestrationWorkItems=1, maxConcurrentEntityWorkItems=1
        ),
        metadata=client.metadata,
        timeout=60,
    )
    async for item in stream:
        if item.completionToken:
            return item
    raise AssertionError("no work came")


@pytest.mark.parametrize(
    ("size", "fits_up_to", "tries"),
    [(100, 100, [(100, True)]), (100, 20, [(100, True), (12, True)]),
     (5000, 1, [(5000, True), (125, True), (15, True), (1, True)]),
     (2, 0, [(2, True), (1, True), (1, False)]), (1, 0, [(1, True), (1, False)])],
)  # fmt: skip
async def test_page_gets_shorter_until_it_fits_into_a_message(size, fits_up_to, tries):
    asked = []

    async def fetch(size: int, with_payloads: bool) -> str:
        asked.append((size, with_payloads))
        if with_payloads and size > fits_up_to:
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), grpc.aio.Metadata()
            )
        return "page"

    assert await fitting_page(fetch, size) == "page"
    assert asked == tries
