"""Sending keep-alives: destinations, content, sockets, and log lines."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
import structlog
from doubles.virtual.clock import ManualClock
from doubles.virtual.wire import Appointment, Wire

from vosd.engine.registration.keepalive import AFTER_A_MISTAKE_MS, KeepAlives
from vosd.obs.events import Event
from vosd.sip.flows import Listener
from vosd.sip.registration.keepalive import KeepAlive
from vosd.sip.wire.outgoing import Peer

LISTENERS = (Listener("192.0.2.1", 5060), Listener("192.0.2.1", 5060, "tcp"), Listener("192.0.2.2", 5060))
PHONE = Peer(0, "203.0.113.1", 40_000)
PERIOD_MS = 30_000


class Timers(Wire):
    """The timers of an event loop on virtual time."""

    def call_later(self, delay_s: float, action: Callable[[], None]) -> "Handle":
        return Handle(self.after(round(delay_s * 1000), action))


class Handle:
    def __init__(self, appointment: Appointment) -> None:
        self.cancel = appointment.call_off


@pytest.fixture
def timers(monkeypatch) -> Timers:
    timers = Timers(ManualClock())
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: timers)
    return timers


class House:
    """The registered endpoints, and what was sent to each."""

    def __init__(self, timers: Timers, *peers: Peer, hidden: Sequence[Peer] = ()) -> None:
        self.registered = peers
        self.hidden = hidden
        self.clock = timers.clock
        self.sent: list[tuple[int, bytes, tuple[str, int]]] = []

    def peers(self) -> Sequence[Peer]:
        return self.registered

    def hidden_peers(self) -> Sequence[Peer]:
        return self.hidden

    def transmit(self) -> list[Callable[[bytes, tuple[str, int]], None]]:
        def sender(flow: int) -> Callable[[bytes, tuple[str, int]], None]:
            return lambda data, to: self.sent.append((flow, data, to))

        return [sender(flow) for flow in range(len(LISTENERS))]

    def keep(self, pace: KeepAlive) -> KeepAlives:
        return KeepAlives(self.clock, self, LISTENERS, pace)


def test_every_udp_address_is_sent_the_message_from_its_own_socket(timers):
    """A client on a connection keeps that alive itself."""
    house = House(timers, PHONE, Peer(1, "203.0.113.2", 40_000), Peer(2, "203.0.113.3", 1))
    house.keep(KeepAlive(message=b"\r\n\r\n")).begin(house.transmit())
    timers.run_for(PERIOD_MS - 1)
    assert house.sent == [(0, b"\r\n\r\n", ("203.0.113.1", 40_000)), (2, b"\r\n\r\n", ("203.0.113.3", 1))]


def test_sweep_follows_sweep_until_the_stop(timers):
    house = House(timers, PHONE)
    keeping = house.keep(KeepAlive())
    keeping.begin(house.transmit())
    timers.run_for(2 * PERIOD_MS)
    assert len(house.sent) == 3
    keeping.stop()
    timers.run_for(2 * PERIOD_MS)
    assert len(house.sent) == 3


def test_only_endpoints_behind_nat_if_configured(timers):
    hidden = Peer(0, "203.0.113.2", 40_000)
    house = House(timers, PHONE, hidden, hidden=[hidden])
    house.keep(KeepAlive(to_all=False)).begin(house.transmit())
    timers.run_for(1_000)
    assert house.sent == [(0, b"HELLO", ("203.0.113.2", 40_000))]


def test_an_empty_message_sends_nothing_until_there_is_one(timers):
    house = House(timers, PHONE)
    keeping = house.keep(KeepAlive(message=b""))
    keeping.adjust(KeepAlive(message=b"", period_ms=10_000))
    keeping.begin(house.transmit())
    timers.run_for(2 * PERIOD_MS)
    assert house.sent == []
    keeping.adjust(KeepAlive(message=b"HI"))
    timers.run_for(1)
    assert house.sent == [(0, b"HI", ("203.0.113.1", 40_000))]
    keeping.adjust(KeepAlive(message=b"HI"))
    timers.run_for(1)
    assert len(house.sent) == 1, "nothing has changed"
    keeping.adjust(KeepAlive(message=b""))
    timers.run_for(2 * PERIOD_MS)
    assert len(house.sent) == 1


def test_an_error_in_the_switch_ends_one_slice_and_not_the_keeping(timers):
    house = House(timers, PHONE)
    failures = iter([RuntimeError("a mistake")])
    send = house.transmit()

    def fails_first(data: bytes, to: tuple[str, int]) -> None:
        for error in failures:
            raise error
        send[0](data, to)

    house.keep(KeepAlive()).begin([fails_first, *send[1:]])
    with pytest.raises(RuntimeError):
        timers.run_for(0)
    timers.run_for(PERIOD_MS + AFTER_A_MISTAKE_MS)
    assert len(house.sent) == 1


def test_an_overrun_sweep_is_logged_once_and_so_is_its_end(timers):
    house = House(timers, *(Peer(0, "203.0.113.1", port) for port in range(1, 41)))
    keeping = house.keep(KeepAlive(period_ms=10_000, send_interval_ms=10_000, send_one_time=10))
    with structlog.testing.capture_logs() as lines:
        keeping.begin(house.transmit())
        timers.run_for(9_999)
        assert lines == []
        timers.run_for(90_000)
        assert [line["event"] for line in lines] == [Event.NAT_SWEEP_OVERRUN]
        assert (lines[0]["remaining"], lines[0]["period_s"], lines[0]["per_second"]) == (29, 10, 1)
        house.registered = house.registered[:1]
        timers.run_for(90_000)
    assert [line["event"] for line in lines] == [Event.NAT_SWEEP_OVERRUN, Event.NAT_SWEEP_IN_TIME]


def test_an_overrun_is_over_when_another_pace_is_set_or_nothing_is_sent_any_more(timers):
    house = House(timers, *(Peer(0, "203.0.113.1", port) for port in range(1, 41)))
    keeping = house.keep(KeepAlive(period_ms=10_000, send_interval_ms=10_000, send_one_time=10))
    keeping.begin(house.transmit())
    timers.run_for(90_000)
    with structlog.testing.capture_logs() as lines:
        keeping.adjust(KeepAlive(message=b""))
    assert [(line["event"], line["why"]) for line in lines] == [(Event.NAT_SWEEP_IN_TIME, "gone")]
