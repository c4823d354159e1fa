"""The webhook's contract as data: one row for each thing that a client can rely on.

A row's request is written as a client sends it, below the webhook's path. A placeholder such as
`{completed}` is the id of a fresh instance in that state; `{new}` is an id that nobody has.
In what is expected, `{id}` is that id, `{origin}` the host's address and `{base}` the webhook's.
A dict is compared with the order of its fields, and a pattern must match a whole string.
"""

import re
from dataclasses import dataclass, field
from typing import Any

NOTHING = object()  # the body is empty, and has no type
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
EXACT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
HEX = re.compile("[0-9a-f]{32}")
TEXT = re.compile(".*", re.DOTALL)
QUERY = "taskHub=Contract&connection=AzureWebJobsStorage"
ONE = "{base}/instances/{id}"
JSON = {"content-type": "application/json"}
HUGE = 63 * 1024 * 1024 + 1
TOO_LARGE = {
    "Message": "The body is larger than the scheduler takes: at most 66060288 bytes (63 MiB)."
}


@dataclass(frozen=True)
class Row:
    """One request, and what must come of it."""

    law: str
    request: str
    code: int
    body: Any = NOTHING
    headers: dict[str, Any] = field(default_factory=dict)
    content: bytes | int = b""
    """The body; a number announces one of so many bytes."""
    sent: dict[str, str] = field(default_factory=dict)
    stored: bool = False
    """The body is JSON as the app wrote it, with its blanks."""


def failure(message: str, details: Any, kind: str = "System.ArgumentException") -> dict[str, Any]:
    return {
        "Message": message,
        "ExceptionMessage": details,
        "ExceptionType": kind,
        "StackTrace": TEXT,
    }


def argument(details: Any) -> dict[str, Any]:
    return failure("One or more of the arguments submitted is incorrect", details)


BAD_JSON = failure("Invalid JSON content", TEXT, "Newtonsoft.Json.JsonReaderException")
BAD_ID = argument(re.compile("Orchestration instance IDs must not .*"))


def urls(one: str = ONE, query: str = QUERY, instance_id: Any = "{id}") -> dict[str, Any]:
    return {
        "id": instance_id,
        "statusQueryGetUri": f"{one}?{query}",
        "sendEventPostUri": f"{one}/raiseEvent/{{eventName}}?{query}",
        "terminatePostUri": f"{one}/terminate?reason={{text}}&{query}",
        "purgeHistoryDeleteUri": f"{one}?{query}",
        "restartPostUri": f"{one}/restart?{query}",
        "suspendPostUri": f"{one}/suspend?reason={{text}}&{query}",
        "resumePostUri": f"{one}/resume?reason={{text}}&{query}",
    }


CHECK = {key: TEXT for key in urls()}
STARTED = {"location": f"{ONE}?{QUERY}", "retry-after": "10"}


def status(name: str, state: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "instanceId": "{id}",
        "runtimeStatus": state,
        "input": None,
        "customStatus": None,
        "output": None,
        "createdTime": TIME,
        "lastUpdatedTime": TIME,
    } | fields


COMPLETED = status("doubling", "Completed", input=21, customStatus="doubling", output=42)
RUNNING = status("waiting", "Running")
FAILED = status("failing", "Failed", output=re.compile(".*out of stock.*", re.DOTALL))
SUSPENDED = status("waiting", "Suspended")
TERMINATED = status("waiting", "Terminated", output="enough")
PENDING = status("doubling", "Pending")
LATER = {"retry-after": "5"}
PAGE = {"x-ms-continuation-token": ""}


def history(*, results: bool, inputs: bool) -> list[dict[str, Any]]:
    given = {"Input": "21"} if inputs else {}
    return [
        {"EventType": "ExecutionStarted", "FunctionName": "doubling", **given, "Timestamp": EXACT},
        {
            "EventType": "TaskCompleted",
            "FunctionName": "double",
            **given,
            **({"Result": 42} if results else {}),
            "ScheduledTime": EXACT,
            "Timestamp": EXACT,
        },
        {
            "EventType": "ExecutionCompleted",
            "OrchestrationStatus": "Completed",
            **({"Result": 42} if results else {}),
            "Timestamp": EXACT,
        },
    ]


