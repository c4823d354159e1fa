"""Entities: accounts as a class, a ledger as a function, and transfers under locks."""

import json
from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func
from durabletask.client import EntityQuery
from durabletask.entities import DurableEntity, EntityInstanceId
from durabletask.task import when_all

bp = df.Blueprint()


@bp.entity_trigger(context_name="context", entity_name="Account")
class Account(DurableEntity):
    """One account: its state is its balance."""

    def deposit(self, amount: int) -> int:
        balance = self.get_state(int, 0) + amount
        self.set_state(balance)
        ledger = EntityInstanceId("Ledger", "all")
        self.signal_entity(ledger, "note", [self.entity_context.entity_id.key, amount])
        return balance

    def withdraw(self, amount: int) -> int:
        if self.get_state(int, 0) < amount:
            raise ValueError(f"{self.get_state(int, 0)} is less than {amount}")
        return self.deposit(-amount)

    def balance(self, _: object = None) -> int:
        return self.get_state(int, 0)

    def audit(self, instance_id: str) -> None:
        self.schedule_new_orchestration("audited", self.get_state(int, 0), instance_id)


@bp.entity_trigger(context_name="context", entity_name="Ledger")
def ledger(context, given):
    """An entity as a function of two arguments."""
    notes = context.get_state(list, [])
    if context.operation == "note":
        context.set_state([*notes, given])
        return None
    return len(notes)


@bp.orchestration_trigger(context_name="context")
def transfer(context, wanted):
    """Moves money between two accounts that nobody else can touch meanwhile."""
    source, target = (EntityInstanceId("Account", wanted[end]) for end in ("from", "to"))
    with (yield context.lock_entities([source, target])):
        balance = yield context.call_entity(source, "balance")
        if balance < wanted["amount"]:
            return False
        # Without the lock others would come between.
        yield context.create_timer(timedelta(milliseconds=20))
        yield context.call_entity(source, "withdraw", wanted["amount"])
        yield context.call_entity(target, "deposit", wanted["amount"])
    return True


@bp.orchestration_trigger(context_name="context")
def transfers(context, wanted):
    """Many transfers at once, of which the balance is enough for some."""
    source = EntityInstanceId("Account", f"{context.instance_id}-a")
    target = EntityInstanceId("Account", f"{context.instance_id}-b")
    yield context.call_entity(source, "deposit", wanted["balance"])
    one = {"from": source.key, "to": target.key, "amount": wanted["amount"]}
    tasks = [
        context.call_sub_orchestrator("transfer", input=one) for _ in range(wanted["transfers"])
    ]
    done = yield when_all(tasks)
    left = yield context.call_entity(source, "balance")
    come = yield context.call_entity(target, "balance")
    return {"transferred": sum(done), "left": left, "come": come}


@bp.orchestration_trigger(context_name="context")
def overdraw(context, amount):
    account = EntityInstanceId("Account", context.instance_id)
    try:
        yield context.call_entity(account, "withdraw", amount)
    except Exception as error:
        return "is less than" in str(error)


@bp.orchestration_trigger(context_name="context")
def audited(context, balance):
    return {"audited": balance}


@bp.route(route="accounts/{key}/{operation}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def signal(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    account = EntityInstanceId("Account", req.route_params["key"])
    await client.signal_entity(account, req.route_params["operation"], req.get_json())
    return func.HttpResponse(status_code=202)


@bp.route(route="accounts/{key}", methods=["GET"])
@bp.durable_client_input(client_name="client")
def read(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
    found = client.get_entity(EntityInstanceId("Account", req.route_params["key"]))
    if found is None:
        return func.HttpResponse(status_code=404)
    return func.HttpResponse(json.dumps(found.get_typed_state(int)))


@bp.route(route="accounts", methods=["GET"])
@bp.durable_client_input(client_name="client")
async def names(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    prefix = f"@account@{req.params['prefix']}"
    found = await client.get_all_entities(EntityQuery(instance_id_starts_with=prefix))
    return func.HttpResponse(json.dumps(sorted(each.id.key for each in found)))
