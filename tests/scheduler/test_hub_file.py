"""A file that cannot be used is refused with a message, and left as it is to the last byte."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from local_runtime.errors import StartupError
from local_runtime.scheduler.storage import database
from local_runtime.scheduler.storage.database import open_writer
from local_runtime.scheduler.storage.schema import MIGRATIONS, SCHEMA_VERSION

NEWER = SCHEMA_VERSION + 1


def made(path: Path, script: str, *, journal: str = "WAL", killed: bool = False) -> None:
    """Make a file by some SQL; its maker was killed if it is to have a log."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    if killed:
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
    connection.executescript(script)
    connection.close()


def hub_of(version: int) -> str:
    scripts = [MIGRATIONS[number] for number in range(1, min(version, SCHEMA_VERSION) + 1)]
    return "\n".join([*scripts, f"PRAGMA user_version = {version};"])


def newer(path: Path) -> None:
    made(path, hub_of(NEWER))


def newer_without_a_log(path: Path) -> None:
    made(path, hub_of(NEWER), journal="DELETE")


def newer_by_its_log(path: Path) -> None:
    made(path, hub_of(SCHEMA_VERSION))
    made(path, f"PRAGMA user_version = {NEWER};", killed=True)


def no_sqlite_file(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 300)


def short_file(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


def empty_file(path: Path) -> None:
    path.touch()


def a_folder(path: Path) -> None:
    path.mkdir()


def of_another_application(path: Path) -> None:
    made(path, "CREATE TABLE instances (a); PRAGMA application_id = 252006674;")


def of_one_that_does_not_say(path: Path) -> None:
    made(path, "CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('x');")


def of_one_with_a_version(path: Path) -> None:
    made(path, "CREATE TABLE notes (a); PRAGMA user_version = 2;", journal="DELETE")


def of_one_with_a_log(path: Path) -> None:
    made(path, "CREATE TABLE notes (a); PRAGMA user_version = 2;", killed=True)


UNUSABLE = {
    newer: f"schema {NEWER}, and this version knows {SCHEMA_VERSION}",
    newer_without_a_log: f"schema {NEWER}",
    newer_by_its_log: f"schema {NEWER}",
    no_sqlite_file: "it is no SQLite file",
    short_file: "it is no SQLite file",
    empty_file: "it is empty",
    a_folder: "it is no file",
    of_another_application: "it belongs to another application",
    of_one_that_does_not_say: "another application's",
    of_one_with_a_version: "another application's",
    of_one_with_a_log: "another application's",
}


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder; the index of a log, which is made from it, counts for nothing."""
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


@pytest.mark.parametrize("make", UNUSABLE, ids=lambda make: make.__name__)
def test_a_file_that_cannot_be_used_is_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "default.taskhub.db"
    make(path)
    before, names = content(tmp_path), {found.name for found in tmp_path.iterdir()}
    for _ in range(2):
        with pytest.raises(StartupError, match=UNUSABLE[make]) as raised:
            open_writer(path, "full")
        assert str(path) in str(raised.value)
        assert "--data" in str(raised.value)
    assert content(tmp_path) == before
    assert {found.name for found in tmp_path.iterdir()} == names


@pytest.mark.parametrize("make", [newer, newer_without_a_log, newer_by_its_log])
def test_of_a_newer_file_not_even_the_index_of_its_log_is_touched(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "default.taskhub.db"
    make(path)
    before = {found.name: found.read_bytes() for found in tmp_path.iterdir()}
    with pytest.raises(StartupError, match="It has not been changed"):
        open_writer(path, "full")
    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == before


@pytest.mark.parametrize("killed", [False, True])
def test_a_migration_that_fails_half_way_has_changed_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    path = tmp_path / "default.taskhub.db"
    made(path, hub_of(1), killed=killed)
    before = content(tmp_path)
    broken = MIGRATIONS | {SCHEMA_VERSION: "CREATE TABLE more (a); CREATE TABLE instances (a);"}
    with monkeypatch.context() as patched:
        patched.setattr(database, "MIGRATIONS", broken)
        with pytest.raises(StartupError, match="instances already exists"):
            open_writer(path, "full")
    assert content(tmp_path) == before
    with contextlib.closing(open_writer(path, "full")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
@pytest.mark.parametrize("killed", [False, True])
def test_a_file_of_an_older_version_is_brought_up_to_date(
    tmp_path: Path, version: int, *, killed: bool
) -> None:
    path = tmp_path / "default.taskhub.db"
    row = "('wf', 'e', 'short', 'PENDING', x'', 1, 1)"
    columns = "instance_id, execution_id, name, status, started, created_at, updated_at"
    made(path, f"{hub_of(version)} INSERT INTO instances ({columns}) VALUES {row};", killed=killed)
    with contextlib.closing(open_writer(path, "full")) as connection:
        found = connection.execute("SELECT instance_id, checksum IS NULL FROM instances")
        assert found.fetchall() == [("wf", 0)]


def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "default.taskhub.db"
    open_writer(path, "full").close()
    before = content(tmp_path)
    with pytest.MonkeyPatch.context() as patched:
        # Root may do anything: what the system would say of others is said here.
        patched.setattr("os.access", lambda found, mode: found != path)
        with pytest.raises(StartupError, match="may not be written"):
            open_writer(path, "full")
    assert content(tmp_path) == before


def test_what_a_killed_maker_left_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "default.taskhub.db"
    for suffix in (".new", ".new-journal", ".new-wal"):
        path.with_name(path.name + suffix).write_bytes(b"half")
    with contextlib.closing(open_writer(path, "full")) as connection:
        assert connection.execute("SELECT count(*) FROM instances").fetchone() == (0,)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
