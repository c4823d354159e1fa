"""Cancelling a run: nothing begins after it, children and requests end, and the truth is told."""

from collections.abc import Generator
from typing import Any

import pytest

from durable_agents.testing import ScriptedModel, calls, fails
from tests.durable_agents.http.office import EFFECTS, Office, make_app, office, require_problem


def status(answer: Any) -> tuple[int, str]:
    return answer.status, answer.json()["status"]


async def test_a_run_is_cancelled_while_its_model_is_asked_and_says_so_again() -> None:
    async with office(ScriptedModel([calls(("charge", {"card": "1"}))])) as host:
        host.takes("charge", 3600)
        run = await host.begin(session_id="s")
        first = await host.cancel(run)
        assert status(first) == (200, "cancelled")
        # What it had used until then.
        assert first.json()["usage"]["total_tokens"] == 18
        assert status(await host.cancel(run)) == (200, "cancelled")
        problem = require_problem(await host.fetch(run), 409, "AgentCancelled")
        assert problem["usage"]["total_tokens"] == 18
        shown = (await host.request("GET", "/api/agents/Ada/sessions/s")).json()
        assert [turn["status"] for turn in shown["turns"]] == ["cancelled"]


async def test_during_a_tool_no_further_call_is_made_and_the_session_stays_valid() -> None:
    model = ScriptedModel([calls(("charge", {"card": "1"})), "hello"])
    async with office(model) as host:
        host.takes("charge", 60)
        run = await host.begin("Pay.", session_id="s")
        assert status(await host.cancel(run)) == (200, "cancelled")
        await host.advance(seconds=120)
        assert len(model.requests) == 1
        assert (await host.post("And now?", session_id="s")).json()["response"] == "hello"
        said = [message["content"] for message in model.bodies[-1]["messages"]]
        assert said.count("And now?") == 1


async def test_during_a_wait_for_approval_the_request_is_withdrawn() -> None:
    async with office(ScriptedModel([calls(("transfer", {"to": "bob"}))])) as host:
        run = await host.begin()
        (row,) = await host.approvals()
        assert status(await host.cancel(run)) == (200, "cancelled")
        assert await host.approvals() == []
        require_problem(await host.decide(row, {"approved": True}), 409)
        assert EFFECTS == []


async def test_agents_that_were_asked_as_tools_end_with_the_run() -> None:
    script = {
        "Ada": [calls(("Helper", {"message": "a"}), ("Helper", {"message": "b"}))],
        "Helper": [calls(("transfer", {"to": "bob"}))] * 2,
    }
    async with office(ScriptedModel(script)) as host:
        run = await host.begin()
        assert len(await host.approvals()) == 2
        assert status(await host.cancel(run)) == (200, "cancelled")
        assert [one.status for one in host.runs if one.name == "run-Helper"] == ["Failed"] * 2
        assert await host.approvals() == []
        assert EFFECTS == []


async def test_a_flow_that_is_terminated_ends_its_agents() -> None:
    model = ScriptedModel({"Ada": [calls(("transfer", {"to": "bob"}))] * 2})
    app = make_app(model)

    @app.orchestration_trigger(context_name="context", orchestration="fan_out")
    def fan_out(context: Any) -> Generator[Any, Any, Any]:
        ada = app.get_agent(context, "Ada")
        return (yield context.task_all([ada.run("a"), ada.run("b")]))

    async with Office(app) as host:
        flow = await host.start("fan_out")
        rows = await host.approvals()
        assert len(rows) == 2
        await host.terminate(flow)
        assert [one.status for one in host.runs if one.name == "run-Ada"] == ["Terminated"] * 2
        assert await host.approvals() == []
        for row in rows:
            require_problem(await host.decide(row, {"approved": True}), 409)
            require_problem(await host.fetch(row["instance_id"]), 409, "AgentCancelled")
            assert status(await host.cancel(row["instance_id"])) == (200, "cancelled")
        assert EFFECTS == []


