"""The two flows of this service, with their own agents and sample inputs, on a scripted model."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents import content, translation
from durable_agents import AgentFunctionApp, OpenAIChatClient
from orchestrations import content_pipeline
from orchestrations import translation as translation_flow
from tests.durable_agents.scripted_model import ScriptedModel, fails, says
from tests.durable_agents.virtual_host import VirtualHost

SAMPLES = Path(__file__).parents[2] / "orchestrations" / "samples"


@pytest.fixture
def app(chat_client: OpenAIChatClient) -> AgentFunctionApp:
    app = AgentFunctionApp([*translation.AGENTS, *content.AGENTS], chat_client=chat_client)
    app.register_functions(translation_flow.flows)
    app.register_functions(content_pipeline.flows)
    return app


def sample(flow: str) -> Any:
    return json.loads((SAMPLES / f"{flow}.json").read_text())


async def test_question_is_answered_and_the_answer_translated(
    app: AgentFunctionApp, model: ScriptedModel
) -> None:
    flow = "agent_orchestration_workflow"
    model.will(says("Paris."), says("Same for both."))
    outcome = await VirtualHost(app).run(flow, sample(flow))
    assert outcome.output == {
        "original": "Paris.",
        "french": "Same for both.",
        "spanish": "Same for both.",
    }
    assert [request.message for request in model.requests] == [sample(flow), "Paris.", "Paris."]
    assert outcome.activities == ["MyDurableAgent", "FrenchTranslator", "SpanishTranslator"]


async def test_topic_is_researched_written_edited_and_published(
    app: AgentFunctionApp, model: ScriptedModel
) -> None:
    model.will(says("Notes."), fails(503), says("A draft."), says("The final article."))
    outcome = await VirtualHost(app).run("content_pipeline", sample("content_pipeline"))
    assert outcome.output == {
        "topic": "Durable workflows for AI agents",
        "final_article": "The final article.",
        "word_count": 3,
    }
    first, later = "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:05+00:00"
    steps = [(step["step"], step["completed_at"]) for step in outcome.custom_status["steps"]]
    assert steps == [("research", first), ("write", later), ("edit", later), ("publish", later)]
    assert outcome.elapsed == timedelta(seconds=5)


async def test_each_agent_of_the_pipeline_builds_on_the_one_before(
    app: AgentFunctionApp, model: ScriptedModel
) -> None:
    model.will(says("Notes."), says("A draft."), says("The final article."))
    await VirtualHost(app).run("content_pipeline", {"topic": "  Bees "})
    research, write, edit = (request.message for request in model.requests)
    assert research == "Topic: Bees"
    assert "Bees" in write
    assert "Notes." in write
    assert "A draft." in edit


@pytest.mark.parametrize(
    "given", [None, "Bees", [], {}, {"topic": ""}, {"topic": " "}, {"topic": 7}]
)
async def test_missing_or_empty_topic_fails_with_a_message_that_says_so(
    app: AgentFunctionApp, model: ScriptedModel, given: Any
) -> None:
    outcome = await VirtualHost(app).run("content_pipeline", given)
    assert "the topic is missing or empty" in outcome.failure.errorMessage
    assert model.requests == []


async def test_failed_translator_fails_the_flow_by_name(
    app: AgentFunctionApp, model: ScriptedModel
) -> None:
    model.will(says("Paris."), fails(401))
    outcome = await VirtualHost(app).run("agent_orchestration_workflow", "Hello?")
    assert "agent 'FrenchTranslator' (model 'small'): HTTP 401" in outcome.failure.errorMessage
