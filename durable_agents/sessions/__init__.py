"""Sessions: conversations of an agent that last over many runs.

`words` are what is said to a session, `operations` what each does to its `state`, `document` how
that is stored, `history` what readers get of it, and `entity` the durable entity that keeps it.
"""

from durable_agents.sessions.document import from_document, to_document
from durable_agents.sessions.entity import (
    entity_name,
    session_entity,
    session_entity_id,
    session_id_problem,
)
from durable_agents.sessions.history import conversation, exported, to_summarise
from durable_agents.sessions.state import SessionState
from durable_agents.sessions.words import (
    Begin,
    Clearance,
    Closing,
    Compact,
    Compacted,
    Done,
    Finish,
    Grant,
    Leave,
    Place,
    SessionPolicy,
    Touch,
)

__all__ = [
    "Begin",
    "Clearance",
    "Closing",
    "Compact",
    "Compacted",
    "Done",
    "Finish",
    "Grant",
    "Leave",
    "Place",
    "SessionPolicy",
    "SessionState",
    "Touch",
    "conversation",
    "entity_name",
    "exported",
    "from_document",
    "session_entity",
    "session_entity_id",
    "session_id_problem",
    "to_document",
    "to_summarise",
]
