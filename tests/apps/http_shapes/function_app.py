"""HTTP functions of every shape: what comes in, what goes out, and what goes wrong."""

import asyncio
import json
import threading
from pathlib import Path

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
held = threading.Semaphore(0)
running = threading.Semaphore(0)


@app.route(route="mirror", methods=["POST", "PUT"])
async def mirror(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(
        req.get_body(), mimetype=req.headers.get("content-type", "application/octet-stream")
    )


@app.route(route="seen/{*rest}")
async def seen(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(
        json.dumps(
            {
                "method": req.method,
                "url": req.url,
                "route": dict(req.route_params),
                "query": dict(req.params),
                "headers": dict(req.headers),
                "length": len(req.get_body()),
            }
        ),
        mimetype="application/json",
    )


@app.route(route="json", methods=["POST"])
async def read_json(req: func.HttpRequest) -> func.HttpResponse:
    try:
        value = req.get_json()
    except ValueError:
        return func.HttpResponse("no JSON", status_code=400)
    return func.HttpResponse(json.dumps(value))


@app.route(route="items/{id:int}")
async def item_by_number(req: func.HttpRequest) -> str:
    return f"number {req.route_params['id']}"


@app.route(route="items/{name:alpha:length(2,4)}")
async def item_by_name(req: func.HttpRequest) -> str:
    return f"name {req.route_params['name']}"


@app.route(route="items/{code:regex(^[0-9]{{3}}-[a-z]+$)}")
async def item_by_code(req: func.HttpRequest) -> str:
    return f"code {req.route_params['code']}"


@app.route(route="page/{number:int=1}/{size?}")
async def page(req: func.HttpRequest) -> str:
    return f"{req.route_params['number']} {req.route_params.get('size')}"


@app.route(route="cookies")
async def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("ok")
    response.headers.add("Set-Cookie", "a=1; Path=/; Secure; HttpOnly; SameSite=Strict")
    response.headers.add("Set-Cookie", "b=2; Expires=Wed, 21 Oct 2037 07:28:00 GMT")
    response.headers.add("Set-Cookie", "c=3; Domain=localhost; Max-Age=60")
    return response


@app.route(route="status/{code}")
async def status(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("text", status_code=int(req.route_params["code"]))


@app.route(route="header")
async def header(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("text", headers={"x-echo": req.params["value"]})


@app.route(route="wrong_length")
async def wrong_length(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("text", headers={"Content-Length": "1000"})


@app.route(route="broken")
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise LookupError("secret of the app")


@app.route(route="block")
def block(req: func.HttpRequest) -> str:
    running.release()
    held.acquire()
    return "let go"


@app.route(route="await")
async def wait_for_it(req: func.HttpRequest) -> str:
    for _ in range(int(req.params["count"])):
        await asyncio.to_thread(running.acquire)
    return "they run"


@app.route(route="release")
async def release(req: func.HttpRequest) -> str:
    held.release(int(req.params["count"]))
    return "released"


@app.route(route="quick")
def quick(req: func.HttpRequest) -> str:
    return "quick"


@app.route(route="until")
async def until(req: func.HttpRequest) -> str:
    # No event, as nothing gets in that could set it.
    while not Path(req.params["file"]).exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.01)
    return "it is there"
