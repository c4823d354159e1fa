"""What the tools of the changing app do: leave a trace, and end when the model's server lets them.

This does not change with the app's code.
"""

import asyncio
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from durable_agents import ToolContext
from tests.soak.executions import now

EFFECTS = "SOAK_EFFECTS"


def _append(*words: object) -> None:
    with Path(os.environ[EFFECTS]).open("a") as lines:
        lines.write(json.dumps(words) + "\n")


async def act(name: str, run: str, context: ToolContext) -> str:
    """Note the effect, with the idempotency key of the call, and wait for the server."""
    _append(run, name, context.idempotency_key, now())
    server = urlsplit(os.environ["OPENAI_BASE_URL"])
    reader, writer = await asyncio.open_connection(server.hostname, server.port)
    writer.write(f"GET /gate/{run}/{name} HTTP/1.1\r\nhost: gate\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return f"{name} is done"