@pytest.mark.parametrize(("script", "told"), [(["done"], "completed"), ([fails(400)], "failed")])
async def test_a_cancel_that_comes_too_late_tells_what_became_of_it(
    script: list[Any], told: str
) -> None:
    async with office(ScriptedModel(script)) as host:
        run = await host.begin()
        await host.settle()
        assert status(await host.cancel(run)) == (200, told)
        assert (await host.fetch(run)).status == (200 if told == "completed" else 502)


async def test_a_run_that_waits_for_its_session_is_cancelled_and_gives_up_its_place() -> None:
    model = ScriptedModel([calls(("transfer", {"to": "bob"})), "first", "third"])
    async with office(model) as host:
        first, second, third = [
            await host.begin(text, session_id="s", on_busy="queue") for text in "abc"
        ]
        assert status(await host.cancel(second)) == (200, "cancelled")
        (row,) = await host.approvals()
        await host.decide(row, {"approved": False})
        assert (await host.fetch(first)).json()["response"] == "first"
        assert (await host.fetch(third)).json()["response"] == "third"
        assert EFFECTS == []


async def test_a_cancel_that_finds_the_host_down_is_obeyed_when_it_is_up() -> None:
    model = ScriptedModel([calls(("charge", {"card": "1"}))])
    async with Office(lambda: make_app(model)) as host:
        host.hold("charge")
        run = await host.begin()
        client = await host.client()
        host.kill()
        await client.raise_orchestration_event(run, "cancel", data="by request")
        assert status(await host.cancel(run)) == (200, "cancelled")
        await host.release()
        assert EFFECTS == []


async def test_a_run_that_is_suspended_is_told_to_end() -> None:
    async with office(ScriptedModel()) as host:
        host.hold("Ada")
        run = await host.begin()
        await host.suspend(run)
        answer = await host.cancel(run)
        assert status(answer) == (202, "cancelling")
        assert answer.headers["location"].endswith(f"/api/agents/Ada/runs/{run}")
        await host.resume(run)
        assert status(await host.cancel(run)) == (200, "cancelled")


async def test_a_session_is_shown_reset_and_deleted() -> None:
    async with office(ScriptedModel(["hello", "again"])) as host:
        await host.post("hi", session_id="a/b c@d")
        url = "/api/agents/Ada/sessions/a%2Fb%20c%40d"
        shown = (await host.request("GET", url)).json()
        texts = [message["text"] for message in shown["turns"][0]["messages"]]
        assert (texts, shown["session_id"]) == (["hi", "hello"], "a/b c@d")
        assert (await host.request("POST", f"{url}/reset")).status == 204
        assert (await host.request("GET", url)).json()["turns"] == []
        assert (await host.request("DELETE", url)).status == 204
        require_problem(await host.request("GET", url), 404, "SessionNotFound")
        require_problem(await host.request("DELETE", url), 404, "SessionNotFound")
        assert (await host.post("hi", session_id="a/b c@d")).json()["response"] == "again"


async def test_a_busy_session_is_409_unless_the_message_may_wait() -> None:
    model = ScriptedModel([calls(("transfer", {"to": "bob"})), "first", "second"])
    async with office(model) as host:
        run = await host.begin("one", session_id="s")
        require_problem(await host.post("two", session_id="s"), 409, "SessionBusy")
        waits = await host.begin("two", session_id="s", on_busy="queue")
        (row,) = await host.approvals()
        await host.decide(row, {"approved": False})
        assert (await host.fetch(run)).json()["response"] == "first"
        assert (await host.fetch(waits)).json()["response"] == "second"


async def test_50_messages_that_wait_for_a_session_keep_their_order() -> None:
    model = ScriptedModel([calls(("transfer", {"to": "bob"})), *map(str, range(50))])
    async with office(model) as host:
        await host.begin("first", session_id="s")
        runs = [
            await host.begin(f"m{number}", session_id="s", on_busy="queue")
            for number in range(1, 50)
        ]
        (row,) = await host.approvals()
        await host.decide(row, {"approved": False})
        found = [(await host.fetch(run)).json()["response"] for run in runs]
        assert found == [str(number) for number in range(1, 50)]
