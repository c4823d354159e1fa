"""Log lines say which invocation they belong to, and nothing an app logs looks like one."""

import re
from collections.abc import Iterator

import httpx
import pytest
from host_process import APPS, WEBHOOK, Part, finished, running_host

LINE = r"\d\d:\d\d:\d\d\.\d{3} (?:DEBUG|INFO|WARNING|ERROR) +[\w.]+: "
HEX = "[0-9a-f]{32}"


@pytest.fixture(scope="module")
def talkative(scheduler: str) -> Iterator[tuple[Part, httpx.Client]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RUNTIME_LOG_LEVEL", "DEBUG")
        with running_host(APPS / "talkative", scheduler, task_hub="talkative") as host:
            yield host


@pytest.fixture(scope="module")
def log(talkative) -> str:
    """The log of an orchestration of the id `tour-1`."""
    part, http = talkative
    started = http.post(f"{WEBHOOK}/orchestrators/tour/tour-1").json()
    assert finished(http, started)["runtimeStatus"] == "Completed"
    part.wait_for_log("said by an entity")
    return part.log


@pytest.mark.parametrize(
    ("said", "function", "instance"),
    [
        ("said by an orchestrator", "tour", "tour-1"),
        ("said on a thread", "on_thread", "tour-1"),
        ("said on the loop", "on_loop", "tour-1"),
        ("said beside the loop", "on_loop", "tour-1"),
        ("said by an entity", "listener", "@listener@one"),
    ],
)
def test_what_an_app_logs_is_labelled_with_its_invocation(log, said, function, instance):
    assert re.search(rf"^{LINE}\[{function} {instance} {HEX}\] {said}$", log, re.MULTILINE)


def test_beginning_and_end_of_an_invocation_are_told_when_verbose(log):
    begun = re.findall(rf"^{LINE}\[on_thread tour-1 ({HEX})\] begins$", log, re.MULTILINE)
    ended = re.findall(rf"\[on_thread tour-1 ({HEX})\] ended after [\d.]+ ms$", log, re.MULTILINE)

    assert len(begun) == 1
    assert begun == ended


def test_http_function_is_labelled_with_the_id_that_it_knows(talkative):
    part, http = talkative
    invocation_id = http.post("/api/say", content="hello").text

    part.wait_for_log(f"[say - {invocation_id}] heard: hello")


def test_text_that_an_app_was_sent_cannot_look_like_a_record_or_steer_the_terminal(talkative):
    part, http = talkative
    forged = (
        "x\r\n12:00:00.000 ERROR   host: the disk is gone\n\x1b[2J\x9b1m\u2028end of it\r\u202e"
    )
    http.post("/api/say", content=forged.encode())
    part.wait_for_log("end of it")

    lines = part.log.partition("heard: x\n")[2].split("\n")
    assert lines[0] == "    12:00:00.000 ERROR   host: the disk is gone"
    assert lines[1] == "    \\x1b[2J\\x9b1m\\u2028end of it\\r\\u202e"


def test_failure_is_labelled_and_its_text_stays_in_its_record(talkative):
    part, http = talkative
    started = http.post(f"{WEBHOOK}/orchestrators/mishap/mishap-1").json()
    finished(http, started)
    part.wait_for_log("stumbled")

    assert re.search(rf"\[stumble mishap-1 {HEX}\] mishap-1: activity stumble", part.log)
    assert not re.search("^12:00:00.000 INFO    host: all is well", part.log, re.MULTILINE)
