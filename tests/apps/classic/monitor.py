"""The monitor: looks again and again, with pauses, until something is so or time is up."""

from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def monitor_file(context: df.DurableOrchestrationContext):
    wanted = context.get_input()
    expires = context.current_utc_datetime + timedelta(seconds=wanted["patience"])
    checks = 0
    while context.current_utc_datetime < expires:
        checks += 1
        if (yield context.call_activity("read_state", wanted["file"])) == "done":
            return {"seen": True, "looked_twice": checks > 1}
        context.set_custom_status("waiting")
        yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=50))
    return {"seen": False, "looked_twice": checks > 1}


@bp.activity_trigger(input_name="path")
def read_state(path: str) -> str:
    return Path(path).read_text()
