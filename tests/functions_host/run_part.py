"""Runs one part of the runtime as its command line would; ends when its standard input closes."""

import asyncio
import faulthandler
import json
import os
import sys
from pathlib import Path

from local_runtime.errors import StartupError
from local_runtime.log_setup import set_up_logging


async def main(part: str, settings: dict) -> None:
    stop = asyncio.Event()
    lifeline = asyncio.get_running_loop()
    await lifeline.connect_read_pipe(lambda: _Lifeline(stop), sys.stdin)

    def ready(facts) -> None:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()

    if part == "scheduler":
        from local_runtime.scheduler.service.server import SchedulerSettings, serve

        await serve(
            SchedulerSettings(Path(settings["data"]), settings["port"], "relaxed"),
            ready=ready,
            stop=stop,
        )
    else:
        from local_runtime.functions_host.server import HostSettings, serve

        settings["app_dir"] = Path(settings["app_dir"])
        settings["data_dir"] = Path(settings["data_dir"])
        await serve(HostSettings(**settings), ready=ready, stop=stop)


class _Lifeline(asyncio.Protocol):
    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def connection_lost(self, exc) -> None:
        self._stop.set()


if __name__ == "__main__":
    faulthandler.enable()
    set_up_logging(os.environ)
    status = 0
    try:
        asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
    except StartupError as error:
        sys.stderr.write(f"error: {error}\n")
        status = 1
    sys.stderr.flush()
    # As the real parts end: a thread that still runs a function of the app is not waited for.
    os._exit(status)
