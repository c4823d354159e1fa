"""A peer's process: it reads a load a line, runs it and answers how long each time took."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable

from bench.loads import Load

type Run = Callable[[Load], Awaitable[None]]


async def serve(run: Run) -> None:
    """Answer until the input ends; `run` runs the workflows of a load once."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the peer prints is no answer
    await run(Load("fan_out", 2))  # warm
    print("ready", file=answers, flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        load = Load(**json.loads(line))
        found: list[float] = []
        for _ in range(load.times):
            began = time.perf_counter()
            await run(load)
            found.append(time.perf_counter() - began)
        print(json.dumps(found), file=answers, flush=True)
