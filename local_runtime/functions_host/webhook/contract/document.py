"""The webhook's contract as an OpenAPI 3.1 document, made of the table that the routes are."""

from collections.abc import Iterable, Mapping
from typing import Any

from local_runtime.functions_host.webhook.contract import schemas
from local_runtime.functions_host.webhook.contract.operation import Answer, Operation
from local_runtime.functions_host.webhook.contract.parameters import EVERYWHERE, Parameter

type Json = dict[str, Any]

_JSON = "application/json"
_COMMON = {
    400: Answer("The request makes no sense; `taskHub`, say.", (schemas.EXCEPTION, schemas.ERROR)),
    500: Answer("A fault, or the scheduler could not be asked.", (schemas.EXCEPTION,)),
}
_NOT_NOW: Json = {
    "description": "Too much at once, the scheduler does not answer, or the host is starting or "
    "stopping. The message says whether something may have been done.",
    "headers": {"Retry-After": {"required": False, "schema": {"type": "integer"}}},
    "content": {_JSON: {"schema": schemas.ERROR}, "*/*": {}},
}

_NO_KEY: Json = {"description": "The request has no valid key."}
_OF_A_PAGE: Json = {
    "description": "A web page of another origin sent the request.",
    "content": {"text/plain": {}},
}
_KEYS: Json = {
    "code": {"type": "apiKey", "in": "query", "name": "code"},
    "x-functions-key": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
}


def document(operations: Iterable[Operation], server_url: str, *, asks_for_keys: bool) -> Json:
    """Return the OpenAPI document of these operations, served below `server_url`."""
    paths: dict[str, Json] = {}
    for operation in operations:
        path = paths.setdefault(f"/{operation.path}", {})
        described = path[operation.verb.lower()] = _operation(operation)
        if asks_for_keys:
            described["responses"]["401"] = _NO_KEY
        elif operation.verb not in ("GET", "HEAD", "OPTIONS"):
            described["responses"]["403"] = _OF_A_PAGE
    keys: Json = {"security": [{name: []} for name in _KEYS]} if asks_for_keys else {}
    schemes: Json = {"securitySchemes": _KEYS} if asks_for_keys else {}
    return {
        **keys,
        "openapi": "3.1.0",
        "info": {
            "title": "Durable Task webhook",
            "version": "1",
            "description": "Starts and manages durable instances. Paths and the names of query "
            "parameters are compared without case; values that make no sense are ignored where "
            "no 400 is named; what is not here is a 404 with an empty body.",
        },
        "servers": [{"url": server_url}],
        "paths": paths,
        "components": {"schemas": dict(schemas.COMPONENTS), **schemes},
    }


def _operation(operation: Operation) -> Json:
    described: Json = {
        "summary": operation.summary,
        "operationId": _operation_id(operation),
        "parameters": [_parameter(each) for each in (*operation.parameters, *EVERYWHERE)],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        described["requestBody"] = {
            "description": operation.body.description,
            "required": operation.body.required,
            "content": {
                media_type: {"schema": schema}
                for media_type, schema in operation.body.content.items()
            },
        }
    return described


def _operation_id(operation: Operation) -> str:
    words = operation.path.replace("/", "_").replace("{", "").replace("}", "").replace(".", "_")
    return f"{operation.verb.lower()}_{words}"


def _parameter(parameter: Parameter) -> Json:
    described: Json = {
        "name": parameter.name,
        "in": parameter.location,
        "description": parameter.description,
        "required": parameter.required or parameter.location == "path",
        "schema": parameter.schema,
    }
    if parameter.schema.get("type") == "array":
        described |= {"style": "form", "explode": False}
    return described


def _responses(operation: Operation) -> Json:
    answers = {**operation.answers}
    for code, common in _COMMON.items():
        own = answers.get(code)
        answers[code] = common if own is None else _either(own, common)
    found: Json = {str(code): _response(answer) for code, answer in sorted(answers.items())}
    return {**found, "503": _NOT_NOW}


def _either(own: Answer, common: Answer) -> Answer:
    added = [schema for schema in common.schemas if schema not in own.schemas]
    return Answer(own.description, (*own.schemas, *added), own.headers)


def _response(answer: Answer) -> Json:
    described: Json = {"description": answer.description}
    if answer.headers:
        described["headers"] = {
            name: {"required": True, "schema": schema} for name, schema in answer.headers.items()
        }
    if answer.schemas:
        described["content"] = {_JSON: {"schema": _any_of(answer.schemas)}}
    return described


def _any_of(alternatives: tuple[Mapping[str, Any], ...]) -> Mapping[str, Any]:
    return alternatives[0] if len(alternatives) == 1 else {"anyOf": list(alternatives)}
