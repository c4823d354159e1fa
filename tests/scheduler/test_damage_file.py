"""Bits of the file turned over: refused, or all there and right, or the damaged named and shown."""

import asyncio
import contextlib
import random
import re
import sqlite3
from pathlib import Path

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from .damaging import (
    ENTITIES,
    FILE,
    FINISHED,
    NEW,
    WAITING,
    Seen,
    bits_in_use,
    copy_of,
    fill,
    flip,
    opened,
)

SEEDS = range(12)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a scheduler that was stopped: all of its content is in the file."""
    data = tmp_path_factory.mktemp("file") / "data"
    asyncio.run(fill(data, stopped=True))
    return data


@pytest.fixture(scope="module")
def sound(stopped: Path) -> Seen:
    async def look() -> Seen:
        async with opened(copy_of(stopped, "sound")) as scheduler:
            return await scheduler.look()

    return asyncio.run(look())


def is_shown_as_broken(seen: Seen, name: str) -> bool:
    state, entity = seen.listed.get(name), seen.entities.get(name)
    return (
        (state is not None and state.failureDetails.errorType == "DamagedData")
        or (entity is not None and "DamagedData" in entity.serializedState.value)
        or seen.histories.get(name) == "DATA_LOSS"
    )


def is_named(log: str, name: str) -> bool:
    """Whether a line names whom damage is of; an id that is damaged itself has one other letter."""
    named = re.findall(r"task hub default: (\S+): its data in the table \w+ is damaged", log)
    return any(
        len(other) == len(name) and sum(a != b for a, b in zip(other, name, strict=True)) <= 1
        for other in named
    )


@pytest.mark.parametrize("seed", SEEDS)
async def test_flipped_bits_are_noticed_or_change_nothing(
    stopped: Path, sound: Seen, seed: int
) -> None:
    data = copy_of(stopped, f"flips{seed}")
    bits = bits_in_use(data / FILE, random.Random(seed))
    for _ in range(1 + seed % 4):
        flip(data / FILE, next(bits))
    async with opened(data) as scheduler:
        if scheduler.refused:
            assert f"the task hub's file {data / FILE}" in scheduler.log
            return
        seen = await scheduler.look()
    assert "Traceback" not in scheduler.log
    for name in FINISHED + WAITING + NEW + ENTITIES:
        if seen.of(name) != sound.of(name):
            assert is_named(scheduler.log, name)
            assert is_shown_as_broken(seen, name) or name not in seen.listed


def place_of(data: Path, what: bytes, nth: int = 0) -> int:
    """Return where some bytes are in the file, the last time but so many."""
    file, place = (data / FILE).read_bytes(), -1
    for _ in range(nth + 1):
        place = file.index(what, place + 1)
    return place


async def test_a_changed_letter_of_an_input_is_no_other_input(stopped: Path) -> None:
    data = copy_of(stopped, "input")
    flip(data / FILE, (place_of(data, b"given given") + 2) * 8)
    async with opened(data) as scheduler:
        states = (await scheduler.look()).listed.values()
    broken = [state for state in states if state.failureDetails.errorType == "DamagedData"]
    assert broken
    for state in broken:
        assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
        assert f"{state.instanceId}: its data in the table" in scheduler.log
    others = [state for state in states if state not in broken and state.HasField("input")]
    assert {state.input.value[:14] for state in others} == {'"given given g'}


async def test_a_damaged_index_is_made_anew(stopped: Path, sound: Seen) -> None:
    data = copy_of(stopped, "index")
    page = page_of(data / FILE, "sqlite_autoindex_instances_1")
    place = (data / FILE).read_bytes().index(b"wait3", page * 4096, (page + 1) * 4096)
    flip(data / FILE, (place + 4) * 8)
    async with opened(data) as scheduler:
        seen = await scheduler.look()
    assert "sqlite_autoindex_instances_1 was damaged, and has been made anew" in scheduler.log
    assert seen == sound


def page_of(file: Path, index: str) -> int:
    """Return the place of the one page that a small index has."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (index,))
        return found.fetchone()[0] - 1


async def test_what_is_sound_goes_on_beside_what_is_damaged(stopped: Path) -> None:
    data = copy_of(stopped, "goes-on")
    flip(data / FILE, (place_of(data, b"given given") + 2) * 8)
    async with opened(data) as scheduler:
        terminate = pb.TerminateRequest(instanceId="new1")
        states = (await scheduler.look()).listed
        for name in FINISHED + WAITING + NEW:
            if states[name].failureDetails.errorType != "DamagedData":
                terminate.instanceId = name
                await scheduler.call("TerminateInstance", terminate)
        states = (await scheduler.look()).listed
    assert {states[name].orchestrationStatus for name in NEW} <= {
        pb.ORCHESTRATION_STATUS_TERMINATED,
        pb.ORCHESTRATION_STATUS_FAILED,
    }
