"""What `response_format` asks for, and whether an answer has that form. Pure: replay repeats it."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from pydantic import BaseModel, ValidationError

from durable_agents import json_schema
from durable_agents.errors import InvalidInput
from durable_agents.json_schema import Schema, UnusableSchema
from durable_agents.messages import OutputSchema

type ResponseFormat = type[BaseModel] | Mapping[str, Any]

_MOST_PROBLEMS = 5
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
        self._model = model

    @classmethod
    def create(cls, response_format: object) -> "OutputFormat":
        """Return the form that a pydantic class or a JSON schema describes.

        Raises:
            InvalidInput: It is neither, or the schema has keywords that cannot be checked.
        """
        if isinstance(response_format, type) and issubclass(response_format, BaseModel):
            return cls._of_class(response_format)
        if isinstance(response_format, Mapping):
            return cls._of_schema(cast("Mapping[str, Any]", response_format))
        raise InvalidInput("response_format must be a pydantic class or a JSON schema.")

    @classmethod
    def _of_class(cls, model: type[BaseModel]) -> "OutputFormat":
        plain: Schema = model.model_json_schema()
        strict = cast("Mapping[str, Any]", json_schema.closed(plain))
        # Types that strict servers do not take (a dict, a pattern) go out as they are: the answer
        # is checked against the class in any case.
        chosen = strict if json_schema.is_strict(strict) else plain
        return cls(_output_schema(model.__name__, chosen), model)

    @classmethod
    def _of_schema(cls, given: Mapping[str, Any]) -> "OutputFormat":
        name = "answer"
        if given.get("type") == "json_schema" and isinstance(given.get("json_schema"), Mapping):
            wrapper = given["json_schema"]
            name, given = str(wrapper.get("name", name)), wrapper.get("schema")
        try:
            json_schema.require_usable(given)
            return cls(_output_schema(name, given), None)
        except (UnusableSchema, ValidationError) as error:
            raise InvalidInput(f"response_format cannot be used: {error}") from error

    def read(self, text: str) -> Valid | Invalid:
        """Return what the answer `text` says, or why it cannot be taken."""
        try:
            value: object = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            return Invalid(f"the answer is not valid JSON: {error}")
        if self._model is None:
            found = json_schema.problems(value, self.schema.json_schema)
            if not found and _hides_an_object(value):
                found = ["the answer uses property names that are reserved"]
            return Invalid(_listed(found)) if found else Valid(value)
        try:
            return Valid(self._model.model_validate_json(text))
        except ValidationError as error:
            # Without the input: what the model said does not belong into messages and logs.
            details = error.errors(include_url=False, include_input=False, include_context=False)
            return Invalid(
                _listed([_described(detail["loc"], detail["msg"]) for detail in details])
            )


def _output_schema(name: str, schema: Mapping[str, Any]) -> OutputSchema:
    # Servers take no other characters in the name; a generic class has brackets in its own.
    clean = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "answer"
    # Strict servers want an object at the top.
    strict = schema.get("type") == "object" and json_schema.is_strict(schema)
    return OutputSchema(name=clean, json_schema=dict(schema), strict=strict)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    # 1e999 is JSON, but Python's infinity is not: a flow that returned it would return no JSON.
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text:.20} is too large a number")
    return number


def _described(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place)) or 'answer'}: {message}"


def _listed(found: list[str]) -> str:
    shown = "; ".join(found[:_MOST_PROBLEMS])
    more = len(found) - _MOST_PROBLEMS
    return f"{shown}; and {more} more" if more > 0 else shown


def _hides_an_object(value: object) -> bool:
    if isinstance(value, list):
        return any(_hides_an_object(item) for item in cast("list[object]", value))
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return set(members) >= _ENVELOPE or any(map(_hides_an_object, members.values()))
    return False