ENVELOPE = [
    Row("no such route", "GET nothing", 404),
    Row("nothing at the base", "GET ", 404),
    Row("an empty segment", "POST instances//terminate", 404),
    Row("too many segments", "GET instances/{completed}/more/and/more", 404),
    Row("an unknown operation", "POST instances/{completed}/explode", 404),
    Row("start is a POST", "GET orchestrators/doubling", 404),
    Row("a list is no POST", "POST instances", 404),
    Row("PUT is no verb", "PUT instances/{completed}", 404),
    Row("PATCH is no verb", "PATCH instances/{completed}", 404),
    Row("HEAD is no verb", "HEAD instances/{completed}", 404),
    Row("OPTIONS of an instance", "OPTIONS instances/{completed}", 404),
    Row("OPTIONS of a start", "OPTIONS orchestrators/doubling", 404),
    Row("segments without case", "GET INSTANCES/{completed}", 200, COMPLETED),
    Row("operations without case", "POST Instances/{running}/TERMINATE", 202),
    Row("parameters without case", "GET instances/{completed}?SHOWINPUT=FALSE", 200,
        COMPLETED | {"input": None}),
    Row("ids with case", "GET instances/{COMPLETED}", 404),
    Row("a trailing slash", "GET instances/{completed}/", 200, COMPLETED),
    Row("a trailing slash of a list", "GET instances/?instanceIdPrefix={completed}", 200,
        [COMPLETED], PAGE),
    Row("a blank parameter is absent", "GET instances/{completed}?taskHub=&showInput=%20", 200,
        COMPLETED),
    Row("another task hub", "GET instances/{completed}?taskHub=Elsewhere", 404),
    Row("a task hub that cannot be", "GET instances/{completed}?taskHub=a%2Fb", 400,
        argument("Task hub name 'a/b' is not valid.")),
    Row("a key is taken", "GET instances/{completed}?code=abc", 200, COMPLETED),
    Row("GET makeprimary", "GET makeprimary", 200),
    Row("POST makeprimary", "POST MakePrimary/", 200),
    Row("DELETE makeprimary", "DELETE makeprimary", 200),
    Row("OPTIONS makeprimary", "OPTIONS makeprimary", 200),
    Row("HEAD makeprimary", "HEAD makeprimary", 404),
]  # fmt: skip

