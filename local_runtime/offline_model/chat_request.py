"""Reads a chat completion request, and refuses a wrong one the way OpenAI's API does."""

from dataclasses import dataclass
from typing import Any

from local_runtime.offline_model.conversation import Asked, InvalidRequest, Tool
from local_runtime.offline_model.request_fields import (
    Turns,
    a_list,
    an_object,
    asked_form,
    chosen,
    read_tool,
    required_model,
    text_of,
)

_ROLES = ("developer", "system", "user", "assistant", "tool", "function")


@dataclass(frozen=True)
class ChatRequest:
    """The part of a chat completion request that the offline model heeds."""

    asked: Asked
    stream: bool
    """Whether the reply is sent in pieces."""
    with_usage: bool
    """Whether the pieces end with the count of tokens."""

    @classmethod
    def parse(cls, body: object) -> "ChatRequest":
        """Read the request's body.

        Raises:
            InvalidRequest: The body is not a request, or asks for what this server cannot do.
        """
        document = an_object(body, "the request's body", None)
        required_model(document)
        if document.get("n") not in (None, 1):
            raise InvalidRequest("the offline model gives one choice; n must be 1", "n")
        messages = document.get("messages")
        if not isinstance(messages, list) or not messages:
            raise InvalidRequest("messages must be a list with at least one message", "messages")
        turns = Turns()
        for number, message in enumerate(a_list(document["messages"], "messages")):
            _turn(turns, message, f"messages[{number}]")
        tools, forced = chosen(document.get("tool_choice"), _tools(document))
        wants_json, schema = asked_form(document.get("response_format"), "response_format")
        asked = Asked(
            conversation=turns.conversation("the end of messages"),
            wants_json=wants_json,
            schema=schema,
            tools=tools,
            forced_tool=forced,
            prompt_chars=turns.prompt_chars,
        )
        return cls(asked, bool(document.get("stream")), _with_usage(document))


def _turn(turns: Turns, message: object, param: str) -> None:
    fields = an_object(message, param, param)
    role = fields.get("role")
    if role not in _ROLES:
        raise InvalidRequest(f"{param}.role must be one of {', '.join(_ROLES)}", f"{param}.role")
    calls = a_list(fields.get("tool_calls"), f"{param}.tool_calls")
    content = fields.get("content")
    # An assistant's message may be calls of tools alone.
    empty = content is None and role == "assistant"
    text = "" if empty else text_of(content, f"{param}.content")
    if role == "tool":
        turns.result(fields.get("tool_call_id"), text, param)
        return
    turns.say(role, text, param)
    for number, call in enumerate(calls):
        place = f"{param}.tool_calls[{number}]"
        given = an_object(call, place, place)
        function = an_object(given.get("function"), f"{place}.function", place)
        turns.call(given.get("id"), function.get("name"), place)


def _tools(document: dict[str, Any]) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for number, given in enumerate(a_list(document.get("tools"), "tools")):
        param = f"tools[{number}]"
        function = an_object(given, param, param).get("function")
        tools.append(read_tool(an_object(function, f"{param}.function", param), param))
    return tuple(tools)


def _with_usage(document: dict[str, Any]) -> bool:
    options = document.get("stream_options")
    if options is None:
        return False
    return bool(an_object(options, "stream_options", "stream_options").get("include_usage"))
