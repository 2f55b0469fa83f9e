"""Send keep-alive datagrams to registered endpoints, to hold their NAT bindings open.

Paced by ``sip.registration.keepalive``.

One timer for all endpoints, no task. The datagrams are not SIP: no transaction, no trace, no answer expected. Only UDP
is kept alive so: a client on a connection sends its own keep-alives (RFC 5626 section 4.4.1), and the kernel probes a
silent one.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from vosd.base.clock import Clock
from vosd.engine.counting import Counting
from vosd.engine.registration.bindings import Registrations
from vosd.engine.senders import Transmit
from vosd.obs.events import GONE, Event, log as _log
from vosd.sip.flows import Listener
from vosd.sip.registration.keepalive import KeepAlive, Sweeps
from vosd.sip.wire.outgoing import Peer

AFTER_A_MISTAKE_MS: Final = 1_000
"""Delay after an unexpected error."""


class KeepAlives(Counting):
    """Sends keep-alives from ``begin`` to ``stop``."""

    def __init__(self, clock: Clock, registered: Registrations, listeners: Sequence[Listener], pace: KeepAlive) -> None:
        self._clock = clock
        self._registered = registered
        self._is_udp = tuple(each.transport == "udp" for each in listeners)
        self._pace = pace
        self._transmit: Sequence[Transmit] = ()
        self._sweeps: Sweeps | None = None
        self._overrun_logged = False
        self._wake: asyncio.TimerHandle | None = None
        self.latest_sweep_ms = 0
        """Duration of the latest finished sweep."""

    def begin(self, transmit: Sequence[Transmit]) -> None:
        """Start at once: bindings from before a restart have had no keep-alive for a while."""
        self._transmit = transmit
        if self._pace.message:
            self._sweeps = Sweeps(self._pace, self._endpoints, self._clock.now().mono)
            self._wake_in(0)

    def adjust(self, pace: KeepAlive) -> None:
        """Apply other settings, with a sweep at once."""
        if pace != self._pace:
            self._pace = pace
            if self._overrun_logged:
                _log.info(Event.NAT_SWEEP_IN_TIME, why=GONE)
                self._overrun_logged = False
            if self._transmit:
                self.stop()
                self.begin(self._transmit)

    def stop(self) -> None:
        """Stop sending."""
        self._sweeps = None
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    def _endpoints(self) -> Sequence[Peer]:
        return self._registered.peers() if self._pace.to_all else self._registered.hidden_peers()

    def _fire(self) -> None:
        """Send what is due, and set the timer for the next."""
        sweeps = self._sweeps
        if sweeps is None:
            return
        now = self._clock.now().mono
        wait_ms = AFTER_A_MISTAKE_MS
        try:
            message, transmit, is_udp = self._pace.message, self._transmit, self._is_udp
            for flow, host, port in sweeps.due(now):
                if is_udp[flow]:
                    transmit[flow](message, (host, port))
            self.latest_sweep_ms = sweeps.latest_ms
            self._log_overrun(sweeps)
            wait_ms = sweeps.next_due(now) - now
        finally:
            self._wake_in(max(1, wait_ms))

    def _wake_in(self, wait_ms: int) -> None:
        self._wake = asyncio.get_running_loop().call_later(wait_ms / 1000, self._fire)

    def _log_overrun(self, sweeps: Sweeps) -> None:
        if sweeps.overruns and not self._overrun_logged:
            pace = self._pace
            _log.warning(
                Event.NAT_SWEEP_OVERRUN,
                remaining=sweeps.remaining,
                period_s=pace.period_ms // 1000,
                per_second=1000 * pace.send_one_time // pace.send_interval_ms,
            )
        elif self._overrun_logged and not sweeps.overruns:
            _log.info(Event.NAT_SWEEP_IN_TIME)
        self._overrun_logged = sweeps.overruns
