"""The states an orchestration instance can rest in, and their numbers in the protocol."""

from enum import StrEnum

from durabletask.internal import orchestrator_service_pb2 as pb


class Status(StrEnum):
    """Runtime status of an instance.

    The protocol also numbers CANCELED, which Python clients cannot read, and CONTINUED_AS_NEW,
    which is a moment and not a state to rest in: neither is ever stored.
    """

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TERMINATED = "TERMINATED"

    @property
    def is_terminal(self) -> bool:
        """Whether an instance in this state is finished for good."""
        return self in TERMINAL

    def to_proto(self) -> pb.OrchestrationStatus:
        """Return the protocol's number for this state."""
        return _TO_PROTO[self]


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.TERMINATED})

_TO_PROTO = {
    Status.PENDING: pb.ORCHESTRATION_STATUS_PENDING,
    Status.RUNNING: pb.ORCHESTRATION_STATUS_RUNNING,
    Status.SUSPENDED: pb.ORCHESTRATION_STATUS_SUSPENDED,
    Status.COMPLETED: pb.ORCHESTRATION_STATUS_COMPLETED,
    Status.FAILED: pb.ORCHESTRATION_STATUS_FAILED,
    Status.TERMINATED: pb.ORCHESTRATION_STATUS_TERMINATED,
}
_FROM_PROTO = {number: status for status, number in _TO_PROTO.items()}


def from_proto(number: pb.OrchestrationStatus) -> Status | None:
    """Return the state of this number, or None for one no instance ever rests in."""
    return _FROM_PROTO.get(number)