START = [
    Row("start", "POST orchestrators/doubling/{new}", 202, urls(), STARTED, b"21"),
    Row("start without an id", "POST orchestrators/doubling", 202,
        urls("{base}/instances/{any32}", instance_id=HEX), {"retry-after": "10"}, b"21"),
    Row("a version and a trace without an id", "POST orchestrators/doubling?version=2.0", 202,
        CHECK, {}, b"21", {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "a=b"}),
    Row("start without a body", "POST orchestrators/waiting/{new}", 202, urls(), STARTED),
    Row("functions without case", "POST orchestrators/DOUBLING/{new}", 202, urls(), STARTED, b"1"),
    Row("a version and a trace", "POST orchestrators/doubling/{new}?version=2.0", 202, urls(),
        STARTED, b"21",
        {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "congo=t61rcWkgMzE"}),
    Row("a trace that makes no sense", "POST orchestrators/doubling/{new}", 202, urls(), STARTED,
        b"21", {"traceparent": "nonsense"}),
    Row("any content type", "POST orchestrators/doubling/{new}?timeout=30", 200, 42, {},
        b"21", {"content-type": "text/plain"}),
    Row("an encoded id", "POST orchestrators/doubling/{new}%20b%2Bc", 202,
        urls(ONE + "%20b%2Bc", instance_id="{id} b+c"),
        {"location": f"{ONE}%20b%2Bc?{QUERY}"}, b"21"),
    Row("a plus is a space", "POST orchestrators/doubling/{new}+b", 202,
        urls(ONE + "%20b", instance_id="{id} b"), {"location": f"{ONE}%20b?{QUERY}"}, b"21"),
    Row("hub, connection and case in the URLs",
        "POST orchestrators/waiting/{new}?taskhub=Elsewhere&CONNECTION=Mine", 202,
        urls(query="taskHub=Elsewhere&connection=Mine"),
        {"location": f"{ONE}?taskHub=Elsewhere&connection=Mine"}),
    Row("500 in the status URL",
        "POST orchestrators/waiting/{new}?returnInternalServerErrorOnFailure=true", 202,
        urls() | {"statusQueryGetUri": f"{ONE}?{QUERY}&returnInternalServerErrorOnFailure=true"},
        {"location": f"{ONE}?{QUERY}&returnInternalServerErrorOnFailure=true"}),
    Row("the authority that the client called", "POST orchestrators/waiting/{new}", 202,
        urls("http://flows.test:1234{path}/instances/{id}"), {}, b"",
        {"host": "flows.test:1234"}),
    Row("the forwarded host", "POST orchestrators/waiting/{new}", 202,
        urls("https://flows.test{path}/instances/{id}"), {}, b"",
        {"x-forwarded-host": "flows.test", "x-forwarded-proto": "https"}),
    Row("the first of several forwarded hosts", "POST orchestrators/waiting/{new}", 202,
        urls("https://[::1]:8443{path}/instances/{id}"), {}, b"",
        {"x-forwarded-host": "[::1]:8443, inner.test", "x-forwarded-proto": "HTTPS, http"}),
    Row("a forwarded host needs its scheme", "POST orchestrators/waiting/{new}", 202, urls(),
        STARTED, b"", {"x-forwarded-host": "flows.test"}),
    Row("a forwarded scheme needs its host", "POST orchestrators/waiting/{new}", 202, urls(),
        STARTED, b"", {"x-forwarded-proto": "https"}),
    Row("a forwarded scheme that is none", "POST orchestrators/waiting/{new}", 202, urls(),
        STARTED, b"", {"x-forwarded-host": "flows.test", "x-forwarded-proto": "javascript"}),
    Row("a forwarded host that is none", "POST orchestrators/waiting/{new}", 202, urls(),
        STARTED, b"", {"x-forwarded-host": "a/b?c", "x-forwarded-proto": "https"}),
    Row("a finished id is replaced", "POST orchestrators/doubling/{completed}?timeout=30", 200,
        "abab", {}, b'"ab"'),
    Row("an unfinished id", "POST orchestrators/doubling/{running}", 409,
        {"Message": re.compile(".*{id}.*")}),
    Row("a suspended id", "POST orchestrators/doubling/{suspended}", 409, {"Message": TEXT}),
    Row("an unknown orchestrator", "POST orchestrators/nobody/{new}", 400, argument(
        "The function 'nobody' doesn't exist, is disabled, or is not an orchestrator function. "
        "Additional info: The following are the known orchestrator functions: "
        "'BuiltIn__HttpPollOrchestrator', 'doubling', 'echo', 'failing', 'waiting'.")),
    Row("an activity is no orchestrator", "POST orchestrators/double", 400, argument(TEXT)),
    Row("a body that is no JSON", "POST orchestrators/doubling/{new}", 400, BAD_JSON, {}, b"{bad"),
    Row("a body that is no UTF-8", "POST orchestrators/doubling", 400, BAD_JSON, {}, b'"\xff"'),
    Row("a body of blanks", "POST orchestrators/doubling", 400, BAD_JSON, {}, b" "),
    Row("NaN", "POST orchestrators/doubling", 400, BAD_JSON, {}, b"NaN"),
    Row("JSON nested too deeply", "POST orchestrators/doubling", 400, BAD_JSON, {}, b"[" * 100_000),
    Row("an entity's id", "POST orchestrators/doubling/@x", 400, BAD_ID),
    *(Row(f"an id with {name}", f"POST orchestrators/doubling/a{code}b", 400, BAD_ID)
      for name, code in (("a slash", "%2F"), ("a backslash", "%5C"), ("a number sign", "%23"),
                         ("a question mark", "%3F"), ("a line end", "%0A"))),
    Row("an id of 257 characters", f"POST orchestrators/doubling/{'x' * 257}", 400, BAD_ID),
    Row("an input above the scheduler's limit", "POST orchestrators/echo/{new}", 413,
        TOO_LARGE,
        {}, HUGE),
    Row("an input above it without an id", "POST orchestrators/echo", 413, TOO_LARGE,
        {}, HUGE),
]  # fmt: skip

