"""The app of `tests/replay/flows.py`, for the runtime that writes its histories."""

import sys
from pathlib import Path

# Only the app's own folder is on the path of a worker.
sys.path.insert(0, str(Path(__file__).parents[3]))

from durable_agents import chat_client_from_environment
from tests.replay.flows import create_app

app = create_app(chat_client_from_environment())
