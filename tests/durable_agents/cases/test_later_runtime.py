"""Results that come later, and an MCP server, in the whole runtime, which is killed meanwhile."""

from pathlib import Path

import httpx
import pytest

from tests.durable_agents.cases.test_killed_runtime import Killable, begun, seen
from tests.durable_agents.cases.whole_run import Effects, told
from tests.durable_agents.scripted_model import ScriptedModel, calls, says

pytestmark = [pytest.mark.crash, pytest.mark.soak, pytest.mark.timeout(240)]

APP = Path(__file__).parent / "later_app"


async def test_result_is_brought_to_the_runtime_that_was_killed_and_started_again(
    tmp_path: Path, model: ScriptedModel, effects: Effects
) -> None:
    model.will(
        calls(("a", "ping", "{}"), ("b", "export", "{}")), calls(("c", "ping", "")), says("done")
    )
    settings = {
        "OPENAI_BASE_URL": f"{model.url}/v1",
        "OPENAI_MODEL": "small",
        "CASES_EFFECTS": str(effects.file),
        "AGENT_RETRY_FIRST_INTERVAL_SECONDS": "0.05",
    }
    runtime = Killable(tmp_path / "data", settings, APP)
    try:
        await runtime.start()
        run = await begun(runtime)
        await seen(lambda: len(effects.lines) == 1)
        await runtime.again()
        (url,) = set(effects.lines)
        # As the app says it: the runtime has told it where it is.
        assert url.startswith(f"http://localhost:{runtime.http_port}/api/callbacks/{run}/")
        async with httpx.AsyncClient(timeout=60) as http:
            assert (await http.post(f"{url}x", json=1)).status_code == 404
            assert (await http.post(url, json={"rows": 3})).status_code == 200
            assert (await http.post(url, json={"rows": 4})).status_code == 409
        answer = await runtime.answer(run)
        assert answer.json()["response"] == "done", answer.text
    finally:
        await runtime.stop()
    results = [request for request in model.requests if "rows" in str(request.body["messages"])]
    assert told(results[0], "a") == "ping {}"
    assert told(results[0], "b") == '{"rows": 3}'
    assert told(results[-1], "c") == "ping {}"