WAIT = [
    Row("wait for the output", "POST orchestrators/doubling/{new}?timeout=30&pollingInterval=1",
        200, 42, {"retry-after": None, "location": None}, b"21"),
    Row("no polling interval is needed", "POST orchestrators/doubling?timeout=30", 200, 42, {},
        b"21"),
    Row("an output of nothing", "POST orchestrators/echo?timeout=30", 200, None),
    Row("an output as it was stored", "POST orchestrators/echo?timeout=30", 200,
        {"a": [1.5, "é"]}, {}, '{"a":[1.5,"é"]}'.encode(), stored=True),
    Row("time is up", "POST orchestrators/waiting/{new}?timeout=0.05", 202, urls(), STARTED),
    Row("no time", "POST orchestrators/waiting/{new}?timeout=0", 202, urls(), STARTED),
    Row("a time that is none", "POST orchestrators/waiting/{new}?timeout=soon", 202, urls(),
        STARTED),
    Row("a negative time", "POST orchestrators/waiting/{new}?timeout=-1", 202, urls(), STARTED),
    Row("endless time", "POST orchestrators/doubling?timeout=1e300", 200, 42, {}, b"21"),
    Row("only an interval", "POST orchestrators/waiting/{new}?pollingInterval=1", 202, urls(),
        STARTED),
    Row("an interval above the timeout", "POST orchestrators/waiting?timeout=1&pollingInterval=2",
        400, argument("Total timeout 1 should be bigger than retry timeout 2")),
    Row("a failure's status", "POST orchestrators/failing/{new}?timeout=30", 200, FAILED),
    Row("a failure as 500",
        "POST orchestrators/failing/{new}?timeout=30&returnInternalServerErrorOnFailure=true",
        500, FAILED),
    Row("a failure as 500, without an id",
        "POST orchestrators/failing?timeout=30&returnInternalServerErrorOnFailure=true",
        500, FAILED | {"instanceId": HEX}),
]  # fmt: skip

STATUS = [
    Row("an unknown instance", "GET instances/{new}", 404),
    Row("completed", "GET instances/{completed}", 200, COMPLETED,
        {"retry-after": None, "location": None}),
    Row("running", "GET instances/{running}?showInput=True&x=%C3%A9", 202, RUNNING,
        LATER | {"location": "{base}/instances/{id}?showInput=True&x=%C3%A9"}),
    Row("running, without a query", "GET instances/{running}", 202, RUNNING,
        LATER | {"location": "{base}/instances/{id}"}),
    Row("pending", "GET instances/{pending}?taskHub=Elsewhere&showHistory=true", 202, PENDING,
        LATER | {"location": "{base}/instances/{id}?taskHub=Elsewhere&showHistory=true"}),
    Row("suspended", "GET instances/{suspended}", 202, SUSPENDED, LATER),
    Row("terminated", "GET instances/{terminated}", 200, TERMINATED),
    Row("failed", "GET instances/{failed}", 200, FAILED),
    Row("failed as 500", "GET instances/{failed}?returnInternalServerErrorOnFailure=True", 500,
        FAILED, {"location": None}),
    Row("failed, but not as 500", "GET instances/{failed}?returnInternalServerErrorOnFailure=1",
        200, FAILED),
    Row("terminated is no failure",
        "GET instances/{terminated}?returnInternalServerErrorOnFailure=true", 200, TERMINATED),
    Row("without the input", "GET instances/{completed}?showInput=false", 200,
        COMPLETED | {"input": None}),
    Row("a flag that is none", "GET instances/{completed}?showInput=0&showHistory=yes", 200,
        COMPLETED),
    Row("history", "GET instances/{completed}?showHistory=true", 200,
        COMPLETED | {"historyEvents": history(results=False, inputs=True)}),
    Row("history with outputs", "GET instances/{completed}?showHistory=true&showHistoryOutput=true",
        200, COMPLETED | {"historyEvents": history(results=True, inputs=True)}),
    Row("history without inputs",
        "GET instances/{completed}?showHistory=true&showHistoryOutput=true&showInput=false",
        200, COMPLETED | {"input": None, "historyEvents": history(results=True, inputs=False)}),
    Row("outputs without history", "GET instances/{completed}?showHistoryOutput=true", 200,
        COMPLETED),
    Row("an encoded id is decoded", "GET instances/%7Bcompleted%7D", 404),
    Row("bytes that are no UTF-8", "GET instances/%FF%FE", 404),
    Row("a null character", "GET instances/a%00b", 400,
        {"Message": "The path holds a null character"}),
]  # fmt: skip


