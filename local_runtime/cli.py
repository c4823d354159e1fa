"""The command line: reads the options, starts what they ask for, shows errors to a person."""

import asyncio
import json
import logging
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from local_runtime.commands.keys_command import keys_app
from local_runtime.commands.options import AppOption, DataOption
from local_runtime.commands.run_input import read_input
from local_runtime.descriptors import raise_limit
from local_runtime.errors import StartupError
from local_runtime.log_setup import LOG_LEVEL, set_up_logging
from local_runtime.processes.part_process import Facts, PartControl, run_part
from local_runtime.proxies import bypass_proxies
from local_runtime.settings import AppSettings, check_app_dir, data_folder

logger = logging.getLogger("local_runtime")

_MAX_DAYS = 36_500

app = typer.Typer(
    name="local_runtime",
    help="Runs a durable function app on this machine, without Azure.",
    no_args_is_help=True,
    add_completion=False,
    # Its tracebacks show the values of variables, which may be prompts or keys.
    pretty_exceptions_enable=False,
)

app.add_typer(keys_app, name="keys")

HttpPort = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Port for HTTP functions and the webhook.")
]
DashboardPort = Annotated[
    int, typer.Option("--dashboard-port", min=0, max=65535, help="Port of the dashboard.")
]
TaskHub = Annotated[
    str | None,
    typer.Option("--task-hub", help="The task hub; the app's settings name it otherwise."),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        min=1,
        max=64,
        help="How many processes run functions and share the work; the first also serves HTTP.",
    ),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", help="Load the app again when one of its files changes."),
]
EnableAuth = Annotated[
    bool, typer.Option("--enable-auth", help="Ask for keys, as on Azure; see the command `keys`.")
]
RetentionDays = Annotated[
    float | None,
    typer.Option(help="Delete finished instances so many days after their end. Default: never."),
]
VirtualTime = Annotated[
    bool,
    typer.Option("--virtual-time", help="Time stands still until POST /clock/advance moves it."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log more, to stderr.")]


@app.command()
def start(
    app_dir: AppOption = Path(),
    port: HttpPort = 7071,
    scheduler_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the scheduler (gRPC).")
    ] = 8080,
    dashboard_port: DashboardPort = 8082,
    data: DataOption = None,
    workers: Workers = 1,
    watch: Watch = False,
    task_hub: TaskHub = None,
    enable_auth: EnableAuth = False,
    retention_days: RetentionDays = None,
    virtual_time: VirtualTime = False,
    verbose: Verbose = False,
) -> None:
    """Run the whole runtime in the foreground: scheduler, dashboard and Functions host.

    When no model is configured, an offline stand-in with canned replies runs as well.
    """
    from local_runtime.commands.service_command import run_service
    from local_runtime.processes.runtime import Plan

    _set_up(verbose)
    _retention(retention_days)
    settings = _app_settings(app_dir)
    plan = Plan(
        app_dir=settings.app_dir,
        data=data_folder(data, settings.app_dir),
        task_hub=task_hub or settings.task_hub,
        offline_model=not settings.model_configured,
        http_port=port,
        grpc_port=scheduler_port,
        dashboard_port=dashboard_port,
        scheduler_options=(
            *(() if retention_days is None else ("--retention-days", str(retention_days))),
            *(("--virtual-time",) if virtual_time else ()),
        ),
        fixed_task_hub=task_hub,
        workers=workers,
        watch=watch,
        enable_auth=enable_auth,
    )
    asyncio.run(run_service(plan, typer.echo))


@app.command()
def scheduler(
    grpc_port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    dashboard_port: DashboardPort = 8082,
    data: Annotated[Path, typer.Option(help="Where state is kept.")] = Path(".local"),
    durability: Annotated[
        Literal["full", "relaxed"],
        typer.Option(help="`relaxed` is faster; a power cut may lose the last moments."),
    ] = "full",
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="No dashboard.")] = False,
    retention_days: RetentionDays = None,
    virtual_time: VirtualTime = False,
    functions_url: Annotated[str | None, typer.Option(hidden=True)] = None,
    data_expected: Annotated[bool, typer.Option("--data-expected", hidden=True)] = False,
    verbose: Verbose = False,
) -> None:
    """Run a Durable Task scheduler alone, with its dashboard."""
    from local_runtime.processes.scheduler_process import SchedulerProcess
    from local_runtime.scheduler.service.server import SchedulerSettings
    from local_runtime.scheduler.transport.completion_loop import CompletionLoop

    _set_up(verbose)
    retention = _retention(retention_days)
    settings = SchedulerSettings(data.resolve(), grpc_port, durability, retention)
    shown_at = None if no_dashboard else dashboard_port
    process = SchedulerProcess(settings, shown_at, functions_url, virtual_time, data_expected)

    def announce(facts: Facts) -> None:
        logger.info("scheduler at http://localhost:%s (gRPC)", facts["grpc_port"])
        if "dashboard_port" in facts:
            logger.info("dashboard at http://localhost:%s", facts["dashboard_port"])
        logger.info("data in %s; stop with Ctrl-C", settings.data)

    run_part(
        lambda part: process.serve(part.ready, part.stop),
        announce,
        CompletionLoop,
    )


