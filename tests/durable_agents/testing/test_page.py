"""What docs/testing.md shows is run as it stands there."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

import durable_agents.testing as kit
from durable_agents.testing import DurableTest

pytest_plugins = ["durable_agents.testing.fixtures"]

PAGE = (Path(__file__).parents[3] / "docs" / "testing.md").read_text()
APP, FIRST, SECOND, CRASHES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


def names() -> dict[str, Any]:
    known: dict[str, Any] = {name: getattr(kit, name) for name in kit.__all__}
    exec(APP, known)
    return known


@pytest.mark.parametrize("example", [FIRST, SECOND])
async def test_example_runs_in_fifteen_lines_and_a_second(example: str, durable_test: Any) -> None:
    assert len(example.splitlines()) <= 15
    known = names()
    exec(example, known)
    (test,) = [value for name, value in known.items() if name.startswith("test_")]
    began = time.perf_counter()
    await test(durable_test)
    assert time.perf_counter() - began < 1


def test_example_of_crashes_runs() -> None:
    known, paid = names(), []

    def create_shop() -> df.DFApp:
        app = df.DFApp()

        @app.activity_trigger(input_name="order")
        async def pay(order: str) -> None:
            paid.append(order)

        @app.orchestration_trigger(context_name="context")
        def pays_back(context: df.DurableOrchestrationContext) -> Any:
            yield context.call_activity("pay", context.get_input())
            return "done"

        return app

    known |= {"create_shop": create_shop, "paid": paid}
    exec(CRASHES, known)
    asyncio.run(known["test_crash_at_any_step_pays_back_once"]())


def test_page_names_all_that_the_kit_exports_and_every_call_of_the_host() -> None:
    named = set(re.findall(r"[\w]+", PAGE))
    calls = {name for name in vars(DurableTest) if not name.startswith("_")}
    # The form of a script's replies is nothing that a test writes down.
    assert ({*kit.__all__} - {"Scripted", "Failure"}) - named == set()
    assert calls - named == set()
