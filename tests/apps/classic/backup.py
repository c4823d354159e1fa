"""Fan-out and fan-in: every file of a folder is copied, and the sizes are added up."""

import shutil
from pathlib import Path

import azure.durable_functions as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def backup_folder(context: df.DurableOrchestrationContext):
    wanted = context.get_input()
    names = yield context.call_activity("list_files", wanted["source"])
    tasks = [context.call_activity("copy_file", {**wanted, "name": name}) for name in names]
    sizes = yield context.task_all(tasks)
    return {"files": len(names), "bytes": sum(sizes)}


@bp.activity_trigger(input_name="folder")
def list_files(folder: str) -> list:
    return sorted(path.name for path in Path(folder).iterdir())


@bp.activity_trigger(input_name="wanted")
def copy_file(wanted: dict) -> int:
    copy = shutil.copy(Path(wanted["source"], wanted["name"]), wanted["target"])
    return Path(copy).stat().st_size
