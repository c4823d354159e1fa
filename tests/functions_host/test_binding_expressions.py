"""What the expressions of a binding stand for."""

import re
from datetime import UTC, datetime

import pytest

from local_runtime.clock import VirtualClock
from local_runtime.functions_host.app.worker_messages import RpcHttp, TypedData
from local_runtime.functions_host.storage.binding_data import binding_data
from local_runtime.functions_host.storage.connections import Connection, find_connection
from local_runtime.functions_host.storage.expressions import Expressions, UnknownExpression

NOW = datetime(2026, 3, 4, 15, 6, 7, 89_000, tzinfo=UTC)
ID = "0123456789abcdef0123456789abcdef"
DATA = {
    "name": "x",
    "Deep": {"Inner": {"leaf": 7}},
    "list": [1],
    "flag": True,
    "headers": {"user-agent": "me"},
}


def fill(text: str) -> str:
    return Expressions(VirtualClock(NOW), lambda: ID).fill(text, DATA)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("c/{name}.txt", "c/x.txt"),
        ("{NAME}", "x"),
        ("{deep.inner.leaf}", "7"),
        ("{flag}", "true"),
        ("{headers.user-agent}", "me"),
        ("{{name}}", "{name}"),
        ("{rand-guid}", "01234567-89ab-cdef-0123-456789abcdef"),
        ("{rand-guid:N}", ID),
        ("{sys.randguid}", "01234567-89ab-cdef-0123-456789abcdef"),
        ("{datetime}", "2026-03-04T15-06-07Z"),
        ("{datetime:yyyy/MM/dd HH:mm:ss.fff}", "2026/03/04 15:06:07.089"),
        ("{DateTime:yy-M-d h 'at'}", "26-3-4 3 at"),
    ],
)
def test_an_expression_is_filled_in(text, filled):
    assert fill(text) == filled


@pytest.mark.parametrize("text", ["{other}", "{deep}", "{deep.none}", "{list}", "{rand-guid:X}"])
def test_an_expression_without_a_value_is_refused_by_name(text):
    with pytest.raises(UnknownExpression, match=re.escape(text.strip("{}").partition(":")[0])):
        fill(text)


def test_a_value_is_not_looked_through_for_expressions():
    assert Expressions(VirtualClock(NOW), lambda: ID).fill("{a}", {"a": "{b}", "b": 1}) == "{b}"


def test_route_and_query_win_over_the_body():
    http = RpcHttp(
        body=TypedData(bytes=b'{"a": "body", "b": "body", "c": "body"}'),
        params={"a": "route"},
        query={"a": "query", "b": "query"},
    )

    data = binding_data(TypedData(http=http), {})

    assert (data["a"], data["b"], data["c"]) == ("route", "query", "body")


@pytest.mark.parametrize("content", ["[1]", "{bad", "text", b"\xff{", "{" * 100_000])
def test_a_payload_that_is_no_object_has_no_members(content):
    assert binding_data(TypedData(string=content), {"Id": TypedData(string="7")}) == {"Id": "7"}


@pytest.mark.parametrize(
    ("name", "environ", "found"),
    [
        ("", {"AzureWebJobsStorage": "x=y"}, Connection("AzureWebJobsStorage", "x=y")),
        ("C", {"C": "x=y"}, Connection("C", "x=y")),
        ("C", {"C": "one", "AzureWebJobsC": "two"}, Connection("C", "two")),
        ("C", {"C__queueServiceUri": "q"}, Connection("C", "", "", "q")),
        ("C", {"C__blobServiceUri": "b", "C__clientId": "i"}, Connection("C", "", "b", "", "i")),
        ("C", {"C__accountName": "a"}, Connection(
            "C", "", "https://a.blob.core.windows.net", "https://a.queue.core.windows.net")),
        ("C", {"C": " "}, None),
        ("C", {"C__credential": "managedidentity"}, None),
    ],
)  # fmt: skip
def test_a_connection_is_a_string_or_an_identity(name, environ, found):
    assert find_connection(name, environ) == found


def test_a_connection_string_is_not_shown():
    assert "secret" not in repr(Connection("C", "AccountKey=secret"))
