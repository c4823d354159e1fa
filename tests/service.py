"""Starts the command line as a person would; a process that is left running fails the test."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMALL_APP = Path(__file__).parent / "cli" / "apps" / "small"
WEBHOOK = "/runtime/webhooks/durabletask"
PATIENCE = 40.0


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without settings of the person who runs the tests."""
    ours = (
        "BATON_",
        "OPENAI_",
        "AZURE_",
        "OFFLINE_MODEL_",
        "LOCAL_RUNTIME_",
        "TASKHUB_",
        "DURABLE_",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **(extra or {})}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "local_runtime", *map(str, arguments)]


def run(
    *arguments: object, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end.

    Both of its outputs are read to their end, which comes once no process holds them: whoever
    returns from here knows that nothing was left running.
    """
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Service:
    """A command that goes on until it is stopped."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.banner = ""
        self._log: list[str] = []
        self._news = threading.Condition()
        # stderr ends once no process of the runtime holds it any more.
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def log(self) -> str:
        return "".join(self._log)

    def wait_for_banner(self) -> None:
        for line in self.process.stdout:
            self.banner += line
            if line.startswith("Stop with"):
                return
        raise AssertionError(f"did not start:\n{self.log}")

    def url(self, title: str) -> str:
        return re.search(rf"^  {title} +(http://\S+)", self.banner, re.MULTILINE)[1]

    def wait_for_log(self, pattern: str, times: int = 1) -> list[str]:
        def found() -> list[str]:
            return re.findall(pattern, self.log)

        with self._news:
            if not self._news.wait_for(lambda: len(found()) >= times, PATIENCE):
                raise AssertionError(f"{pattern!r} was not logged {times} times:\n{self.log}")
        return found()

    def children(self) -> dict[str, int]:
        """The process ids of the parts, by the command of each."""
        return {
            arguments.split()[0].removesuffix("-process"): pid for pid, arguments in self.parts()
        }

    def first_host(self) -> int:
        """The process id of the host process that serves HTTP."""
        [pid] = [pid for pid, arguments in self.parts() if "--listen-fd" in arguments]
        return pid

    def hosts(self) -> set[int]:
        """The process ids of all host processes."""
        return {pid for pid, arguments in self.parts() if arguments.startswith("host-process ")}

    def parts(self) -> list[tuple[int, str]]:
        """The process id and the arguments of each part."""
        ps = ["ps", "-A", "-ww", "-o", "pid=", "-o", "ppid=", "-o", "args="]
        table = subprocess.run(ps, capture_output=True, text=True, check=True).stdout
        rows = [line.split(maxsplit=2) for line in table.splitlines()]
        return [
            (int(pid), args.partition("__main__.py ")[2])
            for pid, ppid, args in rows
            if int(ppid) == self.process.pid and "__main__.py " in args
        ]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait until no process is left, and return the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self.wait_until_nothing_runs()
        return status

    def wait_until_nothing_runs(self) -> None:
        self._reading.join(PATIENCE)
        assert not self._reading.is_alive(), f"something still runs:\n{self.log}"

    def _read(self) -> None:
        for line in self.process.stderr:
            with self._news:
                self._log.append(line[:2000])
                self._news.notify_all()


@contextmanager
def started(
    *arguments: object, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """Start a command, and stop it in the end."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    service = Service(process)
    try:
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE)
        # Before the pipes are closed: closing one that a process still holds would hang the test.
        service.wait_until_nothing_runs()
        process.stdout.close()
        process.stderr.close()


@contextmanager
def runtime(
    data: Path,
    app: Path = SMALL_APP,
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Iterator[Service]:
    """Run `start` on free ports."""
    ports = ["--port", 0, "--scheduler-port", 0, "--dashboard-port", 0]
    with started("start", "--app", app, "--data", data, *ports, *options, env=env) as service:
        service.wait_for_banner()
        yield service
