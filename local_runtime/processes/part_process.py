"""One part of the runtime in a process of its own, as seen from inside: the child's side.

A part that the supervisor started finds two pipes in the place of stdin and stdout. Into the one it
writes a line of JSON, once it is ready or has failed to start, another when it has made way for its
successor, and another when it ends and must not be started again. Out of the other come the words
`begin` and `make way`; its end means that the parent is gone, killed perhaps, and the part ends
too.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from types import FrameType

from local_runtime import descriptors
from local_runtime.errors import CannotGoOn, ProcessSpent, StartupError

SUPERVISED = "LOCAL_RUNTIME_SUPERVISED"
"""Set for a process whose stdin and stdout are the supervisor's pipes."""

SPENT_STATUS = 75
"""The exit status of a process that asks to be replaced."""
BEGIN, MAKE_WAY = b"begin\n", b"make way\n"
"""What the supervisor tells a part."""

type Facts = Mapping[str, object]
type Ready = Callable[[Facts], None]
type Serve = Callable[["PartControl"], Awaitable[None]]

_STOP_SECONDS = 12.0
_ORPHAN_SECONDS = 5.0

logger = logging.getLogger("local_runtime")


@dataclass(frozen=True)
class PartControl:
    """What a part hears from its supervisor, and tells it. Most parts need but the first two."""

    ready: Ready
    """To be called once, when the part is ready."""
    stop: asyncio.Event
    """Ends the part."""
    begin: asyncio.Event
    """Set once a part that is ready may do what only one of its kind may do at a time."""
    make_way: asyncio.Event
    """Set when the part is to leave off that, for its successor, though it is not to end yet."""
    made_way: Callable[[], None]
    """To be called when it has."""


def run_part(
    serve: Serve,
    announce: Ready,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run a part until it is told to stop, and end the process with status 0.

    Args:
        serve: Runs the part until the event `stop` of what it gets.
        announce: Tells a person that the part is ready, when no supervisor waits for it.
        loop_factory: Makes the event loop, where it is not to be the usual one.

    Raises:
        StartupError: The part cannot start or go on, and no supervisor is there to say so.
    """
    parent = _Parent.adopt(os.environ)
    try:
        asyncio.run(_serve(serve, announce, parent), loop_factory=loop_factory)
    except StartupError as error:
        if parent is None:
            raise
        parent.report({"final" if isinstance(error, CannotGoOn) else "error": str(error)})
        _leave(1)
    except ProcessSpent:
        _leave(SPENT_STATUS)
    except Exception:
        logger.exception("stopped by an unexpected error")
        _leave(1)
    _leave(0)


async def _serve(serve: Serve, announce: Ready, parent: "_Parent | None") -> None:
    stop, begin, make_way = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(seconds: float) -> None:
        # First the limit: the loop may be held up by the app's code and never come to stop.
        _leave_after(seconds)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is at its end
            loop.call_soon_threadsafe(stop.set)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            _leave(1)  # a second Ctrl-C: the person does not want to wait
        end(_STOP_SECONDS)

    for number in (signal.SIGINT, signal.SIGTERM):
        # The loop's own handler would not run while the app's code holds the loop up. What is kept
        # of it is that a signal wakes the loop: one that comes to another thread, or just before
        # the loop begins to wait, would otherwise be noticed by nobody.
        loop.add_signal_handler(number, _woken)
        signal.signal(number, on_signal)
    watching = asyncio.create_task(descriptors.watch(), name="watch the open files")
    if parent is None:
        begin.set()
        await serve(PartControl(announce, stop, begin, make_way, made_way=_nobody_listens))
    else:
        words = {BEGIN: begin, MAKE_WAY: make_way}

        def on_word(word: bytes) -> None:
            # A parent that is killed as it writes leaves half a word.
            if word in words:
                loop.call_soon_threadsafe(words[word].set)

        parent.watch(on_word, lambda: end(_ORPHAN_SECONDS))
        await serve(PartControl(parent.ready, stop, begin, make_way, parent.made_way))
    watching.cancel()
    if not stop.is_set():
        raise RuntimeError("the part ended without having been told to")
    # From inside the loop: closing it would wait for threads that run the app's code.
    _leave(0)


def _woken() -> None:
    """The loop has been woken, which is all: the signal has its own handler."""


def _nobody_listens() -> None:
    """The part was started by a person, and has no successor."""


class _Parent:
    """The two pipes to the supervisor."""

    def __init__(self, reports: int, lifeline: int) -> None:
        self._reports = reports
        self._lifeline = lifeline

    @classmethod
    def adopt(cls, environ: MutableMapping[str, str]) -> "_Parent | None":
        """Take the pipes over, so that the app's code meets a usual stdin and stdout."""
        if environ.pop(SUPERVISED, None) is None:
            return None
        lifeline, reports = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        # What the app prints is seen at once, and in its order among the log lines.
        sys.stdout = open(1, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)  # noqa: SIM115
        return cls(reports, lifeline)

    def ready(self, facts: Facts) -> None:
        """Tell the supervisor that this part is ready."""
        self.report({"ready": dict(facts)})

    def made_way(self) -> None:
        """Tell the supervisor that the successor of this part may begin."""
        self.report({"made_way": True})

    def report(self, message: Facts) -> None:
        """Tell the supervisor something."""
        try:
            os.write(self._reports, json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            logger.debug("the parent went away before it heard of this part")

    def watch(self, on_word: Callable[[bytes], object], on_gone: Callable[[], None]) -> None:
        """Call `on_word` for what the parent says, and `on_gone` once it is gone.

        Both are called from another thread.
        """

        def listen() -> None:
            # Whatever happens: a part that does not hear its parent any more must not stay behind.
            try:
                with os.fdopen(self._lifeline, "rb") as lifeline:
                    for word in lifeline:
                        with contextlib.suppress(RuntimeError):  # the loop is closed already
                            on_word(word)
                logger.debug("the parent is gone")
            finally:
                on_gone()

        threading.Thread(target=listen, name="lifeline", daemon=True).start()


def _leave_after(seconds: float) -> None:
    def cut_short() -> None:
        logger.warning("not stopped within %g s; ended without waiting any longer", seconds)
        _leave(1)

    timer = threading.Timer(seconds, cut_short)
    timer.daemon = True
    timer.start()


def _leave(status: int) -> None:
    # Not sys.exit: at its end Python waits for every thread, and one that runs a function of the
    # app cannot be stopped. What it worked on is given to another worker.
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(status)
