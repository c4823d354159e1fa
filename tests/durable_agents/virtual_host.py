"""Runs an orchestration of an app by the testing kit, and says of it what these tests ask for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import azure.functions as func
from durabletask.internal import orchestrator_service_pb2 as pb

from durable_agents.testing import DurableTest


@dataclass(frozen=True)
class Outcome:
    """How an orchestration ended. Activities and timers are those of its children as well."""

    output: Any
    failure: pb.TaskFailureDetails
    custom_status: Any
    elapsed: timedelta
    activities: list[str]
    timers: list[timedelta]
    turns: int
    history: list[pb.HistoryEvent]


class VirtualHost:
    """Runs one orchestration. Activities in `stuck` never begin; those in `late` take a year."""

    def __init__(
        self,
        app: func.FunctionRegister,
        *,
        stuck: Collection[str] = (),
        late: Collection[str] = (),
    ) -> None:
        self._app = app
        self._stuck = stuck
        self._late = late

    async def run(self, name: str, given: Any = None) -> Outcome:
        async with DurableTest(self._app) as host:
            host.hold(*self._stuck)
            for activity in self._late:
                host.takes(activity, timedelta(days=365))
            run = await host.run(name, given)
        return Outcome(
            output=run.output,
            failure=run.history[-1].executionCompleted.failureDetails,
            custom_status=run.custom_status,
            elapsed=run.elapsed,
            activities=run.activities,
            timers=run.timers,
            turns=run.turns,
            history=run.history,
        )
