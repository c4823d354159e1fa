"""schemathesis against a real host, with the document that the host publishes.

Requests that the document allows and requests that it does not, about instances in every state and
about none. No 500 but for a failed instance whose caller asked for it, and every answer as
documented. BATON_FUZZ_EXAMPLES makes it longer: so many requests for each operation, at random.
"""

import os

import pytest
from host_process import APPS, running, running_host
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from webhook_world import CONFORMANCE, World

from local_runtime.functions_host.webhook.routes import ROUTES

EXAMPLES = int(os.environ.get("BATON_FUZZ_EXAMPLES", "0"))
STATES = ("completed", "failed", "running", "suspended", "terminated")
# Names of what there is; a request about an entity needs both of its names right.
KNOWN = (
    {},
    {"functionName": "doubling", "entityName": "Alone", "entityKey": "only"},
    {"functionName": "WAITING", "entityName": "alone", "entityKey": "only"},
    {"functionName": "failing", "entityName": "counter", "entityKey": "$"},
    {"functionName": "echo", "entityName": "counter", "entityKey": "grüße"},
)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A host and a scheduler of their own: what is sent here is without end."""
    with (
        running("scheduler", data=str(tmp_path_factory.mktemp("fuzz")), port=0) as scheduler,
        running_host(
            APPS / "webhook_contract", f"http://127.0.0.1:{scheduler.facts()['grpc_port']}"
        ) as (part, client),
    ):
        yield scheduler, part, World(client)


@pytest.fixture(scope="module")
def world(host):
    return host[2]


@pytest.fixture(scope="module")
def pool(world):
    world.alone()
    return Pool(world)


class Pool:
    """Ids of instances in every state; one that a request may change is not given again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ids: dict[str, str] = {}

    def take(self, state: str, verb: str) -> str:
        if state not in self._ids:
            self._ids[state] = getattr(self._world, state)()
        return self._ids[state] if verb == "GET" else self._ids.pop(state)


@pytest.mark.timeout(60 + 2 * EXAMPLES)
@pytest.mark.parametrize("label", [f"{route.verb} /{route.path}" for route in ROUTES])
def test_documented_operation_answers_as_documented(world, pool, label):
    operation = world.schema.find_operation_by_label(label)
    requests = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )
    names = st.sampled_from(KNOWN)
    states = st.sampled_from((None, *STATES))

    @settings(
        max_examples=EXAMPLES or 12,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate] if not EXAMPLES else [Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=requests, names=names, state=states)
    def answers(case, names, state):
        prepare(case, names, state, pool)
        codes.add(check(world, case))

    codes: set[int] = set()
    answers()
    assert min(codes) < 300, "nothing was done"


def test_host_logged_no_fault_and_answers_500_when_its_scheduler_is_away(host):
    scheduler, part, world = host
    faults = ("could not be answered", "The scheduler answered")
    logged = [fault for fault in faults if fault in part.log]
    scheduler.end()

    reply = world.send("GET", "instances/x")

    assert logged == []
    assert reply.status_code == 500
    assert reply.json()["Message"] == "Something went wrong while processing your request"
    world.conforms("GET /instances/{instanceId}", reply)
    assert faults[0] not in part.end()


def prepare(case, names, state, pool: Pool) -> None:
    """Let a request name what there is, and neither make hubs without end nor wait for long."""
    parameters = case.path_parameters or {}
    parameters.update({name: value for name, value in names.items() if name in parameters})
    if state is not None and "instanceId" in parameters:
        parameters["instanceId"] = pool.take(state, case.method.upper())
    if isinstance(case.query, dict):
        case.query.pop("taskHub", None)  # each valid one would be a file
        if "timeout" in case.query:
            case.query["timeout"] = 0.2


def check(world: World, case) -> int:
    reply = case.call(base_url=world.document["servers"][0]["url"], timeout=60)
    if reply.status_code == 500:
        flag = str((case.query or {}).get("returnInternalServerErrorOnFailure", ""))
        assert flag.strip().lower() == "true", reply.text
        assert reply.json()["runtimeStatus"] == "Failed", reply.text
    case.validate_response(reply, checks=CONFORMANCE)
    return reply.status_code
