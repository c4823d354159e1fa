"""The tables of a task hub, and how an older file becomes the present one.

History is kept as one row per turn. Its blob is a serialized OrchestratorRequest that holds only
pastEvents: protobuf messages are merged by joining their bytes, so a work item with a history of
thousands of events is put together without reading one of them.
"""

SCHEMA_VERSION = 4

APPLICATION_ID = 0x42544F4E
"""What says, in the header of a file, that it is a task hub's."""

MIGRATIONS: dict[int, str] = {
    1: """
CREATE TABLE instances (
    instance_id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT,
    status TEXT NOT NULL CHECK (status IN
        ('PENDING', 'RUNNING', 'SUSPENDED', 'COMPLETED', 'FAILED', 'TERMINATED')),
    suspended INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
    started BLOB NOT NULL,          -- ExecutionStartedEvent without its input
    input TEXT,
    output TEXT,
    custom_status TEXT,
    failure BLOB,                   -- TaskFailureDetails
    trace BLOB,                     -- OrchestrationTraceContext of the last turn
    created_at INTEGER NOT NULL,    -- all times: microseconds since 1970, UTC
    updated_at INTEGER NOT NULL,
    completed_at INTEGER,
    scheduled_at INTEGER,
    parent_id TEXT,
    history_length INTEGER NOT NULL DEFAULT 0 CHECK (history_length >= 0),
    CHECK ((status IN ('COMPLETED', 'FAILED', 'TERMINATED')) = (completed_at IS NOT NULL)),
    CHECK (failure IS NULL OR status = 'FAILED'),
    CHECK (status != 'SUSPENDED' OR suspended = 1)
) STRICT;
CREATE INDEX instances_by_creation ON instances (created_at DESC, instance_id);
CREATE INDEX instances_by_parent ON instances (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE history (
    instance_id TEXT NOT NULL,
    first_event INTEGER NOT NULL CHECK (first_event >= 0),
    event_count INTEGER NOT NULL CHECK (event_count > 0),
    events BLOB NOT NULL,           -- OrchestratorRequest that holds only pastEvents
    PRIMARY KEY (instance_id, first_event)
) STRICT;

CREATE TABLE inbox (
    position INTEGER PRIMARY KEY,
    target_id TEXT NOT NULL,        -- an instance or an entity
    event BLOB NOT NULL             -- HistoryEvent
) STRICT;
CREATE INDEX inbox_by_target ON inbox (target_id, position);

CREATE TABLE tasks (
    task_key INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    task_id INTEGER NOT NULL,
    request BLOB NOT NULL           -- ActivityRequest
) STRICT;
CREATE INDEX tasks_by_instance ON tasks (instance_id);

CREATE TABLE delayed (
    delayed_key INTEGER PRIMARY KEY,
    due_at INTEGER NOT NULL,
    target_id TEXT NOT NULL,
    execution_id TEXT,              -- set where only this generation may receive it
    event BLOB NOT NULL
) STRICT;
CREATE INDEX delayed_by_time ON delayed (due_at);
CREATE INDEX delayed_by_target ON delayed (target_id);

CREATE TABLE entities (
    entity_id TEXT PRIMARY KEY,
    state TEXT,
    holder_id TEXT,
    critical_section_id TEXT,
    modified_at INTEGER NOT NULL,
    CHECK ((holder_id IS NULL) = (critical_section_id IS NULL)),
    CHECK (state IS NOT NULL OR holder_id IS NOT NULL)
) STRICT;
CREATE INDEX entities_by_holder ON entities (holder_id) WHERE holder_id IS NOT NULL;

-- Critical sections that still want their locks: a request whose section is gone gets none.
CREATE TABLE critical_sections (
    critical_section_id TEXT PRIMARY KEY,
    instance_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX critical_sections_by_instance ON critical_sections (instance_id);
""",
    2: """
CREATE INDEX instances_by_completion ON instances (completed_at, instance_id)
    WHERE completed_at IS NOT NULL;
""",
    3: """
-- Keys of rows are never used twice, also over restarts: completion tokens hold them.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counters (name, value) SELECT 'next_key', 1 + max(
    coalesce((SELECT max(position) FROM inbox), 0),
    coalesce((SELECT max(task_key) FROM tasks), 0),
    coalesce((SELECT max(delayed_key) FROM delayed), 0));
""",
    # The files of older versions get theirs from what is in them, see database.
    4: f"""
PRAGMA application_id = {APPLICATION_ID};
ALTER TABLE instances ADD COLUMN checksum INTEGER;
ALTER TABLE instances ADD COLUMN progress_checksum INTEGER;
ALTER TABLE instances ADD COLUMN input_checksum INTEGER;
ALTER TABLE instances ADD COLUMN output_checksum INTEGER;
ALTER TABLE history ADD COLUMN checksum INTEGER;
ALTER TABLE inbox ADD COLUMN checksum INTEGER;
ALTER TABLE tasks ADD COLUMN checksum INTEGER;
ALTER TABLE delayed ADD COLUMN checksum INTEGER;
ALTER TABLE entities ADD COLUMN checksum INTEGER;
ALTER TABLE critical_sections ADD COLUMN checksum INTEGER;
""",
}
