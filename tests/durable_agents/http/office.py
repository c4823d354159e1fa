"""An app with agents in the testing kit, asked over HTTP, and what its tests do with it."""

from collections.abc import Iterable, Mapping
from typing import Any

from durable_agents import Agent, AgentFunctionApp, ToolContext, tool
from durable_agents.agent import ApprovalPolicy
from durable_agents.sessions import SessionPolicy
from durable_agents.testing import Answer, DurableTest, ScriptedModel

EFFECTS: list[Any] = []

PAT = {"x-ms-client-principal-id": "p1", "x-ms-client-principal-name": "Pat"}
SAM = {"x-ms-client-principal-id": "s1", "x-ms-client-principal-name": "Sam"}


def charge(card: str) -> str:
    """Take money from a card."""
    EFFECTS.append(card)
    return "charged"


@tool(approval="always")
def transfer(to: str, amount: int = 1) -> str:
    """Send money."""
    EFFECTS.append((to, amount))
    return "sent"


def whoami(context: ToolContext) -> str:
    """Say who calls."""
    EFFECTS.append(context.principal)
    return "you"


class Office(DurableTest):
    """The host; requests to it are short to write."""

    async def post(
        self, message: str = "Hello?", agent: str = "Ada", headers: Any = None, **body: Any
    ) -> Answer:
        """Ask an agent."""
        sent = {"message": message, **body}
        return await self.request("POST", f"/api/agents/{agent}/run", json=sent, headers=headers)

    async def begin(self, message: str = "Hello?", **more: Any) -> str:
        """Ask an agent without waiting; return the id of the run."""
        answer = await self.post(message, wait_for_response=False, **more)
        assert answer.status == 202, answer.text
        return answer.json()["correlation_id"]

    async def fetch(self, run: str, agent: str = "Ada", **more: Any) -> Answer:
        """Return what has become of a run."""
        return await self.request("GET", f"/api/agents/{agent}/runs/{run}", **more)

    async def cancel(self, run: str, agent: str = "Ada", **more: Any) -> Answer:
        return await self.request("DELETE", f"/api/agents/{agent}/runs/{run}", **more)

    async def approvals(self, **more: Any) -> list[dict[str, Any]]:
        answer = await self.request("GET", "/api/approvals", **more)
        assert answer.status == 200, answer.text
        return answer.json()["approvals"]

    async def decide(self, row: Mapping[str, Any], said: Any, **more: Any) -> Answer:
        """Answer a request that was listed."""
        return await self.request("POST", row["answer_url"], json=said, **more)


def make_app(
    model: ScriptedModel,
    tools: Iterable[Any] = (charge, transfer, whoami),
    approvals: ApprovalPolicy | None = None,
    sessions: SessionPolicy | None = None,
    **app: Any,
) -> AgentFunctionApp:
    """Make an app: Ada, who has tools and a helper, and Bob, who has neither."""
    helper = Agent(name="Helper", instructions="Help.", description="Helps.", tools=[transfer])
    ada = Agent(
        name="Ada",
        instructions="You are Ada.",
        tools=[*tools, helper.as_tool()],
        approvals=approvals or ApprovalPolicy(),
        sessions=sessions or SessionPolicy(),
    )
    EFFECTS.clear()
    return AgentFunctionApp([ada, Agent(name="Bob")], chat_client=model, **app)


def office(model: ScriptedModel, **more: Any) -> Office:
    return Office(make_app(model, **more))


def require_problem(answer: Answer, status: int, code: str = "") -> dict[str, Any]:
    """Check that an answer is a problem, and return it."""
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert not code or problem["code"] == code
    return problem
