"""A signal ends a part whenever it comes, and whichever of its threads it comes to."""

import subprocess
import sys

from tests.service import PATIENCE, ROOT

# The loop has nothing to do and no timer: only the signal can wake it. It goes to another thread
# once the main thread is asleep, so that no system call of the main thread is interrupted.
_PART = """
import asyncio, signal, threading
from pathlib import Path
from local_runtime.processes.part_process import run_part

def interrupt():
    status = Path(f"/proc/self/task/{threading.main_thread().native_id}/stat")
    while status.read_text().rpartition(")")[2].split()[0] != "S":
        pass
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    threading.Event().wait()

async def serve(part):
    threading.Thread(target=interrupt, daemon=True).start()
    await part.stop.wait()

run_part(serve, print)
"""


def test_a_signal_that_comes_to_another_thread_wakes_the_loop() -> None:
    part = subprocess.run([sys.executable, "-c", _PART], cwd=ROOT, timeout=PATIENCE)
    assert part.returncode == 0
