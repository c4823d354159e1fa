"""What the workers of the soak can do: functions with outcomes that the client can foretell."""

import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

from durabletask import entities, task

MARKS = "SOAK_MARKS"
"""Names the folder in which activities leave marks that outlive the worker's process."""

_PATIENT = task.RetryPolicy(
    first_retry_interval=timedelta(milliseconds=20), max_number_of_attempts=6
)
_HASTY = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=20), max_number_of_attempts=3)


def _marks() -> Path:
    return Path(os.environ[MARKS])


def mended(folder: Path, what: str) -> Path:
    """The file whose presence lets `until_mended` succeed."""
    return folder / f"mended-{what}"


# -- activities ------------------------------------------------------------------------------------


def double(_: task.ActivityContext, number: int) -> int:
    return number * 2


def linger(_: task.ActivityContext, milliseconds: int) -> int:
    threading.Event().wait(milliseconds / 1000)
    return milliseconds


def increase(_: task.ActivityContext, number: int) -> int:
    return number + 1


def third_time_lucky(context: task.ActivityContext, times: int) -> str:
    """Fail until it has left so many marks; a worker that dies in between leaves one more."""
    for number in range(times):
        mark = _marks() / f"try-{context.orchestration_id}-{number}"
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            continue
        raise ValueError(f"not yet ({number})")
    return "lucky"


def hopeless(_: task.ActivityContext, __: None) -> None:
    raise ValueError("never")


def until_mended(_: task.ActivityContext, what: str) -> str:
    if not mended(_marks(), what).exists():
        raise ValueError("broken")
    return "mended"


# -- orchestrators ---------------------------------------------------------------------------------


def fan_out(context: task.OrchestrationContext, width: int):
    results = yield task.when_all(
        [context.call_activity(double, input=number) for number in range(width)]
    )
    return sum(results)


def errands(context: task.OrchestrationContext, milliseconds: list[int]):
    """Activities that take their time, all at once and then one after the other."""
    together = yield task.when_all(
        [context.call_activity(linger, input=length) for length in milliseconds]
    )
    for length in milliseconds:
        yield context.call_activity(linger, input=length)
    return together


def chain(context: task.OrchestrationContext, steps: int):
    number = 0
    for _ in range(steps):
        number = yield context.call_activity(increase, input=number)
    return number


def family(context: task.OrchestrationContext, given: list[int]):
    """Children of children: as many leaves as width to the power of depth."""
    width, depth = given
    if depth == 0:
        return (yield context.call_activity(increase, input=0))
    leaves = yield task.when_all(
        [
            context.call_sub_orchestrator(family, input=[width, depth - 1 if number else 0])
            for number in range(width)
        ]
    )
    return sum(leaves)


def leaves(width: int, depth: int) -> int:
    """What `family` returns: in each generation the first child has no children of its own."""
    return 1 if depth == 0 else 1 + (width - 1) * leaves(width, depth - 1)


def loop(context: task.OrchestrationContext, given: list[int]):
    """Generation after generation, each with an activity and every second with a child."""
    left, total = given
    total = yield context.call_activity(increase, input=total)
    if left % 2:
        yield context.call_sub_orchestrator(chain, input=1)
    if left > 1:
        context.continue_as_new([left - 1, total])
        return None
    return total


def naps(context: task.OrchestrationContext, milliseconds: list[int]):
    """Timers one after the other, then all at once, then one that loses a race."""
    for length in milliseconds:
        yield context.create_timer(timedelta(milliseconds=length))
    yield task.when_all(
        [context.create_timer(timedelta(milliseconds=length)) for length in milliseconds]
    )
    step = context.call_activity(increase, input=len(milliseconds))
    yield task.when_any([step, context.create_timer(timedelta(hours=1))])
    return step.get_result()


def collector(context: task.OrchestrationContext, given: list[Any]):
    """Collect serial numbers until a negative one; continue as new after every few."""
    found, few = given
    for _ in range(few):
        serial = yield context.wait_for_external_event("item")
        if serial < 0:
            return found
        found.append(serial)
    context.continue_as_new([found, few], save_events=True)
    return None


def caller(context: task.OrchestrationContext, given: list[Any]):
    """Signal some tallies and call others; whether what each call saw was more than before."""
    signals, calls = given
    for key in signals:
        context.signal_entity(entities.EntityInstanceId("tally", key), "add", input=1)
    seen: dict[str, int] = {}
    for key in calls:
        now = yield context.call_entity(
            entities.EntityInstanceId("tally", key), "add", input=1, return_type=int
        )
        if now <= seen.get(key, 0):
            return False
        seen[key] = now
    return True


def transfer(context: task.OrchestrationContext, given: list[Any]):
    """Move an amount between two locked accounts; whether nobody else touched them meanwhile."""
    from_key, to_key, amount = given
    source = entities.EntityInstanceId("account", from_key)
    target = entities.EntityInstanceId("account", to_key)
    with (yield context.lock_entities([source, target])):
        before = yield context.call_entity(source, "get", return_type=int)
        after = yield context.call_entity(source, "add", input=-amount, return_type=int)
        yield context.call_entity(target, "add", input=amount, return_type=int)
    return after == before - amount


def flaky(context: task.OrchestrationContext, times: int):
    return (yield context.call_activity(third_time_lucky, input=times, retry_policy=_PATIENT))


def doomed(context: task.OrchestrationContext, _: None):
    yield context.call_activity(hopeless, retry_policy=_HASTY)


def breakable(context: task.OrchestrationContext, given: list[Any]):
    """Some steps that hold, and one, maybe in a child, that fails until it is mended.

    Without a retry policy: the SDK's worker cannot rewind an activity that was retried, for it
    leaves the timers between the tries in the history it cleans.
    """
    what, depth = given
    first = yield context.call_activity(increase, input=1)
    if depth:
        last = yield context.call_sub_orchestrator(breakable, input=[what, depth - 1])
    else:
        last = yield context.call_activity(until_mended, input=what)
    return [first, last]


def repaired(depth: int) -> object:
    """What `breakable` returns once it is mended."""
    return [2, repaired(depth - 1) if depth else "mended"]


def waiting(context: task.OrchestrationContext, has_child: bool):
    if has_child:
        return (yield context.call_sub_orchestrator(waiting, input=False))
    return (yield context.wait_for_external_event("go"))


# -- entities --------------------------------------------------------------------------------------


def add_up(context: entities.EntityContext, amount: int | None) -> int:
    total = context.get_state(int, 0)
    if context.operation == "add":
        total += amount or 0
        context.set_state(total)
    return total


ACTIVITIES = (double, linger, increase, third_time_lucky, hopeless, until_mended)
ORCHESTRATORS = (
    *(fan_out, errands, chain, family, loop, naps, collector, caller),
    *(transfer, flaky, doomed, breakable, waiting),
)
ENTITIES = ("tally", "account")
