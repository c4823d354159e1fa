"""What the README shows is what happens: its commands are run, and its code is."""

import re
import shutil

import pytest

from tests.docs import readme
from tests.service import ROOT, run, runtime

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def test_demo_prints_what_the_readme_shows(app) -> None:
    sample = "@orchestrations/samples/agent_orchestration_workflow.json"
    ended = run("run", "agent_orchestration_workflow", "--input", sample, "--app", app, cwd=app)
    shown = readme.blocks(readme.section("Start"))[1][1]
    assert readme.shows(shown.strip(), ended.stdout)


def test_start_prints_what_the_readme_shows(app, tmp_path) -> None:
    shown = readme.blocks(readme.section("Start"))[3][1]
    with runtime(tmp_path / "data", app) as service:
        assert readme.shows(f"{readme.as_here(shown, service)}...", service.banner)


@needs_curl
def test_session_answers_what_the_readme_shows(app, tmp_path) -> None:
    with runtime(tmp_path / "data", app) as service:
        readme.play(readme.section("A session with curl"), app, service)


@needs_curl
def test_agents_answer_over_http_as_the_readme_shows(app, tmp_path) -> None:
    with runtime(tmp_path / "data", app) as service:
        readme.play(readme.section("Ask an agent over HTTP"), app, service)


@needs_curl
def test_running_flow_is_steered_as_the_readme_shows(app, tmp_path) -> None:
    part = readme.section("Steer a flow while it runs")
    setting, value = re.search(r"^(\w+)=(\w+) make start$", part, re.MULTILINE).groups()
    with runtime(tmp_path / "data", app, {setting: value}) as service:
        readme.play(part, app, service)


@needs_curl
def test_agent_and_flow_of_the_readme_run(app, tmp_path) -> None:
    part = readme.section("Add an agent and a flow")
    for language, code in readme.blocks(part):
        if language == "python":
            (app / re.match(r"# (\S+)", code)[1]).write_text(code)
        elif language == "diff":
            apply(code, app / "function_app.py")
    with runtime(tmp_path / "data", app) as service:
        readme.play(part, app, service)


def apply(diff: str, path) -> None:
    """Change a file as a diff says, whose parts are divided by lines of `@@`."""
    text = path.read_text()
    for change in diff.split("@@\n"):
        lines = change.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] != "+")
        assert text.count(old) == 1, f"{path.name} does not have exactly one\n{old}"
        text = text.replace(old, "".join(line[1:] for line in lines if line[0] != "-"))
    path.write_text(text)


def test_targets_named_in_the_readme_are_in_the_makefile() -> None:
    named = set(re.findall(r"(?:^|`|_MS=\d+ )make ([a-z]+)", readme.TEXT, re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named >= {"demo", "start", "test", "check", "help"}
    assert named <= targets
