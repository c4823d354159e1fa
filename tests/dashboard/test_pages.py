"""The dashboard's pages as HTML: what they list, how they answer, and that nothing gets through."""

import asyncio
import re
from urllib.parse import quote

import httpx
import pytest

from local_runtime.dashboard.server import DashboardSettings, serve
from tests.service import started

HUB = "/hubs/default"


def ids(page: httpx.Response) -> list[str]:
    return re.findall(rf'<td class="id"><a href="{HUB}/instances/([^"]+)"', page.text)


def test_the_only_hub_is_shown_at_once(dashboard) -> None:
    assert dashboard.get("/").url.path == HUB


def test_the_list_shows_name_status_and_times_the_newest_first(dashboard, ended) -> None:
    ended("doubled", 1, "list-1")
    ended("fails", "it", "list-2")
    page = dashboard.get(HUB, params={"prefix": "list-"})
    assert ids(page) == ["list-2", "list-1"]
    first = page.text[page.text.index("list-2</a>") : page.text.index("list-1</a>")]
    assert "<td>fails</td>" in first
    assert 'class="status failed">Failed<' in first
    assert first.count("<time datetime=") == 2


def test_the_list_is_filtered_by_status_and_beginning_of_the_id(dashboard, ended) -> None:
    ended("doubled", 1, "filter-done")
    ended("fails", "it", "filter-failed")
    query = {"prefix": "filter-", "status": "Completed"}
    assert ids(dashboard.get(HUB, params=query)) == ["filter-done"]
    assert "No instance matches." in dashboard.get(HUB, params={"prefix": "no such"}).text


def test_a_long_list_goes_on_over_pages(dashboard, start) -> None:
    wanted = [f"paged-{number:02}" for number in range(55)]
    for instance_id in wanted:
        start("waits", instance_id=instance_id)
    first = dashboard.get(HUB, params={"prefix": "paged-"})
    [link] = re.findall(r'<a rel="next" href="([^"]+)"', first.text)
    second = dashboard.get(HUB + link.replace("&amp;", "&"))
    assert len(ids(first)) == 50
    assert sorted(ids(first) + ids(second)) == wanted
    assert "First page" in second.text
    assert 'rel="next"' not in second.text


def test_an_instance_shows_input_output_and_history(dashboard, ended) -> None:
    ended("doubled", 21, "shown")
    text = dashboard.get(f"{HUB}/instances/shown").text
    assert re.search(r"<h2>Input</h2>\s*<pre>21</pre>", text)
    assert re.search(r"<h2>Output</h2>\s*<pre>42</pre>", text)
    kinds = ["ExecutionStarted", "TaskScheduled", "TaskCompleted", "ExecutionCompleted"]
    places = [text.index(f"<td>{kind}</td>") for kind in kinds]
    assert places == sorted(places)
    assert "<td>double</td>" in text


def test_a_waiting_instance_shows_its_custom_status(dashboard, start, service) -> None:
    urls = start("waits")
    while httpx.get(urls["statusQueryGetUri"]).json()["customStatus"] is None:
        pass
    text = dashboard.get(f"{HUB}/instances/{urls['id']}").text
    assert "waiting for the event &#39;go&#39;" in text
    assert 'data-live="yes"' in text


def test_a_failure_is_shown_with_its_message_escaped(dashboard, ended) -> None:
    ended("fails", "<script>alert(1)</script>", "failure")
    text = dashboard.get(f"{HUB}/instances/failure").text
    assert "<h2>Failure</h2>" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;/b&gt; is broken" in text
    assert "<script>alert" not in text
    assert 'data-live="no"' in text


def test_a_sub_orchestration_leads_to_its_page_and_back(dashboard, ended) -> None:
    ended("parent", 4, "family")
    text = dashboard.get(f"{HUB}/instances/family").text
    [child] = re.findall(rf'<a class="id" href="({HUB}/instances/[^"]+)"', text)
    assert f'<a href="{HUB}/instances/family">family</a>' in dashboard.get(child).text


@pytest.mark.parametrize("instance_id", ["<b>bold", "ü ö", "a&b=c%20d", "'quoted\"", "+"])
def test_an_id_of_any_characters_is_linked_and_found(dashboard, ended, instance_id) -> None:
    path = quote(instance_id, safe="")
    ended("doubled", 1, path)
    assert path in ids(dashboard.get(HUB, params={"prefix": instance_id}))
    assert dashboard.get(f"{HUB}/instances/{path}").status_code == 200


def test_pages_run_and_load_only_what_is_their_own(dashboard) -> None:
    page = dashboard.get(HUB)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<script(?! src=\"/static/)|<style| on\w+=| style=", page.text)


@pytest.mark.parametrize("path", [f"{HUB}/instances/nobody", "/hubs/nowhere", "/nothing"])
def test_what_is_not_there_is_a_page_with_404(dashboard, path) -> None:
    page = dashboard.get(path)
    assert page.status_code == 404
    assert "<h1>404</h1>" in page.text


def test_looking_at_a_hub_does_not_make_it(dashboard) -> None:
    for _ in range(2):
        assert dashboard.get("/hubs/another").status_code == 404


@pytest.mark.parametrize("query", ["status=Happy", "after=nonsense"])
def test_a_query_that_makes_no_sense_is_a_page_with_400(dashboard, query) -> None:
    assert dashboard.get(f"{HUB}?{query}").status_code == 400


def test_another_sites_name_for_this_machine_is_refused(dashboard) -> None:
    assert dashboard.get(HUB, headers={"Host": "evil.example"}).status_code == 400


def test_with_no_hub_yet_the_page_says_how_to_start(tmp_path) -> None:
    ports = ["--grpc-port", 0, "--dashboard-port", 0]
    with started("scheduler", *ports, "--data", tmp_path) as scheduler:
        url = scheduler.wait_for_log(r"dashboard at (http://\S+)")[0]
        text = httpx.get(url).text
    assert "There is no task hub yet." in text
    assert "curl -i -X POST http://localhost:7071/runtime/webhooks/durabletask" in text


async def test_a_scheduler_that_does_not_answer_is_a_page_with_503() -> None:
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    settings = DashboardSettings(0, "127.0.0.1:9", lambda: ["default"])
    serving = asyncio.create_task(serve(settings, ready=ready.set_result, stop=stop))
    url = f"http://127.0.0.1:{(await ready)['port']}"
    async with httpx.AsyncClient(base_url=url) as client:
        page = await client.get(HUB)
    stop.set()
    await serving
    assert page.status_code == 503
    assert "The scheduler does not answer" in page.text
