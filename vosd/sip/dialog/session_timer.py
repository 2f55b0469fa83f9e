"""The session timer of one dialog (RFC 4028): negotiation in requests and 2xx, and when the session expires.

Takes messages and instants, and returns header lines and instants. The call sends refreshes, and decides what happens
when a session expires.
"""

import msgspec

from vosd.base.clock import Instant
from vosd.base.session_timer import TTL_MAX_S, SessionTimerSettings
from vosd.sip.dialog.session_wish import SHORTEST_S, TIMER, Agreed, Side, Wish, knows_timer
from vosd.sip.headers.session_expires import Refresher, SessionExpires, min_se_of
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Response


class SessionTimer(msgspec.Struct, omit_defaults=True):
    """The timer of one dialog: what the latest request and its 2xx have negotiated; the journal keeps it as it is."""

    settings: SessionTimerSettings
    """The terms that the call copied when it was admitted."""
    agreed: Agreed | None = None
    refreshed_at: Instant | None = None
    """The latest successful refresh, at first the answer; without a timer, the latest sign of life of the peer."""
    floor_s: int = 0
    """The largest Min-SE that the peer has sent, with 422 or in a request, in seconds (sections 5 and 7.4)."""
    offered_s: int = 0
    """The interval of our latest request; its 2xx may shorten it but not lengthen it (section 9). 0 = none yet."""

    # -- our requests -------------------------------------------------------------------------------------------

    def first_offer(self) -> str:
        """Return the header lines of the INVITE that begins the dialog (section 7.1); they ask to refresh ourselves."""
        settings, floor_s = self.settings, self.floor_s
        if not settings.enabled:
            return ""
        smallest_s = max(settings.min_se_s, floor_s)
        self.offered_s = interval_s = max(smallest_s, settings.ttl_s)
        return f"Session-Expires: {interval_s};refresher=uac\r\nMin-SE: {smallest_s}\r\n"

    def offer(self) -> str:
        """Return the header lines of a later request: the refresher stays the same (section 7.4)."""
        if self.agreed is None:
            return ""
        refresher = Refresher.UAC if self.agreed.refresher is Side.US else Refresher.UAS
        self.offered_s = interval_s = max(self.agreed.interval_s, self.floor_s)
        return f"Session-Expires: {SessionExpires(interval_s, refresher)}\r\nMin-SE: {self._smallest_s}\r\n"

    def accept_min_se(self, refusal: Response) -> bool:
        """Take the Min-SE of a 422 (section 7.3); return whether another request with a longer interval may succeed."""
        try:
            wanted_s = min_se_of(refusal)
        except ParseError:
            return False
        offered_s = self.settings.effective_ttl_s if self.agreed is None else self.agreed.interval_s
        if not self.settings.enabled or not max(offered_s, self.floor_s) < wanted_s <= TTL_MAX_S:
            return False
        self.floor_s = wanted_s
        return True

    def answered(self, response: Response, at: Instant) -> None:
        """Take the result from the 2xx to a request of ours.

        ``at`` is when the request was sent, or when it was answered if it began the dialog.
        """
        try:
            expires = None if response.header("session-expires") is None else SessionExpires.of(response)
        except ParseError:
            expires = None  # do not lose an answered call for a broken header: we refresh, as if it had left that open
        self.refreshed_at = at
        if not self.settings.enabled:
            return
        if expires is None:
            if self.agreed is None and not knows_timer(response):
                return
            # The peer knows the extension and names no interval: ours holds, and we refresh (section 7.2).
            before = self.agreed
            interval_s = self.settings.effective_ttl_s if before is None else before.interval_s
            self.agreed = Agreed(max(interval_s, self.floor_s), Side.US)
        else:
            # The interval of a 2xx is kept between our Min-SE and what we offered (section 9). A shorter one would
            # have us refresh without pause; with a longer one a dead peer would be noticed too late, so we refresh.
            offered_s = self.offered_s or self.settings.effective_ttl_s
            is_late = expires.interval_s > offered_s
            side = Side.PEER if expires.refresher is Refresher.UAS and not is_late else Side.US
            self.agreed = Agreed(min(max(expires.interval_s, self._smallest_s), offered_s), side)

    # -- requests of the peer -----------------------------------------------------------------------------------

    def accept(self, wish: Wish, at: Instant) -> str:
        """Decide what the 2xx to a request of the peer says (section 9, table 2); return its header lines."""
        self.refreshed_at = at
        if not self.settings.enabled:
            return ""
        if self.agreed is None and wish.expires is None and not wish.knows_timer:
            return ""  # the peer takes no part in session timers
        interval_s = self.settings.effective_ttl_s if self.agreed is None else self.agreed.interval_s
        if wish.min_se_s <= TTL_MAX_S:  # a longer session would hide a dead peer
            interval_s = max(interval_s, wish.min_se_s)
            self.floor_s = max(self.floor_s, wish.min_se_s)
        if (
            wish.expires is not None and wish.expires.interval_s < interval_s
        ):  # section 9: it may be reduced, never increased
            interval_s = max(wish.expires.interval_s, SHORTEST_S)
        side = self._refresher_for(wish)
        self.agreed = Agreed(interval_s, side)
        refresher = Refresher.UAC if side is Side.PEER else Refresher.UAS
        lines = f"Session-Expires: {SessionExpires(interval_s, refresher)}\r\n"
        # A peer that does not name the extension need not understand a Require, unless it has offered to refresh.
        return f"Require: {TIMER}\r\n{lines}" if wish.knows_timer or side is Side.PEER else lines

    def _refresher_for(self, wish: Wish) -> Side:
        if wish.expires is not None and wish.expires.refresher is Refresher.UAC:
            return Side.PEER
        if wish.expires is not None and wish.expires.refresher is Refresher.UAS:
            return Side.US
        # Left open: the refresher stays the same with a peer that knows the extension, and is us otherwise.
        was_peer = self.agreed is not None and self.agreed.refresher is Side.PEER
        return Side.PEER if was_peer and wish.knows_timer else Side.US

    # -- when ---------------------------------------------------------------------------------------------------

    def refresh_ms(self) -> int | None:
        """Return when our next refresh is due; None where the peer refreshes, or before the answer.

        Without a negotiated timer the interval is the one that we would ask for, and we probe the peer.
        """
        agreed, settings = self.agreed, self.settings
        if self.refreshed_at is None or (agreed is not None and agreed.refresher is Side.PEER):
            return None
        interval_s = settings.effective_ttl_s if agreed is None else agreed.interval_s
        return self.refreshed_at.mono + 1_000 * settings.refresh_after_s(interval_s)

    def lasts_ms(self) -> int:
        """Return how long the session lasts after a refresh."""
        agreed, settings = self.agreed, self.settings
        interval_s = settings.effective_ttl_s if agreed is None else agreed.interval_s
        by_us = agreed is None or agreed.refresher is Side.US
        return 1_000 * (interval_s - settings.margin_s(interval_s, by_us=by_us))

    # -- inside -------------------------------------------------------------------------------------------------

    @property
    def _smallest_s(self) -> int:
        return max(self.settings.min_se_s, self.floor_s)
