"""Has the Functions host load the app again whenever one of its files has changed."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch  # pyright: ignore[reportUnknownVariableType]

from local_runtime.background import BackgroundTask
from local_runtime.clock import SystemClock
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
        if not inner.parts:
            return True  # the folder itself is gone
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
    watch = _Watch(hosts, app_dir, AppFiles(app_dir, data))
    task = BackgroundTask("watching the app's files", watch.run, SystemClock())
    task.start()
    await asyncio.sleep(0)  # in which the system is told what to watch
    try:
        yield hosts.set_result
    finally:
        await task.stop()


class _Watch:
    """Watches a folder, and loads the app again for what changes in it."""

    def __init__(self, hosts: asyncio.Future[HostGroup], app_dir: Path, files: AppFiles) -> None:
        self._hosts = hosts
        self._app_dir = app_dir
        self._files = files
        self._loading: asyncio.Task[None] | None = None
        self._begun = False

    async def run(self) -> None:
        """Watch until cancelled; it may be called again when it has failed."""
        watched = _identity(self._app_dir)
        changes = awatch(
            self._app_dir, watch_filter=self._files, debounce=_LONGEST_BURST_MS, step=_QUIET_MS
        )
        # Eager: the folder is watched from here on, or it is an error at once.
        coming = _next(changes)
        try:
            if self._begun and not coming.done():
                await self._load_again("files may have changed while nobody watched them")
            self._begun = True
            while True:
                found = await coming
                if _identity(self._app_dir) != watched:
                    raise FileNotFoundError(
                        f"the app's folder {self._app_dir} is gone, or another one is in its place"
                    )
                await self._load_again(_shown(self._app_dir, found))
                coming = _next(changes)
        finally:
            coming.cancel()
            await asyncio.wait([coming])
            await changes.aclose()
            await self._give_up_loading()

    async def _load_again(self, why: str) -> None:
        group = await asyncio.shield(self._hosts)
        # If files have changed again before the app was loaded, it may be that it never would be.
        await self._give_up_loading()
        logger.info("%s: loading the app again", why)
        self._loading = asyncio.create_task(_load(group))

    async def _give_up_loading(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])


type _Changes = set[tuple[Change, str]]


def _next(changes: AsyncGenerator[_Changes]) -> asyncio.Task[_Changes]:
    """Wait for the next changes; what waits for them has begun when this returns."""

    async def coming() -> _Changes:
        return await anext(changes)

    return asyncio.Task(coming(), loop=asyncio.get_running_loop(), eager_start=True)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another one of its name; None if there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
