"""Results of tools that somebody brings later: the run waits for them, and no worker does.

The request for the result is one like those to people, and its entity has the truth: what comes
first counts, once. It is open before the tool runs, so that no result can come too early.
"""

import json
from collections.abc import Callable
from typing import Any

from durabletask.task import OrchestrationContext, Task

from durable_agents.call import OwnTask, Then
from durable_agents.errors import ToolFailed
from durable_agents.messages import PreparedCall, ToolPolicy, ToolRequest, ToolResult
from durable_agents.people import TOOL_RESULT, Answer, Asking, HumanRequest
from durable_agents.tools.callback_urls import callback_path, fingerprint_of

type StartCall = Callable[[PreparedCall, ToolRequest], OwnTask[ToolResult]]


class LaterToolTask(OwnTask[ToolResult]):
    """A call of a tool whose result may come later.

    The tool's time limit is one for all of it: the attempts, and the wait.

    Args:
        context: The orchestration.
        prepared: The call.
        request: The input of the tool's activity, without the callback.
        start: Calls the tool.

    Attributes:
        asking: The request for the result.
    """

    def __init__(
        self,
        context: OrchestrationContext,
        prepared: PreparedCall,
        request: ToolRequest,
        start: StartCall,
    ) -> None:
        super().__init__(context)
        self._instance = context.instance_id
        self._prepared = prepared
        self._request = request
        self._start = start
        self._own: ToolResult | None = None
        self.asking = Asking(context, _wanted(prepared, request), self._opened)
        Then(self.asking, self._came)

    def _opened(self) -> None:
        path = callback_path(self._instance, self.asking.request.id, self._prepared.callback)
        policy = self._prepared.policy
        # The request has the limit; and how a failure ends is decided here.
        untimed = policy.model_copy(update={"timeout": None, "on_error": ToolPolicy().on_error})
        prepared = self._prepared.model_copy(update={"policy": untimed})
        request = self._request.model_copy(update={"callback": path})
        Then(self._start(prepared, request), self._called)

    def _called(self, call: Task[Any]) -> None:
        if self.is_complete or self.asking.is_complete:
            return  # the result was brought, or the time is over
        result: ToolResult = call.get_result()
        if not result.later:
            self._own = result
            self.asking.withdraw("the tool itself had the result")

    def _came(self, asking: Task[Any]) -> None:
        if asking.is_failed:
            self._end("the result cannot be waited for; what was begun may be done", is_error=True)
            return
        answer: Answer = asking.get_result()
        seconds = self._prepared.policy.timeout or 0
        match answer.status:
            case "answered":
                brought = answer.value
                self._end(str(brought["text"]), is_error=bool(brought.get("failed")))
            case "expired":
                told = f"no result within {seconds:g} s; what was begun may be done"
                self._end(told, is_error=True)
            case _ if self._own is not None:
                end_call(self, self._prepared, self._request.agent, self._own)
            case _:
                self._end("nobody waits for the result any more", is_error=True)

    def _end(self, text: str, *, is_error: bool) -> None:
        call = self._prepared.call
        result = ToolResult(call_id=call.id, name=call.name, text=text, is_error=is_error)
        end_call(self, self._prepared, self._request.agent, result)


def end_call(
    task: OwnTask[ToolResult], prepared: PreparedCall, agent: str, result: ToolResult
) -> None:
    """End the task of a call with what came of it: a result, or `ToolFailed`.

    Args:
        task: The task.
        prepared: The call, and whether a failure is told or raised.
        agent: The agent whose model asked for it.
        result: What came of it.
    """
    name = prepared.call.name
    if result.is_error and prepared.policy.on_error == "raise":
        task.end_with(ToolFailed(f"the tool '{name}' failed: {result.text}", agent=agent))
        return
    # By the id of the conversation, whatever the activity said.
    task.complete(result.model_copy(update={"call_id": prepared.call.id, "name": name}))


def _wanted(prepared: PreparedCall, request: ToolRequest) -> HumanRequest:
    name = prepared.call.name
    details = {
        "tool": name,
        "call_id": prepared.call.id,
        "secret_sha256": fingerprint_of(prepared.callback),
    }
    return HumanRequest(
        kind=TOOL_RESULT,
        question=f"The result of {name}",
        details=json.dumps(details),
        timeout=prepared.policy.timeout,
        agent=request.agent,
        session=request.session,
    )
