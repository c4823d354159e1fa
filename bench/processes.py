"""Processes that are measured: starting them, and what the system says of them."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


async def spawn(*module: str) -> asyncio.subprocess.Process:
    """Start a module in a process of its own, silently."""
    return await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", *module],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, "LOCAL_RUNTIME_LOG_LEVEL": "WARNING"},
    )


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill a process, if it is there, and wait for its end."""
    if process.returncode is None:
        process.kill()
    await process.wait()


def cpu_seconds(pid: int) -> float | None:
    """User and system time a process and its children have taken; None where there is no /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(child) or 0 for child in children(pid))


def children(pid: int) -> list[int]:
    """The processes that a process has started, in their order; none where there is no /proc."""
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def proportional_mib(pid: int) -> float | None:
    """Memory of a process, with its share of what it shares (PSS); None where there is no /proc."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return None


def resident_mib(pid: int) -> float | None:
    """Memory of a process that is in RAM (VmRSS); None where there is no /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return None
