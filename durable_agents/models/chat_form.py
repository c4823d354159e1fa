"""Writes a request in the form of the chat completions API. Pure.

What nobody asked for is not sent: servers differ in what they take.
"""

from collections.abc import Mapping
from typing import Any

from durable_agents.messages import ImagePart, Message, OutputSchema, TextPart
from durable_agents.model import ChatRequest, ToolSpec
from durable_agents.sound_text import sound_data

# Servers refuse these without tools.
_OF_TOOLS = ("tool_choice", "parallel_tool_calls")


def chat_fields(request: ChatRequest) -> dict[str, Any]:
    """Return the fields of the request, without the model's name."""
    fields = allowed_options(request)
    fields["messages"] = [written for one in request.messages for written in _message(one)]
    if request.tools:
        fields["tools"] = [{"type": "function", "function": described(t)} for t in request.tools]
    if request.output is not None:
        form = {"type": "json_schema", "json_schema": described_output(request.output)}
        fields["response_format"] = form
    return sound_data(fields)


def allowed_options(request: ChatRequest) -> dict[str, Any]:
    """Return the request's options, without those that a server takes only with tools."""
    left_out = () if request.tools else _OF_TOOLS
    return {name: value for name, value in request.options.items() if name not in left_out}


def described(tool: ToolSpec) -> dict[str, Any]:
    """Return what a server is told of a tool."""
    told: dict[str, Any] = {"name": tool.name, "parameters": with_properties(tool.parameters)}
    if tool.description:
        told["description"] = tool.description
    if tool.strict:
        told["strict"] = True
    return told


def described_output(output: OutputSchema) -> dict[str, Any]:
    """Return what a server is told of the form of the answer."""
    told: dict[str, Any] = {"name": output.name, "schema": with_properties(output.json_schema)}
    if output.strict:
        told["strict"] = True
    return told


def with_properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema whose object has `properties`, without which servers take none."""
    whole = dict(schema)
    if whole.get("type") == "object":
        whole.setdefault("properties", {})
    return whole


def private_texts(request: ChatRequest) -> list[str]:
    """Return the texts that no error may quote: all that is said in the conversation."""
    return [message.text for message in request.messages]


def _message(message: Message) -> list[dict[str, Any]]:
    match message.role:
        case "system":
            return [{"role": "system", "content": message.text}]
        case "user":
            return [{"role": "user", "content": _user_content(message)}]
        case "assistant":
            return _of_assistant(message)
        case "tool":
            if message.result is None:
                return []
            result = message.result
            return [{"role": "tool", "tool_call_id": result.call_id, "content": result.text}]


def _user_content(message: Message) -> str | list[dict[str, Any]]:
    if not any(isinstance(part, ImagePart) for part in message.parts):
        return message.text  # every server takes a text
    return [_part(part) for part in message.parts]


def _part(part: TextPart | ImagePart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    image = {"url": part.url}
    if part.detail:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _of_assistant(message: Message) -> list[dict[str, Any]]:
    if not message.calls:
        # One that said nothing and asked for nothing is refused by servers.
        return [{"role": "assistant", "content": message.text}] if message.text else []
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in message.calls
    ]
    return [{"role": "assistant", "content": message.text or None, "tool_calls": calls}]
