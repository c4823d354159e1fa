"""Sets up logging once per process: one line per record on stderr, third parties only when loud."""

import logging
import sys
from collections.abc import Mapping

LOG_LEVEL = "LOCAL_RUNTIME_LOG_LEVEL"
"""Names the level for this process and those it starts: DEBUG, INFO (the default), WARNING ..."""

_LOUD = (
    "asyncio",
    "azure",
    "durabletask",
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


def set_up_logging(environ: Mapping[str, str]) -> None:
    """Write records of the level that `environ` names, and above, to stderr."""
    named = logging.getLevelNamesMapping().get(environ.get(LOG_LEVEL, "").upper())
    level = logging.INFO if named is None else named
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_news)
    handler.setFormatter(_ShortNames(_FORMAT, datefmt="%H:%M:%S"))
    # The root logger takes part: the functions of an app log through it.
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _LOUD:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    # uvicorn logs a traceback of its own for what the parts already report.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def _is_news(record: logging.LogRecord) -> bool:
    # azure-functions says so of every app without an HTTP function of its own, whatever it does.
    return not (record.name == "root" and str(record.msg).startswith("Auth level is not applied"))


class _ShortNames(logging.Formatter):
    """Leaves out the package's name, which every record of ours would repeat."""

    def format(self, record: logging.LogRecord) -> str:
        record.name = record.name.removeprefix("local_runtime.")
        return super().format(record)
