"""A function app with one function for each state that an instance or an entity can be in."""

import azure.durable_functions as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def doubling(context: df.DurableOrchestrationContext):
    context.set_custom_status("doubling")
    return (yield context.call_activity("double", context.get_input()))


@app.activity_trigger(input_name="value")
def double(value) -> object:
    return value * 2


@app.orchestration_trigger(context_name="context")
def waiting(context: df.DurableOrchestrationContext):
    return (yield context.wait_for_external_event("Go"))


@app.orchestration_trigger(context_name="context")
def failing(context: df.DurableOrchestrationContext):
    yield context.call_activity("fail", None)


@app.activity_trigger(input_name="nothing")
def fail(nothing) -> None:
    raise ValueError("out of stock")


@app.orchestration_trigger(context_name="context")
def echo(context: df.DurableOrchestrationContext):
    yield from ()
    return context.get_input()


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context: df.DurableEntityContext):
    match context.operation_name:
        case "add":
            context.set_state(context.get_state(lambda: 0) + context.get_input())
        case "delete":
            context.set_state(None)
        case name:
            context.set_state({"operation": name, "input": context.get_input()})


@app.entity_trigger(context_name="context", entity_name="Alone")
def alone(context: df.DurableEntityContext):
    context.set_state(context.get_input())
