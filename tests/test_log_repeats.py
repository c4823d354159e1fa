"""A warning that comes again and again is logged so often, and then counted."""

import logging

import pytest

from local_runtime.log_repeats import MOST, SPAN_SECONDS, Repeats


class Log:
    """What comes through, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.logger = logging.getLogger("asyncio.tests.repeats")
        self.logger.propagate = False
        self.logger.setLevel(logging.DEBUG)
        handler = logging.Handler()
        handler.emit = lambda record: self.lines.append(record.getMessage())
        handler.addFilter(Repeats(("asyncio",), lambda: self.now))
        self.logger.handlers = [handler]


@pytest.fixture
def log() -> Log:
    return Log()


def test_the_same_text_is_logged_so_often_and_then_counted(log: Log) -> None:
    for _ in range(MOST + 30):
        log.logger.error("full of %s", "it")
    assert log.lines == ["full of it"] * MOST
    log.now = SPAN_SECONDS
    log.logger.info("another")
    assert log.lines[MOST:] == ["30 more of this were left out in a minute: full of it", "another"]


def test_after_its_time_it_is_logged_again(log: Log) -> None:
    for _ in range(MOST + 1):
        log.logger.error("full")
    log.now = SPAN_SECONDS
    log.logger.error("full")
    assert log.lines[-1] == "full"


def test_tracebacks_that_differ_in_numbers_are_the_same(log: Log) -> None:
    for number in range(MOST + 30):
        try:
            raise OSError(24, "Too many open files")
        except OSError:
            log.logger.exception("socket %d", number)
    assert len(log.lines) == MOST


def test_texts_that_differ_are_all_logged(log: Log) -> None:
    for number in range(MOST + 30):
        log.logger.warning("instance %d", number)
    assert len(log.lines) == MOST + 30


def test_what_is_no_warning_is_all_logged(log: Log) -> None:
    for _ in range(MOST + 30):
        log.logger.info("a step")
    assert len(log.lines) == MOST + 30


def test_what_an_app_logs_is_all_logged(log: Log) -> None:
    log.logger.name = "my.app"
    for _ in range(MOST + 30):
        log.logger.error("broken")
    assert len(log.lines) == MOST + 30
