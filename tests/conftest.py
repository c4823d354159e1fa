"""The order of the test files: the long ones first, so that none of them is left for the end."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
# Files that take a quarter of a minute and more, the longest first.
LONG = (
    "scheduler/test_stops.py",
    "end_to_end/test_chaos.py",
    "end_to_end/test_agent_kills.py",
    "end_to_end/test_host_stops.py",
    "soak/test_soak.py",
    "end_to_end/test_agent_redeploys.py",
    "replay/test_redeploy.py",
    "functions_host/test_stopped_scheduler.py",
    "functions_host/test_keys.py",
    "functions_host/test_webhook_contract.py",
    "scheduler/test_crashes_generations.py",
    "end_to_end/test_agents_http.py",
    "scheduler/test_properties.py",
    "cli/test_run.py",
    "durable_agents/tools/test_mcp.py",
    "durable_agents/cases/test_random_scripts.py",
    "scheduler/test_properties_entities.py",
    "scheduler/test_stops_workers.py",
    "functions_host/test_bursts.py",
    "durable_agents/cases/test_later_runtime.py",
    "worker/test_samples.py",
    "docs/test_readme.py",
    "scheduler/test_silent_workers.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first; the others stay as they are."""
    places = {ROOT / path: place for place, path in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))
