"""Turns of connections: sources take turns, a turn ends, and connections that are refused rest."""

from types import SimpleNamespace

import pytest
from doubles.turns import until

from vosd.net import stream_turns
from vosd.net.stream_turns import LEFT_S, TURN_S, StreamTurns


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Held:
    """A connection with so many steps of work left, each of which takes ``cost_s``."""

    def __init__(self, name: str, turns: StreamTurns, clock: Clock, done: list[str], cost_s: float = 0.0) -> None:
        self.name, self.source = name, name[0]
        self.steps = 0
        self.is_dropped = False
        self._turns, self._clock, self._done, self._cost_s = turns, clock, done, cost_s

    def waits(self, steps: int) -> "Held":
        self.steps = steps
        self._turns.wait(self.source, self)
        return self

    def rests(self) -> None:
        self.steps = 1
        self._turns.rest(self.source, self)

    def go_on(self) -> None:
        if self.is_dropped:
            return
        self._done.append(self.name)
        self._clock.now += self._cost_s
        self.steps -= 1
        if self.steps:
            self._turns.wait(self.source, self)

    def drop_if_closed(self) -> bool:
        self.is_dropped = True
        return True


@pytest.fixture
def world(monkeypatch):
    """Give what makes connections, with a clock of its own."""
    clock = Clock()
    monkeypatch.setattr(stream_turns, "time", SimpleNamespace(monotonic=clock.monotonic))
    turns = StreamTurns()
    done: list[str] = []
    return SimpleNamespace(
        clock=clock, turns=turns, done=done, held=lambda name, cost_s=0.0: Held(name, turns, clock, done, cost_s)
    )


async def test_the_connections_of_a_source_take_one_turn_together(world):
    for name in ("a1", "a2", "a3", "b1"):
        world.held(name).waits(3)
    await until(lambda: len(world.done) == 12)
    assert world.done == ["a1", "b1", "a2", "b1", "a3", "b1", "a1", "a2", "a3", "a1", "a2", "a3"]


async def test_a_turn_ends_after_its_time(world):
    for name in ("a1", "b1", "c1"):
        world.held(name, TURN_S * 0.6).waits(2)
    world.turns._take_turn()
    assert world.done == ["a1", "b1"]
    world.turns._take_turn()
    assert world.done == ["a1", "b1", "c1", "a1"]
    await until(lambda: len(world.done) == 6)


async def test_messages_pass_as_they_are_read_until_the_time_of_the_turn_is_over(world):
    turns, clock = world.turns, world.clock
    assert turns.may_pass()
    clock.now += TURN_S * 0.9
    assert turns.may_pass()
    clock.now += TURN_S * 0.2
    assert not turns.may_pass()
    await until(lambda: not turns._is_scheduled)
    assert turns.may_pass()


async def test_all_wait_while_one_waits(world):
    world.held("a1").waits(1)
    assert not world.turns.may_pass()
    await until(lambda: world.done == ["a1"])
    assert world.turns.may_pass()


async def test_one_connection_of_a_source_that_rests_goes_on_at_a_time_and_the_others_of_it_pass(world, monkeypatch):
    monkeypatch.setattr(stream_turns, "REST_S", 60.0)
    monkeypatch.setattr(Held, "drop_if_closed", lambda held: False)
    turns = world.turns
    for name in ("a1", "a2", "a3"):
        world.held(name).rests()
    assert turns.may_pass()
    world.held("a4").waits(2)
    await until(lambda: world.done == ["a4", "a4"])
    turns._wake("a")
    await until(lambda: world.done == ["a4", "a4", "a1"])
    assert turns.may_pass()
    world.held("a5").rests()
    turns._wake("a")
    await until(lambda: world.done == ["a4", "a4", "a1", "a2"])
    assert len(turns._resting["a"].connections) == 2


async def test_a_source_that_rests_goes_on_without_the_connections_that_its_peer_has_closed(world, monkeypatch):
    monkeypatch.setattr(stream_turns, "REST_S", 0.0)
    monkeypatch.setattr(Held, "drop_if_closed", lambda held: held.name != "a2")
    for name in ("a1", "a2", "a3"):
        world.held(name).rests()
    await until(lambda: world.done == ["a2"])
    assert not world.turns._resting
    await until(world.turns.may_pass)
    assert world.done == ["a2"]


@pytest.mark.parametrize(("waited_s", "is_dropped"), [(LEFT_S - 0.01, False), (LEFT_S + 0.01, True)])
async def test_closed_connections_of_a_source_that_never_stops_waiting_are_dropped(world, waited_s, is_dropped):
    connections = [world.held(name).waits(1) for name in ("a1", "a2")]
    world.clock.now += waited_s
    await until(lambda: not world.turns._waiting)
    assert [each.is_dropped for each in connections] == [is_dropped] * 2


async def test_a_bug_in_one_connection_stops_no_other(world, monkeypatch):
    broken, other = world.held("a1"), world.held("b1")
    monkeypatch.setattr(broken, "go_on", lambda: 1 / 0)
    broken.waits(1)
    other.waits(1)
    with pytest.raises(ZeroDivisionError):
        world.turns._take_turn()
    await until(lambda: world.done == ["b1"])


async def test_connections_go_on_that_an_error_kept_from_being_dropped(world, monkeypatch):
    turns = world.turns
    monkeypatch.setattr(stream_turns, "REST_S", 60.0)
    monkeypatch.setattr(Held, "drop_if_closed", lambda held: 1 / 0)
    world.held("a1").waits(1)
    world.clock.now += LEFT_S + 0.01
    with pytest.raises(ZeroDivisionError):
        turns._take_turn()
    for name in ("b1", "b2"):
        world.held(name).rests()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            turns._wake("b")
    await until(lambda: world.done == ["a1", "b1", "b2"])
