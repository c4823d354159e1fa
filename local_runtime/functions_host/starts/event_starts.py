"""Decides what a start means that a function makes for an event which may be delivered again.

A message comes again when the host dies between the start of an orchestration and the deletion of
the message. The second start must then be none: it has to be recognised, and to be answered with
the instance that there is already.
"""

import hashlib
import re
from collections import Counter

from durabletask.internal import orchestrator_service_pb2 as pb

TAG = "local-runtime-event"

# What the SDK makes where the app gave no id: a random UUID, version 4, without dashes.
_RANDOM_ID = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}")


class EventStarts:
    """The starts of one invocation, which is for one event.

    Args:
        event: What names the event, and the function that is invoked for it.
    """

    def __init__(self, event: str) -> None:
        self._event = _digest(event)
        self._made: Counter[str] = Counter()

    def prepare(self, request: pb.CreateInstanceRequest) -> None:
        """Mark a start as one for the event, and give it an id that comes again with the event.

        An id of the app's is left alone. Any other follows from what is started: the name and the
        input, and which of several equal starts it is. So starts may come in another order the
        next time, and none is taken for another.
        """
        if _RANDOM_ID.fullmatch(request.instanceId):
            what = _digest(self._event, request.name, request.version.value, request.input.value)
            self._made[what] += 1
            request.instanceId = _digest(what, str(self._made[what]))
        request.tags[TAG] = self._event

    def is_ours(self, state: pb.OrchestrationState) -> bool:
        """Return whether an instance was started for the same event, by an earlier delivery."""
        return state.tags.get(TAG) == self._event


def _digest(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        # With its length, so that what is one part cannot look like another.
        digest.update(f"{len(content)}:".encode() + content)
    return digest.hexdigest()[:32]
