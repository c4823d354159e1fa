"""An app with a function of each auth level, and with names that would be markup in a page."""

import json

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp()  # FUNCTION, as everywhere where no level is given
app.agents = ["<img src=x onerror=\"document.title='through'\">"]

seen: list[str] = []


@app.route(route="open", auth_level=func.AuthLevel.ANONYMOUS, methods=["GET"])
def open_to_all(req: func.HttpRequest) -> str:
    return json.dumps(seen)


@app.route(route="guarded")
def guarded(req: func.HttpRequest) -> str:
    body = req.get_body().decode()
    if body == "raise":
        raise RuntimeError("as it was told")
    seen.append(f"{req.method} {body}")
    return "guarded"


@app.route(route="Other/{id:int?}", methods=["GET", "POST"])
def other(req: func.HttpRequest) -> str:
    return "other"


@app.route(route="root", auth_level=func.AuthLevel.ADMIN)
def root(req: func.HttpRequest) -> str:
    return "root"


@app.route(route="start", auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient):
    return client.create_check_status_response(req, await client.start_new("waits"))


@app.orchestration_trigger(context_name="context", orchestration="waits")
def waits(context: df.DurableOrchestrationContext):
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context", orchestration="<b>bold</b>")
def bold(context: df.DurableOrchestrationContext):
    return "bold"


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context: df.DurableEntityContext):
    context.set_state(1)


@app.activity_trigger(input_name="given")
def remember(given) -> None:
    seen.append(repr(given))
