"""Keys: which open what, how they are made and revoked, and that nobody else gets to see them."""

import hmac
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from host_process import APPS, WEBHOOK, Part, finished, running, running_host

from local_runtime.errors import StartupError
from local_runtime.functions_host.keys import key_values
from local_runtime.functions_host.keys.key_ring import HOST_KEYS
from local_runtime.functions_host.keys.key_store import KeyStore
from tests import service

APP = APPS / "keyed"
STATUS = f"{WEBHOOK}/instances/none"
WEBHOOK_KEY = "/admin/host/systemkeys/durabletask_extension"
OPTIONS = ["--enable-auth", "--verbose", "--workers", "2"]


@dataclass
class Keyed:
    """A host that asks for keys, and a key of each kind."""

    part: Part
    host: httpx.Client
    data: Path
    keys: dict[str, str]

    def call(self, verb: str, path: str, key: str, **more) -> httpx.Response:
        return self.host.request(verb, path, headers=header(self.keys.get(key, key)), **more)

    def admin(self, verb: str, path: str, **more) -> httpx.Response:
        return self.call(verb, f"/admin/{path}", "master", **more)


def header(key: str) -> dict[str, str]:
    return {"x-functions-key": key} if key else {}


def on_the_command_line(data: Path, *arguments: str) -> str:
    done = service.run("keys", *arguments, "--data", data)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


def keyed_host(scheduler: str, data: Path):
    return running_host(APP, scheduler, task_hub="Keyed", data_dir=str(data), enable_auth=True)


@pytest.fixture(scope="module")
def keyed(scheduler, tmp_path_factory) -> Iterator[Keyed]:
    data = tmp_path_factory.mktemp("keyed")
    master = on_the_command_line(data, "create", "_master")
    with keyed_host(scheduler, data) as (part, host):
        keyed = Keyed(part, host, data, {"master": master})
        for name, path in {
            "host": "host/functionkeys/everyone",
            "own": "functions/guarded/keys/default",
            "foreign": "functions/other/keys/default",
            "system": "host/systemkeys/another_extension",
        }.items():
            made = keyed.admin("POST", path)
            assert made.status_code == 201, made.text
            keyed.keys[name] = made.json()["value"]
        keyed.keys["webhook"] = keyed.call("GET", WEBHOOK_KEY, "master").json()["value"]
        yield keyed


# --- Which key opens what ----------------------------------------------------------------------


@pytest.mark.parametrize("given_as", ["header", "query"])
@pytest.mark.parametrize(
    ("path", "opened_by"),
    [
        ("/v1/open", "none wrong master own host foreign webhook system"),
        ("/v1/guarded", "master own host"),
        ("/v1/OTHER/1", "master foreign host"),
        ("/v1/root", "master"),
        (STATUS, "master webhook"),
        ("/admin/functions", "master"),
        ("/ADMIN/Host/Keys", "master"),
        ("/admin/host/status", "master"),
        ("/admin/host/ping", "none wrong master own host foreign webhook system"),
    ],
)
def test_each_key_opens_what_it_is_for_and_no_more(keyed, path, opened_by, given_as):
    values = {"none": "", "wrong": "x" * 54, **keyed.keys}
    for name, value in values.items():
        if given_as == "header":
            reply = keyed.host.get(path, headers=header(value))
        else:
            reply = keyed.host.get(path, params={"CODE": value} if value else {})
        is_open = reply.status_code in (200, 404)  # 404: the instance that is not there
        assert is_open == (name in opened_by.split()), f"{name}: {reply.status_code}"
        if not is_open:
            assert (reply.status_code, reply.content) == (401, b"")


def test_the_header_counts_before_the_query(keyed):
    reply = keyed.call("GET", "/v1/guarded", "wrong", params={"code": keyed.keys["master"]})

    assert reply.status_code == 401


@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE", "OPTIONS"])
def test_without_a_key_nothing_below_the_webhook_answers(keyed, verb):
    for path in ("orchestrators/waits", "instances", "nothing", ""):
        assert keyed.host.request(verb, f"{WEBHOOK}/{path}").status_code == 401


