"""The README as the tests read it: its sections, the commands in them and what those print."""

import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from tests.service import PATIENCE, ROOT, Service

TEXT = (ROOT / "README.md").read_text()

_ADDRESSES = {
    "http://localhost:7071": "Functions",
    "http://127.0.0.1:8080": "Scheduler",
    "http://localhost:8082": "Dashboard",
}


def section(title: str) -> str:
    """The part of the README under a heading of the second rank."""
    [found] = [part for part in TEXT.split("\n## ") if part.startswith(f"{title}\n")]
    return found


def blocks(part: str) -> list[tuple[str, str]]:
    """The fenced blocks of a section, in order: language and text."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)


def sessions(part: str) -> Iterator[tuple[list[str], list[str]]]:
    """Each block of curl commands, and what the block behind it shows of their answers."""
    found = blocks(part)
    for (language, commands), (_, printed) in pairwise(found):
        if language == "sh" and commands.startswith("curl"):
            yield re.split(r"(?<!\\)\n", commands.strip()), answers(printed.strip())


def answers(printed: str) -> list[str]:
    """Divide a block into answers: each begins with its status line, or is a body on one line."""
    found: list[str] = []
    for line in printed.splitlines():
        begins = line.startswith(("HTTP/", "{", "["))
        if begins and not (found and found[-1].startswith("HTTP/") and line[0] in "{["):
            found.append(line)
        else:
            found[-1] += f"\n{line}"
    return found


def shows(pattern: str, text: str) -> bool:
    """Whether `pattern` shows `text`, with `...` in the place of what it leaves out."""
    wanted = ".*?".join(map(re.escape, pattern.split("...")))
    return re.fullmatch(wanted, text.strip(), re.DOTALL) is not None


def as_here(text: str, service: Service) -> str:
    """The text with the ports of a service in the place of those it names."""
    for named, title in _ADDRESSES.items():
        text = text.replace(named, service.url(title))
    return text


def play(part: str, folder: Path, service: Service) -> None:
    """Run the curl commands of a section word for word, but for the ports."""
    for commands, expected in sessions(part):
        left = [as_here(answer, service) for answer in expected]
        for command in commands:
            answer = _answer(as_here(command, service), folder, left[0] if left else "")
            if answer:
                assert shows(left.pop(0), answer), f"{command}\n{answer}"
        assert not left, f"{commands} did not print {left}"


def _answer(command: str, folder: Path, expected: str) -> str:
    """What a command prints; a command that only looks is repeated, as the README says to poll."""
    deadline = time.monotonic() + PATIENCE
    looks = not {"-X", "-d"} & set(shlex.split(command))
    while True:
        ended = subprocess.run(
            ["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True
        )
        answer = ended.stdout.replace("\r", "")
        if not looks or shows(expected, answer) or time.monotonic() > deadline:
            return answer
