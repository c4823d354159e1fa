"""A damaged write-ahead log: what was acknowledged is never cut off in silence."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from .damaging import FILE, FINISHED, LOG, content, copy_of, fill, flip, frames_in_use, opened
from .killing import ROOT

SEEDS = range(4)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a scheduler that was killed: all of its content is in the log."""
    data = tmp_path_factory.mktemp("log") / "data"
    asyncio.run(fill(data, stopped=False))
    return data


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_flipped_bit_in_the_log_is_refused_by_name(killed: Path, seed: int) -> None:
    data = copy_of(killed, f"flip{seed}")
    end = frames_in_use(data / LOG)[-1][0] + 4120
    flip(data / LOG, random.Random(seed).randrange(32 * 8, end * 8))
    before = content(data)
    async with opened(data) as scheduler:
        assert scheduler.refused
    assert "default.taskhub.db-wal is damaged (frame" in scheduler.log
    assert "transaction(s) that were acknowledged" in scheduler.log
    assert "accept-damage" in scheduler.log
    assert {name: content(data)[name] for name in (FILE, LOG)} == {
        name: before[name] for name in (FILE, LOG)
    }


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_flipped_bit_in_the_last_transaction_is_no_torn_tail(
    killed: Path, seed: int
) -> None:
    data = copy_of(killed, f"last{seed}")
    last = frames_in_use(data / LOG)[-1][0]
    flip(data / LOG, random.Random(seed).randrange(last * 8, (last + 4120) * 8))
    async with opened(data) as scheduler:
        assert scheduler.refused
    assert "1 transaction(s) that were acknowledged" in scheduler.log


@pytest.mark.parametrize("begin", [bytes(32), b"\xff" * 8, b"\x37\x7f\x06\x83"])
async def test_a_damaged_header_with_frames_behind_it_is_refused(
    killed: Path, begin: bytes
) -> None:
    data = copy_of(killed, f"header{begin.hex()}")
    with (data / LOG).open("r+b") as log:
        log.write(begin)
    async with opened(data) as scheduler:
        assert scheduler.refused
    assert "its header is damaged" in scheduler.log


@pytest.mark.parametrize("tear", ["cut", "half", "older"])
async def test_a_torn_last_transaction_is_dropped_without_a_word(killed: Path, tear: str) -> None:
    data = copy_of(killed, tear)
    last = frames_in_use(data / LOG)[-1][0]
    log = bytearray((data / LOG).read_bytes())
    if tear == "cut":
        del log[last + 2000 :]
    elif tear == "half":
        log[last + 2048 : last + 4120] = bytes(2072)
    else:  # the disk had only written its beginning over what was there before
        log[last + 512 : last + 4120] = random.Random(1).randbytes(3608)
    (data / LOG).write_bytes(log)
    async with opened(data) as scheduler:
        assert not scheduler.refused
        seen = await scheduler.look()
    assert set(FINISHED) <= set(seen.listed)
    assert "damage" not in scheduler.log


async def test_frames_of_an_older_log_behind_the_last_are_no_damage(killed: Path) -> None:
    data = copy_of(killed, "older-log")
    frames = frames_in_use(data / LOG)
    end = frames[-1][0] + 4120
    log = (data / LOG).read_bytes()
    older = bytearray(log[32:end])
    for place in range(0, len(older), 4120):
        older[place + 8 : place + 16] = b"oldsalts"
    (data / LOG).write_bytes(log[:end] + older)
    async with opened(data) as scheduler:
        assert not scheduler.refused
        assert len((await scheduler.look()).listed) == 18
    assert "damage" not in scheduler.log


def accepted(data: Path) -> str:
    command = [sys.executable, "-m", "local_runtime", "accept-damage", "--data", str(data)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


async def test_accepted_damage_is_cut_off_and_kept_beside(killed: Path) -> None:
    data = copy_of(killed, "accepted")
    flip(data / LOG, (frames_in_use(data / LOG)[-3][0] + 100) * 8)
    before = content(data)
    assert "are given up" in await asyncio.to_thread(accepted, data)
    after = content(data)
    kept = [after[f"{FILE}.damaged-1"], after[f"{FILE}.damaged-1-wal"]]
    assert kept == [before[FILE], before[LOG]]
    async with opened(data) as scheduler:
        assert not scheduler.refused
        assert set(FINISHED) <= set((await scheduler.look()).listed)
    assert "nothing has been changed" in await asyncio.to_thread(accepted, data)
