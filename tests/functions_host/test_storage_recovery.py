"""Hosts and storage accounts come and go: no message is lost, and nothing is started twice."""

import base64
import contextlib

import pytest
from azure.core.exceptions import ResourceExistsError
from azurite_gate import gate_before
from host_process import APPS, WEBHOOK, running_host, storage

from tests.azurite import running_azurite
from tests.ports import free_port

APP = APPS / "storage"


def put(azurite, name: str, text: str) -> str:
    queue = azurite.queues().get_queue_client(name)
    queue.create_queue()
    return queue.send_message(base64.b64encode(text.encode()).decode()).id


def show_again(azurite, name: str, seen: dict) -> None:
    """Makes a message visible now that a killed host has left hidden for ten minutes."""
    queue = azurite.queues().get_queue_client(name)
    queue.update_message(seen["id"], seen["receipt"], visibility_timeout=0)


@pytest.mark.crash
def test_a_redelivered_message_starts_no_second_orchestration(scheduler, azurite):
    queues = {"starts": 1, "starts-named": 1, "starts-twice": 2}
    for queue in queues:
        put(azurite, queue, '{"n": 1}')
    with running_host(APP, scheduler, environ=storage(azurite, "Killed", HOLD="1")) as (part, http):
        first = {queue: http.get(f"/api/seen/{queue}/1").json()[0] for queue in queues}
        part.kill()
    for queue in queues:
        show_again(azurite, queue, first[queue])

    with running_host(APP, scheduler, environ=storage(azurite, "Killed")) as (_, http):
        second = {queue: http.get(f"/api/seen/{queue}/1").json()[0] for queue in queues}
        found = {one["instanceId"] for one in http.get(f"{WEBHOOK}/instances").json()}

    for queue, count in queues.items():
        assert (first[queue]["tries"], second[queue]["tries"]) == (1, 2)
        assert len(set(first[queue]["instances"])) == count
        assert first[queue]["instances"] == second[queue]["instances"]
    assert len(found) == sum(queues.values())


def write(azurite, name: str, text: str) -> None:
    container = azurite.blobs().get_container_client("started")
    with contextlib.suppress(ResourceExistsError):
        container.create_container()
    container.upload_blob(name, text.encode(), overwrite=True)


@pytest.mark.crash
def test_a_blob_without_a_receipt_starts_no_second_orchestration(scheduler, azurite):
    write(azurite, "one", "first")
    with gate_before(azurite, b"PUT /devstoreaccount1/azure-webjobs-hosts/blobreceipts/") as gate:
        environ = storage(gate.account, "Blobs", HOLD="1")
        with running_host(APP, scheduler, environ=environ) as (part, http):
            (killed,) = http.get("/api/seen/started/1").json()
            gate.wait_until_held()
            part.kill()

    with running_host(APP, scheduler, environ=storage(azurite, "Blobs")) as (_, http):
        assert http.get("/api/seen/started/1").json() == [killed]
        write(azurite, "two", "first")
        http.get("/api/seen/started/2")
        write(azurite, "one", "second")
        http.get("/api/seen/started/3")
        write(azurite, "one", "first")
        seen = http.get("/api/seen/started/4").json()
        found = {one["instanceId"] for one in http.get(f"{WEBHOOK}/instances").json()}

    assert [(one["name"], one["text"]) for one in seen] == [
        ("started/one", "first"),
        ("started/two", "first"),
        ("started/one", "second"),
        ("started/one", "first"),
    ]
    assert len({one["instance"] for one in seen}) == 4
    assert found == {one["instance"] for one in seen}


def test_a_stopping_host_gives_its_message_to_the_next(scheduler, azurite):
    put(azurite, "held", "keep me")
    settings = {"environ": storage(azurite, "Stopped", HOLD="1"), "grace_seconds": 0.1}
    with running_host(APP, scheduler, **settings) as (part, http):
        http.get("/api/seen/held/1")
        part.end()

    with running_host(APP, scheduler, environ=storage(azurite, "Stopped")) as (_, http):
        (seen,) = http.get("/api/seen/held/1").json()

    assert (seen["body"], seen["tries"]) == ("keep me", 2)


def test_a_storage_account_that_comes_back_is_found_again(scheduler, tmp_path):
    with contextlib.ExitStack() as first:
        account = first.enter_context(running_azurite(tmp_path, (free_port(), free_port())))
        put(account, "mending", "before")
        environ = storage(account, "Outage")
        with running_host(APP, scheduler, environ=environ) as (part, http):
            http.get("/api/seen/mending/3")
            first.close()
            part.wait_for_log("queue 'held' cannot be reached, waiting")
            assert http.get("/api/seen/mending/0").status_code == 200, "all else goes on"
            with running_azurite(tmp_path, (account.blob_port, account.queue_port)):
                put(account, "held", "after")
                (seen,) = http.get("/api/seen/held/1").json()
                part.wait_for_log("queue 'held' is reached again")

            assert seen["body"] == "after"
            assert part.log.count("queue 'held' cannot be reached") == 1
