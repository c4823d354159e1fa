"""Reads a chat completion request, and refuses a wrong one the way OpenAI's API does."""

from dataclasses import dataclass
from typing import Any, cast

from local_runtime.offline_model.replies import Conversation

_ROLES = ("developer", "system", "user", "assistant", "tool", "function")


class InvalidRequest(Exception):
    """The request makes no sense; `param` names the field, where there is one."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True)
class ChatRequest:
    """The part of a chat completion request that the offline model heeds."""

    conversation: Conversation
    wants_json: bool
    schema: dict[str, Any] | None
    """The JSON schema that the reply must satisfy, if one is given."""
    prompt_chars: int

    @classmethod
    def parse(cls, body: object) -> "ChatRequest":
        """Read the request's body.

        Raises:
            InvalidRequest: The body is not a request, or asks for what this server cannot do.
        """
        document = _object(body, "the request's body", None)
        if not isinstance(document.get("model"), str) or not document["model"]:
            raise InvalidRequest("you must provide a model parameter", "model")
        if document.get("stream"):
            raise InvalidRequest("the offline model cannot stream its reply", "stream")
        if document.get("n") not in (None, 1):
            raise InvalidRequest("the offline model gives one choice; n must be 1", "n")
        messages = document.get("messages")
        if not isinstance(messages, list) or not messages:
            raise InvalidRequest("messages must be a list with at least one message", "messages")
        turns = [
            _turn(message, f"messages[{number}]")
            for number, message in enumerate(cast("list[object]", messages))
        ]
        wants_json, schema = _response_format(document.get("response_format"))
        return cls(_conversation(turns), wants_json, schema, sum(len(text) for _, text in turns))


def _conversation(turns: list[tuple[str, str]]) -> Conversation:
    instructions = [text for role, text in turns if role in ("system", "developer")]
    from_user = [text for role, text in turns if role == "user"]
    return Conversation("\n".join(instructions), from_user[-1] if from_user else "")


def _turn(message: object, param: str) -> tuple[str, str]:
    fields = _object(message, param, param)
    role = fields.get("role")
    if role not in _ROLES:
        raise InvalidRequest(f"{param}.role must be one of {', '.join(_ROLES)}", f"{param}.role")
    content = fields.get("content")
    match content:
        case None if role == "assistant":  # its message may be a call of tools alone
            return role, ""
        case str():
            return role, content
        case list():
            parts = [_object(part, param, param) for part in cast("list[object]", content)]
            return role, "".join(str(part.get("text", "")) for part in parts)
        case _:
            raise InvalidRequest(
                f"{param}.content must be a text or a list of parts", f"{param}.content"
            )


def _response_format(given: object) -> tuple[bool, dict[str, Any] | None]:
    if given is None:
        return False, None
    form = _object(given, "response_format", "response_format")
    match form.get("type"):
        case "text":
            return False, None
        case "json_object":
            return True, None
        case "json_schema":
            param = "response_format.json_schema"
            named = _object(form.get("json_schema"), param, param)
            if not isinstance(named.get("name"), str) or not named["name"]:
                raise InvalidRequest(f"{param} must have a name", f"{param}.name")
            return True, _object(named.get("schema"), f"{param}.schema", f"{param}.schema")
        case _:
            raise InvalidRequest(
                "response_format.type must be text, json_object or json_schema",
                "response_format.type",
            )


def _object(value: object, what: str, param: str | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} must be a JSON object", param)
    return cast("dict[str, Any]", value)