def test_the_webhooks_document_says_which_keys_it_takes(keyed):
    document = keyed.call("GET", f"{WEBHOOK}/openapi.json", "master").json()

    assert document["security"] == [{"code": []}, {"x-functions-key": []}]
    assert set(document["components"]["securitySchemes"]) == {"code", "x-functions-key"}
    answers = document["paths"]["/instances/{instanceId}"]["get"]["responses"]
    assert "401" in answers
    assert "403" not in answers


def test_a_refusal_of_admin_says_as_the_real_host_what_it_would_take(keyed):
    assert keyed.host.get("/admin/functions").headers["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in keyed.host.get("/v1/guarded").headers


def test_functions_that_stream_ask_for_keys_as_well(scheduler, tmp_path):
    options = {"task_hub": "Keyed", "data_dir": str(tmp_path), "enable_auth": True}
    with running_host(APPS / "streaming", scheduler, **options) as (_, host):
        master = on_the_command_line(tmp_path, "create", "_master")
        refused = host.post("/api/guarded", content=b"body")
        assert (refused.status_code, refused.content) == (401, b"")
        assert host.post("/api/guarded", content=b"body", headers=header(master)).json() == 4
        by_hand = host.post("/admin/functions/guarded", json={}, headers=header(master))
        assert (by_hand.status_code, "streams" in by_hand.text) == (400, True)


def test_without_the_option_no_keys_are_asked_for(scheduler, tmp_path):
    options = {"task_hub": "Keyed", "data_dir": str(tmp_path)}
    with running_host(APP, scheduler, **options) as (_, host):
        assert host.get("/v1/guarded").text == "guarded"
        assert host.get("/v1/root?code=anything").text == "root"
        assert "code=" not in host.post(f"{WEBHOOK}/orchestrators/waits").text
        assert "code=" not in host.post("/v1/start").text
        assert not list(tmp_path.iterdir())
        # As with `func start`, a script may ask for the key although none is needed.
        assert host.get(WEBHOOK_KEY).json()["value"]
        assert host.post("/admin/functions/guarded/keys/mine").status_code == 201


# --- URLs that were handed out -----------------------------------------------------------------


def test_handed_out_urls_work_after_a_restart_until_their_key_is_made_anew(scheduler, tmp_path):
    master = on_the_command_line(tmp_path, "create", "_master")
    with keyed_host(scheduler, tmp_path) as (_, host):
        by_webhook = host.post(f"{WEBHOOK}/orchestrators/waits", headers=header(master)).json()
        by_sdk = host.post("/v1/start").json()
    for urls in (by_webhook, by_sdk):
        for name, url in urls.items():
            assert name == "id" or list(parse_qs(urlsplit(url).query))[-1] == "code"

    with keyed_host(scheduler, tmp_path) as (_, host):
        for urls in (by_webhook, by_sdk):
            moved = {name: on_port_of(host, url) for name, url in urls.items()}
            assert host.get(moved["statusQueryGetUri"]).status_code == 202
            event = moved["sendEventPostUri"].replace("{eventName}", "go")
            assert host.post(event, json=1).status_code == 202
            assert finished(host, moved)["output"] == 1
        on_the_command_line(tmp_path, "rotate", "durabletask_extension")
        assert host.get(moved["statusQueryGetUri"]).status_code == 401
        fresh = host.post("/v1/start").json()["statusQueryGetUri"]
        assert host.get(fresh).status_code in (200, 202)
        printed = on_the_command_line(tmp_path, "webhook")
        assert parse_qs(urlsplit(fresh).query)["code"] == [printed]


def on_port_of(host: httpx.Client, url: str) -> str:
    if "://" not in url:
        return url
    return urlsplit(url)._replace(netloc=f"localhost:{host.base_url.port}").geturl()


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE"])
def test_changing_the_key_of_the_webhook_makes_the_old_one_void(keyed, verb):
    before = keyed.call("GET", WEBHOOK_KEY, "master").json()["value"]
    body = {"json": {"value": "chosen-by-me"}} if verb == "PUT" else {}

    reply = keyed.call(verb, WEBHOOK_KEY, "master", **body)

    after = keyed.call("GET", WEBHOOK_KEY, "master").json()["value"]
    assert reply.status_code == (204 if verb == "DELETE" else 200)
    assert keyed.call("GET", STATUS, before).status_code == 401
    assert keyed.call("GET", STATUS, after).status_code == 404
    assert keyed.call("GET", STATUS, "chosen-by-me").status_code == (404 if verb == "PUT" else 401)
    keyed.keys["webhook"] = after


# --- Management over HTTP ----------------------------------------------------------------------

SCOPES = ["host/keys", "host/functionkeys", "functions/guarded/keys"]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_is_shown_when_made_and_opens_until_it_is_deleted(keyed, scope):
    made = keyed.admin("POST", f"{scope}/mine")
    value = made.json()["value"]
    address = f"{keyed.host.base_url}/admin/{scope}"

    assert (made.status_code, made.headers["location"]) == (201, f"{address}/mine")
    links = [{"rel": "self", "href": f"{address}/mine"}]
    assert made.json() == {"name": "mine", "value": value, "links": links}
    assert keyed.call("GET", "/v1/guarded", value).status_code == 200
    listed = keyed.admin("GET", scope).json()
    assert {"name": "mine", "value": None} in listed["keys"]
    assert listed["links"] == [{"rel": "self", "href": address}]
    assert keyed.admin("GET", f"{scope}/MINE").json()["name"] == "mine"
    assert keyed.admin("GET", f"{scope}/mine").json() == {
        "name": "mine",
        "value": None,
        "links": links,
    }
    assert keyed.admin("DELETE", f"{scope}/mine").status_code == 204
    assert keyed.call("GET", "/v1/guarded", value).status_code == 401
    assert keyed.admin("DELETE", f"{scope}/mine").status_code == 404
    assert keyed.admin("GET", f"{scope}/mine").status_code == 404


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_set_to_a_value_replaces_the_old_one(keyed, scope):
    old = keyed.admin("POST", f"{scope}/set").json()["value"]

    reply = keyed.admin("PUT", f"{scope}/Set", json={"name": "set", "value": "my own välue"})

    assert (reply.status_code, reply.json()["value"]) == (200, "my own välue")
    assert keyed.host.get("/v1/guarded", params={"code": "my own välue"}).status_code == 200
    assert keyed.call("GET", "/v1/guarded", old).status_code == 401
    assert keyed.admin("PUT", f"{scope}/set2", json={"value": "v"}).status_code == 201
    for name in ("set", "set2"):
        assert keyed.admin("DELETE", f"{scope}/{name}").status_code == 204


def test_the_master_key_is_in_no_list_and_cannot_be_deleted(keyed):
    assert keyed.admin("GET", "host/systemkeys/_master").json()["name"] == "_master"
    assert keyed.admin("GET", "host/keys/_master").status_code == 404
    for scope in ("keys", "systemkeys"):
        assert "_master" not in keyed.admin("GET", f"host/{scope}").text
    refused = keyed.admin("DELETE", "host/keys/_master")
    assert (refused.status_code, refused.text) == (400, "Invalid key name.")
    assert keyed.admin("POST", "functions/guarded/keys/_master").status_code == 400


def test_the_master_key_can_be_made_anew(keyed):
    old, made = keyed.keys["master"], keyed.admin("POST", "host/systemkeys/_master")

    keyed.keys["master"] = made.json()["value"]

    assert made.status_code == 201
    assert keyed.call("GET", "/admin/functions", old).status_code == 401
    put = keyed.admin("PUT", "host/keys/_master", json={"value": old})
    assert put.status_code == 200
    assert keyed.call("GET", "/admin/functions", "master").status_code == 401
    keyed.keys["master"] = old
    assert keyed.call("GET", "/admin/functions", "master").status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [("x", b""), ("x", b"{"), ("x", b"[1]"), ("x", b'{"value": null}'), ("x", b'{"value": 1}'),
     ("x", b'{"value": ""}'), ("x", b'{"value": "' + b"x" * 1025 + b'"}'),
     ("a%2Fb", b'{"value": "v"}'), ("a%0Ab", b'{"value": "v"}'), ("n" * 128, b'{"value": "v"}')],
)  # fmt: skip
def test_what_cannot_be_a_key_is_refused_and_nothing_is_kept(keyed, path, body):
    before = keyed.admin("GET", "host/keys").json()

    assert keyed.admin("PUT", f"host/keys/{path}", content=body).status_code == 400
    assert keyed.admin("GET", "host/keys").json() == before


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["functions/nothing/keys/x", "host/otherkeys/x"])
def test_keys_of_what_is_not_there_are_not_there(keyed, verb, path):
    assert keyed.admin(verb, path, json={"value": "v"}).status_code == 404


