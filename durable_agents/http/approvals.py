"""Requests to people over HTTP: listed, and answered once."""

import asyncio
import json
import uuid
from typing import Any, cast

import azure.functions as func
from durabletask.client import (
    AsyncTaskHubGrpcClient,
    EntityQuery,
    OrchestrationState,
    OrchestrationStatus,
)

from durable_agents.http.problems import Problem
from durable_agents.http.requests import MAX_BODY_BYTES, principal_of
from durable_agents.messages import Principal
from durable_agents.people import (
    ANSWER_FUNCTION,
    ENTITY_NAME,
    TOOL_APPROVAL,
    GivenAnswer,
    RequestState,
    Verdict,
    check_answer,
    check_approval,
    listed,
    request_entity_id,
    shown,
)
from durable_agents.people.rules import load, may_answer
from durable_agents.registry import Registry
from durable_agents.tools import Tool

_ANSWER_SECONDS = 30.0
_AT_ONCE = 16
_LIVE = {
    OrchestrationStatus.RUNNING,
    OrchestrationStatus.PENDING,
    OrchestrationStatus.SUSPENDED,
}
_SAID = {
    "unknown": "there is no such request",
    "invalid": "the answer cannot be used",
    "not_allowed": "there is no such request",
    "already_answered": "the request was answered before",
    "too_late": "it is too late for an answer",
}


class Approvals:
    """The requests to people, as callers see them.

    Args:
        client: The durable client.
        registry: The agents: their tools check changed arguments.
    """

    def __init__(self, client: AsyncTaskHubGrpcClient, registry: Registry) -> None:
        self._client = client
        self._registry = registry

    async def list(self, request: func.HttpRequest) -> func.HttpResponse:
        """Return the requests that wait for an answer, and that the caller may answer."""
        query = EntityQuery(instance_id_starts_with=f"@{ENTITY_NAME}@", include_state=True)
        entities = await self._client.get_all_entities(query)
        documents = [cast("dict[str, Any] | None", entity.get_typed_state()) for entity in entities]
        principal = principal_of(request)
        mine = [
            document
            for document in documents
            if (state := load(document)) is not None
            and state.status == "pending"
            and may_answer(state, principal)
        ]
        rows = listed(mine)
        alive = await self._alive({row["instance_id"] for row in rows})
        base = request.url.partition("?")[0].rstrip("/")
        for row in rows:
            row["answer_url"] = f"{base}/{row['instance_id']}/{row['request_id']}"
        body = {"approvals": [row for row in rows if row["instance_id"] in alive]}
        return func.HttpResponse(json.dumps(body), mimetype="application/json")

    async def answer(self, request: func.HttpRequest) -> func.HttpResponse:
        """Take an answer: 200, or a problem 404, 409, 410, 422.

        Raises:
            Problem: The answer was not accepted.
        """
        instance = request.route_params.get("instance", "")
        name = request.route_params.get("request", "")
        principal = principal_of(request)
        state = await self._read(instance, name)
        if state is None or not may_answer(state, principal):
            raise _refused(Verdict(outcome="unknown"))
        answer = self._checked(state, _body(request))
        verdict = await self._give(instance, name, answer, principal)
        if verdict.outcome != "accepted":
            raise _refused(verdict)
        recorded = await self._read(instance, name)
        body = shown(recorded) if recorded is not None else {"request_id": name}
        return func.HttpResponse(json.dumps(body), mimetype="application/json")

    async def _read(self, instance: str, name: str) -> RequestState | None:
        entity = await self._client.get_entity(request_entity_id(instance, name))
        if entity is None:
            return None
        return load(cast("dict[str, Any] | None", entity.get_typed_state()))

    def _checked(self, state: RequestState, answer: str) -> str:
        """Return the answer to record. What is over is left to the request itself to say.

        Whether the deadline has passed is not asked of this machine's clock: an answer that it
        takes for late would be recorded without a check.
        """
        if state.status != "pending":
            return answer
        tool = self._tool(state)
        if tool is None:
            problems = check_answer(state, answer)
        else:
            problems, answer = check_approval(state, answer, tool.edit)
        if problems:
            raise _refused(Verdict(outcome="invalid", problems=tuple(problems)))
        return answer

    def _tool(self, state: RequestState) -> Tool | None:
        if state.request.kind != TOOL_APPROVAL:
            return None
        agent = self._registry.agents.get(state.request.agent)
        name = str(json.loads(state.request.details).get("tool", ""))
        tool = agent.toolset.by_name.get(name) if agent is not None else None
        if not isinstance(tool, Tool):
            raise Problem(
                409, "CodeChanged", f"the app has no tool '{name:.100}' any more; it cannot run."
            )
        return tool

    async def _give(
        self, instance: str, name: str, answer: str, principal: Principal | None
    ) -> Verdict:
        given = GivenAnswer(instance=instance, request=name, answer=answer, who=principal)
        begun = await self._client.schedule_new_orchestration(
            ANSWER_FUNCTION,
            input=given.model_dump(mode="json", exclude_defaults=True),
            instance_id=f"answer-{uuid.uuid4().hex}",  # noqa: TID251 - outside any orchestration
        )
        try:
            state = await self._client.wait_for_orchestration_completion(
                begun, timeout=_ANSWER_SECONDS
            )
        except TimeoutError:
            state = None
        return _verdict(state)

    async def _alive(self, instances: set[str]) -> set[str]:
        """Return which orchestrations still wait: one that was terminated asks nobody."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def lives(instance: str) -> bool:
            async with room:
                state = await self._client.get_orchestration_state(instance, fetch_payloads=False)
            return state is not None and state.runtime_status in _LIVE

        names = sorted(instances)
        found = await asyncio.gather(*(lives(name) for name in names))
        return {name for name, is_alive in zip(names, found, strict=True) if is_alive}


def _verdict(state: OrchestrationState | None) -> Verdict:
    if state is None:
        raise Problem(
            503,
            "SchedulerUnavailable",
            "the answer is on its way, and has not been recorded yet; look at the request again.",
            headers={"Retry-After": "1"},
        )
    if state.runtime_status is not OrchestrationStatus.COMPLETED:
        raise Problem(500, "InternalError", "the answer could not be recorded.")
    return Verdict.model_validate(state.get_output())


def _refused(verdict: Verdict) -> Problem:
    # Who may not answer is not told that there is something to answer.
    status = 404 if verdict.outcome == "not_allowed" else verdict.code
    code = {404: "RequestNotFound", 409: "AlreadyAnswered", 410: "TooLate", 422: "InvalidInput"}
    members = {"problems": list(verdict.problems)} if verdict.problems else {}
    detail = _SAID[verdict.outcome]
    if verdict.problems:
        detail = f"{detail}: {'; '.join(verdict.problems)}"
    return Problem(status, code.get(status, "InvalidInput"), detail, members=members)


def _body(request: func.HttpRequest) -> str:
    body = request.get_body()
    if len(body) > MAX_BODY_BYTES:
        raise Problem(413, "InvalidInput", f"an answer has at most {MAX_BODY_BYTES} bytes.")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem(400, "InvalidInput", "the body is not UTF-8 text.") from None
