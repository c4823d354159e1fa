"""A run of an agent: its model asked, its tools called, until there is an answer. Durable.

The body of the orchestration `run-<agent>`. Each request to a model and each call of a tool is an
activity, so a crash repeats nothing that has ended. What a run decides, it decides by what the
activities have recorded.
"""

from collections.abc import Generator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask.task import CancellableTask, OrchestrationContext, Task, when_any
from pydantic import ValidationError

from durable_agents.call import (
    STOP_TIME,
    AgentCall,
    AllOrFirstFailure,
    CallPlan,
    OwnTask,
    as_result,
)
from durable_agents.errors import (
    AgentCallFailed,
    AgentCancelled,
    AgentTimeout,
    InvalidAgentOutput,
    InvalidInput,
    MaxTurnsExceeded,
)
from durable_agents.failure_text import to_text
from durable_agents.later_results import LaterToolTask
from durable_agents.messages import (
    AgentResponse,
    Message,
    ModelRequest,
    PreparedCall,
    RunRequest,
    TextPart,
    TokenUsage,
    ToolRequest,
    ToolResult,
)
from durable_agents.people import Asking, approval_request
from durable_agents.registry import RegisteredAgent, Registry
from durable_agents.run_rules import RULES_FUNCTION, RunRules, with_rules
from durable_agents.run_session import COMPACTED, SUMMARISED, RunSession
from durable_agents.run_size import bounded
from durable_agents.session_turns import CANCEL_EVENT
from durable_agents.structured_output import Invalid, OutputFormat
from durable_agents.tool_calls import AgentToolTask, ApprovedToolTask, ToldTask, ToolCallTask
from durable_agents.turn import CallTools, Final, HandOff, next_step

type Steps[T] = Generator[Task[Any], Any, T]


def run_orchestrator(registry: Registry, name: str) -> Any:
    """Return the orchestrator of an agent's runs."""

    def run_agent(context: OrchestrationContext, given: Any) -> Steps[dict[str, Any]]:
        request = _read(given, name)
        if request.unset:
            rules: RunRules = yield context.call_activity(
                RULES_FUNCTION, input=request.agent, return_type=RunRules
            )
            request = with_rules(request, rules)
        run = AgentRun(context, registry, request)
        try:
            response = yield from run.answer()
        except AgentCallFailed as error:
            # As in an activity: what str() gives is all that crosses the boundary.
            error.args = (to_text(error),)
            raise
        return as_result(response)

    run_agent.__name__ = run_agent.__qualname__ = name
    return run_agent


def _read(given: Any, name: str) -> RunRequest:
    try:
        return RunRequest.model_validate(given)
    except ValidationError as error:
        # Without the input: a prompt has no place in a message or a log.
        places = [".".join(map(str, detail["loc"])) for detail in error.errors(include_input=False)]
        wrong = ", ".join(place for place in places if place) or "all of it"
        raise InvalidInput(f"the input of {name} is not a run request (wrong: {wrong})") from None


