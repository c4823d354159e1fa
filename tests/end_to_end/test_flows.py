"""The two flows through every part of the runtime, as its users run them."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from durabletask.internal import orchestrator_service_pb2 as pb
from starlette.responses import JSONResponse, Response

from agents import content, translation

from .model_server import serving
from .runtime_process import ROOT, Runtime, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAMPLES = ROOT / "orchestrations" / "samples"


def sample(flow: str) -> Any:
    return json.loads((SAMPLES / f"{flow}.json").read_text())


class Model:
    """A model for the translation flow that a test can make fail."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.failures: Iterator[Response] = iter(())
        self.broken_agent = ""
        self.both_translators = asyncio.Barrier(2)

    async def answer(self, system: str, user: str) -> str | Response:
        self.calls[system] += 1
        if system == self.broken_agent and (failure := next(self.failures, None)) is not None:
            return failure
        if system in (translation.FRENCH.instructions, translation.SPANISH.instructions):
            # Neither gets an answer before both have asked.
            await asyncio.wait_for(self.both_translators.wait(), 30)
        return {
            translation.FRENCH.instructions: f"fr: {user}",
            translation.SPANISH.instructions: f"es: {user}",
        }.get(system, f"answer to {user}")


def refusal(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "code": "x"}}, status_code=status)


class Models:
    """Hands each request to the model of the test that runs: all tests here share one runtime."""

    current = Model()

    async def answer(self, system: str, user: str) -> str | Response:
        return await self.current.answer(system, user)


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, models: Models
) -> AsyncIterator[Runtime]:
    data = tmp_path_factory.mktemp("flows") / "data"
    async with serving(models.answer) as settings, running(data, **settings) as found:
        yield found


@pytest.fixture
def model(models: Models) -> Model:
    models.current = Model()
    return models.current


@pytest.fixture
def runtime(shared: Runtime, model: Model) -> Runtime:
    """The shared runtime, with a model of the test's own behind it."""
    return shared


async def run(runtime: Runtime, flow: str, given: object) -> pb.OrchestrationState:
    reply = await runtime.post(f"/orchestrators/{flow}", given)
    assert reply.status_code == 202, reply.text
    return await asyncio.wait_for(runtime.wait(reply.json()["id"]), 60)


async def test_the_translators_are_asked_at_the_same_time(runtime: Runtime) -> None:
    state = await run(runtime, "agent_orchestration_workflow", "why?")
    assert json.loads(state.output.value) == {
        "original": "answer to why?",
        "french": "fr: answer to why?",
        "spanish": "es: answer to why?",
    }


async def test_a_pipeline_shows_each_finished_step_with_its_time(runtime: Runtime) -> None:
    state = await run(runtime, "content_pipeline", sample("content_pipeline"))
    output = json.loads(state.output.value)
    assert list(output) == ["topic", "final_article", "word_count"]
    assert output["topic"] == sample("content_pipeline")["topic"]
    assert output["word_count"] == len(output["final_article"].split())
    steps = json.loads(state.customStatus.value)["steps"]
    assert [step["step"] for step in steps] == ["research", "write", "edit", "publish"]
    times = [step["completed_at"] for step in steps]
    assert times == sorted(times)
    assert len(set(times)) == 4


@pytest.mark.parametrize("given", [{}, {"topic": "  "}, {"topic": 7}, None, "text"])
async def test_a_missing_topic_fails_with_a_message_that_says_so(
    runtime: Runtime, given: object
) -> None:
    state = await run(runtime, "content_pipeline", given)
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    assert "topic is missing or empty" in state.failureDetails.errorMessage


async def test_a_model_that_refuses_fails_the_instance_with_agent_model_and_cause(
    runtime: Runtime, model: Model
) -> None:
    model.broken_agent = translation.FRENCH.instructions
    model.failures = itertools.repeat(refusal(400, "the prompt is too long"))
    model.both_translators = asyncio.Barrier(1)
    state = await run(runtime, "agent_orchestration_workflow", "why?")
    message = state.failureDetails.errorMessage
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    for part in ("FrenchTranslator", "test-model", "400", "the prompt is too long"):
        assert part in message
    assert model.calls[translation.FRENCH.instructions] == 1


async def test_a_model_that_stays_down_fails_the_instance_after_three_attempts(
    runtime: Runtime, model: Model
) -> None:
    model.broken_agent = content.AGENTS[0].instructions
    model.failures = itertools.repeat(refusal(500, "out of order"))
    state = await run(runtime, "content_pipeline", {"topic": "x"})
    message = state.failureDetails.errorMessage
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    for part in (content.AGENTS[0].name, "test-model", "500", "out of order"):
        assert part in message
    assert model.calls[content.AGENTS[0].instructions] == 3


async def test_a_model_that_fails_twice_and_then_answers_completes(
    runtime: Runtime, model: Model
) -> None:
    model.broken_agent = translation.MAIN.instructions
    model.failures = iter([refusal(500, "a moment"), refusal(429, "slower")])
    state = await run(runtime, "agent_orchestration_workflow", "why?")
    assert json.loads(state.output.value)["original"] == "answer to why?"
    assert model.calls[translation.MAIN.instructions] == 3
