"""Keep-alives of ours on connections (RFC 5626 4.4.1): their peers, their pace, and what a missing answer does."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from doubles.turns import until
from doubles.virtual.probe import request
from structlog.testing import capture_logs

from vosd.net import stream_pings
from vosd.net.settings import ConnectionLimits, TransportSettings
from vosd.net.stream_pings import StreamPings
from vosd.net.tls import TlsContexts
from vosd.sip.wire.stream import PING, PONG

from .conftest import PATIENCE_S, UNKNOWN_SOURCE

OPTIONS = request("OPTIONS")
MINUTE = ConnectionLimits(ping_ms=60_000, pong_ms=10_000)
QUICK = TransportSettings(connections=ConnectionLimits(ping_ms=20, pong_ms=100))


class ManualHandle:
    """A timer of the event loop; it cannot be asked for its time, as one of uvloop for a time that is over."""

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualLoop:
    """Time and timers of an event loop, moved by the test."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.handles: list[ManualHandle] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, callback: Callable[[], None]) -> ManualHandle:
        self.handles.append(ManualHandle(at, callback))
        return self.handles[-1]

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((each for each in self.handles if each.callback and each.at <= end), key=lambda it: it.at):
            self.now = max(self.now, due[0].at)
            callback, due[0].callback = due[0].callback, None
            assert callback is not None
            callback()
        self.now = end

    @property
    def wakes(self) -> int:
        """Number of timers that are set."""
        return sum(each.callback is not None for each in self.handles)


class Line:
    """A connection that notes what is done with it."""

    def __init__(
        self,
        loop: ManualLoop,
        *,
        answers: bool = False,
        is_known: bool = True,
        opened_to: tuple[str, int] | None = None,
        is_websocket: bool = False,
    ) -> None:
        self._loop = loop
        self.is_websocket = is_websocket
        self.opened_to = opened_to
        self.answers = answers
        self.is_known = is_known
        self.received_ms = 0
        self.has_answered = False
        self.has_unread = False
        self.pings: list[float] = []
        self.why: str | None = None
        self.is_waited_for = False

    def wants_pings(self) -> bool:
        return self.is_known

    def ping(self) -> None:
        self.pings.append(self._loop.now)
        if self.answers:
            self.received_ms = round(self._loop.now * 1_000)
            self.has_answered = True
        self.is_waited_for = True

    def expect_no_pong(self) -> None:
        self.is_waited_for = False

    def cut(self, why: str) -> None:
        self.why = why


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> ManualLoop:
    loop = ManualLoop()
    monkeypatch.setattr(stream_pings, "asyncio", SimpleNamespace(get_running_loop=lambda: loop))
    return loop


def test_a_peer_that_answers_is_asked_again_each_80_to_100_percent_of_the_interval(loop):
    node, line = StreamPings(MINUTE), Line(loop, answers=True)
    node.watch(line)
    loop.advance(3_600)
    gaps = [after - before for before, after in zip([1_000.0, *line.pings], line.pings, strict=False)]
    assert 60 <= len(gaps) <= 76
    assert 47.9 <= min(gaps) < max(gaps) <= 60.2
    assert line.why is None


@pytest.mark.parametrize("interval_ms", [30_000, 120_000])
def test_a_websocket_is_never_silent_for_as_long_as_proxies_wait(loop, interval_ms):
    node, line = StreamPings(ConnectionLimits(ping_ms=interval_ms)), Line(loop, answers=True, is_websocket=True)
    node.watch(line)
    loop.advance(3_600)
    gaps = [after - before for before, after in zip([1_000.0, *line.pings], line.pings, strict=False)]
    assert 0.79 * min(interval_ms, 45_000) / 1_000 <= min(gaps)
    assert max(gaps) <= min(interval_ms, 45_000) / 1_000 + 0.2


def test_a_peer_that_has_answered_and_falls_silent_is_disconnected_after_the_time_out(loop):
    node, line = StreamPings(MINUTE), Line(loop, answers=True)
    node.watch(line)
    loop.advance(300)
    line.answers = False
    asked = len(line.pings)
    while len(line.pings) == asked:
        loop.advance(0.1)
    loop.advance(9.8)
    assert (len(line.pings), line.why) == (asked + 1, None)
    loop.advance(0.3)
    assert line.why == "a keep-alive was not answered"


def test_a_peer_that_has_sent_anything_else_is_kept(loop):
    node, line = StreamPings(MINUTE), Line(loop, answers=True)
    node.watch(line)
    loop.advance(120)
    line.answers = False
    for _ in range(1_000):
        loop.advance(5)
        line.received_ms = round(loop.now * 1_000)
    assert line.why is None


def test_a_peer_that_does_not_know_keep_alives_gets_them_and_is_kept(loop):
    """RFC 3261 7.5 has it ignore blank lines; its NAT sees them, and TCP finds a dead connection."""
    node, line = StreamPings(MINUTE), Line(loop)
    node.watch(line)
    loop.advance(3_600)
    assert 50 < len(line.pings) < 76
    assert line.why is None


def test_no_answer_is_expected_once_its_time_is_over(loop):
    node, line = StreamPings(MINUTE), Line(loop)
    node.watch(line)
    for change in (lambda: loop.advance(10.2), lambda: node.adjust(ConnectionLimits(ping_ms=30_000, pong_ms=10_000))):
        asked = len(line.pings)
        while len(line.pings) == asked:
            loop.advance(0.1)
        assert line.is_waited_for
        change()
        assert not line.is_waited_for


