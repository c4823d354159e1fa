"""Warns of what works here and would be refused by the managed scheduler: it is too large there.

Once for each flow, activity or entity by its name and each kind of thing, however often it happens.
"""

import logging
from collections.abc import Callable, Iterable

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import Message

from local_runtime.scheduler.dispatch.leases import Lease
from local_runtime.scheduler.dispatch.streams import Kind
from local_runtime.scheduler.engine.limits import shown
from local_runtime.scheduler.engine.managed_limits import (
    ID_CHARACTERS,
    MESSAGE_BYTES,
    PAYLOAD_BYTES,
    large_payloads,
)
from local_runtime.scheduler.storage.turns import Turn

logger = logging.getLogger("local_runtime.scheduler")

MAX_WARNINGS = 1000  # of one task hub: names are the app's, and may be without end


class SizeWarnings:
    """What one task hub has warned of. Most calls compare a length, and that is all."""

    def __init__(self, leased: Callable[[str, Kind], Lease | None]) -> None:
        self._leased = leased
        self._told: set[tuple[str, str]] = set()

    def look_at_request(self, request: Message, size: int) -> None:
        """Warn of what is too large in a request of `size` bytes; no part of it is larger."""
        if size <= PAYLOAD_BYTES:
            return
        subject = self._subject(request)
        if subject is None:
            return
        target_id, name = subject
        for what, bytes_ in large_payloads(request):
            self._tell(target_id, name, what, f"{bytes_} bytes", PAYLOAD_BYTES)
        if size > MESSAGE_BYTES:
            what = f"the message {request.DESCRIPTOR.name}"
            self._tell(target_id, name, what, f"{size} bytes", MESSAGE_BYTES)

    def look_at_turn(self, turn: Turn) -> None:
        """Warn of a history, or of an instance's id, that is too long."""
        target_id = turn.instance_id
        if len(turn.request) > MESSAGE_BYTES:
            what = "a turn with its history"
            self._tell(target_id, turn.name, what, f"{len(turn.request)} bytes", MESSAGE_BYTES)
        if len(target_id) > ID_CHARACTERS:
            self._tell_of_id(target_id, turn.name)

    def look_at_entities(self, target_ids: Iterable[str]) -> None:
        """Warn of entity ids, among those of any targets, that are too long."""
        for target_id in target_ids:
            if len(target_id) > ID_CHARACTERS and target_id.startswith("@"):
                self._tell_of_id(target_id, _entity_name(target_id))

    def _subject(self, request: Message) -> tuple[str, str] | None:
        """Return whom a request is about, by id and by name; None when it carries no payload."""
        match request:
            case pb.CreateInstanceRequest():
                return request.instanceId or "(a new instance)", request.name
            case pb.RaiseEventRequest():
                return request.instanceId, ""
            case pb.SignalEntityRequest():
                return request.instanceId, _entity_name(request.instanceId)
            case pb.OrchestratorResponse():
                lease = self._leased(request.completionToken, Kind.ORCHESTRATION)
            case pb.ActivityResponse():
                lease = self._leased(request.completionToken, Kind.ACTIVITY)
            case pb.EntityBatchResult():
                lease = self._leased(request.completionToken, Kind.ENTITY)
            case _:
                return None
        return (lease.target_id, lease.work.name) if lease is not None else None

    def _tell_of_id(self, target_id: str, name: str) -> None:
        self._tell(target_id, name, "its id", f"{len(target_id)} characters", ID_CHARACTERS)

    def _tell(self, target_id: str, name: str, what: str, size: str, limit: int) -> None:
        key = shown(name), shown(what)
        if key in self._told or len(self._told) >= MAX_WARNINGS:
            return
        self._told.add(key)
        logger.warning(
            "%s: %s has %s. The managed scheduler takes at most %d and would refuse it; here it "
            "works. %s",
            shown(target_id) + (f" ({key[0]})" if name else ""),
            key[1],
            size,
            limit,
            "This is said once for each name."
            if len(self._told) < MAX_WARNINGS
            else "This is the last warning of this kind.",
        )


def _entity_name(entity_id: str) -> str:
    return entity_id[1:].partition("@")[0].lower()
