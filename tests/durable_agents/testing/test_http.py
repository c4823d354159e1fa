"""HTTP functions are found by route and verb, and wait in the test's time."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from durable_agents.testing import START, DurableTest
from tests.durable_agents.testing.shop import create_app


@pytest.fixture
async def host() -> AsyncIterator[DurableTest]:
    async with DurableTest(create_app()) as running:
        yield running


async def test_request_gets_what_the_function_answers(host: DurableTest) -> None:
    answer = await host.request("POST", "/api/flows/native?a=1", json=2, params={"b": "2"})
    assert answer.status == 200
    assert answer.json() == {"output": [4, 2.0], "query": {"a": "1", "b": "2"}}
    assert answer.headers["content-type"] == "application/json"


async def test_function_that_waits_in_vain_gives_up_in_the_tests_time(host: DurableTest) -> None:
    answer = await host.request("POST", "/api/flows/approval", json=None)
    assert answer.status == 500  # there was no body
    answer = await host.request("POST", "/api/flows/approval", json={})
    assert answer.status == 202
    assert host.now == START + timedelta(seconds=60)
    assert host.find(answer.text).status == "Running"


async def test_what_a_function_raises_is_an_answer_of_500(host: DurableTest) -> None:
    answer = await host.request("GET", "/api/broken")
    assert answer.status == 500
    assert str(answer.error) == "no"


@pytest.mark.parametrize(
    ("method", "url"),
    [("GET", "/api/flows/x"), ("POST", "/api/nowhere"), ("POST", "/api/flows/x/y/z")],
)
async def test_unknown_route_is_an_error_that_lists_the_routes(
    method: str, url: str, host: DurableTest
) -> None:
    with pytest.raises(LookupError, match="POST /api/flows"):
        await host.request(method, url)


async def test_clients_of_the_test_itself_see_the_state(host: DurableTest) -> None:
    client = await host.client()
    await client.schedule_new_orchestration("native", input=1, instance_id="one")
    await host.settle()
    state = await client.get_orchestration_state("one")
    assert state is not None
    assert state.get_output() == [2, 1.0]
    assert [one.instance_id for one in await client.get_all_orchestration_states()] == ["one"]
    assert len(await client.get_orchestration_history("one")) == len(host.find("one").history)
    assert (await client.purge_orchestration("one")).deleted_instance_count == 1
    assert await client.get_orchestration_state("one") is None
