"""One child process, as seen by the supervisor: started, heard from once, stopped."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from local_runtime.processes.part_process import BEGIN, MAKE_WAY, SPENT_STATUS, SUPERVISED

_PROGRAM = str(Path(__file__).parents[1] / "__main__.py")
_MAX_REPORT_BYTES = 16 * 1024 * 1024
_LAST_WORDS_SECONDS = 1.0


class ChildProcess:
    """A part of the runtime in a process of its own; `part_process` is the other end."""

    def __init__(
        self, process: asyncio.subprocess.Process, lifeline: int, reports: asyncio.StreamReader
    ) -> None:
        self._process = process
        self._lifeline = lifeline
        self._reports = reports

    @classmethod
    async def spawn(
        cls,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        descriptors: Sequence[int] = (),
    ) -> "ChildProcess":
        """Start the command line with these arguments, in this environment.

        `descriptors` are open files that the child is to have under the same numbers.
        """
        # Plain pipes and not asyncio's: with those, waiting for the process would go on for as
        # long as a process that the app itself has started holds their other end.
        lifeline_end, lifeline = os.pipe()
        try:
            reports_end, reports = os.pipe()
        except BaseException:
            os.close(lifeline_end)
            os.close(lifeline)
            raise
        try:
            reader = await _reader(reports_end)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # the working directory may hold another app, whose packages must not win
                _PROGRAM,
                *arguments,
                stdin=lifeline_end,
                stdout=reports,
                env={**environment, SUPERVISED: "1"},
                # Ctrl-C in a terminal reaches every process of its group; the parts are to be
                # stopped in their order, by the supervisor.
                start_new_session=True,
                pass_fds=descriptors,
            )
        except BaseException:
            os.close(lifeline)
            raise
        finally:
            os.close(lifeline_end)
            os.close(reports)
        return cls(process, lifeline, reader)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def report(self) -> Mapping[str, Any] | None:
        """Wait for the child's next report; None when it died without one."""
        line = await self._reports.readline()
        # A line without an end is of a child that was killed while it wrote.
        return cast("Mapping[str, Any]", json.loads(line)) if line.endswith(b"\n") else None

    async def last_words(self) -> str | None:
        """Return why a child that has ended cannot be started again; None if it can."""
        try:
            # A process that the child has left behind may hold the pipe open.
            report = await asyncio.wait_for(self.report(), _LAST_WORDS_SECONDS)
        except TimeoutError:
            return None
        return None if report is None or "final" not in report else str(report["final"])

    def begin(self) -> None:
        """Let a child that is ready do what only one of its kind may do at a time."""
        self._tell(BEGIN)

    async def make_way(self) -> None:
        """Have the child leave that off, and wait until it has, or has died."""
        self._tell(MAKE_WAY)
        await self.report()

    @property
    def is_spent(self) -> bool:
        """Whether the process has ended because it wants to be replaced."""
        return self._process.returncode == SPENT_STATUS

    async def ended(self) -> str:
        """Wait for the end of the process, and return how it ended in words."""
        status = await self._process.wait()
        self._cut_lifeline()
        if status >= 0:
            return f"exit status {status}"
        return f"killed by {signal.Signals(-status).name}"

    async def stop(self, seconds: float) -> None:
        """Ask the process to end; kill it, and what it has started, when it takes longer."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), seconds)
            except TimeoutError:
                # Safe only while the process is not reaped: its id is still its group's.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                await self._process.wait()
        self._cut_lifeline()

    def _tell(self, word: bytes) -> None:
        # A child that has died will be noticed by whoever waits for its end.
        with contextlib.suppress(OSError):
            os.write(self._lifeline, word)

    def _cut_lifeline(self) -> None:
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=_MAX_REPORT_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    return reader
