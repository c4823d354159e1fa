"""`run` runs one orchestration: JSON alone on stdout, everything else on stderr."""

import json
import os
import signal

import pytest

from tests.service import ROOT, SMALL_APP, run, started


def run_small(*arguments, **options):
    return run("run", *arguments, "--app", SMALL_APP, **options)


def test_run_prints_the_output_alone_on_stdout() -> None:
    ended = run_small("doubled", "--input", "21")
    assert (ended.returncode, ended.stdout) == (0, "42\n")
    assert "printed by an activity" in ended.stderr


def test_run_shows_each_step_with_state_and_time() -> None:
    shown = run_small("doubled", "--input", "21").stderr
    assert "  double: running\n" in shown
    assert "  double: completed (0." in shown
    assert "doubled: Completed\n" in shown


def test_run_shows_a_sub_orchestration_as_a_step() -> None:
    ended = run_small("parent", "--input", "3")
    assert ended.stdout == "6\n"
    assert "  doubled: completed (" in ended.stderr


def test_run_of_the_readme_translates_its_question() -> None:
    sample = ROOT / "orchestrations" / "samples" / "agent_orchestration_workflow.json"
    ended = run("run", "agent_orchestration_workflow", "--input", f"@{sample}")
    output = json.loads(ended.stdout)
    assert "Paris" in output["original"]
    assert output["french"].startswith("La capitale de la France")
    assert output["spanish"].startswith("La capital de Francia")
    assert "canned" in ended.stderr


def test_run_finds_an_orchestrator_whatever_its_case() -> None:
    assert run_small("DOUBLED", "--input", "1").stdout == "2\n"


def test_run_finds_an_orchestrator_by_the_name_it_is_registered_under() -> None:
    ended = run_small("Renamed")
    assert (ended.returncode, ended.stdout) == (0, '"run"\n')


def test_run_needs_no_proxy_to_reach_its_own_parts() -> None:
    nobody = "http://127.0.0.1:9"
    names = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "grpc_proxy")
    ended = run(
        "run", "agent_orchestration_workflow", "--input", '"Hi"', env=dict.fromkeys(names, nobody)
    )
    assert ended.returncode == 0, ended.stderr


def test_a_failed_orchestration_exits_1_with_its_message() -> None:
    ended = run_small("fails", "--input", '"the thing"')
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "error: fails ended as Failed" in ended.stderr
    assert "<b>the thing</b> is broken" in ended.stderr


def test_an_unknown_orchestrator_is_answered_with_the_known_ones() -> None:
    ended = run_small("double")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no orchestrator named 'double'" in ended.stderr
    assert "Renamed, doubled, fails, parent, rests, waits, whose_agents" in ended.stderr


def test_a_reply_that_nobody_waits_for_any_more_is_no_error_at_the_end() -> None:
    ended = run(
        "run", "agent_orchestration_workflow", "--input", '"Hi"',
        env={
            "AGENT_REQUEST_TIMEOUT_SECONDS": "0.2",
            "AGENT_RETRY_FIRST_INTERVAL_SECONDS": "0.1",
            "OFFLINE_MODEL_LATENCY_MS": "60000",
        },
    )  # fmt: skip
    assert "no answer within 0.2 s" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "graceful shutdown" not in ended.stderr


def test_a_run_that_takes_too_long_is_given_up() -> None:
    ended = run_small("waits", "--timeout", "0.5")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "did not finish within 0.5 s" in ended.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{'a': 1}", "--input is not valid JSON"),
        ("plain", "needs double quotes"),
        ("NaN", "NaN is not a JSON value"),
        ("1" * 5000, "--input is not valid JSON"),
        ("[" * 90_000, "--input is nested too deeply"),
        ("@nowhere.json", "nowhere.json cannot be read"),
    ],
)
def test_a_wrong_input_is_refused_before_anything_starts(text, complaint) -> None:
    ended = run_small("doubled", "--input", text)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr


def test_packages_of_the_project_do_not_hide_those_of_the_app() -> None:
    assert run_small("whose_agents", cwd=ROOT).stdout == '"the small app\'s"\n'


def test_the_offline_model_is_not_used_when_a_model_is_configured() -> None:
    ended = run_small("doubled", "--input", "1", env={"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})
    assert ended.returncode == 0
    assert "canned" not in ended.stderr


def test_client_of_azure_that_an_app_makes_is_served_by_the_offline_model() -> None:
    azure = ROOT / "tests" / "cli" / "apps" / "azure"
    question = '"What is the capital of France, and what is it known for?"'
    ended = run("run", "question", "--input", question, "--app", azure)
    assert ended.returncode == 0, ended.stderr
    assert "Paris" in json.loads(ended.stdout)
    assert "canned" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_leaves_nothing_running(number) -> None:
    with started("run", "waits", "--app", SMALL_APP) as service:
        service.wait_for_log("waits: Running")
        assert service.end(number) == 1
    assert "interrupted" in service.log


@pytest.mark.crash
def test_a_run_goes_on_when_its_scheduler_is_killed() -> None:
    with started("run", "rests", "--app", SMALL_APP) as service:
        service.wait_for_log("timer until .*: running")
        os.kill(service.children()["scheduler"], signal.SIGKILL)
        assert service.process.stdout.read() == '"rested"\n'
        assert service.process.wait() == 0
    assert "the scheduler ended unexpectedly (killed by SIGKILL)" in service.log
