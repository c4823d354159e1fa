"""What the runtime does in the background goes on after a fault."""

import os
import shutil
import signal
from pathlib import Path

import httpx

from tests.service import SMALL_APP, WEBHOOK, runtime

# Every Python process runs this first; it spoils what a part tells the supervisor, if it is there.
SITECUSTOMIZE = """
import os, sys
if os.environ.get("LOCAL_RUNTIME_SUPERVISED") and os.path.exists({flag!r}):
    print("this is no report", flush=True)
"""


def test_a_part_whose_report_makes_no_sense_is_started_again(tmp_path: Path) -> None:
    site, flag = tmp_path / "site", tmp_path / "flag"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITECUSTOMIZE.format(flag=str(flag)))
    path = os.pathsep.join([str(site), str(Path(__file__).parents[2])])
    with runtime(tmp_path / "data", env={"PYTHONPATH": path}) as service:
        flag.touch()
        os.kill(service.children()["scheduler"], signal.SIGKILL)
        service.wait_for_log("the scheduler did not start; next try")
        flag.unlink()
        service.wait_for_log("the scheduler runs again")
        url = f"{service.url('Functions')}{WEBHOOK}/orchestrators/doubled"
        while (reply := httpx.post(url, json=4, timeout=60)).status_code == 503:
            pass
        assert reply.status_code == 202


def test_an_app_whose_folder_is_replaced_is_watched_on(tmp_path: Path) -> None:
    app = tmp_path / "app"
    shutil.copytree(SMALL_APP, app)
    with runtime(tmp_path / "data", app, options=["--watch"]) as service:
        shutil.rmtree(app)
        service.wait_for_log("watching the app's files failed")
        shutil.copytree(SMALL_APP, app)
        service.wait_for_log("the changed app has taken over")
        # And it is watched again: the next change is seen, too.
        source = app / "function_app.py"
        source.write_text(source.read_text() + "\n")
        service.wait_for_log("the changed app has taken over", times=2)
