"""Timers: one each second, one that was late, one at the start, and some that are wrong."""

import asyncio
import json
import logging

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
_runs: list[dict] = []
_more = asyncio.Condition()


async def note(name: str, timer: func.TimerRequest) -> None:
    async with _more:
        _runs.append({"name": name, "past_due": timer.past_due, "status": timer.schedule_status})
        _more.notify_all()


@app.timer_trigger(arg_name="timer", schedule="%OFTEN%")
async def often(timer: func.TimerRequest) -> None:
    await note("often", timer)


@app.timer_trigger(arg_name="timer", schedule="0 0 5 * * *")
async def nightly(timer: func.TimerRequest) -> None:
    await note("nightly", timer)


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
@app.durable_client_input(client_name="client")
async def at_start(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    await client.schedule_new_orchestration("report", instance_id="first-report")
    await note("at_start", timer)


@app.timer_trigger(arg_name="timer", schedule="365.00:00:00", use_monitor=False)
async def by_hand(timer: func.TimerRequest) -> None:
    await note("by_hand", timer)


@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def failing(timer: func.TimerRequest) -> None:
    raise RuntimeError("failed on purpose")


@app.timer_trigger(arg_name="timer", schedule="0 0 25 * * *")
def malformed(timer: func.TimerRequest) -> None:
    logging.info("never called")


@app.timer_trigger(arg_name="timer", schedule="%NOT_SET%")
def unset(timer: func.TimerRequest) -> None:
    logging.info("never called")


@app.orchestration_trigger(context_name="context")
def report(context: df.DurableOrchestrationContext):
    return "reported"


@app.route(route="runs/{name}/{count:int}")
async def runs(req: func.HttpRequest) -> str:
    """Answers once a timer has run so often."""
    name, count = req.route_params["name"], int(req.route_params["count"])

    def found() -> list[dict]:
        return [run for run in _runs if run["name"] == name]

    async with _more:
        await _more.wait_for(lambda: len(found()) >= count)
    return json.dumps(found())


# A DFApp has no `retry`; a blueprint of the plain library has.
retried = func.Blueprint()


async def note_retry(name: str, context: func.Context) -> None:
    retry = context.retry_context
    async with _more:
        _runs.append(
            {
                "name": name,
                "retry": retry.retry_count,
                "most": retry.max_retry_count,
                "error": retry.rpc_exception.message,
                "invocation": context.invocation_id,
            }
        )
        _more.notify_all()


@retried.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
@retried.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
async def never_works(timer: func.TimerRequest, context: func.Context) -> None:
    await note_retry("never_works", context)
    raise ValueError("no luck")


@retried.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
@retried.retry(
    strategy="exponential_backoff",
    max_retry_count="-1",
    minimum_interval="00:00:01",
    maximum_interval="00:00:02",
)
async def works_at_last(timer: func.TimerRequest, context: func.Context) -> None:
    await note_retry("works_at_last", context)
    if context.retry_context.retry_count < 2:
        raise ValueError("not yet")


@retried.timer_trigger(arg_name="timer", schedule="* * * * * *")
@retried.retry(strategy="now_and_then", max_retry_count="1")
def odd_policy(timer: func.TimerRequest) -> None:
    logging.info("never called")


@retried.route(route="odd")
@retried.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
async def not_a_timer(req: func.HttpRequest) -> str:
    async with _more:
        _runs.append({"name": "not_a_timer"})
    raise ValueError("once")


app.register_functions(retried)
