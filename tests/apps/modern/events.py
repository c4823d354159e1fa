"""Events between orchestrations and from clients, timers, suspension, and starting anew."""

import logging
from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func
from durabletask.task import when_any

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def gather(context, wanted):
    """Collects events, begins anew after each, and keeps those that came meanwhile."""
    item = yield context.wait_for_external_event("item")
    got = [*wanted.get("got", []), item]
    if len(got) == wanted["count"]:
        return got
    context.continue_as_new({**wanted, "got": got}, save_events=True)


@bp.orchestration_trigger(context_name="context")
def ping(context, other):
    """Sends an event to another orchestration, which answers with one."""
    context.send_event(other, "ping", data=context.instance_id)
    return (yield context.wait_for_external_event("pong"))


@bp.orchestration_trigger(context_name="context")
def pong(context, _):
    sender = yield context.wait_for_external_event("ping")
    context.send_event(sender, "pong", data=f"hello from {context.instance_id}")
    return "answered"


@bp.orchestration_trigger(context_name="context")
def race(context, milliseconds):
    logger = context.create_replay_safe_logger(logging.getLogger("race"))
    logger.info("waiting for %s", context.instance_id)
    answer = context.wait_for_external_event("answer")
    timer = context.create_timer(timedelta(milliseconds=milliseconds))
    winner = yield when_any([answer, timer])
    logger.info("decided for %s", context.instance_id)
    return "late" if winner is timer else answer.get_result()


@bp.route(route="instances/{id}/{operation}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def control(req: func.HttpRequest, client: df.DurableFunctionsClient) -> str:
    instance_id = req.route_params["id"]
    match req.route_params["operation"]:
        case "suspend":
            await client.suspend_orchestration(instance_id)
        case "resume":
            await client.resume_orchestration(instance_id)
        case "purge":
            result = await client.purge_orchestration(instance_id)
            return str(result.deleted_instance_count)
        case event:
            await client.raise_orchestration_event(instance_id, event, data=req.get_json())
    return "done"
