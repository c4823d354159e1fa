"""Messages that no well-meant client sends, made from the protocol's own description."""

from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

INT32 = (-(2**31), 2**31 - 1)
INT64 = (-(2**63), 2**63 - 1)
YEAR_9999 = 253_402_300_799

KNOWN = ["wf", "parent", "wf:0001", "@counter@a", "@Counter@a", "default"]
TEXTS = [
    *KNOWN,
    "",
    "@",
    "@@",
    "@x",
    "@@key",
    "@a@b@c",
    "a\x00b",
    "a\nERROR forged: line",
    "\x1b[2J",
    "\ud7ff\ue000\ufffe\uffff",
    "\u202egnp.exe",
    "'; DROP TABLE instances; --",
    "%s%n{0}",
    "../../etc/passwd",
    "9" * 400,
    "ä" * 600,
    "x" * 100_000,
]

texts = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
int32s = st.sampled_from([-1, 0, 1, 2, 99, *INT32]) | st.integers(*INT32)
int64s = st.sampled_from([-1, 0, 1, YEAR_9999, YEAR_9999 + 1, *INT64]) | st.integers(*INT64)
seconds = st.sampled_from([0, 1, 1_767_225_600, 1_767_225_600 + 10**9]) | int64s

_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: texts,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=30),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: int32s,
    FieldDescriptor.TYPE_ENUM: st.integers(-1, 8) | int32s,
    FieldDescriptor.TYPE_INT64: int64s,
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
}


def _build(descriptor: Descriptor, fields: dict[str, Any]) -> Message:
    return GetMessageClass(descriptor)(**fields)


def messages(descriptor: Descriptor, depth: int = 4) -> st.SearchStrategy[Any]:
    """Any message of a type: each field left out or filled with what it should not hold."""
    if descriptor.full_name == "google.protobuf.Timestamp":
        stamp: dict[str, st.SearchStrategy[Any]] = {
            "seconds": seconds,
            "nanos": st.just(0) | int32s,
        }
        return st.fixed_dictionaries(stamp).map(lambda f: _build(descriptor, f))
    fields = {
        field.name: st.none() | strategy | strategy | strategy
        for field in descriptor.fields
        if (strategy := _field(field, depth)) is not None
    }
    return st.fixed_dictionaries(fields).map(lambda f: _build(descriptor, f))


def _field(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any] | None:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        if kind.fields_by_name["value"].message_type is not None:
            return None  # free-form properties: test_fuzz nests those on purpose
        return st.dictionaries(texts, texts, max_size=2)
    if kind is not None and depth == 0:
        return None
    one = _SCALARS[field.type] if kind is None else messages(kind, depth - 1)
    return st.lists(one, max_size=3) if field.is_repeated else one


def message(kind: type[Message], depth: int = 4) -> st.SearchStrategy[Any]:
    """Any message of a class."""
    return messages(kind.DESCRIPTOR, depth)


_ACTION = pb.OrchestratorAction.DESCRIPTOR
_ACTION_KINDS = [field.name for field in _ACTION.oneofs_by_name["orchestratorActionType"].fields]


@st.composite
def actions(draw: st.DrawFn) -> pb.OrchestratorAction:
    """One action of some kind, with hostile contents; now and then of no kind."""
    found = pb.OrchestratorAction(id=draw(int32s))
    kind = draw(st.sampled_from([*_ACTION_KINDS, None]))
    if kind is not None:
        field = _ACTION.fields_by_name[kind]
        getattr(found, kind).CopyFrom(draw(messages(field.message_type)))
        getattr(found, kind).SetInParent()
    return found


def nested(levels: int) -> pb.TaskFailureDetails:
    """A failure with so many inner failures."""
    found = pb.TaskFailureDetails(errorType="E", errorMessage="0")
    for level in range(1, levels):
        outer = pb.TaskFailureDetails(errorType="E", errorMessage=str(level))
        outer.innerFailure.CopyFrom(found)
        found = outer
    return found
