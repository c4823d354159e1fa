"""A function app of the public samples' kind: it knows nothing of the runtime that runs it."""

import asyncio
import json
import logging
import threading
from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func
from shared_code.greetings import greet

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


# --- Starting an orchestration from an HTTP function -------------------------------------------


@app.route(route="orchestrators/{functionName}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client: df.DurableOrchestrationClient):
    body = req.get_body()
    payload = json.loads(body) if body else None
    name = req.route_params["functionName"]
    instance_id = await client.schedule_new_orchestration(name, input=payload)
    logging.info("Started orchestration with ID = '%s'.", instance_id)
    return client.create_check_status_response(req, instance_id)


# --- Function chaining -------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def chaining(context: df.DurableOrchestrationContext):
    tokyo = yield context.call_activity("say_hello", "Tokyo")
    seattle = yield context.call_activity("say_hello", "Seattle")
    london = yield context.call_activity("say_hello", "London")
    context.set_custom_status({"greeted": 3})
    return [tokyo, seattle, london]


@app.activity_trigger(input_name="city")
def say_hello(city: str) -> str:
    return greet(city)


# --- Fan-out and fan-in ------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def fan_out_fan_in(context: df.DurableOrchestrationContext):
    numbers = yield context.call_activity("make_work", context.get_input())
    squares = yield context.task_all([context.call_activity("square", n) for n in numbers])
    return sum(squares)


@app.activity_trigger(input_name="count")
def make_work(count: int) -> list:
    return list(range(count))


@app.activity_trigger(input_name="number")
async def square(number: int) -> int:
    return number * number


@app.orchestration_trigger(context_name="context")
def meeting(context: df.DurableOrchestrationContext):
    """Ends only if all its activities run at the same time."""
    guests = context.get_input()
    yield context.task_all([context.call_activity("meet", guests) for _ in range(guests)])
    yield context.task_all([context.call_activity("meet_async", guests) for _ in range(guests)])
    return "met"


_table = threading.Barrier(10)
_arrived = 0
_everyone = asyncio.Event()


@app.activity_trigger(input_name="guests")
def meet(guests: int) -> int:
    return _table.wait(timeout=20)


@app.activity_trigger(input_name="guests", activity="meet_async")
async def meet_without_a_thread(guests: int) -> None:
    global _arrived
    _arrived += 1
    if _arrived == guests:
        _everyone.set()
    await asyncio.wait_for(_everyone.wait(), 20)


# --- Human interaction: an event against a timer -----------------------------------------------


@app.orchestration_trigger(context_name="context")
def approval(context: df.DurableOrchestrationContext):
    wanted = context.get_input() or {}
    deadline = context.current_utc_datetime + timedelta(seconds=wanted.get("seconds", 3600))
    timeout = context.create_timer(deadline)
    answer = context.wait_for_external_event(wanted.get("event", "Approval"))
    winner = yield context.task_any([answer, timeout])
    if winner == timeout:
        return "escalated"
    timeout.cancel()
    return {"approved": answer.result}


# --- A counter entity, and HTTP functions about it ---------------------------------------------


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context: df.DurableEntityContext):
    value = context.get_state(lambda: 0)
    match context.operation_name:
        case "add":
            value += context.get_input()
        case "reset":
            value = 0
        case "get":
            context.set_result(value)
        case other:
            raise ValueError(f"no operation {other}")
    context.set_state(value)


@app.route(route="counter/{key}/{amount:int}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def counter_add(req: func.HttpRequest, client: df.DurableOrchestrationClient):
    entity = df.EntityId("Counter", req.route_params["key"])
    await client.signal_entity(entity, "add", int(req.route_params["amount"]))
    return func.HttpResponse(status_code=202)


@app.route(route="counter/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def counter_read(req: func.HttpRequest, client: df.DurableOrchestrationClient):
    response = await client.read_entity_state(df.EntityId("Counter", req.route_params["key"]))
    if not response.entity_exists:
        return func.HttpResponse(status_code=404)
    return func.HttpResponse(
        json.dumps({"value": response.entity_state}), mimetype="application/json"
    )


@app.orchestration_trigger(context_name="context")
def count_up(context: df.DurableOrchestrationContext):
    entity = df.EntityId("Counter", context.instance_id)
    for _ in range(3):
        yield context.call_entity(entity, "add", 2)
    return (yield context.call_entity(entity, "get"))


@app.orchestration_trigger(context_name="context")
def entity_trouble(context: df.DurableOrchestrationContext):
    try:
        yield context.call_entity(df.EntityId(context.get_input(), "one"), "explode")
    except Exception as error:
        return str(error)


@app.orchestration_trigger(context_name="context")
def countdown(context: df.DurableOrchestrationContext):
    """Starts itself anew, with a pause, until it has counted down."""
    left = context.get_input()
    if left == 0:
        return "lift-off"
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=10))
    context.continue_as_new(left - 1)


