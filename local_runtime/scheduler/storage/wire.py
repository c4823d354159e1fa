"""Joins protobuf messages as bytes, where reading thousands of events would be a waste.

Source: the protobuf encoding (https://protobuf.dev/programming-guides/encoding): a field is a
tag, a length and its bytes, and messages whose bytes are joined are merged.
"""

from durabletask.internal import orchestrator_service_pb2 as pb

_LENGTH_DELIMITED = 2
_REQUEST_FIELDS = pb.OrchestratorRequest.DESCRIPTOR.fields_by_name
_WORK_ITEM_FIELDS = pb.WorkItem.DESCRIPTOR.fields_by_name
PAST_EVENTS: int = _REQUEST_FIELDS["pastEvents"].number
NEW_EVENTS: int = _REQUEST_FIELDS["newEvents"].number
ORCHESTRATOR_REQUEST: int = _WORK_ITEM_FIELDS["orchestratorRequest"].number
ACTIVITY_REQUEST: int = _WORK_ITEM_FIELDS["activityRequest"].number
ENTITY_REQUEST: int = _WORK_ITEM_FIELDS["entityRequestV2"].number


def varint(number: int) -> bytes:
    """Return a non-negative number in protobuf's variable-length form."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def frame(number: int, payload: bytes) -> bytes:
    """Return a message's bytes as the field `number` of another message."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(len(payload)) + payload


def frames(number: int, payloads: list[bytes]) -> bytes:
    """Return several messages' bytes as one repeated field."""
    tag = varint(number << 3 | _LENGTH_DELIMITED)
    return b"".join([part for p in payloads for part in (tag, varint(len(p)), p)])


def past_events(events: bytes) -> list[pb.HistoryEvent]:
    """Read the events of stored history."""
    return list(pb.OrchestratorRequest.FromString(events).pastEvents)


def work_item(number: int, request: bytes, token: str) -> bytes:
    """Return the bytes of a WorkItem that holds one request and its completion token."""
    return frame(number, request) + pb.WorkItem(completionToken=token).SerializeToString()
