"""A tool that a model asks for, as a durable task: its attempts, its time limit, its result.

Each of these tasks ends with a `ToolResult`, also when the tool fails: the model is told. Only a
tool with `on_error="raise"` ends it with `ToolFailed`.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from durabletask.task import OrchestrationContext, Task

from durable_agents.call import OwnTask, Then
from durable_agents.errors import ToolFailed
from durable_agents.failure_text import from_failure
from durable_agents.later_results import LaterToolTask, end_call
from durable_agents.messages import (
    AgentResponse,
    PreparedCall,
    RunRequest,
    TokenUsage,
    ToolRequest,
    ToolResult,
)
from durable_agents.people import Asking, decided
from durable_agents.retry import next_delay


class ToolCallTask(OwnTask[ToolResult]):
    """A call of a function tool.

    Args:
        context: The orchestration.
        prepared: The call, and the rules it is made under.
        activity: The tool's activity: a function reference, or the name of one that is gone.
        request: The input of the first attempt.
    """

    def __init__(
        self,
        context: OrchestrationContext,
        prepared: PreparedCall,
        activity: Callable[..., Any] | str,
        request: ToolRequest,
    ) -> None:
        super().__init__(context)
        self._orchestration = context
        self._prepared = prepared
        self._activity = activity
        self._request = request
        self._began = self._now()
        self._call()

    def _call(self) -> None:
        payload = self._request.model_dump(mode="json", exclude_defaults=True)
        # With its type: the tool may be gone, and its result is in the history all the same.
        activity: Task[Any] = self._orchestration.call_activity(
            self._activity, input=payload, return_type=ToolResult
        )
        Then(activity, self._answered)
        attempt, timeout = self._request.attempt, self._prepared.policy.timeout
        if timeout is not None:
            timer = self._orchestration.create_timer(self._now() + timedelta(seconds=timeout))
            Then(timer, lambda _timer: self._expired(attempt))

    def _answered(self, activity: Task[Any]) -> None:
        if self.is_complete:  # the time was over first
            return
        if activity.is_failed:
            # The function itself never ends so: its failure is a result. The activity is gone, or
            # its result could not be stored; whether it did its work cannot be known.
            kind = activity.get_exception().details.error_type.rpartition(".")[2]
            self._end(self._error(f"the tool could not be run ({kind})"))
            return
        result = as_tool_result(activity.get_result())
        delay = None
        if result.is_error and result.retriable:
            elapsed = max(self._now() - self._began, timedelta())
            delay = next_delay(self._prepared.policy.retry, self._request.attempt, elapsed)
        if delay is None:
            self._end(result)
        else:
            Then(self._orchestration.create_timer(self._now() + delay), self._waited)

    def _waited(self, _timer: Task[Any]) -> None:
        if not self.is_complete:
            attempt = self._request.attempt + 1
            self._request = self._request.model_copy(update={"attempt": attempt})
            self._call()

    def _expired(self, attempt: int) -> None:
        if not self.is_complete and attempt == self._request.attempt:
            seconds = self._prepared.policy.timeout or 0
            self._end(
                self._error(f"no result within {seconds:g} s; what it did until then may be done")
            )

    def _error(self, text: str) -> ToolResult:
        call = self._prepared.call
        return ToolResult(call_id=call.id, name=call.name, text=text, is_error=True)

    def _end(self, result: ToolResult) -> None:
        end_call(self, self._prepared, self._request.agent, result)


class ApprovedToolTask(OwnTask[ToolResult]):
    """A call that a person is asked about first.

    Args:
        context: The orchestration.
        prepared: The call.
        asking: The request to a person.
        start: Makes the call that was approved: the call, and the fingerprint of its arguments.

    Attributes:
        asking: The request to a person; after the answer, that for a result that comes later.
    """

    def __init__(
        self,
        context: OrchestrationContext,
        prepared: PreparedCall,
        asking: Asking,
        start: Callable[[PreparedCall, str], OwnTask[ToolResult]],
    ) -> None:
        super().__init__(context)
        self.asking = asking
        self._orchestration = context
        self._prepared = prepared
        self._start = start
        self._note = ""
        Then(asking, self._answered)

    def _answered(self, asking: Task[Any]) -> None:
        if asking.is_failed:
            # Nobody can approve it, so it is not made.
            call = self._prepared.call
            text = "not approved: nobody could be asked; the call was not made"
            self.complete(ToolResult(call_id=call.id, name=call.name, text=text, is_error=True))
            return
        decision = decided(self._prepared, asking.get_result())
        self._note = decision.note
        call = self._start(decision.call, decision.fingerprint)
        if isinstance(call, LaterToolTask):
            self.asking = call.asking
        Then(call, self._ended)

    def _ended(self, task: Task[Any]) -> None:
        if task.is_failed:
            error = task.get_exception()
            assert isinstance(error, ToolFailed)
            self.end_with(error)
            return
        result: ToolResult = task.get_result()
        if self._note:
            result = result.model_copy(update={"text": f"{self._note}\n{result.text}"})
        self.complete(result)


class AgentToolTask(OwnTask[ToolResult]):
    """A run of an agent that another agent asks as its tool: an orchestration of its own.

    Attributes:
        instance: The child's instance id.
        usage: What it has used, once it has ended.
    """

    def __init__(
        self, context: OrchestrationContext, prepared: PreparedCall, run: RunRequest, instance: str
    ) -> None:
        super().__init__(context)
        self.instance = instance
        self.usage = TokenUsage()
        self._prepared = prepared
        self._run = run
        payload = run.model_dump(mode="json", exclude_defaults=True)
        child: Task[Any] = context.call_sub_orchestrator(
            f"run-{run.agent}", input=payload, instance_id=instance
        )
        Then(child, self._ended)

    def _ended(self, child: Task[Any]) -> None:
        call = self._prepared.call
        if child.is_failed:
            error = from_failure(child.get_exception(), self._run.agent, "")
            self.usage = error.usage or self.usage
            text = f"{type(error).__name__}: {error.cause}"
            self.complete(ToolResult(call_id=call.id, name=call.name, text=text, is_error=True))
            return
        response = AgentResponse.from_json(child.get_result())
        self.usage = response.usage
        self.complete(ToolResult(call_id=call.id, name=call.name, text=response.text))


class ToldTask(OwnTask[ToolResult]):
    """A call that is not made: the model is told why."""

    def __init__(
        self, context: OrchestrationContext, prepared: PreparedCall, text: str, **result: bool
    ) -> None:
        super().__init__(context)
        call = prepared.call
        self.complete(ToolResult(call_id=call.id, name=call.name, text=text, **result))


def as_tool_result(given: object) -> ToolResult:
    """Return the result of an activity, by whatever form the SDK hands it on in."""
    return given if isinstance(given, ToolResult) else ToolResult.model_validate(given)
