"""Reads a task hub's file and names whatever in it cannot be: what no client may bring about."""

import sqlite3
from pathlib import Path

from durabletask.internal import orchestrator_service_pb2 as pb

TERMINAL = ("COMPLETED", "FAILED", "TERMINATED")
LATEST = 253_402_300_800_000_000  # the end of the year 9999, in microseconds
ENTITY_EVENTS = {
    "entityOperationSignaled",
    "entityOperationCalled",
    "entityLockRequested",
    "entityUnlockSent",
}

# Each finds rows that cannot be. A finished instance has nothing outstanding; what waits, waits
# for somebody; and a lock has a holder that is still there.
_IMPOSSIBLE = {
    "inbox of nobody": "SELECT target_id FROM inbox WHERE target_id NOT LIKE '@%' AND target_id"
    " NOT IN (SELECT instance_id FROM instances WHERE completed_at IS NULL)",
    "timer of nobody": "SELECT target_id FROM delayed WHERE target_id NOT LIKE '@%' AND target_id"
    " NOT IN (SELECT instance_id FROM instances WHERE completed_at IS NULL)",
    "task of nobody": "SELECT instance_id FROM tasks WHERE instance_id"
    " NOT IN (SELECT instance_id FROM instances WHERE completed_at IS NULL)",
    "history of nobody": "SELECT instance_id FROM history WHERE instance_id"
    " NOT IN (SELECT instance_id FROM instances)",
    "lock of nobody": "SELECT entity_id FROM entities WHERE holder_id IS NOT NULL AND holder_id"
    " NOT IN (SELECT instance_id FROM instances WHERE completed_at IS NULL)",
    "critical section of nobody": "SELECT instance_id FROM critical_sections WHERE instance_id"
    " NOT IN (SELECT instance_id FROM instances WHERE completed_at IS NULL)",
    "instance with an entity's id": "SELECT instance_id FROM instances WHERE instance_id LIKE '@%'",
    "id with control characters": "SELECT instance_id FROM instances"
    " WHERE instr(instance_id, char(10)) OR instr(instance_id, char(0))",
    "entity id in another spelling": "SELECT target_id FROM inbox WHERE target_id LIKE '@%'"
    " AND target_id NOT LIKE '@_%@%'",
    "time out of range": f"SELECT delayed_key FROM delayed WHERE due_at NOT BETWEEN 0 AND {LATEST}",
}


def faults(path: Path) -> list[str]:
    """Return every fault found in a hub's file; none for a sound one."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None:
            return []  # its maker died before there was anything in it
        found = rows_that_cannot_be(connection)
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        return [*found, verdict] if verdict != "ok" else found
    finally:
        connection.close()


def rows_that_cannot_be(connection: sqlite3.Connection) -> list[str]:
    """Return every fault found in the rows of a hub."""
    found = [
        f"{what}: {row[0]!r:.80}"
        for what, query in _IMPOSSIBLE.items()
        for row in connection.execute(query)
    ]
    found += _inbox_faults(connection)
    for instance_id, status, length in connection.execute(
        "SELECT instance_id, status, history_length FROM instances"
    ).fetchall():
        found += _history_faults(connection, instance_id, status, length)
    return found


def _inbox_faults(connection: sqlite3.Connection) -> list[str]:
    found: list[str] = []
    for target_id, data in connection.execute("SELECT target_id, event FROM inbox"):
        kind = pb.HistoryEvent.FromString(data).WhichOneof("eventType")
        if kind is None or target_id.startswith("@") != (kind in ENTITY_EVENTS):
            found.append(f"{target_id!r:.80} is to be told {kind}")
    return found


def _history_faults(
    connection: sqlite3.Connection, instance_id: str, status: str, length: int
) -> list[str]:
    found: list[str] = []
    events: list[pb.HistoryEvent] = []
    for first, count, data in connection.execute(
        "SELECT first_event, event_count, events FROM history WHERE instance_id = ?"
        " ORDER BY first_event",
        (instance_id,),
    ):
        turn = pb.OrchestratorRequest.FromString(data).pastEvents
        if first != len(events) or count != len(turn):
            found.append(f"{instance_id}: a gap in the history before {first}")
        events += turn
    if len(events) != length:
        found.append(f"{instance_id}: {len(events)} events, and {length} are counted")
    again = max((n for n, e in enumerate(events) if e.HasField("executionRewound")), default=0)
    ends = [n for n, e in enumerate(events) if e.HasField("executionCompleted") and n > again]
    if status in TERMINAL and ends != [len(events) - 1]:
        found.append(f"{instance_id}: {status}, and its history ends at {ends}")
    if status not in TERMINAL and ends and not _is_to_be_rewound(connection, instance_id):
        found.append(f"{instance_id}: {status}, and its history has ended")
    return found


def _is_to_be_rewound(connection: sqlite3.Connection, instance_id: str) -> bool:
    """Whether an instance waits for a worker that cleans its history of the end."""
    inbox = connection.execute("SELECT event FROM inbox WHERE target_id = ?", (instance_id,))
    return any(pb.HistoryEvent.FromString(data).HasField("executionRewound") for (data,) in inbox)
