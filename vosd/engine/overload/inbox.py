"""Where messages wait for their turn: what belongs to running calls first, then new calls, the rest, strangers.

Sources take turns. What is too much is refused at the door, without a transaction (SIP-12); what is more than can
even be refused is dropped, and its sender says it again. Every line is bounded.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import structlog

from vosd.base.bucket import Bucket
from vosd.engine.overload.fair_queue import CalmQueue, FairQueue
from vosd.engine.overload.load import Load, LoadWatch, OverloadSettings
from vosd.obs.events import Event
from vosd.sip.wire.classify import Rank

RUNNING_MAX: Final = 20_000
"""Messages of running calls that wait."""
RUNNING_FEW: Final = 64
"""So many of them are served as they come; of more, sources take turns."""
CALLS_MAX: Final = 2_000
"""New calls that wait."""
OTHERS_MAX: Final = 4_000
"""Other new requests of peers that wait."""
UNKNOWN_MAX: Final = 4_000
"""What waits of anybody else."""
TURN_S: Final = 0.004
"""For how long work is done before the sockets are looked at again: running calls may have said something."""
RUNNING_S: Final = 0.003
"""How much of a turn running calls may have while new work waits."""
OTHERS_EVERY: Final = 4
"""Of so many new requests that are served one is no call, so that phones can register whatever goes on.

