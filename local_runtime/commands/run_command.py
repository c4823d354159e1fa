"""The command `run`: one orchestration on a runtime of its own, followed until its end."""

import asyncio
from dataclasses import dataclass

from durabletask.internal import orchestrator_service_pb2 as pb

from local_runtime.commands.run_instance import RunInstance
from local_runtime.commands.run_progress import Progress
from local_runtime.commands.run_steps import steps_of
from local_runtime.errors import StartupError
from local_runtime.processes.interruption import Interruption
from local_runtime.processes.runtime import Plan, RunningRuntime, start_runtime
from local_runtime.processes.supervisor import Supervisor
from local_runtime.scheduler.client import SchedulerClient

_LOOK_SECONDS = 0.2
_PREFIX = "ORCHESTRATION_STATUS_"


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its output as JSON text, or why there is none."""

    output: str | None
    failure: str | None


@dataclass(frozen=True)
class RunRequest:
    """Which orchestrator to run, with what."""

    name: str
    input_json: str | None
    timeout_seconds: float | None


async def run_once(plan: Plan, request: RunRequest, progress: Progress) -> Outcome:
    """Start a runtime, run one orchestration on it and stop it again.

    Raises:
        StartupError: A part cannot start or go on, or the app has no such orchestrator.
        Interrupted: Somebody pressed Ctrl-C.
    """
    interruption = Interruption()
    async with Supervisor() as supervisor:
        running = await interruption.unless(
            supervisor.unless_failing(start_runtime(supervisor, plan))
        )
        name = _known(running, request.name)
        async with SchedulerClient.open(running.scheduler_url, plan.task_hub) as client:
            running_it = _run(client, name, request, progress)
            return await interruption.unless(supervisor.unless_failing(running_it))


def _known(running: RunningRuntime, name: str) -> str:
    for known in running.orchestrators:
        if known.lower() == name.lower():
            return known
    known = ", ".join(running.orchestrators)
    raise StartupError(
        f"the app in {running.plan.app_dir} has no orchestrator named {name!r}; "
        + (f"it has: {known}." if known else "it has none at all.")
    )


async def _run(
    client: SchedulerClient, name: str, request: RunRequest, progress: Progress
) -> Outcome:
    try:
        async with asyncio.timeout(request.timeout_seconds):
            instance = RunInstance(client)
            await instance.start(name, request.input_json)
            with progress:
                state = await _follow(instance, progress)
    except TimeoutError:
        return Outcome(
            None,
            f"{name} did not finish within {request.timeout_seconds:g} s, and was given up. "
            "Give it longer with --timeout.",
        )
    return _outcome(name, state)


async def _follow(instance: RunInstance, progress: Progress) -> pb.OrchestrationState:
    """Show the steps until the orchestration is finished, and return its last state."""
    while True:
        looked = await instance.look()
        if looked is not None:
            state, history = looked
            progress.update(_status(state), steps_of(history))
            if state.HasField("completedTimestamp"):
                return state
        await asyncio.sleep(_LOOK_SECONDS)


def _outcome(name: str, state: pb.OrchestrationState) -> Outcome:
    if state.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED:
        return Outcome(state.output.value if state.HasField("output") else "null", None)
    message = state.failureDetails.errorMessage or state.output.value or "no reason is recorded"
    kind = state.failureDetails.errorType
    cause = f"{kind}: {message}" if kind and not message.startswith(kind) else message
    return Outcome(None, f"{name} ended as {_status(state)}: {cause}")


def _status(state: pb.OrchestrationState) -> str:
    return pb.OrchestrationStatus.Name(state.orchestrationStatus).removeprefix(_PREFIX).capitalize()
