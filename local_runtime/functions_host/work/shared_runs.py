"""Sees to it that work which comes a second time joins the first, instead of running once more.

A scheduler that was killed, or has lost the connection, hands out again what it has no result of,
while the function may still run here. What a function does may cost money: both hand-outs get the
answer of the one call.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass, field

from durabletask.internal import orchestrator_service_pb2 as pb

type Request = pb.ActivityRequest | pb.EntityRequest | pb.EntityBatchRequest
type Answer = pb.ActivityResponse | pb.EntityBatchResult
type Key = tuple[object, ...]

# The work may be on its way here once more in the moment when its result is recorded.
_LINGER_SECONDS = 10.0

logger = logging.getLogger("local_runtime.host")


class NoLongerWanted(Exception):
    """The work waited for other work, and is the scheduler's again: it comes anew if it has to."""


@dataclass(eq=False)
class Run:
    """One call of a function, with all work items that it is for."""

    request: Request
    outcome: asyncio.Future[Answer] = field(default_factory=asyncio.Future[Answer])
    work_items: int = 0
    may_come_again: bool = False
    """Whether the work may still be handed out once more, though its result is recorded."""

    def answer_for(self, token: str) -> Answer:
        """Return the answer to the work item with this completion token."""
        answer = self.outcome.result()
        if answer.completionToken == token:
            return answer
        copy = deepcopy(answer)
        copy.completionToken = token
        return copy

    def is_for(self, request: Request) -> bool:
        """Whether it is the call that a request means.

        After a failure the same request is a retry, which is a call of its own.
        """
        if self.outcome.done() and (self.outcome.cancelled() or self.outcome.exception()):
            return False
        if self.outcome.done() and self.outcome.result().HasField("failureDetails"):
            return False
        return self.request == request


class SharedRuns:
    """The calls that run, or whose answers are not delivered yet."""

    def __init__(self) -> None:
        self._known: dict[Key, Run] = {}

    @contextlib.asynccontextmanager
    async def run(
        self,
        key: Key,
        request: Request,
        work: Callable[[], Awaitable[Answer]],
        *,
        what: str,
        turn_lost: asyncio.Event | None = None,
    ) -> AsyncGenerator[Run]:
        """Have `work` done, unless it is under way already; inside the `async with` it is done.

        Args:
            key: What is worked on.
            request: What is to be done.
            work: Calls the function.
            what: Names the work, for the log.
            turn_lost: Given if other work on the same must have ended first; set once nobody
                waits for this work any more.

        Raises:
            NoLongerWanted: Nobody did when it could have begun.
        """
        run = self._known.get(key)
        while turn_lost and run and not run.outcome.done() and not run.is_for(request):
            await asyncio.wait([run.outcome])
            if turn_lost.is_set():
                raise NoLongerWanted
            run = self._known.get(key)
        joins = run is not None and run.is_for(request)
        if run is None or not joins:
            run = self._known[key] = Run(request)
        run.work_items += 1
        try:
            if joins:
                logger.info("%s came once more; it joins the call that is under way", what)
                await asyncio.shield(run.outcome)
            else:
                await _settle(run.outcome, work)
            yield run
        finally:
            run.work_items -= 1
            if not run.work_items:
                self._leave(key, run)

    def _leave(self, key: Key, run: Run) -> None:
        if run.may_come_again and run.is_for(run.request):
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._forget, key, run)
        else:
            self._forget(key, run)

    def _forget(self, key: Key, run: Run) -> None:
        if self._known.get(key) is run and not run.work_items:
            del self._known[key]


async def _settle(outcome: asyncio.Future[Answer], work: Callable[[], Awaitable[Answer]]) -> None:
    try:
        outcome.set_result(await work())
    except Exception as error:
        outcome.set_exception(error)
        outcome.exception()  # it is raised here, whether or not another waits for it
        raise
    finally:
        outcome.cancel()  # which does nothing where it is settled
