"""What `response_format` asks for, and whether an answer has that form.

The activity checks each answer, once, and records what it found (`judge`). Orchestrators only make
the value of an answer that was accepted (`OutputFormat.value`).
"""

import functools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from durable_agents import json_schema, json_text
from durable_agents.errors import InvalidInput
from durable_agents.json_schema import UnusableSchema
from durable_agents.messages import ModelRequest, OutputSchema, Verdict
from durable_agents.strict_schema import strict_schema

type ResponseFormat = type[BaseModel] | Mapping[str, Any]

_MOST_PROBLEMS = 5
_MOST_KEPT = 1000
# An object with these keys would be taken for a stored Python object by the SDK's JSON codec.
_ENVELOPE = {"__class__", "__module__", "__data__"}


@dataclass(frozen=True)
class Valid:
    """The answer has the asked form; `value` is what it says."""

    value: Any


@dataclass(frozen=True)
class Invalid:
    """The answer does not have the asked form; `problem` tells the model why."""

    problem: str


class OutputFormat:
    """The form that an answer must have."""

    def __init__(self, schema: OutputSchema, model: type[BaseModel] | None) -> None:
        self.schema = schema
        self.key = schema.model_dump_json()
        self._model = model

    @classmethod
    def create(cls, response_format: object) -> "OutputFormat":
        """Return the form that a pydantic class or a JSON schema describes.

        Raises:
            InvalidInput: It is neither, or the schema has keywords that cannot be checked.
        """
        if isinstance(response_format, type) and issubclass(response_format, BaseModel):
            output = _of_class(response_format)
            _formats.keep(output)
            return output
        if isinstance(response_format, Mapping):
            return cls._of_schema(cast("Mapping[str, Any]", response_format))
        raise InvalidInput("response_format must be a pydantic class or a JSON schema.")

    @classmethod
    def _of_schema(cls, given: Mapping[str, Any]) -> "OutputFormat":
        name = "answer"
        if given.get("type") == "json_schema" and isinstance(given.get("json_schema"), Mapping):
            wrapper = given["json_schema"]
            name, given = str(wrapper.get("name", name)), wrapper.get("schema")
        try:
            if hides_an_object(given):
                raise UnusableSchema("it uses property names that are reserved")
            json_schema.require_usable(given)
            return cls(_output_schema(name, given), None)
        except (UnusableSchema, ValueError) as error:  # pydantic's are ValueErrors
            raise InvalidInput(f"response_format cannot be used: {error}") from error

    def value(self, text: str) -> Any:
        """Return what an answer says that was accepted; nothing is asked of it but that it fits.

        Raises:
            ValueError: It does not fit the class: that is not the class it was accepted for.
        """
        if self._model is None:
            return json_text.parse(text)
        try:
            return self._model.model_validate_json(text)
        except ValidationError as error:
            name = f"{self._model.__module__}.{self._model.__qualname__}"
            raise ValueError(f"the class {name}: {_described_all(error)}") from None

    def read(self, text: str) -> Valid | Invalid:
        """Return what the answer `text` says, or why it cannot be taken."""
        try:
            value = json_text.parse(text)
        except (ValueError, RecursionError) as error:
            return Invalid(f"the answer is not valid JSON: {error}")
        if self._model is None:
            found = json_schema.problems(value, self.schema.json_schema)
            if not found and hides_an_object(value):
                found = ["the answer uses property names that are reserved"]
            return Invalid(_listed(found)) if found else Valid(value)
        try:
            return Valid(self._model.model_validate_json(text))
        except ValidationError as error:
            return Invalid(_described_all(error))


@functools.lru_cache(maxsize=256)
def _of_class(model: type[BaseModel]) -> OutputFormat:
    # What strict servers do not take (a dict) goes out as it is: the answer is checked against the
    # class in any case.
    chosen, _ = strict_schema(model.model_json_schema())
    place = f"{model.__module__}:{model.__qualname__}"
    schema = _output_schema(model.__name__, chosen).model_copy(update={"python_class": place})
    return OutputFormat(schema, model)


def judge(request: ModelRequest, text: str) -> Verdict | None:
    """Return what the orchestrator is to know of an answer; None for a call that asks for nothing.

    A class is found again by its name, and counts only if its schema is the one that was asked for:
    an answer is held to what its request said. Where there is no such class the answer is not
    judged here, but by the orchestrator, which has it.

    Where the JSON is a part of the answer only (in a fence, after thoughts), that part is judged,
    and is the verdict's `value`.
    """
    if request.policy is None:
        return None  # a request of before there were verdicts
    if request.output is None:
        return Verdict(policy=request.policy)
    part = json_text.found(text)
    value = part if part is not None and part != text.strip(" \t\r\n") else ""
    output = _formats.find(request.output)
    if output is None:
        return Verdict(policy=request.policy, value=value)
    found = output.read(value or text)
    problem = found.problem if isinstance(found, Invalid) else ""
    return Verdict(policy=request.policy, judged=True, problem=problem, value=value)


def hides_an_object(value: object) -> bool:
    """Whether JSON data has something in it that the SDK's codec takes for a stored object."""
    if isinstance(value, list):
        return any(hides_an_object(item) for item in cast("list[object]", value))
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return set(members) >= _ENVELOPE or any(map(hides_an_object, members.values()))
    return False


class _Formats:
    """The forms that this process has asked for, or been asked for: made once, and kept."""

    def __init__(self) -> None:
        self._kept: dict[str, OutputFormat] = {}

    def keep(self, output: OutputFormat) -> None:
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[output.key] = output

    def find(self, schema: OutputSchema) -> OutputFormat | None:
        kept = self._kept.get(schema.model_dump_json())
        if kept is not None:
            return kept
        if schema.python_class:
            return self._of_class(schema)
        output = OutputFormat(schema, None)
        self.keep(output)
        return output

    def _of_class(self, schema: OutputSchema) -> OutputFormat | None:
        # Among what is loaded, and never by importing: a name in a history runs no code.
        module, _, name = schema.python_class.partition(":")
        place: object = sys.modules.get(module)
        for step in name.split("."):
            place = getattr(place, step, None)
        if not isinstance(place, type) or not issubclass(place, BaseModel):
            return None
        output = OutputFormat.create(place)
        # It has changed since it was asked for. The schema that was asked for has not.
        return output if output.schema == schema else OutputFormat(schema, None)


_formats = _Formats()


def _described_all(error: ValidationError) -> str:
    # Without the input: what the model said does not belong into messages and logs.
    details = error.errors(include_url=False, include_input=False)
    return _listed([_described(detail["loc"], _message(detail)) for detail in details])


def _message(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "union_tag_invalid":  # pydantic's own message quotes the answer
        return f"{context.get('discriminator')} must be one of {context.get('expected_tags')}"
    return detail["msg"]


def _output_schema(name: str, schema: Mapping[str, Any]) -> OutputSchema:
    # Servers take no other characters in the name; a generic class has brackets in its own.
    clean = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "answer"
    # Strict servers want an object at the top.
    strict = schema.get("type") == "object" and json_schema.is_strict(schema)
    return OutputSchema(name=clean, json_schema=dict(schema), strict=strict)


def _described(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place)) or 'answer'}: {message}"


def _listed(found: list[str]) -> str:
    shown = "; ".join(found[:_MOST_PROBLEMS])
    more = len(found) - _MOST_PROBLEMS
    return f"{shown}; and {more} more" if more > 0 else shown
