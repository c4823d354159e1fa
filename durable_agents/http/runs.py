"""Runs over HTTP: begun once for each key, waited for without polling, fetched, and cancelled."""

import asyncio
import hashlib
import json
import time
import uuid
from typing import Any, cast

import azure.functions as func
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationState, OrchestrationStatus
from grpc import RpcError, StatusCode

from durable_agents.errors import AgentCancelled, InvalidInput
from durable_agents.failure_text import from_details
from durable_agents.handle import read_messages, require_options
from durable_agents.http.problems import Problem, failed_run
from durable_agents.http.requests import RunCall
from durable_agents.http.run_events import RunEvent, RunHistory
from durable_agents.messages import AgentResponse, Principal, RunRequest
from durable_agents.registry import RegisteredAgent
from durable_agents.session_turns import CANCEL_EVENT
from durable_agents.structured_output import OutputFormat

_CANCEL_SECONDS = 5.0
_LOOK_SECONDS = 0.25
_ENDED = {
    OrchestrationStatus.COMPLETED,
    OrchestrationStatus.FAILED,
    OrchestrationStatus.TERMINATED,
}


class AgentRuns:
    """The runs of one agent, as callers see them.

    Args:
        client: The durable client.
        agent: The agent.
        location: The URL of the agent's runs, without the id.
    """

    def __init__(
        self, client: AsyncTaskHubGrpcClient, agent: RegisteredAgent, location: str
    ) -> None:
        self._client = client
        self._agent = agent
        self._location = location

    async def begin(self, call: RunCall) -> func.HttpResponse:
        """Begin a run, and wait for its answer if that is wanted.

        Raises:
            Problem: The request cannot be used, or the run has failed.
        """
        run = self._request(call)
        correlation_id = self._id(call)
        if call.key:
            await self._begin_once(run, correlation_id)
        else:
            await self._start(run, correlation_id)
        if not call.wait:
            return self._accepted(correlation_id, "accepted")
        state = await self._wait(correlation_id, call.wait_seconds)
        return self._answer(state) if state else self._accepted(correlation_id, "running")

    async def fetch(
        self, correlation_id: str, principal: Principal | None, wait_seconds: float
    ) -> func.HttpResponse:
        """Return what has become of a run; wait for its end up to `wait_seconds`.

        Raises:
            Problem: There is no such run, or it has failed.
        """
        state = await self._state(correlation_id, principal)
        if state.runtime_status not in _ENDED and wait_seconds > 0:
            state = await self._wait(correlation_id, wait_seconds) or state
        if state.runtime_status in _ENDED:
            return self._answer(state)
        return self._accepted(correlation_id, "running", state)

    async def cancel(self, correlation_id: str, principal: Principal | None) -> func.HttpResponse:
        """Cancel a run, and say what has become of it: it may have ended first.

        Raises:
            Problem: There is no such run.
        """
        state = await self._state(correlation_id, principal)
        if state.runtime_status not in _ENDED:
            await self._client.raise_orchestration_event(
                correlation_id, CANCEL_EVENT, data="by request"
            )
            ended = await self._wait(correlation_id, _CANCEL_SECONDS)
            if ended is None:
                return self._accepted(correlation_id, "cancelling")
            state = ended
        return _json({"correlation_id": correlation_id, "status": _ended_as(state)})

    async def events(
        self, correlation_id: str, principal: Principal | None, after: int, wait_seconds: float
    ) -> func.HttpResponse:
        """Return the events of a run after one that the caller knows, as server-sent events.

        They come as soon as there are some. A caller that has read them asks again, as browsers
        do by themselves; 204 says that there will be no more.

        Raises:
            Problem: There is no such run.
        """
        end = time.monotonic() + wait_seconds
        while True:
            state = await self._state(correlation_id, principal)
            recorded = await self._client.get_orchestration_history(correlation_id)
            events = [one for one in RunHistory().events(recorded) if one.id > after]
            if events or time.monotonic() >= end:
                return _event_stream(events)
            if state.runtime_status in _ENDED:
                return func.HttpResponse(status_code=204)
            await self._change(correlation_id, state, end)

    async def _change(self, correlation_id: str, seen: OrchestrationState, end: float) -> None:
        """Return when something has happened in a run, or at the end of the time."""
        while time.monotonic() < end:
            await asyncio.sleep(_LOOK_SECONDS)
            state = await self._client.get_orchestration_state(correlation_id, fetch_payloads=False)
            if state is None or state.last_updated_at != seen.last_updated_at:
                return
            if state.runtime_status != seen.runtime_status:
                return

    def _request(self, call: RunCall) -> RunRequest:
        agent = self._agent.agent
        try:
            messages = read_messages(call.message, agent.name)
            require_options(call.options, agent.name)
            wanted = call.response_format or agent.response_format
            output = OutputFormat.create(wanted).schema if wanted is not None else None
        except InvalidInput as error:
            raise Problem(400, "InvalidInput", str(error)) from None
        return RunRequest(
            agent=agent.name,
            messages=messages,
            session=call.session_id,
            on_busy=call.on_busy or agent.sessions.on_busy,
            output=output,
            options=call.options,
            policy=self._agent.policy,
            limits=agent.limits,
            timeout=call.timeout or 0,
            principal=call.principal,
            body_hash=call.body_hash if call.key else "",
        )

    def _id(self, call: RunCall) -> str:
        if not call.key:
            return uuid.uuid4().hex  # noqa: TID251 - outside any orchestration
        who = call.principal.id if call.principal else ""
        known = json.dumps([self._agent.name, who, call.key])
        return hashlib.sha256(known.encode()).hexdigest()[:32]

    async def _begin_once(self, run: RunRequest, correlation_id: str) -> None:
        state = await self._client.get_orchestration_state(correlation_id)
        if state is None:
            try:
                await self._start(run, correlation_id)
                return
            except RpcError as error:
                if cast("Any", error).code() is not StatusCode.ALREADY_EXISTS:
                    raise
                state = await self._client.get_orchestration_state(correlation_id)
        if state is not None and _input(state).body_hash != run.body_hash:
            raise Problem(
                422,
                "InvalidInput",
                "this Idempotency-Key was used for another request; take a new one.",
                members={"correlation_id": correlation_id},
            )

    async def _start(self, run: RunRequest, correlation_id: str) -> None:
        await self._client.schedule_new_orchestration(
            self._agent.run_name,
            input=run.model_dump(mode="json", exclude_defaults=True),
            instance_id=correlation_id,
        )

    async def _wait(self, correlation_id: str, seconds: float) -> OrchestrationState | None:
        """Return the run once it has ended; None if it has not in time."""
        if seconds <= 0:
            return None
        try:
            return await self._client.wait_for_orchestration_completion(
                correlation_id, timeout=seconds
            )
        except TimeoutError:
            return None

    async def _state(self, correlation_id: str, principal: Principal | None) -> OrchestrationState:
        state = await self._client.get_orchestration_state(correlation_id)
        # Another agent's run and another principal's are none of this caller's.
        if state is None or state.name != self._agent.run_name:
            raise self._unknown(correlation_id)
        owner = _input(state).principal
        if owner is not None and (principal is None or principal.id != owner.id):
            raise self._unknown(correlation_id)
        return state

    def _unknown(self, correlation_id: str) -> Problem:
        name = self._agent.name
        return Problem(404, "RunNotFound", f"agent '{name}' has no run '{correlation_id:.100}'.")

    def _answer(self, state: OrchestrationState) -> func.HttpResponse:
        if state.runtime_status is OrchestrationStatus.COMPLETED:
            return _json(_completed(state))
        if state.failure_details is None:
            error = AgentCancelled("the run was terminated", agent=self._agent.name)
        else:
            error = from_details(state.failure_details, self._agent.name, "")
        raise failed_run(error, state.instance_id)

    def _accepted(
        self, correlation_id: str, status: str, state: OrchestrationState | None = None
    ) -> func.HttpResponse:
        body: dict[str, Any] = {"correlation_id": correlation_id, "status": status}
        progress = state.get_custom_status() if state is not None else None
        if isinstance(progress, dict):
            body["progress"] = progress
        location = f"{self._location}/{correlation_id}"
        return _json(body, 202, {"Location": location, "Retry-After": "1"})


