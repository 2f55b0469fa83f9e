"""Whose turn it is, on virtual time: running calls, new calls, the rest; and what there is no time for."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from vosd.engine.overload import inbox as engine_inbox
from vosd.engine.overload.inbox import (
    BEHIND_S,
    CALLS_MAX,
    OTHERS_MAX,
    PINGS_MAX,
    REFUSALS_AT_ONCE,
    RUNNING_FIFO_MAX,
    STILL_S,
    TURN_S,
    UNKNOWN_MAX,
    Inbox,
)
from vosd.engine.overload.load import START_S, Load, OverloadSettings
from vosd.sip.wire.classify import Rank

GATEWAY, OTHER_GATEWAY, PHONE = "192.0.2.1", "192.0.2.2", "198.51.100.1"


class Alarm:
    """A callback of the event loop, and when."""

    def __init__(self, at: float, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.at = at
        self.run = lambda: callback(*args)
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class World:
    """A clock, an event loop and a core whose every message takes ``cost_s``."""

    def __init__(self, max_lag_ms: int = 50) -> None:
        self.now = 1_000.0
        self.cost_s = 0.0
        self.refusal_s = 0.0
        self.alarms: list[Alarm] = []
        self.served: list[str] = []
        self.waited_s: list[float] = []
        self.refused: list[str] = []
        self.dropped: Counter[str] = Counter()
        self.inbox = Inbox(
            self._process, self._refuse, OverloadSettings(max_lag_ms), "our-busy", self.dropped, lambda: self.now
        )
        self.inbox.attach(self)
        self.now += START_S
        self._count = 0

    # the event loop
    def call_soon(self, callback: Callable[..., Any], *args: Any) -> Alarm:
        return self.call_later(0.0, callback, *args)

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Alarm:
        self.alarms.append(Alarm(self.now + delay, callback, args))
        return self.alarms[-1]

    # the core
    def _process(self, _flow: int, data: bytes, _host: str, _port: int, came: float) -> None:
        self.waited_s.append(self.now - came)
        self.now += self.cost_s
        self.served.append(data.decode())

    def _refuse(self, _flow: int, data: bytes, _host: str, _port: int) -> None:
        self.now += self.refusal_s
        self.refused.append(data.decode())

    # the test
    def come(self, rank: Rank, host: str, *names: str, waited_s: float = 0.0) -> None:
        for name in names:
            self.inbox.take(rank, 0, name.encode(), host, 5060, self.now - waited_s)

    def turn(self) -> None:
        """Let the event loop go round once."""
        due = [alarm for alarm in self.alarms if alarm.at <= self.now]
        self.alarms = [alarm for alarm in self.alarms if alarm.at > self.now]
        for alarm in due:
            if not alarm.cancelled:
                alarm.run()

    def load(self, host: str, rate: int, seconds: float, served: bool = True) -> None:
        """Let new calls come at an even rate, and the loop turn for as long."""
        end, due = self.now + seconds, self.now
        while self.now < end:
            while due <= self.now:
                self._count += 1
                self.come(Rank.CALL, host, f"{host} {self._count}")
                due += 1 / rate
            before = self.now
            if served:
                self.inbox.serve()
            self.turn()
            if self.now == before:
                self.now += 0.001


@pytest.fixture
def world() -> World:
    return World()


def test_only_what_belongs_to_a_call_counts_from_before_it_was_read(world):
    """A new call that was read late would be refused as one of an overload."""
    world.come(Rank.RUNNING, "192.0.2.1", "BYE", waited_s=60.0)
    world.come(Rank.CALL, "192.0.2.1", "INVITE", waited_s=3.0)
    world.inbox.serve()
    assert (world.served, world.refused) == (["BYE", "INVITE"], [])
    assert world.waited_s == pytest.approx([60.0, 0.001], abs=0.01)


@pytest.mark.parametrize("waited_s", [60.0, START_S / 2])
def test_what_waited_for_the_start_or_while_it_stood_still_is_served_first_and_in_its_order(world, waited_s):
    """A BYE of the one side before that of the other: who hung up first ends the call, and until then it is paid."""
    world.cost_s = TURN_S / 10
    of_gateway = [f"INFO {number}" for number in range(2 * RUNNING_FIFO_MAX)] + ["BYE of the gateway"]
    world.come(Rank.RUNNING, GATEWAY, *of_gateway, waited_s=waited_s)
    world.come(Rank.RUNNING, PHONE, "BYE of the phone", waited_s=waited_s / 2)
    world.inbox.serve()
    assert world.inbox.is_behind()
    world.come(Rank.RUNNING, OTHER_GATEWAY, "BYE of now")
    while world.inbox.is_behind():
        assert not world.inbox.is_idle()
        world.turn()
    world.turn()
    assert world.served == [*of_gateway, "BYE of the phone", "BYE of now"]


def test_what_waited_while_it_stood_still_does_not_overtake_what_was_read_before(world):
    world.come(Rank.RUNNING, GATEWAY, "ACK")
    world.come(Rank.RUNNING, GATEWAY, "BYE", waited_s=START_S / 2)
    world.inbox.serve()
    assert world.served == ["ACK", "BYE"]


def test_more_than_can_wait_before_the_others_is_queued_as_ever(world, monkeypatch):
    monkeypatch.setattr(engine_inbox, "WAITED_MAX", 1)
    world.come(Rank.RUNNING, GATEWAY, "first", "second", waited_s=START_S / 2)
    world.cost_s = TURN_S
    world.inbox.serve()
    assert (world.served, world.inbox.is_behind()) == (["first"], False)
    world.turn()
    assert world.served == ["first", "second"]


def test_what_came_since_it_goes_on_is_not_served_first_however_late_the_sockets_are(world):
    """Beside a flood they are late for as long as it lasts; one source would hold up all others, and the timers."""
    world.cost_s = TURN_S / 10
    world.come(Rank.RUNNING, GATEWAY, *["INFO"] * RUNNING_FIFO_MAX, waited_s=START_S / 2)
    world.inbox.serve()
    assert world.inbox.is_behind()
    for _ in range(5):
        world.now += 0.9 * STILL_S
        world.come(Rank.RUNNING, GATEWAY, "flood", waited_s=0.8 * STILL_S)
    world.come(Rank.RUNNING, GATEWAY, *["flood"] * 2 * RUNNING_FIFO_MAX, waited_s=0.8 * STILL_S)
    world.come(Rank.RUNNING, PHONE, "BYE", waited_s=0.8 * STILL_S)
    while world.inbox.is_behind():
        world.turn()
    assert world.served[:RUNNING_FIFO_MAX] == ["INFO"] * RUNNING_FIFO_MAX
    while "BYE" not in world.served:
        world.turn()
    assert world.served.count("flood") <= RUNNING_FIFO_MAX + 1


def test_limits_hold_beside_a_flood_that_is_served_as_fast_as_it_is_read(world):
    """Something was waiting whenever a timer was due: what was read late took the place of what had been served."""
    world.cost_s = TURN_S / 10
    world.come(Rank.RUNNING, GATEWAY, "200")
    for waited_s in [0.3 * number for number in range(9)] + [2.5] * 20:
        world.now += 0.3
        world.turn()
        world.come(Rank.RUNNING, GATEWAY, *["200"] * 15, waited_s=waited_s)
        world.inbox.serve()
        assert not world.inbox.is_behind()


def test_limits_hold_again_though_more_has_waited_than_can_be_served(world):
    world.cost_s = TURN_S
    world.come(Rank.RUNNING, GATEWAY, *[f"flood {number}" for number in range(3 * RUNNING_FIFO_MAX)], waited_s=START_S)
    world.come(Rank.RUNNING, PHONE, "BYE", waited_s=START_S)
    world.inbox.serve()
    world.come(Rank.RUNNING, PHONE, "BYE again")
    world.now += BEHIND_S - 3 * TURN_S
    world.turn()
    assert world.inbox.is_behind()
    world.now += 3 * TURN_S
    world.turn()
    assert not world.inbox.is_behind()
    while "BYE again" not in world.served:
        world.turn()
    flood = [each for each in world.served if each.startswith("flood")]
    assert flood == [f"flood {number}" for number in range(len(flood))]
    assert len(flood) <= RUNNING_FIFO_MAX + 4
    assert world.served.index("BYE") < world.served.index("BYE again")
    assert not world.dropped


def test_a_further_time_that_it_stands_still_counts_anew(world):
    world.come(Rank.RUNNING, GATEWAY, "INFO", waited_s=START_S)
    world.inbox.serve()
    world.now += 2 * BEHIND_S
    world.cost_s = TURN_S
    world.come(Rank.RUNNING, GATEWAY, "BYE", waited_s=START_S)
    world.come(Rank.RUNNING, PHONE, "BYE", waited_s=START_S)
    world.inbox.serve()
    assert world.inbox.is_behind()


def test_what_waited_a_further_time_does_not_overtake_what_came_in_between(world):
    world.cost_s = TURN_S
    world.come(Rank.RUNNING, GATEWAY, "INFO", "UPDATE", waited_s=START_S)
    world.inbox.serve()
    world.come(Rank.RUNNING, GATEWAY, "ACK")
    world.now += 4.0
    world.come(Rank.RUNNING, GATEWAY, "BYE", waited_s=3.0)
    for _ in range(4):
        world.inbox.serve()
    assert world.served == ["INFO", "UPDATE", "ACK", "BYE"]


def test_limits_hold_though_it_stands_still_again_and_again(world):
    """As under a load at which each turn of the event loop takes longer than a second."""
    world.cost_s = TURN_S
    world.come(Rank.RUNNING, GATEWAY, *["INFO"] * 9, waited_s=START_S)
    until = world.now + BEHIND_S
    while world.now <= until:
        world.inbox.serve()
        world.now += 1.1 * STILL_S
        world.come(Rank.RUNNING, GATEWAY, *["INFO"] * 3, waited_s=STILL_S)
    world.inbox.serve()
    assert not world.inbox.is_behind()


def test_limits_wait_for_what_has_waited_though_messages_were_queued_when_it_stopped(world):
    world.cost_s = TURN_S
    world.come(Rank.RUNNING, GATEWAY, "INFO", "ACK")
    world.inbox.serve()
    world.now += 4.0
    world.come(Rank.RUNNING, GATEWAY, "BYE of the gateway", waited_s=3.0)
    world.come(Rank.RUNNING, PHONE, "BYE of the phone", waited_s=2.0)
    while world.inbox.is_behind():
        world.turn()
    assert world.served == ["INFO", "ACK", "BYE of the gateway", "BYE of the phone"]


def test_running_calls_go_first_whatever_came_before(world):
    world.come(Rank.OTHER, PHONE, "REGISTER")
    world.come(Rank.CALL, GATEWAY, "INVITE")
    world.come(Rank.RUNNING, PHONE, "BYE", "200")
    assert world.served == []
    world.inbox.serve()
    assert world.served == ["BYE", "200", "INVITE", "REGISTER"]


def test_how_long_a_message_waits_is_no_secret_to_who_serves_it(world):
    """What a call costs is counted from when its packets came."""
    world.cost_s = 0.001
    world.come(Rank.RUNNING, GATEWAY, "BYE 1", "BYE 2")
    world.come(Rank.CALL, GATEWAY, "INVITE")

    world.inbox.serve()

    assert world.waited_s == pytest.approx([0, 0.001, 0.002])


def test_new_work_makes_way_for_the_sockets_after_a_turn(world):
    world.cost_s = TURN_S * 0.6
    world.come(Rank.CALL, GATEWAY, "1", "2", "3", "4")
    world.inbox.serve()
    assert world.served == ["1", "2"]
    world.come(Rank.RUNNING, GATEWAY, "BYE")
    world.turn()
    assert world.served == ["1", "2", "BYE", "3"]
    world.turn()
    assert world.served[-1] == "4"
    assert len(world.inbox) == 0


def test_a_cancel_does_not_overtake_its_invite(world):
    world.come(Rank.CALL, GATEWAY, "INVITE 1", "INVITE 2", "INVITE 3", "INVITE 4", "INVITE 5")
    world.come(Rank.OTHER, GATEWAY, "CANCEL 5")
    world.come(Rank.OTHER, OTHER_GATEWAY, "CANCEL of nothing")
    world.inbox.serve()
    assert world.served.index("CANCEL 5") > world.served.index("INVITE 5")
    assert "CANCEL of nothing" in world.served


def test_a_cancel_is_answered_though_its_invite_was_refused(world):
    world.cost_s = 0.001
    for _ in range(300):
        world.come(Rank.CALL, GATEWAY, *["INVITE"] * 15)
        world.come(Rank.OTHER, GATEWAY, "CANCEL")
        world.inbox.serve()
        world.turn()
    assert "INVITE" in world.refused
    assert "CANCEL" not in world.refused
    assert "CANCEL" in world.served


def test_sources_take_turns(world):
    world.come(Rank.CALL, GATEWAY, "a1", "a2", "a3")
    world.come(Rank.CALL, OTHER_GATEWAY, "b1")
    world.inbox.serve()
    assert world.served == ["a1", "b1", "a2", "a3"]


def test_new_requests_have_their_share_beside_running_calls(world):
    """A source that sends without end within calls does not delay the calls of others."""
    world.cost_s = TURN_S / 8
    for _ in range(10):
        world.come(Rank.RUNNING, OTHER_GATEWAY, *["INFO"] * 50)
        world.come(Rank.CALL, GATEWAY, "INVITE", "INVITE")
        world.inbox.serve()
    assert world.served.count("INVITE") == 20
    assert world.served.count("INFO") <= 70


def test_a_source_with_many_messages_within_calls_does_not_delay_others(world):
    world.cost_s = TURN_S / 4
    world.come(Rank.RUNNING, GATEWAY, *["INFO"] * 5_000)
    world.come(Rank.RUNNING, OTHER_GATEWAY, "200", "BYE")
    for _ in range(20):
        world.inbox.serve()
    assert [each for each in world.served if each != "INFO"] == ["200", "BYE"]


def test_registrations_of_phones_do_not_wait_behind_unknown_sources(world):
    for unknown in range(10_000):
        world.come(Rank.UNKNOWN, f"203.{unknown >> 16}.{unknown >> 8 & 255}.{unknown & 255}", "forged")
    world.come(Rank.OTHER, PHONE, *["REGISTER"] * 6)
    assert world.dropped["too many requests wait"] == 10_000 - engine_inbox.UNKNOWN_MAX
    world.cost_s = 0.0001
    world.inbox.serve()
    assert world.served[:8] == ["REGISTER"] * 3 + ["forged"] + ["REGISTER"] * 3 + ["forged"]


def test_large_messages_of_unknown_sources_are_bounded_by_their_bytes(world, monkeypatch):
    monkeypatch.setattr(engine_inbox, "UNKNOWN_BYTES_MAX", 10_000)
    for number in range(20):
        world.come(Rank.UNKNOWN, "203.0.113.9", f"{number:02}" + "x" * 998)
    world.come(Rank.UNKNOWN, PHONE, "register")
    assert (len(world.inbox), world.dropped["too many requests wait"]) == (10, 11)
    world.inbox.serve()
    assert [each[:2] for each in world.served if each != "register"] == [str(number) for number in range(11, 20)]
    assert "register" in world.served
    assert world.inbox._unknown_bytes == 0


def test_phones_can_register_beside_a_flood_of_calls(world):
    world.come(Rank.CALL, GATEWAY, *map(str, range(12)))
    world.come(Rank.OTHER, PHONE, "REGISTER", "REGISTER", "REGISTER")
    world.inbox.serve()
    assert [index for index, name in enumerate(world.served) if name == "REGISTER"] == [3, 7, 11]


def test_a_gateway_is_answered_that_it_reaches_the_switch_though_all_phones_register(world):
    for phone in range(10_000):
        world.come(Rank.OTHER, f"198.51.{phone >> 8}.{phone & 255}", "REGISTER")
    world.come(Rank.OTHER, GATEWAY, *["REGISTER"] * OTHERS_MAX, "OPTIONS", *["REGISTER"] * OTHERS_MAX)
    world.cost_s = TURN_S / 4
    world.inbox.serve()
    assert world.served[0] == "OPTIONS"


def test_phones_can_register_beside_a_flood_of_options(world):
    world.come(Rank.OTHER, GATEWAY, *["OPTIONS"] * 2 * PINGS_MAX)
    world.come(Rank.OTHER, PHONE, "REGISTER", "REGISTER")
    world.come(Rank.UNKNOWN, "203.0.113.9", "unknown")
    assert world.dropped["too many requests wait"] == PINGS_MAX
    world.cost_s = 0.0001
    world.inbox.serve()
    assert world.served[:6] == ["OPTIONS", "REGISTER", "OPTIONS", "unknown", "OPTIONS", "REGISTER"]


def test_calls_do_not_starve_beside_ten_thousand_phones(world):
    for phone in range(10_000):
        world.come(Rank.OTHER, f"198.51.{phone >> 8}.{phone & 255}", "REGISTER")
    assert world.dropped["too many requests wait"] == 10_000 - OTHERS_MAX
    world.come(Rank.CALL, GATEWAY, "1", "2", "3")
    world.inbox.serve()
    assert world.served[:4] == ["1", "2", "3", "REGISTER"]


def test_more_calls_than_can_wait_are_refused_the_flooder_first(world):
    world.come(Rank.CALL, OTHER_GATEWAY, "small")
    world.come(Rank.CALL, GATEWAY, *map(str, range(CALLS_MAX + 10)))
    assert world.refused == [str(index) for index in range(11)]
    assert len(world.inbox) == CALLS_MAX
    world.inbox.serve()
    assert "small" in world.served


def test_what_cannot_even_be_refused_is_dropped(world):
    world.come(Rank.CALL, GATEWAY, *map(str, range(CALLS_MAX + REFUSALS_AT_ONCE + 5)))
    assert len(world.refused) == world.dropped["refused with 503"] == REFUSALS_AT_ONCE
    assert world.dropped["more than can be refused"] == 5


def test_the_acknowledgement_of_a_refusal_is_nobodys_business(world):
    world.come(Rank.RUNNING, GATEWAY, "ACK sip:1@h SIP/2.0\r\nTo: <sip:1@h>;tag=our-busy\r\n", "ACK another")
    world.inbox.serve()
    assert world.served == ["ACK another"]


def test_at_three_times_what_it_can_carry_it_carries_what_it_can(world):
    world.cost_s, world.refusal_s = 0.001, 0.00002
    world.load(GATEWAY, 3_000, 10.0)
    assert len(world.served) > 9_000
    assert world.inbox.load is Load.OVERLOADED
    waiting = len(world.inbox)
    assert waiting < 3_000 * 0.1  # no call waits much longer than the limit
    world.load(GATEWAY, 500, 2.0)
    assert world.inbox.load is Load.NORMAL
    refused = len(world.refused)
    world.load(GATEWAY, 500, 5.0)
    assert len(world.refused) == refused


def test_refusals_of_long_messages_make_way_for_running_calls(world):
    world.cost_s, world.refusal_s = 0.001, 0.0005  # hundreds of lines, whose Vias all go into the answer
    world.load(GATEWAY, 3_000, 1.0)
    assert world.inbox.load is Load.OVERLOADED
    world.come(Rank.CALL, GATEWAY, *map(str, range(200)))
    world.now += 1.0
    before, refused = world.now, len(world.refused)
    world.come(Rank.RUNNING, OTHER_GATEWAY, "BYE")
    world.inbox.serve()
    assert world.now - before <= TURN_S + world.cost_s
    assert "BYE" in world.served
    assert len(world.refused) > refused


def test_calls_for_whose_refusal_there_was_no_time_are_not_put_through_late(world):
    world.cost_s, world.refusal_s = 0.003, 0.001
    world.load(GATEWAY, 700, 4.0)
    late_s = sorted(world.waited_s)
    assert late_s[len(late_s) // 2] < 0.1
    assert late_s[-1] < 0.5


def test_a_burst_that_can_be_carried_is_carried(world):
    world.cost_s = 0.001
    for _ in range(5):
        world.come(Rank.CALL, GATEWAY, *map(str, range(100)))
        world.load(OTHER_GATEWAY, 10, 1.0)
    assert world.refused == []


def test_a_source_with_few_calls_is_not_refused_for_a_flood(world):
    world.cost_s = 0.001
    for _ in range(50):
        world.load(GATEWAY, 3_000, 0.1)
        world.come(Rank.CALL, OTHER_GATEWAY, "small")
    world.load(GATEWAY, 3_000, 0.2)
    assert world.served.count("small") == 50


def test_a_late_event_loop_counts_as_waiting(world):
    """What lies in the kernel while something else keeps us busy has waited, too."""
    for _ in range(20):
        world.come(Rank.CALL, GATEWAY, "call")
        world.inbox.serve()
        world.now += 0.1
        world.turn()
    assert world.inbox.load is Load.OVERLOADED
    assert "call" in world.refused


def test_what_a_start_has_to_do_beside_its_first_calls_refuses_none_of_them(world):
    world.inbox.detach()
    world.inbox.attach(world)
    world.cost_s = 0.001
    world.load(GATEWAY, 1_200, START_S - 1)
    assert (world.inbox.load, world.refused) == (Load.NORMAL, [])
    world.load(GATEWAY, 1_200, 3.0)
    assert world.inbox.load is Load.OVERLOADED


def test_start_and_end_of_an_overload_are_logged_once(world, monkeypatch):
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(
        engine_inbox, "_log", type("Log", (), {"warning": staticmethod(lambda name, **what: told.append((name, what)))})
    )
    world.cost_s = 0.001
    world.load(GATEWAY, 3_000, 3.0)
    world.load(GATEWAY, 100, 3.0)
    assert [name for name, _ in told] == ["overload_begins", "overload_ends"]
    assert told[0][1]["lag_ms"] >= 50
    assert told[1][1]["requests_refused"] == len(world.refused)


def test_without_work_it_sleeps(world):
    world.come(Rank.RUNNING, GATEWAY, "BYE")
    world.inbox.serve()
    for _ in range(10):
        world.now += engine_inbox.MEASURE_S
        world.turn()
    assert world.alarms == []


def test_a_mistake_in_one_message_leaves_the_others_their_turn(world, monkeypatch):
    world.come(Rank.RUNNING, GATEWAY, "bad", "good")
    process = world._process

    def stumble(flow: int, data: bytes, host: str, port: int, came: float) -> None:
        if data == b"bad":
            raise ValueError(data)
        process(flow, data, host, port, came)

    monkeypatch.setattr(world.inbox, "_process", stumble)
    with pytest.raises(ValueError, match="bad"):
        world.inbox.serve()
    world.turn()
    assert world.served == ["good"]


def test_before_the_start_and_after_the_end_messages_are_dropped():
    world = World()
    world.inbox.detach()
    world.come(Rank.RUNNING, GATEWAY, "BYE")
    world.come(Rank.CALL, GATEWAY, "INVITE")
    world.inbox.serve()
    assert world.served == []
    assert len(world.inbox) == 0


def test_an_operator_may_have_every_call_wait(world):
    world.inbox.adjust(OverloadSettings(max_lag_ms=0))
    world.cost_s = 0.001
    world.load(GATEWAY, 1_500, 2.0)
    assert world.refused == []


arrivals = st.lists(
    st.tuples(
        st.sampled_from(list(Rank)),
        st.sampled_from(["message", "OPTIONS"]),
        st.integers(0, 4),
        st.integers(1, 40),
        st.floats(0, 0.05),
    ),
    max_size=60,
)


@given(arrivals, st.floats(0, 0.005))
def test_nothing_is_lost_unseen_and_every_line_ends(arrivals, cost_s):
    world = World()
    world.cost_s = cost_s
    came = 0
    for rank, name, host, count, pause in arrivals:
        world.come(rank, f"192.0.2.{host}", *[name] * count)
        came += count
        world.inbox.serve()
        world.now += pause
        world.turn()
        assert len(world.inbox) <= CALLS_MAX + PINGS_MAX + OTHERS_MAX + UNKNOWN_MAX
    for _ in range(10_000):
        if not world.alarms:
            break
        world.now = max(world.now, min(alarm.at for alarm in world.alarms))
        world.turn()
    assert world.alarms == []
    dropped = world.dropped["too many requests wait"] + world.dropped["more than can be refused"]
    assert len(world.served) + len(world.refused) + dropped == came


def test_while_the_process_has_stood_still_messages_wait_and_none_is_processed():
    world = World()
    world.inbox.stands_still = lambda: True
    world.come(Rank.CALL, "192.0.2.1", "INVITE")
    world.come(Rank.RUNNING, "192.0.2.1", "BYE")
    world.inbox.serve()
    world.turn()
    assert (world.served, world.inbox.is_idle()) == ([], False)
    world.inbox.stands_still = lambda: False
    world.inbox.serve()
    assert world.served == ["BYE", "INVITE"]
