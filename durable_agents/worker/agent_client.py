"""Calls agents from outside, by a plain Durable Task client: from a script, or another service.

The client knows an agent by its name. How it is called, the worker says.
"""

import math
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, cast, overload

from durabletask.client import OrchestrationState, TaskHubGrpcClient
from durabletask.worker import OrchestratorNotRegisteredError
from grpc import RpcError, StatusCode
from pydantic import BaseModel

from durable_agents.agent import is_agent_name
from durable_agents.call import with_value
from durable_agents.errors import (
    AgentCallFailed,
    AgentNotRegistered,
    AgentTimeout,
    InvalidInput,
)
from durable_agents.handle import AgentSession, Given, OnBusy, read_messages, require_options
from durable_agents.messages import AgentResponse, RunRequest
from durable_agents.run_outcome import Ending, ended_as, has_ended, outcome
from durable_agents.session_turns import CANCEL_EVENT
from durable_agents.structured_output import OutputFormat, ResponseFormat

_LONGEST_WAIT_SECONDS = 60.0
_AGAIN_SECONDS = 1.0
_CANCEL_SECONDS = 5.0
# A run ends by itself at its time limit. This is how much later its end may be known here.
_GRACE_SECONDS = 10.0
_LONGEST_SESSION_ID = 256

type Left = Literal["policy", "limits", "on_busy", "output"]
"""A field of a run's request that is left to the agent."""


class AgentClient:
    """Calls the agents of a task hub: those of an `AgentWorker`, or of an `AgentFunctionApp`.

    Args:
        client: A client of the task hub. It stays its owner's, who closes it.
    """

    def __init__(self, client: TaskHubGrpcClient) -> None:
        self._client = client

    def get_agent(self, name: str) -> "ClientAgent":
        """Return the agent `name`. Whether a worker has it shows when it is called.

        Raises:
            InvalidInput: No agent can have this name.
        """
        if not is_agent_name(name):
            raise InvalidInput(f"no agent can be named {name!r:.100}.")
        return ClientAgent(self._client, name)


