"""What callers send that cannot be used is a problem 400 to 422 that says what; nothing begins."""

import json
from typing import Any

import pytest

from durable_agents.testing import ScriptedModel
from tests.durable_agents.http.office import Office, office, require_problem

JSON = {"content-type": "application/json"}
DEEP = '{"message": "Hi", "options": ' + '{"a":' * 5000 + "1" + "}" * 5001
ODD_IDS = ["%2F", "a%2Fb", "x" * 1000, "@dafx-Ada@s", "..%2f..", "%00", "*", "ä", "a'b", "%25", " "]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "not JSON"),
        (b"   ", "not JSON"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"\xed\xa0\x80", "UTF-8"),
        (b"null", "object"),
        (b"[]", "object"),
        (b'"Hi"', "object"),
        (b"5", "object"),
        (b"{", "not JSON"),
        (b"{}", "message"),
        (b'{"message": ""}', "message"),
        (b'{"message": " \\n\\t"}', "message"),
        (b'{"message": null}', "message"),
        (b'{"message": 5}', "message"),
        (b'{"message": ["Hi"]}', "message"),
        (b'{"message": {"text": "Hi"}}', "message"),
        (b'{"message": "\\ud800"}', "surrogate"),
        (b'{"message": "Hi", "session_id": "\\udfff"}', "surrogate"),
        (b'{"message": "Hi", "options": {"a": "\\ud800"}}', "surrogate"),
        (b'{"message": "Hi", "options": {"a": NaN}}', "NaN is not JSON"),
        (b'{"message": "Hi", "options": {"a": 1e999}}', "too large a number"),
        (b'{"message": "Hi", "options": {"__class__": "x"}}', "reserved"),
        (b'{"message": "Hi", "nr": ' + b"9" * 5000 + b"}", "not JSON"),
        (DEEP.encode(), "deep"),
        (b'{"message": "Hi", "options": ' + b"[" * 70 + b"]" * 70 + b"}", "deep"),
    ],
)
async def test_a_body_that_cannot_be_used_is_400(body: bytes, word: str) -> None:
    async with office(ScriptedModel()) as host:
        answer = await host.request("POST", "/api/agents/Ada/run", body=body, headers=JSON)
        assert word in require_problem(answer, 400, "InvalidInput")["detail"]
        assert host.runs == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unknown", 1),
        ("Message", "x"),
        ("session_id", 5),
        ("session_id", ""),
        ("session_id", " "),
        ("session_id", "s" * 257),
        ("session_id", "/" * 86),
        ("session_id", "a\x00b"),
        ("session_id", "a\x85b"),
        ("session_id", "a\u2028b"),
        ("thread_id", {}),
        ("response_format", "json"),
        ("response_format", []),
        ("response_format", {"type": "no such type"}),
        ("response_format", {"type": "object", "properties": 5}),
        ("response_format", {"type": "object", "properties": {"a": {"pattern": "("}}}),
        ("response_format", {"$ref": "#/nowhere"}),
        ("options", "x"),
        ("options", {"messages": []}),
        ("options", {"model": "other"}),
        ("on_busy", "wait"),
        ("on_busy", 5),
        ("on_busy", ["queue"]),
        ("wait_for_response", "maybe"),
        ("wait_for_response", 5),
        ("wait_for_response", []),
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", "5"),
        ("timeout", True),
        ("timeout", 10**10),
    ],
)
async def test_a_field_that_cannot_be_used_is_400_and_named(field: str, value: Any) -> None:
    async with office(ScriptedModel()) as host:
        problem = require_problem(await host.post(**{field: value}), 400, "InvalidInput")
        assert field in problem["detail"] or field in ("response_format", "options")
        assert host.runs == []


@pytest.mark.parametrize("text", ["", "  \n", "\ufeff"])
async def test_plain_text_without_words_is_400(text: str) -> None:
    async with office(ScriptedModel()) as host:
        answer = await host.request(
            "POST", "/api/agents/Ada/run", body=text, headers={"content-type": "text/plain"}
        )
        require_problem(answer, 400, "InvalidInput")


async def test_too_large_a_body_is_413_and_another_kind_415() -> None:
    async with office(ScriptedModel()) as host:
        require_problem(await host.post("x" * 2_000_000), 413, "InvalidInput")
        for kind in ("application/x-www-form-urlencoded", "image/png", "multipart/form-data"):
            answer = await host.request(
                "POST", "/api/agents/Ada/run", body="message=Hi", headers={"content-type": kind}
            )
            require_problem(answer, 415, "InvalidInput")
        assert host.runs == []


