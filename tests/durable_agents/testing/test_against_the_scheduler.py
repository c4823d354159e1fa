"""What the kit makes of a flow is what the embedded scheduler's engine makes of it."""

import asyncio
from datetime import timedelta
from typing import Any

from durabletask.internal import orchestrator_service_pb2 as pb
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from durable_agents.testing import START, DurableTest
from tests.durable_agents.testing.embedded import Embedded
from tests.durable_agents.testing.random_flows import Step, create_app, flows

# What people do at once, before any work is done that comes of it: an event's name and what it
# says, or a control; then so many seconds pass.
moments = st.lists(
    st.tuples(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(["red", "BLUE", "other"]), st.integers(0, 9)),
                st.sampled_from(["suspend", "resume", "suspend", "resume", "terminate"]),
            ),
            max_size=4,
        ),
        st.integers(0, 200),
    ),
    max_size=6,
)
type Moment = tuple[list[Any], int]


async def in_the_kit(steps: list[Step], meanwhile: list[Moment]) -> dict[str, Any]:
    async with DurableTest(create_app()) as host:
        hub = host._hub
        await host.start("steps", {"done": [], "steps": steps}, instance_id="one")
        for deeds, seconds in meanwhile:
            for deed in deeds:
                match deed:
                    case (name, data):
                        hub.raise_event("one", name, str(data))
                    case "terminate":
                        hub.terminate("one", None, recurse=True)
                    case _:
                        getattr(hub, deed)("one", None)
            await host.advance(seconds=seconds)
        await host.advance(days=1)
        seen = {run.id: (run.status, run.output, shown(run.history)) for run in host.runs}
        return {**seen, "pot": host.entity("pot", "one")}


async def in_the_scheduler(steps: list[Step], meanwhile: list[Moment]) -> dict[str, Any]:
    hub = Embedded(create_app(), START)
    try:
        await hub.start("steps", {"done": [], "steps": steps}, "one")
        for deeds, seconds in meanwhile:
            for deed in deeds:
                match deed:
                    case (name, data):
                        hub.raise_event("one", name, data)
                    case _:
                        getattr(hub, deed)("one")
            await hub.advance(timedelta(seconds=seconds))
        await hub.advance(timedelta(days=1))
        seen = {
            found: (hub.status(found), hub.output(found), shown(hub.history(found)))
            for found in hub.ids()
        }
        return {**seen, "pot": hub.entity("@pot@one")}
    finally:
        hub.connection.close()


def shown(history: list[pb.HistoryEvent]) -> list[str]:
    """Return a history without what is anybody's own choice: execution ids, and traces."""
    found: list[str] = []
    for event in history:
        plain = pb.HistoryEvent()
        plain.CopyFrom(event)
        kind = plain.WhichOneof("eventType") or ""
        body = getattr(plain, kind)
        for name in ("parentInstance", "parentTraceContext", "orchestrationInstance"):
            if name in body.DESCRIPTOR.fields_by_name:
                body.ClearField(name)
        if "parentExecutionId" in body.DESCRIPTOR.fields_by_name:
            body.ClearField("parentExecutionId")
        if "failureDetails" in body.DESCRIPTOR.fields_by_name:
            body.failureDetails.ClearField("stackTrace")
            body.failureDetails.innerFailure.ClearField("stackTrace")
        found.append(str(plain))
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(flows, moments)
@example([("again", [("event", "red")])], [([("red", 1), ("red", 1), ("red", 2)], 0)])
@example(
    [("event", "red"), ("again", []), ("event", "red"), ("event", "blue")],
    [([("red", 1), ("red", 1), ("blue", 2), ("red", 3)], 1)],
)
@example([("locked", 2), ("call", -5)], [(["suspend"], 7), (["resume", "terminate"], 0)])
@example(
    [("event", "red"), ("double", 1), ("event", "red")],
    [([("red", 1), "suspend", ("red", 1)], 3), (["resume", "suspend", "resume"], 0)],
)
def test_kit_and_scheduler_make_the_same_of_a_flow(
    steps: list[Step], meanwhile: list[Moment]
) -> None:
    kit = asyncio.run(in_the_kit(steps, meanwhile))
    scheduler = asyncio.run(in_the_scheduler(steps, meanwhile))
    assert kit == scheduler
