"""Payloads above the managed scheduler's limit, with a payload store and without one."""

import httpx
import pytest
from host_process import APPS, WEBHOOK, finished, running, running_host

APP = APPS / "payloads"
ARTICLE = "DURABLE " * (1_500_000 // 8)
REFERENCE = "blob:v1:durabletask-payloads:"


@pytest.fixture(scope="module")
def own_scheduler(tmp_path_factory):
    """A scheduler whose log is about these tests alone."""
    with running("scheduler", data=str(tmp_path_factory.mktemp("data")), port=0) as part:
        yield part, f"http://127.0.0.1:{part.facts()['grpc_port']}"


@pytest.fixture(scope="module")
def stored(own_scheduler, azurite):
    """A host whose app keeps large payloads in Azurite."""
    settings = {"PAYLOAD_STORAGE_CONNECTION_STRING": azurite.connection_string, "HUB": "Stored"}
    with running_host(APP, own_scheduler[1], environ=settings) as host:
        yield host


def publish(http: httpx.Client, **query) -> tuple[dict, httpx.Response]:
    url = f"{WEBHOOK}/orchestrators/publish"
    started = http.post(url, json="durable").json()
    return started, finished(http, started)


def payloads(azurite) -> list[str]:
    return list(azurite.blobs().get_container_client("durabletask-payloads").list_blob_names())


def test_an_article_goes_through_activities_an_entity_and_the_output(stored, azurite):
    _, http = stored

    started, status = publish(http)

    assert status["runtimeStatus"] == "Completed", status["output"]
    assert status["output"] == ARTICLE
    assert http.get(f"/api/article/{started['id']}").text == ARTICLE
    assert len(payloads(azurite)) >= 4


def test_waiting_for_the_output_gives_the_article(stored):
    _, http = stored

    reply = http.post(f"{WEBHOOK}/orchestrators/publish?timeout=60", json="durable")

    assert (reply.status_code, reply.json()) == (200, ARTICLE)


def test_the_scheduler_and_its_lists_have_references_only(stored):
    _, http = stored
    started, _ = publish(http)

    (listed,) = [one for one in http.get(f"{WEBHOOK}/instances").json()
                 if one["instanceId"] == started["id"]]  # fmt: skip

    assert listed["output"].startswith(REFERENCE)


def test_a_start_by_the_client_stores_its_input(stored):
    _, http = stored
    http.post("/api/echo/big-input", content=ARTICLE)

    url = f"{WEBHOOK}/instances/big-input"
    status = finished(http, {"statusQueryGetUri": url})

    assert status["input"] == status["output"] == ARTICLE
    assert http.get(url, params={"showInput": "false"}).json()["input"] is None


def test_an_input_that_points_into_another_container_stays_a_text(stored, azurite):
    _, http = stored
    secrets = azurite.blobs().get_container_client("secrets")
    secrets.create_container()
    secrets.upload_blob("key", b"the secret")

    started = http.post(f"{WEBHOOK}/orchestrators/echo", json="blob:v1:secrets:key").json()

    assert finished(http, started)["output"] == "blob:v1:secrets:key"


def test_an_input_that_points_to_nothing_fails_its_instance(stored):
    _, http = stored

    started = http.post(f"{WEBHOOK}/orchestrators/echo", json=f"{REFERENCE}gone").json()
    status = finished(http, started)

    assert status["runtimeStatus"] == "Failed"
    assert status["input"] == f"{REFERENCE}gone"


def test_only_without_a_store_the_scheduler_warns_of_large_payloads(own_scheduler, stored):
    scheduler, address = own_scheduler
    publish(stored[1])
    assert "The managed scheduler takes at most" not in scheduler.log

    with running_host(APP, address, environ={"HUB": "Unstored"}) as (_, http):
        _, status = publish(http)

    assert status["output"] == ARTICLE
    scheduler.wait_for_log("The managed scheduler takes at most 1000000 and would refuse it")
