"""The pool on the event loop: its UDP sockets, and the timer of what it awaits."""

import asyncio
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import Final

from vosd.media.rtpengine_orders import Done, RtpOrder
from vosd.rtpengine.pool import REPEAT_MS, RtpEnginePool
from vosd.trunks.media import RtpEngine

_DATAGRAM_MAX: Final = 65_535
_AT_ONCE: Final = 256
"""Datagrams that are read in one turn of the loop."""
_FORGET_S: Final = 0.02
"""Time for which the ends of calls wait for others: each order that is sent alone wakes an rtpengine."""
_BUFFER_BYTES: Final = 4 * 1024 * 1024


class RtpEngines:
    """The rtpengines of the installation, on the running event loop.

    Sockets are not connected: an ICMP error of one rtpengine must not stop the others.
    """

    def __init__(
        self,
        engines: Sequence[RtpEngine],
        *,
        lost: Callable[[str], None] = lambda _engine: None,
        is_live: Callable[[str, str], bool] = lambda _engine, _call: True,
        prefix: str = "",
    ) -> None:
        """``lost``, ``is_live`` and ``prefix`` are those of ``RtpEnginePool``."""
        self._pool = RtpEnginePool(engines, self._send, secrets.token_hex(8), lost=lost, is_live=is_live, prefix=prefix)
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[bool, socket.socket] = {}
        """Sockets by whether they are of IPv6."""
        # A new one of this size for each reply would be taken from the system and given back.
        self._buffer = memoryview(bytearray(_DATAGRAM_MAX))
        self._is_closed = False
        self._timer: asyncio.Handle | None = None
        self._timer_ms = 0
        """Time at which the timer fires, if there is one."""
        self._forgotten: list[tuple[str, str, str, Done | None]] = []
        """Rtpengines, and calls that end there soon with one of their legs and the receiver of the answer."""
        self._forgetting: asyncio.TimerHandle | None = None

    @property
    def is_usable(self) -> bool:
        """Whether any rtpengine works."""
        return self._pool.is_usable

    def states(self) -> list[tuple[str, bool]]:
        """Return the name of each, and whether it works."""
        return self._pool.states()

    def ports_used(self) -> list[tuple[str, float]]:
        """Return which percentage of the ports of each rtpengine is in use (``RtpEnginePool.ports_used``)."""
        return self._pool.ports_used()

    def connect(self, lost: Callable[[str], None], is_live: Callable[[str, str], bool]) -> None:
        """Set the receiver of rtpengines that are lost, and what says which calls go on."""
        self._pool.connect(lost, is_live)

    def begin(self) -> None:
        """Ping all of them from now on."""
        self._pool.begin(self._now())
        self._set_timer()

    def ask(self, order: RtpOrder, done: Done, *, engine: str | None = None) -> bytes:
        """Send an order; ``done`` gets the answer, or None (``RtpEnginePool.ask``)."""
        now_ms = self._now()
        cookie = self._pool.ask(order, done, now_ms, engine=engine)
        self._set_timer(now_ms + REPEAT_MS)
        return cookie

    def cancel(self, cookie: bytes) -> None:
        """Wait for an answer no more (``RtpEnginePool.cancel``)."""
        self._pool.cancel(cookie)

    def forget(self, engine: str, call: str, leg: str = "", done: Done | None = None) -> None:
        """End a call at an rtpengine, soon or when it can be reached (``MediaEngines.forget``)."""
        self._forgotten.append((engine, call, leg, done))
        if self._forgetting is None:
            self._forgetting = self._loop.call_later(_FORGET_S, self._forget)

    def _forget(self) -> None:
        self._forgetting = None
        forgotten, self._forgotten = self._forgotten, []
        now_ms = self._now()
        for engine, call, leg, done in forgotten:
            self._pool.forget(engine, call, now_ms, leg, done)
        self._set_timer(now_ms + REPEAT_MS)

    def replace(self, engines: Sequence[RtpEngine]) -> None:
        """Use these from now on."""
        self._pool.replace(engines, self._now())
        self._set_timer()

    def close(self) -> None:
        """Close the sockets; orders are not answered any more, and nothing is sent."""
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forget()
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for each in self._sockets.values():
            self._loop.remove_reader(each)
            each.close()
        self._sockets.clear()

    def _now(self) -> int:
        return int(self._loop.time() * 1_000)

    def _send(self, datagram: bytes, host: str, port: int) -> None:
        if self._is_closed:
            return
        try:
            sock = self._sockets.get(":" in host) or self._open(is_version6=":" in host)
            sock.sendto(datagram, (host, port))
        except OSError:
            return  # as if it were lost on the way: it is sent again, by a new socket where none could be opened

    def _open(self, *, is_version6: bool) -> socket.socket:
        family = socket.AF_INET6 if is_version6 else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            opened.bind(("::" if is_version6 else "0.0.0.0", 0))
        except OSError:
            opened.close()
            raise
        self._sockets[is_version6] = opened
        self._loop.add_reader(opened, self._read, opened)
        return opened

    def _read(self, readable: socket.socket) -> None:
        now_ms = self._now()
        for _ in range(_AT_ONCE):
            try:
                size, address = readable.recvfrom_into(self._buffer)
            except OSError:
                break
            self._pool.received(bytes(self._buffer[:size]), address[0], address[1], now_ms)
            if not self._pool.waiting:
                break  # no answer is missing: none has come
        self._set_timer(now_ms + REPEAT_MS)

    def _set_timer(self, soonest_ms: int = 0) -> None:
        """Set the timer; nothing was added that is due before ``soonest_ms``."""
        if self._timer is not None and self._timer_ms <= soonest_ms:
            return
        moment = self._pool.next_ms()
        if moment is None or self._is_closed:
            return
        if self._timer is not None:
            if self._timer_ms <= moment:
                return
            self._timer.cancel()
        self._timer, self._timer_ms = self._loop.call_at(moment / 1_000, self._advance), moment

    def _advance(self) -> None:
        self._timer = None
        self._pool.advance(self._now())
        self._set_timer()
