"""Typed inputs and outputs, retry policies, versions, and a saga of sub-orchestrations."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df
from durabletask.task import FailureDetails, RetryPolicy, TaskFailedError, when_all

bp = df.Blueprint()
RETRY = RetryPolicy(
    first_retry_interval=timedelta(milliseconds=10),
    max_number_of_attempts=4,
    backoff_coefficient=2,
    max_retry_interval=timedelta(milliseconds=30),
)


@dataclass
class Order:
    item: str
    price: int

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict) -> "Order":
        return cls(**value)


@dataclass
class Receipt:
    item: str
    paid: int

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict) -> "Receipt":
        return cls(**value)


@bp.orchestration_trigger(context_name="context")
def shop(context, items):
    """Whole objects go to the activities and come back."""
    orders = [Order(item, 10 * len(item)) for item in items]
    receipts = yield when_all(
        [context.call_activity("pay", input=order, return_type=Receipt) for order in orders]
    )
    context.set_custom_status({"receipts": len(receipts)})
    return {receipt.item: receipt.paid for receipt in receipts}


@bp.activity_trigger(input_name="order")
def pay(order: Order) -> Receipt:
    return Receipt(order.item, order.price + 1)


@bp.orchestration_trigger(context_name="context")
def deliver(context, folder):
    """An activity that works at the third attempt, by a policy with back-off."""
    return (yield context.call_activity("carry", input=folder, retry_policy=RETRY))


@bp.activity_trigger(input_name="folder")
def carry(folder: str) -> int:
    with Path(folder, "attempts").open("a") as file:
        file.write("x")
    attempts = len(Path(folder, "attempts").read_text())
    if attempts < 3:
        raise TimeoutError(f"attempt {attempts}")
    return attempts


@bp.orchestration_trigger(context_name="context")
def refused(context, _):
    try:
        yield context.call_sub_orchestrator("breaks", input="no stock")
    except TaskFailedError as error:
        details: FailureDetails = error.details
        return [details.error_type.rpartition(".")[2], "no stock" in details.message]


@bp.orchestration_trigger(context_name="context")
def breaks(context, reason):
    yield context.call_activity("complain", input=reason)


@bp.activity_trigger(input_name="reason")
def complain(ctx, reason: str) -> None:
    """An activity of two arguments, as durabletask itself has them."""
    raise LookupError(reason)