def _event_stream(events: list[RunEvent]) -> func.HttpResponse:
    # The comment at the beginning makes an answer without events one that readers take.
    body = ": baton\nretry: 200\n\n" + "".join(event.as_text() for event in events)
    return func.HttpResponse(
        body, headers={"Cache-Control": "no-store"}, mimetype="text/event-stream"
    )


def _completed(state: OrchestrationState) -> dict[str, Any]:
    response = AgentResponse[Any].from_json(state.get_output())
    body: dict[str, Any] = {
        "response": response.text,
        "status": "success",
        "agent": response.agent,
        "model": response.model,
        "session_id": response.session_id or None,
        "correlation_id": state.instance_id,
        "usage": response.usage.model_dump(),
    }
    if _input(state).output is not None:
        body["value"] = json.loads(response.text)
    if response.notes:
        body["notes"] = list(response.notes)
    return body


def _ended_as(state: OrchestrationState) -> str:
    if state.runtime_status is OrchestrationStatus.COMPLETED:
        return "completed"
    details = state.failure_details
    if details is None or details.error_type.rpartition(".")[2] == AgentCancelled.__name__:
        return "cancelled"
    return "failed"


def _input(state: OrchestrationState) -> RunRequest:
    return RunRequest.model_validate(state.get_input())


def _json(
    body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> func.HttpResponse:
    return func.HttpResponse(
        json.dumps(body), status_code=status, headers=headers, mimetype="application/json"
    )
