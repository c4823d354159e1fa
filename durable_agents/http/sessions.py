"""Sessions over HTTP: what was said in them, and their end."""

import asyncio

import azure.functions as func
from durabletask.client import AsyncTaskHubGrpcClient

from durable_agents.http.answers import json_answer
from durable_agents.http.problems import Problem
from durable_agents.http.requests import path_part, principal_of
from durable_agents.http.scheduler_calls import asked, found
from durable_agents.messages import Principal
from durable_agents.sessions import (
    Clearance,
    SessionState,
    exported,
    from_document,
    session_entity_id,
)

_LOOKS = 40
_LOOK_SECONDS = 0.05


class Sessions:
    """The sessions of one agent, as callers see them."""

    def __init__(self, client: AsyncTaskHubGrpcClient, agent: str) -> None:
        self._client = client
        self._agent = agent

    async def show(self, request: func.HttpRequest) -> func.HttpResponse:
        """Return what was said in a session.

        Raises:
            Problem: There is no such session, or it is another principal's.
        """
        session = path_part(request, "id")
        state = await self._state(session, principal_of(request))
        return json_answer({"agent": self._agent, "session_id": session, **exported(state)})

    async def delete(self, request: func.HttpRequest) -> func.HttpResponse:
        """Delete a session. A run that has it ends without an answer.

        Raises:
            Problem: There is no such session, or it is another principal's.
        """
        return await self._clear(request, "delete")

    async def reset(self, request: func.HttpRequest) -> func.HttpResponse:
        """Forget what was said in a session; whose it is stays.

        Raises:
            Problem: There is no such session, or it is another principal's.
        """
        return await self._clear(request, "reset")

    async def _clear(self, request: func.HttpRequest, operation: str) -> func.HttpResponse:
        session = path_part(request, "id")
        principal = principal_of(request)
        await self._state(session, principal)
        clearance = Clearance(principal=principal.id if principal is not None else "")
        entity = session_entity_id(self._agent, session)
        await asked(self._client.signal_entity(entity, operation, clearance.to_json()))
        # It is recorded now, and will be done. Mostly it is done before anybody looks.
        for _ in range(_LOOKS):
            kept = await asked(self._client.get_entity(entity, include_state=False))
            if kept is None or not kept.backlog_queue_size:
                return func.HttpResponse(status_code=204)
            await asyncio.sleep(_LOOK_SECONDS)
        return func.HttpResponse(status_code=202)

    async def _state(self, session: str, principal: Principal | None) -> SessionState:
        entity = await found(self._client, session_entity_id(self._agent, session))
        document = entity.get_typed_state() if entity is not None else None
        state = from_document(document) if document is not None else None
        if state is None or not state.permits(principal.id if principal is not None else ""):
            raise Problem(
                404,
                "SessionNotFound",
                f"agent '{self._agent}' has no session '{session:.100}'.",
            )
        return state
