"""Who calls is believed only of App Service authentication; what is another's is not there."""

from datetime import timedelta
from typing import Any

import pytest

from durable_agents.agent import ApprovalPolicy
from durable_agents.messages import Principal
from durable_agents.testing import ScriptedModel, calls
from tests.durable_agents.http.office import EFFECTS, PAT, SAM, Office, office, require_problem


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn App Service authentication on."""
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")


async def others(host: Office, run: str, **more: Any) -> None:
    """Demand that a caller finds nothing of a run and its session `s`."""
    require_problem(await host.fetch(run, **more), 404, "RunNotFound")
    require_problem(await host.fetch(f"{run}/events", **more), 404, "RunNotFound")
    require_problem(await host.cancel(run, **more), 404, "RunNotFound")
    session = "/api/agents/Ada/sessions/s"
    require_problem(await host.request("GET", session, **more), 404, "SessionNotFound")
    require_problem(await host.request("DELETE", session, **more), 404, "SessionNotFound")
    require_problem(await host.request("POST", f"{session}/reset", **more), 404)
    require_problem(await host.post(session_id="s", **more), 404, "SessionNotFound")


@pytest.mark.usefixtures("signed_in")
async def test_what_is_anothers_is_not_there_and_what_is_ones_own_is() -> None:
    async with office(ScriptedModel(["one", "two"])) as host:
        begun = await host.post(session_id="s", headers=PAT)
        run = begun.json()["correlation_id"]
        for headers in (SAM, None, {"x-ms-client-principal-id": ""}):
            await others(host, run, headers=headers)
        assert (await host.fetch(run, headers=PAT)).status == 200
        assert (await host.post(session_id="s", headers=PAT)).status == 200
        shown = await host.request("GET", "/api/agents/Ada/sessions/s", headers=PAT)
        assert len(shown.json()["turns"]) == 2


@pytest.mark.usefixtures("signed_in")
async def test_a_run_that_is_anothers_is_not_cancelled_by_being_asked_for() -> None:
    async with office(ScriptedModel(["one"])) as host:
        host.hold("Ada")
        run = await host.begin(headers=PAT)
        require_problem(await host.cancel(run, headers=SAM), 404)
        await host.release()
        assert (await host.fetch(run, headers=PAT)).json()["response"] == "one"


@pytest.mark.usefixtures("signed_in")
async def test_the_same_key_of_two_principals_makes_two_runs() -> None:
    async with office(ScriptedModel(["one", "two"])) as host:
        key = {"idempotency-key": "k"}
        first = (await host.post(headers={**PAT, **key})).json()
        second = (await host.post(headers={**SAM, **key})).json()
        assert first["correlation_id"] != second["correlation_id"]
        assert [first["response"], second["response"]] == ["one", "two"]


@pytest.mark.usefixtures("signed_in")
async def test_the_principal_reaches_the_tools_of_the_agent() -> None:
    async with office(ScriptedModel([calls(("whoami", {})), "ok"])) as host:
        await host.post(headers={**PAT, "x-ms-client-principal-idp": "aad"})
        assert [Principal(id="p1", name="Pat", provider="aad")] == EFFECTS


@pytest.mark.parametrize("setting", [None, "", "False", "0", "no"])
async def test_headers_are_ignored_where_authentication_is_off(
    setting: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting is None:
        monkeypatch.delenv("WEBSITE_AUTH_ENABLED", raising=False)
    else:
        monkeypatch.setenv("WEBSITE_AUTH_ENABLED", setting)
    async with office(ScriptedModel([calls(("whoami", {})), "ok"])) as host:
        run = (await host.post(headers=PAT)).json()["correlation_id"]
        assert EFFECTS == [None]
        assert (await host.fetch(run, headers=SAM)).status == 200
        assert "principal" not in host.find(run).input


@pytest.mark.usefixtures("signed_in")
async def test_a_request_is_only_for_those_who_may_answer() -> None:
    async with office(ScriptedModel([calls(("transfer", {"to": "bob"})), "ok"])) as host:
        run = await host.begin(headers=PAT)
        (row,) = await host.approvals(headers=PAT)
        assert await host.approvals(headers=SAM) == []
        assert await host.approvals() == []
        for headers in (SAM, None):
            answer = await host.decide(row, {"approved": True}, headers=headers)
            require_problem(answer, 404, "RequestNotFound")
        assert EFFECTS == []
        given = await host.decide(row, {"approved": True}, headers=PAT)
        assert given.json()["answered_by"]["id"] == "p1"
        assert EFFECTS == [("bob", 1)]
        assert (await host.fetch(run, headers=PAT)).json()["response"] == "ok"


@pytest.mark.usefixtures("signed_in")
async def test_named_people_answer_for_whoever_called() -> None:
    policy = ApprovalPolicy(timeout=timedelta(hours=1), answerers=("sam",))
    model = ScriptedModel([calls(("transfer", {"to": "bob"})), "ok"])
    async with office(model, approvals=policy) as host:
        await host.begin(headers=PAT)
        assert await host.approvals(headers=PAT) == []
        (row,) = await host.approvals(headers=SAM)
        assert (await host.decide(row, {"approved": True}, headers=SAM)).status == 200


@pytest.mark.usefixtures("signed_in")
async def test_an_agent_that_is_asked_as_a_tool_asks_the_same_person() -> None:
    script = {
        "Ada": [calls(("Helper", {"message": "pay"})), "ok"],
        "Helper": [calls(("transfer", {"to": "bob"})), "paid"],
    }
    async with office(ScriptedModel(script)) as host:
        await host.begin(headers=PAT)
        assert await host.approvals(headers=SAM) == []
        (row,) = await host.approvals(headers=PAT)
        await host.decide(row, {"approved": True}, headers=PAT)
        assert EFFECTS == [("bob", 1)]
