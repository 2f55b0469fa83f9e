"""Session timer of one leg of an answered call (RFC 4028): refresh the session, or expect the peer to do so.

The two legs have separate timers. A peer without session timer may be probed by OPTIONS or a re-INVITE instead.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.b2bua.refresh import Refresh
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.session_timer import Probe
from vosd.base.wheel import Timer
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired, NoResponse, ResponseArrived
from vosd.sip.screening import ACCEPT
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.store import TimerOwner

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort
    from vosd.b2bua.leg import Leg

BUSY_MS: Final = 2_000
"""Wait before the next try while another offer is in progress."""
RETRY_MS: Final = 10_000
"""After a refresh that failed, the shortest wait for the next one; else an eighth of the time that is left."""
GRACE_MS: Final = 32_000
"""Time for the first refresh of an interval to be answered (64·T1), even beyond the end of the session."""


class Limit(NamedTuple):
    """A time limit of a call and its reason; ``due`` is later than ``at`` while a refresh awaits its answer."""

    at: Instant
    reason: EndReason
    due: Instant


class Supervision:
    """Supervision of one leg, from the answer to its end."""

    __slots__ = ("_alarm", "_began_at", "_endpoint", "_failures", "_leg", "_pending", "_tried_at", "update_failed")

    def __init__(self, endpoint: Endpoint, leg: "Leg", now: Instant) -> None:
        self._endpoint = endpoint
        self._leg = leg
        self._began_at = now
        self._alarm: Timer[TimerOwner] | None = None
        self._pending: Refresh | Client | None = None
        """The refresh or OPTIONS that the peer has not answered."""
        self._tried_at: Instant | None = None
        self._failures = 0
        """Since the last accepted refresh."""
        self.update_failed = False
        """Whether the peer allows UPDATE, but refuses it."""

    @property
    def call(self) -> "CallPort":
        """The call that is ended after an error here."""
        return self._leg.call

    @property
    def refresh(self) -> Refresh | None:
        """The refresh that the peer has not answered, if there is one."""
        return self._pending if isinstance(self._pending, Refresh) else None

    def limits(self) -> Iterator[Limit]:
        """Yield the time limits of the call by this leg."""
        timer, settings = self._leg.timer, self._leg.timer.settings
        expires_at = timer.expires_at
        if expires_at is not None and (timer.agreed is not None or settings.probe is not Probe.NONE):
            yield Limit(expires_at, EndReason.SESSION_TIMEOUT, self._due(expires_at))
        if timer.agreed is None and settings.limit_without_timer_s is not None:
            at = self._began_at.plus(1_000 * settings.limit_without_timer_s)
            yield Limit(at, EndReason.MAXIMUM_DURATION, at)

    def refreshed(self, now: Instant) -> None:
        """Restart the interval after a refresh of either side, or after the answer."""
        self._failures = 0
        self._tried_at = None
        timer = self._leg.timer
        if timer.agreed is not None or timer.settings.probe is not Probe.NONE:
            at = timer.refresh_at
            if at is None:
                self._call_off()
            else:
                self._wake(at if at.mono > now.mono else now.plus(BUSY_MS))
        self.call.watch()

    def stop(self, now: Instant) -> None:
        """Stop at the end of the leg."""
        pending, self._pending = self._pending, None
        if isinstance(pending, Refresh):
            pending.withdraw(now)
        elif pending is not None:
            pending.owner = None
        self._call_off()

    # -- what comes back ----------------------------------------------------------------------------------------

    def alarm_fired(self, event: AlarmFired) -> None:
        """Send a refresh or probe, or try again a little later if the leg is busy."""
        self._alarm = None
        now = event.at
        if self._pending is not None or not self._ask(now):
            self._wake(now.plus(BUSY_MS))
        elif self._tried_at is None:
            self._tried_at = now

    def response_came(self, event: ResponseArrived) -> None:
        """Handle the response to OPTIONS: all but those of ``UNREACHED`` show that the peer still has the call."""
        status = event.response.status
        if status < 200:
            return
        self._leg.note_response(status, event.at)
        self._pending = None
        self.failed(status, event.at, event.at)

    def no_response(self, event: NoResponse) -> None:
        """Handle that OPTIONS was not answered."""
        self.failed(408, event.at, event.at)

    def succeeded(self) -> None:
        """Note that a refresh of ours was accepted; ``refreshed`` is called separately."""
        self._pending = None

    def postponed(self, now: Instant) -> None:
        """Try again later: another offer took precedence over our refresh."""
        if self._pending is not None:
            self._pending = None
            self._wake(now.plus(BUSY_MS))

    def failed(self, status: int, asked_at: Instant, now: Instant) -> None:
        """Handle a refused refresh or probe (408 = no answer). Only 481 ends the call at once."""
        self._pending = None
        leg = self._leg
        if leg.timer.agreed is None and is_alive(status):
            leg.timer.refreshed_at = asked_at
            self.refreshed(now)
            return
        self._failures += 1
        self.call.refresh_failed(leg, status, now)
        if status == 481:
            self.call.lost(leg, 408, now)  # the peer vanished without a BYE: the end is a session time-out
            return
        expires_at = leg.timer.expires_at
        left_ms = 0 if expires_at is None else expires_at.mono - now.mono
        self._wake(now.plus(max(RETRY_MS, left_ms // 8)))
        self.call.watch()
        self.call.check_limits(now)

    # -- inside -------------------------------------------------------------------------------------------------

    def _ask(self, now: Instant) -> bool:
        """Send a refresh or probe; False while that is not possible."""
        leg, call = self._leg, self.call
        if leg.awaits_ack or not leg.is_acknowledged:
            return False
        if leg.timer.agreed is None and leg.timer.settings.probe is Probe.OPTIONS:
            self._pending = leg.ask("OPTIONS", leg.contact() + ACCEPT, b"", self, now)
            return True
        if call.bridge is not None and not call.bridge.is_quiet:
            return False  # the change in progress refreshes this session, too
        self._pending = refresh = Refresh(self._endpoint, self, leg)
        refresh.begin(now)
        return True

    def _due(self, expires_at: Instant) -> Instant:
        """Return when the call is ended: the first refresh of an interval may still be answered."""
        if self._pending is None or self._failures or self._tried_at is None:
            return expires_at
        return max(expires_at, self._tried_at.plus(GRACE_MS))

    def _wake(self, at: Instant) -> None:
        self._call_off()
        self._alarm = self._endpoint.set_alarm(self, at)

    def _call_off(self) -> None:
        if self._alarm is not None:
            self._endpoint.call_off(self._alarm)
            self._alarm = None


UNREACHED: Final = frozenset({408, 430, 481, 502, 503, 504})
"""Final codes that do not show that the peer has the call."""


def is_alive(status: int) -> bool:
    """Return whether a final response shows that the peer still has the call."""
    return status not in UNREACHED
