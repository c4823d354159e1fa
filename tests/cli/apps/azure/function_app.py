"""An app as the tutorials have it: its code makes its client of Azure OpenAI by itself."""

import azure.durable_functions as df
from azure.identity import DefaultAzureCredential

from durable_agents import AgentFunctionApp, AzureOpenAIChatClient

chat_client = AzureOpenAIChatClient(
    endpoint="https://<your-resource>.openai.azure.com",
    deployment_name="gpt-4o-mini",
    credential=DefaultAzureCredential(),
)
main_agent = chat_client.create_agent(instructions="You are helpful.", name="MyDurableAgent")
app = AgentFunctionApp(agents=[main_agent])


@app.orchestration_trigger(context_name="context")
def question(context: df.DurableOrchestrationContext):
    answer = yield app.get_agent(context, "MyDurableAgent").run(context.get_input())
    return answer.text
