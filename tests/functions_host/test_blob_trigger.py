"""The blob trigger, against Azurite: every version of a blob is handed over, and once."""

import contextlib

import pytest
from azure.core.exceptions import ResourceExistsError
from host_process import APPS, running_host, storage
from storage_answers import content_of, until

from local_runtime.functions_host.storage.blob_path import BlobPattern

APP = APPS / "storage"
HUB = "Blobs"


@pytest.fixture
def put(azurite):
    """Writes a blob."""

    def put(path: str, text: str, **more) -> None:
        container, _, name = path.partition("/")
        client = azurite.blobs().get_container_client(container)
        with contextlib.suppress(ResourceExistsError):
            client.create_container()
        client.upload_blob(name, text.encode(), overwrite=True, **more)

    return put


def texts(seen: list[dict]) -> list[str]:
    return sorted(one["text"] for one in seen)


def test_each_version_of_a_blob_is_handled_once_also_over_restarts(scheduler, azurite, put):
    put("inbox/a/old.txt", "before the host")
    environ = storage(azurite, HUB)
    with running_host(APP, scheduler, environ=environ) as (_, http):
        assert texts(http.get("/api/seen/inbox/1").json()) == ["before the host"]
        put("inbox/a/new.txt", "one")
        http.get("/api/seen/inbox/2")
        put("inbox/a/new.txt", "two")
        put("inbox/a/other.csv", "does not fit")
        seen = http.get("/api/seen/inbox/3").json()
    assert texts(seen) == ["before the host", "one", "two"]

    put("inbox/b/last.txt", "after the restart")
    with running_host(APP, scheduler, environ=environ) as (_, http):
        http.get("/api/seen/inbox/1")
        put("inbox/b/last.txt", "the very last")
        seen = http.get("/api/seen/inbox/2").json()
    assert texts(seen) == ["after the restart", "the very last"]


def test_a_function_gets_its_blob_with_all_that_is_known_of_it(storage_app, azurite, put):
    _, http = storage_app
    put("inbox/letters/mum.txt", "Dear", metadata={"tone": "warm"})

    seen = http.get("/api/seen/inbox/1").json()

    (blob,) = [one for one in seen if one["name"] == "inbox/letters/mum.txt"]
    assert (blob["text"], blob["length"], blob["metadata"]) == ("Dear", 4, {"tone": "warm"})
    assert blob["uri"] == f"{azurite.blobs().url}inbox/letters/mum.txt"
    assert blob["type"] == "application/octet-stream"


def test_the_names_of_a_path_serve_the_outputs(storage_app, azurite, put):
    put("inbox/copied/this.txt", "quiet")
    outbox = azurite.blobs().get_container_client("outbox")

    assert until(lambda: content_of(outbox, "copied-this")) == b"QUIET"


def test_a_blob_that_fails_five_times_goes_to_the_poison_queue(storage_app, put):
    _, http = storage_app
    put("broken/folder/x.bin", "?")

    (note,) = http.get("/api/seen/broken_blobs/1").json()

    assert http.get("/api/seen/broken/5").json() == ["broken/folder/x.bin"] * 5
    assert note["FunctionId"] == "Host.Functions.broken"
    assert (note["ContainerName"], note["BlobName"]) == ("broken", "folder/x.bin")
    assert note["BlobType"] == "BlockBlob"


@pytest.mark.parametrize(
    ("path", "name", "parts"),
    [
        ("c", "any/thing.txt", {}),
        ("c/{name}", "a/b.txt", {"name": "a/b.txt"}),
        ("c/{name}.{ext}", "a.b.txt", {"name": "a.b", "ext": "txt"}),
        ("c/in-{name}", "out-x", None),
        ("c/{name}.png", "x_png", None),
        ("c/{{20}}-{name}", "{20}-x", {"name": "x"}),
        ("c/{name}", "with\nline", {"name": "with\nline"}),
    ],
)
def test_a_path_says_which_blobs_it_is_for(path, name, parts):
    assert BlobPattern.parse(path).match(name) == parts


@pytest.mark.parametrize("path", ["", "{container}/{name}", "c/{name}{name}", "c/{na me}", "c/{x"])
def test_a_path_that_makes_no_sense_is_refused(path):
    with pytest.raises(ValueError, match="path"):
        BlobPattern.parse(path)
