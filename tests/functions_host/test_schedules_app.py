"""An app that turns on the SDK's schedules and its export of histories."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from host_process import WEBHOOK
from sample_service import WORKERS, sample


@pytest.fixture(params=WORKERS, ids="workers={}".format)
def app(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    data = tmp_path_factory.mktemp("data")
    settings = {"EXPORT_FOLDER": str(tmp_path)}
    with sample("scheduled", data, request.param, settings) as app:
        yield app.http


def finished_runs(app: httpx.Client) -> list[dict[str, Any]]:
    found = app.get(f"{WEBHOOK}/instances", params={"runtimeStatus": "Completed"}).json()
    return [each for each in found if each["instanceId"].startswith("often-")]


def test_schedules_and_exports_of_an_app_run(app: httpx.Client, tmp_path: Path) -> None:
    began = datetime.now(UTC)  # noqa: TID251 - the SDK goes by the machine's clock
    assert app.put("/api/schedules/often", json={"n": 1}).text == "created"
    assert app.get("/api/schedules").text == "often"
    while len(runs := finished_runs(app)) < 2:
        pass
    assert [run["output"] for run in runs] == [{"n": 1}] * len(runs)
    assert app.delete("/api/schedules/often").text == "deleted"
    assert app.get("/api/schedules").text == ""

    exported = app.put("/api/exports/all", params={"began": began.isoformat()})

    assert exported.text == "Completed 0"
    documents = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    last_events = {each["instance_id"]: each["events"][-1]["event_type"] for each in documents}
    for run in runs:
        assert last_events[run["instanceId"]] == "ExecutionCompletedEvent"