@app.command()
def host(
    app_dir: AppOption = Path(),
    port: HttpPort = 7071,
    scheduler: Annotated[
        str, typer.Option(help="The scheduler's address.")
    ] = "http://localhost:8080",
    task_hub: TaskHub = None,
    data: DataOption = None,
    workers: Workers = 1,
    watch: Watch = False,
    enable_auth: EnableAuth = False,
    dashboard_url: Annotated[str | None, typer.Option(hidden=True)] = None,
    verbose: Verbose = False,
) -> None:
    """Run a Functions host alone, with the app, against a scheduler that runs elsewhere."""
    from local_runtime.commands.host_command import run_host
    from local_runtime.processes.parts import HostPlan

    _set_up(verbose)
    folder = app_dir.resolve()
    plan = HostPlan(
        folder,
        scheduler,
        data_folder(data, folder),
        task_hub,
        dashboard_url,
        workers,
        enable_auth=enable_auth,
    )
    asyncio.run(run_host(plan, port, watch=watch))


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="The orchestrator to run.")],
    input_text: Annotated[
        str | None, typer.Option("--input", help="Its input: JSON, or @FILE for a file of JSON.")
    ] = None,
    app_dir: AppOption = Path(),
    timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Give up after so many seconds.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Run one orchestration on a runtime of its own, and print its output.

    Progress goes to stderr, the output as JSON to stdout.

    The exit status is 0 if the orchestration completed, and 1 otherwise. Nothing is kept.
    """
    os.environ.setdefault(LOG_LEVEL, "WARNING")  # log lines would tear the progress apart
    _set_up(verbose)
    settings = _app_settings(app_dir)
    input_json = None if input_text is None else read_input(input_text)
    _run_and_print(settings, name, input_json, timeout)


@app.command("accept-damage")
def accept_damage(
    data: Annotated[Path, typer.Option(help="Where state is kept.")] = Path(".local"),
) -> None:
    """Give up the transactions behind the damage in a task hub's log, so that it can be used again.

    Of the file and its log a copy is kept first. The scheduler must not run.
    """
    from local_runtime.scheduler.service import accepted_damage

    done = accepted_damage.accept_damage(data.resolve())
    typer.echo("\n".join(done) or "no log of a task hub is damaged; nothing has been changed")


@app.command()
def status(
    dashboard_port: DashboardPort = 8082,
    port: HttpPort = 7071,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say how a running runtime is: what waits, who works, what goes on in the background.

    The exit status is 0 if all is well, and 1 if a part is not reached or something is broken. A
    host that asks for keys is given the one in FUNCTIONS_KEY.
    """
    from local_runtime.commands.status_command import ask

    found = ask(dashboard_port, port)
    if as_json:
        typer.echo(found.to_json())
    else:
        from rich.console import Console

        from local_runtime.commands.status_words import show

        show(found, Console())
    sys.exit(1 if found.problems else 0)


@app.command(hidden=True)
def model(
    port: Annotated[int, typer.Option(min=0, max=65535)] = 0, verbose: Verbose = False
) -> None:
    """Run the offline stand-in for a model alone."""
    from local_runtime.offline_model.server import serve
    from local_runtime.offline_model.settings import ModelSettings

    _set_up(verbose)

    async def serve_model(part: PartControl) -> None:
        # In here, where a supervisor is told of settings that make no sense.
        settings = ModelSettings.from_environment(os.environ, port)
        await serve(settings, ready=part.ready, stop=part.stop)

    def announce(facts: Facts) -> None:
        logger.info("offline model at http://localhost:%s/v1; stop with Ctrl-C", facts["port"])

    run_part(serve_model, announce)


def main() -> NoReturn:
    """Run the command line; a problem that a person can act on is shown without a traceback."""
    try:
        app()
    except StartupError as error:
        _fail(str(error))
    sys.exit(0)


def _run_and_print(
    settings: AppSettings, name: str, input_json: str | None, timeout: float | None
) -> None:
    from rich.console import Console

    from local_runtime.clock import SystemClock
    from local_runtime.commands.banner import OFFLINE_NOTICE
    from local_runtime.commands.run_command import RunRequest, run_once
    from local_runtime.commands.run_progress import progress_on
    from local_runtime.processes.interruption import Interrupted
    from local_runtime.processes.runtime import Plan

    offline = not settings.model_configured
    if offline:
        typer.echo(OFFLINE_NOTICE, err=True)
    progress = progress_on(Console(stderr=True), name, SystemClock())
    with tempfile.TemporaryDirectory(prefix="local-runtime-run-") as data:
        plan = Plan(settings.app_dir, Path(data), settings.task_hub, offline_model=offline)
        try:
            request = RunRequest(name, input_json, timeout)
            outcome = asyncio.run(run_once(plan, request, progress))
        except Interrupted:
            _fail("interrupted; the orchestration was given up.")
    if outcome.failure is not None:
        _fail(outcome.failure)
    typer.echo(_pretty(outcome.output or "null"))


def _pretty(output: str) -> str:
    try:
        return json.dumps(json.loads(output), indent=2, ensure_ascii=False)
    except ValueError:
        return output


def _set_up(verbose: bool) -> None:
    if verbose:
        os.environ[LOG_LEVEL] = "DEBUG"  # for the processes that this one starts, too
    set_up_logging(os.environ)
    raise_limit()
    bypass_proxies(os.environ)


def _app_settings(app_dir: Path) -> AppSettings:
    folder = app_dir.resolve()
    # Here and not only in the host: before the data folder is made in a wrong place.
    check_app_dir(folder)
    return AppSettings.load(folder, os.environ)


def _retention(days: float | None) -> timedelta | None:
    if days is None:
        return None
    # Not every float is a number of days: NaN is none, and some are longer than time itself.
    if not 0 < days <= _MAX_DAYS:
        raise StartupError(
            f"--retention-days {days:g}: it must be a number above 0 and at most {_MAX_DAYS}. "
            "Leave the option out to keep everything."
        )
    return timedelta(days=days)


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    sys.exit(1)
