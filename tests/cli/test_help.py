"""The command line is relied upon by others: its commands and options stay."""

import pytest

from tests.service import run

OPTIONS = {
    "start": "--app --port --scheduler-port --dashboard-port --data --workers --watch --task-hub"
    " --enable-auth --retention-days --virtual-time",
    "scheduler": "--grpc-port --dashboard-port --data --durability --retention-days --virtual-time",
    "host": "--app --port --scheduler --task-hub --data --workers --watch --enable-auth",
    "keys": "create rotate delete list webhook",
    "run": "--input --app --timeout",
    "status": "--dashboard-port --port --json",
}


def test_help_lists_the_commands() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for name in OPTIONS:
        assert f" {name} " in shown.stdout
    assert " model " not in shown.stdout


@pytest.mark.parametrize("name", OPTIONS)
def test_help_of_a_command_lists_its_options(name) -> None:
    shown = run(name, "--help")
    assert shown.returncode == 0
    for option in OPTIONS[name].split():
        assert f" {option} " in shown.stdout


@pytest.mark.parametrize("arguments", [["start", "--port", "70000"], ["start", "--nothing"], []])
def test_a_wrong_command_line_is_refused(arguments) -> None:
    refused = run(*arguments)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
