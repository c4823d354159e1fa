"""An app whose activity, while the setting HOLD is there, never ends by itself."""

import asyncio
import os

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
_held = asyncio.Event()


@app.orchestration_trigger(context_name="context")
def hold_once(context: df.DurableOrchestrationContext):
    first = yield context.call_activity("recorded", context.instance_id)
    second = yield context.call_activity("hold", context.instance_id)
    return [first, second]


@app.activity_trigger(input_name="key")
def recorded(key: str) -> int:
    return os.getpid()


@app.activity_trigger(input_name="key")
async def hold(key: str) -> int:
    if os.environ.get("HOLD"):
        _held.set()
        await asyncio.Event().wait()
    return os.getpid()


@app.orchestration_trigger(context_name="context")
def ask(context: df.DurableOrchestrationContext):
    return (yield context.wait_for_external_event("answer"))


@app.route(route="held")
async def held(req: func.HttpRequest) -> str:
    """Answers once the activity is being held."""
    await _held.wait()
    return str(os.getpid())
