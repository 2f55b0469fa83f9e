"""Keep-alives of ours on connections (RFC 5626 section 4.4.1): a double CRLF, which the peer answers with a CRLF.

They keep the bindings of NATs and firewalls between us and a peer, and find connections whose other end is gone. All
connections share one timer wheel. A peer need not know these keep-alives: blank lines between messages are ignored
(RFC 3261 section 7.5), and RFC 5626 has a missing answer end a flow alone whose two ends have agreed on keep-alives. So
silence ends the connection of a peer that has answered one before, on this connection or on an earlier one that we have
opened to the same address; any other dead connection is found by TCP, whose peer acknowledges nothing.
"""

import asyncio
from collections import OrderedDict
from typing import Final, Protocol

from vosd.base.wheel import Timer, TimerWheel
from vosd.net.settings import ConnectionLimits

TICK_MS: Final = 100
ANSWERING_MAX: Final = 4_096
"""Most addresses that are remembered to answer keep-alives; those that answered the longest ago are forgotten first."""
WEBSOCKET_MS: Final = 45_000
"""Longest interval on a WebSocket: proxies before them end what is silent for a minute (nginx, AWS), or 50 s (HAProxy).
"""
_SHORTEST: Final = 0.8
"""Intervals are spread between this share and the whole of the configured one, as the RFC wants."""
_STEP: Final = 0.618
"""Step of the spread; the golden ratio leaves no two connections of a burst in step."""


class Pinged(Protocol):
    """A connection, as far as keep-alives are concerned; times are milliseconds of the monotonic clock."""

    received_ms: int
    """Time of the last byte from the peer."""
    has_answered: bool
    """Whether the peer has answered a keep-alive of ours."""
    is_websocket: bool

    @property
    def has_unread(self) -> bool:
        """Whether bytes of the peer wait for their turn; none is read behind them."""

    @property
    def opened_to(self) -> tuple[str, int] | None:
        """The address that we have opened the connection to; None = its peer has opened it."""

    def wants_pings(self) -> bool:
        """Return whether the peer is a gateway or a registered user by now."""

    def ping(self) -> None:
        """Send a keep-alive."""

    def expect_no_pong(self) -> None:
        """Take nothing received from now on for the answer to the last keep-alive."""

    def cut(self, why: str) -> None:
        """Abort at once."""


class PingedConnection:
    """A connection that gets keep-alives, and its next deadline."""

    __slots__ = ("asked_ms", "connection", "timer")

    def __init__(self, connection: Pinged) -> None:
        self.connection = connection
        self.timer: Timer[PingedConnection] | None = None
        self.asked_ms: int | None = None
        """Time of a keep-alive whose answer may still come."""


class StreamPings:
    """The keep-alives of all connections of a node."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._wheel: TimerWheel[PingedConnection] = TimerWheel(TICK_MS)
        self._watched: dict[Pinged, PingedConnection] = {}
        self._answering: OrderedDict[tuple[str, int], None] = OrderedDict()
        """Addresses that have answered a keep-alive on a connection that we have opened."""
        self._spread = 0.0
        self._wake: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        """Time of that timer. It cannot be asked: for a time that is over, uvloop gives a handle without ``when``."""

    def adjust(self, limits: ConnectionLimits) -> None:
        """Apply another interval, also to open connections."""
        if limits.ping_ms == self._limits.ping_ms and limits.pong_ms == self._limits.pong_ms:
            return
        self._limits = limits
        self._wheel.clear()
        for watch in self._watched.values():
            if watch.asked_ms is not None:
                watch.asked_ms = None
                watch.connection.expect_no_pong()
            self._wait(watch, self._now_ms())
        self._sleep()

    def watch(self, connection: Pinged) -> None:
        """Send keep-alives on a connection from now on."""
        watch = self._watched[connection] = PingedConnection(connection)
        self._wait(watch, self._now_ms())
        self._sleep()

    def forget(self, connection: Pinged) -> None:
        """Send no more: the connection is closed."""
        watch = self._watched.pop(connection, None)
        if watch is not None and watch.timer is not None:
            self._wheel.cancel(watch.timer)

    def stop(self) -> None:
        """Send none any more."""
        self._wheel.clear()
        self._watched.clear()
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    def _now_ms(self) -> int:
        return round(asyncio.get_running_loop().time() * 1_000)

    def _wait(self, watch: PingedConnection, since_ms: int) -> None:
        """Let the next keep-alive follow an interval after ``since_ms``."""
        if not self._limits.ping_ms:
            watch.timer = None
            return
        self._spread = (self._spread + _STEP) % 1.0
        longest_ms = min(self._limits.ping_ms, WEBSOCKET_MS) if watch.connection.is_websocket else self._limits.ping_ms
        wait_ms = int(longest_ms * (_SHORTEST + (1.0 - _SHORTEST) * self._spread))
        watch.timer = self._wheel.schedule(since_ms + wait_ms, watch)

    def _take_turn(self) -> None:
        self._wake = None
        now_ms = self._now_ms()
        for watch in self._wheel.expire(now_ms):
            self._check(watch, now_ms)
        self._sleep()

    def _check(self, watch: PingedConnection, now_ms: int) -> None:
        connection, asked_ms = watch.connection, watch.asked_ms
        watch.asked_ms = None
        if asked_ms is not None:
            if connection.has_unread:  # the answer may stand behind them
                watch.asked_ms, watch.timer = asked_ms, self._wheel.schedule(now_ms + self._limits.pong_ms, watch)
                return
            if self._knows_pings(connection) and connection.received_ms < asked_ms:
                address = connection.opened_to
                if address is not None and not connection.has_answered:
                    self._answering.pop(address, None)  # other software may be there by now: its next one is kept
                connection.cut("a keep-alive was not answered")
                return
            connection.expect_no_pong()
            self._wait(watch, max(connection.received_ms, asked_ms))
        elif connection.wants_pings():
            connection.ping()
            watch.asked_ms = now_ms
            watch.timer = self._wheel.schedule(now_ms + self._limits.pong_ms, watch)
        else:
            self._wait(watch, now_ms)

    def _knows_pings(self, connection: Pinged) -> bool:
        """Return whether a peer answers keep-alives; one behind NAT is not known again by its address."""
        address, answering = connection.opened_to, self._answering
        if not connection.has_answered:
            return address in answering
        if address is not None:
            answering[address] = None
            answering.move_to_end(address)
            if len(answering) > ANSWERING_MAX:
                answering.popitem(last=False)
        return True

    def _sleep(self) -> None:
        """Set the one timer of the event loop for the earliest deadline."""
        due_ms = self._wheel.next_due()
        if due_ms is None:
            return
        due = due_ms / 1_000
        if self._wake is not None:
            if self._wakes_at <= due:
                return
            self._wake.cancel()
        self._wake, self._wakes_at = asyncio.get_running_loop().call_at(due, self._take_turn), due
