"""SIGSTOP at every durable edge, until all clients have given up, then SIGCONT: as if killed.

The checks are those of the tests that kill the scheduler there: one outcome, nothing lost, no
recorded step repeated, and a sound file.
"""

from itertools import product
from pathlib import Path

import pytest

from . import (
    test_crashes,
    test_crashes_entities,
    test_crashes_generations,
    test_crashes_hubs,
    test_crashes_purge,
    test_crashes_waiting,
)
from .killing import edges
from .stopping import Check, check_together

pytestmark = pytest.mark.crash

TURNS = test_crashes.test_a_killed_scheduler_goes_on_where_it_was
LOCKS = test_crashes_entities.test_locks_are_exclusive_and_given_back
ENDED_OWNERS = test_crashes_entities.test_the_locks_of_an_owner_that_ends_are_given_back
OPERATIONS = test_crashes_entities.test_each_operation_is_applied_answered_and_passed_on_once
ANEW = test_crashes_generations.test_a_generation_takes_every_event_along
REWOUND = test_crashes_generations.test_a_rewound_family_runs_again_where_it_failed
TERMINATED = test_crashes_generations.test_a_family_is_terminated_whole_or_not

DELAYED = edges("delayed.half")
CASES: dict[str, list[tuple[Check, list[str]]]] = {
    "locks": [
        (LOCKS, test_crashes_entities.LOCK_FAULTS),
        (ENDED_OWNERS, edges("end.half", "end.half:2")),
        (OPERATIONS, edges("batch.half", "batch.half:2")),
    ],
    "generations": [
        (ANEW, edges("generation.half", "generation.half:3")),
        (REWOUND, edges("rewind.half", "rewind.half:2", "rewind.half:3")),
        (test_crashes_generations.test_a_restarted_instance_runs_once_more, edges("delete.half")),
        (
            test_crashes_generations.test_an_instance_is_replaced_whole_or_not,
            edges("end.half", "delete.half"),
        ),
        (TERMINATED, edges("end.half:2", "end.half:6")),
    ],
    "waiting": [
        (test_crashes_waiting.test_a_timer_fires_once, DELAYED),
        (test_crashes_waiting.test_a_delayed_signal_is_applied_once, DELAYED),
        (test_crashes_waiting.test_a_later_start_starts_once, DELAYED),
    ],
    "purge": [
        (test_crashes_purge.test_one_instance, edges("delete.half")),
        (test_crashes_purge.test_an_entity, edges("delete.half")),
        (test_crashes_purge.test_an_instance_with_its_children, edges("delete.half:2")),
        (test_crashes_purge.test_all_that_have_ended, edges("delete.half:3", "delete.half:230")),
        (test_crashes_purge.test_those_of_a_list, edges("delete.half:2")),
        (
            test_crashes_purge.test_those_that_are_older_than_they_are_kept,
            edges("delete.half:2"),
        ),
        (
            test_crashes_purge.test_the_file_that_gives_space_back,
            edges("vacuum.half", "vacuum.half:3"),
        ),
    ],
    "hubs": [
        (test_crashes_hubs.test_a_hub_that_is_made, test_crashes_hubs.MADE),
        (test_crashes_hubs.test_a_hub_that_is_made_by_its_first_use, test_crashes_hubs.MADE),
        (
            test_crashes_hubs.test_a_deletion_that_nobody_asks_for_again,
            test_crashes_hubs.DELETED,
        ),
    ],
}


COMMITTED = [
    f"completion.received:{nth},{point}"
    for nth in (2, 4, 5, 6, 8)
    for point in ("commit.before", "commit.after")
]


async def test_a_completion_whose_commit_outlives_its_call_is_recorded_once(tmp_path: Path) -> None:
    await check_together(tmp_path, TURNS, product(COMMITTED, [1]))


@pytest.mark.parametrize("nth", [1, 4])
async def test_a_stopped_scheduler_goes_on_where_it_was(tmp_path: Path, nth: int) -> None:
    await check_together(tmp_path, TURNS, product(test_crashes.POINTS, [nth]))


async def test_a_client_that_asks_a_stopped_scheduler_again_has_started_one_instance(
    tmp_path: Path,
) -> None:
    check = test_crashes.test_a_client_that_asks_again_has_started_one_instance
    await check_together(tmp_path, check, [("commit.before",), ("commit.after",)])


@pytest.mark.parametrize(
    "kind",
    # Each of these two takes half a minute.
    [
        pytest.param(kind, marks=pytest.mark.soak) if kind in ("purge", "generations") else kind
        for kind in CASES
    ],
)
async def test_what_a_stopped_scheduler_was_at_is_done_once(tmp_path: Path, kind: str) -> None:
    cases = [(check, fault) for check, faults in CASES[kind] for fault in faults]

    async def check(victim: object, inner: Check, fault: str) -> None:
        await inner(victim, fault)

    await check_together(tmp_path, check, cases)


async def test_a_hub_that_a_stopped_scheduler_was_deleting_is_deleted_whole(
    tmp_path: Path,
) -> None:
    methods = ["DeleteTaskHub", "CreateTaskHub"]
    cases = product(test_crashes_hubs.DELETED, methods)
    await check_together(tmp_path, test_crashes_hubs.test_a_hub_that_is_deleted, cases)
