"""The option `--watch` of the commands that keep a host's processes running."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from local_runtime.processes.host_group import HostGroup


@contextlib.asynccontextmanager
async def watching_if(
    *, wanted: bool, app_dir: Path, data: Path | None
) -> AsyncGenerator[Callable[[HostGroup], None]]:
    """Watch the app's folder inside the `async with` as `watching` does, or nothing."""
    if not wanted:
        yield lambda hosts: None
        return
    # Here, so that only those who watch wait for it to be imported.
    from local_runtime.processes.app_watch import watching

    async with watching(app_dir, data) as begin:
        yield begin
