"""An app with one of each thing that the kit has to run, as a user would write it."""

import json
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask.entities import DurableEntity, EntityInstanceId
from durabletask.task import when_any

STOCK = EntityInstanceId("Stock", "all")
TILL = EntityInstanceId("Till", "front")


def create_app() -> df.DFApp:
    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    _add_steps(app)
    _add_flows(app)
    _add_waits(app)
    _add_families(app)
    _add_entities(app)
    _add_clients(app)
    return app


def _add_steps(app: df.DFApp) -> None:
    @app.activity_trigger(input_name="number")
    async def double(number: int) -> int:
        return number * 2

    @app.activity_trigger(input_name="number", activity="Half")
    def halve(number: int) -> float:
        if number % 2:
            raise ValueError(f"{number} is odd\nand that is all")
        return number / 2


def _add_flows(app: df.DFApp) -> None:
    @app.orchestration_trigger(context_name="context")
    def native(context: Any, given: int) -> Any:
        """Two arguments, as the SDK has it."""
        doubled = yield context.call_activity("double", input=given)
        halved = yield context.call_activity("half", input=doubled)
        return [doubled, halved]

    @app.orchestration_trigger(context_name="context")
    def parallel(context: df.DurableOrchestrationContext) -> Any:
        tasks = [context.call_activity("double", number) for number in context.get_input()]
        return (yield context.task_all(tasks))

    @app.orchestration_trigger(context_name="context")
    def odd(context: df.DurableOrchestrationContext) -> Any:
        return (yield context.call_activity("Half", 3))


def _add_waits(app: df.DFApp) -> None:
    @app.orchestration_trigger(context_name="context")
    def approval(context: df.DurableOrchestrationContext) -> Any:
        context.set_custom_status({"waits": True})
        deadline = context.create_timer(context.current_utc_datetime + timedelta(hours=24))
        answer = context.wait_for_external_event("Answer")
        won = yield context.task_any([answer, deadline])
        return answer.result if won == answer else "too late"

    @app.orchestration_trigger(context_name="context")
    def asks_first(context: df.DurableOrchestrationContext) -> Any:
        first = yield context.wait_for_external_event("first")
        second = yield context.wait_for_external_event("second")
        return [first, second]


def _add_families(app: df.DFApp) -> None:
    @app.orchestration_trigger(context_name="context")
    def parent(context: Any, given: list[int]) -> Any:
        made = [
            context.call_sub_orchestrator("native", input=number, instance_id=f"child-{number}")
            for number in given
        ]
        results = []
        for child in made:
            results.append((yield child))
        return results

    @app.orchestration_trigger(context_name="context")
    def above(context: df.DurableOrchestrationContext) -> Any:
        return (yield context.call_sub_orchestrator("approval"))

    @app.orchestration_trigger(context_name="context")
    def counts_down(context: Any, given: list[Any]) -> Any:
        left, heard = given
        if left == 0:
            return heard
        heard.append((yield context.wait_for_external_event("word")))
        yield context.create_timer(timedelta(minutes=1))
        context.continue_as_new([left - 1, heard], save_events=True)

    @app.orchestration_trigger(context_name="context")
    def tells(context: Any, target: str) -> Any:
        context.send_event(target, "answer", data="from another")
        yield context.create_timer(timedelta(seconds=1))

    @app.orchestration_trigger(context_name="context")
    def lasts(context: df.DurableOrchestrationContext) -> Any:
        for _ in range(30):
            yield context.create_timer(context.current_utc_datetime + timedelta(days=1))

    @app.orchestration_trigger(context_name="context")
    def throws_dice(context: df.DurableOrchestrationContext) -> Any:
        throws.append(len(throws))
        yield context.call_activity("double", throws[-1])


throws: list[int] = []


def _add_entities(app: df.DFApp) -> None:
    @app.entity_trigger(context_name="context", entity_name="Stock")
    class Stock(DurableEntity):
        def add(self, amount: int) -> int:
            kept = self.get_state(int, 0) + amount
            if kept < 0:
                raise ValueError("there is not so much")
            self.set_state(kept)
            self.signal_entity(TILL, "note", amount)
            return kept

        def order(self, instance_id: str) -> None:
            self.schedule_new_orchestration("native", self.get_state(int, 0), instance_id)

    @app.entity_trigger(context_name="context")
    def till(context: df.DurableEntityContext) -> None:
        noted = context.get_state(list)
        if context.operation_name == "note":
            context.set_state([*noted, context.get_input()])
        context.set_result(len(noted))

    @app.orchestration_trigger(context_name="context")
    def buys(context: Any, amount: int) -> Any:
        try:
            left = yield context.call_entity(STOCK, "add", -amount)
        except Exception as error:
            return str(error)
        return left

    @app.orchestration_trigger(context_name="context")
    def alone(context: Any, amount: int) -> Any:
        with (yield context.lock_entities([STOCK, TILL])):
            before = yield context.call_entity(STOCK, "add", 0)
            yield context.create_timer(timedelta(seconds=10))
            after = yield context.call_entity(STOCK, "add", amount)
        return [before, after]

    @app.orchestration_trigger(context_name="context")
    def restocks_later(context: Any, seconds: int) -> Any:
        at = context.current_utc_datetime + timedelta(seconds=seconds)
        context.signal_entity(STOCK, "add", 5, signal_time=at)
        yield when_any([context.create_timer(timedelta(seconds=1))])


def _add_clients(app: df.DFApp) -> None:
    @app.activity_trigger(input_name="amount")
    @app.generic_input_binding(arg_name="client", type="durableClient")  # pyright: ignore
    async def restock(amount: int, client: str) -> bool:
        async with df.DurableFunctionsClient(client) as durable:
            await durable.signal_entity(STOCK, "add", amount)
            found = await durable.get_entity(STOCK)
        return found is not None

    @app.activity_trigger(input_name="name")
    @app.durable_client_input(client_name="client")
    def starts(name: str, client: df.SyncDurableFunctionsClient) -> str:
        return client.schedule_new_orchestration(name, input=4, instance_id="started")

    @app.orchestration_trigger(context_name="context")
    def calls_clients(context: df.DurableOrchestrationContext) -> Any:
        was_there = yield context.call_activity("restock", 7)
        started = yield context.call_activity("starts", "native")
        return [was_there, started]

    @app.route(route="flows/{name}/{number:int?}", methods=["POST"])
    @app.durable_client_input(client_name="client")
    async def run_flow(
        req: func.HttpRequest, client: df.DurableFunctionsClient
    ) -> func.HttpResponse:
        started = await client.schedule_new_orchestration(
            req.route_params["name"], input=req.get_json()
        )
        try:
            state = await client.wait_for_orchestration_completion(started, timeout=60)
        except TimeoutError:
            return func.HttpResponse(started, status_code=202)
        assert state is not None
        body = {"output": state.get_output(), "query": dict(req.params)}
        return func.HttpResponse(json.dumps(body), mimetype="application/json")

    @app.route(route="broken", methods=["GET"])
    def broken(req: func.HttpRequest) -> func.HttpResponse:
        raise ValueError("no")
