"""What `start` tells a person once everything runs: addresses, agents, flows, data, model."""

import shlex
from pathlib import Path
from urllib.parse import quote

from local_runtime.processes.runtime import Plan, RunningRuntime

WEBHOOK = "/runtime/webhooks/durabletask"

KEY_VARIABLE = "FUNCTIONS_KEY"

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
    if plan.enable_auth:
        rows.append(("Keys", "asked for"))
    lines = ["", "The embedded runtime is running.", ""]
    lines += [f"  {title:<10} {text}" for title, text in rows]
    starts = [f"  {_curl(running, name)}" for name in running.orchestrators]
    if plan.enable_auth:
        lines += ["", "Make the key that opens everything, once, and use it:", _first_key(plan)]
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
    if running.plan.enable_auth:
        # Through a pipe: what is given to curl itself, every user sees in the list of processes.
        return f'echo "x-functions-key: ${KEY_VARIABLE}" | {shlex.join([*command, "-H", "@-"])}'
    return shlex.join(command)


def _first_key(plan: Plan) -> str:
    make = ["python", "-m", "local_runtime", "keys", "create", "_master", "--data", str(plan.data)]
    return f"  export {KEY_VARIABLE}=$({shlex.join(make)})"
