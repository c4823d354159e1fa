"""From the words of a model to the arguments of a call, or to what the model is told about them.

The arguments that come out are effective: checked, with defaults, as the tool will get them. They
are what a person approves, and what runs.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol, cast

from pydantic import BaseModel, ValidationError

from durable_agents.sound_text import sound
from durable_agents.tools.argument_problems import described, listed, one_line
from durable_agents.tools.context import ToolError
from durable_agents.tools.json_text import (
    NotAnObject,
    read_object,
    read_value,
    written,
)
from durable_agents.tools.parameters import Parameters

type Check = Callable[[dict[str, Any]], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Read:
    """What the arguments of a call came to.

    Attributes:
        arguments: The effective arguments as JSON text; `{}` where there is a problem.
        problem: What the model is told in place of a result; empty if the call can be made.
    """

    arguments: str = "{}"
    problem: str = ""


class _Refused(Exception):
    pass


class CallArguments(Protocol):
    """Reads the arguments of one tool's calls: by a function's parameters, or by a JSON schema."""

    @property
    def context(self) -> str:
        """The name of the parameter that is given the call; empty where there is none."""
        ...

    def read(self, text: str) -> Read:
        """Return the effective arguments that a model's words come to. It never raises."""
        ...

    def edit(self, arguments: str, changes: Mapping[str, Any]) -> Read:
        """Return the effective arguments after a person has changed some of them."""
        ...

    def reread(self, arguments: str) -> Any:
        """Return the checked form of effective arguments.

        Raises:
            ValueError: They do not fit the parameters; the message says why.
        """
        ...

    def values(self, checked: Any) -> dict[str, Any]:
        """Return the values by the parameters' names, from the checked form."""
        ...

    def text(self, checked: Any) -> str:
        """Return the checked form as JSON text."""
        ...


class ArgumentReader:
    """Reads the arguments of a function's calls."""

    def __init__(self, parameters: Parameters, checks: Sequence[Check]) -> None:
        self._parameters = parameters
        self._checks = checks

    @property
    def context(self) -> str:
        """The name of the parameter that is given the call; empty where there is none."""
        return self._parameters.context

    def values(self, checked: BaseModel) -> dict[str, Any]:
        """Return the values by the parameters' names."""
        return self._parameters.values(checked)

    def text(self, checked: BaseModel) -> str:
        """Return the checked values as JSON text."""
        return self._parameters.text(checked)

    def read(self, text: str) -> Read:
        """Return the effective arguments that a model's words come to."""
        try:
            return Read(self._effective(self._checked(read_object(text))))
        except (NotAnObject, _Refused) as refused:
            return Read(problem=sound(str(refused)))

    def edit(self, arguments: str, changes: Mapping[str, Any]) -> Read:
        """Return the effective arguments after a person has changed some of them.

        They would run as the person wrote them; a change that the tool's own checks would change
        once more is a problem.

        Args:
            arguments: The effective arguments so far.
            changes: New values, as JSON data, by the parameters' names.
        """
        try:
            merged = {**read_object(arguments), **read_object(written(dict(changes)))}
            typed = self._checked(merged)
            final = self._effective(typed)
            self._require_kept(changes, self._written(typed), final)
            return Read(final)
        except (NotAnObject, _Refused) as refused:
            return Read(problem=sound(str(refused)))
        except Exception as error:
            return Read(problem=f"the arguments are no JSON data ({type(error).__name__})")

    def reread(self, arguments: str) -> BaseModel:
        """Return the values of effective arguments. The tool's own checks are not made again.

        Raises:
            ValueError: They do not fit the parameters; the message says why.
        """
        try:
            return self._checked(read_object(arguments))
        except _Refused as refused:
            raise ValueError(str(refused)) from None

    def _checked(self, given: dict[str, Any]) -> BaseModel:
        # A null in place of a default means the default.
        dropped = self._parameters.optional - self._parameters.nullable
        given = {
            name: value for name, value in given.items() if value is not None or name not in dropped
        }
        try:
            checked = self._parameters.check_text(written(given))
            self._require_numbers(given, checked)
            return checked
        except _Refused:
            raise
        except ValidationError as error:
            mended = _mended(given, error)
            if mended == given:
                raise _Refused(described(error, self._parameters.plain_schema)) from None
        except Exception as error:  # of a validator of the tool's author
            raise _Refused(f"the arguments cannot be checked ({type(error).__name__})") from None
        return self._checked(mended)

    def _require_numbers(self, given: dict[str, Any], checked: BaseModel) -> None:
        # pydantic takes true for 1; a model that says so has mixed up its parameters.
        for name, value in self._parameters.values(checked).items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and isinstance(given.get(name), bool):
                raise _Refused(f"{name}: should be a number, not true or false")

    def _effective(self, checked: BaseModel) -> str:
        for check in self._checks:
            checked = self._after(check, checked)
        text = self._written(checked)
        # What is approved is what is run: so reading the text must give the same again.
        if self._written(self._checked(cast("dict[str, Any]", read_value(text)))) != text:
            raise _Refused("the tool cannot be called: its checks change the arguments every time")
        return text

    def _after(self, check: Check, checked: BaseModel) -> BaseModel:
        values = self._parameters.values(checked)
        try:
            changed = check(values)
            return self._parameters.check(values if changed is None else changed)
        except ToolError as error:
            raise _Refused(one_line(error.message)) from None
        except ValidationError as error:
            raise _Refused(described(error, self._parameters.plain_schema)) from None
        except ValueError as error:
            raise _Refused(one_line(str(error))) from None
        except Exception as error:
            raise _Refused(f"the arguments cannot be checked ({type(error).__name__})") from None

    def _written(self, checked: BaseModel) -> str:
        try:
            return written(read_value(self._parameters.text(checked)))
        except Exception as error:  # a type of the author's that reads what it cannot write
            raise _Refused(f"the arguments cannot be written ({type(error).__name__})") from None

    def _require_kept(self, changes: Mapping[str, Any], typed: str, final: str) -> None:
        before, after = read_object(typed), read_object(final)
        found = [
            f"{name}: would run as {written(after[name]):.100}; give that, if it is meant"
            for name, value in changes.items()
            if before[name] != after[name] or not _same_number(value, after[name])
        ]
        if found:
            raise _Refused(listed(found))


def _mended(given: dict[str, Any], error: ValidationError) -> dict[str, Any]:
    """Return the arguments with what is plainly meant in place of what does not fit.

    An array or an object that was written as a JSON text is unwrapped. A null inside of an object
    is left out, so that it means the default, if there is one.
    """
    result = copy.deepcopy(given)
    for detail in error.errors(include_url=False, include_context=False):
        holder, key = _place(result, detail["loc"])
        value = holder.get(key)
        if value is None:
            holder.pop(key, None)
        inner = read_value(value) if isinstance(value, str) else None
        if isinstance(inner, list | dict):
            holder[key] = inner
    return result


def _place(given: dict[str, Any], steps: tuple[int | str, ...]) -> tuple[dict[str, Any], str]:
    """Return the innermost object on the way to a place, and the key there."""
    holder, key = given, ""
    value: Any = given
    for step in steps:
        # A place also has names of branches in it, which are nowhere in the data.
        if isinstance(value, dict) and step in value:
            holder, key = cast("dict[str, Any]", value), str(step)
            value = holder[key]
        elif isinstance(value, list) and isinstance(step, int):
            items = cast("list[Any]", value)
            value = items[step] if step < len(items) else None
    return holder, key


def _same_number(left: object, right: object) -> bool:
    try:
        return Decimal(str(left)) == Decimal(str(right))
    except InvalidOperation:
        return True  # no numbers
