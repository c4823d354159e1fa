"""Activities that wait for each other, or for a file, in whichever processes they run."""

import os
import threading
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
_lock = threading.Lock()
_running = 0
_most = 0


@app.orchestration_trigger(context_name="context")
def fan_out(context: df.DurableOrchestrationContext):
    name, width, folder = context.get_input()
    return (
        yield context.task_all(
            [context.call_activity(name, [folder, number]) for number in range(width)]
        )
    )


@app.activity_trigger(input_name="given")
def meets_another_process(given: list) -> int:
    """Ends once activities run in two processes."""
    folder, number = given
    Path(folder, f"{os.getpid()}-{number}").touch()
    wait_for(lambda: len({path.name.split("-")[0] for path in Path(folder).iterdir()}) > 1)
    return os.getpid()


@app.activity_trigger(input_name="given")
def waits_for_release(given: list) -> list[int]:
    """The process, and how many of these activities it has run at once at the most."""
    global _running, _most
    folder, number = given
    with _lock:
        _running += 1
        _most = max(_most, _running)
    Path(folder, f"{os.getpid()}-{number}").touch()
    wait_for(Path(folder, "release").exists)
    with _lock:
        _running -= 1
    return [os.getpid(), _most]


@app.route(route="pid")
def pid(req: func.HttpRequest) -> str:
    return str(os.getpid())


def wait_for(holds) -> None:
    pause = threading.Event()
    while not holds():
        pause.wait(0.02)
