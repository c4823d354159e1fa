"""Answers in a worker's stead for work that fits into no message: it fails, and says why.

Sent all the same it would break the worker's stream, be handed out again, break the next one, and
so keep everything else in the task hub from running.
"""

from collections.abc import Callable

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.client import MAX_MESSAGE_BYTES
from local_runtime.scheduler.storage import activities, entities, turns
from local_runtime.scheduler.storage.effects import ReadyTask
from local_runtime.scheduler.storage.entities import Batch
from local_runtime.scheduler.storage.transaction import Transaction
from local_runtime.scheduler.storage.turns import Turn

MAX_WORK_BYTES = MAX_MESSAGE_BYTES - 1024  # the rest is for the token and the framing
_MEBIBYTE = 1024 * 1024


def failing(work: Turn | Batch | ReadyTask, size: int) -> Callable[[Transaction], bool]:
    """Return the step that fails work whose request has `size` bytes."""
    advice = "Keep large data elsewhere, and pass on where it is"
    if isinstance(work, Turn):
        advice = "Continue as new before the history grows so large"
    failure = pb.TaskFailureDetails(
        errorType="WorkItemTooLarge",
        errorMessage=(
            f"What a worker would have to be sent has {size / _MEBIBYTE:.1f} MiB, and a message "
            f"has at most {MAX_MESSAGE_BYTES // _MEBIBYTE} MiB. {advice}."
        ),
        isNonRetriable=True,
    )
    if isinstance(work, Turn):
        end = pb.CompleteOrchestrationAction(
            orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=failure
        )
        action = pb.OrchestratorAction(id=-1, completeOrchestration=end)
        answer = pb.OrchestratorResponse(instanceId=work.instance_id, actions=[action])
        return lambda tx: turns.commit(tx, work, answer)
    if isinstance(work, Batch):
        result = pb.EntityBatchResult(failureDetails=failure)
        return lambda tx: entities.commit(tx, work, result)
    return lambda tx: activities.complete(tx, work, pb.ActivityResponse(failureDetails=failure))
