"""Writes a request in the form of the Responses API. Pure."""

from collections.abc import Sequence
from typing import Any, cast

from durable_agents.messages import ImagePart, Message, TextPart, ToolCall
from durable_agents.model import ChatRequest, ToolSpec
from durable_agents.models.chat_form import allowed_options, described_output, with_properties
from durable_agents.sound_text import sound_data


def response_fields(request: ChatRequest) -> dict[str, Any]:
    """Return the fields of the request, without the model's name.

    The whole conversation is sent each time, and nothing is kept at the server unless the options
    say so: who reads a history sees all that the model was told.
    """
    first = 0
    while first < len(request.messages) and request.messages[first].role == "system":
        first += 1
    fields: dict[str, Any] = {"store": False, **allowed_options(request)}
    if first:
        fields["instructions"] = "\n".join(one.text for one in request.messages[:first])
    said = _with_ids_of_their_own(request.messages[first:])
    fields["input"] = [item for one in said for item in _items(one)]
    if request.tools:
        fields["tools"] = [_tool(tool) for tool in request.tools]
    if request.output is not None:
        given = fields.get("text")
        text = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        form = {"type": "json_schema", **described_output(request.output)}
        fields["text"] = {**text, "format": form}
    return sound_data(fields)


def _with_ids_of_their_own(messages: Sequence[Message]) -> list[Message]:
    """Return messages in which no two calls have one id: here results are found by it alone.

    Some servers begin at `call_0` in each turn.
    """
    taken: set[str] = set()
    ids: dict[str, str] = {}
    result: list[Message] = []
    for message in messages:
        if message.calls:
            ids = {}
            for call in message.calls:
                number = 1
                ids[call.id] = call.id
                while ids[call.id] in taken:
                    number += 1
                    ids[call.id] = f"{call.id}-{number}"
                taken.add(ids[call.id])
            calls = tuple(call.model_copy(update={"id": ids[call.id]}) for call in message.calls)
            message = message.model_copy(update={"calls": calls})
        elif message.result is not None:
            call_id = ids.get(message.result.call_id, message.result.call_id)
            told = message.result.model_copy(update={"call_id": call_id})
            message = message.model_copy(update={"result": told})
        result.append(message)
    return result


def _tool(tool: ToolSpec) -> dict[str, Any]:
    # `strict` is said in any case: here servers take it for true where it is missing.
    told: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "parameters": with_properties(tool.parameters),
        "strict": tool.strict,
    }
    if tool.description:
        told["description"] = tool.description
    return told


def _items(message: Message) -> list[dict[str, Any]]:
    match message.role:
        case "system":
            return [{"role": "system", "content": message.text}]
        case "user":
            return [{"role": "user", "content": _content(message)}]
        case "assistant":
            said = [{"role": "assistant", "content": message.text}] if message.text else []
            return [*said, *map(_call, message.calls)]
        case "tool":
            if message.result is None:
                return []
            result = message.result
            output = {"call_id": result.call_id, "output": result.text}
            return [{"type": "function_call_output", **output}]


def _call(call: ToolCall) -> dict[str, Any]:
    told = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
    return {"type": "function_call", **told}


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not any(isinstance(part, ImagePart) for part in message.parts):
        return message.text
    return [_part(part) for part in message.parts]


def _part(part: TextPart | ImagePart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    return {"type": "input_image", "image_url": part.url, "detail": part.detail or "auto"}
