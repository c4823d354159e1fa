"""One call of an agent as a durable task: the requests it takes, and the waits between them.

Each request to the model is an activity of its own, named like the agent, and each wait a durable
timer: after a crash nothing that was answered is asked again. The SDK's own retries are not used:
they ask neither what kind of failure it was nor how long the server wants to be left alone.

What happens here is a function of the history alone, so it is the same in every replay: answers are
judged in the activity, and the rules of the call come back with each result. Settings and agents of
today count for the first request of a call that is made today. Only the SDK's public tasks are
built upon: `CompositeTask` to hear of a task's end, `CompletableTask` to be a task that ends.

A call with a time limit is run in an orchestration of its own. A timer cannot be taken back: it
would fire long after the answer, for one more replay of a flow that goes on. With the end of that
orchestration its timer is void, and so is a request that nobody has begun.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import azure.durable_functions as df
from durabletask.task import (
    CompletableTask,
    CompositeTask,
    OrchestrationContext,
    Task,
    TaskFailedError,
)

from durable_agents.errors import (
    AgentCallFailed,
    AgentTimeout,
    CodeChanged,
    InvalidAgentOutput,
    ResponseLost,
)
from durable_agents.failure_text import from_failure, policy_of
from durable_agents.messages import (
    AgentResponse,
    CallPolicy,
    Correction,
    Message,
    ModelRequest,
    TimedCall,
    TokenUsage,
    Verdict,
)
from durable_agents.retry import next_delay
from durable_agents.structured_output import Invalid, OutputFormat

# The orchestration that a call with a time limit is run in. The prefix is that of functions which
# are no one's own, and which lists of functions leave out.
CALL_FUNCTION = "BuiltIn__AgentCall"

# How often the server is asked for a response that it makes in the background.
_FIRST_POLL = timedelta(seconds=1)
_LONGEST_POLL = timedelta(seconds=30)
STOP_TIME = timedelta(seconds=10)
"""How long a call that is over waits for the model's server to be told."""

_NO_USAGE = TokenUsage()

type AnyContext = df.DurableOrchestrationContext | OrchestrationContext


@dataclass(frozen=True)
class CallPlan:
    """All that is decided before a call is made.

    Attributes:
        agent: The name of the agent to call.
        model: The name of its model, for messages.
        activity: Its activity, a function reference: the SDK reads the result's type from it.
        request: The first request.
        policy: How requests are retried and answers corrected, unless a result says otherwise.
        output: The form that the answer must have, if any.
        timeout: How long the whole call may take.
        recorded: Whether the result is wanted as it is in the history, with its verdict.
    """

    agent: str
    model: str
    activity: Callable[..., Any]
    request: ModelRequest
    policy: CallPolicy
    output: OutputFormat | None = None
    timeout: timedelta | None = None
    recorded: bool = False


def start_call(context: AnyContext, plan: CallPlan) -> Task[AgentResponse]:
    """Call an agent; the task ends with its answer, or with an `AgentCallFailed`."""
    if plan.timeout is None:
        return AgentCall(context, plan)
    return TimedAgentCall(context, plan, plan.timeout)


class OwnTask[T](CompletableTask[T]):
    """A task of ours, which may end with an error of ours."""

    def __init__(self, context: AnyContext) -> None:
        super().__init__()
        self._context = context
        self._ended_with: AgentCallFailed | None = None

    def end_with(self, error: AgentCallFailed) -> None:
        """End the task with an error.

        As `fail` does, but that can only make a TaskFailedError, and a flow's author wants to
        catch ModelRejected.
        """
        self._ended_with = error
        self.fail(str(error), error)

    def get_result(self) -> T:
        """Return the result, or raise the error that the task has ended with."""
        if self._ended_with is not None:
            raise self._ended_with
        return super().get_result()

    def get_exception(self) -> TaskFailedError:
        """Return the error that the task has ended with."""
        return self._ended_with or super().get_exception()

    def _now(self) -> datetime:
        now = self._context.current_utc_datetime
        return now if now.tzinfo else now.replace(tzinfo=UTC)


class _Call(OwnTask[AgentResponse]):
    def __init__(self, context: AnyContext, plan: CallPlan) -> None:
        super().__init__(context)
        self._plan = plan

    def _accept(self, response: AgentResponse) -> None:
        if self._plan.recorded:
            self.complete(response)
            return
        try:
            self.complete(with_value(response, self._plan.output, self._plan.agent))
        except CodeChanged as error:
            self.end_with(error)


