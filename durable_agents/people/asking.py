"""Asks a person in an orchestration, and waits: for an answer, reminding, escalating, to the end.

What counts is what the entity of the request has recorded. The event that comes with an answer only
wakes the orchestration, and a deadline that finds an answer recorded gives way to it.

There is one durable timer at a time, for whatever is due next. So at most one is left when an
answer comes before it: it fires into nothing.
"""

from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from durabletask.task import OrchestrationContext, Task, when_any

from durable_agents.call import AnyContext, OwnTask, Then
from durable_agents.errors import AgentCallFailed
from durable_agents.people import rules
from durable_agents.people.entity import answer_event, request_entity_id
from durable_agents.people.listing import shown
from durable_agents.people.words import Answer, HumanRequest, Opening, RequestState


def ask_person(
    context: AnyContext, request: HumanRequest, *, cancel: Task[Any] | None = None
) -> Generator[Task[Any], Any, Answer]:
    """Ask a person, and wait for what comes of it; to be run with `yield from`.

    Args:
        context: The orchestration, of either form.
        request: What is asked. With the id of a request that is open already, it is that one.
        cancel: A task whose end means that no answer is needed any more; the request is withdrawn.

    Returns:
        What came of it. A request that expired or was withdrawn was neither granted nor refused.

    Raises:
        AgentCallFailed: The request cannot be kept.
    """
    asking = Asking(context, request)
    if cancel is not None and not asking.is_complete:
        yield when_any([asking, cancel])
        if not asking.is_complete:
            asking.withdraw("cancelled")
    if not asking.is_complete:
        yield asking
    return asking.get_result()


class Asking(OwnTask[Answer]):
    """A request to a person as a durable task; it ends with an `Answer`.

    Args:
        context: The orchestration, of either form.
        request: What is asked.
        when_open: Called once the request can be answered.

    Attributes:
        request: What is asked, with its id.
    """

    def __init__(
        self,
        context: AnyContext,
        request: HumanRequest,
        when_open: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(context)
        self._when_open = when_open
        self.request = request if request.id else _with_id(request, context.new_uuid())
        self._entity = request_entity_id(context.instance_id, self.request.id)
        self._due: list[tuple[datetime, Callable[[], None]]] = []
        self._is_withdrawn = False
        now = self._now()
        self._asked_at = now.isoformat()
        timeout = self.request.timeout
        opening = Opening(
            instance=context.instance_id,
            request=self.request,
            at=self._asked_at,
            deadline="" if timeout is None else (now + timedelta(seconds=timeout)).isoformat(),
        )
        self._call("open", opening.model_dump(mode="json", exclude_defaults=True), self._opened)

    def withdraw(self, why: str = "") -> None:
        """Say that no answer is needed any more. The task ends when that has been recorded.

        An answer that was recorded before is its result all the same.
        """
        if self.is_complete or self._is_withdrawn:
            return
        self._is_withdrawn = True
        self._call("withdraw", {"at": self._now().isoformat(), "why": why}, self._has_ended)

    def _opened(self, state: RequestState) -> None:
        if self._has_ended(state):
            return
        # By what was recorded: the request may have been opened by an earlier execution.
        opened_at = rules.moment(state.asked_at)
        if state.deadline:
            self._due.append((rules.moment(state.deadline), self._expire))
        for after in self.request.reminders:
            self._due.append((opened_at + timedelta(seconds=after), self._remind))
        for step in self.request.escalations:
            at = opened_at + timedelta(seconds=step.after)
            self._due.append((at, lambda to=step.to: self._escalate(to)))
        already = sum(entry.what in ("reminded", "escalated") for entry in state.audit)
        self._due = _before_deadline(self._due, state.deadline)[already:]
        if state.asked_at == self._asked_at:  # and not opened before, by an earlier execution
            self._notify("opened", state)
        self._wait_for_answer()
        self._wait_for_time()
        if self._when_open is not None:
            self._when_open()

    def _wait_for_answer(self) -> None:
        event = self._context.wait_for_external_event(answer_event(self.request.id))
        Then(event, lambda _event: self._woken())

    def _woken(self) -> None:
        if not self.is_complete:
            self._call("read", {"at": self._now().isoformat()}, self._took_answer)

    def _took_answer(self, state: RequestState) -> None:
        # Anybody can raise an event: without an answer it means nothing.
        if not self._has_ended(state):
            self._wait_for_answer()

    def _wait_for_time(self) -> None:
        if self._due:
            at, act = self._due.pop(0)
            # As the orchestration's clock has it: in UTC, without saying so.
            timer = self._context.create_timer(at.replace(tzinfo=None))
            Then(timer, lambda _timer: self._at(act))

    def _at(self, act: Callable[[], None]) -> None:
        if not self.is_complete:
            act()
            self._wait_for_time()

    def _expire(self) -> None:
        self._call("expire", {"at": self._now().isoformat()}, self._has_ended)

    def _remind(self) -> None:
        self._call("remind", {"at": self._now().isoformat()}, partial(self._took_step, "reminded"))

    def _escalate(self, to: tuple[str, ...]) -> None:
        given = {"at": self._now().isoformat(), "to": list(to)}
        self._call("escalate", given, partial(self._took_step, "escalated"))

    def _took_step(self, what: str, state: RequestState) -> None:
        if not self._has_ended(state):
            self._notify(what, state)

    def _has_ended(self, state: RequestState) -> bool:
        if state.status == "pending":
            return False
        if not self.is_complete:
            self.complete(rules.result(state))
        return True

    def _notify(self, what: str, state: RequestState) -> None:
        if not self.request.notify:
            return
        told = {"event": what, "request": shown(state)}
        activity: Task[Any]
        if isinstance(self._context, OrchestrationContext):
            activity = self._context.call_activity(self.request.notify, input=told)
        else:
            activity = self._context.call_activity(self.request.notify, told)
        Then(activity, lambda _told: None)

    def _call(self, operation: str, given: Any, then: Callable[[RequestState], object]) -> None:
        def came(task: Task[Any]) -> None:
            if self.is_complete:
                return
            if task.is_failed:
                self._lost(task.get_exception().details.message)
                return
            state = rules.load(task.get_result())
            if state is None:
                self._lost("it is not there any more")
            else:
                then(state)

        Then(self._context.call_entity(self._entity, operation, given), came)

    def _lost(self, why: str) -> None:
        self.end_with(
            AgentCallFailed(
                f"the request '{self.request.id}' to a person cannot be kept: {why}",
                agent=self.request.agent,
            )
        )


def _with_id(request: HumanRequest, made: str) -> HumanRequest:
    return request.model_copy(update={"id": made})


def _before_deadline(
    due: list[tuple[datetime, Callable[[], None]]], deadline: str
) -> list[tuple[datetime, Callable[[], None]]]:
    """Return what is due, in order, up to the deadline; that itself is the last."""
    end = rules.moment(deadline) if deadline else datetime.max.replace(tzinfo=UTC)
    inner = sorted((one for one in due if one[0] < end), key=lambda one: one[0])
    return inner + [one for one in due if one[0] == end][:1]
