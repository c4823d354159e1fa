"""Faults and latency on demand: each kind as a client meets it, the same in each run."""

import json

import httpx
import pytest

from local_runtime.errors import StartupError
from local_runtime.offline_model.settings import ModelSettings


@pytest.mark.parametrize(
    ("kind", "error"),
    [("400", "invalid_request_error"), ("429", "rate_limit_error"), ("500", "server_error")],
)
async def test_a_status_fault_answers_with_it(start_model, ask, kind, error) -> None:
    reply = await ask(await start_model(OFFLINE_MODEL_FAULTS=f"{kind}:1"))
    assert reply.status_code == int(kind)
    assert reply.json()["error"]["type"] == error
    assert ("Retry-After" in reply.headers) == (kind == "429")


async def test_drop_breaks_the_connection_off(start_model, ask) -> None:
    model = await start_model(OFFLINE_MODEL_FAULTS="drop:1")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await ask(model)


async def test_timeout_never_answers(start_model, ask) -> None:
    model = await start_model(OFFLINE_MODEL_FAULTS="timeout:1")
    model.timeout = httpx.Timeout(0.3)
    with pytest.raises(httpx.ReadTimeout):
        await ask(model)


async def test_malformed_answers_with_what_is_not_json(start_model, ask) -> None:
    reply = await ask(await start_model(OFFLINE_MODEL_FAULTS="malformed:1"))
    assert reply.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        reply.json()


async def test_faults_leave_the_list_of_models_alone(start_model) -> None:
    model = await start_model(OFFLINE_MODEL_FAULTS="500:1")
    assert (await model.get("/v1/models")).status_code == 200


async def test_latency_comes_before_each_answer(start_model, ask) -> None:
    reply = await ask(await start_model(OFFLINE_MODEL_LATENCY_MS="200"))
    assert reply.elapsed.total_seconds() >= 0.2


async def statuses(model, ask) -> list[int]:
    return [(await ask(model)).status_code for _ in range(200)]


async def test_rates_are_kept_and_runs_are_alike(start_model, ask) -> None:
    settings = {"OFFLINE_MODEL_FAULTS": "500:0.2,429:0.3", "OFFLINE_MODEL_SEED": "7"}
    first = await statuses(await start_model(**settings), ask)
    second = await statuses(await start_model(**settings), ask)
    assert first == second
    assert 20 <= first.count(500) <= 60
    assert 40 <= first.count(429) <= 80


async def test_another_seed_draws_other_requests(start_model, ask) -> None:
    one = await start_model(OFFLINE_MODEL_FAULTS="500:0.5", OFFLINE_MODEL_SEED="1")
    two = await start_model(OFFLINE_MODEL_FAULTS="500:0.5", OFFLINE_MODEL_SEED="2")
    assert await statuses(one, ask) != await statuses(two, ask)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("OFFLINE_MODEL_FAULTS", "500", "not of the form kind:rate"),
        ("OFFLINE_MODEL_FAULTS", "teapot:1", "there is no kind 'teapot'"),
        ("OFFLINE_MODEL_FAULTS", "500:often", "is not a number"),
        ("OFFLINE_MODEL_FAULTS", "500:1.5", "from 0 to 1"),
        ("OFFLINE_MODEL_FAULTS", "500:nan", "from 0 to 1"),
        ("OFFLINE_MODEL_FAULTS", "500:0.6,429:0.6", "more than 1"),
        ("OFFLINE_MODEL_FAULTS", "500:0.1,500:0.1", "twice"),
        ("OFFLINE_MODEL_LATENCY_MS", "1.5", "whole number"),
        ("OFFLINE_MODEL_LATENCY_MS", "-1", "from 0 to"),
        ("OFFLINE_MODEL_SEED", "seven", "whole number"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name, value, complaint) -> None:
    with pytest.raises(StartupError, match=complaint) as refused:
        ModelSettings.from_environment({name: value}, 0)
    assert name in str(refused.value)
