"""An app written for azure-functions-durable 2.x: two-argument functions and the new names."""

import azure.durable_functions as df
import azure.functions as func
import bank
import events
import orders
import web

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for module in (bank, events, orders, web):
    app.register_functions(module.bp)


@app.route(route="run/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
def run(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
    """A synchronous function with a synchronous client, which waits for the end."""
    instance_id = client.schedule_new_orchestration(
        req.route_params["name"], input=req.get_json(), tags={"from": "http"}
    )
    state = client.wait_for_orchestration_completion(instance_id, timeout=60)
    state.raise_if_failed()
    return func.HttpResponse(state.serialized_output, mimetype="application/json")


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    instance_id = await client.schedule_new_orchestration(
        req.route_params["name"], input=req.get_json()
    )
    await client.wait_for_orchestration_start(instance_id, timeout=60)
    return client.create_check_status_response(req, instance_id)
