"""The errors of the library, by who must act.

    AgentError
    ├── ConfigurationError        the operator: a setting is missing or wrong
    │   └── InvalidAgent          the author: a bad agent, found at startup
    ├── AgentNotRegistered        the author or caller: no agent has this name
    ├── InvalidInput              the caller: what was given cannot be used
    └── AgentCallFailed           a call of an agent came to nothing; also a TaskFailedError
        ├── ModelRejected         the request was refused; the same request is refused again
        ├── ModelRateLimited      retried, then raised; has `retry_after`
        ├── ModelUnavailable      retried, then raised: no answer, a server's fault, a broken answer
        ├── ResponseLost          the server no longer knows a request made in its background
        ├── InvalidAgentOutput    the model: its answer cannot be used, though it was asked again
        ├── ToolFailed            a tool with `on_error="raise"` came to nothing
        ├── MaxTurnsExceeded      the run asked for more turns or tools than its limits allow
        ├── SessionBusy           the caller: another run has the session
        ├── SessionNotFound       the caller: no such session, or it is another principal's
        ├── MessageTooLarge       the caller: a session has no room for so much at once
        ├── AgentCancelled        the run was cancelled
        ├── AgentTimeout          no answer within the `timeout` of the call
        └── CodeChanged           the author: the code changed under a live instance

An `AgentCallFailed` is raised twice: in the activity that called the model, and, after its text has
crossed the durable boundary (`failure_text`), in the orchestrator that waits for the call.
"""

from typing import ClassVar, Self

from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.task import TaskFailedError

from durable_agents.messages import TokenUsage


class AgentError(Exception):
    """Any error of this library."""


class ConfigurationError(AgentError):
    """A setting is missing or wrong; the message names it and says what to do."""


class InvalidAgent(ConfigurationError):
    """An agent cannot be registered; the message names it."""


class AgentNotRegistered(AgentError):
    """No agent has the name that was asked for."""


class InvalidInput(AgentError):
    """What an agent or a flow was given cannot be used."""


class AgentCallFailed(AgentError, TaskFailedError):
    """A call of an agent came to nothing. Orchestrators may catch it and go on.

    Attributes:
        cause: What went wrong, in one line.
        agent: Name of the agent that was called; empty as long as only its model knows of it.
        model: Name of the model or deployment.
        request_id: The server's id of the request, or an empty text.
        retry_after: The seconds that the server asked to wait, if it did.
        code: The server's word for what is wrong (`context_length_exceeded`), or an empty text.
        usage: What had been used until then, as far as it is known.
    """

    retriable: ClassVar[bool] = False

    def __init__(
        self,
        cause: str,
        *,
        agent: str = "",
        model: str = "",
        request_id: str = "",
        retry_after: float | None = None,
        code: str = "",
        usage: TokenUsage | None = None,
        details: pb.TaskFailureDetails | None = None,
    ) -> None:
        self.cause = " ".join(cause.split())
        self.agent = agent
        self.model = model
        self.request_id = request_id
        self.retry_after = retry_after
        self.code = code
        self.usage = usage
        of_model = f"model '{model}'" if model else ""
        who = f"agent '{agent}'" + (f" ({of_model})" if model else "") if agent else of_model
        of_request = f" [request {request_id}]" if request_id else ""
        message = f"{who}: {self.cause}{of_request}" if who else f"{self.cause}{of_request}"
        if details is None:
            details = pb.TaskFailureDetails(errorType=type(self).__name__, errorMessage=message)
        super().__init__(message, details)

    def of(self, agent: str, usage: TokenUsage | None = None) -> Self:
        """Return the same failure, told of an agent; with all that has been used, if given."""
        return type(self)(
            self.cause,
            agent=agent,
            model=self.model,
            request_id=self.request_id,
            retry_after=self.retry_after,
            code=self.code,
            usage=usage or self.usage,
        )


class ModelRejected(AgentCallFailed):
    """The model's server, or the model, refused the request. Never retried."""


class ModelRateLimited(AgentCallFailed):
    """The model's server asks to call less often."""

    retriable = True


class ModelUnavailable(AgentCallFailed):
    """The model's server did not answer, failed, or sent what is no answer."""

    retriable = True


class ResponseLost(AgentCallFailed):
    """The model's server does not know a response that was asked for, or not any more.

    The answer may have been made and paid for. Whoever asks the model again counts that.
    """


class InvalidAgentOutput(AgentCallFailed):
    """The model answered, but not what was asked for."""


class ToolFailed(AgentCallFailed):
    """A tool that is to stop the run when it fails has failed."""


class MaxTurnsExceeded(AgentCallFailed):
    """The run came to the end of its limits (`RunLimits`) without an answer."""


class SessionBusy(AgentCallFailed):
    """Another run has the session, and the message was not to wait for it."""


class SessionNotFound(AgentCallFailed):
    """There is no such session, or it belongs to another principal."""


class MessageTooLarge(AgentCallFailed):
    """A session has no room for so much at once."""


class AgentCancelled(AgentCallFailed):
    """The run was cancelled. What it had used until then is in `usage`."""


class AgentTimeout(AgentCallFailed):
    """The call took longer than its `timeout`. A late answer is dropped."""


class CodeChanged(AgentCallFailed):
    """A recorded answer no longer fits the class that it was asked for.

    The class changed while the instance waited. The answer is kept, and not asked for again: make
    the class fit it (a new field needs a default), and rewind the instance.
    """