# --- Management on the command line ------------------------------------------------------------


def test_the_command_line_changes_the_keys_of_a_running_host(keyed):
    made = on_the_command_line(keyed.data, "create", "typed", "--function", "guarded")
    assert keyed.call("GET", "/v1/guarded", made).status_code == 200
    assert "typed\tthe function guarded\n" in on_the_command_line(keyed.data, "list") + "\n"

    again = on_the_command_line(keyed.data, "rotate", "typed", "--function", "GUARDED")
    assert keyed.call("GET", "/v1/guarded", made).status_code == 401
    assert keyed.call("GET", "/v1/guarded", again).status_code == 200

    on_the_command_line(keyed.data, "delete", "typed", "--function", "guarded")
    assert keyed.call("GET", "/v1/guarded", again).status_code == 401


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", "_master"], "there is a key '_master' already"),
        (["rotate", "nothing"], "there is no key 'nothing' here"),
        (["delete", "nothing"], "there is no key 'nothing' here"),
        (["create", "a/b"], "cannot be the name of a key"),
        (["create", "_master", "--function", "guarded"], "cannot be the name of a key"),
    ],
)
def test_the_command_line_refuses_what_makes_no_sense(keyed, arguments, says):
    done = service.run("keys", *arguments, "--data", keyed.data)

    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr


