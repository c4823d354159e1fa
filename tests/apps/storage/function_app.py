"""An app of queue and blob triggers and outputs, which tells over HTTP what it was given."""

import asyncio
import json
import os
import threading
import typing
from collections import defaultdict

import azure.durable_functions as df
import azure.functions as func

STORAGE = "AzureWebJobsStorage"

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

_seen: dict[str, list] = defaultdict(list)
_grew = threading.Condition()
_released = threading.Event()


def see(where: str, what) -> None:
    with _grew:
        _seen[where].append(what)
        _grew.notify_all()


@app.route(route="seen/{where}/{count:int}", methods=["GET"])
def seen(req: func.HttpRequest) -> str:
    """Answers once so many things have been seen there."""
    where, count = req.route_params["where"], int(req.route_params["count"])
    with _grew:
        _grew.wait_for(lambda: len(_seen[where]) >= count, timeout=60)
        return json.dumps(_seen[where])


@app.route(route="release", methods=["POST"])
def release(req: func.HttpRequest) -> str:
    """Lets go what is being held."""
    _released.set()
    return ""


def facts(msg: func.QueueMessage) -> dict:
    moments = (msg.insertion_time, msg.expiration_time, msg.time_next_visible)
    return {
        "id": msg.id,
        "body": msg.get_body().decode(),
        "tries": msg.dequeue_count,
        "receipt": msg.pop_receipt,
        "times": [moment.isoformat() for moment in moments],
    }


@app.queue_trigger(arg_name="msg", queue_name="plain-%SUFFIX%", connection=STORAGE)
@app.queue_output(arg_name="$return", queue_name="answers", connection="OTHER_STORAGE")
def plain(msg: func.QueueMessage) -> str:
    see("plain", facts(msg))
    return f"did {msg.get_body().decode()}"


@app.queue_trigger(arg_name="msg", queue_name="failing", connection=STORAGE)
async def failing(msg: func.QueueMessage) -> None:
    see("failing", facts(msg))
    raise ValueError("never works")


@app.queue_trigger(arg_name="msg", queue_name="failing-poison", connection=STORAGE)
def poisoned(msg: func.QueueMessage) -> None:
    see("poisoned", facts(msg))


@app.queue_trigger(arg_name="msg", queue_name="mending", connection=STORAGE)
def mending(msg: func.QueueMessage) -> None:
    see("mending", facts(msg))
    if msg.dequeue_count < 3:
        raise ValueError("not yet")


@app.queue_trigger(arg_name="msg", queue_name="held", connection=STORAGE)
def held(msg: func.QueueMessage) -> None:
    see("held", facts(msg))
    if os.environ.get("HOLD"):
        _released.wait()


@app.queue_trigger(arg_name="msg", queue_name="binary", connection=STORAGE)
@app.blob_output(arg_name="copy", path="copies/{id}-{DequeueCount}.bin", connection=STORAGE)
def binary(msg: func.QueueMessage, copy: func.Out[bytes]) -> None:
    copy.set(msg.get_body())
    see("binary", msg.get_body().hex())


@app.route(route="order/{id}", methods=["POST"])
@app.blob_input(arg_name="template", path="templates/{customer.kind}.txt", connection=STORAGE)
@app.queue_output(arg_name="orders", queue_name="orders", connection=STORAGE)
@app.blob_output(
    arg_name="record", path="records/{id}/{datetime:yyyy}/{rand-guid:N}.json", connection=STORAGE
)
def order(
    req: func.HttpRequest,
    template: func.InputStream,
    orders: func.Out[typing.List[str]],  # noqa: UP006 - the worker knows no other
    record: func.Out[str],
) -> str:
    text = template.read().decode() if template is not None else "(none)"
    orders.set([f"{text} 1", f"{text} 2"])
    record.set(req.get_body().decode())
    return text