# --- Sub-orchestrations, retry, failures -------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def parent(context: df.DurableOrchestrationContext):
    sums = yield context.task_all(
        [context.call_sub_orchestrator("fan_out_fan_in", n) for n in (3, 4)]
    )
    return sums


@app.orchestration_trigger(context_name="ctx")
def two_arguments(ctx, name):
    """The shape that durabletask itself has: the input is the second argument."""
    greeting = yield ctx.call_activity("say_hello", input=name)
    return greeting


@app.orchestration_trigger(context_name="context")
def persistent(context: df.DurableOrchestrationContext):
    options = df.RetryOptions(first_retry_interval_in_milliseconds=10, max_number_of_attempts=3)
    return (yield context.call_activity_with_retry("fails_twice", options, context.instance_id))


@app.orchestration_trigger(context_name="context")
def impatient(context: df.DurableOrchestrationContext):
    greeting = yield context.call_activity("say_hello", "once")
    attempts = yield context.call_activity("fails_twice", context.instance_id)
    return [greeting, attempts]


_attempts: dict[str, int] = {}


@app.activity_trigger(input_name="key")
def fails_twice(key: str) -> int:
    _attempts[key] = _attempts.get(key, 0) + 1
    if _attempts[key] < 3:
        raise RuntimeError(f"attempt {_attempts[key]} fails")
    return _attempts[key]


@app.orchestration_trigger(context_name="context")
def failing(context: df.DurableOrchestrationContext):
    yield context.call_activity(context.get_input(), None)


@app.activity_trigger(input_name="nothing")
def explode(nothing) -> None:
    raise ValueError("the first line\nthe second line")


@app.activity_trigger(input_name="nothing")
def exits(nothing) -> None:
    raise SystemExit("enough")


@app.activity_trigger(input_name="nothing")
def too_much(nothing) -> str:
    return "x" * (65 * 1024 * 1024)


@app.activity_trigger(input_name="nothing")
def explode_with_details(nothing) -> None:
    text = ' "Refused", "errorMessage": "out of stock", "isNonRetriable": true}'
    raise type('{"errorType"', (Exception,), {})(text.strip())


# --- HTTP functions ----------------------------------------------------------------------------


@app.route(route="echo/{word}/{times:int?}", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    answer = {
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route": dict(req.route_params),
        "header": req.headers.get("X-Test"),
        "body": req.get_body().decode(),
    }
    response = func.HttpResponse(json.dumps(answer), status_code=201, mimetype="application/json")
    response.headers["X-Echo"] = "yes"
    response.headers.add("Set-Cookie", "taste=sweet; Path=/; HttpOnly; SameSite=Lax; Max-Age=60")
    response.headers.add("Set-Cookie", "other=1")
    return response


@app.route(route="files/{*path}")
def files(req: func.HttpRequest) -> str:
    return req.route_params.get("path", "(none)")


@app.route(route="files/special")
def special_file(req: func.HttpRequest) -> str:
    return "special"


@app.route()
def plain(req: func.HttpRequest) -> str:
    return "grüße"


@app.route()
def silent(req: func.HttpRequest) -> func.HttpResponse:
    return None


@app.route()
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("broken on purpose")


@app.route(route="wait/{name}")
@app.durable_client_input(client_name="client")
def wait_for_it(req: func.HttpRequest, client):
    """A synchronous function that waits, in its thread, for an orchestration."""
    instance_id = client.schedule_new_orchestration(req.route_params["name"])
    state = client.wait_for_orchestration_completion(instance_id, timeout=20)
    return func.HttpResponse(state.serialized_output, mimetype="application/json")


# --- A trigger that is not served --------------------------------------------------------------


@app.queue_trigger(arg_name="msg", queue_name="jobs", connection="AzureWebJobsStorage")
def on_message(msg: func.QueueMessage) -> None:
    logging.info("never called here")
