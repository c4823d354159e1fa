"""Reads a request of the Responses API, and refuses a wrong one the way OpenAI's API does."""

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

_ROLES = ("developer", "system", "user", "assistant")


@dataclass(frozen=True)
class ResponsesRequest:
    """The part of a request that the offline model heeds."""

    asked: Asked
    background: bool
    """Whether the reply is made after the request has been answered."""
    store: bool
    """Whether the reply can be asked for later."""

    @classmethod
    def parse(cls, body: object) -> "ResponsesRequest":
        """Read the request's body.

        Raises:
            InvalidRequest: The body is not a request, or asks for what this server cannot do.
        """
        document = an_object(body, "the request's body", None)
        required_model(document)
        for name in ("stream", "previous_response_id", "conversation"):
            if document.get(name):
                raise InvalidRequest(f"the offline model does not know {name} here", name)
        background, store = bool(document.get("background")), document.get("store") is not False
        if background and not store:
            raise InvalidRequest("a response in the background has to be stored", "store")
        turns = _turns(document)
        tools, forced = chosen(document.get("tool_choice"), _tools(document))
        text = document.get("text")
        form = None if text is None else an_object(text, "text", "text").get("format")
        wants_json, schema = asked_form(form, "text.format")
        asked = Asked(
            conversation=turns.conversation("the end of input"),
            wants_json=wants_json,
            schema=schema,
            tools=tools,
            forced_tool=forced,
            prompt_chars=turns.prompt_chars,
        )
        return cls(asked, background, store)


def _turns(document: dict[str, Any]) -> Turns:
    turns = Turns()
    if document.get("instructions") is not None:
        turns.say("system", text_of(document["instructions"], "instructions"), "instructions")
    given = document.get("input")
    if isinstance(given, str):
        turns.say("user", given, "input")
        return turns
    items = a_list(given, "input")
    if not items:
        raise InvalidRequest("input must be a text or a list with at least one item", "input")
    for number, item in enumerate(items):
        _item(turns, item, f"input[{number}]")
    return turns


def _item(turns: Turns, item: object, param: str) -> None:
    fields = an_object(item, param, param)
    match fields.get("type", "message"):
        case "message":
            role = fields.get("role")
            if role not in _ROLES:
                wanted = ", ".join(_ROLES)
                raise InvalidRequest(f"{param}.role must be one of {wanted}", f"{param}.role")
            turns.say(role, text_of(fields.get("content"), f"{param}.content"), param)
        case "function_call":
            turns.call(fields.get("call_id"), fields.get("name"), param)
        case "function_call_output":
            output = text_of(fields.get("output"), f"{param}.output")
            turns.result(fields.get("call_id"), output, param)
        case "reasoning":
            pass
        case other:
            raise InvalidRequest(f"{param} has the unknown type {other!r}", f"{param}.type")


def _tools(document: dict[str, Any]) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for number, given in enumerate(a_list(document.get("tools"), "tools")):
        param = f"tools[{number}]"
        tool = an_object(given, param, param)
        if tool.get("type") != "function":
            raise InvalidRequest("the offline model knows tools of type function only", param)
        tools.append(read_tool(tool, param))
    return tuple(tools)
