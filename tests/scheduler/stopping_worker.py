"""The SDK's plain worker as a process that stops itself once, in a turn, activity or entity.

Arguments: the scheduler's address, a folder to leave notes in, and where to stop (or `nowhere`).
"""

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from durabletask import entities, grpc_options, task, worker

from tests.soak.executions import note

PLACES = ("turn", "activity", "entity")


def main(address: str, folder: str, place: str) -> None:
    logging.disable(logging.CRITICAL)
    notes, who = str(Path(folder, "executions")), f"stops in {place}"
    stops = threading.Lock()

    def pass_by(here: str) -> None:
        if here == place and stops.acquire(blocking=False):
            os.kill(os.getpid(), signal.SIGSTOP)

    def step(context: task.ActivityContext, number: int) -> int:
        key = f"{context.orchestration_id}/{context.task_id}"
        note(notes, key, who, "begin")
        pass_by("activity")
        note(notes, key, who, "end")
        return number

    def flow(context: task.OrchestrationContext, tally: str):
        first = yield context.call_activity(step, input=1)
        pass_by("turn")
        entity = entities.EntityInstanceId("tally", tally)
        total = yield context.call_entity(entity, "add", return_type=int)
        second = yield context.call_activity(step, input=2)
        return [first, second, total > 0]

    def tally(context: entities.EntityContext, _: None) -> int:
        total = context.get_state(int, 0) + (context.operation == "add")
        pass_by("entity")
        context.set_state(total)
        return total

    found = worker.TaskHubGrpcWorker(
        host_address=address,
        concurrency_options=worker.ConcurrencyOptions(
            maximum_concurrent_activity_work_items=4,
            maximum_concurrent_orchestration_work_items=4,
            maximum_concurrent_entity_work_items=4,
            maximum_thread_pool_workers=8,
        ),
        resiliency_options=grpc_options.GrpcWorkerResiliencyOptions(
            reconnect_backoff_base_seconds=0.1, reconnect_backoff_cap_seconds=1.0
        ),
    )
    found.add_activity(step)
    found.add_orchestrator(flow)
    found.add_entity(tally, "tally")
    found.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
