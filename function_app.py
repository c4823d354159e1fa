"""The app: what runs here. Agents and flows are registered at startup; add yours below."""

from agents import content, translation
from durable_agents import (
    AgentFunctionApp,
    chat_client_from_environment,
    payload_store_from_environment,
)
from orchestrations import content_pipeline
from orchestrations import translation as translation_flow

app = AgentFunctionApp(
    agents=[*translation.AGENTS, *content.AGENTS],
    chat_client=chat_client_from_environment(),
    payload_store=payload_store_from_environment(),
)

app.register_functions(translation_flow.flows)
app.register_functions(content_pipeline.flows)
