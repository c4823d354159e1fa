"""A tool's parameters: the signature of its function as a pydantic class and as a JSON schema."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Optional, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from durable_agents.errors import InvalidAgent
from durable_agents.strict_schema import strict_schema
from durable_agents.tools.context import ToolContext
from durable_agents.tools.json_text import read_value, written

_CONFIG = ConfigDict(
    extra="forbid", allow_inf_nan=False, validate_default=True, protected_namespaces=()
)
_KINDS = inspect.Parameter
_NAMELESS = {
    _KINDS.VAR_POSITIONAL: "takes any number of values",
    _KINDS.VAR_KEYWORD: "takes any names",
    _KINDS.POSITIONAL_ONLY: "has no name for a caller",
}


class _Schema(GenerateJsonSchema):
    # A default that is no JSON is left out of the schema; that is no cause for a warning.
    ignored_warning_kinds = frozenset({"skipped-choice", "non-serializable-default"})  # pyright: ignore[reportAssignmentType]


class Parameters:
    """What a tool can be given.

    Attributes:
        names: The parameters that models are told of, in order.
        nullable: Those of them that take None as a value of their own.
        optional: Those of them that may be left out.
        context: The parameter that is given the `ToolContext`, or an empty text.
        schema: The JSON schema that models are told.
        strict: Whether servers can be asked to hold models to it.
        plain_schema: The JSON schema as pydantic has it, for messages.
    """

    def __init__(
        self, model: type[BaseModel], nullable: frozenset[str], context: str, told: dict[str, str]
    ) -> None:
        fields = model.model_fields.values()
        self._model = model
        self.names = tuple(str(one.alias) for one in fields)
        self.nullable = nullable
        self.optional = frozenset(str(one.alias) for one in fields if not one.is_required())
        self.context = context
        self.plain_schema = _plain_schema(model, told)
        # Only sets are said to have no item twice.
        self._has_sets = "uniqueItems" in str(self.plain_schema)
        self.schema, self.strict = strict_schema(self.plain_schema, optional_as_null=True)

    @classmethod
    def of(
        cls, function: Callable[..., Any], tool: str, described: Mapping[str, str]
    ) -> "Parameters":
        """Return the parameters of a function.

        Args:
            function: The function.
            tool: The tool's name, for messages.
            described: What its docstring says of them.

        Raises:
            InvalidAgent: A parameter has no type, no name, a type without a JSON schema, or a
                default that does not fit its type.
        """
        context, nullable = "", set[str]()
        fields: dict[str, Any] = {}
        told: dict[str, str] = {}
        module = getattr(function, "__module__", None) or __name__
        for parameter in _signature(function, tool):
            if _is_context(parameter.annotation):
                context = parameter.name
                continue
            one = _Parameter.read(parameter, tool, module)
            if one.takes(None):
                nullable.add(parameter.name)
            told[parameter.name] = one.description or described.get(parameter.name, "")
            # Neutral names: `copy` or `_x` is a good name for a parameter, and not for a field.
            fields[f"p{len(fields)}"] = one.field(parameter.name)
        model = create_model("Arguments", __config__=_CONFIG, __module__=module, **fields)
        return cls(model, frozenset(nullable), context, told)

    def check_text(self, text: str) -> BaseModel:
        """Return the values that a JSON text gives the parameters.

        Raises:
            ValidationError: They do not fit. A validator of the tool's author may raise anything.
        """
        return self._model.model_validate_json(text)

    def check(self, values: Mapping[str, Any]) -> BaseModel:
        """Return Python values as those of the parameters.

        Raises:
            ValidationError: They do not fit.
        """
        return self._model.model_validate(dict(values))

    def values(self, checked: BaseModel) -> dict[str, Any]:
        """Return the values by the parameters' names."""
        fields = self._model.model_fields
        return {str(field.alias): getattr(checked, name) for name, field in fields.items()}

    def text(self, checked: BaseModel) -> str:
        """Return the values as JSON text; `check_text` makes the same values of it.

        Raises:
            ValueError: They cannot be written.
        """
        text = checked.model_dump_json(by_alias=True, round_trip=True, warnings="error")
        if not self._has_sets:
            return text
        plain = checked.model_dump(by_alias=True, round_trip=True, warnings="error")
        return written(_with_sets_in_order(read_value(text), plain))


