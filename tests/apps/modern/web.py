"""Durable HTTP calls: of services that answer at once, later (202), or with an error."""

import azure.durable_functions as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def fetch(context: df.DurableOrchestrationContext):
    wanted = context.get_input()
    response = yield context.call_http(
        wanted["method"], wanted["url"], wanted.get("content"), headers={"X-Test": "yes"}
    )
    return {"status": response.status_code, "content": response.content}
