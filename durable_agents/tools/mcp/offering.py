"""Makes tools of what an MCP server offers."""

import concurrent.futures
import importlib
import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast, overload

from durabletask.task import RetryPolicy

from durable_agents.errors import ConfigurationError
from durable_agents.json_schema import UnusableSchema
from durable_agents.model import ToolSpec
from durable_agents.sound_text import sound
from durable_agents.tools.context import ToolError
from durable_agents.tools.definition import (
    MAX_RESULT_BYTES,
    Approval,
    Tool,
    require_tool_rules,
    timeout_seconds,
)
from durable_agents.tools.mcp.background import close_at_exit, on_thread, submit
from durable_agents.tools.mcp.names import legal_names
from durable_agents.tools.mcp.result import read_result
from durable_agents.tools.schema_arguments import SchemaArguments
from durable_agents.tools.server_schema import offered_schema

if TYPE_CHECKING:
    from durable_agents.tools.mcp.server import Headers, McpServer

logger = logging.getLogger(__name__)

# What servers of models take.
_LONGEST_DESCRIPTION = 1024
_SERVER = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")
# A call without a time limit of its own would wait for ever for a server that hangs.
_LONGEST_CALL = 3600.0
_CLOSING_SECONDS = 10.0

_NO_APPROVAL: Approval = "never"

type _Retry = RetryPolicy | int | None
type _Timeout = float | timedelta | None


class McpTools(Sequence[Tool]):
    """The tools of one server, for `Agent(tools=...)`."""

    def __init__(self, tools: Sequence[Tool], server: "McpServer") -> None:
        self._tools = tuple(tools)
        self._server = server

    @overload
    def __getitem__(self, index: int) -> Tool: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tool]: ...
    def __getitem__(self, index: int | slice) -> Tool | Sequence[Tool]:
        """Return a tool, or some."""
        return self._tools[index]

    def __len__(self) -> int:
        return len(self._tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools)

    def close(self) -> None:
        """End the session, and the server's process. The next call opens it again."""
        submit(self._server.close()).result(_CLOSING_SECONDS)


@dataclass(frozen=True)
class _Rules:
    """How a server's tools are called: for all of them, or by the tool's name."""

    approval: Approval | Mapping[str, Approval]
    retry: _Retry | Mapping[str, _Retry]
    timeout: _Timeout | Mapping[str, _Timeout]
    only: Collection[str] | None
    max_result_bytes: int

    def require_known(self, server: str, names: Collection[str]) -> None:
        """Check that the rules are about tools that there are."""
        named = set(self.only or ())
        for rule in (self.approval, self.retry, self.timeout):
            if isinstance(rule, Mapping):
                named.update(cast("Mapping[str, object]", rule))
        unknown = sorted(named - set(names))
        if unknown:
            raise ConfigurationError(
                f"the MCP server '{server}' has no tool {unknown[0]!r}; it has: "
                f"{', '.join(sorted(names)) or 'none'}."
            )


def mcp_tools(
    *,
    name: str,
    command: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    url: str = "",
    headers: "Headers | None" = None,
    approval: Approval | Mapping[str, Approval] = "never",
    retry: _Retry | Mapping[str, _Retry] = None,
    timeout: _Timeout | Mapping[str, _Timeout] = 300,
    only: Collection[str] | None = None,
    prefix: str = "",
    max_result_bytes: int = MAX_RESULT_BYTES,
    startup_timeout: float = 30,
) -> McpTools:
    """Ask an MCP server for its tools: `Agent(tools=[*mcp_tools(...), ...])`.

    The server is asked now. One that is a program is started, and ends with this process.

    Args:
        name: What the server is called, in names of activities: a letter, then letters, digits,
            `_` and `-`, 31 at most.
        command: The program and its arguments, for a server that is spoken to by its input and
            output.
        env: More variables for its environment. It gets PATH, HOME and a few others, and not those
            of this process.
        url: Where it is, for a server that is spoken to by streamable HTTP.
        headers: Called before each request, async or not; returns headers. They are not stored.
        approval: Whether a person has to approve a call: for all tools, or by the tool's name.
        retry: How a failed call is made again: for all, or by name. Once, where it is not said.
        timeout: How long a call may take: for all, or by name. 300 s where it is not said.
        only: The tools that are offered; None for all.
        prefix: What the names begin with that models are told.
        max_result_bytes: How much of a result the model is told, in bytes of UTF-8.
        startup_timeout: How many seconds the server may take until it has listed its tools.

    Raises:
        ConfigurationError: The package `mcp` is not installed, the server does not start or does
            not answer, or a rule is about a tool that it does not have.
    """
    if not _SERVER.fullmatch(name):
        raise ConfigurationError(f"MCP server {name!r}: that cannot be a name.")
    if bool(command) == bool(url):
        raise ConfigurationError(f"the MCP server '{name}' needs a command or a url, and not both.")
    if isinstance(command, str):
        raise ConfigurationError(f"the MCP server '{name}': command is a list of words.")
    server = _server(name, command, env, url, headers, startup_timeout)
    found = _listed(server, startup_timeout)
    close_at_exit(server.close)
    rules = _Rules(approval, retry, timeout, only, max_result_bytes)
    try:
        rules.require_known(name, [str(one.get("name")) for one in found])
        return McpTools(_tools(server, found, rules, prefix), server)
    except ConfigurationError:
        submit(server.close()).result(_CLOSING_SECONDS)
        raise


