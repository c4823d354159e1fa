"""Very many requests at once: each is carried, or refused before it has begun.

`BURST` is how many.
"""

import asyncio
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from host_process import APPS, WEBHOOK, running_host
from storage_answers import until

APP = APPS / "paid"
BURST = int(os.environ.get("BURST", "1300"))
STARTS_SETTING = (
    "AzureFunctionsJobHost__extensions__durableTask__httpSettings__maxOutstandingStarts"
)


async def post(port: int, path: str) -> tuple[int, bytes]:
    """Send a request on a connection of its own; the status and the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    reply = await reader.read()
    writer.close()
    return int(reply.split(b" ", 2)[1]), reply.partition(b"\r\n\r\n")[2]


def states(http: httpx.Client) -> Counter[str]:
    """How many instances there are, by their state."""
    found: Counter[str] = Counter()
    token = None
    while token != "":
        headers = {"x-ms-continuation-token": token or ""}
        reply = http.get(f"{WEBHOOK}/instances?top=1000", headers=headers)
        found.update(one["runtimeStatus"] for one in reply.json())
        token = reply.headers["x-ms-continuation-token"]
    return found


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_of_a_burst_of_starts_that_wait_none_fails_and_all_complete(scheduler):
    with running_host(APP, scheduler, task_hub="burst") as (part, http):
        path = f"{WEBHOOK}/orchestrators/chain"
        port = http.base_url.port
        replies = await asyncio.gather(
            *(post(port, f"{path}/i{number}?timeout=30") for number in range(BURST))
        )

        assert {status for status, _ in replies} <= {200, 202}
        assert {body for status, body in replies if status == 200} <= {b"3"}
        until(lambda: states(http) == {"Completed": BURST})
        assert "could not be" not in part.log


def test_past_its_limit_a_host_refuses_starts_before_anything_has_begun(scheduler):
    environ = {STARTS_SETTING: "3"}
    with (
        running_host(APP, scheduler, environ=environ, task_hub="limited") as (_, http),
        ThreadPoolExecutor(3) as threads,
    ):
        url = f"{WEBHOOK}/orchestrators/asks"
        waiting = [threads.submit(http.post, f"{url}/i{n}?timeout=60") for n in range(3)]
        until(lambda: states(http) == {"Running": 3})

        refused = http.post(f"{url}/one-more")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert "Nothing has started" in refused.json()["Message"]
        for number in range(3):
            http.post(f"{WEBHOOK}/instances/i{number}/raiseEvent/answer", json=number)
        assert sorted(reply.result().json() for reply in waiting) == [0, 1, 2]

        assert http.get(f"{WEBHOOK}/instances/one-more").status_code == 404
        assert http.post(f"{url}/one-more").status_code == 202
