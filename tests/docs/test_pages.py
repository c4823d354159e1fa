"""The pages say what is built: names in them are those of the code, and links lead somewhere."""

import ast
import re
from pathlib import Path

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

import durable_agents
from local_runtime.scheduler.service.methods import ON_HUBS, STREAMS, UNARY
from tests.service import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCE = ("durable_agents", "local_runtime")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).is_file(), f"{page.name} links to {target}"


def test_scheduler_page_lists_every_method_of_the_protocol() -> None:
    methods = {m.name for m in pb.DESCRIPTOR.services_by_name["TaskHubSidecarService"].methods}
    page = (ROOT / "docs" / "scheduler.md").read_text()
    assert {*UNARY, *STREAMS, *ON_HUBS} == methods
    assert set(re.findall(r"`(\w+)`", page)) & methods == methods


def test_tests_named_in_the_contract_are_there() -> None:
    page = (ROOT / "docs" / "scheduler-contract.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 100
    there = {path: functions(ROOT / path) for path in {path for path, _ in named}}
    assert [f"{path}::{name}" for path, name in named if name not in there[path]] == []


def functions(path: Path) -> set[str]:
    """The names of the functions of a module."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, kinds)}


def test_each_row_of_the_contract_names_a_test() -> None:
    page = (ROOT / "docs" / "scheduler-contract.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row != "| what holds | test |"]
    assert [row for row in rows if "::test_" not in row] == []


def test_agents_page_names_all_that_the_library_exports() -> None:
    named = set(re.findall(r"`([\w.]+)\b", (ROOT / "docs" / "agents.md").read_text()))
    assert set(durable_agents.__all__) - named == set()


def test_settings_in_the_readme_are_read_by_the_code() -> None:
    table_rows = re.findall(r"^\| `([A-Z][A-Z_]+)` \|", (ROOT / "README.md").read_text(), re.M)
    code = "\n".join(path.read_text() for room in SOURCE for path in (ROOT / room).rglob("*.py"))
    assert len(table_rows) > 10
    for name in table_rows:
        assert f'"{name}"' in code, f"nothing reads {name}"


def test_settings_of_host_json_named_in_the_host_page_are_read() -> None:
    page = (ROOT / "docs" / "functions-host.md").read_text()
    part = page[page.index("Of host.json") : page.index("Anything else in it")]
    named = re.findall(r"`(?:[\w]+\.)*(\w+)`", part)
    files = sorted((ROOT / "local_runtime" / "settings").glob("*.py"))
    code = "".join(path.read_text() for path in files)
    for name in set(named) - {"durableTask", "AzureFunctionsJobHost__section__name"}:
        assert f'"{name.lower()}"' in code, f"nothing reads {name}"


def test_registering_of_the_agents_page_runs() -> None:
    page = (ROOT / "docs" / "agents.md").read_text()
    names: dict[str, durable_agents.AgentFunctionApp] = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], names)
    assert list(names["app"].agents) == ["FrenchTranslator", "EditorAgent", "Clerk"]