# --- What is kept, and what is seen ------------------------------------------------------------


def test_values_are_nowhere_but_with_those_who_made_them(tmp_path):
    make = ["keys", "create", "_master", "--data", tmp_path]
    master = service.run(*make).stdout.strip()
    with service.runtime(tmp_path, APP, options=OPTIONS) as runtime:
        url = runtime.url("Functions")
        told = header(master)
        values = [
            master,
            httpx.post(f"{url}/admin/host/keys/one", headers=told).json()["value"],
            httpx.get(f"{url}{WEBHOOK_KEY}?code={master}").json()["value"],
        ]
        httpx.put(f"{url}/admin/host/keys/two", headers=told, json={"value": "chosen-by-me"})
        httpx.get(f"{url}/v1/guarded?code={values[1]}")
        httpx.post(f"{url}/v1/guarded?code={values[1]}", content="raise")
        httpx.get(f"{url}/v1/root?code={values[1]}")
        started = httpx.post(f"{url}/v1/start").json()
        assert values[2] in started["statusQueryGetUri"]
        for _ in range(2):
            httpx.get(started["statusQueryGetUri"])
        table = subprocess.run(
            ["ps", "-A", "-ww", "-e", "-o", "args="], capture_output=True, text=True
        )
        assert "--enable-auth" in table.stdout
        runtime.wait_for_log("as it was told")
        assert runtime.end() == 0
        kept = b"\n".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        for value in [*values, "chosen-by-me"]:
            assert value not in runtime.log
            assert value not in runtime.banner
            assert value not in table.stdout
            assert value.encode() not in kept


