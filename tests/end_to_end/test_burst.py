"""Thousands of starts at once that wait for their output: taken and done, or refused whole."""

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.plain_http import Reply, request

from .proxied import WEBHOOK, World

COUNT = int(os.environ.get("BURST", "4000"))
WAIT_SECONDS = 60


async def start_all(world: World, ids: list[str]) -> dict[str, Reply]:
    url = f"{world.url}{WEBHOOK}/orchestrators/chain/{{}}?timeout={WAIT_SECONDS}"
    replies = [request("POST", url.format(one), 1, patience=150) for one in ids]
    return dict(zip(ids, await asyncio.gather(*replies), strict=True))


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_of_thousands_of_starts_at_once_each_is_done_or_was_refused(tmp_path: Path) -> None:
    ids = [f"wf{number}" for number in range(COUNT)]
    async with World.create(tmp_path, directly=True) as world:
        replies = await start_all(world, ids)
        codes = Counter(reply.status for reply in replies.values())
        assert codes.keys() <= {200, 202, 503}, codes
        refused = [one for one in ids if replies[one].status == 503]
        assert all(int(replies[one].headers["retry-after"]) > 0 for one in refused)
        taken = [one for one in ids if one not in set(refused)]
        waiting = [one for one in taken if replies[one].status == 202]
        outputs = await world.outputs(waiting, 90)
        outputs |= {one: replies[one].json() for one in taken if replies[one].status == 200}
        assert outputs == {one: [1] for one in taken}
        verdict = world.verdict(taken)
        assert (verdict.faults, verdict.beyond_one, verdict.tasks) == ([], {}, len(taken))
        assert not any([await world.is_there(one) for one in refused[:200]])
        assert len(taken) >= COUNT // 10, codes
