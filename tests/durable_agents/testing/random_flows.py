"""Flows that chance has made, as data, and the app that runs them."""

from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from durabletask.entities import EntityInstanceId
from durabletask.task import when_all, when_any
from hypothesis import strategies as st

# What a step does, and with what. A step gives a number or a text, which goes into the output.
type Step = tuple[str, Any]

_leaves: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("double"), st.integers(0, 9)),
    st.tuples(st.just("fail"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.integers(1, 300)),
    st.tuples(st.just("event"), st.sampled_from(["red", "Blue"])),
    st.tuples(st.just("call"), st.integers(-3, 3)),
    st.tuples(st.just("signal"), st.tuples(st.integers(1, 3), st.sampled_from([0, 50]))),
    st.tuples(st.just("race"), st.integers(1, 300)),
    st.tuples(st.just("locked"), st.integers(1, 5)),
)


def _above(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
    several = st.lists(steps, max_size=3)
    return st.one_of(
        st.tuples(st.just("child"), several),
        st.tuples(st.just("again"), several),
        st.tuples(st.just("all"), st.lists(st.integers(0, 9), min_size=1, max_size=4)),
    )


flows = st.lists(st.recursive(_leaves, _above, max_leaves=6), min_size=1, max_size=5)
"""Flows, as lists of steps."""

POT = EntityInstanceId("pot", "one")


def create_app(ran: list[str] | None = None) -> df.DFApp:
    """Return the app; `ran` gets a line for each activity that runs."""
    app = df.DFApp()
    _add_activities(app, ran if ran is not None else [])

    @app.entity_trigger(context_name="context")
    def pot(context: df.DurableEntityContext) -> None:
        kept = context.get_state(int) + context.get_input()
        if kept < 0:
            raise ValueError("the pot is empty")
        context.set_state(kept)
        context.set_result(kept)

    @app.orchestration_trigger(context_name="context")
    def steps(context: Any, given: dict[str, Any]) -> Any:
        done: list[Any] = list(given["done"])
        for number, (what, value) in enumerate(given["steps"]):
            if what == "again":
                rest = [*value, *given["steps"][number + 1 :]]
                context.continue_as_new({"done": done, "steps": rest}, save_events=True)
                return None
            done.append((yield from _DOES[what](context, value)))
        return done

    return app


def _add_activities(app: df.DFApp, ran: list[str]) -> None:
    @app.activity_trigger(input_name="number")
    async def double(number: int) -> int:
        ran.append(f"double {number}")
        return number * 2

    @app.activity_trigger(input_name="number")
    def fail(number: int) -> int:
        ran.append(f"fail {number}")
        raise ValueError(f"{number} will not do")


def _double(context: Any, number: int) -> Any:
    return (yield context.call_activity("double", input=number))


def _fail(context: Any, number: int) -> Any:
    try:
        return (yield context.call_activity("fail", input=number))
    except Exception as error:
        return str(error).splitlines()[0]


def _wait(context: Any, seconds: int) -> Any:
    yield context.create_timer(timedelta(seconds=seconds))
    return str(context.current_utc_datetime)


def _event(context: Any, name: str) -> Any:
    return (yield context.wait_for_external_event(name))


def _call(context: Any, amount: int) -> Any:
    try:
        return (yield context.call_entity(POT, "add", amount))
    except Exception as error:
        return str(error).splitlines()[0]


def _signal(context: Any, given: tuple[int, int]) -> Any:
    amount, seconds = given
    at = context.current_utc_datetime + timedelta(seconds=seconds) if seconds else None
    context.signal_entity(POT, "add", amount, signal_time=at)
    yield context.create_timer(timedelta(seconds=seconds + 1))
    return "signalled"


def _race(context: Any, seconds: int) -> Any:
    red, timer = (
        context.wait_for_external_event("red"),
        context.create_timer(timedelta(seconds=seconds)),
    )
    won = yield when_any([red, timer])
    return won.get_result() if won is red else "nobody"


def _locked(context: Any, amount: int) -> Any:
    with (yield context.lock_entities([POT])):
        before = yield context.call_entity(POT, "add", 0)
        yield context.create_timer(timedelta(seconds=5))
        after = yield context.call_entity(POT, "add", amount)
    return after - before


def _child(context: Any, steps: list[Step]) -> Any:
    given = {"done": [], "steps": [one for one in steps if one[0] != "event"]}
    return (yield context.call_sub_orchestrator("steps", input=given))


def _all(context: Any, numbers: list[int]) -> Any:
    tasks = [context.call_activity("double", input=number) for number in numbers]
    return (yield when_all(tasks))


_DOES = {
    "double": _double,
    "fail": _fail,
    "wait": _wait,
    "event": _event,
    "call": _call,
    "signal": _signal,
    "race": _race,
    "locked": _locked,
    "child": _child,
    "all": _all,
}
