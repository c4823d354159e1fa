"""An app written for azure-functions-durable 1.x: blueprints, one-argument functions, old names.

Nothing is kept in the process, so that it may run in several.
"""

import json

import azure.durable_functions as df
import azure.functions as func
import backup
import eternal
import monitor
import provisioning
import verification

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(backup.bp)
app.register_functions(monitor.bp)
app.register_blueprint(eternal.bp)
app.register_blueprint(provisioning.bp)
app.register_blueprint(verification.bp)


@app.route(route="orchestrators/{name}/{id?}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new(
        req.route_params["name"], req.route_params.get("id"), req.get_json()
    )
    return client.create_check_status_response(req, instance_id)


@app.route(route="results/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def result(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new(req.route_params["name"], client_input=req.get_json())
    return await client.wait_for_completion_or_create_check_status_response(
        req, instance_id, timeout_in_milliseconds=30_000
    )


@app.route(route="instances/{id}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def status(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    found = await client.get_status(req.route_params["id"], show_history=True, show_input=True)
    if not found:
        return func.HttpResponse(status_code=404)
    return func.HttpResponse(json.dumps(found.to_json()), mimetype="application/json")


@app.route(route="instances/{id}/stop", methods=["POST"])
@app.durable_client_input(client_name="client")
async def stop(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    await client.terminate(req.route_params["id"], req.params["reason"])
    return "stopping"
