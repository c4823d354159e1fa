"""The SDK's plain worker as a process of its own, to be killed.

Arguments: the scheduler's address, and the worker's name.
"""

import functools
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from durabletask import grpc_options, task, worker

from tests.soak.executions import note
from tests.soak.workflows import ACTIVITIES, ENTITIES, MARKS, ORCHESTRATORS, add_up

# Few enough that no work waits in the worker: what it has been given, it has begun.
_AT_ONCE = 16


def noted(activity: Callable[..., Any], who: str) -> Callable[..., Any]:
    """The same activity, each run of which is written down when it begins and when it ends."""
    file = str(Path(os.environ[MARKS], f"executions-{who}"))

    @functools.wraps(activity)
    def run(context: task.ActivityContext, given: Any) -> Any:
        key = f"{context.orchestration_id}/{context.task_id}"
        note(file, key, who, "begin")
        try:
            return activity(context, given)
        finally:
            note(file, key, who, "end")

    return run


def main(address: str, who: str) -> None:
    logging.disable(logging.CRITICAL)
    found = worker.TaskHubGrpcWorker(
        host_address=address,
        concurrency_options=worker.ConcurrencyOptions(
            maximum_concurrent_activity_work_items=_AT_ONCE, maximum_thread_pool_workers=32
        ),
        # By default a worker may stay away for half a minute from a scheduler that is back.
        resiliency_options=grpc_options.GrpcWorkerResiliencyOptions(
            reconnect_backoff_base_seconds=0.1, reconnect_backoff_cap_seconds=1.0
        ),
        channel_options=grpc_options.GrpcChannelOptions(
            raw_options=[
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ]
        ),
    )
    for activity in ACTIVITIES:
        found.add_activity(noted(activity, who))
    for orchestrator in ORCHESTRATORS:
        found.add_orchestrator(orchestrator)
    for name in ENTITIES:
        found.add_entity(add_up, name)
    found.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
