"""`start` ends when its data vanishes, says so last, and never begins anew by itself."""

import os
import shutil
import signal

import httpx

from tests.service import PATIENCE, WEBHOOK, runtime


def last_error(service) -> str:
    assert service.process.wait(PATIENCE) == 1
    service.wait_until_nothing_runs()
    return service.log[service.log.index("\nerror: ") :]


def test_start_ends_with_the_reason_when_the_data_folder_is_deleted(tmp_path) -> None:
    with runtime(tmp_path / "data") as service:
        url = f"{service.url('Functions')}{WEBHOOK}/orchestrators/waits"
        assert httpx.post(url, json=None).status_code == 202
        shutil.rmtree(tmp_path / "data")
        service.wait_for_log("Nothing is acknowledged any more")
        try:
            assert httpx.post(url, json=None).status_code >= 500
        except httpx.TransportError:
            assert service.process.wait(PATIENCE) == 1  # it has ended already
        assert "Put back what is missing" in last_error(service)
    assert not list(tmp_path.rglob("*.taskhub.db"))


def test_a_scheduler_that_died_as_its_data_vanished_does_not_begin_anew(tmp_path) -> None:
    with runtime(tmp_path / "data") as service:
        scheduler = service.children()["scheduler"]
        os.kill(scheduler, signal.SIGSTOP)  # so that it cannot notice
        shutil.rmtree(tmp_path / "data")
        os.kill(scheduler, signal.SIGKILL)
        assert "was deleted, moved or emptied" in " ".join(last_error(service).split())
    assert not list(tmp_path.rglob("*.taskhub.db"))
