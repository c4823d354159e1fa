"""Runs over HTTP: begun once, waited for, fetched for ever, cancelled; errors as problem+json."""

from typing import Any

import pytest

from durable_agents import Agent, AgentFunctionApp
from durable_agents.errors import (
    AgentCallFailed,
    InvalidAgent,
    InvalidAgentOutput,
    ModelRateLimited,
    ModelRejected,
    ModelUnavailable,
)
from durable_agents.testing import ScriptedModel, calls, fails, says
from tests.durable_agents.http.office import EFFECTS, office, require_problem

WHERE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


async def test_a_run_that_is_waited_for_answers_with_all_there_is_to_tell() -> None:
    async with office(ScriptedModel([calls(("charge", {"card": "1"})), "paid"])) as host:
        answer = await host.post("Pay.", session_id="s")
        body = answer.json()
        assert (answer.status, body["response"], body["status"]) == (200, "paid", "success")
        assert (body["agent"], body["session_id"], body["model"]) == ("Ada", "s", "scripted")
        assert body["usage"]["total_tokens"] == 36
        assert "value" not in body
        again = await host.fetch(body["correlation_id"])
        assert (again.status, again.json()) == (200, body)


async def test_a_response_format_gives_a_value() -> None:
    async with office(ScriptedModel([says({"city": "Oslo"})])) as host:
        body = (await host.post(response_format=WHERE)).json()
        assert body["value"] == {"city": "Oslo"}


async def test_plain_text_is_a_message() -> None:
    async with office(ScriptedModel(["yes", "yes"])) as host:
        for headers in ({"content-type": "text/plain; charset=utf-8"}, {}):
            answer = await host.request(
                "POST", "/api/agents/Bob/run", body="Hello, Bob", headers=headers
            )
            assert answer.json()["response"] == "yes"


async def test_json_that_curl_says_is_a_form_is_json() -> None:
    async with office(ScriptedModel(["yes"])) as host:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await host.request(
            "POST", "/api/agents/Bob/run", body='{"message": "Hi"}', headers=headers
        )
        assert answer.json()["response"] == "yes"


@pytest.mark.parametrize(
    "how",
    [
        {"json": {"message": "Hi", "wait_for_response": False}},
        {"json": {"message": "Hi"}, "headers": {"x-ms-wait-for-response": "False"}},
        {"json": {"message": "Hi"}, "params": {"wait_for_response": "false"}},
        {"json": {"message": "Hi"}, "params": {"wait_seconds": "0"}},
    ],
)
async def test_who_does_not_wait_gets_202_with_the_place_of_the_result(how: Any) -> None:
    async with office(ScriptedModel(["done"])) as host:
        answer = await host.request("POST", "/api/agents/ada/run", **how)
        body = answer.json()
        assert answer.status == 202
        # The run is recorded before anybody is told of it.
        assert host.find(body["correlation_id"]).name == "run-Ada"
        location = f"http://localhost:7071/api/agents/Ada/runs/{body['correlation_id']}"
        assert answer.headers["location"] == location
        assert answer.headers["retry-after"] == "1"
        found = await host.request("GET", location, params={"wait_seconds": "9"})
        assert (found.status, found.json()["response"]) == (200, "done")


async def test_a_run_that_takes_longer_than_is_waited_is_202_and_fetched_later() -> None:
    async with office(ScriptedModel(["done"])) as host:
        host.takes("Ada", 300)
        begun = await host.post()
        assert (begun.status, begun.json()["status"]) == (202, "running")
        early = await host.fetch(begun.json()["correlation_id"])
        assert early.status == 202
        assert early.json()["progress"] == {"agent": "Ada", "step": "model", "turn": 1}
        late = await host.fetch(begun.json()["correlation_id"], params={"wait_seconds": "200"})
        late = await host.fetch(begun.json()["correlation_id"], params={"wait_seconds": "200"})
        assert late.json()["response"] == "done"


async def test_a_run_that_is_suspended_is_202() -> None:
    async with office(ScriptedModel(["done"])) as host:
        host.hold("Ada")
        run = await host.begin()
        await host.suspend(run)
        assert (await host.fetch(run)).status == 202
        await host.resume(run)
        await host.release()
        assert (await host.fetch(run)).status == 200


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (fails(ModelRejected), 502, "ModelRejected"),
        (fails(ModelUnavailable), 502, "ModelUnavailable"),
        (fails(ModelRateLimited, retry_after=7.2), 429, "ModelRateLimited"),
        (fails(InvalidAgentOutput), 502, "InvalidAgentOutput"),
        (fails(401, message="no such key"), 502, "ModelRejected"),
        (fails(429, code="insufficient_quota"), 502, "ModelRejected"),
        (fails(AgentCallFailed), 500, "AgentCallFailed"),
    ],
)
async def test_a_failed_run_is_a_problem_each_time_it_is_asked_for(
    failure: Any, status: int, code: str
) -> None:
    is_retried = code in ("ModelUnavailable", "ModelRateLimited")
    async with office(ScriptedModel([failure] * (3 if is_retried else 1))) as host:
        answer = await host.post()
        problem = require_problem(answer, status, code)
        assert (problem["agent"], problem["model"]) == ("Ada", "scripted")
        assert problem["cause"]
        assert answer.headers.get("retry-after") == ("8" if status == 429 else None)
        assert require_problem(await host.fetch(problem["correlation_id"]), status) == problem


async def test_the_words_of_an_exception_of_anybodys_are_not_told() -> None:
    class Leaking(ScriptedModel):
        async def complete(self, request: Any) -> Any:
            raise KeyError("secret-connection-string")

    async with office(Leaking()) as host:
        answer = await host.post()
        require_problem(answer, 500, "AgentCallFailed")
        assert "secret" not in answer.text
        run = answer.json()["correlation_id"]
        events = await host.fetch(f"{run}/events")
        assert "finished" in events.text
        assert "secret" not in events.text


