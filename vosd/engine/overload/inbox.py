"""Queues of received messages by rank: running calls first, then new calls, other requests, unknown sources.

They are used only while something waits: see ``is_idle``.
Within a rank, sources are served in turn. New requests above the limits are refused without a transaction; beyond
``REFUSALS_PER_S`` they are dropped, and the sender retransmits. Every queue is bounded
(docs/adr/0019-running-calls-first.md).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Final, NamedTuple

from vosd.base.bucket import Bucket
from vosd.base.histogram import Histogram
from vosd.engine.counting import Counting
from vosd.engine.overload.fair_queue import FairQueue, LateFairQueue
from vosd.engine.overload.load import Load, LoadWatch, OverloadSettings
from vosd.obs.events import Event, log as _log
from vosd.obs.figures import Figure
from vosd.sip.drops import Drop, Drops
from vosd.sip.wire.classify import Rank

RUNNING_MAX: Final = 20_000
"""Queue limit for messages of running calls."""
WAITED_MAX: Final = 65_536
"""Queue limit for those of them that have waited in the sockets; what comes beyond is queued as ever."""
BEHIND_S: Final = 5.0
"""For so long these are served first, and no timer fires; what then is left is queued as ever: it may be a flood."""
RUNNING_FIFO_MAX: Final = 64
"""So many of them are served first in, first out; the rest by source in turn."""
CALLS_MAX: Final = 2_000
"""Queue limit for new calls."""
OTHERS_MAX: Final = 4_000
"""Queue limit for other requests of known sources."""
PINGS_MAX: Final = 1_000
"""Queue limit for OPTIONS of known sources, by which gateways see whether this one is there."""
UNKNOWN_MAX: Final = 4_000
"""Queue limit for requests of unknown sources."""
UNKNOWN_BYTES_MAX: Final = 16 * 1024 * 1024
"""Limit of this queue in bytes: UDP sources can be forged, and a datagram has up to 64 KB."""
TURN_S: Final = 0.004
"""Longest time of work before the sockets are read again: messages of running calls may have arrived."""
RUNNING_S: Final = 0.003
"""Part of ``TURN_S`` for running calls while new requests wait."""
OTHERS_EVERY: Final = 4
"""Serve one other request for so many new requests, so that phones can register during a flood of calls.

Of so many of these, one is of an unknown source.
"""
REFUSALS_PER_S: Final = 8_000
REFUSALS_AT_ONCE: Final = 800
STILL_S: Final = 1.0
"""Behind a longer time without a message, those that have waited came while this process stood still.