def listed(law: str, query: str, *found: dict[str, Any]) -> Row:
    return Row(law, f"GET instances?instanceIdPrefix={query}", 200, list(found), PAGE)


LIST = [
    listed("list by prefix", "{completed}", COMPLETED),
    listed("an empty list", "{new}"),
    listed("list without inputs", "{completed}&showInput=false", COMPLETED | {"input": None}),
    listed("list shows no history", "{completed}&showHistory=true", COMPLETED),
    listed("by state", "{failed}&runtimeStatus=Failed", FAILED),
    listed("by another state", "{failed}&runtimeStatus=Completed"),
    listed("by several states, with commas", "{failed}&runtimeStatus=Completed,Failed", FAILED),
    listed("by several states, repeated", "{failed}&runtimeStatus=Completed&runtimeStatus=Failed",
           FAILED),
    listed("by a state's number", "{failed}&runtimeStatus=3", FAILED),
    listed("states with case: unknown, so no filter", "{failed}&runtimeStatus=completed", FAILED),
    listed("an unknown state beside a known one", "{failed}&runtimeStatus=bogus,Completed"),
    listed("created since", "{completed}&createdTimeFrom=2020-01-01T00:00:00Z", COMPLETED),
    listed("created since the year 1, as Python writes it",
           "{completed}&createdTimeFrom=1-01-01T00:00:00Z", COMPLETED),
    listed("created after all", "{completed}&createdTimeFrom=2999-01-01"),
    listed("created until", "{completed}&createdTimeTo=2999-01-01T00:00:00.5%2B02:00", COMPLETED),
    listed("created before all", "{completed}&createdTimeTo=2020-01-01T00:00:00+00:00"),
    listed("a date that is none", "{completed}&createdTimeFrom=never&createdTimeTo=x", COMPLETED),
    listed("a page size that is none", "{completed}&top=0", COMPLETED),
    listed("a page size", "{completed}&top=%201%20", COMPLETED),
    Row("a token that is none", "GET instances", 400,
        argument("The continuation token is not one that this host gave."), {}, b"",
        {"x-ms-continuation-token": "!"}),
    Row("a token of another", "GET instances", 400, argument(TEXT), {}, b"",
        {"x-ms-continuation-token": "YWJj"}),
]  # fmt: skip

PURGE = [
    *(Row(f"purge of one {state}", f"DELETE instances/{{{state}}}", 200, {"instancesDeleted": 1})
      for state in ("completed", "failed", "terminated")),
    Row("purge of an unknown one", "DELETE instances/{new}", 404),
    *(Row(f"purge of one {state}", f"DELETE instances/{{{state}}}", 412,
          "Only orchestrations in a terminal state can be purged, but the orchestration with "
          f"instance ID {{id}} has status {state.capitalize()}")
      for state in ("running", "suspended")),
    Row("purge of an entity", "DELETE instances/@counter@{entity}", 200, {"instancesDeleted": 1}),
    Row("purge of an unknown entity", "DELETE instances/@counter@{new}", 404),
    Row("purge of what is no entity", "DELETE instances/@counter", 400, argument(TEXT)),
    *(Row(f"purge of many, {name}", f"DELETE instances{query}", 400,
          "Please provide value for 'createdTimeFrom' parameter.")
      for name, query in (("without a time", ""), ("with a blank time", "?createdTimeFrom="),
                          ("with no date", "?createdTimeFrom=never"))),
    Row("purge of many that are not there", "DELETE instances?createdTimeFrom=2999-01-01", 404),
    Row("purge of many in a span", "DELETE instances?createdTimeFrom=2019-01-01&"
        "createdTimeTo=2020-01-01&runtimeStatus=Failed", 404),
    Row("purge of many in a hub of their own",
        "DELETE instances?createdTimeFrom=2020-01-01&runtimeStatus=Terminated&taskHub={purgeable}",
        200, {"instancesDeleted": 2}),
]  # fmt: skip

