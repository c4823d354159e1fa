"""Sets up logging once per process: records on stderr, third parties only when loud.

A record begins a line and nothing else does: an app may log whatever it was sent, and that must
not look like a record of its own, nor steer the terminal.
"""

import logging
import re
import sys
from collections.abc import Mapping

from local_runtime.log_repeats import Repeats

LOG_LEVEL = "LOCAL_RUNTIME_LOG_LEVEL"
"""Names the level for this process and those it starts: DEBUG, INFO (the default), WARNING ..."""

INVOCATION = "invocation"
"""The attribute of a record that says, as text, which invocation of a function it belongs to."""

_LOUD = (
    "asyncio",
    "azure",
    "durabletask",
    "filelock",
    "grpc",
    "httpcore",
    "httpx",
    "httpx2",
    "msal",
    "openai",
    "urllib3",
    "watchfiles",
)
_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"
_CONTINUATION = "    "
_COLOURS = {logging.DEBUG: "2", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "31"}
# All control characters, and those that turn the direction of the text round; but tab and newline.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def set_up_logging(environ: Mapping[str, str]) -> None:
    """Write records of the level that `environ` names, and above, to stderr.

    They are coloured if that is a terminal and NO_COLOR is not set.
    """
    named = logging.getLevelNamesMapping().get(environ.get(LOG_LEVEL, "").upper())
    level = logging.INFO if named is None else named
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_news)
    handler.addFilter(Repeats(("local_runtime", "uvicorn", *_LOUD)))
    coloured = sys.stderr.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    handler.setFormatter(RecordFormatter(coloured=coloured))
    # The root logger takes part: the functions of an app log through it.
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _LOUD:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    # uvicorn logs a traceback of its own for what the parts already report.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def _is_news(record: logging.LogRecord) -> bool:
    # azure-functions says so of every app without an HTTP function of its own, whatever it does.
    return not (record.name == "root" and str(record.msg).startswith("Auth level is not applied"))


class RecordFormatter(logging.Formatter):
    r"""Time, level, short name, invocation and text; only the record's first line is not indented.

    Control characters come out as Python would write them: `\x1b`.
    """

    def __init__(self, *, coloured: bool = False) -> None:
        super().__init__(_FORMAT, datefmt="%H:%M:%S")
        self._coloured = coloured

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the record's text with what stands before it."""
        # The package's name, which every record of ours would repeat, is left out.
        record.name = record.name.removeprefix("local_runtime.")
        invocation = getattr(record, INVOCATION, None)
        if invocation is not None:
            record.message = f"[{invocation}] {record.message}"
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text, a traceback included."""
        text = super().format(record).replace("\r\n", "\n").rstrip("\n")
        safe = _UNSAFE.sub(_escaped, text).replace("\n", f"\n{_CONTINUATION}")
        colour = _COLOURS.get(record.levelno) if self._coloured else None
        return safe if colour is None else f"\x1b[{colour}m{safe}\x1b[0m"


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