def with_value(response: AgentResponse, output: OutputFormat | None, agent: str) -> AgentResponse:
    """Return an accepted answer as a flow gets it: with its value, and without what was recorded.

    Raises:
        CodeChanged: The answer does not fit the class that it was asked for.
    """
    if output is None:
        if response.verdict is None:
            return response
        return response.model_copy(update={"verdict": None})
    try:
        value = output.value(response.text)
    except ValueError as error:
        raise CodeChanged(
            "the code changed under a live instance, or what its checks look at: the "
            f"answer was accepted, and no longer fits {error}. It is not asked for again; "
            "make the class fit it (a new field needs a default) and rewind the instance",
            agent=agent,
            model=response.model,
            request_id=response.request_id,
        ) from None
    return response.model_copy(update={"verdict": None, "value": value})


def as_result(response: AgentResponse) -> dict[str, Any]:
    """Return an accepted answer as an orchestration of its own hands it on, as plain JSON data."""
    return response.model_copy(update={"verdict": None}).to_json()


class AgentCall(_Call):
    """A call as requests and waits of this orchestration.

    Args:
        context: The orchestration.
        plan: The call.
        deadline: When it is over, answered or not.
    """

    def __init__(
        self, context: AnyContext, plan: CallPlan, deadline: datetime | None = None
    ) -> None:
        super().__init__(context, plan)
        self._policy = plan.policy
        self._request = plan.request
        self._usage = _NO_USAGE
        self._taken: dict[str, Message] = {}
        self._polls = 0
        self._is_asking = False
        self._attempt = 0
        self._asked_first = self._now()
        if deadline is not None and deadline <= self._now():
            self._expired()
            return
        self._ask()
        if deadline is not None:
            Then(context.create_timer(deadline), lambda _timer: self._expired())

    def stop(self) -> Task[Any] | None:
        """Have the model's server stop making the response that is waited for.

        Returns:
            A task that ends with what is known of its usage; None if there is nothing to stop.
        """
        if self.is_complete or not self._request.pending:
            return None
        return self._activity(self._request.model_copy(update={"cancel": True}))

    @property
    def is_asking(self) -> bool:
        """Whether a request is under way, and not a wait before one."""
        return self._is_asking

    def _ask(self) -> None:
        self._attempt += 1
        self._is_asking = True
        Then(self._activity(self._request), self._answered)

    def _activity(self, request: ModelRequest) -> Task[Any]:
        if request.policy is not self._policy:
            request = request.model_copy(update={"policy": self._policy})
        payload = request.to_payload()
        if isinstance(self._context, OrchestrationContext):
            return self._context.call_activity(self._plan.activity, input=payload)
        return self._context.call_activity(self._plan.activity, payload)

    def _answered(self, activity: Task[Any]) -> None:
        if self.is_complete:  # the deadline came first
            return
        self._is_asking = False
        if activity.is_failed:
            failed = activity.get_exception()
            self._policy = policy_of(failed) or self._policy
            error = from_failure(failed, self._plan.agent, self._plan.model)
            self._usage += error.usage or TokenUsage()
            self._failed(error)
            return
        response: AgentResponse = activity.get_result()
        if response.verdict is not None and response.verdict.pending:
            self._is_pending(response.verdict)
        else:
            self._judge(response)

    def _is_pending(self, verdict: Verdict) -> None:
        """Wait for a response that the server is making; longer each time it is not ready."""
        self._policy = verdict.policy
        self._taken = self._taken | verdict.taken
        self._request = self._with_taken().model_copy(update={"pending": verdict.pending})
        self._attempt = 0
        delay = min(_FIRST_POLL * 2**self._polls, _LONGEST_POLL)
        self._polls += 1
        Then(self._timer(delay), self._waited)

    def _lost(self, error: AgentCallFailed) -> None:
        """Ask again for a response that the server has lost: once, and it is counted."""
        if self._usage.repeated_calls:
            error.usage = self._usage
            self.end_with(error)
            return
        self._usage += TokenUsage(repeated_calls=1)
        self._request = self._request.model_copy(update={"pending": ""})
        self._attempt, self._polls = 0, 0
        self._ask()

    def _failed(self, error: AgentCallFailed) -> None:
        if isinstance(error, ResponseLost) and self._request.pending:
            self._lost(error)
            return
        elapsed = max(self._now() - self._asked_first, timedelta())
        delay = next_delay(self._policy, self._attempt, elapsed, error.retry_after)
        if delay is None or not error.retriable:
            error.usage = self._usage
            self.end_with(error)
        else:
            Then(self._timer(delay), self._waited)

    def _waited(self, _timer: Task[Any]) -> None:
        if not self.is_complete:
            self._ask()

    def _judge(self, response: AgentResponse) -> None:
        verdict = response.verdict
        self._policy = verdict.policy if verdict is not None else self._policy
        # Copied only where something is other than the activity said: every replay comes by here.
        changed: dict[str, Any] = {}
        if self._usage is _NO_USAGE:
            self._usage = response.usage
        else:
            self._usage += response.usage
            changed["usage"] = self._usage
        if verdict is not None and self._taken:
            verdict = verdict.model_copy(update={"taken": self._taken | verdict.taken})
            changed["verdict"] = verdict
        self._taken = verdict.taken if verdict is not None else self._taken
        found = verdict.value if verdict is not None else ""
        if verdict is not None and (verdict.judged or verdict.calls):
            problem = verdict.problem
        else:
            problem = self._problem(found or response.text)
        if found and not problem:
            # Without the thoughts or the fence around what was asked for.
            changed["text"] = found
        response = response.model_copy(update=changed) if changed else response
        if problem:
            self._ask_again(response, problem)
        else:
            self._accept(response)

    def _problem(self, text: str) -> str:
        """Return what is wrong with an answer whose activity could not tell."""
        output = self._plan.output
        if output is None and self._request.output is not None:
            output = OutputFormat(self._request.output, None)
        found = output.read(text) if output is not None else None
        return found.problem if isinstance(found, Invalid) else ""

    def _ask_again(self, response: AgentResponse, problem: str) -> None:
        asked = len(self._request.corrections)
        if asked >= self._policy.corrections:
            self.end_with(
                InvalidAgentOutput(
                    f"the answer does not fit the response format, asked {asked + 1} times: "
                    f"{problem}",
                    agent=self._plan.agent,
                    model=response.model,
                    request_id=response.request_id,
                    usage=self._usage,
                )
            )
            return
        correction = Correction(answer=response.text, problem=problem)
        corrections = (*self._request.corrections, correction)
        self._request = self._with_taken()
        self._request = self._request.model_copy(update={"corrections": corrections, "pending": ""})
        # A new request: it has all its attempts before it.
        self._attempt, self._asked_first = 0, self._now()
        self._ask()

    def _with_taken(self) -> ModelRequest:
        """Return the request with what the last one took in on its way."""
        session = self._request.session
        new = [key for key in self._taken if session is not None and key not in session.taken]
        if session is None or not new:
            return self._request
        taken = session.model_copy(update={"taken": (*session.taken, *new)})
        messages = (*self._request.messages, *(self._taken[key] for key in new))
        return self._request.model_copy(update={"session": taken, "messages": messages})

    def _expired(self) -> None:
        if self.is_complete:
            return
        error = AgentTimeout(
            f"no answer within {self._plan.timeout}",
            agent=self._plan.agent,
            model=self._plan.model,
            usage=self._usage,
        )
        stopping = self.stop()
        if stopping is None:
            self.end_with(error)
            return
        # With the end of the orchestration the request to stop would be void.
        for end in (stopping, self._timer(STOP_TIME)):
            Then(end, lambda _end: None if self.is_complete else self.end_with(error))

    def _timer(self, delay: timedelta) -> Task[Any]:
        return self._context.create_timer(self._now() + delay)


