"""Each rule that real servers hold requests to is found out when it is broken, by its number."""

from typing import Any

import pytest

from durable_agents.testing import wire_problems

USER = {"role": "user", "content": "Hello?"}
SCHEMA = {"type": "object", "properties": {}}


def asks(*calls: tuple[Any, Any, Any], **more: Any) -> dict[str, Any]:
    made = [
        {"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in calls
    ]
    return {"role": "assistant", "content": None, "tool_calls": made, **more}


def result(call_id: str, content: Any = "3") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def offers(*names: str, parameters: Any = SCHEMA, **more: Any) -> dict[str, Any]:
    function = [{"name": name, "parameters": parameters, **more} for name in names]
    return {"messages": [USER], "tools": [{"type": "function", "function": f} for f in function]}


def form(schema: Any = SCHEMA, name: str = "City", **more: Any) -> dict[str, Any]:
    described = {"name": name, "schema": schema, **more}
    wanted = {"type": "json_schema", "json_schema": described}
    return {"messages": [USER], "response_format": wanted}


ADD = ("1", "add", "{}")
BAD: list[tuple[str, dict[str, Any]]] = [
    ("V1", {"messages": [USER, asks(ADD)]}),
    ("V1", {"messages": [USER, asks(ADD), USER]}),
    ("V1", {"messages": [USER, asks(ADD, ("2", "add", "{}")), result("1"), USER, result("2")]}),
    ("V2", {"messages": [USER, result("1")]}),
    ("V2", {"messages": [USER, asks(ADD), result("1"), result("1")]}),
    ("V3", {"messages": [USER, asks(ADD, ADD), result("1"), result("1")]}),
    ("V3", {"messages": [USER, asks(("", "add", "{}")), result("")]}),
    ("V3", {"messages": [USER, asks((None, "add", "{}"))]}),
    ("V4", {"messages": [USER, {"role": "assistant", "content": "x", "tool_calls": []}]}),
    ("V4", {"messages": [USER, {"role": "assistant", "content": "x", "tool_calls": None}]}),
    ("V4", {"messages": [USER], "tools": []}),
    ("V5", {"messages": [USER, asks(("1", "a.b", "{}")), result("1")]}),
    ("V5", offers("look up")),
    ("V5", offers("x" * 65)),
    ("V5", offers("add", "add")),
    ("V5", form(name="a.b")),
    ("V6", {"messages": [USER, asks(("1", "add", None)), result("1")]}),
    ("V6", {"messages": [USER, asks(("1", "add", {"a": 1})), result("1")]}),
    ("V6", {"messages": [USER, asks(ADD), result("1", None)]}),
    ("V7", {"messages": [USER, {"role": "assistant", "content": None}]}),
    ("V7", {"messages": [USER, {"role": "assistant", "content": ""}]}),
    ("V8", offers("add", parameters={"type": "object"})),
    ("V8", offers("add", parameters={"type": "string"})),
    ("V8", offers("add", parameters=None)),
    ("V8", form({"type": "array", "items": {}})),
    ("V8", form({**SCHEMA, "additionalProperties": True}, strict=True)),
    ("V9", {"messages": [{"role": "user", "content": "half \ud83d"}]}),
    ("V9", {"messages": [USER], "metadata": {"\udc00": ["x"]}}),
]


@pytest.mark.parametrize(("rule", "body"), BAD)
def test_broken_rule_is_named(rule: str, body: dict[str, Any]) -> None:
    assert {problem[:2] for problem in wire_problems(body)} >= {rule}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [USER]},
        {"messages": [USER, asks(ADD), result("1"), {"role": "assistant", "content": "3"}]},
        {"messages": [USER, asks(ADD, ("2", "add", "")), result("2"), result("1"), USER]},
        {"messages": [USER, asks(ADD), result("1"), asks(ADD), result("1")]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "😀"}]}]},
        offers("add", "now"),
        form({**SCHEMA, "required": [], "additionalProperties": False}, strict=True),
    ],
)
def test_good_request_has_no_problem(body: dict[str, Any]) -> None:
    assert wire_problems(body) == []
