"""`functionTimeout` and functions that stream: their time lasts until their last byte."""

from collections.abc import Iterator

import httpx
import pytest
from host_process import APPS

from tests.service import Service, runtime

ENVIRONMENT = {
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",  # no model is needed
    "AzureFunctionsJobHost__functionTimeout": "00:00:02",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("data")
    with runtime(data, APPS / "streaming", ENVIRONMENT) as service:
        yield service


@pytest.fixture
def url(service) -> Iterator[str]:
    """Where the functions are; a function that takes too long has its process replaced."""
    url = service.url("Functions") + "/api"
    before = process_at(url)
    already = len(service.wait_for_log("is replaced by a new process", times=0))
    yield url
    service.wait_for_log("is replaced by a new process", times=already + 1)
    assert process_at(url) != before


def process_at(url: str) -> int:
    return httpx.get(f"{url}/pid", timeout=30).raise_for_status().json()


@pytest.mark.parametrize("name", ["hangs", "hangs_on_a_thread"])
def test_function_that_takes_too_long_for_its_first_byte_is_a_500(service, url, name):
    reply = httpx.get(f"{url}/{name}", timeout=30)

    assert (reply.status_code, reply.content) == (500, b"")
    assert reply.headers["connection"] == "close"
    service.wait_for_log(f"ERROR .* function {name} has run for longer than")


@pytest.mark.parametrize("name", ["hanging_stream", "hanging_stream_on_a_thread"])
def test_stream_that_takes_too_long_is_broken_off(service, url, name):
    with httpx.stream("GET", f"{url}/{name}", timeout=30) as reply:
        parts = reply.iter_raw()
        assert next(parts) == b"one"
        with pytest.raises(httpx.RemoteProtocolError):
            next(parts)

    assert len(service.wait_for_log(f"ERROR .* function {name} has run for longer than")) == 1