def test_the_banner_shows_how_to_get_a_key_and_how_to_use_it(tmp_path):
    with service.runtime(tmp_path, options=["--enable-auth"]) as runtime:
        lines = [line.strip() for line in runtime.banner.splitlines()]
        export = next(line for line in lines if line.startswith("export FUNCTIONS_KEY="))
        start = next(line for line in lines if "orchestrators/doubled" in line)
        bin_dir = tmp_path / "bin"
        bin_dir.mkdir()
        (bin_dir / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (bin_dir / "python").chmod(0o700)
        done = subprocess.run(
            ["sh", "-c", f"{export}; {start}"],
            capture_output=True,
            text=True,
            cwd=service.ROOT,
            env={**service.environment(), "PATH": f"{bin_dir}:{os.environ['PATH']}"},
            check=False,
        )

    assert done.stdout.startswith("HTTP/1.1 202"), done.stderr
    assert "&code=" in done.stdout


def test_only_the_owner_may_read_what_is_kept(keyed):
    folder = keyed.data / "host"
    kept = [path for path in folder.iterdir() if path.name.startswith("keys.json")]

    assert folder / "keys.json" in kept
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


def test_a_broken_file_of_keys_ends_the_start_and_is_left_as_it_is(tmp_path):
    path = tmp_path / "host" / "keys.json"
    path.parent.mkdir()
    path.write_text("{")
    settings = {"app_dir": str(APP), "scheduler": "localhost:1", "port": 0, "task_hub": ""}

    with running("host", **settings, data_dir=str(tmp_path), enable_auth=True) as part:
        part.process.wait(30)
        log = part.end()

    assert part.process.returncode == 1
    assert f"error: {path} holds the keys of this host, and cannot be used" in log
    assert "Traceback" not in log
    assert service.run("keys", "create", "x", "--data", tmp_path).returncode == 1
    assert path.read_text() == "{"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '{"version": 2}', '{"version": 1}', "\xff" * 9, "[" * 100_000,
     '{"version": 1, "salt": "zz", "webhookSecret": "", "fingerprints": {}}'],
)  # fmt: skip
def test_whatever_a_broken_file_holds_is_neither_used_nor_overwritten_nor_shown(tmp_path, text):
    path = tmp_path / "keys.json"
    path.write_bytes(text.encode("latin-1"))
    store = KeyStore(tmp_path)

    for use in (store.ring, store.kept_ring, lambda: store.make(HOST_KEYS, "x")):
        with pytest.raises(StartupError, match="cannot be used") as refusal:
            use()
        assert "zz" not in str(refusal.value)
    assert path.read_bytes() == text.encode("latin-1")


def test_a_file_that_breaks_while_the_host_runs_lets_nobody_in(scheduler, tmp_path):
    master = on_the_command_line(tmp_path, "create", "_master")
    path = tmp_path / "host" / "keys.json"
    with keyed_host(scheduler, tmp_path) as (_, host):
        assert host.get("/v1/root", headers=header(master)).status_code == 200
        whole = path.read_text()
        path.write_text("{")
        for url in ("/v1/root", "/v1/guarded", STATUS, "/admin/functions"):
            assert host.get(url, headers=header(master)).status_code == 500
        assert host.get("/v1/open").status_code == 200
        path.write_text(whole)
        assert host.get("/v1/root", headers=header(master)).status_code == 200
        path.unlink()
        assert host.get("/v1/root", headers=header(master)).status_code == 401


def test_a_value_is_compared_with_every_key_in_constant_time(tmp_path, monkeypatch):
    store = KeyStore(tmp_path)
    values = [store.make(HOST_KEYS, f"key{number}")[0] for number in range(5)]
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return hmac_compare(one, other)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr(key_values.hmac, "compare_digest", compare)

    for value in [*values, "wrong", "x" * 10_000, ""]:
        compared.clear()
        assert store.ring().is_of_scope(value, HOST_KEYS) == (value in values)
        assert compared == [(32, 32)] * 5


def test_hosts_that_start_together_agree_on_the_keys(tmp_path):
    stores = [KeyStore(tmp_path / "host") for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda store: store.make(HOST_KEYS, "x")[0], stores))
        kept = list(threads.map(lambda store: store.kept_ring().webhook_value, stores))

    assert len(set(kept)) == 1
    assert [
        store.ring().is_of_scope(value, HOST_KEYS)
        for store, value in zip(stores, made, strict=True)
    ].count(True) == 1
    assert set(json.loads((tmp_path / "host" / "keys.json").read_text())["fingerprints"]) == {
        HOST_KEYS
    }