Of so many of those, one is a stranger's.
"""
REFUSALS_PER_S: Final = 8_000
REFUSALS_AT_ONCE: Final = 800
BEAT_S: Final = 0.02
"""How often the lag is looked at while there is something to do."""

_CANCEL: Final = b"CANC"
_log = structlog.get_logger()

Process = Callable[[int, bytes, str, int, float], None]
"""Takes one message: flow, bytes, host and port of its sender, and when it came: its wait is no part of a call."""

Refuse = Callable[[int, bytes, str, int], None]
"""Answers one request that is not served."""

REFUSED: Final = "refused with 503"
"""What ``dropped`` counts requests under that were refused unread."""


class Message(NamedTuple):
    """One that waits."""

    at: float
    flow: int
    data: bytes
    host: str
    port: int


class Handle(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """Call it off."""
        ...


class Scheduler(Protocol):
    """The part of an event loop that is needed."""

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> Handle:
        """Call once what lies ready was seen to."""
        ...

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Handle:
        """Call in so many seconds."""
        ...


class Inbox:
    """The lines, and who stands in them."""

    def __init__(
        self,
        process: Process,
        refuse: Refuse,
        settings: OverloadSettings,
        refusal_tag: str,
        dropped: Counter[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``process`` serves a message, ``refuse`` answers a request with 503 and ``refusal_tag`` in To.

        ``dropped`` counts what is not served.
        """
        self._process = process
        self._refuse = refuse
        self._refusal_tag = refusal_tag.encode()
        self._dropped = dropped
        self._clock = clock
        self._watch = LoadWatch(settings)
        self._running: CalmQueue[tuple[int, bytes, str, int, float]] = CalmQueue(RUNNING_MAX, RUNNING_FEW)
        self._calls: FairQueue[Message] = FairQueue(CALLS_MAX)
        self._others: FairQueue[Message] = FairQueue(OTHERS_MAX)
        self._strangers: FairQueue[Message] = FairQueue(UNKNOWN_MAX)
        self._served = 0
        self._others_served = 0
        self._refusals = Bucket(REFUSALS_AT_ONCE, clock())
        self._scheduler: Scheduler | None = None
        self._soon: Handle | None = None
        self._beat: Handle | None = None
        self._late = 0.0
        """How late the event loop was the last time we looked."""
        self._was_busy = False
        """Whether anything came since."""
        self._refused_before = 0

    def __len__(self) -> int:
        """Return how many new requests wait."""
        return len(self._calls) + len(self._others) + len(self._strangers)

    @property
    def load(self) -> Load:
        """What the switch makes of what it has to do."""
        return self._watch.load

    def attach(self, scheduler: Scheduler) -> None:
        """Begin to serve."""
        self._scheduler = scheduler

    def detach(self) -> None:
        """Serve nobody any more."""
        for handle in (self._soon, self._beat):
            if handle is not None:
                handle.cancel()
        self._scheduler = self._soon = self._beat = None

    def adjust(self, settings: OverloadSettings) -> None:
        """Refuse by other settings from now on."""
        self._watch.settings = settings

    def take(self, rank: Rank, flow: int, data: bytes, host: str, port: int) -> None:
        """Let one message wait until ``serve``; before ``attach`` it is left to its sender to say it again."""
        if self._scheduler is None:
            return
        if rank is Rank.RUNNING:
            if data[:4] == b"ACK " and self._refusal_tag in data:
                return  # it acknowledges a refusal, of which nothing is left
            if self._running.put(host, (flow, data, host, port, self._clock())) is not None:
                self._dropped["too many messages of calls wait"] += 1
        elif rank is Rank.CALL or (data[:4] == _CANCEL and self._calls.has(host)):  # no CANCEL overtakes its INVITE
            surplus = self._calls.put(host, Message(self._clock(), flow, data, host, port))
            if surplus is not None:
                self._turn_away(surplus)
        else:
            line = self._others if rank is Rank.OTHER else self._strangers
            self._put_other(line, Message(self._clock(), flow, data, host, port))

    def refuse(self, flow: int, data: bytes, host: str, port: int) -> None:
        """Refuse a request of a peer that asks for too much; drop it where that would be too much, too."""
        if self._scheduler is not None and self._refusals.take(1, REFUSALS_PER_S, REFUSALS_AT_ONCE, self._clock()):
            self._dropped[REFUSED] += 1
            self._refuse(flow, data, host, port)
        else:
            self._dropped["more than can be refused"] += 1

    def serve(self) -> None:
        """Work for ``TURN_S``: what belongs to running calls, then new work in its part of it; the rest soon."""
        running, process, clock = self._running, self._process, self._clock
        self._was_busy = True
        now = clock()
        until = now + TURN_S
        running_until = now + (RUNNING_S if self._calls or self._others or self._strangers else TURN_S)
        try:
            while now < running_until and (message := running.take()) is not None:
                process(*message)
                now = clock()
            if self._calls or self._others or self._strangers:
                self._serve_new(now, until)
        finally:  # whatever went wrong with one message, the others must still be served
            scheduler = self._scheduler
            if scheduler is not None:
                if self._soon is None and (running or self._calls or self._others or self._strangers):
                    self._soon = scheduler.call_soon(self._go_on)
                if self._beat is None:
                    self._beat = scheduler.call_later(BEAT_S, self._look, clock() + BEAT_S)

    # -- inside -------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        self._soon = None
        self.serve()

    def _serve_new(self, now: float, until: float) -> None:
        clock = self._clock
        self._turn_late_away(now)
        while now < until and (message := self._next()) is not None:
            self._process(message.flow, message.data, message.host, message.port, message.at)
            now = clock()

    def _turn_late_away(self, now: float) -> None:
        """Refuse those who have waited for too long, the longest line first."""
        calls, watch = self._calls, self._watch
        while (oldest := calls.oldest()) is not None and watch.is_too_late(now - oldest.at + self._late):
            self._turn_away(calls.drop())

    def _next(self) -> Message | None:
        """Return whose turn it is."""
        self._served += 1
        if self._served % OTHERS_EVERY == 0 and (self._others or self._strangers):
            return self._next_other()
        return self._calls.take() or self._next_other()

    def _next_other(self) -> Message | None:
        """Return whose turn it is of those who want no call: peers go first, strangers may be phones that come home."""
        self._others_served += 1
        if self._others_served % OTHERS_EVERY == 0 and self._strangers:
            return self._strangers.take()
        return self._others.take() or self._strangers.take()

    def _turn_away(self, message: Message) -> None:
        if message.data[:4] == _CANCEL:  # its INVITE was before it
            self._put_other(self._others, message)
        else:
            self.refuse(message.flow, message.data, message.host, message.port)

    def _put_other(self, line: FairQueue[Message], message: Message) -> None:
        if line.put(message.host, message) is not None:
            self._dropped["too many requests wait"] += 1

    def _look(self, due: float) -> None:
        """See how late we are, and whether that is an overload."""
        now = self._clock()
        self._beat = None
        self._late = max(0.0, now - due)
        oldest = self._calls.oldest()
        lag = self._late + (0.0 if oldest is None else now - oldest.at)
        change = self._watch.observe(lag, now)
        if change is not None:
            self._tell(change, lag)
        if self._scheduler is not None and (self._was_busy or self._watch.load is Load.TOO_MUCH):
            self._was_busy = False
            self._beat = self._scheduler.call_later(BEAT_S, self._look, now + BEAT_S)
        else:
            self._late = 0.0

    def _tell(self, load: Load, lag: float) -> None:
        refused = self._dropped[REFUSED]
        if load is Load.TOO_MUCH:
            self._refused_before = refused
            _log.warning(Event.OVERLOAD_BEGINS, lag_ms=round(lag * 1000), new_calls_waiting=len(self._calls))
        else:
            _log.warning(Event.OVERLOAD_ENDS, requests_refused=refused - self._refused_before)
