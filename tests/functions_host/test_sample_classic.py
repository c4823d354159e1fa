"""An app in the style of azure-functions-durable 1.x does all it should, driven over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sample_service import WORKERS, Sample, sample


@pytest.fixture(scope="module", params=WORKERS, ids="workers={}".format)
def workers(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def classic(workers: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    with sample("classic", tmp_path_factory.mktemp("data"), workers) as app:
        yield app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def test_fan_out_copies_every_file(classic: Sample, folder: Path, tmp_path: Path):
    for number in range(12):
        (folder / f"{number}.txt").write_text("x" * number)
    (tmp_path / "target").mkdir()

    output = classic.run("backup_folder", {"source": str(folder), "target": f"{tmp_path}/target"})

    assert output == {"files": 12, "bytes": 66}
    assert len(list((tmp_path / "target").iterdir())) == 12


def test_monitor_looks_until_it_is_so(classic: Sample, tmp_path: Path):
    file = tmp_path / "state"
    file.write_text("working")
    started = classic.start("monitor_file", {"file": str(file), "patience": 60})
    classic.status_once(started, lambda status: status["customStatus"] == "waiting")
    file.write_text("done")

    status = classic.end(started)

    assert status["output"] == {"seen": True, "looked_twice": True}


def test_monitor_gives_up_in_time(classic: Sample, tmp_path: Path):
    file = tmp_path / "state"
    file.write_text("working")

    output = classic.run("monitor_file", {"file": str(file), "patience": 0.2})

    assert output["seen"] is False


def test_eternal_orchestration_runs_until_it_is_terminated(classic: Sample, folder: Path):
    (folder / "first").touch()
    started = classic.start("sweep_forever", {"folder": str(folder)})
    classic.status_once(started, lambda status: status["customStatus"] == {"swept": 1})
    (folder / "second").touch()
    classic.status_once(started, lambda status: status["customStatus"] == {"swept": 2})
    stopped = classic.http.post(f"/api/instances/{started['id']}/stop", params={"reason": "enough"})
    assert stopped.text == "stopping"

    status = classic.end(started)

    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")
    assert classic.http.get(f"/api/instances/{started['id']}").json()["output"] == "enough"


def test_sub_orchestrations_have_ids_of_their_own_and_retry(classic: Sample, folder: Path):
    output = classic.run("provision_all", {"devices": 3, "folder": str(folder), "failures": 2})

    assert output == [f"package-{n} after 3 attempts, in device-{n}" for n in range(3)]


def test_sub_orchestration_is_retried_as_a_whole(classic: Sample, folder: Path):
    output = classic.run("provision_again", {"folder": str(folder), "failures": 4})

    assert output.startswith("package-7 after 5 attempts")


def test_failure_is_caught_and_made_good(classic: Sample, folder: Path):
    output = classic.run("compensate", {"folder": str(folder), "failures": 9})

    assert output == {"undone": "compensated", "because": True}
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("answers", "outcome"), [([4], "verified"), ([1, 4], "verified"), ([1, 2, 3], "refused")]
)
def test_person_has_three_answers(classic: Sample, tmp_path: Path, answers, outcome):
    phone = tmp_path / "phone"
    started = classic.start("verify", {"phone": str(phone), "patience": 60})
    for attempt, answer in enumerate(answers, 1):
        classic.status_once(
            started, lambda status, n=attempt: status["customStatus"] == {"attempt": n}
        )
        right = int(phone.read_text())
        classic.raise_event(started, "answer", right if answer == 4 else answer)

    assert classic.end(started)["output"] == outcome


def test_person_can_be_too_late(classic: Sample, tmp_path: Path):
    assert classic.run("verify", {"phone": str(tmp_path / "phone"), "patience": 0}) == "too late"


def test_http_function_waits_for_the_result(classic: Sample, tmp_path: Path):
    reply = classic.http.post("/api/results/verify", json={"phone": f"{tmp_path}/p", "patience": 0})

    assert (reply.status_code, reply.json()) == (200, "too late")


def test_start_of_an_app_answers_with_the_management_urls(classic: Sample, tmp_path: Path):
    wanted = {"phone": f"{tmp_path}/phone", "patience": 0}
    reply = classic.http.post("/api/orchestrators/verify/verify-1", json=wanted)

    assert reply.status_code == 202
    assert reply.json()["id"] == "verify-1"
    assert classic.end(reply.json())["output"] == "too late"


def test_status_of_an_instance_with_its_history(classic: Sample, tmp_path: Path):
    wanted = {"phone": f"{tmp_path}/phone", "patience": 0}
    classic.end(classic.http.post("/api/orchestrators/verify/verify-2", json=wanted).json())

    status = classic.http.get("/api/instances/verify-2").json()

    assert (status["runtimeStatus"], status["output"]) == ("Completed", "too late")
    assert status["input"] == wanted
    assert status["historyEvents"][0]["FunctionName"] == "verify"
    assert status["historyEvents"][-1]["EventType"] == "ExecutionCompleted"
    assert classic.http.get("/api/instances/nobody").status_code == 404
