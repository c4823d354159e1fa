"""Runs one process of the Functions host, as `start` and `host` start it.

It has a command line of its own: what reads and explains the one for people (`cli.py`) would take
8 MB in each of the processes, and a part of their start.
"""

import argparse
import os
from collections.abc import Awaitable
from pathlib import Path

from local_runtime.functions_host.server import HostSettings, serve
from local_runtime.log_setup import set_up_logging
from local_runtime.processes.part_process import PartControl, run_part
from local_runtime.proxies import bypass_proxies


def main(arguments: list[str]) -> None:
    """Run the process that these arguments describe, until it is told to stop."""
    set_up_logging(os.environ)
    bypass_proxies(os.environ)
    settings = _settings(arguments)

    def serve_host(part: PartControl) -> Awaitable[None]:
        return serve(settings, ready=part.ready, stop=part.stop, succession=part)

    run_part(serve_host, lambda _: None)


def _settings(arguments: list[str]) -> HostSettings:
    parser = argparse.ArgumentParser("host-process", allow_abbrev=False)
    parser.add_argument("--app", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--scheduler", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task-hub", default="")
    parser.add_argument("--dashboard-url")
    parser.add_argument("--enable-auth", action="store_true")
    serves = parser.add_mutually_exclusive_group(required=True)
    serves.add_argument("--listen-fd", type=int)
    serves.add_argument("--worker-only", action="store_true")
    given = parser.parse_args(arguments)
    return HostSettings(
        app_dir=given.app,
        port=given.port,
        scheduler=given.scheduler,
        task_hub=given.task_hub,
        data_dir=given.data,
        dashboard_url=given.dashboard_url,
        enable_auth=given.enable_auth,
        listen_fd=given.listen_fd,
        worker_only=given.worker_only,
    )
