"""What `start` tells a person once everything runs: addresses, agents, flows, data, model."""

import shlex
from pathlib import Path
from urllib.parse import quote

from local_runtime.processes.runtime import RunningRuntime

WEBHOOK = "/runtime/webhooks/durabletask"

OFFLINE_NOTICE = (
    "No model is configured: an offline stand-in answers. Its replies are canned, not a model's. "
    "Set OPENAI_API_KEY, OPENAI_BASE_URL or AZURE_OPENAI_ENDPOINT to use a real one."
)


def banner(running: RunningRuntime) -> str:
    """Return the lines that `start` prints."""
    plan = running.plan
    rows = [
        ("Functions", running.host_url),
        ("Scheduler", f"{running.scheduler_url}  (gRPC; task hub {plan.task_hub!r})"),
    ]
    if plan.workers > 1:
        rows.append(("Workers", f"{plan.workers} processes; the first serves HTTP"))
    if running.dashboard_url:
        rows.append(("Dashboard", running.dashboard_url))
    rows += [
        ("App", f"{plan.app_dir}{'  (loaded again when a file changes)' if plan.watch else ''}"),
        ("Data", str(plan.data)),
        ("Agents", ", ".join(running.agents) or "none"),
        ("Flows", ", ".join(running.orchestrators) or "none"),
        ("Model", OFFLINE_NOTICE if plan.offline_model else "as configured"),
    ]
    lines = ["", "The embedded runtime is running.", ""]
    lines += [f"  {title:<10} {text}" for title, text in rows]
    starts = [f"  {_curl(running, name)}" for name in running.orchestrators]
    if starts:
        lines += ["", "Start a flow:", *starts]
    return "\n".join([*lines, "", "Stop with Ctrl-C.", ""])


def _curl(running: RunningRuntime, orchestrator: str) -> str:
    url = f"{running.host_url}{WEBHOOK}/orchestrators/{quote(orchestrator, safe='')}"
    command = ["curl", "-i", "-X", "POST", url, "-H", "Content-Type: application/json"]
    sample = Path("orchestrations", "samples", f"{orchestrator}.json")
    if (running.plan.app_dir / sample).is_file():
        in_app_dir = running.plan.app_dir == Path.cwd()
        command += ["-d", f"@{sample if in_app_dir else running.plan.app_dir / sample}"]
    else:
        command += ["-d", "null"]
    return shlex.join(command)
