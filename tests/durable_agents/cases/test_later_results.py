"""Results that somebody brings later: once, in time, by who has the URL; a run waits for them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from durable_agents import Agent, ConfigurationError, ToolContext, ToolError, tool
from durable_agents.tools import Later
from durable_agents.tools.callback_urls import callback_path, callback_url
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import Effects, Host, told
from tests.durable_agents.scripted_model import ScriptedModel, calls, says

JSON = {"content-type": "application/json"}
BASE = "https://shop.example.com/api/"
CALL = ("a", "export", '{"name": "x"}')

type Export = Callable[..., Agent]


@pytest.fixture(autouse=True)
def address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_HOSTNAME", "shop.example.com")


@pytest.fixture
def export(effects: Effects) -> Export:
    """An agent whose tool notes the URL of each call, and returns what the test says."""

    def make(returns: Callable[[ToolContext], Any] | None = None, **options: Any) -> Agent:
        @tool(later=True, **options)
        def export(name: str, context: ToolContext) -> Any:
            effects.add(context.callback_url)
            return returns(context) if returns is not None else context.later()

        return Agent(name="Ada", tools=[export])

    return make


async def begun(host: Host) -> str:
    answer = await host.ask(wait_for_response=False)
    assert answer.status == 202, answer.text
    await host.settle()
    return answer.json()["correlation_id"]


async def bring(host: Host, url: str, more: str = "", **body: Any) -> Any:
    assert url.startswith(BASE)
    return await host.request("POST", f"/api/{url.removeprefix(BASE)}{more}", **body)


async def end_of(host: Host, run: str) -> Any:
    await host.settle()
    return (await host.request("GET", f"/api/agents/Ada/runs/{run}?wait_seconds=1")).json()


@pytest.mark.parametrize("kill", [False, True])
async def test_run_waits_for_days_and_goes_on_with_what_is_brought(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export, kill: bool
) -> None:
    model.will(calls(CALL), says("done"))
    async with hosting(export()) as host:
        run = await begun(host)
        await host.advance(days=3)
        assert host.find(run).status == "Running"
        if kill:
            host.kill()
        (url,) = effects.lines
        assert (await bring(host, url, json={"rows": 3})).status == 200
        assert (await end_of(host, run))["response"] == "done"
        state = request_of(host, url)
    assert len(effects.lines) == 1
    assert json.loads(told(model.requests[1])) == {"rows": 3}
    assert [entry["what"] for entry in state["audit"]] == ["opened", "answered"]
    assert state["answered_at"].startswith(host.now.isoformat()[:10])


def request_of(host: Host, url: str) -> Any:
    run, call = url.partition("?")[0].split("/")[-2:]
    return host.entity("human-request", f"{run}:{call}")


@pytest.mark.parametrize("step", range(1, 18))
async def test_kill_at_any_step_changes_neither_the_url_nor_the_result(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export, step: int
) -> None:
    model.respond = lambda request: (
        says("done") if any(one["role"] == "tool" for one in request.body["messages"]) else CALLED
    )
    async with hosting(export(), kill_after=step) as host:
        run = await begun(host)
        assert len(set(effects.lines)) == 1
        try:
            answer = await bring(host, effects.lines[0], body=b"here")
        except ConnectionResetError:  # that was the moment of the kill: the sender sends it again
            answer = await bring(host, effects.lines[0], body=b"here")
            assert answer.status in (200, 409)
        else:
            assert answer.status == 200
        assert (await end_of(host, run))["response"] == "done"
    assert told(model.requests[-1]) == "here"


CALLED = calls(CALL)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"body": b"as it is"}, "as it is"),
        ({"json": "a text"}, "a text"),
        ({"body": b"null", "headers": JSON}, "(done; there is no result)"),
        ({"body": b""}, "(done; the result is an empty text)"),
        ({"json": [1, {"__class__": "x"}]}, '[1, {"__class__": "x"}]'),
    ],
)
async def test_result_is_told_as_if_the_tool_had_returned_it(
    hosting: Hosting,
    model: ScriptedModel,
    effects: Effects,
    export: Export,
    body: dict[str, Any],
    text: str,
) -> None:
    model.will(calls(CALL), says("done"))
    async with hosting(export()) as host:
        run = await begun(host)
        answer = await bring(host, effects.lines[0], **body)
        assert answer.status == 200, answer.text
        assert (await end_of(host, run))["response"] == "done"
    assert told(model.requests[1]) == text


@pytest.mark.parametrize(("limit", "character"), [(2048, "x"), (64 * 1024, '"'), (2048, "é")])
async def test_result_that_is_too_large_is_cut_with_a_note(
    hosting: Hosting,
    model: ScriptedModel,
    effects: Effects,
    export: Export,
    limit: int,
    character: str,
) -> None:
    model.will(calls(CALL), says("done"))
    async with hosting(export(max_result_bytes=limit)) as host:
        run = await begun(host)
        body = (character * 200_000).encode()
        assert (await bring(host, effects.lines[0], body=body)).status == 200
        assert (await end_of(host, run))["response"] == "done"
    assert len(told(model.requests[1]).encode()) <= limit
    assert f"{len(body):,} bytes" in told(model.requests[1])


async def test_events_of_the_run_say_that_it_waits_and_what_was_brought(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export
) -> None:
    model.will(calls(CALL), says("done"))
    async with hosting(export()) as host:
        run = await begun(host)
        await bring(host, effects.lines[0], json="it")
        await end_of(host, run)
        answer = await host.request("GET", f"/api/agents/Ada/runs/{run}/events")
    assert effects.lines[0].partition("?token=")[2] not in answer.text
    blocks = [block.splitlines() for block in answer.text.strip().split("\n\n")]
    told = [
        (fields["event"], json.loads(fields["data"]))
        for block in blocks
        if "event" in (fields := dict(line.split(": ", 1) for line in block))
    ]
    kinds = [kind for kind, _ in told if kind.startswith(("tool", "approval"))]
    assert kinds == ["tool.called", "tool.waiting", "tool.result"]
    (result,) = [data for kind, data in told if kind == "tool.result"]
    assert result == {"tool": "export", "call_id": "a", "text": "it", "is_error": False}


async def test_who_has_no_token_learns_nothing_and_changes_nothing(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export
) -> None:
    model.will(calls(CALL), says("done"))
    async with hosting(export()) as host:
        run = await begun(host)
        (url,) = effects.lines
        path, _, token = url.partition("?token=")
        wrong = [f"{path}?token=", path, f"{path}?token={token[:-1]}", f"{path}x?token={token}"]
        texts = {
            (one.status, one.text) for url in wrong for one in [await bring(host, url, json=1)]
        }
        assert [status for status, _ in texts] == [404]
        # It is no question to people, and the way that answers take does not lead there.
        assert (await host.request("GET", "/api/approvals")).json()["approvals"] == []
        parts = path.removeprefix(BASE).removeprefix("callbacks/")
        assert (await host.request("POST", f"/api/approvals/{parts}", json=1)).status == 404
        assert host.find(run).status == "Running"
        assert (await bring(host, url, json=1)).status == 200
        assert (await end_of(host, run))["response"] == "done"


async def test_body_that_is_no_json_is_refused_and_the_right_one_taken(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export
) -> None:
    model.will(calls(CALL), says("done"))
    async with hosting(export()) as host:
        run = await begun(host)
        for body in (b"{", b"NaN", b"\xff", b"[" * 100_000):
            answer = await bring(host, effects.lines[0], body=body, headers=JSON)
            assert answer.status == 400, body[:9]
        answer = await bring(host, effects.lines[0], body=b"x" * 2_000_000)
        assert answer.status == 413
        assert (await bring(host, effects.lines[0], json=1)).status == 200
        assert (await end_of(host, run))["response"] == "done"


async def test_second_result_is_refused_and_the_first_one_counts(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export
) -> None:
    model.will(calls(CALL), says("done"))
    async with hosting(export()) as host:
        run = await begun(host)
        assert (await bring(host, effects.lines[0], json="one")).status == 200
        assert (await bring(host, effects.lines[0], json="two")).status == 409
        assert (await end_of(host, run))["response"] == "done"
        assert (await bring(host, effects.lines[0], json="two")).status == 409
    assert told(model.requests[1]) == "one"


async def test_result_that_nobody_brings_in_time_is_told_and_a_late_one_refused(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export
) -> None:
    model.will(calls(CALL), says("done"))
    async with hosting(export(timeout=3600)) as host:
        run = await begun(host)
        await host.advance(minutes=59)
        assert host.find(run).status == "Running"
        await host.advance(minutes=1)
        assert (await end_of(host, run))["response"] == "done"
        assert (await bring(host, effects.lines[0], json="late")).status == 410
    assert "no result within 3600 s" in told(model.requests[1])


@pytest.mark.parametrize("how", ["cancel", "terminate", "deadline"])
async def test_run_that_is_over_waits_for_nothing(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export, how: str
) -> None:
    model.will(calls(CALL), says("never"))
    async with hosting(export()) as host:
        more: dict[str, Any] = {"timeout": 60} if how == "deadline" else {}
        begun = await host.ask(wait_for_response=False, **more)
        run = begun.json()["correlation_id"]
        await host.settle()
        match how:
            case "cancel":
                answer = await host.request("DELETE", f"/api/agents/Ada/runs/{run}")
                assert answer.status in (200, 202)
            case "terminate":
                await host.terminate(host.find(run))
            case _:
                await host.advance(seconds=61)
        await host.settle()
        assert host.find(run).status in ("Failed", "Terminated")
        assert (await bring(host, effects.lines[0], json="late")).status == 410
    assert len(model.requests) == 1


async def test_result_may_come_before_the_tool_has_returned(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export
) -> None:
    def busy(context: ToolContext) -> Later:
        if context.attempt < 3:
            raise ToolError("busy", retriable=True)
        return context.later()

    model.will(calls(CALL), says("done"))
    async with hosting(export(busy, retry=5)) as host:
        run = await begun(host)
        assert (await bring(host, effects.lines[0], json="early")).status == 200
        assert (await end_of(host, run))["response"] == "done"
        await host.advance(hours=1)
    assert set(effects.lines) == {effects.lines[0]}
    assert told(model.requests[1]) == "early"


async def test_every_attempt_has_the_same_url(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export
) -> None:
    def busy(context: ToolContext) -> Later:
        if context.attempt < 3:
            raise ToolError("busy", retriable=True)
        return context.later()

    model.will(calls(CALL), says("done"))
    async with hosting(export(busy, retry=5)) as host:
        run = await begun(host)
        await host.advance(minutes=5)
        assert len(effects.lines) == 3
        assert (await bring(host, effects.lines[0], json="it")).status == 200
        assert (await end_of(host, run))["response"] == "done"
    assert len(set(effects.lines)) == 1


@pytest.mark.parametrize(("failing", "text"), [(False, "at once"), (True, "broken")])
async def test_tool_that_ends_itself_is_waited_for_no_longer(
    hosting: Hosting,
    model: ScriptedModel,
    effects: Effects,
    export: Export,
    failing: bool,
    text: str,
) -> None:
    def ends(_context: ToolContext) -> str:
        if failing:
            raise ToolError("broken")
        return "at once"

    model.will(calls(CALL), says("done"))
    async with hosting(export(ends)) as host:
        assert (await host.answered())["response"] == "done"
        assert (await bring(host, effects.lines[0], json="late")).status == 410
    assert told(model.requests[1]) == text


@pytest.mark.parametrize("on_error", ["tell", "raise"])
async def test_failure_may_be_brought_as_well(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export, on_error: str
) -> None:
    model.will(calls(CALL), says("sorry"))
    async with hosting(export(on_error=on_error)) as host:
        run = await begun(host)
        answer = await bring(host, effects.lines[0], "&failed=true", body=b"disk full")
        assert answer.status == 200
        ended = await end_of(host, run)
    if on_error == "tell":
        assert ended["response"] == "sorry"
        assert told(model.requests[1]) == "disk full"
    else:
        assert ended["code"] == "ToolFailed"
        assert "disk full" in ended["detail"]


async def test_call_is_approved_first_and_its_result_brought_later(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export
) -> None:
    model.will(calls(CALL), says("done"))
    async with hosting(export(approval="always")) as host:
        run = await begun(host)
        assert effects.lines == []
        await host.answer(host.find(run), {"approved": True})
        assert (await bring(host, effects.lines[0], json="it")).status == 200
        assert (await end_of(host, run))["response"] == "done"
    assert told(model.requests[1]) == "it"


async def test_approved_call_that_waits_ends_with_the_run(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export
) -> None:
    model.will(calls(CALL), says("never"))
    async with hosting(export(approval="always")) as host:
        run = await begun(host)
        await host.answer(host.find(run), {"approved": True})
        await host.request("DELETE", f"/api/agents/Ada/runs/{run}")
        await host.settle()
        assert host.find(run).status == "Failed"
        assert (await bring(host, effects.lines[0], json="late")).status == 410


async def test_calls_of_one_reply_have_a_url_each(
    hosting: Hosting, model: ScriptedModel, effects: Effects, export: Export
) -> None:
    other = ("b", "export", '{"name": "y"}')
    model.will(calls(CALL, other), says("done"))
    async with hosting(export()) as host:
        run = await begun(host)
        urls = {
            json.loads(request_of(host, url)["request"]["details"])["call_id"]: url
            for url in effects.lines
        }
        first, second = urls["a"], urls["b"]
        assert (await bring(host, second, json="of b")).status == 200
        mixed = first.partition("?")[0] + "?" + second.partition("?")[2]
        assert (await bring(host, mixed, json="?")).status == 404
        assert (await bring(host, first, json="of a")).status == 200
        assert (await end_of(host, run))["response"] == "done"
    assert told(model.requests[1], "a") == "of a"
    assert told(model.requests[1], "b") == "of b"


async def test_tool_that_did_not_say_so_cannot_put_its_result_off(
    hosting: Hosting, model: ScriptedModel
) -> None:
    @tool
    def export(name: str, context: ToolContext) -> Later:
        return context.later()

    model.will(calls(CALL), says("done"))
    async with hosting(Agent(name="Ada", tools=[export])) as host:
        assert (await host.answered())["response"] == "done"
    assert "nobody can bring its result" in told(model.requests[1])


async def test_without_an_address_of_the_app_the_operator_is_told_which_setting_is_missing(
    hosting: Hosting,
    model: ScriptedModel,
    export: Export,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv("WEBSITE_HOSTNAME")
    model.will(calls(CALL), says("done"))
    async with hosting(export()) as host:
        assert (await host.answered())["response"] == "done"
    assert "ConfigurationError" in told(model.requests[1])
    assert "BATON_BASE_URL" in caplog.text


@pytest.mark.parametrize(
    ("settings", "begin"),
    [
        ({"WEBSITE_HOSTNAME": "a.azurewebsites.net"}, "https://a.azurewebsites.net/api/"),
        ({"WEBSITE_HOSTNAME": "localhost:7071"}, "http://localhost:7071/api/"),
        ({"WEBSITE_HOSTNAME": "a.net", "BATON_BASE_URL": "https://b.net/x/"}, "https://b.net/x/"),
        (
            {
                "WEBSITE_HOSTNAME": "a.net",
                "AzureFunctionsJobHost__extensions__http__routePrefix": "",
            },
            "https://a.net/",
        ),
    ],
)
def test_url_begins_where_the_app_is(settings: dict[str, str], begin: str) -> None:
    url = callback_url(callback_path("run/1 é", "r", "s"), settings)
    assert url == f"{begin}callbacks/run%2F1%20%C3%A9/r?token=s"


@pytest.mark.parametrize(("path", "words"), [("", "later=True"), ("x", "BATON_BASE_URL")])
def test_url_that_cannot_be_is_an_error_that_says_why(path: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        callback_url(path, {})
