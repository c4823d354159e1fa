"""Has the Functions host load the app again whenever one of its files has changed."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch  # pyright: ignore[reportUnknownVariableType]

from local_runtime.errors import StartupError
from local_runtime.processes.host_group import HostGroup

# What changes together is loaded together, like the files of a checkout.
_QUIET_MS = 200
_LONGEST_BURST_MS = 3000
_SHOWN = 3

logger = logging.getLogger("local_runtime.watch")


class AppFiles(DefaultFilter):
    """Lets the changes through that are of the app, and not of what runs or edits it.

    Left out are the data folder, whatever begins with a dot (but `.env`), `__pycache__`, virtual
    environments, `node_modules`, compiled Python, editors' own files, logs and databases.
    """

    ignore_dirs = (*DefaultFilter.ignore_dirs, "venv")
    ignore_entity_patterns = (
        *DefaultFilter.ignore_entity_patterns,
        r"^\.(?!env$)",
        r"\.(tmp|log|db|sqlite3?)(-\w+)?$",
        r"^\d+$",  # vim tries with such a file whether it may write
    )

    def __init__(self, app_dir: Path, data: Path | None) -> None:
        super().__init__()
        self._app_dir = app_dir
        self._data = data

    def __call__(self, change: Change, path: str) -> bool:
        """Whether a change is one of the app."""
        if self._data is not None and Path(path).is_relative_to(self._data):
            return False
        # Only what is inside counts: the app's folder itself may stand in a hidden one.
        inner = Path(path).relative_to(self._app_dir)
        hidden = any(part.startswith(".") for part in inner.parts[:-1])
        return not hidden and super().__call__(change, str(inner))


@contextlib.asynccontextmanager
async def watching(app_dir: Path, data: Path | None) -> AsyncGenerator[Callable[[HostGroup], None]]:
    """Watch the app's folder inside the `async with`, from its beginning.

    It gives what is to be called with the processes to replace once they have started: whatever
    has changed by then may have come too late for them, and they are replaced at once.

    Args:
        app_dir: The app's folder.
        data: A folder to leave out, if it is inside.
    """
    hosts: asyncio.Future[HostGroup] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(_watch(hosts, app_dir, AppFiles(app_dir, data)))
    await asyncio.sleep(0)  # in which the system is told what to watch
    try:
        yield hosts.set_result
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _watch(hosts: asyncio.Future[HostGroup], app_dir: Path, files: AppFiles) -> None:
    loading: asyncio.Task[None] | None = None
    try:
        async for changes in awatch(
            app_dir, watch_filter=files, debounce=_LONGEST_BURST_MS, step=_QUIET_MS
        ):
            group = await hosts
            if loading is not None:
                # Files have changed again before the app was loaded, if it ever would have been.
                loading.cancel()
                await asyncio.wait([loading])
            logger.info("%s: loading the app again", _shown(app_dir, changes))
            loading = asyncio.create_task(_load(group))
    except OSError as error:
        logger.error("the app's files are not watched any more: %s", error)
    finally:
        if loading is not None:
            loading.cancel()
            await asyncio.wait([loading])


async def _load(hosts: HostGroup) -> None:
    try:
        await hosts.replace()
    except StartupError as error:
        logger.error("the app as it was before goes on: the changed one does not load: %s", error)
    except Exception:
        logger.exception("the app as it was before goes on: the changed one could not be started")
    else:
        logger.info("the changed app has taken over")


def _shown(app_dir: Path, changes: Iterable[tuple[Change, str]]) -> str:
    paths = sorted({str(Path(path).relative_to(app_dir)) for _, path in changes})
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "") + " changed"
