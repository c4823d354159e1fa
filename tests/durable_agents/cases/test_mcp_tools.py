"""Tools of an MCP server in whole runs: one that is bad costs no good one, and breaks are told."""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_agents import Agent
from durable_agents.tools.mcp import McpTools, mcp_tools
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Host, only_run, told
from tests.durable_agents.scripted_model import Request, ScriptedModel, calls, says
from tests.durable_agents.tools import mcp_server
from tests.durable_agents.tools.mcp_server import LONG

SERVER = str(mcp_server.__file__)

SHORT = ("boom", "shot", "nothing", "ping", "rows")

type Made = Callable[..., McpTools]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "server"


@pytest.fixture
def served(log: Path) -> Iterator[Made]:
    """Tools of the server, a child process: `served(timeout=...)`."""
    made: list[McpTools] = []

    def make(mode: str = "", **options: Any) -> McpTools:
        command = [sys.executable, SERVER, str(log), mode]
        made.append(mcp_tools(name="files", command=command, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def noted(log: Path) -> list[list[Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def called(log: Path) -> list[str]:
    return [one[0] for one in noted(log) if one[0] != "started"]


def offered(request: Request) -> dict[str, Any]:
    functions = [tool["function"] for tool in request.body["tools"]]
    return {one["name"]: one["parameters"] for one in functions}


async def test_one_bad_tool_among_good_ones_costs_none_of_them(
    hosting: Hosting,
    model: ScriptedModel,
    served: Made,
    log: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Case 39."""
    with caplog.at_level(logging.WARNING):
        tools = served()
    (warning,) = [one.getMessage() for one in caplog.records]
    assert "'files'" in warning
    assert "'bad'" in warning
    (long,) = [tool.name for tool in tools if tool.name.startswith("files_read_")]
    model.will(
        calls(
            ("a", long, '{"at": {"path": "/x"}}'),
            ("b", "boom", "{}"),
            ("c", "shot", "{}"),
            ("d", "nothing", "{}"),
            ("e", "ping", ""),
            ("f", "rows", '{"rows": [1, "two"]}'),
        ),
        says("done"),
    )
    async with hosting(Agent(name="Ada", tools=tools)) as host:
        assert (await host.answered())["response"] == "done"
        run = only_run(host)
    schemas = offered(model.requests[0])
    assert "bad" not in schemas
    assert schemas["ping"]["properties"] == {}
    assert schemas["rows"]["properties"]["rows"]["items"] == {}
    assert len(long) <= 64
    assert [one for one in noted(log) if one[0] == LONG] == [[LONG, {"at": {"path": "/x"}}]]
    last = model.requests[1]
    assert told(last, "b") == "disk full"
    assert "image/png" in told(last, "c")
    assert "300,000 bytes" in told(last, "c")
    assert len(told(last, "c")) < 200
    assert told(last, "d") == "(done; the server sent no content)"
    assert told(last, "e") == "ping {}"
    called_by_run = [tool.activity for one in (long, *SHORT) for tool in tools if tool.name == one]
    assert run.activities[1:-1] == called_by_run
    assert set(called_by_run) > {f"files-{one}" for one in SHORT}
    (boom,) = run.calls("files-boom")
    assert boom.output["is_error"]


async def test_names_are_the_same_at_every_start(served: Made) -> None:
    assert [tool.name for tool in served()] == [tool.name for tool in served()]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("rows", '{"rows": "none"}', "arguments.rows is not of type array"),
        ("rows", "{}", "lacks the property 'rows'"),
        ("rows", '{"rows": [', "not valid JSON"),
        ("rows", "[1]", "must be a JSON object"),
        ("refuse", "{}", "no such file"),
        ("odd", "{}", "content of the kind 'smell'"),
        ("data", "{}", '{"rows": 3}'),
    ],
)
async def test_model_is_told_what_the_schema_and_the_server_say(
    hosting: Hosting,
    model: ScriptedModel,
    served: Made,
    name: str,
    arguments: str,
    words: str,
) -> None:
    model.will(calls(("a", name, arguments)), says("done"))
    async with hosting(Agent(name="Ada", tools=served(only=[name]))) as host:
        assert (await host.answered())["response"] == "done"
    assert words in told(model.requests[1])


async def test_arguments_that_do_not_fit_never_reach_the_server(
    hosting: Hosting, model: ScriptedModel, served: Made, log: Path
) -> None:
    model.will(
        calls(("a", "rows", '{"rows": 1}'), ("b", "rows", '{"rows": "[1]"}')),
        says("done"),
    )
    async with hosting(Agent(name="Ada", tools=served())) as host:
        await host.answered()
    # An array that was written as a text is one.
    assert [one for one in noted(log) if one[0] == "rows"] == [["rows", {"rows": [1]}]]


async def test_server_that_was_killed_between_two_calls_is_started_anew(
    hosting: Hosting, model: ScriptedModel, served: Made, log: Path
) -> None:
    # Whether the end is seen before the call, or by it, is a matter of moments.
    agent = Agent(name="Ada", tools=served(retry={"pid": 2}))
    model.will(*[calls(("a", "pid", "{}")), says("done")] * 2)
    async with hosting(agent) as host:
        await host.answered()
        first = int(told(model.requests[-1]))
        os.kill(first, signal.SIGKILL)
        await host.answered()
    second = told(model.requests[-1])
    assert second.isdigit(), second
    assert int(second) != first
    assert [one[0] for one in noted(log)] == ["started", "pid", "started", "pid"]


@pytest.mark.parametrize("attempts", [1, 2])
async def test_server_that_dies_in_a_call_is_told_and_retried_only_when_asked_for(
    hosting: Hosting, model: ScriptedModel, served: Made, log: Path, attempts: int
) -> None:
    model.will(calls(("a", "die", "{}")), calls(("b", "ping", "{}")), says("done"))
    agent = Agent(name="Ada", tools=served(retry={"die": attempts}))
    async with hosting(agent) as host:
        assert (await host.answered())["response"] == "done"
    assert "broke off the call" in told(model.requests[1], "a")
    assert told(model.requests[2], "b") == "ping {}"
    assert called(log) == ["die"] * attempts + ["ping"]


async def test_call_that_hangs_is_told_and_the_server_is_started_anew(
    hosting: Hosting, model: ScriptedModel, served: Made, log: Path
) -> None:
    model.will(calls(("a", "hang", "{}")), says("done"))
    tools = served(timeout={"hang": 0.5})
    async with hosting(Agent(name="Ada", tools=tools)) as host:
        assert (await host.answered())["response"] == "done"
        assert "no result within 0.5 s" in told(model.requests[1])
        tools.close()
        model.will(calls(("a", "ping", "{}")), says("done"))
        await host.answered()
    assert told(model.requests[-1]) == "ping {}"
    assert called(log) == ["hang", "ping"]


async def test_person_is_asked_about_a_call_and_may_change_its_arguments(
    hosting: Hosting, model: ScriptedModel, served: Made, log: Path
) -> None:
    model.will(calls(("a", "rows", '{"rows": [1]}')), says("done"))
    async with hosting(Agent(name="Ada", tools=served(approval={"rows": "always"}))) as host:
        await host.ask(wait_for_response=False)
        wrong = await answered(host, {"approved": True, "arguments": {"rows": 7}})
        assert wrong.status == 422
        right = await answered(host, {"approved": True, "arguments": {"rows": [2]}})
        assert right.status == 200
        await host.settle()
    assert [one for one in noted(log) if one[0] == "rows"] == [["rows", {"rows": [2]}]]
    assert "changed the arguments" in told(model.requests[1])


async def answered(host: Host, answer: Any) -> Any:
    (request,) = (await host.request("GET", "/api/approvals")).json()["approvals"]
    place = f"/api/approvals/{request['instance_id']}/{request['request_id']}"
    return await host.request("POST", place, json=answer)
