"""Goes on without what a damaged log cannot give back any more, when a person says so."""

import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from local_runtime.errors import StartupError
from local_runtime.scheduler.storage import hub_file
from local_runtime.scheduler.storage.wal_file import LogDamage

_SUFFIX = ".taskhub.db"


def accept_damage(folder: Path) -> list[str]:
    """Cut the damaged logs in a data folder off before the damage; return what was done.

    Of each file and its log a copy is kept first.

    Raises:
        StartupError: there is no such folder, or a scheduler uses it, or it cannot be written.
    """
    if not folder.is_dir():
        raise StartupError(f"there is no data folder {folder}. Name it with --data.")
    try:
        with FileLock(folder / "scheduler.lock", timeout=0):
            done = [_accept(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
    except Timeout:
        raise StartupError(
            f"the data folder {folder} is in use by a scheduler. Stop that one first."
        ) from None
    except OSError as error:
        raise StartupError(
            f"the logs in {folder} cannot be copied and cut: {error.strerror or error}. "
            "Check the free space and the permissions."
        ) from error
    return [line for line in done if line is not None]


def _accept(path: Path) -> str | None:
    log = hub_file.check(path)
    damage = log.damage(None) if log is not None else None
    if damage is None:
        return None
    kept = _keep_copies(path)
    _cut(path.with_name(f"{path.name}-wal"), damage)
    return (
        f"{path.name}: its log ends before the damage now; {damage.transactions} transaction(s) "
        f"are given up. What was there is kept as {kept} and {kept}-wal"
    )


def _keep_copies(path: Path) -> str:
    """Copy a file and its log beside them; return the name of the copy."""
    number = 1
    while (copy := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    # The log first: where there is a copy of the file, there is one of both.
    shutil.copy2(path.with_name(f"{path.name}-wal"), copy.with_name(f"{copy.name}-wal"))
    shutil.copy2(path, copy)
    return copy.name


def _cut(log: Path, damage: LogDamage) -> None:
    with log.open("r+b") as file:
        file.truncate(damage.kept)
