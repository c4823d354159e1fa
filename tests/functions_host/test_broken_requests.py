"""Requests that break off or make no sense: an answer where there is one to give, no traceback."""

import socket
from urllib.parse import urlsplit

from host_process import APPS, WEBHOOK, running_host

START = f"POST {WEBHOOK}/orchestrators/hello_cities HTTP/1.1\r\nHost: x\r\n"


def test_client_that_goes_away_within_its_body_is_no_error_of_the_host(scheduler):
    with running_host(APPS / "durable_samples", scheduler) as (part, client):
        url = urlsplit(str(client.base_url))
        with socket.create_connection((url.hostname, url.port)) as half:
            half.sendall(f"{START}Content-Length: 100\r\n\r\n[1".encode())
        part.wait_for_log("a client went away")
        log = part.end()

    assert "Traceback" not in log
    assert "ERROR" not in log
