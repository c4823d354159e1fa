"""What the offline model says: canned for the flows' samples, a marked placeholder elsewhere."""

import pytest

from agents import content, translation

QUESTION = "What is the capital of France, and what is it known for?"
MARK = "[Offline placeholder, not a model's answer]"


@pytest.fixture
def say(model, ask, content_of):
    async def say(agent, text: str) -> str:
        return content_of(await ask(model, text, agent.instructions))

    return say


async def test_the_readmes_question_is_answered(say) -> None:
    answer = await say(translation.MAIN, QUESTION)
    assert "Paris" in answer
    assert MARK not in answer


async def test_the_answer_is_translated_into_french_and_spanish(say) -> None:
    answer = await say(translation.MAIN, QUESTION)
    assert "gastronomie" in await say(translation.FRENCH, answer)
    assert "gastronomía" in await say(translation.SPANISH, answer)


@pytest.mark.parametrize("agent", [*translation.AGENTS, *content.AGENTS], ids=lambda a: a.name)
async def test_anything_else_gets_a_marked_placeholder(say, agent) -> None:
    assert (await say(agent, "Something quite different")).startswith(MARK)


async def test_different_texts_get_different_placeholders(say) -> None:
    assert await say(translation.MAIN, "one") != await say(translation.MAIN, "two")


async def pipeline(say, topic: str) -> str:
    notes = await say(content.RESEARCH, f"Topic: {topic}")
    draft = await say(content.WRITER, f"Topic: {topic}\n\nResearch notes:\n{notes}")
    return await say(content.EDITOR, f"Draft:\n{draft}")


async def test_the_pipelines_sample_topic_becomes_an_article(say) -> None:
    article = await pipeline(say, "Durable workflows for AI agents")
    assert MARK not in article
    assert len(article.split()) > 150


async def test_another_topic_becomes_a_marked_article_about_it(say) -> None:
    article = await pipeline(say, "Bees {and} wasps")
    assert article.startswith(MARK)
    assert article.count('"Bees {and} wasps"') == 3
