"""A soak of some seconds, so that the soak itself stays in working order."""

from pathlib import Path

import pytest

from tests.ports import free_port
from tests.soak.report import table
from tests.soak.run import Settings, soak


@pytest.mark.crash
async def test_a_short_soak_kills_everything_and_finds_no_fault(tmp_path: Path) -> None:
    settings = Settings(
        *(7, 10, 8), every=2.5, patience=40, burst=20, burst_every=5, largest_burst=100
    )
    result = await soak(settings, free_port(), tmp_path)
    assert result.faults == [], table(result)
    assert result.toll.each_was_killed, table(result)
    assert result.ledger.counts["finished"] == result.ledger.counts["started"] > 20
    assert result.histories > 20
