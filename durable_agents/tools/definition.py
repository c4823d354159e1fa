"""What a tool is: a function, what models are told of it, and the rules of its calls.

A tool is frozen data. It runs in an activity of its own (`activity`), and says how it went as a
`ToolResult`; nothing but a cancellation gets out of it.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, overload

from durabletask.payload import PayloadStore
from durabletask.task import RetryPolicy

from durable_agents.errors import InvalidAgent
from durable_agents.messages import CallPolicy, ToolPolicy, ToolRequest, ToolResult
from durable_agents.model import ToolSpec
from durable_agents.retry import call_policy
from durable_agents.tools.arguments import ArgumentReader, CallArguments, Check, Read
from durable_agents.tools.calling import Invocation
from durable_agents.tools.docstring import read_docstring
from durable_agents.tools.parameters import Parameters

type Predicate = Callable[[dict[str, Any]], object]
type Approval = Literal["never", "always"] | Predicate
type OnError = Literal["tell", "raise"]

MAX_RESULT_BYTES = 64 * 1024

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Tool:
    """A tool: as `@tool` makes it of a function, or one of a server (`mcp_tools`).

    Attributes:
        function: The function; calling the tool calls it.
        name: Its name: a letter, then letters, digits, `_` and `-`, 63 at most.
        description: What models are told of it.
        approval: Whether a person has to approve a call: `never`, `always`, or a function that
            gets the effective arguments by name and says so.
        retry: How a failed call is made again: a policy, or a number of attempts with the waits of
            the app. None for one attempt.
        timeout: The seconds that an attempt may take, if there is a limit.
        on_error: Whether a failure is told to the model, or fails the run.
        activity: The name of its activity in histories.
        max_result_bytes: How much of a result is told, in bytes of UTF-8.
        spec: The tool as a model's server is told of it.
        arguments: How the arguments of its calls are read.
        later: Whether a result may be brought later, to the call's callback URL.
    """

    function: Callable[..., Any]
    name: str
    description: str
    approval: Approval
    retry: RetryPolicy | int | None
    timeout: float | None
    on_error: OnError
    activity: str
    max_result_bytes: int
    spec: ToolSpec
    arguments: CallArguments = field(repr=False)
    later: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, as if it were no tool."""
        return self.function(*args, **kwargs)

    def read(self, arguments: str) -> Read:
        """Return what the words of a model come to: effective arguments, or a problem to tell."""
        return self.arguments.read(arguments)

    def edit(self, arguments: str, changes: dict[str, Any]) -> Read:
        """Return the effective arguments with a person's changes, or what is wrong with those.

        Args:
            arguments: The effective arguments, as `read` gave them.
            changes: New values by the parameters' names, as JSON data.
        """
        return self.arguments.edit(arguments, changes)

    def needs_approval(self, arguments: str) -> bool:
        """Return whether a person has to approve a call. When in doubt, one has to.

        Args:
            arguments: The effective arguments, as `read` gave them.
        """
        if self.approval == "never" or self.approval == "always":
            return self.approval == "always"
        try:
            values = self.arguments.values(self.arguments.reread(arguments))
            return bool(self.approval(values))
        except Exception:  # of the author's predicate
            return True

    def policy(self, default: RetryPolicy) -> ToolPolicy:
        """Return the rules of a call in the form that is recorded with it.

        Args:
            default: The app's policy; it has the waits for a tool that says only how many attempts.
        """
        if self.retry is None:
            retry = CallPolicy()
        elif isinstance(self.retry, int):
            retry = call_policy(default, 0).model_copy(update={"attempts": self.retry})
        else:
            retry = call_policy(self.retry, 0)
        return ToolPolicy(retry=retry, timeout=self.timeout, on_error=self.on_error)

    async def run(self, request: ToolRequest, store: PayloadStore | None = None) -> ToolResult:
        """Make the call, once, and return how it went. A function that is not async has a thread.

        Where the request has a fingerprint, nothing runs but what it was taken of.

        Args:
            request: The call.
            store: Where the whole of a result goes that is too large to be told.

        Raises:
            asyncio.CancelledError: The call was cancelled.
        """
        return await Invocation(self, self.arguments, request, store).result()


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    function: None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    approval: Approval = "never",
    retry: RetryPolicy | int | None = None,
    timeout: float | timedelta | None = None,
    on_error: OnError = "tell",
    validate: Check | Sequence[Check] = (),
    activity: str | None = None,
    max_result_bytes: int = MAX_RESULT_BYTES,
    later: bool = False,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    approval: Approval = "never",
    retry: RetryPolicy | int | None = None,
    timeout: float | timedelta | None = None,
    on_error: OnError = "tell",
    validate: Check | Sequence[Check] | None = None,
    activity: str | None = None,
    max_result_bytes: int = MAX_RESULT_BYTES,
    later: bool = False,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a function: `@tool`, or `@tool(approval="always")`.

    Args:
        function: The function, async or not. Every parameter has a type annotation; one annotated
            `ToolContext` is given the call.
        name: The tool's name; that of the function.
        description: What models are told; what the docstring says.
        approval: `never`, `always`, or a function of the effective arguments by name.
        retry: A policy, or how often an attempt is made; once.
        timeout: How long an attempt may take, in seconds or as a timedelta.
        on_error: `tell` the model of a failure, or `raise` it in the run.
        validate: A function, or several, that get the checked arguments by name as Python values.
            Each may return changed ones, or refuse with `ToolError` or `ValueError`, whose words
            the model is told.
        activity: The name of the tool's activity; the tool's name.
        max_result_bytes: How much of a result the model is told, in bytes of UTF-8.
        later: Whether the function may return `context.later()`: somebody brings the result to
            `context.callback_url`. `timeout` is then for all of it, the wait included.

    Raises:
        InvalidAgent: It cannot be a tool; the message names it, and the parameter.
    """
    checks = () if validate is None else (validate,) if callable(validate) else tuple(validate)

    def make(function: Callable[..., Any]) -> Tool:
        called = name or str(getattr(function, "__name__", ""))
        require_tool_name(called, "a name")
        require_tool_name(activity or called, f"the activity of tool '{called}'")
        require_tool_rules(called, approval, retry, on_error, max_result_bytes)
        said = read_docstring(getattr(function, "__doc__", None))
        parameters = Parameters.of(function, called, said.parameters)
        told = said.description if description is None else description
        return Tool(
            function=function,
            name=called,
            description=told,
            approval=approval,
            retry=retry,
            timeout=timeout_seconds(called, timeout),
            on_error=on_error,
            activity=activity or called,
            max_result_bytes=max_result_bytes,
            spec=ToolSpec(called, told, parameters.schema, parameters.strict),
            arguments=ArgumentReader(parameters, checks),
            later=later,
        )

    return make if function is None else make(function)


def require_tool_name(name: str, what: str) -> None:
    """Check a name.

    Args:
        name: The name.
        what: What it is the name of, for the message.

    Raises:
        InvalidAgent: It cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise InvalidAgent(
            f"tool {name!r}: {what} starts with a letter and has letters, digits, '_' and '-' "
            "after it, 63 characters at most."
        )


def require_tool_rules(
    name: str, approval: object, retry: object, on_error: object, max_result_bytes: int
) -> None:
    """Check the rules of a tool's calls.

    Raises:
        InvalidAgent: One of them is none; the message names the tool.
    """
    if not callable(approval) and approval not in ("never", "always"):
        raise InvalidAgent(f"tool '{name}': approval is 'never', 'always' or a function.")
    if isinstance(retry, int) and retry < 1:
        raise InvalidAgent(f"tool '{name}': retry is the number of attempts, 1 at least.")
    if not isinstance(retry, int | RetryPolicy | None):
        raise InvalidAgent(f"tool '{name}': retry is a RetryPolicy or a number of attempts.")
    if on_error not in ("tell", "raise"):
        raise InvalidAgent(f"tool '{name}': on_error is 'tell' or 'raise'.")
    if max_result_bytes < 1024:
        raise InvalidAgent(f"tool '{name}': max_result_bytes is 1024 at least.")


def timeout_seconds(name: str, timeout: float | timedelta | None) -> float | None:
    """Return a time limit in seconds.

    Raises:
        InvalidAgent: It is none; the message names the tool.
    """
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise InvalidAgent(f"tool '{name}': timeout is a number of seconds, more than 0.")
    return seconds