def test_a_peer_that_answered_on_an_earlier_connection_of_ours_is_not_waited_for_on_the_next(loop, monkeypatch):
    monkeypatch.setattr(stream_pings, "ANSWERING_MAX", 2)
    node, gateways = StreamPings(MINUTE), [("192.0.2.7", port) for port in (5060, 5061, 5062)]
    for gateway in gateways:
        line = Line(loop, answers=True, opened_to=gateway)
        node.watch(line)
        loop.advance(120)
        node.forget(line)
    for gateway, is_cut in zip(gateways, (False, True, True), strict=True):
        line = Line(loop, opened_to=gateway)
        node.watch(line)
        loop.advance(120)
        assert (line.why is not None) is is_cut, "the first of them is forgotten"
        node.forget(line)
    phone = Line(loop)
    node.watch(phone)
    loop.advance(120)
    assert phone.why is None


def test_a_peer_that_does_not_answer_any_more_is_disconnected_once_and_not_for_ever(loop):
    node, gateway = StreamPings(MINUTE), ("192.0.2.7", 5060)
    cut = []
    for answers in (True, False, False):
        line = Line(loop, answers=answers, opened_to=gateway)
        node.watch(line)
        loop.advance(120)
        cut.append(line.why is not None)
        node.forget(line)
    assert cut == [False, True, False]


def test_an_unknown_peer_gets_none_until_it_is_known(loop):
    node, line = StreamPings(MINUTE), Line(loop, is_known=False)
    node.watch(line)
    loop.advance(3_600)
    assert line.pings == []
    line.is_known = True
    loop.advance(61)
    assert len(line.pings) == 1


def test_ten_thousand_connections_share_one_timer_and_a_closed_one_leaves_none(loop):
    node = StreamPings(MINUTE)
    lines = [Line(loop, answers=True) for _ in range(10_000)]
    for line in lines:
        node.watch(line)
    loop.advance(61)
    assert all(line.pings for line in lines)
    assert loop.wakes == 1
    at_once = max(sum(line.pings[0] == moment for line in lines) for moment in {line.pings[0] for line in lines})
    assert at_once < 200  # spread over 12 seconds
    for line in lines:
        node.forget(line)
    loop.advance(3_600)
    assert loop.wakes == 0


def test_a_peer_whose_bytes_wait_for_their_turn_is_judged_once_they_were_read(loop):
    """The answer stands behind them: a connection that rests as its messages are refused was cut for want of one."""
    node, line = StreamPings(MINUTE), Line(loop, answers=True)
    node.watch(line)
    loop.advance(300)
    line.answers, line.has_unread = False, True
    loop.advance(600)
    asked = len(line.pings)
    assert line.why is None
    line.received_ms, line.has_unread = round(loop.now * 1_000), False
    loop.advance(61)
    assert (line.why, len(line.pings)) == (None, asked + 1)
    loop.advance(20)
    assert line.why == "a keep-alive was not answered"


def test_a_reload_changes_the_interval_of_open_connections(loop):
    node, line = StreamPings(ConnectionLimits(ping_ms=0)), Line(loop, answers=True)
    node.watch(line)
    loop.advance(3_600)
    assert line.pings == []
    node.adjust(MINUTE)
    loop.advance(61)
    assert len(line.pings) == 1
    node.adjust(ConnectionLimits(ping_ms=0))
    loop.advance(3_600)
    assert len(line.pings) == 1


async def test_a_peer_over_tcp_gets_keep_alives_and_is_disconnected_when_it_stops_to_answer(opened, connect):
    node = await opened(settings=QUICK)
    peer = await connect(node.address())
    peer.writer.write(OPTIONS)
    await node.ear.message()
    assert await peer.read(4) == PING
    peer.writer.write(PONG)
    assert await peer.read(4) == PING
    with capture_logs() as logs:
        assert await peer.is_closed()
        await until(lambda: node.transports.connections == 0)
    assert [each["why"] for each in logs] == ["a keep-alive was not answered"]


async def test_a_connection_that_we_opened_over_tls_gets_them_too(opened, silent_vendor, authority):
    ours, theirs = authority.issue("switch", "127.0.0.1"), authority.issue("vendor", "127.0.0.1")
    await silent_vendor.listen(authority.server_context(theirs))
    tls = TlsContexts(authority.server_context(ours), authority.client_context())
    node = await opened(("tls", "127.0.0.1"), settings=QUICK, tls=tls)
    node.send(OPTIONS, silent_vendor.address)
    peer = await silent_vendor.arrival()
    assert await peer.read(len(OPTIONS) + 2 * len(PING)) == OPTIONS + 2 * PING
    peer.writer.write(OPTIONS)
    assert (await node.ear.message())[1] == OPTIONS


async def test_a_vendor_that_answered_once_and_hangs_is_disconnected_on_its_next_connection_too(opened, silent_vendor):
    node = await opened(settings=QUICK)
    await silent_vendor.listen()
    for answers in (True, False):
        node.send(OPTIONS, silent_vendor.address)
        peer = await silent_vendor.arrival()
        assert await peer.read(len(OPTIONS) + len(PING)) == OPTIONS + PING
        if answers:
            peer.writer.write(PONG)
            assert await peer.read(len(PING)) == PING
        assert await peer.is_closed()
        await until(lambda: node.transports.connections == 0)


async def test_an_unknown_source_gets_none(opened, connect):
    node = await opened(settings=QUICK)
    unknown, gateway = await connect(node.address(), UNKNOWN_SOURCE), await connect(node.address())
    assert await gateway.read(3 * len(PING)) == 3 * PING
    unknown.writer.write(OPTIONS)
    await node.ear.message()
    node.transports.hang_up(0, *unknown.address, "enough")
    assert await asyncio.wait_for(unknown.reader.read(-1), PATIENCE_S) == b""
