"""What runs now: by this a scripted model knows who asks, and its host that it was asked."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol


class Verified(Protocol):
    """Something that can be asked at the end of a test whether all went as expected."""

    def verify(self) -> None:
        """Fail the test if it did not."""
        ...


@dataclass
class Asker:
    """The activity that runs, and the scripted models that were asked by its host's activities.

    Attributes:
        name: The activity: for a model's, the name of its agent.
        models: The models.
    """

    name: str
    models: list[Verified] = field(default_factory=list[Verified])


current_asker: ContextVar[Asker | None] = ContextVar("current_asker", default=None)