@pytest.mark.parametrize("seconds", ["-1", "1e9", "221", "nan", "inf", "soon", "9" * 5000])
@pytest.mark.parametrize("path", ["Ada/run", "Ada/runs/x", "Ada/runs/x/events"])
async def test_wait_seconds_that_are_none_are_400(seconds: str, path: str) -> None:
    async with office(ScriptedModel()) as host:
        verb = "POST" if path == "Ada/run" else "GET"
        answer = await host.request(
            verb, f"/api/agents/{path}", json={"message": "Hi"}, params={"wait_seconds": seconds}
        )
        assert "wait_seconds" in require_problem(answer, 400, "InvalidInput")["detail"]
        assert host.runs == []


@pytest.mark.parametrize("name", ["Eve", "ada ", "run-Ada", "Ada%2Fx", "%00", "x" * 1000, "ä"])
async def test_an_agent_that_is_not_there_is_404_everywhere(name: str) -> None:
    async with office(ScriptedModel()) as host:
        for verb, path in (
            ("POST", "run"),
            ("GET", "runs/1"),
            ("DELETE", "runs/1"),
            ("GET", "runs/1/events"),
            ("GET", "sessions/1"),
            ("DELETE", "sessions/1"),
            ("POST", "sessions/1/reset"),
        ):
            answer = await host.request(verb, f"/api/agents/{name}/{path}", json={"message": "Hi"})
            require_problem(answer, 404, "AgentNotRegistered")


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_runs_sessions_and_requests_that_are_not_there_are_404(odd: str) -> None:
    async with office(ScriptedModel()) as host:
        for verb, path, code in (
            ("GET", f"agents/Ada/runs/{odd}", "RunNotFound"),
            ("DELETE", f"agents/Ada/runs/{odd}", "RunNotFound"),
            ("GET", f"agents/Ada/runs/{odd}/events", "RunNotFound"),
            ("GET", f"agents/Ada/sessions/{odd}", "SessionNotFound"),
            ("DELETE", f"agents/Ada/sessions/{odd}", "SessionNotFound"),
            ("POST", f"agents/Ada/sessions/{odd}/reset", "SessionNotFound"),
            ("POST", f"approvals/{odd}/{odd}", "RequestNotFound"),
        ):
            answer = await host.request(verb, f"/api/{path}", json={"approved": True})
            problem = require_problem(answer, 404, code)
            assert len(problem["detail"]) < 300


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "1e3", "٣", "9" * 5000, "0x1", "1 2"])
async def test_31_c_a_last_event_id_that_is_none_is_400(given: str) -> None:
    async with office(ScriptedModel(["ok"])) as host:
        run = (await host.post()).json()["correlation_id"]
        answer = await host.fetch(f"{run}/events", headers={"last-event-id": given})
        assert "Last-Event-ID" in require_problem(answer, 400, "InvalidInput")["detail"]


async def test_a_key_that_is_too_long_is_400() -> None:
    async with office(ScriptedModel()) as host:
        require_problem(await host.post(headers={"idempotency-key": "k" * 257}), 400)


async def send(host: Office, message: str) -> str:
    answer = await host.request(
        "POST", "/api/agents/Bob/run", body=json.dumps({"message": message}), headers=JSON
    )
    assert answer.status == 200, answer.text
    return answer.json()["response"]


@pytest.mark.parametrize(
    "message",
    ["\x00", "__class__", '{"__class__": "x"}', "ä" * 1000, "\U0001f600", "a\u2028b", "%s{}"],
)
async def test_any_text_is_a_message_and_comes_as_it_was_sent(message: str) -> None:
    model = ScriptedModel([message if message.strip("\x00") else "ok"])
    async with office(model) as host:
        assert await send(host, message) == (message if message.strip("\x00") else "ok")
        assert model.bodies[0]["messages"][-1]["content"] == message


async def test_33_no_word_of_a_prompt_or_an_answer_is_in_a_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    async with office(ScriptedModel(["whispered"])) as host:
        await host.post("forbidden", session_id="s")
        await host.post("", session_id="forbidden")
        await host.post("forbidden", response_format={"type": "forbidden"})
        await host.start("run-Ada", {"agent": "Ada", "messages": [{"role": "forbidden"}]})
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "forbidden" not in text
    assert "whispered" not in text
