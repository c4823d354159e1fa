"""Arguments of a tool that has a JSON schema and no function of ours: an MCP server's.

They are read as leniently as those of a function, and checked as far as the schema can be checked
here. The server checks them once more, and has the last word.
"""

from collections.abc import Mapping
from typing import Any, cast

from durable_agents import json_schema
from durable_agents.tools.argument_problems import listed, one_line
from durable_agents.tools.arguments import Read
from durable_agents.tools.json_text import NotAnObject, read_object, read_value, written
from durable_agents.tools.server_schema import checkable_schema


class SchemaArguments:
    """Reads the arguments of one tool's calls by its JSON schema.

    Args:
        offered: The schema, as `offered_schema` returned it.
    """

    context = ""

    def __init__(self, offered: Mapping[str, Any]) -> None:
        self._schema = checkable_schema(offered)

    def read(self, text: str) -> Read:
        """Return the effective arguments that a model's words come to."""
        try:
            return Read(written(self._checked(read_object(text))))
        except ValueError as refused:
            return Read(problem=str(refused))

    def edit(self, arguments: str, changes: Mapping[str, Any]) -> Read:
        """Return the effective arguments after a person has changed some of them.

        Args:
            arguments: The effective arguments so far.
            changes: New values, as JSON data, by the parameters' names.
        """
        try:
            merged = {**read_object(arguments), **read_object(written(dict(changes)))}
            found = self._problems(merged)
        except (TypeError, ValueError, RecursionError) as refused:
            named = isinstance(refused, NotAnObject)
            return Read(problem=str(refused) if named else "the arguments are no JSON data")
        return Read(problem=listed(found)) if found else Read(written(merged))

    def reread(self, arguments: str) -> dict[str, Any]:
        """Return the values of effective arguments.

        Raises:
            ValueError: They do not fit the schema; the message says why.
        """
        return self._checked(read_object(arguments))

    def values(self, checked: dict[str, Any]) -> dict[str, Any]:
        """Return the values by the parameters' names."""
        return checked

    def text(self, checked: dict[str, Any]) -> str:
        """Return the values as JSON text."""
        return written(checked)

    def _checked(self, given: dict[str, Any]) -> dict[str, Any]:
        found = self._problems(given)
        if not found:
            return given
        mended = self._mended(given)
        found = self._problems(mended)
        if found:
            raise ValueError(listed(found))
        return mended

    def _problems(self, given: dict[str, Any]) -> list[str]:
        if self._schema is None:
            return []
        found = json_schema.problems(given, self._schema, "arguments")
        return [one_line(problem) for problem in dict.fromkeys(found)]

    def _mended(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments with what is plainly meant in place of what does not fit."""
        schema = self._schema or {}
        properties = cast("dict[str, Any]", schema.get("properties", {}))
        result: dict[str, Any] = {}
        for name, value in given.items():
            part = properties.get(name)
            if part is None or self._fits(value, part):
                result[name] = value
            elif value is None and name not in schema.get("required", ()):
                continue  # as good as left out
            else:
                inner = read_value(value) if isinstance(value, str) else None
                is_meant = inner is not None and self._fits(inner, part)
                result[name] = inner if is_meant else value
        return result

    def _fits(self, value: object, part: Mapping[str, Any]) -> bool:
        # With the definitions beside it, so that its references lead somewhere.
        beside = {
            name: self._schema[name]
            for name in ("$defs", "definitions")
            if self._schema is not None and name in self._schema
        }
        try:
            return not json_schema.problems(value, {**part, **beside})
        except ValueError:  # a reference to another place
            return False
