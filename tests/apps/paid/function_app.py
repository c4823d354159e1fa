"""Functions that cost something each time they run: each writes a line when it begins.

They are given a folder: the lines are in its file `begun`, and a function goes on until there is
the file that it waits for.
"""

import threading
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger(context_name="context")
def buys(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("pays", [context.get_input(), "release"]))


@app.orchestration_trigger(context_name="context")
def asks(context: df.DurableOrchestrationContext):
    return (yield context.wait_for_external_event("answer"))


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    first = yield context.call_activity("adds_one", 1)
    return (yield context.call_activity("adds_one", first))


@app.activity_trigger(input_name="number")
def adds_one(number: int) -> int:
    return number + 1


@app.activity_trigger(input_name="given")
def pays(given: list) -> str:
    """Waits for a file, and fails if it says so."""
    folder, name = given
    said = wait_in(Path(folder), name)
    if said == "fail":
        raise ValueError("no money")
    return "paid"


@app.entity_trigger(context_name="context")
def till(context: df.DurableEntityContext) -> None:
    folder, name = context.get_input()
    context.set_result(wait_in(Path(folder), name))


def wait_in(folder: Path, name: str) -> str:
    with (folder / "begun").open("a") as file:
        file.write(f"{name}\n")
    pause = threading.Event()
    while not (folder / name).exists():
        pause.wait(0.01)
    with (folder / "ended").open("a") as file:
        file.write(f"{name}\n")
    return (folder / name).read_text()
