"""The function app under measurement: one HTTP function that reads JSON and answers JSON."""

import json

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="add", methods=["POST"])
async def add(req: func.HttpRequest) -> func.HttpResponse:
    """Add the numbers of the body."""
    total = sum(req.get_json()["numbers"])
    return func.HttpResponse(json.dumps({"sum": total}), mimetype="application/json")


@app.route(route="add_in_thread", methods=["POST"])
def add_in_thread(req: func.HttpRequest) -> func.HttpResponse:
    """Add the numbers of the body, in a thread of the pool."""
    total = sum(req.get_json()["numbers"])
    return func.HttpResponse(json.dumps({"sum": total}), mimetype="application/json")
