"""Puts together an orchestrator's answer that a worker sends in several messages."""

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.client import MAX_MESSAGE_BYTES
from local_runtime.scheduler.engine.decision import InvalidResponse


def add_part(
    parts: list[pb.OrchestratorResponse], part: pb.OrchestratorResponse
) -> pb.OrchestratorResponse | None:
    """Take in the next part; return the whole answer once the last one is there.

    What is no action (the custom status, how many events were processed) counts as the first part
    says it.

    Raises:
        InvalidResponse: the part is not the next one, or they are too large together.
    """
    index = part.chunkIndex.value if part.HasField("chunkIndex") else len(parts)
    if index != len(parts):
        raise InvalidResponse(
            f"{part.instanceId}: part {index} of an answer came where {len(parts)} was next"
        )
    if sum(known.ByteSize() for known in parts) + part.ByteSize() > MAX_MESSAGE_BYTES:
        raise InvalidResponse(
            f"{part.instanceId}: the parts of an answer have more than {MAX_MESSAGE_BYTES} bytes"
        )
    parts.append(part)
    if part.isPartial:
        return None
    whole = pb.OrchestratorResponse()
    whole.CopyFrom(parts[0])
    for later in parts[1:]:
        whole.actions.extend(later.actions)
    return whole
