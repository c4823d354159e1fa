"""Reads the parts that requests of both APIs have, and refuses wrong ones as OpenAI's API does."""

from collections.abc import Mapping
from typing import Any, cast

from local_runtime.offline_model.conversation import Conversation, InvalidRequest, Tool

_FROM_SYSTEM = ("system", "developer")


class Turns:
    """The conversation as it is read, message by message."""

    def __init__(self) -> None:
        self.prompt_chars = 0
        self._instructions: list[str] = []
        self._user_text = ""
        self._results: list[tuple[str, str]] = []
        # The calls of the last assistant message that have no result yet, by id.
        self._open: dict[str, str] = {}

    def say(self, role: str, text: str, param: str) -> None:
        """Add what a role says.

        Raises:
            InvalidRequest: Calls of the message before have no result.
        """
        self._require_results(param)
        self.prompt_chars += len(text)
        if role in _FROM_SYSTEM:
            self._instructions.append(text)
        if role == "user":
            self._user_text = text
            self._results.clear()

    def call(self, call_id: object, name: object, param: str) -> None:
        """Add a call that the model had asked for.

        Raises:
            InvalidRequest: It has no id of its own, or no name.
        """
        if not isinstance(call_id, str) or not call_id or call_id in self._open:
            raise InvalidRequest(f"{param}: a call needs an id of its own", param)
        if not isinstance(name, str) or not name:
            raise InvalidRequest(f"{param}: a call needs the name of a function", param)
        self._open[call_id] = name

    def result(self, call_id: object, text: str, param: str) -> None:
        """Add what came of a call.

        Raises:
            InvalidRequest: There is no such call.
        """
        name = self._open.pop(call_id, None) if isinstance(call_id, str) else None
        if name is None:
            raise InvalidRequest(f"{param} answers no call of the message before", param)
        self.prompt_chars += len(text)
        self._results.append((name, text))

    def conversation(self, param: str) -> Conversation:
        """Return all of it.

        Raises:
            InvalidRequest: The last calls have no result.
        """
        self._require_results(param)
        instructions = "\n".join(self._instructions)
        return Conversation(instructions, self._user_text, tuple(self._results))

    def _require_results(self, param: str) -> None:
        if self._open:
            missing = ", ".join(self._open)
            raise InvalidRequest(f"before {param}, calls have no result: {missing}", param)


def required_model(document: Mapping[str, Any]) -> None:
    """Raise InvalidRequest unless a request names a model."""
    if not isinstance(document.get("model"), str) or not document["model"]:
        raise InvalidRequest("you must provide a model parameter", "model")


def an_object(value: object, what: str, param: str | None) -> dict[str, Any]:
    """Return a value that has to be a JSON object.

    Raises:
        InvalidRequest: It is none.
    """
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} must be a JSON object", param)
    return cast("dict[str, Any]", value)


def a_list(value: object, param: str) -> list[object]:
    """Return a value that may be a list, or left out.

    Raises:
        InvalidRequest: It is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRequest(f"{param} must be a list", param)
    return cast("list[object]", value)


def text_of(content: object, param: str) -> str:
    """Return a content's text: of itself, or of its parts.

    Raises:
        InvalidRequest: It is neither a text nor a list of parts.
    """
    match content:
        case str():
            return content
        case list():
            parts = [an_object(part, param, param) for part in cast("list[object]", content)]
            return "".join(str(part.get("text", "")) for part in parts)
        case _:
            raise InvalidRequest(f"{param} must be a text or a list of parts", param)


def asked_form(form: object, param: str) -> tuple[bool, dict[str, Any] | None]:
    """Return whether the reply has to be JSON, and by which schema.

    Raises:
        InvalidRequest: The form is none of those there are.
    """
    if form is None:
        return False, None
    given = an_object(form, param, param)
    match given.get("type"):
        case "text":
            return False, None
        case "json_object":
            return True, None
        case "json_schema":
            if "json_schema" in given or "schema" not in given:  # of the chat completions API
                param = f"{param}.json_schema"
                given = an_object(given.get("json_schema"), param, param)
            if not isinstance(given.get("name"), str) or not given["name"]:
                raise InvalidRequest(f"{param} must have a name", f"{param}.name")
            return True, an_object(given.get("schema"), f"{param}.schema", f"{param}.schema")
        case _:
            raise InvalidRequest(
                f"{param}.type must be text, json_object or json_schema", f"{param}.type"
            )


def read_tool(function: Mapping[str, Any], param: str) -> Tool:
    """Return a tool as a function describes it.

    Raises:
        InvalidRequest: It has no name, or parameters that are no schema.
    """
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidRequest(f"{param}.name is missing", f"{param}.name")
    schema = function.get("parameters")
    return Tool(name, {} if schema is None else an_object(schema, f"{param}.parameters", param))


def chosen(choice: object, tools: tuple[Tool, ...]) -> tuple[tuple[Tool, ...], str]:
    """Return the tools that may be called, and the one that has to be, by `tool_choice`.

    Raises:
        InvalidRequest: A tool has to be called that is not offered.
    """
    if choice is None or choice == "auto":
        return tools, ""
    if not tools:
        raise InvalidRequest("tool_choice is only allowed when tools are given", "tool_choice")
    if choice == "none":
        return (), ""
    if choice == "required":
        return tools, tools[0].name
    given = an_object(choice, "tool_choice", "tool_choice")
    function = given.get("function", given)
    name = an_object(function, "tool_choice", "tool_choice").get("name")
    if name not in [tool.name for tool in tools]:
        raise InvalidRequest(f"tool_choice names {name!r}, which is not offered", "tool_choice")
    return tools, str(name)
