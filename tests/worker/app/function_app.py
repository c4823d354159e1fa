"""A Functions app with an agent that repeats what it was told."""

from durable_agents import Agent, AgentFunctionApp, ChatRequest, ModelReply


class Model:
    model = "echo-1"

    async def complete(self, request: ChatRequest) -> ModelReply:
        said = [one.text for one in request.messages if one.role == "user"]
        return ModelReply(text=" | ".join(said), model=self.model)


app = AgentFunctionApp([Agent(name="Echo")], chat_client=Model())
