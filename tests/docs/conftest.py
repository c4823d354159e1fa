"""A copy of this repository's app for the README to be tried on."""

import shutil
from pathlib import Path

import pytest

from tests.service import ROOT


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy: it has no settings of the person who runs the tests, and may be changed."""
    folder = tmp_path / "app"
    for name in ("agents", "orchestrations"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("function_app.py", "host.json"):
        shutil.copy(ROOT / name, folder)
    return folder