Beside a flood all messages have waited, for as long as it lasts: limits of calls would not hold for so long.
"""
WAITED_S: Final = 0.1
"""Longer in the socket, a message has waited."""
MEASURE_S: Final = 0.02
"""Interval at which the lag is measured while there is work."""

LAGS_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)

_CANCEL: Final = b"CANC"
_OPTIONS: Final = b"OPTI"

Process = Callable[[int, bytes, str, int, float], None]
"""Process one message: flow, bytes, host and port of its sender, time of arrival (the wait is not billed)."""

Refuse = Callable[[int, bytes, str, int], None]
"""Answer one request that is not served."""


class QueuedMessage(NamedTuple):
    """A waiting message."""

    at: float
    flow: int
    data: bytes
    host: str
    port: int


class Inbox(Counting):
    """The queues, and the order in which they are served."""

    def __init__(
        self,
        process: Process,
        refuse: Refuse,
        settings: OverloadSettings,
        refusal_tag: str,
        dropped: Drops,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create empty queues.

        Args:
            process: serves a message.
            refuse: answers a request with 503 and ``refusal_tag`` in To.
            settings: when new calls are refused for lag.
            refusal_tag: To tag of our stateless refusals; an ACK with it is dropped.
            dropped: counts messages that are not served, by reason.
            clock: seconds of the monotonic clock.
        """
        self._process = process
        self._refuse = refuse
        self._refusal_tag = refusal_tag.encode()
        self._dropped = dropped
        self._clock = clock
        self._watch = LoadWatch(settings)
        self._running: LateFairQueue[tuple[int, bytes, str, int, float]] = LateFairQueue(RUNNING_MAX, RUNNING_FIFO_MAX)
        self._waited: deque[tuple[int, bytes, str, int, float]] = deque()
        """Messages of running calls that the sockets have held while this process started or stood still.

        They are served first of all.
        """
        self._resumed = 0.0
        """Time of ``attach``, or at which this process has gone on; what came before has waited."""
        self._taken_at = 0.0
        """Time of the latest message."""
        self._behind_until: float | None = None
        """Until when ``_waited`` is served before all others; None = no turn has begun with it."""
        self._calls: FairQueue[QueuedMessage] = FairQueue(CALLS_MAX)
        self._pings: FairQueue[QueuedMessage] = FairQueue(PINGS_MAX)
        self._others: FairQueue[QueuedMessage] = FairQueue(OTHERS_MAX)
        self._unknown: FairQueue[QueuedMessage] = FairQueue(UNKNOWN_MAX)
        self._unknown_bytes = 0
        self._served = 0
        self._others_served = 0
        self._refusals = Bucket(REFUSALS_AT_ONCE, clock())
        self._scheduler: asyncio.AbstractEventLoop | None = None
        self._soon: asyncio.Handle | None = None
        self._measurement: asyncio.Handle | None = None
        self._late = 0.0
        """Delay of the event loop at the last measurement."""
        self.lags = Histogram(LAGS_MS)
        """Lags of the event loop, each time it was measured."""
        self._was_busy = False
        """Whether a message was served since."""
        self._refused_before = 0
        self.stands_still: Callable[[], bool] = lambda: False
        """Whether nothing may be processed now (``booking.standstill``); ``serve`` is called when that is over."""

    def __len__(self) -> int:
        """Return the number of new requests that wait."""
        return len(self._calls) + len(self._pings) + len(self._others) + len(self._unknown)

    @property
    def load(self) -> Load:
        """Current load state."""
        return self._watch.load

    def is_idle(self) -> bool:
        """Return whether messages may be processed as they are read: nothing waits, and there is no overload.

        The lag is measured meanwhile.
        """
        scheduler = self._scheduler
        if scheduler is None or self._soon is not None or self._watch.load is Load.OVERLOADED or self.stands_still():
            return False
        self._was_busy = True
        if self._measurement is None:
            self._measurement = scheduler.call_later(MEASURE_S, self._measure, self._clock() + MEASURE_S)
        return True

    def is_behind(self) -> bool:
        """Return whether messages of running calls have waited in the sockets and are not served.

        Limits may not end calls yet.
        """
        return bool(self._waited)

    def attach(self, scheduler: asyncio.AbstractEventLoop) -> None:
        """Start to serve."""
        self._scheduler = scheduler
        self._resumed = self._clock()
        self._watch.begin(self._resumed)

    def detach(self) -> None:
        """Stop serving."""
        for handle in (self._soon, self._measurement):
            if handle is not None:
                handle.cancel()
        self._scheduler = self._soon = self._measurement = None

    def adjust(self, settings: OverloadSettings) -> None:
        """Change when new calls are refused."""
        self._watch.settings = settings

    def take(self, rank: Rank, flow: int, data: bytes, host: str, port: int, came: float) -> None:
        """Queue one message until ``serve``; before ``attach`` drop it: the sender retransmits.

        A message of a running call counts as of ``came``, in seconds of the monotonic clock, others as of now. Those
        that have waited in the sockets are served in the order in which they are given, not by turns of the sources.
        """
        if self._scheduler is None:
            return
        now = self._clock()
        if now - self._taken_at > STILL_S:
            self._behind_until = self._behind_until if self._waited else None
            self._waited.extend(iter(self._running.take, None))  # else it would overtake those
            self._resumed = max(self._resumed, now - WAITED_S)
        self._taken_at = now
        if rank is Rank.RUNNING:
            if data[:4] == b"ACK " and self._refusal_tag in data:
                return  # ACK of a stateless refusal
            is_first = bool(self._waited) or not self._running  # else it would overtake one that came before
            if came < self._resumed and is_first and len(self._waited) < WAITED_MAX:
                self._waited.append((flow, data, host, port, came))
            else:
                self._queue_running((flow, data, host, port, came))
        elif rank is Rank.CALL or (data[:4] == _CANCEL and self._calls.has(host)):  # CANCEL must not overtake INVITE
            surplus = self._calls.put(host, QueuedMessage(now, flow, data, host, port))
            if surplus is not None:
                self._refuse_waiting(surplus)
        elif rank is Rank.OTHER:
            self._put_other(QueuedMessage(now, flow, data, host, port))
        else:
            self._put_unknown(QueuedMessage(now, flow, data, host, port))

    def refuse(self, flow: int, data: bytes, host: str, port: int) -> None:
        """Refuse a request above a limit; drop it when too many are refused already."""
        if self._scheduler is not None and self._refusals.take(1, REFUSALS_PER_S, REFUSALS_AT_ONCE, self._clock()):
            self._dropped[Drop.REFUSED] += 1
            self._refuse(flow, data, host, port)
        else:
            self._dropped[Drop.NOT_EVEN_REFUSED] += 1

    def totals(self) -> Mapping[Figure, int]:
        """Return the counters since the start, for ``vosd status``."""
        return {Figure.REFUSED_FOR_OVERLOAD: self._dropped[Drop.REFUSED]}

    def serve(self) -> None:
        """Work for ``TURN_S``: running calls first, then new requests in their share; schedule the rest."""
        if self.stands_still():
            return
        self._was_busy = True
        now = self._clock()
        if self._waited:
            self._limit_wait(now)
        waited, running, process, clock = self._waited, self._running, self._process, self._clock
        until = now + TURN_S
        running_until = now + (RUNNING_S if len(self) else TURN_S)
        try:
            # The clock is read after each message, because some cost far more than others.
            while now < running_until and (message := waited.popleft() if waited else running.take()) is not None:
                process(*message)
                now = clock()
            if len(self):
                self._serve_new(now, until)
        finally:  # after an error in one message, the others must still be served
            scheduler = self._scheduler
            if scheduler is not None:
                if self._soon is None and (waited or running or len(self)):
                    self._soon = scheduler.call_soon(self._go_on)
                if self._measurement is None:
                    self._measurement = scheduler.call_later(MEASURE_S, self._measure, clock() + MEASURE_S)

    def _go_on(self) -> None:
        self._soon = None
        self.serve()

    def _limit_wait(self, now: float) -> None:
        """Queue what has waited by its sources, before what came since, once it has been served first for long."""
        if self._behind_until is None:
            self._behind_until = now + BEHIND_S
        elif now >= self._behind_until:
            since, self._running = self._running, LateFairQueue(RUNNING_MAX, RUNNING_FIFO_MAX)
            for message in chain(self._waited, iter(since.take, None)):
                self._queue_running(message)
            self._waited.clear()

    def _queue_running(self, message: tuple[int, bytes, str, int, float]) -> None:
        if self._running.put(message[2], message) is not None:
            self._dropped[Drop.CALL_MESSAGES_WAIT] += 1

    def _serve_new(self, now: float, until: float) -> None:
        clock, watch = self._clock, self._watch
        now = self._refuse_late(now, (now + until) / 2)
        while now < until:
            call = self._next_call()
            message = call or self._next_other()
            if message is None:
                break
            # Some that are too late may be left: each source gives its oldest one.
            if call is not None and watch.is_too_late(now - call.at + self._late):
                self._refuse_waiting(call)
            else:
                self._process(message.flow, message.data, message.host, message.port, message.at)
            now = clock()

    def _refuse_late(self, now: float, until: float) -> float:
        """Refuse new calls that waited too long, from the longest queue first; return the time.

        A refusal of a message with hundreds of lines costs twenty times as much as others: what is left waits for its
        source's turn, or the next of this.
        """
        calls, watch, clock = self._calls, self._watch, self._clock
        while (
            now < until and (oldest := calls.oldest()) is not None and watch.is_too_late(now - oldest.at + self._late)
        ):
            self._refuse_waiting(calls.drop())
            now = clock()
        return now

    def _next_call(self) -> QueuedMessage | None:
        """Return the next new call; None = there is none, or it is the turn of another request."""
        self._served += 1
        if self._served % OTHERS_EVERY == 0 and len(self) > len(self._calls):
            return None
        return self._calls.take()

    def _next_other(self) -> QueuedMessage | None:
        """Return the next request that is not a call: known sources first, a share for unknown ones, such as phones.

        A gateway whose OPTIONS waited behind all phones that register would look for another switch.
        """
        self._others_served += 1
        if self._others_served % OTHERS_EVERY == 0 and self._unknown:
            return self._next_unknown()
        first, then = (self._pings, self._others) if self._others_served % 2 else (self._others, self._pings)
        return first.take() or then.take() or self._next_unknown()

    def _next_unknown(self) -> QueuedMessage | None:
        message = self._unknown.take()
        if message is not None:
            self._unknown_bytes -= len(message.data)
        return message

    def _refuse_waiting(self, message: QueuedMessage) -> None:
        if message.data[:4] == _CANCEL:  # its INVITE is older and was refused or served before
            self._put_other(message)
        else:
            self.refuse(message.flow, message.data, message.host, message.port)

    def _put_other(self, message: QueuedMessage) -> None:
        queue = self._pings if message.data[:4] == _OPTIONS else self._others
        if queue.put(message.host, message) is not None:
            self._dropped[Drop.REQUESTS_WAIT] += 1

    def _put_unknown(self, message: QueuedMessage) -> None:
        surplus = self._unknown.put(message.host, message)
        self._unknown_bytes += len(message.data)
        while surplus is not None or self._unknown_bytes > UNKNOWN_BYTES_MAX:
            dropped = surplus or self._unknown.drop()
            self._unknown_bytes -= len(dropped.data)
            self._dropped[Drop.REQUESTS_WAIT] += 1
            surplus = None

    def _measure(self, due: float) -> None:
        """Measure the lag, and note the start or end of an overload."""
        now = self._clock()
        self._measurement = None
        self._late = max(0.0, now - due)
        self.lags.add(1_000 * self._late)
        oldest = self._calls.oldest()
        lag = self._late + (0.0 if oldest is None else now - oldest.at)
        change = self._watch.observe(lag, now)
        if change is not None:
            self._log_change(change, lag)
        if self._scheduler is not None and (self._was_busy or self._watch.load is Load.OVERLOADED):
            self._was_busy = False
            self._measurement = self._scheduler.call_later(MEASURE_S, self._measure, now + MEASURE_S)
        else:
            self._late = 0.0

    def _log_change(self, load: Load, lag: float) -> None:
        refused = self._dropped[Drop.REFUSED]
        if load is Load.OVERLOADED:
            self._refused_before = refused
            _log.warning(Event.OVERLOAD_BEGINS, lag_ms=round(lag * 1000), new_calls_waiting=len(self._calls))
        else:
            _log.warning(Event.OVERLOAD_ENDS, requests_refused=refused - self._refused_before)
