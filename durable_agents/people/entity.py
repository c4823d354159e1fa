"""The durable entity that keeps a human request, and the orchestration that brings it an answer.

The entity has the truth. An answer comes by an orchestration of its own, which wakes the one that
asks after the answer has been recorded: so a crash between the two loses neither.
"""

import re
from collections.abc import Callable, Generator
from typing import Any, cast

from durabletask.entities import DurableEntity, EntityInstanceId
from durabletask.task import OrchestrationContext, Task

from durable_agents.people import rules
from durable_agents.people.words import GivenAnswer, Opening, RequestState, Verdict

ENTITY_NAME = "human-request"
ANSWER_FUNCTION = "BuiltIn__Answer"


def request_entity_id(instance: str, request: str) -> EntityInstanceId:
    """Return the id of the entity that keeps a request of an orchestration."""
    return EntityInstanceId(ENTITY_NAME, f"{_safe(instance)}:{_safe(request)}")


def answer_event(request: str) -> str:
    """Return the event that tells an orchestration that its request was answered."""
    # Names of events do not tell apart what differs in case only; ids do.
    return f"answered:{re.sub('[A-Z]', lambda found: '~' + found[0], _safe(request))}"


class HumanRequestEntity(DurableEntity):
    """The operations of one request. Each takes and returns plain JSON data.

    An input that cannot be read fails the operation and changes nothing.
    """

    __durable_entity_name__ = ENTITY_NAME

    def open(self, given: dict[str, Any]) -> dict[str, Any]:
        """Open the request: an `Opening`, answered by the `RequestState`, that of before if any."""
        opening = Opening.model_validate(given)
        return self._tell(rules.opened(self._state(), opening), opening.at)

    def read(self, given: dict[str, Any]) -> dict[str, Any] | None:
        """Return the `RequestState`, `at` a moment; None if there is no such request."""
        return self._change(lambda state: state, given)

    def answer(self, given: dict[str, Any]) -> dict[str, Any]:
        """Take an answer: a `GivenAnswer`, answered by a `Verdict`."""
        state, verdict = rules.answered(self._state(), GivenAnswer.model_validate(given))
        if state is not None:
            self._keep(state)
        return verdict.model_dump(mode="json")

    def expire(self, given: dict[str, Any]) -> dict[str, Any] | None:
        """The deadline has come, `at`; answered by the `RequestState`."""
        return self._change(lambda state: rules.expired(state, given["at"]), given)

    def withdraw(self, given: dict[str, Any]) -> dict[str, Any] | None:
        """Nobody needs an answer any more, `at`, and `why`; answered by the `RequestState`."""
        why = str(given.get("why", ""))
        return self._change(lambda state: rules.withdrawn(state, given["at"], why), given)

    def remind(self, given: dict[str, Any]) -> dict[str, Any] | None:
        """People were reminded, `at`; answered by the `RequestState`."""
        return self._change(lambda state: rules.reminded(state, given["at"]), given)

    def escalate(self, given: dict[str, Any]) -> dict[str, Any] | None:
        """More people may answer, `at`, and `to` whom; answered by the `RequestState`."""
        return self._change(lambda state: rules.escalated(state, given["at"], given["to"]), given)

    def forget(self, due: str) -> None:
        """The entity's own signal: it has been kept long enough, if it was sent for this moment."""
        state = self._state()
        if state is not None and state.forget_at == due:
            self.set_state(None)

    def _change(
        self, change: Callable[[RequestState], RequestState], given: dict[str, Any]
    ) -> dict[str, Any] | None:
        state = self._state()
        return None if state is None else self._tell(change(state), given["at"])

    def _tell(self, state: RequestState, at: str) -> dict[str, Any]:
        """Keep a state and return it to who asked; from then on it is kept for a while."""
        told = rules.taken(state, at)
        if told.forget_at and not state.forget_at:
            me = self.entity_context.entity_id
            self.signal_entity(me, "forget", told.forget_at, rules.moment(told.forget_at))
        return self._keep(told)

    def _state(self) -> RequestState | None:
        return rules.load(cast("dict[str, Any] | None", self.get_state()))

    def _keep(self, state: RequestState) -> dict[str, Any]:
        document = rules.document(state)
        self.set_state(document)
        return document


def answer_request(
    context: OrchestrationContext, given: Any
) -> Generator[Task[Any], Any, dict[str, Any]]:
    """Bring an answer to its request, and wake who waits: a `GivenAnswer`; returns a `Verdict`.

    The orchestrator of `BuiltIn__Answer`.
    """
    answer = GivenAnswer.model_validate(given)
    at = rules.moment(answer.at or context.current_utc_datetime.isoformat())
    answer = answer.model_copy(update={"at": at.isoformat()})
    entity = request_entity_id(answer.instance, answer.request)
    payload = answer.model_dump(mode="json", exclude_defaults=True)
    verdict = Verdict.model_validate((yield context.call_entity(entity, "answer", payload)))
    if verdict.outcome == "accepted" and verdict.decided:
        context.send_event(answer.instance, answer_event(answer.request))
    return verdict.model_dump(mode="json")


# A plain worker registers it by this name.
answer_request.__name__ = answer_request.__qualname__ = ANSWER_FUNCTION


def _safe(text: str) -> str:
    """Return a text as letters, digits and `.`, `_`, `-`, `~`: different for different texts."""
    return re.sub(
        r"[^A-Za-z0-9._-]",
        lambda found: "".join(f"~{byte:02x}" for byte in found[0].encode()),
        text,
    )
