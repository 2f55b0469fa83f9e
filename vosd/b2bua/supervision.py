"""Session timer of one leg of an answered call (RFC 4028): refresh the session, or expect the peer to do so.

The two legs have separate timers. A peer without session timer may be probed by OPTIONS or a re-INVITE instead. The
call has one deadline for all of it (``Lifetime.watch``), and calls ``refresh_if_due`` when that is reached.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from vosd.b2bua.leg_facts import is_alive
from vosd.b2bua.outgoing.headers import of_probe
from vosd.b2bua.refresh import Refresh
from vosd.b2bua.renegotiation import has_open_offer
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.session_timer import Probe
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import NoResponse, ResponseArrived
from vosd.sip.transaction.client import Client

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort
    from vosd.b2bua.leg import Leg

BUSY_MS: Final = 2_000
"""Wait before the next try while another offer is in progress."""
RETRY_MS: Final = 10_000
"""After a refresh that failed, the shortest wait for the next one; else an eighth of the time that is left."""
OWED_MS: Final = 35_000
"""Wait before a description is offered to a peer whose own INVITE was in the way: most give up after 64·T1."""
OWED_DOUBLED_MOST: Final = 4
"""Most doublings of that wait, to nine minutes."""
GRACE_MS: Final = 32_000
"""Time for the first refresh of an interval to be answered (64·T1), even beyond the end of the session."""


_NO_PROBE: Final = Probe.NONE  # access to enum members is slow
NEVER: Final = 1 << 62
"""Later than any instant of the monotonic clock."""


class Limit(NamedTuple):
    """A time limit of a call and its reason; ``due_ms`` is later than ``at`` while a refresh awaits its answer."""

    at: Instant
    reason: EndReason
    due_ms: int
    proof: Instant | None = None
    """The last proof that a side was alive which has fallen silent."""


class SupervisionFacts(msgspec.Struct, omit_defaults=True):
    """Facts of a supervision: a field of it is written to snapshots and read from them without another line."""

    began_at: Instant
    """Time of the answer of the leg."""
    refresh_ms: int = NEVER
    """Time at which the next refresh or probe is sent, on the monotonic clock."""
    owed_ms: int = NEVER
    """Time at which the peer is offered the description that it has not taken while an INVITE of its own was open."""
    times_owed: int = 0
    """Waits since the peer has last taken a description of the other side."""
    due_ms: int = NEVER
    """The earliest one of ``refresh_ms``, ``owed_ms`` and the next limit, when it was last computed."""
    tried_at: Instant | None = None
    failures: int = 0
    """Since the last accepted refresh."""
    update_failed: bool = False
    """Whether the peer allows UPDATE, but refuses it."""
    offers_again: bool = False
    """Whether the next refresh has to carry the description, because its media are at another relay: the peer has not
    accepted yet what ``offer_again`` sends."""
    shows_identity: bool = False
    """Whether the next refresh shows another number of the other side, which a probe cannot."""


class Supervision:
    """Supervision of one leg, from the answer to its end."""

    __slots__ = ("_endpoint", "_leg", "facts", "pending")

    def __init__(self, endpoint: Endpoint, leg: "Leg", facts: SupervisionFacts) -> None:
        """Supervise a leg; ``begin`` computes its times, a snapshot has them."""
        self._endpoint = endpoint
        self._leg = leg
        self.facts = facts
        self.pending: Refresh | Client | None = None
        """The refresh or OPTIONS that the peer has not answered."""

    def begin(self, now: Instant) -> None:
        """Begin an interval: the leg was answered, or its session was refreshed by either side."""
        self.facts.failures = 0
        self.facts.tried_at = None
        timer = self._leg.timer
        if timer.agreed is not None or timer.settings.probe is not _NO_PROBE:
            refresh_ms = timer.refresh_ms()
            if refresh_ms is None:
                self.facts.refresh_ms = NEVER
            else:
                self.facts.refresh_ms = refresh_ms if refresh_ms > now.mono else now.mono + BUSY_MS
        self._limits()

    @property
    def call(self) -> "CallPort":
        """The call that is ended after an error here."""
        return self._leg.call

    @property
    def refresh(self) -> Refresh | None:
        """The refresh that the peer has not answered, if there is one."""
        return self.pending if isinstance(self.pending, Refresh) else None

    def next_limit(self) -> Limit | None:
        """Return the next time limit of the call by this leg, and note when the leg is due again."""
        expires_ms, limited_ms = self._limits()
        timer = self._leg.timer
        if limited_ms <= expires_ms:
            if limited_ms == NEVER:
                return None
            at = self.facts.began_at.plus(limited_ms - self.facts.began_at.mono)
            return Limit(at, EndReason.MAXIMUM_DURATION, limited_ms)
        if timer.refreshed_at is None:
            return None
        return Limit(timer.refreshed_at.plus(timer.lasts_ms()), EndReason.SESSION_TIMEOUT, expires_ms)

    @property
    def limited_ms(self) -> int:
        """Moment at which the call ends for want of a session timer of this leg."""
        return self._limits()[1]

    def refreshed(self, now: Instant) -> None:
        """Restart the interval after a refresh of either side."""
        self.begin(now)
        self.call.watch()

    @property
    def silence_ms(self) -> int | None:
        """Longest silence of the peer while the call goes on; None where it need not do anything.

        Only of a leg that was answered.
        """
        timer = self._leg.timer
        if timer.refreshed_at is None or (timer.agreed is None and timer.settings.probe is _NO_PROBE):
            return None
        lasts_ms, refresh_ms = timer.lasts_ms(), timer.refresh_ms()
        if refresh_ms is None:
            return lasts_ms
        return max(lasts_ms, refresh_ms - timer.refreshed_at.mono + GRACE_MS)

    def resumed(self, now: Instant, soon_ms: int) -> None:
        """Go on after a crash: an interval begins now, and our own refresh is sent after ``soon_ms``.

        When the session was refreshed last is not known. A peer that refreshes has a whole interval to do so.
        """
        self._leg.timer.refreshed_at = now
        if self.facts.owed_ms != NEVER:
            self.facts.owed_ms = now.mono + OWED_MS
        self.begin(now)
        if self.facts.refresh_ms != NEVER:
            self.facts.refresh_ms = min(self.facts.refresh_ms, now.mono + soon_ms)
            self._limits()

    def offer_again(self, now: Instant) -> None:
        """Send the description of the other side again, as a refresh: it leaves with the ports of another relay."""
        self.facts.offers_again = True
        self.facts.refresh_ms = now.mono
        self._limits()
        self.call.watch()

    def offer_later(self, now: Instant) -> None:
        """Offer the description of the other side once more: all tries were refused for an INVITE of the peer (491).

        That one may stay open for long after a kill, which has forgotten it: each wait is twice the one before.
        """
        self.facts.owed_ms = now.mono + (OWED_MS << min(self.facts.times_owed, OWED_DOUBLED_MOST))
        self.facts.times_owed += 1
        self._limits()
        self.call.watch()

    def offer_taken(self) -> None:
        """Note that the peer has the description of the other side: the next one that it refuses waits as the first."""
        self.facts.times_owed = 0

    def show_identity(self, now: Instant) -> None:
        """Refresh the session at once: the request shows the number that the other side has now."""
        self.facts.shows_identity = True
        self.facts.refresh_ms = now.mono
        self._limits()
        self.call.watch()

    def stop(self, now: Instant) -> None:
        """Stop at the end of the leg."""
        pending, self.pending = self.pending, None
        if isinstance(pending, Refresh):
            pending.withdraw(now)
        elif pending is not None:
            pending.owner = None

    def refresh_if_due(self, now: Instant) -> None:
        """Send a refresh or probe that is due, or try again a little later if the leg is busy."""
        if now.mono >= self.facts.owed_ms:
            self._offer_owed(now)
        if now.mono < self.facts.refresh_ms:
            return
        self.facts.refresh_ms = NEVER
        if self.pending is not None or not self._ask(now):
            self.facts.refresh_ms = now.mono + BUSY_MS
        elif self.facts.tried_at is None:
            self.facts.tried_at = now
        self._limits()

    # -- what comes back ----------------------------------------------------------------------------------------

    def response_came(self, event: ResponseArrived) -> None:
        """Handle the response to OPTIONS: all but those of ``UNREACHED`` show that the peer still has the call."""
        status = event.response.status
        if status < 200:
            return
        self._leg.note_response(event.response, event.at)
        self.pending = None
        dialogs, dialog = self._endpoint.dialogs, self._leg.dialog
        is_elsewhere = status == 481 and dialogs.is_asked_elsewhere(dialog, event.transaction.peer)
        self.failed(503 if is_elsewhere else status, event.at, event.at)

    def no_response(self, event: NoResponse) -> None:
        """Handle that OPTIONS was not answered."""
        self.failed(408, event.at, event.at)

    def succeeded(self) -> None:
        """Note that a refresh of ours was accepted; ``refreshed`` is called separately."""
        self.pending = None
        self.facts.offers_again = self.facts.shows_identity = False

    def postponed(self, now: Instant) -> None:
        """Try again later: another offer took precedence over our refresh."""
        if self.pending is not None:
            self.pending = None
            # The limit stays as it was while the refresh was pending: the other offer refreshes the session, too.
            self.facts.refresh_ms = now.mono + BUSY_MS
            self.facts.due_ms = min(self.facts.due_ms, self.facts.refresh_ms)
            self.call.watch()

    def failed(self, status: int, asked_at: Instant, now: Instant) -> None:
        """Handle a refused refresh or probe (408 = no answer). Only 481 ends the call at once."""
        self.pending = None
        leg = self._leg
        if leg.timer.agreed is None and is_alive(status):
            leg.timer.refreshed_at = asked_at
            self.refreshed(now)
            return
        self.facts.failures += 1
        choice = leg.route_choice
        self.call.board.refresh_failed(None if choice is None else choice.gateway.name, status, now)
        if status == 481:
            self.call.lost(leg, 408, now)  # the peer vanished without a BYE: the end is a session time-out
            return
        timer = leg.timer
        left_ms = 0 if timer.refreshed_at is None else timer.refreshed_at.mono + timer.lasts_ms() - now.mono
        self.facts.refresh_ms = now.mono + max(RETRY_MS, left_ms // 8)
        self._limits()
        self.call.watch()
        self.call.deadline_due(now)

    # -- inside -------------------------------------------------------------------------------------------------

    def _ask(self, now: Instant) -> bool:
        """Send a refresh or probe; False while that is not possible."""
        leg, call = self._leg, self.call
        callee = call.callee
        if leg.acceptance is not None or (
            callee is not None and callee.leg is leg and not callee.progress.acknowledged
        ):
            return False
        is_probe = leg.timer.agreed is None and leg.timer.settings.probe is Probe.OPTIONS
        if is_probe and not (self.facts.offers_again or self.facts.shows_identity) and leg.dialog is not None:
            self.pending = leg.ask("OPTIONS", of_probe(self._endpoint, leg.dialog), b"", self, now)
            return True
        if has_open_offer(leg):
            return False
        if call.conversation.bridge is not None and not call.conversation.bridge.is_quiet:
            return False  # the change in progress refreshes this session, too
        self.pending = refresh = Refresh.of(self._endpoint, self, leg)
        refresh.begin(now)
        return True

    def _offer_owed(self, now: Instant) -> None:
        """Offer the description that is owed, if the peer has not taken it meanwhile, or do so a little later."""
        leg, call = self._leg, self.call
        self.facts.owed_ms = NEVER
        if call.callee is not None and call.conversation.is_established:
            bridge = call.conversation.bridge_to(call.callee)
            if bridge.is_quiet:
                bridge.offer_again(leg, now)
                if bridge.is_quiet:
                    self.offer_taken()
            else:
                self.facts.owed_ms = now.mono + BUSY_MS
        self._limits()

    def _limits(self) -> tuple[int, int]:
        """Return when the call ends unless the session is refreshed, and when it ends for want of a session timer.

        ``due_ms`` follows from both, from ``refresh_ms`` and ``owed_ms``.
        """
        timer = self._leg.timer
        agreed, settings, refreshed_at = timer.agreed, timer.settings, timer.refreshed_at
        expires_ms = limited_ms = NEVER
        if refreshed_at is not None and (agreed is not None or settings.probe is not _NO_PROBE):
            expires_ms = refreshed_at.mono + timer.lasts_ms()
            if self.pending is not None and not self.facts.failures and self.facts.tried_at is not None:
                expires_ms = max(expires_ms, self.facts.tried_at.mono + GRACE_MS)  # the refresh may still be answered
        if agreed is None and settings.no_timer_limit_s:
            limited_ms = self.facts.began_at.mono + 1_000 * settings.no_timer_limit_s
        due_ms = min(self.facts.refresh_ms, self.facts.owed_ms, expires_ms)
        self.facts.due_ms = min(due_ms, limited_ms)
        return expires_ms, limited_ms
