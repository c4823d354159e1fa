"""Starts a finished instance again from its beginning."""

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.engine.decision import Start
from local_runtime.scheduler.engine.status import TERMINAL
from local_runtime.scheduler.storage import instances
from local_runtime.scheduler.storage.controls import InstanceNotFound, NotInThatState
from local_runtime.scheduler.storage.transaction import Transaction


def restart(tx: Transaction, instance_id: str, new_instance_id: str | None) -> str:
    """Start a finished instance again with its name, input, version and tags.

    Args:
        tx: the transaction.
        instance_id: the finished instance.
        new_instance_id: the id of the new run; None to replace the old one.

    Returns:
        The id of the new run.

    Raises:
        InstanceNotFound: there is no such instance.
        NotInThatState: it is not finished.
    """
    instance = instances.find(tx.connection, instance_id)
    if instance is None:
        raise InstanceNotFound(f"there is no orchestration instance with the id '{instance_id}'")
    if not instance.status.is_terminal:
        raise NotInThatState(
            f"the orchestration instance '{instance_id}' is {instance.status.capitalize()}, "
            "and only a finished one can be restarted"
        )
    given = instances.given_input(tx.connection, instance_id)
    started = pb.ExecutionStartedEvent()
    started.CopyFrom(instance.started)
    if given is not None:
        started.input.value = given
    # The new run is nobody's child, and its time has come.
    for gone in ("parentInstance", "scheduledStartTimestamp"):
        started.ClearField(gone)
    new_id = new_instance_id or instance_id
    instances.start(tx, Start(new_id, started), TERMINAL)
    return new_id
