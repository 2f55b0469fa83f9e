"""The pool of the switch in front of the two rtpengines on virtual time."""

from collections.abc import Callable
from typing import Final

import msgspec

from doubles.virtual.rtpengines import HOSTS, VirtualRtpEngines
from vosd.media.bencode import bencoded, texts_of
from vosd.media.rtpengine_orders import (
    LOAD_LIMIT,
    OK,
    Done,
    RtpAnswer,
    RtpBlock,
    RtpDelete,
    RtpList,
    RtpOffer,
    RtpOrder,
    RtpPlay,
    RtpPlayContent,
    RtpQuery,
    RtpReply,
    RtpStatistics,
    RtpStopPlaying,
    RtpUnblock,
)
from vosd.rtpengine.pool import RtpEnginePool
from vosd.trunks.media import RtpEngine

PORT: Final = 2_223
_ORDERS: Final = (
    RtpOffer
    | RtpAnswer
    | RtpDelete
    | RtpBlock
    | RtpUnblock
    | RtpPlay
    | RtpStopPlaying
    | RtpQuery
    | RtpList
    | RtpStatistics
)
_UP_S: Final = 1_000
"""Time since the start of both when a test begins."""


class PooledRtpEngines(VirtualRtpEngines):
    """Rtpengines that are asked by datagrams, repeats and failover included."""

    def __init__(self, after_ms: int = 5) -> None:
        super().__init__(after_ms)
        self.silent: set[str] = set()
        """Those that neither get what they are sent nor answer."""
        self.full: set[str] = set()
        """Those that take no more calls."""
        self.pool = RtpEnginePool(
            [RtpEngine(name, host, PORT) for name, host in HOSTS.items()], self._sent, "t", prefix="vosd-test-"
        )
        self._replies: dict[tuple[str, bytes], RtpReply] = {}
        """Replies by rtpengine and cookie: an order that is repeated gets the same one."""
        self._timer_ms = -1
        """Milliseconds at which the pool is advanced next; -1 = not at all."""

    @property
    def is_usable(self) -> bool:
        """Whether any works (``MediaEngines``)."""
        return self.pool.is_usable

    def connect(self, lost: Callable[[str], None], is_live: Callable[[str, str], bool]) -> None:
        """Pass on who is told of a loss (``MediaEngines``)."""
        self.pool.connect(lost, is_live)

    def begin(self) -> None:
        """Ping both (``MediaEngines``)."""
        self.pool.begin(self._now())
        self._set_timer()

    def ask(self, order: RtpOrder, done: Done, *, engine: str | None = None) -> bytes:
        """Have the pool ask (``MediaEngines``)."""
        cookie = self.pool.ask(order, done, self._now(), engine=engine)
        self._set_timer()
        return cookie

    def cancel(self, cookie: bytes) -> None:
        """Have the pool withdraw an order (``MediaEngines``)."""
        self.withdrawn += 1
        self.pool.cancel(cookie)

    def forget(self, engine: str, call: str, leg: str = "", done: Done | None = None) -> None:
        """Have the pool end a call (``MediaEngines``)."""
        self.pool.forget(engine, call, self._now(), leg, done)
        self._set_timer()

    def _now(self) -> int:
        return self.clock.now().mono

    def _set_timer(self) -> None:
        due = self.pool.next_ms()
        if due is not None and (self._timer_ms < 0 or due < self._timer_ms):
            self._timer_ms = due
            self.later(max(0, due - self._now()), lambda: self._advance(due))

    def _advance(self, due: int) -> None:
        if due == self._timer_ms:
            self._timer_ms = -1
            self.pool.advance(self._now())
            self._set_timer()

    def _sent(self, datagram: bytes, host: str, port: int) -> None:
        name = next(name for name in HOSTS if HOSTS[name] == host)
        if name in self.silent:
            return
        cookie, _, body = datagram.partition(b" ")
        if (name, cookie) not in self._replies:
            self._replies[name, cookie] = self._reply(name, _order_in(body))
        given = self._replies[name, cookie]
        reply = msgspec.json.encode(given)
        if body.startswith(b"d"):
            reply = bencoded({"duration": 300, "result": given.result, "error-reason": given.error})

        def answer() -> None:
            self.pool.received(cookie + b" " + reply, host, port, self._now())
            self._set_timer()

        self.later(self.after_ms, answer)

    def _reply(self, engine: str, order: RtpOrder) -> RtpReply:
        if isinstance(order, RtpStatistics):
            uptime = {"totalstatistics": {"uptime": str(_UP_S + self._now() // 1_000)}}
            return msgspec.convert({"result": OK, "statistics": uptime}, RtpReply)
        if isinstance(order, RtpList):
            return RtpReply(OK, calls=tuple(call for name, call in self.calls if name == engine))
        if isinstance(order, RtpDelete):
            return self.ended(engine, order)
        if isinstance(order, RtpOffer) and engine in self.full:
            if LOAD_LIMIT not in order.supports:
                return RtpReply("error", error="Parallel session limit reached")
            return RtpReply(LOAD_LIMIT)
        if isinstance(order, RtpAnswer) and (engine, order.call) not in self.calls:
            return RtpReply("error", error="Unknown call-id")
        return super()._reply(engine, order)


def _order_in(body: bytes) -> RtpOrder:
    if not body.startswith(b"d"):
        return msgspec.json.decode(body, type=_ORDERS)
    texts = texts_of(body)
    assert texts["command"] == "play media"
    content = texts["blob"].encode("latin-1")
    return RtpPlayContent(call=texts["call-id"], leg=texts["from-tag"], content=content, times=0)