class _Parameter:
    def __init__(self, annotation: Any, default: Any, module: str) -> None:
        self._annotation = annotation
        self._default = default
        self._model = create_model(
            "Argument", __config__=_CONFIG, __module__=module, value=self.field("value")
        )
        info = self._model.model_fields["value"]
        texts = [one for one in info.metadata if isinstance(one, str)]
        self.description = info.description or " ".join(texts)

    @classmethod
    def read(cls, parameter: inspect.Parameter, tool: str, module: str) -> "_Parameter":
        annotation, default = parameter.annotation, parameter.default
        place = f"tool '{tool}': the parameter '{parameter.name}'"
        if isinstance(default, FieldInfo):
            annotation, default = Annotated[annotation, default], inspect.Parameter.empty
        try:
            one = cls(annotation, default, module)
            schema = one.schema()
            if default is None and not one.takes(None):
                # `limit: int = None` is common, and its meaning is plain.
                one = cls(Optional[annotation], default, module)  # noqa: UP045
        except Exception as error:
            raise InvalidAgent(
                f"{place} has a type that cannot be described to a model: {_shown(annotation)} "
                f"({type(error).__name__})."
            ) from error
        if "writeOnly" in str(schema):
            raise InvalidAgent(f"{place} is a secret. A model's arguments are stored, and shown.")
        if not one.takes_default():
            raise InvalidAgent(f"{place} has a default that does not fit {_shown(annotation)}.")
        return one

    def field(self, name: str) -> tuple[Any, Any]:
        given = {"alias": name, "validation_alias": name, "serialization_alias": name}
        if self._default is not inspect.Parameter.empty:
            given["default"] = self._default
        return self._annotation, cast("Callable[..., Any]", Field)(**given)

    def schema(self) -> dict[str, Any]:
        return self._model.model_json_schema(schema_generator=_Schema)

    def takes(self, value: object) -> bool:
        # A validator of the author's may raise anything.
        try:
            self._model.model_validate({"value": value})
        except Exception:
            return False
        return True

    def takes_default(self) -> bool:
        if self._model.model_fields["value"].is_required():
            return True
        try:
            self._model.model_validate({})
        except ValidationError:
            return False
        return True


def _signature(function: Callable[..., Any], tool: str) -> list[inspect.Parameter]:
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except Exception as error:
        raise InvalidAgent(
            f"tool '{tool}': its signature cannot be read ({type(error).__name__}: {error!s:.200})"
        ) from error
    for parameter in parameters:
        place = f"tool '{tool}': the parameter '{parameter.name}'"
        if parameter.kind in _NAMELESS:
            raise InvalidAgent(f"{place} {_NAMELESS[parameter.kind]}; a model cannot give it.")
        if parameter.annotation is inspect.Parameter.empty:
            raise InvalidAgent(f"{place} has no type annotation.")
    return list(parameters)


def _is_context(annotation: object) -> bool:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation is ToolContext or ToolContext in get_args(annotation)


def _plain_schema(model: type[BaseModel], told: Mapping[str, str]) -> dict[str, Any]:
    schema = model.model_json_schema(schema_generator=_Schema)
    schema.pop("title", None)
    properties = cast("dict[str, dict[str, Any]]", schema.setdefault("properties", {}))
    for name, part in properties.items():
        part.pop("title", None)
        if told.get(name):
            part["description"] = told[name]
    return schema


def _with_sets_in_order(data: Any, value: Any) -> Any:
    """Return JSON data with what was a set in an order that every process finds.

    Args:
        data: The JSON data.
        value: The Python data that it was made of, in the same order.
    """
    if isinstance(value, Mapping):
        values = cast("Mapping[object, Any]", value).values()
        pairs = zip(data.items(), values, strict=True)
        return {name: _with_sets_in_order(one, of) for (name, one), of in pairs}
    if not isinstance(value, list | tuple | set | frozenset):
        return data
    items = [
        _with_sets_in_order(one, of) for one, of in zip(data, cast("list[Any]", value), strict=True)
    ]
    return sorted(items, key=written) if isinstance(value, set | frozenset) else items


def _shown(annotation: object) -> str:
    return f"{getattr(annotation, '__name__', None) or annotation!r:.100}"