async def test_a_timeout_is_504() -> None:
    async with office(ScriptedModel(["late"])) as host:
        host.takes("Ada", 30)
        require_problem(await host.post(timeout=5), 504, "AgentTimeout")


async def test_31_b_a_key_makes_one_run_whatever_is_sent_again() -> None:
    key = {"idempotency-key": "k1"}
    model = ScriptedModel([calls(("charge", {"card": "1"})), "paid"])
    async with office(model) as host:
        host.hold("charge")
        first = await host.begin("Pay.", headers=key)
        assert await host.begin("Pay.", headers=key) == first
        await host.release()
        after = await host.post("Pay.", headers=key)
        assert (after.status, after.json()["response"]) == (200, "paid")
        assert after.json()["correlation_id"] == first
        other = require_problem(await host.post("Pay twice.", headers=key), 422)
        assert other["correlation_id"] == first
        assert EFFECTS == ["1"]
        assert len([run for run in host.runs if run.name == "run-Ada"]) == 1


async def test_a_failed_run_is_not_begun_again_by_its_key() -> None:
    key = {"idempotency-key": "k1"}
    async with office(ScriptedModel([fails(400)])) as host:
        for _ in range(3):
            require_problem(await host.post(headers=key), 502, "ModelRejected")


async def test_a_key_is_its_agents_own_and_a_purged_run_begins_anew() -> None:
    key = {"idempotency-key": "k1"}
    async with office(ScriptedModel(["one", "two", "three"])) as host:
        ada = await host.post(headers=key)
        bob = await host.post(agent="Bob", headers=key)
        assert ada.json()["correlation_id"] != bob.json()["correlation_id"]
        client = await host.client()
        await client.purge_orchestration(ada.json()["correlation_id"])
        require_problem(await host.fetch(ada.json()["correlation_id"]), 404, "RunNotFound")
        anew = await host.post(headers=key)
        assert anew.json()["response"] == "three"


async def test_a_run_is_its_agents_own() -> None:
    async with office(ScriptedModel(["one"])) as host:
        run = await host.begin()
        require_problem(await host.fetch(run, agent="Bob"), 404, "RunNotFound")
        require_problem(await host.cancel(run, agent="Bob"), 404, "RunNotFound")
        require_problem(await host.fetch(f"{run}/events", agent="Bob"), 404, "RunNotFound")


async def test_agents_that_only_others_need_have_no_routes() -> None:
    model = ScriptedModel({"Ada": [calls(("Helper", {"message": "x"})), "ok"], "Helper": ["hm"]})
    async with office(model) as host:
        await host.post()
        inner = next(run.id for run in host.runs if run.name == "run-Helper")
        for answer in (
            await host.fetch(inner, agent="Helper"),
            await host.fetch(f"{inner}/events", agent="Helper"),
            await host.cancel(inner, agent="Helper"),
            await host.post(agent="Helper"),
            await host.request("GET", "/api/agents/Helper/sessions/s"),
        ):
            problem = require_problem(answer, 404, "AgentNotRegistered")
            assert problem["detail"] == "no agent is named 'Helper'; registered: Ada, Bob."
        require_problem(await host.fetch(inner), 404, "RunNotFound")


@pytest.mark.parametrize(
    "given", [None, "x", 5, [], {}, {"agent": "Ada"}, {"agent": "Ada", "messages": "forbidden"}]
)
async def test_a_run_that_was_begun_with_anything_fails_clearly(given: Any) -> None:
    async with office(ScriptedModel()) as host:
        run = await host.start("run-Ada", given)
        problem = require_problem(await host.fetch(run.id), 400, "InvalidInput")
        assert "not a run request" in problem["detail"]
        assert "forbidden" not in problem["detail"]
        assert (await host.cancel(run.id)).json()["status"] == "failed"
        assert "event: finished" in (await host.fetch(f"{run.id}/events")).text


async def test_a_run_of_an_agent_that_is_not_there_fails_clearly() -> None:
    async with office(ScriptedModel()) as host:
        run = await host.start("run-Ada", {"agent": "Eve", "messages": []})
        require_problem(await host.fetch(run.id), 404, "AgentNotRegistered")


async def test_agents_are_listed_and_health_says_what_is_configured() -> None:
    async with office(ScriptedModel(model="small-1")) as host:
        listed = (await host.request("GET", "/api/agents")).json()["agents"]
        assert [one["name"] for one in listed] == ["Ada", "Bob"]
        assert listed[0]["tools"] == ["charge", "transfer", "whoami", "Helper"]
        health = await host.request("GET", "/api/health")
        assert health.json() == {"status": "ok", "scheduler": "ok", "models": ["small-1"]}


async def test_an_app_without_the_routes_has_none() -> None:
    async with office(ScriptedModel(), http_routes=False) as host:
        with pytest.raises(LookupError):
            await host.request("GET", "/api/agents")


async def test_an_agent_may_say_only_what_was_asked_in_the_form() -> None:
    model = ScriptedModel(["Oslo", says({"city": "Oslo"})])
    async with office(model) as host:
        assert (await host.post(response_format=WHERE)).json()["value"] == {"city": "Oslo"}


@pytest.mark.parametrize("name", ["http-agents", "HTTP-health", "http-agent-run"])
async def test_no_agent_can_have_the_name_of_a_route(name: str) -> None:
    with pytest.raises(InvalidAgent, match=name):
        AgentFunctionApp([Agent(name=name)], chat_client=ScriptedModel())
