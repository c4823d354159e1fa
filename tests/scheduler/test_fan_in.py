"""Many activities of one instance: few turns for their results, and none is kept waiting."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Any

from local_runtime.scheduler.dispatch.fan_in import FanIn

from .conftest import Actions, Hub, Worker


class Timer:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = itertools.count()
        self._calls: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> None:
        heapq.heappush(self._calls, (when, next(self._numbers), callback, args))

    def move(self, seconds: float) -> None:
        until = self.now + seconds
        while self._calls and self._calls[0][0] <= until:
            self.now, _, callback, args = heapq.heappop(self._calls)
            callback(*args)
        self.now = until


class Held:
    """A fan-in with so many activities still out."""

    def __init__(self, out: int) -> None:
        self.out = out
        self.timer = Timer()
        self.released: list[float] = []
        self.fan_in = FanIn(
            lambda _: self.out, lambda _: self.released.append(self.timer.now), self.timer
        )

    def result(self) -> bool:
        self.out -= 1
        return self.fan_in.holds("wf")


def test_results_that_follow_each_other_make_one_turn_and_the_last_one_ends_the_wait() -> None:
    held = Held(100)
    for _ in range(92):
        assert held.result()
        held.timer.move(0.0005)
    assert held.released == []
    assert not held.result()  # few are out now: the turn goes at once
    held.timer.move(1)
    assert held.released == []


def test_a_result_that_nothing_follows_is_held_for_a_moment() -> None:
    held = Held(1000)
    assert held.result()
    held.timer.move(1)
    assert len(held.released) == 1
    assert held.released[0] < 0.01


def test_results_without_end_are_held_for_a_tenth_of_a_second_at_most() -> None:
    held = Held(100_000)
    for _ in range(2000):
        held.result()
        held.timer.move(0.001)
    gaps = [b - a for a, b in itertools.pairwise([0.0, *held.released])]
    assert len(gaps) >= 19
    assert max(gaps) <= 0.102


def test_a_turn_that_is_void_is_not_released() -> None:
    held = Held(100)
    held.result()
    held.fan_in.drop("wf")
    held.timer.move(1)
    assert held.released == []


async def test_every_result_of_a_wide_fan_out_is_told_once(hub: Hub, worker: Worker) -> None:
    numbers = range(1, 101)
    await hub.start()
    await worker.answer_turn(await worker.next(), *[Actions.task(number) for number in numbers])
    items = [await worker.next() for _ in numbers]
    answering = asyncio.gather(*[worker.answer_activity(item) for item in items])
    told: list[int] = []
    while len(told) < len(numbers):
        turn = await worker.next()
        told += [
            event.taskCompleted.taskScheduledId
            for event in turn.orchestratorRequest.newEvents
            if event.HasField("taskCompleted")
        ]
        await worker.answer_turn(turn)
    await answering
    assert sorted(told) == list(numbers)


async def test_an_instance_can_be_told_and_ended_while_many_activities_are_out(
    hub: Hub, worker: Worker
) -> None:
    await hub.start()
    await worker.answer_turn(await worker.next(), *[Actions.task(n) for n in range(1, 31)])
    items = [await worker.next() for _ in range(30)]
    await worker.answer_activity(items[0], '"first"')
    turn = await worker.next()
    (event,) = turn.orchestratorRequest.newEvents[1:]
    assert event.taskCompleted.result.value == '"first"'
    await worker.answer_turn(turn, Actions.complete())
    assert (await hub.wait()).output.value == '"done"'
