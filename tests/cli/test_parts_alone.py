"""`scheduler` and `host` run alone, against each other."""

import signal

import httpx

from tests.service import SMALL_APP, WEBHOOK, started


def test_a_host_serves_an_app_with_a_scheduler_elsewhere(tmp_path) -> None:
    ports = ["--grpc-port", 0, "--dashboard-port", 0]
    with started("scheduler", *ports, "--data", tmp_path / "data") as scheduler:
        [address] = scheduler.wait_for_log(r"scheduler at (http://\S+)")
        dashboard = scheduler.wait_for_log(r"dashboard at (http://\S+)")[0]
        options = ["--app", SMALL_APP, "--port", 0, "--scheduler", address, "--task-hub", "other"]
        with started("host", *options) as host:
            url = host.wait_for_log(r"functions at (http://localhost:\d+)")[0]
            urls = httpx.post(f"{url}{WEBHOOK}/orchestrators/doubled", json=4).json()
            while httpx.get(urls["statusQueryGetUri"]).status_code == 202:
                pass
            shown = httpx.get(f"{dashboard}/hubs/other/instances/{urls['id']}").text
            assert "Completed" in shown
            assert host.end() == 0
        assert scheduler.end(signal.SIGINT) == 0


def test_a_scheduler_without_dashboard(tmp_path) -> None:
    options = ["--grpc-port", 0, "--no-dashboard", "--data", tmp_path]
    with started("scheduler", *options) as scheduler:
        scheduler.wait_for_log("stop with Ctrl-C")
        assert "dashboard at" not in scheduler.log
