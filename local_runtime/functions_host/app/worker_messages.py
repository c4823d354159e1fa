"""Plain objects in the place of the protobuf messages that Microsoft's worker library exchanges.

The library builds its replies through the module it is given as `protos` and reads its requests
by attribute, so each class here has the name and the fields of the message it stands for. What is
made for every call has slots in the place of being frozen, which takes a third of the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar


@dataclass(frozen=True)
class RpcException:
    """An exception of the app, as the worker reports it."""

    message: str = ""
    stack_trace: str = ""
    source: str = ""


@dataclass(slots=True)
class StatusResult:
    """Whether a request to the worker succeeded."""

    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1
    status: int = Success
    exception: RpcException | None = None


@dataclass(frozen=True)
class WorkerMetadata:
    """What the worker says of itself."""

    runtime_name: str
    runtime_version: str
    worker_version: str
    worker_bitness: str
    custom_properties: Mapping[str, str]


@dataclass(frozen=True)
class WorkerInitResponse:
    """The answer to loading an app."""

    capabilities: Mapping[str, str]
    worker_metadata: WorkerMetadata
    result: StatusResult


@dataclass(frozen=True)
class BindingInfo:
    """One binding of a function, as the worker checks it against the Python signature."""

    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2
    undefined: ClassVar[int] = 0
    type: str = ""
    data_type: int = 0
    direction: int = 0


@dataclass(frozen=True)
class RpcRetryOptions:
    """A function's own retry policy."""

    max_retry_count: int = 0
    retry_strategy: str = ""
    delay_interval: timedelta = timedelta()
    minimum_interval: timedelta = timedelta()
    maximum_interval: timedelta = timedelta()


@dataclass(frozen=True)
class RpcFunctionMetadata:
    """One function the worker found in the app."""

    name: str
    function_id: str
    raw_bindings: list[str]
    directory: str = ""
    script_file: str = ""
    entry_point: str = ""
    language: str = ""
    managed_dependency_enabled: bool = False
    is_proxy: bool = False
    bindings: Mapping[str, BindingInfo] = field(default_factory=dict[str, BindingInfo])
    retry_options: RpcRetryOptions | None = None
    properties: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class FunctionMetadataResponse:
    """All functions the worker found; None when the app has no script file."""

    function_metadata_results: list[RpcFunctionMetadata] | None
    result: StatusResult
    use_default_metadata_indexing: bool = False


@dataclass(frozen=True)
class NullableString:
    """A string, or nothing."""

    value: str = ""


@dataclass(frozen=True)
class NullableBool:
    """A truth value, or nothing."""

    value: bool = False


@dataclass(frozen=True)
class NullableDouble:
    """A number, or nothing."""

    value: float = 0.0


@dataclass(frozen=True)
class Timestamp:
    """A moment in seconds since 1970."""

    seconds: int = 0


@dataclass(frozen=True)
class NullableTimestamp:
    """A moment, or nothing."""

    value: Timestamp = Timestamp()


class _SameSite:
    Lax, Strict, ExplicitNone = "Lax", "Strict", "None"


# `None` is a keyword, so the member of that name (the attribute left out) is set from outside.
setattr(_SameSite, "None", "")


@dataclass(frozen=True)
class RpcHttpCookie:
    """One cookie of an HTTP function's response."""

    SameSite: ClassVar[type[_SameSite]] = _SameSite
    name: str
    value: str
    domain: NullableString | None = None
    path: NullableString | None = None
    expires: NullableTimestamp | None = None
    secure: NullableBool | None = None
    http_only: NullableBool | None = None
    same_site: str = ""
    max_age: NullableDouble | None = None


@dataclass(slots=True)
class RpcHttp:
    """An HTTP request to a function, or its response."""

    method: str = ""
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: "TypedData | None" = None
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    status_code: str = ""
    cookies: list[RpcHttpCookie] | None = None
    enable_content_negotiation: bool = False


class TypedData:
    """A value of exactly one kind: `TypedData(string="...")`, which is then its attribute."""

    def __init__(self, **data: Any) -> None:
        ((self.kind, self.value),) = data.items() or ((None, None),)
        self.__dict__.update(data)

    @property
    def TypedData(self) -> "TypedData":
        """The value itself: the library looks for one within, which protobuf's have not."""
        return self

    def WhichOneof(self, group: str) -> str | None:
        """Return the kind of the value; the group is always `data`."""
        return self.kind


@dataclass(slots=True)
class ParameterBinding:
    """The value of one parameter of a function."""

    name: str
    data: TypedData | None

    def WhichOneof(self, group: str) -> str:
        """Return the kind of the value: always data, never shared memory."""
        return "data"


@dataclass(slots=True)
class InvocationResponse:
    """What came of one invocation."""

    invocation_id: str
    result: StatusResult
    return_value: TypedData | None = None
    output_data: list[ParameterBinding] = field(default_factory=list[ParameterBinding])


@dataclass(frozen=True)
class RpcTraceContext:
    """The trace that an invocation belongs to."""

    trace_parent: str = ""
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class RetryContext:
    """How often the host has retried this invocation, and why."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: RpcException = RpcException()


@dataclass(slots=True)
class InvocationRequest:
    """One call of a function."""

    invocation_id: str
    function_id: str
    input_data: list[ParameterBinding]
    trigger_metadata: Mapping[str, TypedData] = field(default_factory=dict[str, TypedData])
    trace_context: RpcTraceContext = RpcTraceContext()
    retry_context: RetryContext = RetryContext()


@dataclass(frozen=True)
class WorkerInitRequest:
    """The wish to load the app of one folder."""

    function_app_directory: str
    capabilities: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class StreamingMessage:
    """The envelope of every request."""

    worker_init_request: WorkerInitRequest | None = None
    invocation_request: InvocationRequest | None = None


@dataclass(slots=True)
class WorkerRequest:
    """What the worker library's handlers take: an envelope and the properties of the host."""

    request: StreamingMessage
    properties: Mapping[str, object]
