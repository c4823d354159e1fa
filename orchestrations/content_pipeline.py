"""A flow: research, write, edit, publish. Each finished step shows in the custom status."""

from collections.abc import Generator
from typing import Any, cast

import azure.durable_functions as df

from durable_agents import AgentBlueprint, InvalidInput

flows = AgentBlueprint()


@flows.orchestration_trigger(context_name="context")
def content_pipeline(
    context: df.DurableOrchestrationContext,
) -> Generator[Any, Any, dict[str, Any]]:
    """Turn a topic into a published article."""
    topic = _topic(context.get_input())
    steps: list[dict[str, str]] = []

    def finished(step: str) -> None:
        moment = context.current_utc_datetime.isoformat()
        steps.append({"step": step, "completed_at": moment})
        context.set_custom_status({"steps": steps})

    notes = yield flows.get_agent(context, "ResearchAgent").run(f"Topic: {topic}")
    finished("research")
    brief = f"Topic: {topic}\n\nResearch notes:\n{notes.text}"
    draft = yield flows.get_agent(context, "WriterAgent").run(brief)
    finished("write")
    article = yield flows.get_agent(context, "EditorAgent").run(f"Draft:\n{draft.text}")
    finished("edit")
    word_count = yield context.call_activity("publish", article.text)
    finished("publish")
    return {"topic": topic, "final_article": article.text, "word_count": word_count}


@flows.activity_trigger(input_name="article")
def publish(article: str) -> int:
    """Publish an article and return its number of words.

    Publishing here means that the article is in the flow's output. A service of your own would
    send it on from this place; an activity may run again after a crash, so let that be harmless.
    """
    return len(article.split())


def _topic(given: object) -> str:
    topic = cast("dict[str, object]", given).get("topic") if isinstance(given, dict) else None
    if not isinstance(topic, str) or not topic.strip():
        raise InvalidInput(
            'content_pipeline: the topic is missing or empty; start it with {"topic": "..."}.'
        )
    return topic.strip()
