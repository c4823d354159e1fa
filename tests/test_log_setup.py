"""How records look: one line each, with colours on a terminal only."""

import logging
import os
import pty
import subprocess
import sys

import pytest

from local_runtime.log_setup import RecordFormatter

SCRIPT = """
import logging, os
from local_runtime.log_setup import set_up_logging
set_up_logging(os.environ)
logging.getLogger("local_runtime.host").warning("mind the gap")
"""


def formatted(text: str, *arguments: object, **more: object) -> str:
    record = logging.LogRecord("local_runtime.host", logging.INFO, "", 1, text, arguments, None)
    record.__dict__.update(more)
    return RecordFormatter().format(record)


def test_record_begins_a_line_and_nothing_else_does():
    assert formatted("a %s", "b\nc\r\nd\n").partition(" ")[2] == "INFO    host: a b\n    c\n    d"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("bell\x07 null\x00 back\x08 delete\x7f", "bell\\x07 null\\x00 back\\x08 delete\\x7f"),
        ("over\rwritten", "over\\rwritten"),
        ("next\x85line\u2028\u2029", "next\\x85line\\u2028\\u2029"),
        ("turned \u202e round \u2066", "turned \\u202e round \\u2066"),
        ("tab\tand grüße 你好 🎉", "tab\tand grüße 你好 🎉"),
    ],
)
def test_control_characters_are_escaped_and_all_other_text_stays(text, shown):
    assert formatted(text).endswith(f"host: {shown}")


def test_invocation_stands_before_the_text():
    assert formatted("hello", invocation="greet one 1").endswith("host: [greet one 1] hello")


def output_on_a_terminal(**environ: str) -> str:
    reading, writing = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    command = [sys.executable, "-c", SCRIPT]
    subprocess.run(command, stderr=writing, check=True, env={**kept, **environ})
    os.close(writing)
    text = os.read(reading, 10_000).decode()
    os.close(reading)
    return text


def test_warning_is_coloured_on_a_terminal():
    assert output_on_a_terminal(TERM="xterm").startswith("\x1b[33m")


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_person_can_have_a_terminal_without_colours(environ):
    assert "\x1b" not in output_on_a_terminal(**environ)


def test_output_that_is_not_a_terminal_has_no_colours():
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stderr.endswith("WARNING host: mind the gap\n")
    assert "\x1b" not in done.stderr
