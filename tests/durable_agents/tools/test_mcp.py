"""The way to an MCP server: it starts or that is an error, and it ends with this process."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_agents import ConfigurationError, InvalidAgent
from durable_agents.messages import ToolRequest
from durable_agents.tools.mcp import mcp_tools
from durable_agents.tools.mcp.names import legal_names
from durable_agents.tools.mcp.result import read_result
from tests.durable_agents.tools import mcp_http_server, mcp_server
from tests.ports import free_port

SERVER = str(mcp_server.__file__)


def command(log: Path, mode: str = "") -> list[str]:
    return [sys.executable, SERVER, str(log), mode]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["/no/such/program"], "No such file"),
        ([sys.executable, "-c", "pass"], "cannot be used"),
        ([sys.executable, "-c", "import sys; sys.stdin.read()"], "did not answer within 1 s"),
        ([sys.executable, "-c", "print('hello')\nfor _ in open(0): print('?')"], "did not answer"),
    ],
    ids=["none", "ends", "silent", "chatter"],
)
def test_server_that_does_not_start_is_an_error_that_names_it(given: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match="'files'") as raised:
        mcp_tools(name="files", command=given, startup_timeout=1)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"name": "a b"}, ConfigurationError, "cannot be a name"),
        ({"url": "http://127.0.0.1:9/mcp"}, ConfigurationError, "not both"),
        ({"command": ()}, ConfigurationError, "not both"),
        ({"only": ["pong"]}, ConfigurationError, "no tool 'pong'; it has: .*ping"),
        ({"approval": {"pong": "always"}}, ConfigurationError, "no tool 'pong'"),
        ({"approval": {"ping": "maybe"}}, InvalidAgent, "approval"),
        ({"timeout": -1}, InvalidAgent, "timeout"),
        ({"retry": 0}, InvalidAgent, "retry"),
    ],
)
def test_rule_that_cannot_be_kept_is_an_error_at_the_start(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    given: dict[str, Any] = {"name": "files", "command": command(tmp_path / "log"), **options}
    with pytest.raises(error, match=words):
        mcp_tools(**given)
    if (tmp_path / "log").exists():  # it was started, and has ended by now
        server = json.loads((tmp_path / "log").read_text())[1]
        with pytest.raises(ProcessLookupError):
            os.kill(server, 0)


def test_without_the_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mcp", "mcp_types")]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("server", "lenient"):
        monkeypatch.delitem(sys.modules, f"durable_agents.tools.mcp.{name}", raising=False)
    with pytest.raises(ConfigurationError, match="pip install mcp"):
        mcp_tools(name="files", command=["true"])


def test_library_is_imported_without_the_package() -> None:
    code = (
        "import sys; sys.modules['mcp'] = None\n"
        "import durable_agents.tools.mcp, durable_agents\n"
        "assert not [name for name in sys.modules if name.startswith('mcp_types')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# After a kill nobody is left to end a server that does not heed the end of its input.
@pytest.mark.parametrize(("how", "mode"), [("exit", ""), ("exit", "stuck"), ("kill", "")])
def test_server_does_not_outlive_the_process(tmp_path: Path, how: str, mode: str) -> None:
    log = tmp_path / "log"
    code = (
        "import os, signal\nfrom durable_agents.tools.mcp import mcp_tools\n"
        f"mcp_tools(name='files', command={command(log, mode)!r})\n"
        + ("os.kill(os.getpid(), signal.SIGKILL)" if how == "kill" else "")
    )
    # The server has this pipe too: it is at its end only when both processes are.
    ended = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, timeout=60)
    assert ended.returncode == (-signal.SIGKILL if how == "kill" else 0), ended.stderr
    assert json.loads(log.read_text())[0] == "started"


async def test_server_gets_no_variables_but_those_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "secret")
    tools = mcp_tools(
        name="files", command=command(tmp_path / "log"), env={"ROOT": "/"}, only=["env"]
    )
    try:
        result = await tools[0].run(ToolRequest(call_id="1"))
    finally:
        tools.close()
    names = json.loads(result.text)
    assert "ROOT" in names
    assert "AZURE_OPENAI_API_KEY" not in names


@pytest.fixture
def endpoint() -> Iterator[str]:
    port = free_port()
    script = str(mcp_http_server.__file__)
    server = subprocess.Popen([sys.executable, script, str(port)])
    try:
        while True:
            assert server.poll() is None
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.kill()
        server.wait()


async def test_server_over_http_gets_headers_of_the_moment(endpoint: str) -> None:
    keys = iter(["sesame"] * 50)
    tools = mcp_tools(name="sums", url=endpoint, headers=lambda: {"x-key": next(keys)})
    try:
        (add,) = tools
        assert add.description == "Add two numbers."
        assert add.read('{"a": "five"}').problem
        result = await add.run(ToolRequest(call_id="1", arguments='{"a": 3}'))
    finally:
        tools.close()
    assert (result.text, result.is_error) == ("5", False)


def test_server_over_http_that_refuses_is_an_error_without_its_address(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="'sums'") as raised:
        mcp_tools(name="sums", url=endpoint, startup_timeout=5)
    assert endpoint not in str(raised.value)


async def test_server_over_http_that_is_away_is_told_to_the_model(endpoint: str) -> None:
    key = {"x-key": "sesame"}
    tools = mcp_tools(name="sums", url=endpoint, headers=lambda: key)
    key["x-key"] = "wrong"
    try:
        result = await tools[0].run(ToolRequest(call_id="1", arguments='{"a": 3}'))
        assert result.is_error
        key["x-key"] = "sesame"
        again = await tools[0].run(ToolRequest(call_id="2", arguments='{"a": 3}'))
    finally:
        tools.close()
    assert (again.text, again.is_error) == ("5", False)


def test_legal_names_stay_and_others_get_a_mark_of_their_own() -> None:
    names = ["read", "Read", "a.b", "a/b", "ä", "", "9lives", "x" * 90, "x" * 91]
    legal = legal_names(names)
    assert legal == legal_names(names[::-1])
    assert len({one.casefold() for one in legal.values()}) == len(names)
    assert legal_names(["read-it_2"]) == {"read-it_2": "read-it_2"}
    for one in legal.values():
        assert one[0].isalpha()
        assert one.isascii()
        assert len(one) <= 63
        assert one.replace("_", "").replace("-", "").isalnum()


TEXT = {"type": "text", "text": "hello"}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({}, "(done; the server sent no content)"),
        ({"content": None}, "(done; the server sent no content)"),
        ({"content": [TEXT, TEXT]}, "hello\nhello"),
        ({"content": [{"type": "text", "text": " "}]}, "(done; the server sent no content)"),
        ({"content": [TEXT], "structuredContent": {"a": 1}}, "hello"),
        ({"content": [], "structuredContent": [1, 2]}, "[1, 2]"),
        (
            {"content": [{"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}]},
            "[audio: audio/wav, 3 bytes; it is not shown here]",
        ),
        (
            {"content": [{"type": "resource", "resource": {"uri": "f:/a", "blob": "AAA="}}]},
            "[file: of no known type, 2 bytes, f:/a; it is not shown here]",
        ),
        ({"content": [{"type": "resource", "resource": {"uri": "f:/a", "text": "in"}}]}, "in"),
        ({"content": [{"type": "resource_link", "uri": "f:/a", "name": "A"}]}, "[A: f:/a]"),
        ({"content": ["?", None]}, "[content of the kind '', which cannot be told]\n" * 2),
    ],
)
def test_result_is_told_as_far_as_it_can_be(raw: dict[str, Any], text: str) -> None:
    assert read_result(raw) == (text.strip(), False)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"isError": True}, "the tool failed, and the server did not say why"),
        ({"isError": True, "structuredContent": {"code": 5}}, '{"code": 5}'),
        ({"isError": True, "content": [TEXT]}, "hello"),
        ({"resultType": "input_required"}, "the tool asks for more input"),
    ],
)
def test_failed_result_is_one(raw: dict[str, Any], text: str) -> None:
    told, failed = read_result(raw)
    assert failed
    assert told.startswith(text)
