"""Functions that do what functions must not do, mostly at the first try only.

Each is given a folder, in which it counts its tries.
"""

import asyncio
import os
import re
import sys
import threading
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def tried(folder: str) -> int:
    """Which try this is: 1 for the first; the file holds the process's id."""
    for number in range(1, 100):
        place = Path(folder, str(number))
        if not place.exists():
            Path(folder, "new").write_text(str(os.getpid()))
            Path(folder, "new").rename(place)
            return number
    raise RuntimeError("tried too often")


@app.orchestration_trigger(context_name="context")
def run_one(context: df.DurableOrchestrationContext):
    name, folder = context.get_input()
    return (yield context.call_activity(name, folder))


@app.activity_trigger(input_name="folder")
def hangs(folder: str) -> int:
    number = tried(folder)
    if number == 1:
        threading.Event().wait()
    return number


@app.activity_trigger(input_name="folder")
async def hangs_async(folder: str) -> int:
    number = tried(folder)
    if number == 1:
        await asyncio.Event().wait()
    return number


@app.activity_trigger(input_name="folder")
async def holds_everything_up(folder: str) -> int:
    """On the event loop, and in C code that lets no other thread run."""
    number = tried(folder)
    if number == 1:
        re.match(r"(a+)+$", "a" * 64 + "b")
    return number


@app.activity_trigger(input_name="folder")
def exits(folder: str) -> int:
    number = tried(folder)
    if number == 1:
        os._exit(3)
    return number


@app.activity_trigger(input_name="folder")
def calls_sys_exit(folder: str) -> None:
    sys.exit("enough")


@app.activity_trigger(input_name="folder")
async def calls_sys_exit_async(folder: str) -> None:
    sys.exit("enough")


@app.activity_trigger(input_name="megabytes")
def prints(megabytes: int) -> int:
    for _ in range(megabytes):
        print("x" * (1024 * 1024 - 1))  # noqa: T201
    return os.getpid()


@app.activity_trigger(input_name="folder")
def hello(folder: str) -> str:
    return "hello"


@app.orchestration_trigger(context_name="context")
def hanging_turn(context: df.DurableOrchestrationContext):
    number = tried(context.get_input())
    if number == 1:
        threading.Event().wait()
    return number
    yield


@app.orchestration_trigger(context_name="context")
def calls_entity(context: df.DurableOrchestrationContext):
    entity = df.EntityId("hanging", context.instance_id)
    return (yield context.call_entity(entity, "go", context.get_input()))


@app.entity_trigger(context_name="context")
def hanging(context: df.DurableEntityContext):
    number = tried(context.get_input())
    if number == 1:
        threading.Event().wait()
    context.set_result(number)


@app.route(route="hangs")
def http_hangs(req: func.HttpRequest) -> str:
    threading.Event().wait()
    return ""


@app.route(route="pid")
def http_pid(req: func.HttpRequest) -> str:
    return str(os.getpid())
