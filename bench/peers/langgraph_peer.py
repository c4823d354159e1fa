"""LangGraph with its SQLite checkpointer: a node is a step, and a super-step is recorded as one.

`durability="sync"`: a checkpoint is on disk before the next step begins. Steps that run at the same
time are sent (`Send`) to one node. The checkpointer is the synchronous one, which sets the journal
mode WAL itself; SQLite's default for `synchronous` is FULL. Steps that take no time run on one
thread, and many workflows at once run one after the other: the checkpointer has one lock, so more
threads were slower, as was the asynchronous checkpointer. Steps that take time get a thread each.
Graphs are called in the process that runs them, so that there are no calls between processes.

Run: python -m bench.peers.langgraph_peer DATABASE
"""

import asyncio
import itertools
import logging
import operator
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from bench.loads import Load
from bench.peers.serve import serve


class FanOut(TypedDict):
    """State of a fan-out: how wide, and the results so far."""

    width: int
    milliseconds: int
    results: Annotated[list[int], operator.add]


class Chain(TypedDict):
    """State of a chain: how many steps are left."""

    left: int


def take(milliseconds: int) -> None:
    """Take some time, or none."""
    if milliseconds:
        threading.Event().wait(milliseconds / 1000)


def first(state: FanOut) -> dict[str, object]:
    take(state["milliseconds"])
    return {}


def spread(state: FanOut) -> list[Send]:
    return [Send("parallel", state["milliseconds"]) for _ in range(state["width"])]


def parallel(milliseconds: int) -> dict[str, object]:
    take(milliseconds)
    return {"results": [milliseconds]}


def fan_out_graph(saver: SqliteSaver):
    graph = StateGraph(FanOut)
    graph.add_node("first", first)
    graph.add_node("parallel", parallel)
    graph.add_edge(START, "first")
    graph.add_conditional_edges("first", spread, ["parallel"])
    graph.add_edge("parallel", END)
    return graph.compile(checkpointer=saver)


def step(state: Chain) -> Chain:
    return {"left": state["left"] - 1}


def chain_graph(saver: SqliteSaver):
    graph = StateGraph(Chain)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["left"] else END)
    return graph.compile(checkpointer=saver)


class Graphs:
    """Both graphs over one checkpointer."""

    def __init__(self, saver: SqliteSaver) -> None:
        self._fan_out = fan_out_graph(saver)
        self._chain = chain_graph(saver)
        self._threads = itertools.count()

    async def run(self, load: Load) -> None:
        for _ in range(load.count):
            self._one(load)

    def _one(self, load: Load) -> None:
        config = {
            "configurable": {"thread_id": str(next(self._threads))},
            "recursion_limit": load.size + 10,
            "max_concurrency": 120 if load.milliseconds else 1,
        }
        if load.kind == "chain":
            state = self._chain.invoke({"left": load.size}, config, durability="sync")
            done = state["left"] == 0
        else:
            given = {"width": load.size, "milliseconds": load.milliseconds, "results": []}
            state = self._fan_out.invoke(given, config, durability="sync")
            done = len(state["results"]) == load.size
        if not done:
            raise RuntimeError("A measured workflow did not complete.")


def main(database: Path) -> None:
    logging.disable(logging.CRITICAL)
    connection = sqlite3.connect(database, check_same_thread=False)
    saver = SqliteSaver(connection)
    saver.setup()
    asyncio.run(serve(Graphs(saver).run))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
