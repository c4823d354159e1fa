"""Compares what is left, as a client sees it and as it is on disk, with what the client did."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from durabletask import client, entities, history

from local_runtime.scheduler.storage import history as stored
from local_runtime.scheduler.storage.damage import DamagedRow
from tests.scheduler.audit import faults as file_faults
from tests.soak.executions import Record, records
from tests.soak.history_audit import history_faults
from tests.soak.ledger import ENDS, Instance, Ledger
from tests.soak.patient import Patient, judged, status

GONE = "is missing"
NO_END = "no end of"

# What waits for somebody, or is held: with nothing under way there is none of it.
_OUTSTANDING = {
    "an event in the inbox of": "SELECT target_id FROM inbox",
    "an activity of": "SELECT instance_id FROM tasks",
    "a timer or message for": "SELECT target_id FROM delayed",
    "a critical section of": "SELECT instance_id FROM critical_sections",
    "a lock on": "SELECT entity_id FROM entities WHERE holder_id IS NOT NULL",
    NO_END: "SELECT instance_id FROM instances WHERE completed_at IS NULL",
}


@contextlib.contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """Read a hub's file beside the scheduler that writes it."""
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        yield connection


def outstanding(file: Path) -> list[str]:
    """Return what a hub without anything under way must not hold."""
    with opened(file) as connection:
        return [
            f"{what} {name}"
            for what, query in _OUTSTANDING.items()
            for (name,) in connection.execute(query)
        ]


def outcome_faults(ledger: Ledger, states: Iterable[client.OrchestrationState]) -> list[str]:
    """Return which instances are missing, are nobody's, or did not end as they had to."""
    found: list[str] = []
    missing = {i.instance_id for i in ledger.instances.values() if not i.is_purged}
    strangers: set[str] = set()
    for state in states:
        instance_id = state.instance_id
        root = ledger.root(instance_id)
        if root is None:
            strangers.add(instance_id.partition(":")[0])
        elif root.instance_id == instance_id:
            missing.discard(instance_id)
            if root.is_purged:
                found.append(f"{instance_id} ({root.kind}) was purged and is there")
            found += judged(root, state)
        else:
            child = Instance(instance_id, f"child of {root.kind}", root.child_ends)
            found += judged(child, state)
    if len(strangers) > ledger.lost_restarts:
        found.append(f"nobody started {sorted(strangers)}; {ledger.lost_restarts} may be")
    return found + [f"{instance_id} {GONE}" for instance_id in sorted(missing)]


def entity_faults(ledger: Ledger, tallies: dict[str, int], accounts: dict[str, int]) -> list[str]:
    """Return where entities do not hold what was sent to them."""
    found = [
        f"tally {key} is {tallies.get(key, 0)}, and not {bounds.low} to {bounds.high}"
        for key, bounds in sorted(ledger.tallies.items())
        if not bounds.hold(tallies.get(key, 0))
    ]
    if sum(accounts.values()) != 0:
        found.append(f"the accounts do not add up to 0: {accounts}")
    return found


async def entity_values(hub: Patient, name: str, keys: Iterable[str]) -> dict[str, int]:
    """The numbers that entities of one name hold."""
    return {key: await hub.value(entities.EntityInstanceId(name, key)) for key in keys}


async def history_seen_by_client(
    hub: Patient, instance_id: str
) -> tuple[list[str], dict[str, Record]]:
    """Audit the history of one finished instance; also what it says of its activities."""
    state = await hub.state(instance_id)
    if state is None or status(state) not in ENDS:
        return [f"{instance_id} is to be audited, and is {state}"], {}
    events = (await hub.insist(lambda: hub.sdk.get_orchestration_history(instance_id)))[0]
    return history_faults(instance_id, status(state), events), records(instance_id, events)


async def all_histories(
    hub: Patient, file: Path, states: Iterable[client.OrchestrationState]
) -> tuple[list[str], dict[str, Record]]:
    """Audit every history that is there, as the client gets it and as it is on disk."""
    found: list[str] = []
    known: dict[str, Record] = {}
    with opened(file) as connection:
        for state in states:
            instance_id = state.instance_id
            seen = (await hub.insist(lambda i=instance_id: hub.sdk.get_orchestration_history(i)))[0]
            found += history_faults(instance_id, status(state), seen)
            known |= records(instance_id, seen)
            if seen != stored_history(connection, instance_id):
                found.append(f"{instance_id}: the client is told another history than is stored")
    return found, known


def stored_history(connection: sqlite3.Connection, instance_id: str) -> list[history.HistoryEvent]:
    """A history as it is on disk, in the client's words."""
    return [
        history._from_protobuf(event)
        for turn in stored.read_turns(connection, instance_id)
        for event in turn
    ]


def stored_faults(file: Path) -> list[str]:
    """Audit a hub's file by itself: every history in it, and the tables around them."""
    found = [*file_faults(file), *outstanding(file)]
    with opened(file) as connection:
        rows = connection.execute("SELECT instance_id, status FROM instances").fetchall()
        for instance_id, ended in rows:
            if ended not in ENDS:
                continue
            try:
                events = stored_history(connection, instance_id)
            except DamagedRow as damage:
                found.append(str(damage))
            else:
                found += history_faults(instance_id, ended, events)
    return found
