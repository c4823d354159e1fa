"""What a run does about its session: gets it, makes room in it, gives it back. Durable.

A run without a session has one of these as well, which does nothing.
"""

from typing import Any

from durabletask.task import OrchestrationContext

from durable_agents.errors import AgentCallFailed, ModelRejected
from durable_agents.messages import (
    AgentResponse,
    Message,
    ModelRequest,
    RunRequest,
    SessionTurn,
    TokenUsage,
)
from durable_agents.session_turns import (
    OpenTurn,
    Steps,
    Until,
    close_turn,
    compact_turns,
    open_turn,
    outcome_of,
)

OVERFLOW = "context_length_exceeded"
COMPACTED = "older turns of the session were left out: the model did not take so many"
SUMMARISED = "older turns of the session were summarised"
NOT_KEPT = "the answer is not in the session: the turn had been ended before"
_SUMMARISE = (
    "Summarise the conversation so far, for yourself: who wants what, what was found out, decided "
    "and done, and what is still open. Keep names, numbers and dates as they are. Answer with the "
    "summary alone."
)


class RunSession:
    """The session of one run.

    Args:
        context: The run.
        request: What it was started with.
        until: How to wait.
    """

    def __init__(self, context: OrchestrationContext, request: RunRequest, until: Until) -> None:
        self._context = context
        self._request = request
        self._until = until
        self._compacted = False
        self.turn: SessionTurn | None = None

    def open(self) -> Steps[OpenTurn | None]:
        """Get the session; None for a run without one.

        Raises:
            AgentCallFailed: The run does not get it.
        """
        if not self._request.session:
            return None
        opened = yield from open_turn(self._context, self._request, self._until)
        self.turn = None if opened.answered else opened.session
        return opened

    def took(self, response: AgentResponse) -> list[Message]:
        """Return the messages that came into the turn with a model request, and remember them."""
        if response.verdict is None or not response.verdict.taken or self.turn is None:
            return []
        taken = response.verdict.taken
        new = [key for key in taken if key not in self.turn.taken]
        self.turn = self.turn.model_copy(update={"taken": (*self.turn.taken, *new)})
        return [taken[key] for key in new]

    def finish(
        self, messages: tuple[Message, ...], usage: TokenUsage, notes: list[str], *, last: bool
    ) -> Steps[bool]:
        """End the turn with its answer; False if there are messages it has not taken in.

        Args:
            messages: What was said in the turn.
            usage: Its tokens.
            notes: Those of the run; one is added if the session has not taken the answer.
            last: Whether the run may not ask its model again.
        """
        if self.turn is None:
            return True
        closing = yield from close_turn(
            self._context, self.turn, messages=messages, usage=usage, last=last
        )
        if closing.ended and closing.outcome != "completed":
            notes.append(NOT_KEPT)
        if closing.ended:
            self.turn = None
        return closing.ended

    def give_up(
        self, error: AgentCallFailed, messages: tuple[Message, ...], usage: TokenUsage
    ) -> Steps[None]:
        """End the turn without an answer; the run's own failure is what is told."""
        if self.turn is None:
            return
        turn, self.turn = self.turn, None
        outcome = outcome_of(error)
        try:
            yield from close_turn(
                self._context,
                turn,
                messages=messages,
                usage=usage,
                outcome=outcome,
                error=error.cause,
            )
        except AgentCallFailed:
            return

    def make_room(self, error: AgentCallFailed) -> Steps[bool]:
        """Leave out older turns when the model does not take so many, once in a run.

        They are gone for good when the turn has completed, and there again when it has not.

        Returns:
            Whether there is room now, so that the model can be asked again.
        """
        overflow = isinstance(error, ModelRejected) and error.code == OVERFLOW
        if not overflow or self.turn is None or self._compacted:
            return False
        self._compacted = True
        done = yield from compact_turns(self._context, self.turn)
        return done.dropped > 0

    def summary_request(self, **fields: Any) -> ModelRequest:
        """Return the request that has the older turns summarised."""
        turn = self.turn.model_copy(update={"older": True}) if self.turn else None
        messages = (Message.of("user", _SUMMARISE),)
        return ModelRequest(version=2, messages=messages, session=turn, tools=False, **fields)

    def summarised(self, summary: str) -> Steps[None]:
        """Put a summary in the place of the older turns."""
        if self.turn is not None:
            yield from compact_turns(self._context, self.turn, summary=summary, for_good=True)
