"""Instances and entities with damaged data: each is told of once, shown as failed, and parked."""

import logging
from collections.abc import Callable, Iterable

from durabletask.internal import orchestrator_service_pb2 as pb

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

    def __init__(self, hub_name: str, wake: Callable[[Iterable[str]], None]) -> None:
        self._hub_name = hub_name
        self._wake = wake
        self._rows: dict[str, str] = {}
        self._parked: dict[str, str] = {}

    def __contains__(self, target_id: str) -> bool:
        return target_id in self._parked

    def known(self) -> Damaged:
        """Return whose own row is damaged, and what else is to be shown as failed."""
        return Damaged(list(self._rows), list(self._parked))

    def note(self, found: Iterable[DamagedRow]) -> None:
        """Park whoever has damaged data; the log tells of each once."""
        new: dict[str, DamagedRow] = {}
        for damage in found:
            if damage.owner in self._parked:
                continue
            new[damage.owner] = damage
            if is_whole(damage.owner):
                self._parked[damage.owner] = str(damage)
                if damage.table == "instances":
                    self._rows[damage.owner] = str(damage)
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

    def forget(self, target_ids: Iterable[str]) -> None:
        """Nothing of these is left that was damaged: they have ended, or have been deleted."""
        if not self._parked:
            return
        for target_id in target_ids:
            self._parked.pop(target_id, None)
            self._rows.pop(target_id, None)

    def shown(self, state: pb.OrchestrationState) -> pb.OrchestrationState:
        """Return a state as clients see it: one that is parked has failed."""
        damage = self._parked.get(state.instanceId) if self._parked else None
        status = from_proto(state.orchestrationStatus)
        if damage is None or status is None or status.is_terminal:
            return state
        state.orchestrationStatus = pb.ORCHESTRATION_STATUS_FAILED
        state.failureDetails.CopyFrom(damage_failure(f"{damage}. {_ADVICE}"))
        return state
