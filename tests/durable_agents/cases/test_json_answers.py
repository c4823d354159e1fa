"""JSON in a fence, after thoughts, or twice: what can be meant in one way only is taken."""

import pytest
from pydantic import BaseModel

from durable_agents import Agent
from tests.durable_agents.cases.conftest import Hosting
from tests.durable_agents.cases.whole_run import only_run
from tests.durable_agents.scripted_model import ScriptedModel, says


class Where(BaseModel):
    city: str


ADA = Agent(name="Ada", response_format=Where)
OSLO = '{"city": "Oslo"}'
BERGEN = '{"city": "Bergen"}'
TAKEN = [
    f"```json\n{OSLO}\n```",
    f"```\n{OSLO}\n```",
    f"\n\n```json\n\n{OSLO}\n\n```\n\n",
    f"```json\n{OSLO}",
    f"~~~json\n{OSLO}\n~~~",
    f'<think>maybe {{"city": "Rome"}}?</think>\n{OSLO}',
    f"<think></think>{OSLO}",
    f"<think>\n\n</think>\n\n```json\n{OSLO}\n```",
    f"\ufeff{OSLO}",
    f"  {OSLO}  ",
    f'the thoughts, {{"city": "Rome"}}</think>{OSLO}',
    f"<THINK>Rome</THINK>{OSLO}",
]
ASKED_AGAIN = [
    f'{OSLO}{{"city": "Rome"}}',
    f'{OSLO}\n{{"city": "Rome"}}',
    '<think>never closed {"city": "Rome"}',
    '```json{"city": "Os',
    '{"city": NaN}',
    '{"city": "Rome"',
    '[{"city": "Rome"}]',
    '{"city": 7}',
    '{"place": "Rome"}',
    '```json\n{"city": "Rome"}\n```\n```json\n{"city": "Milan"}\n```',
]


@pytest.mark.parametrize("reply", TAKEN)
async def test_json_that_is_there_is_taken_with_one_request(
    hosting: Hosting, model: ScriptedModel, reply: str
) -> None:
    """Case 11."""
    model.will(says(reply), says(BERGEN))
    async with hosting(ADA) as host:
        answer = await host.answered()
    assert answer["value"] == {"city": "Oslo"}
    assert len(model.requests) == 1
    assert "think" not in answer["response"].lower()


@pytest.mark.parametrize("reply", ASKED_AGAIN)
async def test_reply_that_could_mean_two_things_or_none_is_asked_again(
    hosting: Hosting, model: ScriptedModel, reply: str
) -> None:
    """Case 11: Rome is never a value."""
    model.will(says(reply), says(BERGEN))
    async with hosting(ADA) as host:
        answer = await host.answered()
    assert answer["value"] == {"city": "Bergen"}
    assert len(model.requests) == 2


async def test_text_that_holds_json_is_taken_or_asked_again(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 11: both are right."""
    model.will(says('"{\\"city\\": \\"Oslo\\"}"'), says(BERGEN))
    async with hosting(ADA) as host:
        answer = await host.answered()
    assert (answer["value"]["city"], len(model.requests)) in (("Oslo", 1), ("Bergen", 2))


async def test_reply_that_is_never_json_fails_after_its_corrections(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Case 11."""
    model.will(says("The city is Oslo."))
    async with hosting(ADA) as host:
        problem = await host.problem()
        assert only_run(host).output is None
    assert (problem["code"], problem["status"]) == ("InvalidAgentOutput", 502)
    assert problem["usage"]["total_tokens"] == 3 * 18
    assert len(model.requests) == 3


async def test_half_a_json_is_asked_again_and_not_completed(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Of the kind of case 11; the correction goes back with the half in a valid request."""
    model.will(says('{"city": "Ro'), says('{"city": '), says(OSLO))
    async with hosting(ADA) as host:
        assert (await host.answered())["value"] == {"city": "Oslo"}
    said = [one["role"] for one in model.requests[2].body["messages"]]
    assert said == ["user", "assistant", "user", "assistant", "user"]


@pytest.mark.parametrize("reply", ["```json\n{}\n```", "<think>hm</think>Oslo", f"\ufeff{OSLO}"])
async def test_without_a_form_a_reply_is_passed_on_as_it_is(
    hosting: Hosting, model: ScriptedModel, reply: str
) -> None:
    """Case 11."""
    model.will(says(reply))
    async with hosting(Agent(name="Ada")) as host:
        answer = await host.answered()
    assert answer["response"] == reply
    assert "value" not in answer


async def test_reply_that_is_too_large_is_refused_once(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """Of the kind of case 11: ten megabytes are no answer, and are not fetched again."""
    model.will(says("x" * 10_000_000), says(OSLO))
    async with hosting(ADA) as host:
        problem = await host.problem()
    assert problem["code"] == "InvalidAgentOutput"
    assert "MB" in problem["cause"]
    assert len(model.requests) == 1


async def test_form_can_be_asked_for_over_http_as_a_json_schema(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """A fault of the published peer: `response_format` as JSON schema gave 500."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Oslo", "Bergen"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    model.will(says('{"city": "Rome"}'), says(OSLO))
    async with hosting(Agent(name="Ada")) as host:
        answer = await host.answered(response_format=schema)
    assert answer["value"] == {"city": "Oslo"}
    sent = model.requests[0].body["response_format"]["json_schema"]
    assert (sent["schema"], sent["strict"]) == (schema, True)


async def test_form_in_the_wrapper_of_the_openai_api_is_the_same(
    hosting: Hosting, model: ScriptedModel
) -> None:
    """A fault of the published peer: `response_format` as JSON schema gave 500."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "a city", "schema": schema}}
    model.will(says(OSLO))
    async with hosting(Agent(name="Ada")) as host:
        answer = await host.answered(response_format=form)
    assert answer["value"] == {"city": "Oslo"}
    assert model.requests[0].body["response_format"]["json_schema"]["name"] == "a_city"


@pytest.mark.parametrize(
    "form",
    [
        {"type": "object", "if": {}},
        {"type": "objekt"},
        {"type": "json_schema", "json_schema": {"name": "x", "schema": 7}},
        {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}},
        {"type": "object", "properties": 7},
    ],
)
async def test_form_that_cannot_be_used_is_the_callers_mistake(
    hosting: Hosting, model: ScriptedModel, form: object
) -> None:
    """A fault of the published peer: `response_format` as JSON schema gave 500."""
    async with hosting(Agent(name="Ada")) as host:
        answer = await host.ask(response_format=form)
        assert host.runs == []
    assert (answer.status, answer.json()["code"]) == (400, "InvalidInput")
    assert model.requests == []
