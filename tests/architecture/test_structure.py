"""Holds the tree to its design: one direction of imports, small files, no catch-all names."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = [
    "function_app.py",
    "agents",
    "orchestrations",
    "samples",
    "durable_agents",
    "local_runtime",
]

# For each room, by path prefix: the project's modules it may import. The longest prefix counts.
MAY_IMPORT = {
    "function_app": ["orchestrations", "agents", "durable_agents"],
    "orchestrations": ["orchestrations", "agents", "durable_agents"],
    "agents": ["agents", "durable_agents"],
    "samples": ["samples", "durable_agents"],
    "durable_agents": ["durable_agents"],
    # What is stored knows nothing of what is done with it, and a model nothing of agents.
    "durable_agents.messages": [],
    "durable_agents.model": ["durable_agents.messages"],
    "durable_agents.sessions": [
        "durable_agents.sessions",
        "durable_agents.messages",
        "durable_agents.errors",
    ],
    "durable_agents.people": [
        "durable_agents.people",
        "durable_agents.tools",
        "durable_agents.call",
        "durable_agents.json_schema",
        "durable_agents.messages",
        "durable_agents.errors",
    ],
    "durable_agents.turn": ["durable_agents.messages"],
    "durable_agents.rendering": ["durable_agents.messages"],
    "local_runtime": ["local_runtime"],
    "local_runtime.clock": [],
    "local_runtime.background": ["local_runtime.clock"],
    "local_runtime.errors": [],
    "local_runtime.faults": [],
    "local_runtime.settings": ["local_runtime.settings", "local_runtime.errors"],
    "local_runtime.listening": ["local_runtime.errors"],
    "local_runtime.http_server": [
        "local_runtime.http_server",
        "local_runtime.listening",
        "local_runtime.descriptors",
        "local_runtime.errors",
    ],
    "local_runtime.descriptors": ["local_runtime.errors"],
    "local_runtime.log_setup": ["local_runtime.log_repeats"],
    "local_runtime.log_repeats": [],
    "local_runtime.whole_file": [],
    "local_runtime.commands": [
        "local_runtime.commands",
        "local_runtime.functions_host.keys",
        "local_runtime.processes",
        "local_runtime.scheduler.client",
        "local_runtime.clock",
        "local_runtime.errors",
        "local_runtime.listening",
        "local_runtime.settings",
    ],
    "local_runtime.processes": [
        "local_runtime.processes",
        "local_runtime.descriptors",
        "local_runtime.listening",
        "local_runtime.settings",
        "local_runtime.scheduler.service",
        "local_runtime.dashboard",
        "local_runtime.errors",
        "local_runtime.background",
        "local_runtime.clock",
    ],
    "local_runtime.offline_model": [
        "local_runtime.offline_model",
        "local_runtime.http_server",
        "local_runtime.clock",
        "local_runtime.errors",
    ],
    "local_runtime.dashboard": [
        "local_runtime.dashboard",
        "local_runtime.scheduler.client",
        "local_runtime.http_server",
        "local_runtime.background",
        "local_runtime.clock",
        "local_runtime.errors",
    ],
    "local_runtime.functions_host": [
        "local_runtime.functions_host",
        "local_runtime.scheduler.client",
        "local_runtime.http_server",
        "local_runtime.whole_file",
        "local_runtime.listening",
        "local_runtime.log_setup",
        "local_runtime.background",
        "local_runtime.clock",
        "local_runtime.errors",
        "local_runtime.settings",
    ],
    "local_runtime.functions_host.keys": [
        "local_runtime.functions_host.keys",
        "local_runtime.whole_file",
        "local_runtime.errors",
    ],
    "local_runtime.scheduler.client": [],
    "local_runtime.scheduler.engine": ["local_runtime.scheduler.engine"],
    "local_runtime.scheduler.storage": [
        "local_runtime.scheduler.storage",
        "local_runtime.scheduler.engine",
        "local_runtime.clock",
        "local_runtime.errors",
        "local_runtime.faults",
    ],
    "local_runtime.scheduler.dispatch": [
        "local_runtime.scheduler.dispatch",
        "local_runtime.scheduler.storage",
        "local_runtime.scheduler.engine",
        "local_runtime.scheduler.client",
        "local_runtime.clock",
        "local_runtime.errors",
    ],
    "local_runtime.scheduler.transport": ["local_runtime.scheduler.transport"],
    "local_runtime.scheduler.service": [
        "local_runtime.scheduler",
        "local_runtime.descriptors",
        "local_runtime.whole_file",
        "local_runtime.background",
        "local_runtime.clock",
        "local_runtime.errors",
        "local_runtime.faults",
    ],
}
CATCH_ALL = {"utils", "helpers", "common", "base", "manager", "models"}
ROOMS = ("function_app", "orchestrations", "agents", "samples", "durable_agents", "local_runtime")


@functools.cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def source_files() -> list[Path]:
    files: list[Path] = []
    for name in SOURCE:
        path = ROOT / name
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return files


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def imported_modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_imports_point_one_way(path: Path) -> None:
    module = module_name(path)
    room = max((prefix for prefix in MAY_IMPORT if within(module, prefix)), key=len)
    allowed = MAY_IMPORT[room]
    for imported in imported_modules(path):
        if not any(within(imported, name) for name in ROOMS):
            continue
        reaches = any(within(imported, name) or within(name, imported) for name in allowed)
        assert reaches, f"{module} imports {imported}"


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_files_are_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_functions_are_small(path: Path) -> None:
    for node in ast.walk(_parsed(path)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        limit = 50 + len((ast.get_docstring(node, clean=False) or "").splitlines())
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        assert length <= limit, f"{path.name}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_modules_say_what_they_are(path: Path) -> None:
    tree = _parsed(path)
    assert path.stem not in CATCH_ALL
    assert ast.get_docstring(tree), f"{path.name} does not say what it is for"


def test_package_files_hold_no_code() -> None:
    for path in source_files():
        if path.name != "__init__.py":
            continue
        for node in _parsed(path).body:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_names = isinstance(node, ast.Assign)
            assert is_docstring or is_names or isinstance(node, ast.ImportFrom), path


def test_paths_named_in_the_documents_exist() -> None:
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    assert documents[0].exists()
    named = re.compile(
        r"`((?:agents|orchestrations|durable_agents|local_runtime|tests|docs|scripts)/[\w./-]*)`"
    )
    for document in documents:
        for path in named.findall(document.read_text()):
            assert (ROOT / path).exists(), f"{document.name} names {path}"


def test_the_deployed_requirements_hold_nothing_of_the_local_runtime() -> None:
    deployed = (ROOT / "requirements.txt").read_text()
    for name in ("grpcio", "uvicorn", "starlette", "typer", "azure-functions-runtime", "pytest"):
        assert not re.search(rf"^{name}\b", deployed, re.MULTILINE)
