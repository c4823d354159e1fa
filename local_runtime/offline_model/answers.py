"""Decides what the offline model answers: a text, JSON of the asked form, or calls of tools.

It calls each tool whose name is in the user's last message, once, in the order of the message. The
arguments are the JSON object that follows the name, if one does, and made up otherwise.
"""

import json
import re
from typing import Any, cast

from local_runtime.offline_model.conversation import Answer, Asked, Call, InvalidRequest, Tool
from local_runtime.offline_model.replies import placeholder, reply_to, told_by_tools
from local_runtime.offline_model.schema_value import NoValue, value_for


def answer_to(asked: Asked) -> Answer:
    """Return the answer to a request, the same each time.

    Raises:
        NoValue: No value can be made for the asked form.
        InvalidRequest: None can be made for a tool's parameters.
    """
    conversation = asked.conversation
    calls = () if conversation.results else _calls(asked)
    if calls:
        return Answer(calls=calls)
    if asked.wants_json:
        note = placeholder(conversation.user_text)
        value = {"placeholder": note} if asked.schema is None else value_for(asked.schema, note)
        return Answer(json.dumps(value, ensure_ascii=False))
    if conversation.results:
        return Answer(told_by_tools(conversation.results))
    return Answer(reply_to(conversation))


def _calls(asked: Asked) -> tuple[Call, ...]:
    text = asked.conversation.user_text
    found: list[tuple[int, Call]] = []
    for tool in asked.tools:
        # As a word of its own: `add` is not in `address`.
        mention = re.search(rf"(?<![\w-]){re.escape(tool.name)}(?![\w-])", text, re.IGNORECASE)
        if mention:
            found.append((mention.start(), _call(tool, text, text[mention.end() :])))
        elif tool.name == asked.forced_tool:
            found.append((len(text), _call(tool, text, "")))
    if asked.forced_tool:
        found = [one for one in found if one[1].name == asked.forced_tool]
    return tuple(call for _, call in sorted(found, key=lambda one: one[0]))


def _call(tool: Tool, text: str, rest: str) -> Call:
    arguments = _object_at(rest)
    if arguments is None:
        try:
            made = value_for({"type": "object", **tool.parameters}, placeholder(text))
        except NoValue as error:
            raise InvalidRequest(f"the offline model: {error}", "tools") from error
        arguments = json.dumps(made, ensure_ascii=False)
    return Call(tool.name, arguments)


def _object_at(text: str) -> str | None:
    """Return the JSON object that a text begins with, brackets and blanks aside."""
    text = text.lstrip(" \t\r\n:`('\"")
    if not text.startswith("{"):
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return json.dumps(cast("dict[str, Any]", value), ensure_ascii=False)