CONTROL = [
    *(Row(f"{operation} of one {state}", f"POST instances/{{{state}}}/{operation}", code)
      for operation in ("terminate", "suspend", "resume")
      for state, code in (("new", 404), ("completed", 410), ("failed", 410), ("terminated", 410),
                          ("running", 202), ("suspended", 202))),
    *(Row(f"{operation} with a reason",
          f"POST instances/{{running}}/{operation}?reason=a%20good%20one", 202)
      for operation in ("terminate", "suspend", "resume")),
    Row("event", "POST instances/{running}/raiseEvent/Go", 202, NOTHING, {}, b"{}", JSON),
    Row("event without case, type with a charset", "POST instances/{running}/RAISEEVENT/go", 202,
        NOTHING, {}, b"1", {"content-type": "Application/JSON; charset=utf-8"}),
    Row("event with an encoded name", "POST instances/{running}/raiseEvent/a%2Fb%20c", 202,
        NOTHING, {}, b"1", JSON),
    Row("event for a suspended one", "POST instances/{suspended}/raiseEvent/Go", 202,
        NOTHING, {}, b"1", JSON),
    Row("event for an unknown one, whatever else is wrong", "POST instances/{new}/raiseEvent/Go",
        404, NOTHING, {}, b"{bad"),
    Row("event for a finished one, whatever else is wrong",
        "POST instances/{completed}/raiseEvent/Go", 410, NOTHING, {}, b"{bad"),
    *(Row(f"event {name}", "POST instances/{running}/raiseEvent/Go", 400,
          {"Message": "Only application/json request content is supported"}, {}, b"{bad", sent)
      for name, sent in (("of another type", {"content-type": "text/plain"}),
                         ("without a type", {}))),
    Row("event that is no JSON", "POST instances/{running}/raiseEvent/Go", 400, BAD_JSON, {},
        b"{bad", JSON),
    Row("event without data", "POST instances/{running}/raiseEvent/Go", 400, BAD_JSON, {}, b"",
        JSON),
    Row("event without a name", "POST instances/{running}/raiseEvent", 404, NOTHING, {}, b"1",
        JSON),
    Row("event above the scheduler's limit", "POST instances/{running}/raiseEvent/Go", 413,
        TOO_LARGE, {}, HUGE, JSON),
]  # fmt: skip

RERUN = [
    Row("restart", "POST instances/{completed}/restart", 202,
        urls("{base}/instances/{any32}", instance_id=HEX), {"retry-after": "10"}),
    Row("restart of a failed one", "POST instances/{failed}/restart", 202, CHECK),
    Row("restart under the same id",
        "POST instances/{completed}/restart?restartWithNewInstanceId=false", 202, urls(), STARTED),
    Row("restart, and wait", "POST instances/{completed}/restart?timeout=30&pollingInterval=0.1",
        200, 42),
    Row("restart, and see it fail",
        "POST instances/{failed}/restart?timeout=30&returnInternalServerErrorOnFailure=true", 500,
        FAILED | {"instanceId": HEX}),
    Row("restart with an interval above the timeout",
        "POST instances/{completed}/restart?timeout=1&pollingInterval=2", 400, argument(TEXT)),
    Row("restart of an unknown one", "POST instances/{new}/restart", 400, failure(
        "InstanceId does not match a valid orchestration instance.",
        "An orchestration with the instanceId {id} was not found.")),
    Row("restart of an unfinished one", "POST instances/{running}/restart", 409, failure(
        "A non-terminal instance with this instance ID already exists.", TEXT,
        "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException")),
    Row("rewind", "POST instances/{failed}/rewind?reason=mended", 202),
    Row("rewind of an unknown one", "POST instances/{new}/rewind", 404,
        'No orchestration with instance ID "${id}" found.'),
    *(Row(f"rewind of one {state}", f"POST instances/{{{state}}}/rewind", 412,
          f"This orchestration has status {state.capitalize()}, but only orchestrations in the "
          '"Failed" state can be rewound.')
      for state in ("completed", "running", "suspended", "terminated")),
]  # fmt: skip


def entity(key: str, state: Any = None, name: str = "alone") -> dict[str, Any]:
    return {
        "entityId": {"name": name, "key": key},
        "lastOperationTime": EXACT,
        "state": state,
    }


UNKNOWN_ENTITY = {"Message": re.compile(
    "The function 'nobody' doesn't exist, is disabled, or is not an entity function. .*'Alone'.*"
)}  # fmt: skip

