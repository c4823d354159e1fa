"""What answers the content pipeline's agents in tests, and remembers every call."""

import asyncio
import re
from typing import Any

from agents import content

STEPS = {agent.instructions: agent.name for agent in content.AGENTS}
TOPIC = re.compile(r"topic-\d+")


class PipelineModel:
    """Answers each agent with a text that holds the topic; `calls` grows by one per request."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self.calls: list[tuple[str, str]] = []
        self._called = asyncio.Condition()

    async def answer(self, system: str, user: str) -> str:
        topic, agent = TOPIC.findall(user)[0], STEPS[system]
        async with self._called:
            self.calls.append((topic, agent))
            self._called.notify_all()
        await asyncio.sleep(self._latency)
        return f"{agent} on {topic}"

    async def after(self, count: int) -> None:
        """Wait until there have been `count` calls."""
        async with self._called:
            await self._called.wait_for(lambda: len(self.calls) >= count)


def expected_output(topic: str) -> dict[str, Any]:
    """What the content pipeline makes of this model's answers."""
    article = f"EditorAgent on {topic}"
    return {"topic": topic, "final_article": article, "word_count": 3}
