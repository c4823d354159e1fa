"""The SDK's plain worker as a process of its own, to be killed; its argument is the address."""

import logging
import sys
import threading

from durabletask import grpc_options, worker

from tests.soak.workflows import ACTIVITIES, ENTITIES, ORCHESTRATORS, add_up


def main(address: str) -> None:
    logging.disable(logging.CRITICAL)
    found = worker.TaskHubGrpcWorker(
        host_address=address,
        concurrency_options=worker.ConcurrencyOptions(maximum_thread_pool_workers=32),
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
        found.add_activity(activity)
    for orchestrator in ORCHESTRATORS:
        found.add_orchestrator(orchestrator)
    for name in ENTITIES:
        found.add_entity(add_up, name)
    found.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
