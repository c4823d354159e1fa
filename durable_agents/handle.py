"""An agent inside one orchestration: what a call of it becomes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, Literal, Never, cast, overload

from durabletask.task import OrchestrationContext, RetryPolicy, Task
from pydantic import BaseModel, JsonValue

from durable_agents.call import AnyContext, CallPlan, OwnTask, Then, start_call, with_value
from durable_agents.errors import CodeChanged, InvalidInput
from durable_agents.failure_text import from_failure
from durable_agents.messages import (
    AgentResponse,
    CallPolicy,
    ImagePart,
    Message,
    ModelRequest,
    RunRequest,
    TextPart,
)
from durable_agents.model import RESERVED_OPTIONS
from durable_agents.registry import RegisteredAgent
from durable_agents.retry import call_policy
from durable_agents.sessions import session_id_problem
from durable_agents.structured_output import OutputFormat, ResponseFormat, hides_an_object

type OnBusy = Literal["reject", "queue", "interrupt", "steer"]
type Given = str | Sequence[str | Message | TextPart | ImagePart]


@dataclass(frozen=True)
class AgentSession:
    """A conversation with an agent that lasts over many calls.

    Attributes:
        agent: The agent's name.
        id: The session's id.
    """

    agent: str
    id: str


class DurableAgent:
    """An agent inside one orchestration. Get it from `get_agent`."""

    def __init__(self, context: AnyContext, registered: RegisteredAgent) -> None:
        self._context = context
        self._registered = registered

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._registered.name

    def create_session(self) -> AgentSession:
        """Return a new session; its id is the same in every replay."""
        return AgentSession(self.name, self._context.new_uuid())

    def get_session(self, session_id: str | None = None) -> AgentSession:
        """Return the session with an id; without one, a new session.

        Raises:
            InvalidInput: The id cannot be one.
        """
        if session_id is None:
            return self.create_session()
        if problem := session_id_problem(session_id):
            raise InvalidInput(f"agent '{self.name}': the session's id cannot be used: {problem}.")
        return AgentSession(self.name, session_id)

    @overload
    def run[M: BaseModel](
        self,
        message: Given,
        *,
        response_format: type[M],
        session: AgentSession | str | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: timedelta | float | None = None,
        retry: RetryPolicy | None = None,
        on_busy: OnBusy | None = None,
    ) -> Task[AgentResponse[M]]: ...

    @overload
    def run(
        self,
        message: Given,
        *,
        response_format: Mapping[str, Any] | None = None,
        session: AgentSession | str | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: timedelta | float | None = None,
        retry: RetryPolicy | None = None,
        on_busy: OnBusy | None = None,
    ) -> Task[AgentResponse]: ...

    def run(
        self,
        message: Given,
        *,
        response_format: ResponseFormat | None = None,
        session: AgentSession | str | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: timedelta | float | None = None,
        retry: RetryPolicy | None = None,
        on_busy: OnBusy | None = None,
    ) -> Task[Any]:
        """Call the agent: yield the task, or hand it to `context.task_all` or `task_any`.

        Without a session every call stands alone: the agent knows nothing of earlier ones.

        Args:
            message: What the agent is told or asked: a text, or texts, images and messages.
            response_format: A pydantic class or JSON schema that the answer must fit; it is then
                in the response's `value`. An answer that does not fit is asked for again.
            session: The conversation that the call goes on with.
            options: Fields of the model request, over those of the agent; `response_format` among
                them means the argument.
            timeout: The longest time for the whole call, retries included (seconds or timedelta).
            retry: The policy for this call, in place of the agent's or the app's. It says how
                often; which failures are worth it is decided by their type.
            on_busy: What happens when the session is busy, in place of the agent's policy.

        Raises:
            InvalidInput: At once, when an argument cannot be used.
            AgentCallFailed: From the task, when the call comes to nothing.
        """
        agent = self._registered.agent
        fields = dict(options or {})
        wanted = fields.pop("response_format", None)
        output = _output(response_format or wanted or agent.response_format)
        policy = call_policy(retry, agent.corrections) if retry else self._registered.policy
        duration = self._duration(timeout)
        require_options(fields, self.name)
        if session is None and not self._registered.toolset.by_name:
            plan = CallPlan(
                agent=self.name,
                model=self._registered.model.model,
                activity=self._registered.activity,
                request=self._request(message, output, fields, policy),
                policy=policy,
                output=output,
                timeout=duration,
            )
            return start_call(self._context, plan)
        run = RunRequest(
            agent=self.name,
            messages=read_messages(message, self.name),
            session=self._session_id(session),
            on_busy=on_busy or agent.sessions.on_busy,
            output=output.schema if output else None,
            options=fields,
            policy=policy,
            limits=agent.limits,
            deadline=self._deadline(duration),
            timeout=duration.total_seconds() if duration else 0,
            parent=self._context.instance_id,
        )
        return RunTask(self._context, run, self._registered.run_name, output)

    def _request(
        self,
        given: Given,
        output: OutputFormat | None,
        options: dict[str, JsonValue],
        policy: CallPolicy,
    ) -> ModelRequest:
        said: dict[str, Any]
        if isinstance(given, str):
            _require_text(given, self.name)
            said = {"message": given}  # a text alone goes out as it always did
        else:
            said = {"version": 2, "messages": read_messages(given, self.name)}
        return ModelRequest(
            **said,
            output=output.schema if output else None,
            options=options,
            policy=policy,
            instance=self._context.instance_id,
        )

    def _session_id(self, session: AgentSession | str | None) -> str:
        if session is None:
            return ""
        if isinstance(session, str):
            return self.get_session(session).id
        if session.agent != self.name:
            raise InvalidInput(
                f"agent '{self.name}': the session belongs to agent '{session.agent}'."
            )
        return session.id

    def _duration(self, timeout: timedelta | float | None) -> timedelta | None:
        if timeout is None:
            return None
        now = self._context.current_utc_datetime
        try:
            duration = timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout)
            end = now + duration
        except (ValueError, OverflowError):
            raise InvalidInput(f"agent '{self.name}': the timeout {timeout} is no time.") from None
        if end <= now:
            raise InvalidInput(f"agent '{self.name}': a timeout must be longer than nothing.")
        return duration

    def _deadline(self, duration: timedelta | None) -> str:
        if duration is None:
            return ""
        now = self._context.current_utc_datetime
        now = now if now.tzinfo else now.replace(tzinfo=UTC)
        return (now + duration).isoformat()


class RunTask(OwnTask[AgentResponse]):
    """A run of an agent, in an orchestration of its own."""

    def __init__(
        self, context: AnyContext, run: RunRequest, name: str, output: OutputFormat | None
    ) -> None:
        super().__init__(context)
        self._run = run
        self._output = output
        payload = run.model_dump(mode="json", exclude_defaults=True)
        child: Task[Any]
        if isinstance(context, OrchestrationContext):
            child = context.call_sub_orchestrator(name, input=payload)
        else:
            child = context.call_sub_orchestrator(name, payload)
        Then(child, self._ended)

    def _ended(self, child: Task[Any]) -> None:
        if child.is_failed:
            self.end_with(from_failure(child.get_exception(), self._run.agent, ""))
            return
        response = AgentResponse.from_json(child.get_result())
        try:
            self.complete(with_value(response, self._output, self._run.agent))
        except CodeChanged as error:
            self.end_with(error)


def read_messages(given: object, agent: str) -> tuple[Message, ...]:
    """Return what an agent is told as messages of a user.

    Raises:
        InvalidInput: It is empty, or not of a kind that can be told.
    """
    if isinstance(given, str):
        _require_text(given, agent)
        return (Message.of("user", given),)
    if not isinstance(given, Sequence) or isinstance(given, bytes | bytearray) or not given:
        _refuse(cast("object", given), agent)
    messages: list[Message] = []
    for one in cast("Sequence[object]", given):
        match one:
            case str():
                _require_text(one, agent)
                messages.append(Message.of("user", one))
            case TextPart():
                _require_text(one.text, agent)
                messages.append(Message(role="user", parts=(one,)))
            case ImagePart():
                messages.append(Message(role="user", parts=(one,)))
            case Message():
                if one.role not in ("user", "assistant") or not one.parts or one.calls:
                    raise InvalidInput(
                        f"agent '{agent}' was given a message of role '{one.role}' that is not "
                        "plain text or images of a user or an assistant."
                    )
                messages.append(one)
            case _:
                _refuse(one, agent)
    return tuple(messages)


def require_options(options: Mapping[str, Any], agent: str) -> None:
    """Refuse what is no option: a field that the library sets itself, or no JSON data.

    Raises:
        InvalidInput: It is refused; the message names it.
    """
    if reserved := RESERVED_OPTIONS & set(options):
        raise InvalidInput(f"agent '{agent}': '{min(reserved)}' is not an option.")
    if not options:
        return
    try:
        ModelRequest(options=dict(options))
        json.dumps(options, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:  # also pydantic's
        raise InvalidInput(f"agent '{agent}': the options are not JSON data.") from None
    if hides_an_object(options):
        raise InvalidInput(f"agent '{agent}': the options use names that are reserved.")


def _output(response_format: object) -> OutputFormat | None:
    return None if response_format is None else OutputFormat.create(response_format)


def _require_text(message: str, agent: str) -> None:
    if not message.strip():
        _refuse(message, agent)
    try:
        message.encode()
    except UnicodeEncodeError:
        # JSON may hold half of a surrogate pair; no request to a model can.
        raise InvalidInput(f"agent '{agent}' was given a text that is not Unicode.") from None


def _refuse(given: object, agent: str) -> Never:
    # A flow's input ends up here, and may be anything.
    what = "an empty text" if isinstance(given, str) else type(given).__name__
    raise InvalidInput(f"agent '{agent}' was given {what}; the message must be a text.")
