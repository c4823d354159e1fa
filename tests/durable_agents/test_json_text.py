"""Where the JSON is in an answer that was to be JSON (case 11)."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from durable_agents import json_text
from durable_agents.messages import CallPolicy, ModelRequest, Verdict
from durable_agents.structured_output import OutputFormat, judge
from tests.durable_agents.scripted_model import ScriptedModel, says

type Run = Callable[..., Any]

OSLO = '{"city": "Oslo"}'

TAKEN = [
    f"```json\n{OSLO}\n```",
    f"```\n{OSLO}\n```",
    f"\n\n```JSON\n\n{OSLO}\n\n```\n\n",
    f"```json{OSLO}```",
    f"```json\n{OSLO}",
    f"~~~~json\n{OSLO}\n~~~~",
    f'<think>maybe {{"city": "Rome"}}?</think>\n{OSLO}',
    f"<think></think>{OSLO}",
    f"<think>\n\n</think>\n\n```json\n{OSLO}\n```",
    f"<THINKING>a</THINKING><reasoning>b</reasoning> {OSLO}",
    f"<think>a <think>Rome?</think> b</think>{OSLO}",
    f'maybe {{"city": "Rome"}}</think>\n{OSLO}',
    f"\ufeff{OSLO}",
    f"\ufeff<think>Rome</think>\ufeff{OSLO}",
    f" \r\n{OSLO}\n",
]

NOT_TAKEN = [
    '{"city": "Oslo"}{"city": "Rome"}',
    '{"city": "Oslo"}\n{"city": "Rome"}',
    '```json\n{"city": "Oslo"}\n```\n```json\n{"city": "Rome"}\n```',
    '<think>never closed {"city": "Rome"}',
    '<think>a<think>never closed</think> {"city": "Rome"}',
    '```json{"city": "Os ',
    '{"city": NaN}',
    '"{\\"city\\": \\"Oslo\\"}"',
    "The city is Oslo.",
    'Here: {"city": "Rome"}',
    '{"city": "Rome"} Is that right?',
    "[" * 100_000,
    "```",
    "<think></think>",
]


class Where(BaseModel):
    city: str


def request() -> ModelRequest:
    output = OutputFormat.create(Where).schema
    return ModelRequest(message="Where?", output=output, policy=CallPolicy())


@pytest.mark.parametrize("answer", TAKEN)
def test_case_11_json_that_can_only_be_meant_in_one_way_is_found(answer: str) -> None:
    verdict = judge(request(), answer)
    assert verdict is not None
    assert (verdict.judged, verdict.problem) == (True, "")
    value = OutputFormat.create(Where).value(verdict.value or answer)
    assert value == Where(city="Oslo")


@pytest.mark.parametrize("answer", NOT_TAKEN)
def test_case_11_what_could_be_meant_otherwise_is_not_taken(answer: str) -> None:
    verdict = judge(request(), answer)
    assert verdict is not None
    assert verdict.judged
    assert verdict.problem
    assert verdict.value == ""


def test_whole_answer_is_not_stored_a_second_time() -> None:
    verdict = judge(request(), OSLO + "\n")
    assert verdict == Verdict(policy=CallPolicy(), judged=True)


def test_tags_and_fences_inside_of_a_value_are_its_words() -> None:
    answer = '{"city": "<think>```</think>Oslo"}'
    assert json_text.found(answer) == answer


def test_value_is_found_though_the_class_is_not() -> None:
    asked = request()
    assert asked.output is not None
    lost = asked.output.model_copy(update={"python_class": "nowhere:Where"})
    verdict = judge(asked.model_copy(update={"output": lost}), TAKEN[0])
    assert verdict == Verdict(policy=CallPolicy(), judged=False, value=OSLO)


@pytest.mark.parametrize("timeout", [None, 30])
@pytest.mark.parametrize(
    ("answers", "requests", "city"),
    [([TAKEN[0]], 1, "Oslo"), ([NOT_TAKEN[3], '{"city": "Bergen"}'], 2, "Bergen")],
)
async def test_case_11_value_comes_back_into_the_flow(
    run: Run,
    model: ScriptedModel,
    answers: list[str],
    requests: int,
    city: str,
    timeout: int | None,
) -> None:
    def flow(context: Any, app: Any) -> Any:
        ada = app.get_agent(context, "Ada")
        response = yield ada.run("Where?", response_format=Where, timeout=timeout)
        return response.value.city

    model.will(*map(says, answers))
    assert (await run(flow)).output == city
    assert len(model.requests) == requests


async def test_case_11_without_an_asked_form_a_fence_is_passed_on(
    run: Run, model: ScriptedModel
) -> None:
    def flow(context: Any, app: Any) -> Any:
        return (yield app.get_agent(context, "Ada").run("Where?")).text

    model.will(says(TAKEN[0]))
    assert (await run(flow)).output == TAKEN[0]
