"""`--watch` puts a changed app in the place of the running one, and loses nothing on the way."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from host_process import WEBHOOK, finished

from tests.service import Service, runtime

NO_MODEL = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
APP = """
import os, threading
from pathlib import Path
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
HERE = Path(__file__).parent
VERSION = "first"

@app.route(route="version")
def version(req: func.HttpRequest) -> str:
    return f"{VERSION} {os.environ.get('SETTING')}"

@app.route(route="waits")
def waits(req: func.HttpRequest) -> str:
    Path(os.environ["SIGNS"], "begun").touch()
    while not Path(os.environ["SIGNS"], "go").exists():
        threading.Event().wait(0.02)
    return VERSION

@app.orchestration_trigger(context_name="context")
def asks(context: df.DurableOrchestrationContext):
    answer = yield context.wait_for_external_event("answer")
    return [answer, (yield context.call_activity("which", None))]

@app.activity_trigger(input_name="nothing")
def which(nothing) -> str:
    return VERSION
"""


class Watched:
    """A running app whose files the test changes."""

    def __init__(self, app: Path, service: Service, signs: Path) -> None:
        self.app = app
        self.service = service
        self.signs = signs
        self.url = service.url("Functions")
        self.taken_over = 0

    def write(self, version: str, more: str = "") -> None:
        source = APP.replace('"first"', repr(version)) + more
        (self.app / "function_app.py").write_text(source)

    def wait_until_taken_over(self) -> None:
        self.taken_over += 1
        self.service.wait_for_log("the changed app has taken over", times=self.taken_over)

    def hosts(self) -> set[int]:
        """The host's processes, once those of the app before have come to their end."""
        while len(hosts := self.service.hosts()) != 2:
            pass
        return hosts

    def version(self) -> str:
        return httpx.get(f"{self.url}/api/version", timeout=60).text


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Iterator[Watched]:
    app, signs = tmp_path_factory.mktemp("app"), tmp_path_factory.mktemp("signs")
    (app / "function_app.py").write_text(APP)
    # The data folder is the usual one, in the app's: what changes there is no change of the app.
    env = {**NO_MODEL, "SIGNS": str(signs)}
    with runtime(app / ".local", app, env=env, options=["--watch", "--workers", 2]) as service:
        yield Watched(app, service, signs)


def test_changed_app_takes_over_and_running_instances_go_on_in_it(watched):
    urls = httpx.post(f"{watched.url}{WEBHOOK}/orchestrators/asks", timeout=60).json()
    hosts = watched.service.hosts()

    watched.write("second")
    watched.wait_until_taken_over()

    httpx.post(urls["sendEventPostUri"].format(eventName="answer"), json=42, timeout=60)
    with httpx.Client(timeout=60) as http:
        assert finished(http, urls)["output"] == [42, "second"]
    assert watched.version() == "second None"
    assert len(watched.service.hosts() - hosts) == 2
    assert "loaded again when a file changes" in watched.service.banner


def test_no_request_is_refused_or_lost_in_between(watched):
    versions: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            versions.append(watched.version())

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    waiting: list[str] = []
    waits = threading.Thread(
        target=lambda: waiting.append(httpx.get(f"{watched.url}/api/waits", timeout=60).text)
    )
    waits.start()
    while not (watched.signs / "begun").exists():
        pass
    before = watched.version()
    watched.write("third")
    watched.wait_until_taken_over()
    (watched.signs / "go").touch()
    while versions[-1] != "third None":
        pass
    done.set()
    for thread in (*asking, waits):
        thread.join(60)

    assert set(versions) == {before, "third None"}
    assert waiting == [before.split()[0]]


def test_change_that_does_not_load_keeps_the_old_app_until_it_is_mended(watched):
    hosts = watched.hosts()
    before = watched.version()
    lines = APP.count("\n")

    watched.write("broken", "1 / 0\n")
    watched.service.wait_for_log(
        "the app as it was before goes on: the changed one does not load: .*ZeroDivisionError: "
        rf"division by zero \({watched.app}/function_app.py, line {lines + 1}: 1 / 0\)"
    )
    assert watched.version() == before
    assert watched.hosts() == hosts
    assert watched.service.log.count("ZeroDivisionError") == 1

    watched.write("mended")
    watched.wait_until_taken_over()
    assert watched.version() == "mended None"


def test_settings_are_read_again(watched):
    (watched.app / "local.settings.json").write_text('{"Values": {"SETTING": "on"}}')
    watched.wait_until_taken_over()
    assert watched.version().endswith(" on")

    (watched.app / "host.json").write_text("{")
    watched.service.wait_for_log("does not load: .*host.json is not valid JSON")
    (watched.app / "host.json").write_text('{"version": "2.0"}')
    watched.wait_until_taken_over()


def test_changed_app_that_never_loads_gives_way_to_the_next_change(watched):
    watched.write("stuck", f"Path({str(watched.signs / 'loading')!r}).touch()\n"
                           "threading.Event().wait()\n")  # fmt: skip
    while not (watched.signs / "loading").exists():
        pass

    watched.write("unstuck")
    watched.wait_until_taken_over()
    assert watched.version().startswith("unstuck")


def test_many_changes_at_once_are_few_loads_and_what_is_no_code_is_none(watched):
    before = watched.service.log.count("loading the app again")
    for name in (".git", "__pycache__", ".venv", ".local", "node_modules"):
        (watched.app / name).mkdir(exist_ok=True)
        (watched.app / name / "file.py").write_text("x = 1\n")
    (watched.app / "app.log").write_text("a line\n")
    (watched.app / ".function_app.py.swp").write_text("")
    for number in range(100):
        (watched.app / f"module_{number}.py").write_text("x = 1\n")
    watched.service.wait_for_log(r"(module_\d+.py, ){2}module_\d+.py and \d+ more changed")
    watched.wait_until_taken_over()

    watched.write("last")
    while not watched.version().startswith("last"):
        pass
    assert watched.service.log.count("loading the app again") - before < 10
    for line in watched.service.log.splitlines():
        if "loading the app again" in line:
            assert "file.py" not in line
            assert "app.log" not in line
            assert ".swp" not in line


@pytest.mark.crash
def test_killed_process_of_a_changed_app_comes_back_with_it(watched):
    before = watched.service.log.count("the Functions host runs again")
    watched.hosts()
    os.kill(watched.service.first_host(), 9)
    watched.service.wait_for_log("the Functions host runs again", times=before + 1)
    assert watched.version().startswith("last")


CHANGES_WHILE_IT_LOADS = """
from pathlib import Path
own = Path(__file__).with_name("other.py")
if not own.exists():
    own.write_text("x = 1")
"""


def test_change_while_the_app_is_loaded_for_the_first_time_is_seen(tmp_path):
    (tmp_path / "function_app.py").write_text(APP + CHANGES_WHILE_IT_LOADS)
    env = {**NO_MODEL, "SIGNS": str(tmp_path)}
    with runtime(tmp_path / ".local", tmp_path, env=env, options=["--watch"]) as service:
        service.wait_for_log("other.py changed: loading the app again")
        service.wait_for_log("the changed app has taken over")
