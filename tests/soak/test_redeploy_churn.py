"""A churn of some seconds, so that the churn itself stays in working order."""

from pathlib import Path

import pytest

from tests.soak.redeploy import Settings, churn, faults, table


@pytest.mark.soak
@pytest.mark.timeout(240)
async def test_new_code_under_running_agents_loses_no_run_and_repeats_no_recorded_step(
    tmp_path: Path,
) -> None:
    settings = Settings(3, seconds=20, runs=12, workers=2, every=7)
    found, seen = await churn(settings, tmp_path)
    assert faults(found, seen) == [], table(found, seen)
    assert len(found.ends) == len(found.started) >= settings.runs
    assert seen.answers > len(found.ends)
