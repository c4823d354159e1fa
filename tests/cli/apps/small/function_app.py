"""A small app in a folder of its own, for tests of the command line and the dashboard."""

from datetime import timedelta

import azure.durable_functions as df

import agents

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def doubled(context):
    return (yield context.call_activity("double", context.get_input()))


@app.orchestration_trigger(context_name="context")
def fails(context):
    yield context.call_activity("break_", context.get_input())


@app.orchestration_trigger(context_name="context")
def waits(context):
    context.set_custom_status("waiting for the event 'go'")
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def rests(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=2))
    return "rested"


@app.orchestration_trigger(context_name="context")
def whose_agents(context):
    return agents.WHOSE


@app.orchestration_trigger(context_name="context")
def parent(context):
    return (yield context.call_sub_orchestrator("doubled", context.get_input()))


@app.orchestration_trigger(context_name="context", orchestration="Renamed")
def known_by_another_name(context):
    return context.instance_id


@app.activity_trigger(input_name="number")
def double(number: int) -> int:
    print("printed by an activity")  # noqa: T201
    return number * 2


@app.activity_trigger(input_name="what")
def break_(what: str) -> None:
    raise ValueError(f"<b>{what}</b> is broken")
