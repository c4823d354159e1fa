"""Results of tools that are brought over HTTP: once, in time, by whoever has the URL."""

import json
import uuid
from typing import Any, cast

import azure.functions as func
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationStatus

from durable_agents import json_text
from durable_agents.durable_clients import durable_client
from durable_agents.http.answers import json_answer
from durable_agents.http.problems import Problem
from durable_agents.http.requests import path_part, principal_of, text_body
from durable_agents.http.scheduler_calls import asked, ended, unavailable
from durable_agents.people import (
    ANSWER_FUNCTION,
    TOOL_RESULT,
    GivenAnswer,
    RequestState,
    Verdict,
    request_entity_id,
)
from durable_agents.people.rules import MAX_ANSWER_BYTES, load
from durable_agents.registry import Registry
from durable_agents.tools import MAX_RESULT_BYTES, Tool
from durable_agents.tools.callback_urls import is_secret
from durable_agents.tools.result_text import UnwritableResult, result_text, shortened

CALLBACK_ROUTE = "callbacks/{instance}/{call}"

_ANSWER_SECONDS = 30.0
_LIVE = {
    OrchestrationStatus.RUNNING,
    OrchestrationStatus.PENDING,
    OrchestrationStatus.SUSPENDED,
}


class Callbacks:
    """Takes results of tools.

    Args:
        registry: The agents: their tools say how large a result may be.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def take(self, request: func.HttpRequest, client: str) -> func.HttpResponse:
        """Take a result: JSON or text; with `failed=true` in the query, why there is none.

        Returns:
            200, once it is recorded.

        Raises:
            Problem: 404 for an unknown call and for a wrong token, 409 for a second result, 410
                for one that comes too late, 400 or 413 for a body that is none.
        """
        scheduler = durable_client(client)
        state = await _wanted(scheduler, request)
        answer = self._read(state, request)
        if state.status == "pending" and not await _is_alive(scheduler, state):
            raise _too_late()
        given = GivenAnswer(
            instance=state.instance,
            request=state.request.id,
            answer=answer,
            who=principal_of(request),
        )
        verdict = await _give(scheduler, given)
        match verdict.outcome:
            case "accepted":
                return json_answer({"status": "accepted"})
            case "already_answered":
                raise Problem(409, "AlreadyAnswered", "the result was brought before.")
            case "too_late" | "unknown":
                raise _too_late()
            case _:
                problems = "; ".join(verdict.problems) or "the result cannot be used"
                raise Problem(400, "InvalidInput", f"{problems}.")

    def _read(self, state: RequestState, request: func.HttpRequest) -> str:
        """Return the result as it is recorded: of at most so many bytes."""
        text = _text(request)
        failed = request.params.get("failed", "").strip().lower() in ("true", "1")
        most = self._most_bytes(state)
        while True:
            brought = {"text": shortened(text, most), "failed": failed}
            answer = json.dumps(brought, ensure_ascii=False)
            if len(answer.encode()) <= MAX_ANSWER_BYTES:
                return answer
            # Written as JSON it is longer: quotes and line feeds take two bytes.
            most = most * 3 // 4

    def _most_bytes(self, state: RequestState) -> int:
        agent = self._registry.agents.get(state.request.agent)
        name = str(json.loads(state.request.details).get("tool", ""))
        tool = agent.toolset.by_name.get(name) if agent is not None else None
        return tool.max_result_bytes if isinstance(tool, Tool) else MAX_RESULT_BYTES


async def _wanted(client: AsyncTaskHubGrpcClient, request: func.HttpRequest) -> RequestState:
    """Return the request for a result that the caller has the URL of."""
    instance, call = path_part(request, "instance"), path_part(request, "call")
    entity = await asked(client.get_entity(request_entity_id(instance, call)))
    kept = entity.get_typed_state() if entity is not None else None
    state = load(cast("dict[str, Any] | None", kept))
    if state is not None and state.request.kind == TOOL_RESULT:
        mark = str(json.loads(state.request.details).get("secret_sha256", ""))
        if is_secret(request.params.get("token", ""), mark):
            return state
    # Who has no token is not told whether there is such a call.
    raise Problem(404, "RequestNotFound", "there is no such call, or the token is another.")


def _text(request: func.HttpRequest) -> str:
    body = text_body(request)
    headers = cast("dict[str, str]", request.headers)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return result_text(body)
    try:
        value = json_text.parse(body)
    except (ValueError, RecursionError):
        raise Problem(400, "InvalidInput", "the body is not valid JSON.") from None
    try:
        return result_text(value)
    except UnwritableResult as error:
        raise Problem(400, "InvalidInput", f"the body cannot be used: {error}.") from None


def _too_late() -> Problem:
    return Problem(410, "TooLate", "nobody waits for the result any more.")


async def _is_alive(client: AsyncTaskHubGrpcClient, state: RequestState) -> bool:
    """Return whether the run still waits: one that was terminated does not say so."""
    run = await asked(client.get_orchestration_state(state.instance, fetch_payloads=False))
    return run is not None and run.runtime_status in _LIVE


async def _give(client: AsyncTaskHubGrpcClient, given: GivenAnswer) -> Verdict:
    begun = await asked(
        client.schedule_new_orchestration(
            ANSWER_FUNCTION,
            input=given.model_dump(mode="json", exclude_defaults=True),
            instance_id=f"answer-{uuid.uuid4().hex}",  # noqa: TID251 - outside any orchestration
        )
    )
    state = await ended(client, begun, _ANSWER_SECONDS)
    if state is None:
        raise unavailable("the result is on its way, and has not been recorded yet")
    if state.runtime_status is not OrchestrationStatus.COMPLETED:
        raise Problem(500, "InternalError", "the result could not be recorded.")
    return Verdict.model_validate(state.get_output())
