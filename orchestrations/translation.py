"""A flow: one agent answers, two translate its answer at the same time."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df

from durable_agents import AgentBlueprint

flows = AgentBlueprint()


@flows.orchestration_trigger(context_name="context")
def agent_orchestration_workflow(
    context: df.DurableOrchestrationContext,
) -> Generator[Any, Any, dict[str, str]]:
    """Answer the question that is the input, then translate the answer."""
    main = flows.get_agent(context, "MyDurableAgent")
    french = flows.get_agent(context, "FrenchTranslator")
    spanish = flows.get_agent(context, "SpanishTranslator")

    answer = yield main.run(context.get_input())
    in_french, in_spanish = yield context.task_all(
        [french.run(answer.text), spanish.run(answer.text)]
    )
    return {"original": answer.text, "french": in_french.text, "spanish": in_spanish.text}