def _server(
    name: str,
    command: Sequence[str],
    env: Mapping[str, str] | None,
    url: str,
    headers: "Headers | None",
    startup_timeout: float,
) -> "McpServer":
    try:
        module = importlib.import_module("durable_agents.tools.mcp.server")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the MCP server '{name}' needs the package 'mcp' (pip install mcp): "
            f"there is no module '{error.name}'."
        ) from error
    transport = (
        module.child_process(command, env) if command else module.http_endpoint(url, headers)
    )
    return cast("McpServer", module.McpServer(name, transport, startup_timeout))


def _listed(server: "McpServer", startup_timeout: float) -> list[dict[str, Any]]:
    asked = submit(server.tools())
    try:
        # Starting and listing have a limit each, and ending a process that hangs takes its time.
        return asked.result(2 * startup_timeout + _CLOSING_SECONDS)
    except concurrent.futures.TimeoutError:
        asked.cancel()
        problem = "it hangs"
    except Exception as error:
        problem = str(error) or type(error).__name__
    raise ConfigurationError(f"the MCP server '{server.name}' cannot be used: {problem}.")


def _tools(
    server: "McpServer", found: list[dict[str, Any]], rules: _Rules, prefix: str
) -> list[Tool]:
    named = {
        str(one["name"]): one for one in found if isinstance(one.get("name"), str) and one["name"]
    }
    if len(named) < len(found):
        logger.warning(
            "MCP server '%s': tools without a name, or with one name, are not offered", server.name
        )
    offered = legal_names(list(named), prefix)
    activities = legal_names(list(named), f"{server.name}-")
    tools: list[Tool] = []
    for real, one in named.items():
        if rules.only is not None and real not in rules.only:
            continue
        try:
            schema = offered_schema(one.get("inputSchema"))
        except (UnusableSchema, RecursionError) as error:
            logger.warning(
                "MCP server '%s': the tool '%s' is not offered, its parameters cannot be "
                "described to a model: %s",
                server.name,
                f"{real:.100}",
                error,
            )
            continue
        about = _Described(real, offered[real], activities[real], one.get("description"), schema)
        tools.append(_tool(server, about, rules))
    return tools


@dataclass(frozen=True)
class _Described:
    real: str
    name: str
    activity: str
    description: object
    schema: dict[str, Any]


def _tool(server: "McpServer", about: _Described, rules: _Rules) -> Tool:
    real = about.real
    approval: Approval = _of(rules.approval, real, _NO_APPROVAL)
    retry = _of(rules.retry, real, None)
    seconds = timeout_seconds(about.name, _of(rules.timeout, real, 300))
    require_tool_rules(about.name, approval, retry, "tell", rules.max_result_bytes)

    async def call(**arguments: Any) -> str:
        answer = await on_thread(server.call(real, arguments, seconds or _LONGEST_CALL))
        text, failed = read_result(answer)
        if failed:
            raise ToolError(text)
        return text

    call.__name__ = call.__qualname__ = about.name
    words = about.description if isinstance(about.description, str) else ""
    description = sound(words).strip()[:_LONGEST_DESCRIPTION]
    return Tool(
        function=call,
        name=about.name,
        description=description,
        approval=approval,
        retry=retry,
        timeout=seconds,
        on_error="tell",
        activity=about.activity,
        max_result_bytes=rules.max_result_bytes,
        spec=ToolSpec(about.name, description, about.schema, strict=False),
        arguments=SchemaArguments(about.schema),
    )


def _of[T](rule: T | Mapping[str, T], tool: str, default: T) -> T:
    """Return the rule for a tool."""
    if isinstance(rule, Mapping):
        return cast("Mapping[str, T]", rule).get(tool, default)
    return rule