class AgentRun:
    """One run, from the message to the answer."""

    def __init__(
        self, context: OrchestrationContext, registry: Registry, request: RunRequest
    ) -> None:
        request = _with_deadline(request, context.current_utc_datetime)
        self._context = context
        self._registry = registry
        self._request = request
        self._agent: RegisteredAgent = registry.get(request.agent)
        # A session has the message, and what was said before it; the rest is said here.
        self._messages: list[Message] = [] if request.session else list(request.messages)
        self._session = RunSession(context, request, self._until)
        self._usage = TokenUsage()
        self._turns = 0
        self._tool_calls = 0
        self._trail = [request.agent]
        self._notes: list[str] = []
        self._cancel: CancellableTask[Any] = context.wait_for_external_event(CANCEL_EVENT)
        self._deadline: Task[Any] | None = None
        if request.deadline:
            at = datetime.fromisoformat(request.deadline).astimezone(UTC).replace(tzinfo=None)
            self._deadline = context.create_timer(at)

    def answer(self) -> Steps[AgentResponse]:
        """Go on until there is an answer.

        Raises:
            AgentCallFailed: There is none; what had been used until then is in its `usage`.
        """
        try:
            opened = yield from self._session.open()
            if opened is not None and opened.answered:
                return self._answered_by_another(opened.answer)
            if opened is not None and opened.compact:
                yield from self._summarise()
            return (yield from self._loop())
        except AgentCallFailed as error:
            error.agent = error.agent or self._agent.name
            error.usage = self._usage
            yield from self._session.give_up(error, tuple(self._messages), self._usage)
            raise

    def _loop(self) -> Steps[AgentResponse]:
        while True:
            response = yield from self._ask_model()
            match next_step(response):
                case Final():
                    self._add_said(response)
                    if (yield from self._finish()):
                        return self._answer(response)
                case CallTools(calls):
                    self._add_said(response, calls)
                    self._add_results((yield from self._call_tools(calls)))
                case HandOff() as handoff:
                    self._add_said(response, handoff.calls)
                    self._add_results((yield from self._call_tools(handoff.calls, handoff)))
                    self._hand_off(handoff)

    def _finish(self) -> Steps[bool]:
        """End the turn of a session; it goes on when it was told something that nobody has read."""
        last = self._turns >= self._request.limits.turns
        return (
            yield from self._session.finish(
                tuple(self._messages), self._usage, self._notes, last=last
            )
        )

    def _ask_model(self) -> Steps[AgentResponse]:
        self._turns += 1
        if self._turns > self._request.limits.turns:
            raise self._exceeded(f"no answer after {self._request.limits.turns} turns")
        self._show("model")
        request = ModelRequest(
            version=2,
            messages=tuple(self._messages),
            output=self._request.output,
            options=self._options(),
            policy=self._policy(),
            session=self._session.turn,
            instance=self._context.instance_id,
            parent=self._request.parent,
        )
        try:
            response = yield from self._call_model(request)
        except AgentCallFailed as error:
            if not (yield from self._session.make_room(error)):
                raise
            self._notes.append(COMPACTED)
            return (yield from self._ask_model())
        self._messages += self._session.took(response)
        return response

    def _summarise(self) -> Steps[None]:
        """Have the older turns of the session summarised; without a summary they stay."""
        self._show("summary")
        request = self._session.summary_request(
            instance=self._context.instance_id, parent=self._request.parent
        )
        try:
            summary = yield from self._call_model(request)
        except (AgentCancelled, AgentTimeout):
            raise
        except AgentCallFailed:
            return
        yield from self._session.summarised(summary.text)
        self._notes.append(SUMMARISED)

    def _call_model(self, request: ModelRequest) -> Steps[AgentResponse]:
        agent = self._agent
        plan = CallPlan(
            agent=agent.name,
            model=agent.model.model,
            activity=agent.activity,
            request=request,
            policy=self._policy(),
            recorded=True,
        )
        call = AgentCall(self._context, plan)
        try:
            response: AgentResponse = yield from self._until(call)
        except AgentCallFailed as error:
            if call.is_complete:
                self._usage += error.usage or TokenUsage()
            else:
                yield from self._stop(call)
            raise
        self._usage += response.usage
        return response

    def _stop(self, call: AgentCall) -> Steps[None]:
        """Have the model's server stop what it makes for a run that is over."""
        stopping = call.stop()
        if stopping is None:
            # Its connection is closed, and with it goes the count.
            self._usage += TokenUsage(uncounted_calls=int(call.is_asking))
            return
        timer: Task[Any] = self._context.create_timer(STOP_TIME)
        yield when_any([stopping, timer])
        if stopping.is_complete and not stopping.is_failed:
            stopped: AgentResponse = stopping.get_result()
            self._usage += stopped.usage

    def _call_tools(
        self, calls: Sequence[PreparedCall], handoff: HandOff | None = None
    ) -> Steps[list[Message]]:
        self._tool_calls += len(calls)  # those that are only told cost a result each as well
        if self._tool_calls > self._request.limits.tool_calls:
            raise self._exceeded(f"more than {self._request.limits.tool_calls} calls of tools")
        self._show("tools", [one.call.name for one in calls])
        tasks: list[Task[ToolResult]] = [self._start(one, handoff) for one in calls]
        if any(isinstance(task, ApprovedToolTask) for task in tasks):
            self._show("approval", [one.call.name for one in calls if one.approval])
        try:
            results: list[ToolResult] = yield from self._until(
                AllOrFirstFailure(self._context, tasks)
            )
        except AgentCallFailed:
            yield from self._give_up(tasks)
            raise
        finally:
            for task in tasks:
                if isinstance(task, AgentToolTask):
                    self._usage += task.usage
        return [Message(role="tool", result=result) for result in results]

    def _give_up(self, tasks: Sequence[Task[Any]]) -> Steps[None]:
        """End what was begun for a run that is over: agents, and requests to people."""
        asked: list[Task[Any]] = []
        for task in tasks:
            if isinstance(task, AgentToolTask) and not task.is_complete:
                self._context.send_event(task.instance, CANCEL_EVENT, data="parent")
            waits = isinstance(task, ApprovedToolTask | LaterToolTask)
            if waits and not task.asking.is_complete:
                task.asking.withdraw("the run is over")
                asked.append(task.asking)
        for task in asked:
            # One that cannot be kept any more asks nobody either.
            with suppress(AgentCallFailed):
                yield task

    def _start(self, one: PreparedCall, handoff: HandOff | None) -> OwnTask[ToolResult]:
        match one.action:
            case "run" if one.approval:
                return ApprovedToolTask(self._context, one, self._ask(one), self._start_approved)
            case "run":
                return self._start_tool(one)
            case "agent":
                return self._start_agent(one)
            case "hand_off" if handoff is not None and one.call.id == handoff.followed:
                return ToldTask(self._context, one, f"handed over to {one.target}", handoff=True)
            case "hand_off":
                return ToldTask(
                    self._context, one, "not followed: one transfer at a time", handoff=True
                )
            case "tell":
                return ToldTask(self._context, one, one.problem, is_error=True)

    def _start_tool(self, one: PreparedCall, fingerprint: str = "") -> OwnTask[ToolResult]:
        request = self._tool_request(one, fingerprint)
        if one.callback:
            return LaterToolTask(self._context, one, request, self._tool_call)
        return self._tool_call(one, request)

    def _tool_call(self, one: PreparedCall, request: ToolRequest) -> ToolCallTask:
        activity = self._registry.tool_activity(one.target) or one.target
        return ToolCallTask(self._context, one, activity, request)

    def _start_approved(self, one: PreparedCall, fingerprint: str) -> OwnTask[ToolResult]:
        if one.action == "tell":
            return ToldTask(self._context, one, one.problem, is_error=True)
        return self._start_tool(one, fingerprint)

    def _ask(self, one: PreparedCall) -> Asking:
        policy, principal = self._agent.agent.approvals, self._request.principal
        request = approval_request(
            one,
            agent=self._agent.name,
            session=self._request.session,
            timeout=policy.timeout.total_seconds() if policy.timeout else None,
            answerers=policy.answerers or ((principal.id,) if principal else ()),
        )
        more = {
            "reminders": tuple(after.total_seconds() for after in policy.reminders),
            "escalations": policy.escalations,
            "notify": policy.notify,
        }
        return Asking(self._context, request.model_copy(update=more))

    def _start_agent(self, one: PreparedCall) -> OwnTask[ToolResult]:
        request = self._request
        if request.depth >= request.limits.depth:
            problem = f"not asked: agents are {request.depth} deep already"
            return ToldTask(self._context, one, problem, is_error=True)
        agent = self._registry.get_or_gone(one.target)
        run = RunRequest(
            agent=one.target,
            messages=(Message.of("user", one.arguments),),
            policy=agent.policy,
            limits=agent.agent.limits,
            deadline=request.deadline,
            timeout=request.timeout,
            principal=request.principal,
            depth=request.depth + 1,
            parent=self._context.instance_id,
        )
        # By a uuid of the orchestration: the same in every replay, and no other call's.
        return AgentToolTask(self._context, one, run, f"{agent.name}-{self._context.new_uuid()}")

    def _tool_request(self, one: PreparedCall, fingerprint: str) -> ToolRequest:
        return ToolRequest(
            call_id=one.call.id,
            arguments=one.arguments,
            agent=self._agent.name,
            instance=self._context.instance_id,
            idempotency_key=self._context.new_uuid(),
            session=self._request.session,
            principal=self._request.principal,
            fingerprint=fingerprint,
        )

    def _add_said(self, response: AgentResponse, calls: Sequence[PreparedCall] = ()) -> None:
        parts = (TextPart(text=response.text),) if response.text.strip() else ()
        self._messages.append(
            Message(
                role="assistant",
                parts=parts,
                calls=tuple(one.call for one in calls),
                author=self._agent.name,
            )
        )

    def _add_results(self, results: list[Message]) -> None:
        self._messages = bounded([*self._messages, *results], len(results))

    def _hand_off(self, handoff: HandOff) -> None:
        for ignored in handoff.ignored:
            self._notes.append(f"the transfer to {ignored.target} was not followed")
        if len(self._trail) > self._request.limits.handoffs:
            raise self._exceeded(f"more than {self._request.limits.handoffs} transfers")
        self._agent = self._registry.get_or_gone(handoff.target)
        self._trail.append(handoff.target)

    def _answer(self, response: AgentResponse) -> AgentResponse:
        if len(self._trail) > 1:
            self._notes.insert(0, " -> ".join(self._trail))
        self._show("done")
        return response.model_copy(
            update={
                "usage": self._usage,
                "session_id": self._request.session,
                "correlation_id": self._context.instance_id,
                "notes": tuple(self._notes),
            }
        )

    def _answered_by_another(self, text: str) -> AgentResponse:
        """Return the answer of the turn that the message was put into."""
        if self._request.output is not None:
            found = OutputFormat(self._request.output, None).read(text)
            if isinstance(found, Invalid):
                raise InvalidAgentOutput(
                    f"the turn that took the message in answered in another form: {found.problem}",
                    agent=self._agent.name,
                )
        return self._answer(AgentResponse(text=text, agent=self._agent.name))

    def _until[T](self, task: Task[T]) -> Steps[T]:
        """Wait for a task, for the run to be cancelled, or for its deadline."""
        ends: list[Task[Any]] = [self._cancel]
        if self._deadline is not None:
            ends.append(self._deadline)
        if not task.is_complete:
            yield when_any([task, *ends])
        if task.is_complete:
            return task.get_result()
        if self._cancel.is_complete:
            why = self._cancel.get_result()
            raise AgentCancelled(
                f"the run was cancelled{f' ({why})' if why else ''}", agent=self._agent.name
            )
        raise AgentTimeout(f"no answer within {self._request.timeout:g} s", agent=self._agent.name)

    def _exceeded(self, what: str) -> MaxTurnsExceeded:
        return MaxTurnsExceeded(what, agent=self._agent.name)

    def _policy(self) -> Any:
        first = self._agent.name == self._request.agent
        return self._request.policy if first else self._agent.policy

    def _options(self) -> dict[str, Any]:
        first = self._agent.name == self._request.agent
        return self._request.options if first else {}

    def _show(self, step: str, tools: Sequence[str] = ()) -> None:
        status: dict[str, Any] = {"agent": self._agent.name, "step": step, "turn": self._turns}
        if tools:
            status["tools"] = [name[:64] for name in tools[:20]]
        if self._usage.total_tokens:
            status["tokens"] = self._usage.total_tokens
        self._context.set_custom_status(status)


def _with_deadline(request: RunRequest, now: datetime) -> RunRequest:
    """Return a request that has a time limit with the moment at which it is over."""
    if request.deadline or not request.timeout:
        return request
    now = now if now.tzinfo else now.replace(tzinfo=UTC)
    deadline = (now + timedelta(seconds=request.timeout)).isoformat()
    return request.model_copy(update={"deadline": deadline})
