"""What happens to a request, whatever comes in whatever order."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from durable_agents.messages import Principal
from durable_agents.people import (
    Escalation,
    GivenAnswer,
    HumanRequest,
    RequestState,
    check_answer,
    request_entity_id,
    rules,
    shown,
)
from durable_agents.people.words import Opening


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02d}+00:00"


def opening(**request: Any) -> Opening:
    asked = HumanRequest(id="q1", question="?", **request)
    return Opening(instance="i-1", request=asked, at=at(0), deadline=at(30))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "answer", "expire", "withdraw", "remind", "escalate"]),
        st.integers(0, 59),
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_whoever_comes_first_decides_and_nothing_changes_it(steps: list[tuple[str, int]]) -> None:
    state: RequestState | None = rules.opened(None, opening(answerers=("p",)))
    accepted = 0
    for step, second in sorted(steps, key=lambda one: one[1]):
        assert state is not None
        before, moment = state, at(second)
        match step:
            case "open":
                state = rules.opened(state, opening())
                assert state == before
            case "answer":
                answer = GivenAnswer(
                    instance="i-1", request="q1", answer="1", who=Principal(id="p"), at=moment
                )
                state, verdict = rules.answered(state, answer)
                accepted += verdict.outcome == "accepted"
                assert verdict.outcome != "accepted" or second < 30
            case "expire":
                state = rules.expired(state, moment)
            case "withdraw":
                state = rules.withdrawn(state, moment, "")
            case "remind":
                state = rules.reminded(state, moment)
            case _:
                state = rules.escalated(state, moment, ["q"])
        assert state is not None
        if before.status != "pending":  # all that may be added is that an answer was refused
            assert state.model_copy(update={"audit": before.audit}) == before
            assert all(entry.what == "refused" for entry in state.audit[len(before.audit) :])
        assert rules.load(json.loads(json.dumps(rules.document(state)))) == state
        json.dumps(shown(state))
    assert accepted <= 1


def test_ids_that_differ_have_entities_that_differ() -> None:
    pairs = [("a:b", "c"), ("a", "b:c"), ("a~3ab", "c"), ("A", "b:c"), ("a", "B:c"), ("ä", "/@ ")]
    keys = [request_entity_id(*pair).key for pair in pairs]
    assert len(set(keys)) == len(pairs)
    assert all(key.isascii() and not set(key) & set("@/ ?#%") for key in keys)


@pytest.mark.parametrize(
    "request_",
    [
        {"details": "{"},
        {"answer_schema": '{"type": "what"}'},
        {"answer_schema": '{"if": {}}'},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": 1e12},
        {"reminders": [-1]},
        {"escalations": [{"after": 1, "to": ["p"]}]},
        {"answerers": ["p"], "escalations": [{"after": 1, "to": []}]},
        {"id": "x" * 129},
        {"needed": 0},
        {"needed": 3, "answerers": ["p", "q", "p"]},
    ],
    ids=str,
)
def test_a_request_that_makes_no_sense_is_refused_where_it_is_made(
    request_: dict[str, Any],
) -> None:
    with pytest.raises(ValidationError):
        HumanRequest(**{"question": "?", **request_})


def test_an_answer_is_checked_by_the_schema_and_by_the_caller() -> None:
    schema = '{"type": "object", "properties": {"arguments": {"type": "object"}}}'
    state = rules.opened(None, opening(answer_schema=schema))
    seen: list[Any] = []

    def edit(arguments: dict[str, Any]) -> list[str]:
        seen.append(arguments)
        return ["no"]

    assert check_answer(state, '{"arguments": {"a": 1}}') == []
    assert check_answer(state, '{"arguments": {"a": 1}}', edit) == ["no"]
    assert check_answer(state, "{}", edit) == []
    assert check_answer(state, '{"arguments": 5}', edit) != ["no"]
    assert seen == [{"a": 1}]


def test_an_escalation_adds_people_and_takes_nobody_away() -> None:
    chain = (Escalation(after=1, to=("q", "p")),)
    state = rules.opened(None, opening(answerers=("p",), escalations=chain))
    assert rules.escalated(state, at(1), ["q", "p"]).answerers == ("p", "q")
