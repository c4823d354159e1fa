"""What the Functions host is measured against: the same handlers on Starlette and uvicorn.

Run: python -m bench.plain_web PORT
"""

import os
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def add(request: Request) -> JSONResponse:
    """Add the numbers of the body."""
    return JSONResponse({"sum": sum((await request.json())["numbers"])})


async def add_in_thread(request: Request) -> JSONResponse:
    """Add the numbers of the body, in a thread of the pool."""
    numbers = (await request.json())["numbers"]
    return JSONResponse({"sum": await run_in_threadpool(sum, numbers)})


application = Starlette(
    routes=[
        Route("/api/add", add, methods=["POST"]),
        Route("/api/add_in_thread", add_in_thread, methods=["POST"]),
    ]
)

if __name__ == "__main__":
    # As the host's processes are: on a busy machine, Linux shares processors out by session.
    os.setsid()
    # The host writes no line for a request; with its access log, the other side would be slower.
    uvicorn.run(application, port=int(sys.argv[1]), log_level="warning")