@app.route(route="messages/{kind}", methods=["POST"])
@app.queue_output(arg_name="out", queue_name="kinds", connection=STORAGE)
def messages(req: func.HttpRequest, out: func.Out[func.QueueMessage]) -> str:
    kinds = {
        "message": func.QueueMessage(body="one"),
        "bytes": b"\x00\xff",
        "list": ["a", func.QueueMessage(body="b")],
        "none": None,
        "huge": "x" * 100_000,
    }
    out.set(kinds[req.route_params["kind"]])
    return "sent"


@app.blob_trigger(arg_name="blob", path="inbox/{folder}/{name}.txt", connection=STORAGE)
@app.blob_output(arg_name="copy", path="outbox/{folder}-{name}", connection=STORAGE)
def inbox(blob: func.InputStream, copy: func.Out[str]) -> None:
    text = blob.read().decode()
    copy.set(text.upper())
    see(
        "inbox",
        {
            "name": blob.name,
            "length": blob.length,
            "uri": blob.uri,
            "text": text,
            "metadata": blob.metadata,
            "type": blob.blob_properties["ContentType"],
        },
    )


@app.blob_trigger(arg_name="blob", path="broken", connection=STORAGE)
def broken(blob: func.InputStream) -> None:
    see("broken", blob.name)
    raise ValueError("cannot be read")


@app.queue_trigger(arg_name="msg", queue_name="webjobs-blobtrigger-poison", connection=STORAGE)
def broken_blobs(msg: func.QueueMessage) -> None:
    see("broken_blobs", msg.get_json())


def starts(queue_name: str, name: str, start) -> None:
    """Registers a function that starts orchestrations for a message, and then may be held."""

    async def run(msg: func.QueueMessage, client: df.DurableOrchestrationClient) -> None:
        instances = await start(client, msg)
        see(queue_name, facts(msg) | {"instances": instances})
        if os.environ.get("HOLD"):
            await asyncio.Event().wait()

    run.__name__ = name
    with_client = app.durable_client_input(client_name="client")(run)
    app.queue_trigger(arg_name="msg", queue_name=queue_name, connection=STORAGE)(with_client)


async def start_one(client: df.DurableOrchestrationClient, msg: func.QueueMessage) -> list[str]:
    return [await client.schedule_new_orchestration("flow", input=msg.get_json())]


async def start_named(client: df.DurableOrchestrationClient, msg: func.QueueMessage) -> list[str]:
    return [await client.schedule_new_orchestration("flow", instance_id=msg.id)]


async def start_two(client: df.DurableOrchestrationClient, msg: func.QueueMessage) -> list[str]:
    """Starts two equal ones, at the same time."""
    start = client.schedule_new_orchestration
    return sorted(await asyncio.gather(*(start("flow", input="same") for _ in range(2))))


starts("starts", "starts", start_one)
starts("starts-named", "starts_named", start_named)
starts("starts-twice", "starts_twice", start_two)
starts("starts-calm", "starts_calm", start_one)


_may_start = threading.Event()
_left_running: list[threading.Thread] = []


@app.queue_trigger(arg_name="msg", queue_name="late", connection=STORAGE)
@app.durable_client_input(client_name="client")
def late(msg: func.QueueMessage, client) -> None:
    """Leaves a thread behind that starts an orchestration while the next message is handled."""

    def start() -> str:
        return client.schedule_new_orchestration("flow", input="same")

    def start_late() -> None:
        _may_start.wait()
        see("started_late", start())

    if msg.get_body() == b"first":
        _left_running.append(threading.Thread(target=start_late))
        _left_running[0].start()
        return
    _may_start.set()
    _left_running[0].join()
    see("late", start())
    if msg.dequeue_count == 1:
        raise ValueError("once more")


@app.blob_trigger(arg_name="blob", path="started/{name}", connection=STORAGE)
@app.durable_client_input(client_name="client")
async def started(blob: func.InputStream, client: df.DurableOrchestrationClient) -> None:
    text = blob.read().decode()
    instance = await client.schedule_new_orchestration("flow", input=text)
    see("started", {"name": blob.name, "text": text, "instance": instance})
    if os.environ.get("HOLD"):
        await asyncio.Event().wait()


@app.orchestration_trigger(context_name="context")
def flow(context: df.DurableOrchestrationContext):
    return context.get_input()
