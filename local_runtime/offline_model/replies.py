"""Chooses the offline model's reply: by the agent's instructions and the text it is given."""

import re
from collections.abc import Iterable

from local_runtime.offline_model import canned_texts as texts
from local_runtime.offline_model.conversation import Conversation

_DRAFT_TITLE = "Draft article: "
_TOPIC = re.compile(rf"^(?:Topic: |{_DRAFT_TITLE})(.+)$", re.MULTILINE)
_EXCERPT = 200


def reply_to(conversation: Conversation) -> str:
    """Return canned content where the request is known, and a marked placeholder elsewhere."""
    instructions = conversation.instructions.lower()
    text = conversation.user_text
    if "translat" in instructions and "french" in instructions:
        return _translation(text, texts.IN_FRENCH, "French")
    if "translat" in instructions and "spanish" in instructions:
        return _translation(text, texts.IN_SPANISH, "Spanish")
    if (topic := _topic(text)) is not None:
        if "you are a researcher" in instructions:
            return _research(topic)
        if "you are a writer" in instructions:
            return _draft(topic)
        if "you are an editor" in instructions:
            return _article(topic)
    if texts.QUESTION.lower() in text.lower():
        return texts.ANSWER
    return placeholder(text)


def placeholder(text: str) -> str:
    """Return a text that cannot be taken for an answer, and shows what it would be one to."""
    return f"{texts.PLACEHOLDER_MARK} The text to answer begins: {_excerpt(text)}"


def told_by_tools(results: Iterable[tuple[str, str]]) -> str:
    """Return a text that shows what came back from tools, by their names."""
    told = "; ".join(f"{name}: {_excerpt(text)}" for name, text in results)
    return f"{texts.PLACEHOLDER_MARK} The tools say: {told}"


def _translation(text: str, known: str, language: str) -> str:
    if texts.ANSWER in text:
        return known
    return f"{texts.PLACEHOLDER_MARK} In {language}, this would say: {_excerpt(text)}"


def _research(topic: str) -> str:
    if topic == texts.SAMPLE_TOPIC:
        return texts.SAMPLE_NOTES
    return _marked(texts.TEMPLATE_NOTES, topic)


def _draft(topic: str) -> str:
    sample = topic == texts.SAMPLE_TOPIC
    body = texts.SAMPLE_DRAFT if sample else _marked(texts.TEMPLATE_DRAFT, topic)
    return f"{_DRAFT_TITLE}{topic}\n\n{body}"


def _article(topic: str) -> str:
    if topic == texts.SAMPLE_TOPIC:
        return texts.SAMPLE_ARTICLE
    return _marked(texts.TEMPLATE_ARTICLE, topic)


def _marked(template: str, topic: str) -> str:
    # Not str.format: a topic is anybody's text and may hold braces.
    return f"{texts.PLACEHOLDER_MARK}\n{template.replace('{topic}', topic)}"


def _topic(text: str) -> str | None:
    found = _TOPIC.search(text)
    return found[1].strip() if found else None


def _excerpt(text: str) -> str:
    one_line = " ".join(text.removeprefix(texts.PLACEHOLDER_MARK).split())
    return one_line if len(one_line) <= _EXCERPT else one_line[: _EXCERPT - 3] + "..."
