"""The measured functions of `bench/plain_worker.py` as a function app."""

import time

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.activity_trigger(input_name="milliseconds")
def step(milliseconds: int) -> int:
    """Take some time, or none."""
    if milliseconds:
        time.sleep(milliseconds / 1000)  # noqa: TID251 - a step that takes time is what is measured
    return milliseconds


@app.activity_trigger(input_name="rounds")
def busy(rounds: int) -> int:
    """Compute for a while."""
    return sum(number * number for number in range(rounds))


@app.orchestration_trigger(context_name="context")
def compute(context: df.DurableOrchestrationContext):
    """`width` computations at the same time."""
    width, rounds = context.get_input()
    results = yield context.task_all([context.call_activity("busy", rounds) for _ in range(width)])
    return len(results)


@app.orchestration_trigger(context_name="context")
def fan_out(context: df.DurableOrchestrationContext):
    """One step, then `width` steps at the same time."""
    width, milliseconds = context.get_input()
    yield context.call_activity("step", milliseconds)
    results = yield context.task_all(
        [context.call_activity("step", milliseconds) for _ in range(width)]
    )
    return len(results)


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    """Steps one after the other."""
    length = context.get_input()
    for _ in range(length):
        yield context.call_activity("step", 0)
    return length


@app.orchestration_trigger(context_name="context")
def waiting(context: df.DurableOrchestrationContext):
    """Wait for an event that may never come."""
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def nothing(context: df.DurableOrchestrationContext):
    """End at once."""
    return context.get_input()
    yield