ENTITIES = [
    Row("an entity's state", "GET entities/counter/{entity}", 200, 5),
    Row("an entity's name without case", "GET Entities/COUNTER/{entity}/", 200, 5),
    Row("an unknown entity", "GET entities/counter/{new}", 404),
    Row("an entity that no function is for", "GET entities/nobody/{new}", 404),
    Row("an entity's name with an @", "GET entities/a@b/c", 400, {"Message": TEXT}),
    Row("a key that cannot be", "GET entities/counter/a%0Ab", 400, {"Message": TEXT}),
    Row("the empty key", "GET entities/counter/$?taskHub=Elsewhere", 404),
    Row("list of all entities", "GET entities?lastOperationTimeFrom=2999-01-01T00:00:00Z", 200,
        [], PAGE),
    Row("list of one kind", "GET entities/{alone}", 200, [entity("only")], PAGE),
    Row("list with states", "GET entities/{ALONE}?fetchState=true", 200,
        [entity("only", {"a": 1})], PAGE),
    Row("list used since", "GET entities/{alone}?lastOperationTimeFrom=2020-01-01", 200,
        [entity("only")], PAGE),
    Row("list used before all",
        "GET entities/{alone}?lastOperationTimeTo=2020-01-01&fetchState=true&top=5", 200, [], PAGE),
    Row("list of all used before all", "GET entities?lastOperationTimeTo=2020-01-01&fetchState=1"
        "&top=0", 200, [], PAGE, b"", {"x-ms-continuation-token": ""}),
    Row("list of a kind that is not", "GET entities/nobody", 200, [], PAGE),
    Row("list of no kind", "GET entities/a@b", 400, {"Message": TEXT}),
    Row("list of entities with a token that is none", "GET entities/alone", 400, argument(TEXT),
        {}, b"", {"x-ms-continuation-token": "?"}),
    Row("signal", "POST entities/counter/{new}?op=add", 202, NOTHING, {}, b"1", JSON),
    Row("signal without a body", "POST entities/Counter/{new}?op=touch", 202),
    Row("signal without an operation", "POST entities/counter/{new}", 202, NOTHING, {}, b"text"),
    Row("signal with a trace", "POST entities/counter/{new}?op=add", 202, NOTHING, {}, b"1",
        JSON | {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "a=b"}),
    Row("signal for the empty key", "POST entities/counter?op=touch", 202, NOTHING, {}, b"1",
        JSON | {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "a=b"}),
    Row("signal that is no JSON", "POST entities/counter/{new}?op=add", 400,
        {"Message": re.compile("Could not parse JSON content: .*")}, {}, b"{bad", JSON),
    Row("signal for an unknown entity", "POST entities/nobody/{new}?op=add", 400, UNKNOWN_ENTITY),
    Row("signal for an unknown entity without a key", "POST entities/nobody", 400, UNKNOWN_ENTITY),
    Row("signal with a key that cannot be", "POST entities/counter/a%0Ab", 400, {"Message": TEXT}),
    Row("signal above the scheduler's limit", "POST entities/counter/{new}?op=add", 413,
        TOO_LARGE, {}, HUGE, JSON),
    Row("signal for the empty key above it", "POST entities/counter?op=add", 413,
        TOO_LARGE, {}, HUGE, JSON),
    Row("delete", "DELETE entities/counter/{entity}", 202),
    Row("delete of an unknown entity", "DELETE entities/counter/{new}", 202),
    Row("delete with a trace", "DELETE entities/counter/{new}", 202, NOTHING, {}, b"",
        {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "a=b"}),
    Row("delete of the empty key", "DELETE entities/counter", 202, NOTHING, {}, b"",
        {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "a=b"}),
    Row("delete of no function's entity", "DELETE entities/nobody/{new}", 400, UNKNOWN_ENTITY),
    Row("delete of no function's entity without a key", "DELETE entities/nobody", 400,
        UNKNOWN_ENTITY),
    Row("entities take no PUT", "PUT entities/counter/{new}", 404),
    Row("entities take no POST without a name", "POST entities", 404),
]  # fmt: skip

ROWS = [*ENVELOPE, *START, *WAIT, *STATUS, *LIST, *PURGE, *CONTROL, *RERUN, *ENTITIES]
