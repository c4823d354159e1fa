"""Runs over HTTP: begun once for each key, waited for without polling, fetched, and cancelled."""

import asyncio
import hashlib
import json
import time
import uuid
from functools import partial
from typing import Any

import azure.functions as func
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationState, OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb
from grpc import RpcError, StatusCode
from pydantic import ValidationError

from durable_agents.errors import InvalidInput
from durable_agents.handle import read_messages, require_options
from durable_agents.http.answers import json_answer
from durable_agents.http.outcomes import completed, failure, status_of
from durable_agents.http.places import started_in_order
from durable_agents.http.problems import Problem
from durable_agents.http.requests import RunCall
from durable_agents.http.run_events import RunEvent, RunHistory
from durable_agents.http.scheduler_calls import asked, code_of, ended, unavailable
from durable_agents.messages import Principal, RunRequest
from durable_agents.registry import RegisteredAgent
from durable_agents.session_turns import CANCEL_EVENT
from durable_agents.structured_output import OutputFormat

_CANCEL_SECONDS = 5.0
# How often a run is looked at for a caller that waits for its events.
_FIRST_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.1, 1.0
_ENDED = {
    OrchestrationStatus.COMPLETED,
    OrchestrationStatus.FAILED,
    OrchestrationStatus.TERMINATED,
}
# A run that has ended is never begun again under its id. Without these words Azure would.
_NEVER_AGAIN = pb.OrchestrationIdReusePolicy()


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
        start = partial(self._start, run, correlation_id)
        if not await started_in_order(self._client, run, correlation_id, start):
            await self._require_same(run, correlation_id)
        if not call.wait:
            return self._accepted(correlation_id, "accepted")
        state = await ended(self._client, correlation_id, call.wait_seconds)
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
            after = await ended(self._client, correlation_id, wait_seconds)
            state = after or await self._state(correlation_id, principal)
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
            await self._tell_to_end(correlation_id)
            after = await ended(self._client, correlation_id, _CANCEL_SECONDS)
            if after is None:
                return self._accepted(correlation_id, "cancelling")
            state = after
        body: dict[str, Any] = {"correlation_id": correlation_id, "status": status_of(state)}
        if state.runtime_status is not OrchestrationStatus.COMPLETED:
            members = failure(state, self._agent.name).members
            body |= {"usage": members["usage"]} if "usage" in members else {}
        return json_answer(body)

    async def events(
        self,
        correlation_id: str,
        principal: Principal | None,
        *,
        after: int,
        wait_seconds: float,
        until_finished: bool,
    ) -> func.HttpResponse:
        """Return the events of a run after one that the caller knows, as server-sent events.

        They come as soon as there are some. A caller that has read them asks again, as browsers
        do by themselves; 204 says that there will be no more.

        Args:
            correlation_id: The run.
            principal: Who asks.
            after: The id of the last event that the caller knows; 0 for none.
            wait_seconds: How long to wait for events.
            until_finished: Whether to wait for the end of the run, and tell all at once.

        Raises:
            Problem: There is no such run.
        """
        end = time.monotonic() + wait_seconds
        while True:
            state = await self._state(correlation_id, principal)
            found = [one for one in await self._history(correlation_id) if one.id > after]
            over = time.monotonic() >= end or state.runtime_status in _ENDED
            if over or (found and not until_finished):
                if not found and state.runtime_status in _ENDED:
                    return func.HttpResponse(status_code=204)
                return _event_stream(found)
            await self._change(correlation_id, state, end)

    async def _history(self, correlation_id: str) -> list[RunEvent]:
        try:
            recorded = await asked(self._client.get_orchestration_history(correlation_id))
        except RpcError as error:
            if code_of(error) is StatusCode.NOT_FOUND:
                raise self._unknown(correlation_id) from None
            raise
        return RunHistory().events(recorded)

    async def _change(self, correlation_id: str, seen: OrchestrationState, end: float) -> None:
        """Return when something has happened in a run, or at the end of the time."""
        pause = _FIRST_LOOK_SECONDS
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_LOOK_SECONDS)
            look = self._client.get_orchestration_state(correlation_id, fetch_payloads=False)
            state = await asked(look)
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

    async def _start(self, run: RunRequest, correlation_id: str) -> bool:
        """Have a run recorded; False if one of this id is there already."""
        start = self._client.schedule_new_orchestration(
            self._agent.run_name,
            input=run.model_dump(mode="json", exclude_defaults=True),
            instance_id=correlation_id,
            reuse_id_policy=_NEVER_AGAIN,
        )
        try:
            await asked(start)
        except RpcError as error:
            match code_of(error):
                case StatusCode.ALREADY_EXISTS:
                    return False
                case StatusCode.INVALID_ARGUMENT | StatusCode.RESOURCE_EXHAUSTED:
                    raise Problem(
                        413, "MessageTooLarge", "the scheduler does not take a request so large."
                    ) from None
                case code:
                    raise unavailable(code.name) from None
        except Problem as problem:
            # It may have been recorded all the same: this is how the caller can find out.
            problem.members["correlation_id"] = correlation_id
            raise
        return True

    async def _require_same(self, run: RunRequest, correlation_id: str) -> None:
        state = await asked(self._client.get_orchestration_state(correlation_id))
        began = _input(state) if state is not None else None
        if state is not None and (began is None or began.body_hash != run.body_hash):
            raise Problem(
                422,
                "InvalidInput",
                "this Idempotency-Key was used for another request; take a new one.",
                members={"correlation_id": correlation_id},
            )

    async def _tell_to_end(self, correlation_id: str) -> None:
        event = self._client.raise_orchestration_event(
            correlation_id, CANCEL_EVENT, data="by request"
        )
        try:
            await asked(event)
        except RpcError as error:
            # It has ended meanwhile, and may be purged: there is nobody to tell.
            if code_of(error) not in (StatusCode.NOT_FOUND, StatusCode.FAILED_PRECONDITION):
                raise

    async def _state(self, correlation_id: str, principal: Principal | None) -> OrchestrationState:
        try:
            state = await asked(self._client.get_orchestration_state(correlation_id))
        except RpcError:
            raise self._unknown(correlation_id) from None  # what cannot be an id is nobody's
        # Another agent's run and another principal's are none of this caller's.
        if state is None or state.name != self._agent.run_name:
            raise self._unknown(correlation_id)
        request = _input(state)
        owner = request.principal if request is not None else None
        if owner is not None and (principal is None or principal.id != owner.id):
            raise self._unknown(correlation_id)
        return state

    def _unknown(self, correlation_id: str) -> Problem:
        name = self._agent.name
        return Problem(404, "RunNotFound", f"agent '{name}' has no run '{correlation_id:.100}'.")

    def _answer(self, state: OrchestrationState) -> func.HttpResponse:
        if state.runtime_status is OrchestrationStatus.COMPLETED:
            request = _input(state)
            has_form = request is not None and request.output is not None
            return json_answer(completed(state, has_form=has_form))
        raise failure(state, self._agent.name)

    def _accepted(
        self, correlation_id: str, status: str, state: OrchestrationState | None = None
    ) -> func.HttpResponse:
        body: dict[str, Any] = {"correlation_id": correlation_id, "status": status}
        progress = state.get_custom_status() if state is not None else None
        if isinstance(progress, dict):
            body["progress"] = progress
        location = f"{self._location}/{correlation_id}"
        return json_answer(body, 202, {"Location": location, "Retry-After": "1"})


def _event_stream(events: list[RunEvent]) -> func.HttpResponse:
    # The comment at the beginning makes an answer without events one that readers take.
    body = ": baton\nretry: 200\n\n" + "".join(event.as_text() for event in events)
    return func.HttpResponse(
        body, headers={"Cache-Control": "no-store"}, mimetype="text/event-stream"
    )


def _input(state: OrchestrationState) -> RunRequest | None:
    """Return what a run was started with; None for what no route of ours has started."""
    try:
        return RunRequest.model_validate(state.get_input())
    except (ValidationError, ValueError, TypeError):
        return None
