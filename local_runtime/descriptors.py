"""How many files and connections a process may have open, and what it says when they run out."""

import asyncio
import errno
import logging
import os
import resource
import time

from local_runtime.errors import StartupError

logger = logging.getLogger("local_runtime")

LEAST = 48
"""Fewer than this are not enough for any part: the Functions host has about 30 at rest."""

OUT = (errno.EMFILE, errno.ENFILE)
"""The errors that mean: no more open files, for this process or for the whole machine."""

HOW_TO_RAISE = (
    "Close what is not needed, or allow more: `ulimit -n 4096` in the shell that starts it "
    "(LimitNOFILE for systemd)."
)


_LOOK_SECONDS = 1.0
_TELL_SECONDS = 60.0
_told_at: float | None = None


def raise_limit() -> None:
    """Allow this process, and those that it starts, as many open files as the system lets it.

    Raises:
        StartupError: They are too few to work at all.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (ValueError, OSError) as error:
            # macOS has a limit of its own below the one it tells.
            logger.debug("the limit of open files stays at %d: %s", soft, error)
    if soft != resource.RLIM_INFINITY and soft < LEAST:
        raise StartupError(
            f"a process may have only {soft} files and connections open, and needs at least "
            f"{LEAST}. Allow more: `ulimit -n 4096` in the shell that starts it."
        )


def are_used_up() -> bool:
    """Whether no more files can be opened at the moment."""
    return _attempt() is not None


def tell(error: OSError) -> None:
    """Log that this process has run out of open files; once in a while, whoever notices it."""
    global _told_at
    now = time.monotonic()
    if _told_at is None or now - _told_at >= _TELL_SECONDS:
        _told_at = now
        logger.error(
            "no more connections can be accepted, nor files opened (%s): new connections wait "
            "until others are closed. %s",
            error.strerror,
            HOW_TO_RAISE,
        )


async def watch() -> None:
    """Tell when this process has run out of open files, for ever; gRPC, for one, does not."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        error = _attempt()
        if error is not None:
            tell(error)


def _attempt() -> OSError | None:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error if error.errno in OUT else None
    return None
