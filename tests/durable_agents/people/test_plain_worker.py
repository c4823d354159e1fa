"""Human requests on a plain Durable Task worker, with the SDK's own backend."""

import asyncio
from collections.abc import Generator
from typing import Any

from durabletask.client import TaskHubGrpcClient
from durabletask.task import OrchestrationContext
from durabletask.testing import create_test_backend
from durabletask.worker import TaskHubGrpcWorker

from durable_agents.people import (
    ANSWER_FUNCTION,
    Asking,
    HumanRequest,
    HumanRequestEntity,
    answer_request,
)
from tests.ports import free_port


def ask_and_answer(context: OrchestrationContext, timeout: float) -> Generator[Any, Any, Any]:
    """Ask, and answer oneself as soon as the request is there."""
    asking = Asking(context, HumanRequest(id="q1", question="?", timeout=timeout))
    given = {"instance": context.instance_id, "request": "q1", "answer": '{"approved": true}'}
    outcomes = {"unknown"}
    while "unknown" in outcomes:
        verdict = yield context.call_sub_orchestrator(ANSWER_FUNCTION, input=given)
        outcomes = {verdict["outcome"]}
    return [verdict["outcome"], (yield asking).to_json()]


def ask(context: OrchestrationContext, timeout: float) -> Generator[Any, Any, Any]:
    return (yield Asking(context, HumanRequest(question="?", timeout=timeout))).to_json()


async def test_an_answer_and_a_deadline_on_a_plain_worker() -> None:
    port = free_port()
    backend = create_test_backend(port=port)
    address = f"localhost:{port}"
    try:
        with TaskHubGrpcWorker(host_address=address) as worker:
            worker.add_entity(HumanRequestEntity)
            worker.add_orchestrator(answer_request)
            worker.add_orchestrator(ask_and_answer)
            worker.add_orchestrator(ask)
            worker.start()
            client = TaskHubGrpcClient(host_address=address)
            ids = [
                client.schedule_new_orchestration(ask_and_answer, input=3600),
                client.schedule_new_orchestration(ask, input=0.2),
            ]
            states = [
                await asyncio.to_thread(client.wait_for_orchestration_completion, id, timeout=60)
                for id in ids
            ]
            client.close()
    finally:
        backend.stop()
    outputs = [state.get_output() for state in states if state is not None]
    assert outputs[0][0] == "accepted"
    assert outputs[0][1]["text"] == '{"approved": true}'
    assert outputs[1]["status"] == "expired"
