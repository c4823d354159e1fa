"""A session against a plain model of it, whatever comes in whatever order."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from durable_agents.sessions import exported
from tests.durable_agents.sessions.session_hub import Session, agent, assert_valid, user


@dataclass
class Model:
    """What the session should know: who runs, who waits how, what has been said to the end."""

    holder: str = ""
    line: list[tuple[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    over: set[str] = field(default_factory=set)

    def end(self) -> None:
        self.over.add(self.holder)
        self.line = [(turn, "queue" if kind == "steer" else kind) for turn, kind in self.line]
        self.holder = self.line.pop(0)[0] if self.line else ""


class SessionMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.session = Session()
        self.model = Model()
        self.count = 0

    @rule(kind=st.sampled_from(["reject", "queue", "interrupt", "steer"]), dead=st.booleans())
    def begin(self, kind: str, dead: bool) -> None:
        self.count += 1
        turn = f"t{self.count}"
        takeover = f"run-{self.model.holder}" if dead and self.model.holder else ""
        if takeover:
            self.model.end()
        grant = self.session.begin(turn, on_busy=kind, takeover=takeover)
        if not self.model.holder:
            self.model.holder = turn
            assert grant.state == "granted"
        elif kind == "reject":
            assert grant.state == "busy"
        else:
            ahead = len(self.model.line)
            if kind == "interrupt":
                ahead = sum(other == "interrupt" for _, other in self.model.line)
            self.model.line.insert(ahead, (turn, kind))
            assert grant.state == ("steered" if kind == "steer" else "queued")
        assert grant.holder == f"run-{self.model.holder}"

    @precondition(lambda self: self.count)
    @rule(data=st.data())
    def begin_again(self, data: st.DataObject) -> None:
        known = [self.model.holder, *(turn for turn, _ in self.model.line), *self.model.over]
        turn = data.draw(st.sampled_from([turn for turn in known if turn] or ["t1"]))
        if turn in known:
            stored = self.session.stored
            self.session.begin(turn)
            assert self.session.stored == stored

    @precondition(lambda self: self.model.holder)
    @rule(outcome=st.sampled_from(["completed", "failed", "cancelled"]), take=st.integers(0, 3))
    def finish(self, outcome: str, take: int) -> None:
        turn = self.model.holder
        steers = [waiting for waiting, kind in self.model.line if kind == "steer"]
        taken = steers[:take]
        closing = self.session.finish(
            turn,
            *(user(one) for one in taken),
            agent(f"answer to {turn}"),
            outcome=outcome,
            taken=tuple(f"{one}/0" for one in taken),
        )
        if outcome == "completed" and len(taken) < len(steers):
            assert not closing.ended
            assert len(closing.pending) == len(steers) - len(taken)
            return
        assert closing.ended
        assert [place.turn for place in closing.steered] == taken
        if outcome == "completed":
            self.model.said += [turn, *taken, f"answer to {turn}"]
        self.model.over |= set(taken)
        self.model.line = [one for one in self.model.line if one[0] not in taken]
        self.model.end()
        assert (closing.next.turn if closing.next else "") == self.model.holder

    @precondition(lambda self: self.model.over)
    @rule(data=st.data())
    def finish_again(self, data: st.DataObject) -> None:
        turn = data.draw(st.sampled_from(sorted(self.model.over)))
        stored = self.session.stored
        first = self.session.finish(turn, agent("other"))
        assert self.session.finish(turn, agent("another"), outcome="failed") == first
        assert self.session.stored == stored

    @precondition(lambda self: self.model.line)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.model.line))
        self.session.call("leave", {"turn": gone[0]})
        self.model.line.remove(gone)
        self.model.over.add(gone[0])

    @invariant()
    def one_run_has_it_and_everything_was_said_once(self) -> None:
        if not self.count:
            return
        state = self.session.state
        assert state.holder == self.model.holder
        assert [waiting.turn for waiting in state.waiting] == [one for one, _ in self.model.line]
        running = [turn for turn in exported(state)["turns"] if turn["status"] == "running"]
        assert len(running) == bool(self.model.holder)
        if self.model.holder:
            steers = [turn for turn, kind in self.model.line if kind == "steer"]
            told = self.session.told(self.model.holder)
            assert told == [*self.model.said, self.model.holder, *steers]
            assert_valid(self.session.request(self.model.holder))


SessionMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestSessionMachine = SessionMachine.TestCase
