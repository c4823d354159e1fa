"""Requests to people over HTTP: listed, and answered once."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import quote

import azure.functions as func
from durabletask.client import (
    AsyncTaskHubGrpcClient,
    EntityQuery,
    OrchestrationState,
    OrchestrationStatus,
)
from pydantic import ValidationError

from durable_agents.http.answers import json_answer
from durable_agents.http.problems import Problem
from durable_agents.http.requests import path_part, principal_of, text_body
from durable_agents.http.scheduler_calls import asked, ended, found
from durable_agents.messages import Principal
from durable_agents.people import (
    ANSWER_FUNCTION,
    ENTITY_NAME,
    TOOL_APPROVAL,
    TOOL_RESULT,
    GivenAnswer,
    RequestState,
    Verdict,
    check_answer,
    check_approval,
    listed,
    request_entity_id,
    shown,
)
from durable_agents.people.rules import document, load, may_answer
from durable_agents.people.words import is_yes
from durable_agents.registry import Registry
from durable_agents.tools import Tool

_ANSWER_SECONDS = 30.0
_AT_ONCE = 16
_MOST_LISTED = 200
_LIST_SECONDS = 20.0
_PAGE = 500
_AGES = (timedelta(hours=1), timedelta(days=1), timedelta(days=4), timedelta(days=15))
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


type _States = list[RequestState]  # within the class, `list` is a method


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
        """Return the requests that wait for an answer, and that the caller may answer.

        At most 200, the oldest first; of more, the newest, and `truncated` is true. With
        `instance_id` in the query: those of one orchestration.
        """
        principal = principal_of(request)
        wanted = request.params.get("instance_id", "")
        prefix = str(request_entity_id(wanted, "q"))[:-1] if wanted else f"@{ENTITY_NAME}@"
        mine: _States = []
        for query in _newest_first(prefix, _now()):
            mine += await self._pending(query, principal)
            if len(mine) > _MOST_LISTED:
                break
        mine.sort(key=lambda one: one.asked_at, reverse=True)
        kept = mine[:_MOST_LISTED]
        rows = listed([document(state) for state in kept])
        alive = await self._alive({state.instance for state in kept})
        base = request.url.partition("?")[0].rstrip("/")
        for row in rows:
            parts = quote(row["instance_id"], safe=""), quote(row["request_id"], safe="")
            row["answer_url"] = f"{base}/{parts[0]}/{parts[1]}"
        return json_answer(
            {
                "approvals": [row for row in rows if row["instance_id"] in alive],
                "truncated": len(mine) > _MOST_LISTED,
            }
        )

    async def answer(self, request: func.HttpRequest) -> func.HttpResponse:
        """Take an answer: 200, or a problem 404, 409, 410, 422.

        Raises:
            Problem: The answer was not accepted.
        """
        instance = path_part(request, "instance")
        name = path_part(request, "request")
        principal = principal_of(request)
        state = await self._read(instance, name)
        # Who may not answer is not told that there is something to answer.
        if state is None or not may_answer(state, principal):
            raise _refused(Verdict(outcome="unknown"))
        answer = text_body(request)
        if state.status == "pending" and not await self._alive({state.instance}):
            await self._withdraw(state)
        given = self._checked(state, answer)
        verdict = await self._give(given.model_copy(update={"who": principal}))
        if verdict.outcome != "accepted":
            raise _refused(verdict)
        recorded = await self._read(instance, name)
        return json_answer(shown(recorded) if recorded is not None else {"request_id": name})

    async def _pending(self, query: EntityQuery, principal: Principal | None) -> "_States":
        entities = await asked(self._client.get_all_entities(query), _LIST_SECONDS)
        documents = (entity.get_typed_state() for entity in entities)
        states = (_open(one) for one in documents)
        return [state for state in states if state is not None and may_answer(state, principal)]

    async def _withdraw(self, state: RequestState) -> None:
        """Say that nobody asks any more: the orchestration was terminated while it asked."""
        over = {"at": _now().isoformat(), "why": "the orchestration that asks has ended"}
        entity = request_entity_id(state.instance, state.request.id)
        await asked(self._client.signal_entity(entity, "withdraw", over))

    async def _read(self, instance: str, name: str) -> RequestState | None:
        entity = await found(self._client, request_entity_id(instance, name))
        if entity is None:
            return None
        state = load(cast("dict[str, Any] | None", entity.get_typed_state()))
        # The result of a tool is brought to its callback URL, which has a secret.
        return None if state is None or state.request.kind == TOOL_RESULT else state

    def _checked(self, state: RequestState, answer: str) -> GivenAnswer:
        """Return the answer as it is given to the request: with what only this app can see in it.

        Whether the deadline has passed is not asked of this machine's clock: the request says.
        """
        given = GivenAnswer(instance=state.instance, request=state.request.id, answer=answer)
        if state.status != "pending" or state.request.kind != TOOL_APPROVAL:
            return given
        tool = self._tool(state)
        if tool is None:
            said = check_answer(state, answer)
            if not said and is_yes(json.loads(answer)):
                raise Problem(409, "CodeChanged", "the app has no such tool any more.")
            return given
        problems, answer = check_approval(state, answer, tool.edit)
        return given.model_copy(update={"answer": answer, "problems": tuple(problems)})

    def _tool(self, state: RequestState) -> Tool | None:
        agent = self._registry.agents.get(state.request.agent)
        name = str(json.loads(state.request.details).get("tool", ""))
        tool = agent.toolset.by_name.get(name) if agent is not None else None
        return tool if isinstance(tool, Tool) else None

    async def _give(self, given: GivenAnswer) -> Verdict:
        id = f"answer-{uuid.uuid4().hex}"  # noqa: TID251 - outside any orchestration
        start = self._client.schedule_new_orchestration(
            ANSWER_FUNCTION,
            input=given.model_dump(mode="json", exclude_defaults=True),
            instance_id=id,
        )
        begun = await asked(start)
        return _verdict(await ended(self._client, begun, _ANSWER_SECONDS))

    async def _alive(self, instances: set[str]) -> set[str]:
        """Return which orchestrations still wait: one that was terminated asks nobody."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def lives(instance: str) -> bool:
            async with room:
                look = self._client.get_orchestration_state(instance, fetch_payloads=False)
                state = await asked(look)
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


def _newest_first(prefix: str, now: datetime) -> Iterator[EntityQuery]:
    """Return queries that together find all requests, those that changed last at first."""
    end: datetime | None = None
    for age in (*_AGES, None):
        begin = now - age if age is not None else None
        yield EntityQuery(
            instance_id_starts_with=prefix,
            last_modified_from=begin,
            last_modified_to=end,
            page_size=_PAGE,
        )
        end = begin


def _now() -> datetime:
    # No deadline is held against it: a machine's clock may be wrong.
    return datetime.now(UTC)  # noqa: TID251


def _open(kept: object) -> RequestState | None:
    """Return what an entity keeps if it is a request that waits for an answer."""
    if not isinstance(kept, dict) or cast("dict[str, Any]", kept).get("status"):
        return None  # a status is kept once it is another than `pending`
    try:
        state = load(cast("dict[str, Any]", kept))
    except ValidationError:
        return None
    return None if state is None or state.request.kind == TOOL_RESULT else state
