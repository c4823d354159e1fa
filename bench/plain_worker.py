"""The SDK's plain worker as a process of its own, with the functions that are measured."""

import logging
import sys
import threading
import time

from durabletask import entities, task, worker


def step(_: task.ActivityContext, milliseconds: int) -> int:
    """Take some time, or none."""
    if milliseconds:
        time.sleep(milliseconds / 1000)  # noqa: TID251 - a step that takes time is what is measured
    return milliseconds


def fan_out(context: task.OrchestrationContext, given: list[int]):
    """One step, then `width` steps at the same time."""
    width, milliseconds = given
    yield context.call_activity(step, input=milliseconds)
    results = yield task.when_all(
        [context.call_activity(step, input=milliseconds) for _ in range(width)]
    )
    return len(results)


def chain(context: task.OrchestrationContext, length: int):
    """Steps one after the other."""
    for _ in range(length):
        yield context.call_activity(step, input=0)
    return length


def waiting(context: task.OrchestrationContext, _: None):
    """Wait for an event that may never come."""
    return (yield context.wait_for_external_event("go"))


def counter(context: entities.EntityContext, amount: int):
    """Add up."""
    context.set_state(context.get_state(int, 0) + amount)


def main(address: str) -> None:
    logging.disable(logging.CRITICAL)
    options = worker.ConcurrencyOptions(maximum_thread_pool_workers=120)
    found = worker.TaskHubGrpcWorker(host_address=address, concurrency_options=options)
    for orchestrator in (fan_out, chain, waiting):
        found.add_orchestrator(orchestrator)
    found.add_activity(step)
    found.add_entity(counter)
    found.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
