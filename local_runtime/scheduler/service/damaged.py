"""Instances and entities with damaged data: each is told of once, shown as failed, and parked."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.scheduler.dispatch.large_work import Trouble
from local_runtime.scheduler.engine.status import from_proto
from local_runtime.scheduler.storage.damage import DamagedRow, is_whole, readable
from local_runtime.scheduler.storage.queries import Damaged, damage_failure

logger = logging.getLogger("local_runtime.scheduler")

_ADVICE = (
    "Restore a copy of the task hub's file, or terminate it (if that is refused, it is not needed) "
    "and purge it."
)
_MOST_LINES = 50  # of one look through the file: a torn disk may have damaged everything


class DamagedData:
    """What of one task hub is known to be damaged; in memory only, for each start looks again."""

    def __init__(
        self,
        hub_name: str,
        wake: Callable[[Iterable[str]], None],
        now: Callable[[], datetime],
    ) -> None:
        self._hub_name = hub_name
        self._wake = wake
        self._now = now
        self._found: dict[tuple[str, str, object], DamagedRow] = {}
        self._own_rows: dict[str, None] = {}
        self._parked: dict[str, Trouble] = {}

    def __contains__(self, target_id: str) -> bool:
        return target_id in self._parked

    def known(self) -> Damaged:
        """Return whose own row is damaged, and what else is to be shown as failed."""
        return Damaged(list(self._own_rows), list(self._parked))

    def rows(self) -> list[DamagedRow]:
        """Return what has been found."""
        return list(self._found.values())

    def troubles(self) -> list[Trouble]:
        """Return who is parked, and why, for people."""
        return list(self._parked.values())[-_MOST_LINES:]

    def note(self, found: Iterable[DamagedRow]) -> None:
        """Park whoever has damaged data; the log tells of each once."""
        new = self._keep(found)
        for damage in list(new.values())[:_MOST_LINES]:
            logger.error(
                "task hub %s: %s. It does not go on, and is shown as failed; everything else goes "
                "on. %s",
                self._hub_name,
                damage,
                _ADVICE,
            )
        if len(new) > _MOST_LINES:
            more = [readable(owner) for owner in list(new)[_MOST_LINES:]]
            logger.error(
                "task hub %s: the data of %d more is damaged: %s",
                self._hub_name,
                len(more),
                ", ".join(more),
            )
        self._wake(new)

    def note_again(self, found: Iterable[DamagedRow]) -> None:
        """Park whoever has damaged data of which the log has told before a restart."""
        self._keep(found)

    def _keep(self, found: Iterable[DamagedRow]) -> dict[str, DamagedRow]:
        new: dict[str, DamagedRow] = {}
        for damage in found:
            key = damage.owner, damage.table, damage.key
            if key in self._found:
                continue
            self._found[key] = damage
            if damage.owner in self._parked:
                continue
            new[damage.owner] = damage
            if is_whole(damage.owner):
                self._parked[damage.owner] = Trouble(damage.owner, str(damage), self._now())
                if damage.table == "instances":
                    self._own_rows[damage.owner] = None
        return new

    def forget(self, target_ids: Iterable[str]) -> None:
        """Nothing of these is left that was damaged: they have ended, or have been deleted."""
        if not self._parked:
            return
        for target_id in target_ids:
            if self._parked.pop(target_id, None) is None:
                continue
            self._own_rows.pop(target_id, None)
            self._found = {key: row for key, row in self._found.items() if key[0] != target_id}

    def shown(self, state: pb.OrchestrationState) -> pb.OrchestrationState:
        """Return a state as clients see it: one that is parked has failed."""
        trouble = self._parked.get(state.instanceId) if self._parked else None
        status = from_proto(state.orchestrationStatus)
        if trouble is None or status is None or status.is_terminal:
            return state
        state.orchestrationStatus = pb.ORCHESTRATION_STATUS_FAILED
        state.failureDetails.CopyFrom(damage_failure(f"{trouble.text}. {_ADVICE}"))
        return state
