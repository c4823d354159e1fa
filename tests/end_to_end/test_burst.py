"""Thousands of starts at once that wait for their output: taken and done, or refused whole."""

import asyncio
import os
from collections import Counter
from pathlib import Path

import httpx
import pytest

from .proxied import WEBHOOK, World

COUNT = int(os.environ.get("BURST", "4000"))
WAIT_SECONDS = 60


async def start_all(world: World, ids: list[str]) -> dict[str, httpx.Response]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=world.url, timeout=150, limits=limits) as http:
        path = f"{WEBHOOK}/orchestrators/chain/{{}}?timeout={WAIT_SECONDS}"
        replies = [http.post(path.format(one), json=1) for one in ids]
        return dict(zip(ids, await asyncio.gather(*replies), strict=True))


@pytest.mark.timeout(300)
async def test_of_thousands_of_starts_at_once_each_is_done_or_was_refused(tmp_path: Path) -> None:
    ids = [f"wf{number}" for number in range(COUNT)]
    async with World.create(tmp_path) as world:
        replies = await start_all(world, ids)
        codes = Counter(reply.status_code for reply in replies.values())
        assert codes.keys() <= {200, 202, 503}, codes
        refused = [one for one in ids if replies[one].status_code == 503]
        assert all(int(replies[one].headers["Retry-After"]) > 0 for one in refused)
        taken = [one for one in ids if one not in set(refused)]
        waiting = [one for one in taken if replies[one].status_code == 202]
        outputs = await world.outputs(waiting, 90)
        outputs |= {one: replies[one].json() for one in taken if replies[one].status_code == 200}
        assert outputs == {one: [1] for one in taken}
        verdict = world.verdict(taken)
        assert (verdict.faults, verdict.beyond_one, verdict.tasks) == ([], {}, len(taken))
        assert not any([await world.is_there(one) for one in refused[:200]])
        assert len(taken) >= COUNT // 10, codes