class ClientAgent:
    """An agent as a client sees it. Get it from `get_agent`."""

    def __init__(self, client: TaskHubGrpcClient, name: str) -> None:
        self._client = client
        self._name = name

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._name

    def create_session(self) -> AgentSession:
        """Return a new session."""
        return AgentSession(self._name, _new_id())

    @overload
    def run[M: BaseModel](
        self,
        message: Given,
        *,
        response_format: type[M],
        session: AgentSession | str | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: timedelta | float | None = None,
        on_busy: OnBusy | None = None,
        run_id: str = "",
    ) -> AgentResponse[M]: ...

    @overload
    def run(
        self,
        message: Given,
        *,
        response_format: Mapping[str, Any] | None = None,
        session: AgentSession | str | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: timedelta | float | None = None,
        on_busy: OnBusy | None = None,
        run_id: str = "",
    ) -> AgentResponse: ...

    def run(
        self,
        message: Given,
        *,
        response_format: ResponseFormat | None = None,
        session: AgentSession | str | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: timedelta | float | None = None,
        on_busy: OnBusy | None = None,
        run_id: str = "",
    ) -> AgentResponse[Any]:
        """Call the agent and wait for its answer: `start`, then `result`.

        The run is the worker's: it goes on when this process ends, and `result` finds it.

        Args:
            message: What the agent is told or asked: a text, or texts, images and messages.
            response_format: A pydantic class or JSON schema that the answer must fit; it is then
                in the response's `value`. Without one the answer has the agent's own form, and
                its `text` is not parsed.
            session: The conversation that the call goes on with.
            options: Fields of the model request, over those of the agent.
            timeout: The longest time for the whole run (seconds or timedelta).
            on_busy: What happens when the session is busy, in place of the agent's policy.
            run_id: An id of the caller's for the run; the same one never runs twice.

        Raises:
            InvalidInput: An argument cannot be used, or the id was used for another request.
            AgentNotRegistered: The worker has no such agent.
            AgentTimeout: There was no answer in time. If no worker has ended the run, the message
                says so.
            AgentCallFailed: The run came to nothing.
        """
        seconds = _seconds(timeout, self._name)
        begun = self.start(
            message,
            response_format=response_format,
            session=session,
            options=options,
            timeout=timeout,
            on_busy=on_busy,
            run_id=run_id,
        )
        try:
            return self.result(
                begun,
                response_format=response_format,
                timeout=seconds + _GRACE_SECONDS if seconds else None,
            )
        except TimeoutError:
            raise AgentTimeout(
                f"no answer within {seconds:g} s, and no worker has ended the run '{begun}'",
                agent=self._name,
            ) from None

    def start(
        self,
        message: Given,
        *,
        response_format: ResponseFormat | None = None,
        session: AgentSession | str | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: timedelta | float | None = None,
        on_busy: OnBusy | None = None,
        run_id: str = "",
    ) -> str:
        """Begin a run, and return its id without waiting for it. Arguments are those of `run`.

        Raises:
            InvalidInput: An argument cannot be used, or the id was used for another request.
        """
        fields = dict(options or {})
        wanted = response_format or fields.pop("response_format", None)
        messages = read_messages(message, self._name)
        require_options(fields, self._name)
        unset: list[Left] = ["policy", "limits"]
        if not on_busy:
            unset.append("on_busy")
        if not wanted:
            unset.append("output")
        request = RunRequest(
            agent=self._name,
            messages=messages,
            session=self._session_id(session),
            on_busy=on_busy or "reject",
            output=OutputFormat.create(wanted).schema if wanted else None,
            options=fields,
            timeout=_seconds(timeout, self._name) or 0,
            unset=tuple(unset),
        )
        return self._begin(request.model_dump(mode="json", exclude_defaults=True), run_id)

    @overload
    def result[M: BaseModel](
        self,
        run_id: str,
        *,
        response_format: type[M],
        timeout: timedelta | float | None = None,
    ) -> AgentResponse[M]: ...

    @overload
    def result(
        self,
        run_id: str,
        *,
        response_format: ResponseFormat | None = None,
        timeout: timedelta | float | None = None,
    ) -> AgentResponse: ...

    def result(
        self,
        run_id: str,
        *,
        response_format: ResponseFormat | None = None,
        timeout: timedelta | float | None = None,
    ) -> AgentResponse[Any]:
        """Wait for the end of a run, and return its answer.

        Args:
            run_id: What `start` returned.
            response_format: The class or JSON schema that was asked for, for the `value`.
            timeout: How long to wait (seconds or timedelta); the run goes on after that.

        Raises:
            TimeoutError: The run has not ended yet.
            InvalidInput: The agent has no such run.
            AgentNotRegistered: The worker has no such agent.
            AgentCallFailed: The run came to nothing.
        """
        self._state(run_id)
        state = self._wait(run_id, _seconds(timeout, self._name))
        if state is None:
            raise TimeoutError(f"agent '{self._name}': the run '{run_id:.100}' goes on")
        ended = self._outcome(state)
        if isinstance(ended, AgentCallFailed):
            raise ended
        output = OutputFormat.create(response_format) if response_format is not None else None
        return with_value(ended, output, self._name)

    def cancel(self, run_id: str) -> Ending | Literal["cancelling"]:
        """Cancel a run, and say what has become of it: it may have ended before.

        Returns:
            How it ended; `cancelling` if it has not yet.

        Raises:
            InvalidInput: The agent has no such run.
        """
        state = self._state(run_id)
        if has_ended(state):
            return ended_as(state)
        self._client.raise_orchestration_event(run_id, CANCEL_EVENT, data="by request")
        ended = self._wait(run_id, _CANCEL_SECONDS)
        return "cancelling" if ended is None else ended_as(ended)

    def _begin(self, request: dict[str, Any], run_id: str) -> str:
        try:
            return self._client.schedule_new_orchestration(
                f"run-{self._name}", input=request, instance_id=run_id or _new_id()
            )
        except RpcError as error:
            if not run_id or _code(error) is not StatusCode.ALREADY_EXISTS:
                raise
        state = self._state(run_id)
        if state.get_input() != request:
            raise InvalidInput(
                f"agent '{self._name}': the run '{run_id:.100}' was begun for another request."
            )
        return run_id

    def _state(self, run_id: str) -> OrchestrationState:
        state = self._client.get_orchestration_state(run_id)
        if state is None or state.name != f"run-{self._name}":
            raise InvalidInput(f"agent '{self._name}' has no run '{run_id:.100}'.")
        return state

    def _wait(self, run_id: str, seconds: float | None) -> OrchestrationState | None:
        """Return a run once it has ended; None if it has not in time."""
        end = math.inf if seconds is None else time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                state = self._client.wait_for_orchestration_completion(
                    run_id, timeout=min(left, _LONGEST_WAIT_SECONDS)
                )
            except TimeoutError:
                continue
            except RpcError as error:
                if _code(error) is not StatusCode.UNAVAILABLE:
                    raise
                # The scheduler is started again, perhaps. The run is in its storage.
                threading.Event().wait(min(left, _AGAIN_SECONDS))
                continue
            if state is not None and has_ended(state):
                return state
        return None

    def _outcome(self, state: OrchestrationState) -> AgentResponse[Any] | AgentCallFailed:
        details = state.failure_details
        unknown = OrchestratorNotRegisteredError.__name__
        if details is not None and details.error_type.rpartition(".")[2] == unknown:
            raise AgentNotRegistered(f"the worker has no agent named '{self._name}'.")
        return outcome(state, self._name)

    def _session_id(self, session: AgentSession | str | None) -> str:
        if session is None:
            return ""
        if isinstance(session, AgentSession) and session.agent != self._name:
            raise InvalidInput(
                f"agent '{self._name}': the session belongs to agent '{session.agent}'."
            )
        name = session.id if isinstance(session, AgentSession) else session
        if not name.strip() or len(name) > _LONGEST_SESSION_ID:
            raise InvalidInput(
                f"agent '{self._name}': a session's id has 1 to {_LONGEST_SESSION_ID} characters."
            )
        return name


def _seconds(timeout: timedelta | float | None, agent: str) -> float | None:
    if timeout is None:
        return None
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if not 0 < seconds <= timedelta(days=36500).total_seconds():
        raise InvalidInput(f"agent '{agent}': the timeout {timeout} is no time to wait.")
    return seconds


def _new_id() -> str:
    return uuid.uuid4().hex  # noqa: TID251 - outside any orchestration


def _code(error: RpcError) -> StatusCode:
    return cast("Any", error).code()
