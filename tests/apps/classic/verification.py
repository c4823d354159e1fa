"""Human interaction: a code is sent, and the right answer must come before a timer ends."""

from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def verify(context: df.DurableOrchestrationContext):
    wanted = context.get_input()
    code = yield context.call_activity("send_code", wanted["phone"])
    deadline = context.current_utc_datetime + timedelta(seconds=wanted["patience"])
    timer = context.create_timer(deadline)
    for attempt in range(1, 4):
        context.set_custom_status({"attempt": attempt})
        answer = context.wait_for_external_event("answer")
        winner = yield context.task_any([timer, answer])
        if winner is timer:
            return "too late"
        if answer.result == code:
            timer.cancel()
            return "verified"
    timer.cancel()
    return "refused"


@bp.activity_trigger(input_name="phone")
def send_code(phone: str) -> int:
    """The phone is a file."""
    code = 4000 + len(phone)
    Path(phone).write_text(str(code))
    return code
