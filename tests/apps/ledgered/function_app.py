"""An app whose activities note each of their runs in a file, and may stop their process."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
_PAUSE = float(os.environ.get("ACTIVITY_SECONDS", "0"))
_STOP_MARK = os.environ.get("STOP_ONCE", "")


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    """So many activities one after the other; the numbers that they return."""
    done = []
    for number in range(1, context.get_input() + 1):
        done.append((yield context.call_activity("note", f"{context.instance_id}/{number}")))
    return done


@app.activity_trigger(input_name="key")
async def note(key: str) -> int:
    """Note the beginning and the end of a run under its key: the instance and the task's id."""
    write(key, "begin")
    if _STOP_MARK and stops_here():
        os.kill(os.getpid(), signal.SIGSTOP)
    if _PAUSE:
        await asyncio.sleep(_PAUSE)
    write(key, "end")
    return int(key.rpartition("/")[2])


def stops_here() -> bool:
    """Whether this is the one run that stops its process."""
    try:
        Path(_STOP_MARK).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def write(key: str, what: str) -> None:
    """Append a line, whole even if the process dies next."""
    line = {"key": key, "who": "host", "pid": os.getpid(), "what": what, "at": time.time_ns() / 1e9}
    notes = os.open(os.environ["EXECUTIONS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(notes, json.dumps(line).encode() + b"\n")
    os.close(notes)
