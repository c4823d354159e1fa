"""One entity outside of any scheduler: the SDK's own executor, with each state through its text."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask.entities import EntityInstanceId
from durabletask.internal.entity_state_shim import StateShim
from durabletask.serialization import JsonDataConverter
from durabletask.worker import _EntityExecutor, _Registry

from durable_agents.messages import Message, SessionTurn, ToolCall, ToolResult
from durable_agents.sessions import (
    Begin,
    Closing,
    Finish,
    Grant,
    SessionPolicy,
    SessionState,
    conversation,
    entity_name,
    from_document,
    session_entity,
)

START = datetime(2026, 12, 1, 12, tzinfo=UTC)


def at(minutes: float = 0) -> str:
    return (START + timedelta(minutes=minutes)).isoformat()


def user(text: str) -> Message:
    return Message.of("user", text)


def agent(text: str) -> Message:
    return Message.of("assistant", text)


def calls(*ids: str, arguments: str = "{}") -> Message:
    asked = tuple(ToolCall(id=one, name="slow", arguments=arguments) for one in ids)
    return Message(role="assistant", calls=asked)


def result(call_id: str, text: str = "done") -> Message:
    return Message(role="tool", result=ToolResult(call_id=call_id, name="slow", text=text))


class Session:
    """A session of agent `Ada`; what it stores is what the SDK would store."""

    def __init__(self, policy: SessionPolicy | None = None, stored: str | None = None) -> None:
        self.stored = stored
        self.signals: list[tuple[str, datetime]] = []
        registry = _Registry()
        registry.add_entity(session_entity("Ada", policy or SessionPolicy()))
        self._executor = _EntityExecutor(registry, logging.getLogger(__name__), JsonDataConverter())

    def call(self, operation: str, given: Any = None) -> Any:
        converter = JsonDataConverter()
        shim = StateShim(self.stored, converter, is_serialized=True)
        name = EntityInstanceId(entity_name("Ada"), "s")
        done = self._executor.execute("run", name, operation, shim, converter.serialize(given))
        shim.commit()
        self.stored = shim.encode_state()
        for action in shim.get_operation_actions():
            due = action.sendSignal.scheduledTime.ToDatetime(UTC)
            self.signals.append((json.loads(action.sendSignal.input.value), due))
        return None if done is None else json.loads(done)

    def begin(self, turn: str, *texts: str, minutes: float = 0, **options: Any) -> Grant:
        given = {"instance": f"run-{turn}", "messages": [user(t) for t in texts or (turn,)]}
        asked = Begin(turn=turn, at=at(minutes), **(given | options))
        return Grant.model_validate(self.call("begin", asked.to_json()))

    def finish(self, turn: str, *said: Message, minutes: float = 0, **options: Any) -> Closing:
        asked = Finish(turn=turn, messages=said, at=at(minutes), **options)
        return Closing.model_validate(self.call("finish", asked.to_json()))

    def say(self, turn: str, text: str, answer: str, minutes: float = 0) -> None:
        assert self.begin(turn, text, minutes=minutes).state == "granted"
        assert self.finish(turn, agent(answer), minutes=minutes).ended

    @property
    def state(self) -> SessionState:
        return from_document(json.loads(self.stored or "null"))

    def told(self, turn: str, taken: tuple[str, ...] = ()) -> list[str]:
        return [message.text for message in self.request(turn, taken)]

    def request(self, turn: str, taken: tuple[str, ...] = ()) -> list[Message]:
        asked = SessionTurn(agent="Ada", key="s", turn=turn, taken=taken)
        messages, steering = conversation(self.state, asked)
        return [*messages, *steering.values()]


def assert_valid(messages: list[Message]) -> None:
    """Each call is answered right after it, in its order, and nothing else is answered."""
    expected: list[str] = []
    for message in messages:
        if message.role == "tool":
            assert message.result is not None
            assert expected
            assert message.result.call_id == expected.pop(0)
        else:
            assert not expected
            expected = [call.id for call in message.calls]
    assert not expected
