"""The stored form is the published one of durable agent state, version 1.1.0."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agents.messages import (
    ImagePart,
    Message,
    TextPart,
    TokenUsage,
    ToolCall,
    ToolResult,
)
from durable_agents.sessions import SessionPolicy, from_document, to_document
from durable_agents.sessions.contents import message_document, message_of
from tests.durable_agents.sessions.session_hub import Session, agent, at, calls, result, user

GOLDEN = Path(__file__).parent / "golden"
# What the published schema asks of each part, in short.
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
TEXT = {"type": "string"}


def content(kind: str, **fields: object) -> dict[str, object]:
    properties = {"$type": {"const": kind}, "extensionData": {"type": "object"}, **fields}
    required = ["$type", *fields]
    return {"properties": properties, "required": required, "additionalProperties": False}


CONTENTS = [
    content("text", text=TEXT),
    content("data", uri=TEXT, mediaType=TEXT),
    content("uri", uri=TEXT, mediaType=TEXT),
    content("functionCall", callId=TEXT, name=TEXT, arguments={"type": "object"}),
    content("functionResult", callId=TEXT, result=TEXT),
]
MESSAGE = {
    "required": ["role", "contents", "createdAt"],
    "properties": {
        "role": {"enum": ["user", "assistant", "system", "tool"]},
        "contents": {"type": "array", "items": {"oneOf": CONTENTS}},
        "createdAt": MOMENT,
        "authorName": TEXT,
    },
    "additionalProperties": False,
}
COUNT = {"type": "integer"}
USAGE = {
    "properties": {
        "inputTokenCount": COUNT,
        "outputTokenCount": COUNT,
        "totalTokenCount": COUNT,
        "extensionData": {"type": "object"},
    },
    "additionalProperties": False,
}
ENTRY = {
    "required": ["$type", "createdAt", "messages"],
    "properties": {
        "$type": {"enum": ["request", "response"]},
        "correlationId": TEXT,
        "createdAt": MOMENT,
        "messages": {"type": "array", "items": MESSAGE},
        "orchestrationId": TEXT,
        "usage": USAGE,
        "extensionData": {"type": "object"},
    },
    "additionalProperties": False,
}
SCHEMA = {
    "required": ["schemaVersion", "data"],
    "properties": {
        "schemaVersion": {"const": "1.1.0"},
        "data": {
            "required": ["conversationHistory"],
            "properties": {
                "conversationHistory": {"type": "array", "items": ENTRY},
                "extensionData": {"type": "object"},
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def lived() -> Session:
    """A session in which everything has happened."""
    session = Session(SessionPolicy(keep_turns=None))
    picture = Message(
        role="user",
        parts=(
            TextPart(text="see"),
            ImagePart(url="https://x/y.png", detail="low"),
            ImagePart(url="data:image/png;base64,AAAA"),
        ),
    )
    usage = TokenUsage(input_tokens=5, output_tokens=2, total_tokens=7, cached_tokens=3)
    session.say("0", "old", "older")
    session.begin("1", messages=[picture], principal="ann")
    session.begin("s", "and blue", on_busy="steer", principal="ann")
    asked = calls("a", "b", arguments='{"q": "A", "n": 1}')
    said = (asked, result("a"), result("b"), user("and blue"), agent("both"))
    session.finish("1", *said, usage=usage, taken=("s/0",), minutes=1)
    session.call("compact", {"keep": 1, "summary": "they met", "at": at(2)})
    session.begin("2", "again", minutes=2, principal="ann")
    session.finish("2", calls("c"), outcome="failed", error="refused", minutes=3)
    session.begin("3", "last", minutes=4, principal="ann")
    session.begin("4", "next", on_busy="queue", minutes=5, principal="ann")
    return session


def test_a_session_is_stored_in_the_published_form() -> None:
    stored = json.loads(lived().stored)
    jsonschema_rs.validate(SCHEMA, stored)
    entries = stored["data"]["conversationHistory"]
    assert [next(iter(entry)) for entry in entries] == ["$type"] * len(entries)
    for entry in entries:
        for message in entry["messages"]:
            assert all(next(iter(part)) == "$type" for part in message["contents"])


def test_the_stored_form_does_not_change() -> None:
    golden = json.loads((GOLDEN / "session-1.1.0.json").read_text())
    assert json.loads(lived().stored) == golden


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_recorded_state_is_read_and_used(path: Path) -> None:
    session = Session(stored=path.read_text())
    holder = session.state.running
    if holder is not None:
        session.finish(holder.id, agent("now"), minutes=9)
    waiting = session.state.running
    if waiting is not None:
        session.finish(waiting.id, agent("then"), minutes=9)
    assert session.begin("new", "more", minutes=10, principal="ann").state == "granted"
    told = session.told("new")
    assert told[-1] == "more"
    jsonschema_rs.validate(SCHEMA, json.loads(session.stored))


def test_a_state_of_another_writer_is_a_conversation() -> None:
    session = Session(stored=(GOLDEN / "another-writer-1.0.0.json").read_text())
    session.begin("new", "more")
    assert session.told("new") == ["What is heat?", "", "20", "Motion.", "more"]
    assert [turn.outcome for turn in session.state.turns] == ["completed", "interrupted", ""]


@pytest.mark.parametrize(
    "document", [{}, {"data": None}, {"data": {"conversationHistory": [1, {"messages": [{}]}]}}]
)
def test_a_state_of_which_little_is_there_is_read(document: object) -> None:
    assert from_document(document).holder == ""


ARGUMENTS = [
    "{}",
    '{"a":1}',
    '{"a": 1, "b": "ä"}',
    '{ "a" : 1 }',
    '{"a":1,"a":2}',
    '{"__class__":"X","__module__":"os","__data__":"{}"}',
    '{"x":[{"__durabletask_autoobject__":true}]}',
    '{"a":NaN}',
    '{"a":1e999}',
    '{"a":1e2}',
    '{"a":"\\ud800"}',
    "[1]",
    "not json",
    '{"a":' * 3000 + "1" + "}" * 3000,
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda text: text[:20])
def test_arguments_come_back_as_the_text_they_were(arguments: str) -> None:
    session = Session()
    session.begin("1", "go")
    session.finish("1", calls("a", arguments=arguments), result("a"), agent("ok"))
    session.begin("2", "more")
    assert session.request("2")[1].calls[0].arguments == arguments
    jsonschema_rs.validate(SCHEMA, json.loads(session.stored))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
parts = st.lists(
    st.builds(TextPart, text=texts)
    | st.builds(ImagePart, url=texts | texts.map(lambda t: "data:image/png," + t), detail=texts),
    max_size=3,
)
called = st.lists(st.builds(ToolCall, id=texts, name=texts, arguments=texts), max_size=3)
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    parts=parts.map(tuple),
    calls=called.map(tuple),
    author=texts,
    result=st.none()
    | st.builds(
        ToolResult,
        call_id=texts,
        name=texts,
        text=texts,
        is_error=st.booleans(),
        handoff=st.booleans(),
    ),
)


@given(messages)
def test_every_message_comes_back_as_it_was(message: Message) -> None:
    stored = json.loads(json.dumps(message_document(message, "2026-12-01T12:00:00.000Z")))
    assert message_of(stored, {}) == message


def test_a_state_comes_back_as_it_was() -> None:
    state = lived().state
    assert from_document(json.loads(json.dumps(to_document(state)))) == state
