"""An app whose article is too large for the managed scheduler, and goes through everything."""

import azure.durable_functions as df
import azure.functions as func

from durable_agents import AgentFunctionApp, payload_store_from_environment

app = AgentFunctionApp(
    payload_store=payload_store_from_environment(), http_auth_level=func.AuthLevel.ANONYMOUS
)

SIZE = 1_500_000


@app.orchestration_trigger(context_name="context")
def publish(context: df.DurableOrchestrationContext):
    """Writes an article, edits it, keeps it in an entity, and returns what the entity has."""
    draft = yield context.call_activity("write", context.get_input())
    edited = yield context.call_activity("edit", draft)
    shelf = df.EntityId("shelf", context.instance_id)
    return (yield context.call_entity(shelf, "keep", edited))


@app.orchestration_trigger(context_name="context")
def echo(context: df.DurableOrchestrationContext):
    return context.get_input()


@app.activity_trigger(input_name="topic")
def write(topic: str) -> str:
    return (topic + " ") * (SIZE // (len(topic) + 1))


@app.activity_trigger(input_name="draft")
async def edit(draft: str) -> str:
    return draft.upper()


@app.entity_trigger(context_name="context")
def shelf(context: df.DurableEntityContext) -> None:
    article = context.get_input()
    context.set_state(article)
    context.set_result(article)


@app.route(route="article/{id}")
@app.durable_client_input(client_name="client")
async def article(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    """Reads the output through the SDK's client."""
    state = await client.get_orchestration_state(req.route_params["id"])
    return state.get_output()


@app.route(route="echo/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_echo(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    """Starts with a large input through the SDK's client."""
    text = req.get_body().decode()
    return await client.schedule_new_orchestration(
        "echo", input=text, instance_id=req.route_params["id"]
    )
