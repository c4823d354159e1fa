"""An orchestration without end: it does its work, rests, and begins anew with another input."""

from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def sweep_forever(context: df.DurableOrchestrationContext):
    state = context.get_input()
    swept = yield context.call_activity("sweep", state["folder"])
    total = state.get("swept", 0) + swept
    context.set_custom_status({"swept": total})
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=20))
    context.continue_as_new({"folder": state["folder"], "swept": total})


@bp.activity_trigger(input_name="folder")
def sweep(folder: str) -> int:
    found = list(Path(folder).iterdir())
    for path in found:
        path.unlink()
    return len(found)