class TimedAgentCall(_Call):
    """A call in an orchestration of its own, which ends with the call or at its deadline."""

    def __init__(self, context: AnyContext, plan: CallPlan, timeout: timedelta) -> None:
        super().__init__(context, plan)
        call = TimedCall(
            agent=plan.agent,
            request=plan.request.model_copy(update={"policy": plan.policy}),
            deadline=(self._now() + timeout).isoformat(),
            timeout=timeout.total_seconds(),
        )
        payload = call.model_dump(mode="json", exclude_defaults=True)
        child: Task[Any]
        if isinstance(context, OrchestrationContext):
            child = context.call_sub_orchestrator(CALL_FUNCTION, input=payload)
        else:
            child = context.call_sub_orchestrator(CALL_FUNCTION, payload)
        Then(child, self._ended)

    def _ended(self, child: Task[Any]) -> None:
        if child.is_failed:
            failed = child.get_exception()
            self.end_with(from_failure(failed, self._plan.agent, self._plan.model))
        else:
            self._accept(AgentResponse.from_json(child.get_result()))


class Then(CompositeTask[None]):
    """Hears of the end of one task. The task itself keeps it alive until then."""

    def __init__(self, first: Task[Any], then: Callable[[Task[Any]], None]) -> None:
        self._then = then
        super().__init__([first])

    def on_child_completed(self, task: Task[Any]) -> None:
        """Go on; the SDK calls this when the task has ended."""
        self._then(task)


class AllOrFirstFailure[T](OwnTask[list[T]]):
    """Ends with the results of all tasks, in their order, or as soon as one of them has failed.

    The SDK's `when_all` waits for all of them before it fails.
    """

    def __init__(self, context: AnyContext, tasks: Sequence[Task[T]]) -> None:
        super().__init__(context)
        self._tasks = tasks
        self._left = len(tasks)
        if not tasks:
            self.complete([])
        for task in tasks:
            Then(task, self._one_ended)

    def _one_ended(self, task: Task[T]) -> None:
        self._left -= 1
        if self.is_complete:
            return
        if task.is_failed:
            self.end_with(cast("AgentCallFailed", task.get_exception()))
        elif not self._left:
            self.complete([one.get_result() for one in self._tasks])
