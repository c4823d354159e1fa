"""Replays a recorded history by the testing kit: every turn of it, by today's code."""

import json
from pathlib import Path

import azure.functions as func
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.json_format import ParseDict

from durable_agents.testing.functions import AppFunctions
from durable_agents.testing.replaying import (
    Deed,
    RecordedTurn,
    deeds_of,
    recorded_turns,
    replayed_actions,
)

HISTORIES = Path(__file__).parent / "histories"

Turn = RecordedTurn


def recorded(name: str) -> list[Turn]:
    document = json.loads((HISTORIES / f"{name}.json").read_text())
    return turns([ParseDict(event, pb.HistoryEvent()) for event in document["events"]])


def turns(events: list[pb.HistoryEvent]) -> list[Turn]:
    return recorded_turns(events)


def functions_of(app: func.FunctionRegister) -> AppFunctions:
    return AppFunctions(app)


async def replay(functions: AppFunctions, turn: Turn, *, with_times: bool = False) -> list[Deed]:
    """Return what today's code does in a turn of the past, on request with the time of timers."""
    return deeds_of(await replayed_actions(functions, turn), turn, with_times=with_times)
