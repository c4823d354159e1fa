"""HTTP functions that stream, through the FastAPI extension."""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import azure.durable_functions as df
import azure.functions as func
from azurefunctions.extensions.http.fastapi import (
    JSONResponse,
    Request,
    Response,
    StreamingResponse,
)

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
seen: Counter[str] = Counter()
ended = asyncio.Event()


@app.route(route="first", methods=["POST"])
async def first(req: Request) -> StreamingResponse:
    chunk = await anext(req.stream())

    async def run() -> AsyncIterator[bytes]:
        yield b"got "
        yield chunk

    return StreamingResponse(run())


@app.route(route="guarded", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
async def guarded(req: Request) -> JSONResponse:
    return JSONResponse(len(await req.body()))


@app.route(route="count", methods=["POST"])
async def count(req: Request) -> JSONResponse:
    chunks, size = 0, 0
    async for chunk in req.stream():
        chunks, size = chunks + 1, size + len(chunk)
    return JSONResponse({"several": chunks > 1, "size": size})


@app.route(route="items/{id:int}/{rest?}", methods=["GET", "HEAD"])
async def item(req: Request) -> Response:
    response = JSONResponse(
        {
            "route": req.path_params,
            "url": str(req.url),
            "query": req.query_params.multi_items(),
            "many": req.headers.getlist("x-many"),
        }
    )
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    response.headers.append("x-many", "1")
    response.headers.append("x-many", "2")
    return response


@app.route(route="text")
def text(req: Request) -> str:
    return "from a thread"


@app.route(route="ticks")
async def ticks(req: Request) -> StreamingResponse:
    async def run() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    return StreamingResponse(run(), media_type="text/event-stream")


@app.route(route="ended")
async def has_ended(req: Request) -> str:
    await ended.wait()
    return "ended"


@app.route(route="broken")
async def broken(req: Request) -> Response:
    raise LookupError("before the first byte")


@app.route(route="broken_stream")
async def broken_stream(req: Request) -> StreamingResponse:
    async def run() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0)
        raise LookupError("after the first byte")

    return StreamingResponse(run())


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: Request, client: df.DurableOrchestrationClient) -> JSONResponse:
    return JSONResponse({"id": await client.start_new(req.path_params["name"])})


@app.orchestration_trigger(context_name="context")
def greet(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("hello", "you"))


@app.activity_trigger(input_name="name")
def hello(name: str) -> str:
    return f"Hello {name}!"


@app.route(route="exits")
async def exits(req: Request) -> Response:
    raise SystemExit(3)


@app.route(route="pid")
async def pid(req: Request) -> JSONResponse:
    return JSONResponse(os.getpid())


@app.route(route="hangs")
async def hangs(req: Request) -> Response:
    await asyncio.Event().wait()
    return Response()


@app.route(route="hangs_on_a_thread")
def hangs_on_a_thread(req: Request) -> str:
    threading.Event().wait()
    return ""


@app.route(route="hanging_stream")
async def hanging_stream(req: Request) -> StreamingResponse:
    async def run() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.Event().wait()

    return StreamingResponse(run())


@app.route(route="hanging_stream_on_a_thread")
async def hanging_stream_on_a_thread(req: Request) -> StreamingResponse:
    def run() -> Iterator[bytes]:
        yield b"one"
        threading.Event().wait()

    return StreamingResponse(run())
