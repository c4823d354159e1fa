"""An app in which orchestrations ask people, and what its tests do with it."""

import json
from collections.abc import Callable, Generator
from typing import Any

import azure.durable_functions as df
from durabletask.task import OrchestrationContext

from durable_agents.messages import Principal
from durable_agents.people import (
    ANSWER_FUNCTION,
    ENTITY_NAME,
    Answer,
    GivenAnswer,
    HumanRequest,
    HumanRequestEntity,
    Verdict,
    answer_request,
    ask_person,
    listed,
    request_entity_id,
)
from durable_agents.testing import DurableTest, Run

PAT = Principal(id="p1", name="Pat")
SAM = Principal(id="s1", name="Sam@Example.com")
TOLD: list[dict[str, Any]] = []

type Flow = Callable[[OrchestrationContext, Any], Generator[Any, Any, Any]]


def ask(context: OrchestrationContext, given: Any) -> Generator[Any, Any, Any]:
    """Ask for what the input describes, and return what came of it."""
    answer = yield from ask_person(context, HumanRequest.model_validate(given))
    return answer.to_json()


def ask_or_cancel(context: OrchestrationContext, given: Any) -> Generator[Any, Any, Any]:
    cancel = context.wait_for_external_event("cancel")
    answer = yield from ask_person(context, HumanRequest.model_validate(given), cancel=cancel)
    return answer.to_json()


def app(**flows: Flow) -> df.DFApp:
    """Make an app with the flows; `ask` and `ask_or_cancel` are there as well."""
    made = df.DFApp()
    made.function_name("BuiltIn__HumanRequest")(
        made.entity_trigger("context", ENTITY_NAME)(HumanRequestEntity)
    )
    made.function_name(ANSWER_FUNCTION)(
        made.orchestration_trigger("context", ANSWER_FUNCTION)(answer_request)
    )
    for flow in (ask, ask_or_cancel):
        made.orchestration_trigger("context", flow.__name__)(flow)
    for name, flow in flows.items():
        made.function_name(name)(made.orchestration_trigger("context", name)(flow))

    @made.activity_trigger(input_name="told")
    def mail(told: Any) -> None:
        TOLD.append(told)
        raise ConnectionError("no mail today")

    return made


async def answer(
    host: DurableTest, run: Run, request: str, value: Any, who: Principal | None = PAT
) -> Verdict:
    """Answer a request, as the HTTP route does, and return what became of it."""
    sent = await send(host, run, request, value, who)
    return Verdict.model_validate((await host.result(sent)).output)


async def send(
    host: DurableTest, run: Run, request: str, value: Any, who: Principal | None = PAT
) -> Run:
    text = value if isinstance(value, str) and value[:1] in "{[" else json.dumps(value)
    given = GivenAnswer(instance=run.id, request=request, answer=text, who=who)
    return await host.start(ANSWER_FUNCTION, given.model_dump(mode="json"))


def state(host: DurableTest, run: Run, request: str) -> dict[str, Any]:
    """Return what the entity of a request keeps."""
    found: dict[str, Any] = host.entity(ENTITY_NAME, request_entity_id(run.id, request).key)
    return found


def pending(host: DurableTest, *requests: tuple[Run, str]) -> list[str]:
    """Return the ids of those requests that are listed as open."""
    states = [state(host, run, request) for run, request in requests]
    return [one["request_id"] for one in listed(states)]


def result(run: Run) -> Answer:
    """Return what came of a request, from the result of the orchestration that asked."""
    return Answer.from_json(run.output)
