"""An app whose functions of every kind say something in the log."""

import asyncio
import logging

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
logger = logging.getLogger("talkative")


@app.orchestration_trigger(context_name="context")
def tour(context: df.DurableOrchestrationContext):
    if not context.is_replaying:
        logger.info("said by an orchestrator")
    yield context.task_all(
        [context.call_activity("on_thread", None), context.call_activity("on_loop", None)]
    )
    yield context.call_entity(df.EntityId("listener", "one"), "hear")
    return context.instance_id


@app.activity_trigger(input_name="nothing")
def on_thread(nothing) -> None:
    logger.info("said on a thread")


@app.activity_trigger(input_name="nothing")
async def on_loop(nothing) -> None:
    await asyncio.to_thread(logger.info, "said beside the loop")
    logger.info("said on the loop")


@app.entity_trigger(context_name="context")
def listener(context: df.DurableEntityContext):
    logger.info("said by an entity")


@app.orchestration_trigger(context_name="context")
def mishap(context: df.DurableOrchestrationContext):
    yield context.call_activity("stumble", None)


@app.activity_trigger(input_name="nothing")
def stumble(nothing) -> None:
    raise RuntimeError("stumbled\n12:00:00.000 INFO    host: all is well")


@app.route(route="say", methods=["POST"])
def say(req: func.HttpRequest, context: func.Context) -> str:
    logger.info("heard: %s", req.get_body().decode())
    return context.invocation_id
