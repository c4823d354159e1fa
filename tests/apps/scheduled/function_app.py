"""An app with the SDK's schedules and its export of histories, into a folder."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func
from durabletask.extensions import history_export
from durabletask.scheduled import AsyncScheduledTaskClient, ScheduleCreationOptions


class Folder:
    """Writes each exported history to a file."""

    def write(self, *, blob_name: str, payload: bytes, **_: object) -> None:
        path = Path(os.environ["EXPORT_FOLDER"], blob_name)
        part = path.with_suffix(".part")
        part.write_bytes(payload)
        part.replace(path)


app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.configure_scheduled_tasks()
app.configure_history_export(Folder())


@app.orchestration_trigger(context_name="context")
def job(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("work", context.get_input()))


@app.activity_trigger(input_name="given")
def work(given: dict) -> dict:
    return given


# --- Schedules over HTTP -----------------------------------------------------------------------


@app.route(route="schedules/{name}", methods=["PUT"])
@app.durable_client_input(client_name="client")
async def create(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    options = ScheduleCreationOptions(
        req.route_params["name"],
        "job",
        timedelta(seconds=1),
        orchestration_input=req.get_json(),
        start_immediately_if_late=True,
    )
    await AsyncScheduledTaskClient(client).create_schedule(options)
    return "created"


@app.route(route="schedules", methods=["GET"])
@app.durable_client_input(client_name="client")
async def names(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    found = await AsyncScheduledTaskClient(client).list_schedules()
    return " ".join(schedule.schedule_id for schedule in found)


@app.route(route="schedules/{name}", methods=["DELETE"])
@app.durable_client_input(client_name="client")
async def delete(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    await AsyncScheduledTaskClient(client).get_schedule_client(req.route_params["name"]).delete()
    return "deleted"


# --- Exports over HTTP -------------------------------------------------------------------------


@app.route(route="exports/{name}", methods=["PUT"])
@app.durable_client_input(client_name="client")
async def export(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    """Export what ended in the hour since a moment; answers once that is done."""
    began = datetime.fromisoformat(req.params["began"])
    jobs = history_export.AsyncExportHistoryClient(client, Folder())
    options = history_export.ExportJobCreationOptions(
        history_export.ExportMode.BATCH,
        began,
        history_export.ExportDestination("exports"),
        completed_time_to=began + timedelta(hours=1),
        format=history_export.ExportFormat(history_export.ExportFormatKind.JSON),
    )
    await jobs.create_job(options, job_id=req.route_params["name"])
    done = await jobs.wait_for_job(req.route_params["name"], timeout=30, poll_interval=0.05)
    return f"{done.status.value} {done.failed_instances}"
