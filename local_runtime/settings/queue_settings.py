"""The settings of host.json for queue triggers, `extensions.queues`."""

from dataclasses import dataclass

from local_runtime.settings.section import Section

BASE64, PLAIN = "base64", "none"


@dataclass(frozen=True)
class QueueSettings:
    """How queue triggers take messages; the blob triggers' inner queue is read the same way."""

    batch_size: int = 16
    """How many messages are fetched at once: 1 to 32."""
    new_batch_threshold: int = 8
    """The next batch is fetched once this many functions, or fewer, are still running."""
    visibility_seconds: float = 0.0
    """How long a message whose function failed stays hidden before the next try."""
    max_dequeue_count: int = 5
    """How often a message is tried before it goes to the poison queue."""
    longest_pause_seconds: float = 2.0
    """The longest pause between two looks at an empty queue. As `func start`, 2 s, not a minute."""
    base64: bool = True
    """Whether the texts of messages are base64, as the Functions host writes and expects them."""

    @classmethod
    def read(cls, section: Section) -> "QueueSettings":
        """Read the section.

        Raises:
            StartupError: A setting is of the wrong kind; the message names it.
        """
        usual = cls()
        batch_size = section.number("batchsize", most=32) or usual.batch_size
        threshold = section.number("newbatchthreshold", least=0)
        visibility = section.seconds("visibilitytimeout")
        pause = section.seconds("maxpollinginterval")
        return cls(
            batch_size=batch_size,
            new_batch_threshold=batch_size // 2 if threshold is None else threshold,
            visibility_seconds=usual.visibility_seconds if visibility is None else visibility,
            max_dequeue_count=section.number("maxdequeuecount") or usual.max_dequeue_count,
            longest_pause_seconds=usual.longest_pause_seconds if pause is None else max(pause, 0.1),
            base64=section.choice("messageencoding", (BASE64, PLAIN)) == BASE64,
        )
