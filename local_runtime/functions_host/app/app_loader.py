"""Loads a function app into this process, the way the Functions worker on Azure does.

The app is imported here first and then handed to Microsoft's worker library, which finds it
already imported: so an error in the app is seen with its traceback, and reported with its place.
"""

import importlib
import linecache
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, cast

import azure.functions as func
import azure_functions_runtime as worker

from local_runtime.errors import StartupError
from local_runtime.functions_host.app import worker_messages
from local_runtime.functions_host.app.function_index import FunctionIndex
from local_runtime.functions_host.app.http_extension import stand_in
from local_runtime.functions_host.app.worker_messages import (
    FunctionMetadataResponse,
    StatusResult,
    StreamingMessage,
    WorkerInitRequest,
    WorkerInitResponse,
    WorkerRequest,
)
from local_runtime.settings import AppSettings, check_app_dir

_RUNTIME_ROOT = Path(__file__).resolve().parents[3]
_LIBRARY = "durable_agents"
_THREADS = "PYTHON_THREADPOOL_THREAD_COUNT"

logger = logging.getLogger("local_runtime.host")


async def load_app(settings: AppSettings, *, threads: int) -> FunctionIndex:
    """Import the app of `settings.app_dir` and index its functions. One app per process.

    Args:
        settings: The app's folder and the settings to run it with.
        threads: How many synchronous functions may run at once, unless the app's own setting
            PYTHON_THREADPOOL_THREAD_COUNT says otherwise.

    Raises:
        StartupError: The app is missing or broken; the message says where.
    """
    os.environ.update(settings.environment)
    os.environ.setdefault(_THREADS, str(threads))
    script = _script(settings.app_dir)
    _enter(settings.app_dir)
    module = _import(script)
    agents = _agent_names(module)
    stand_in()
    metadata = await _index(settings.app_dir)
    worker.start_threadpool_executor()
    index = FunctionIndex.build(metadata.function_metadata_results or [], agents)
    if not index.functions:
        logger.warning("%s registers no function that can be served", script)
    return index


def _script(app_dir: Path) -> Path:
    check_app_dir(app_dir)
    script = app_dir / os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if not script.is_file():
        raise StartupError(
            f"{app_dir} holds no {script.name}; --app takes the folder of a function app of the "
            "Python v2 programming model."
        )
    return script


def _enter(app_dir: Path) -> None:
    """Make the app's folder the working directory and the first place modules come from."""
    os.chdir(app_dir)
    packages = app_dir / ".python_packages" / "lib" / "site-packages"
    first = [str(app_dir), *([str(packages)] if packages.is_dir() else [])]
    # The folder of this runtime holds an app too. Its `agents` and `orchestrations` must not come
    # in the place of another app's, and would even from the end of the path: a folder that has an
    # `__init__.py` wins against one that has none, wherever the two stand.
    hidden = {"", os.getcwd(), str(_RUNTIME_ROOT), *first}
    sys.path[:] = [*first, *(entry for entry in sys.path if entry not in hidden)]
    if app_dir != _RUNTIME_ROOT:
        sys.meta_path.append(_LibraryFinder())
    importlib.invalidate_caches()


class _LibraryFinder(MetaPathFinder):
    """Lets an app in another folder use this repository's agent library, and nothing else of it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _LIBRARY:
            return None
        return PathFinder.find_spec(fullname, [str(_RUNTIME_ROOT)], target)


def _import(script: Path) -> ModuleType:
    name = script.stem
    try:
        module = importlib.import_module(name)
    except SyntaxError as error:
        # Without a line when the file is not text at all.
        line = f", line {error.lineno}: {(error.text or '').strip()}" if error.lineno else ""
        raise StartupError(
            f"{script.name} could not be loaded: {error.msg} ({error.filename or script}{line})"
        ) from error
    # SystemExit too: an app that calls sys.exit() as it is imported must not end the host wordless.
    except (Exception, SystemExit) as error:
        raise StartupError(
            f"{script.name} could not be loaded: {type(error).__name__}: {error}"
            f"{_place(error.__traceback__, script.parent)}"
        ) from error
    if Path(module.__file__ or "").resolve() != script.resolve():
        raise StartupError(
            f"{script.name} could not be loaded: a module named {name!r} from "
            f"{module.__file__} was found in its place; rename one of them."
        )
    return module


def _place(trace: TracebackType | None, app_dir: Path) -> str:
    """Say which line of the app's own code an error came from: the last one on its way."""
    frames = [
        frame
        for frame in traceback.extract_tb(trace)
        if Path(frame.filename).is_relative_to(app_dir) and "site-packages" not in frame.filename
    ]
    # Where the library complains of what it was given, the line that gave it says more.
    library = app_dir / _LIBRARY
    own = [frame for frame in frames if not Path(frame.filename).is_relative_to(library)]
    if not frames:
        return ""
    frame = (own or frames)[-1]
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f" ({frame.filename}, line {frame.lineno}: {line})"


async def _index(app_dir: Path) -> FunctionMetadataResponse:
    request = WorkerRequest(
        StreamingMessage(worker_init_request=WorkerInitRequest(str(app_dir))),
        {"host": "127.0.0.1", "protos": worker_messages},
    )
    started = cast(
        "WorkerInitResponse",
        await worker.worker_init_request(request),  # pyright: ignore[reportUnknownMemberType]
    )
    if started.result.status != StatusResult.Success:
        message = started.result.exception.message if started.result.exception else ""
        raise StartupError(f"the functions of {app_dir} could not be indexed: {message}")
    return cast(
        "FunctionMetadataResponse",
        await worker.functions_metadata_request(request),  # pyright: ignore[reportUnknownMemberType]
    )


def _agent_names(module: ModuleType) -> list[str]:
    """Return the names of the app's agents, if its app object has an attribute `agents`."""
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
    agents: object = getattr(apps[0], "agents", None) if apps else None
    if isinstance(agents, Mapping):
        return [str(name) for name in cast("Mapping[Any, Any]", agents)]
    if not isinstance(agents, Iterable):
        return []
    return [str(getattr(agent, "name", agent)) for agent in cast("Iterable[Any]", agents)]
