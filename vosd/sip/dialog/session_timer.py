"""The session timer of one dialog (RFC 4028): negotiation in requests and 2xx, and when the session expires.

Takes messages and instants, and returns header lines and instants. The call sends refreshes, and decides what happens
when a session expires.
"""

from enum import Enum
from typing import Final, NamedTuple

from vosd.base.clock import Instant
from vosd.base.session_timer import TTL_MAX_S, SessionTimerSettings
from vosd.sip.headers.session_expires import Refresher, SessionExpires, min_se_of
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Message, Request, Response

TIMER: Final = "timer"
"""The option tag (RFC 4028 section 11.1)."""
SHORTEST_S: Final = 90
"""No session interval may be shorter (section 4)."""


class Side(Enum):
    """The end that refreshes a session."""

    US = "us"
    PEER = "peer"


class Agreed(NamedTuple):
    """What was negotiated: the interval in seconds, and the end that refreshes."""

    interval_s: int
    refresher: Side


class Wish(NamedTuple):
    """What a request of the peer says about session timers."""

    knows_timer: bool
    requires_timer: bool
    expires: SessionExpires | None
    min_se_s: int

    @classmethod
    def of(cls, request: Request) -> "Wish":
        """Read a request.

        Raises:
            ParseError: 400.
        """
        expires = SessionExpires.of(request)
        requires = _names_timer(request, "require")
        knows = requires or _names_timer(request, "supported")
        return cls(knows, requires, expires, min_se_of(request) if knows or expires else 0)

    @property
    def shows_timer(self) -> bool:
        """Whether the peer takes part in session timers: it names the extension, or an interval."""
        return self.knows_timer or self.expires is not None


def knows_timer(message: Message) -> bool:
    """Return whether a message names the extension."""
    return _names_timer(message, "supported") or _names_timer(message, "require")


def _names_timer(message: Message, header: str) -> bool:
    return message.header(header) is not None and any(tag.lower() == TIMER for tag in message.headers(header))


def objection(wish: Wish, settings: SessionTimerSettings) -> tuple[int, str] | None:
    """Return status and header line for a request whose session timer is refused (section 9); None = it is accepted.

    420 refuses a peer that requires a timer where none is enabled, 422 an interval that is too small. A peer that does
    not name the extension would not understand 422, since a proxy may have added the header. Proxies ask for no less
    than 90 s.
    """
    expires = wish.expires
    if not settings.enabled:
        return (420, f"Unsupported: {TIMER}\r\n") if wish.requires_timer else None
    if expires is None or expires.interval_s >= settings.min_se_s:
        return None
    if not wish.knows_timer and expires.interval_s >= SHORTEST_S:
        return None
    return 422, f"Min-SE: {settings.min_se_s}\r\n"


class SessionTimer:
    """The timer of one dialog: what the latest request and its 2xx have negotiated."""

    __slots__ = ("_floor_s", "_offered_s", "agreed", "refreshed_at", "settings")

    def __init__(self, settings: SessionTimerSettings) -> None:
        self.settings = settings
        self.agreed: Agreed | None = None
        self.refreshed_at: Instant | None = None
        """The latest successful refresh, at first the answer; without a timer, the latest sign of life of the peer."""
        self._floor_s = 0
        """The largest Min-SE that the peer has sent with 422, in seconds (section 7.4)."""
        self._offered_s = settings.effective_ttl_s
        """The interval of our latest request; its 2xx may shorten it but not lengthen it (section 9)."""

    # -- our requests -------------------------------------------------------------------------------------------

    @property
    def has_min_se(self) -> bool:
        """Whether the peer has refused an interval as too small."""
        return self._floor_s > 0

    def first_offer(self) -> str:
        """Return the header lines of the INVITE that begins the dialog (section 7.1); they ask to refresh ourselves."""
        if not self.settings.enabled:
            return ""
        wanted = SessionExpires(max(self.settings.effective_ttl_s, self._floor_s), Refresher.UAC)
        return self._lines(wanted)

    def offer(self) -> str:
        """Return the header lines of a later request: the refresher stays the same (section 7.4)."""
        if self.agreed is None:
            return ""
        refresher = Refresher.UAC if self.agreed.refresher is Side.US else Refresher.UAS
        return self._lines(SessionExpires(max(self.agreed.interval_s, self._floor_s), refresher))

    def accept_min_se(self, refusal: Response) -> bool:
        """Take the Min-SE of a 422 (section 7.3); return whether another request with a longer interval may succeed."""
        try:
            wanted_s = min_se_of(refusal)
        except ParseError:
            return False
        offered_s = self.settings.effective_ttl_s if self.agreed is None else self.agreed.interval_s
        if not self.settings.enabled or not max(offered_s, self._floor_s) < wanted_s <= TTL_MAX_S:
            return False
        self._floor_s = wanted_s
        return True

    def answered(self, response: Response, at: Instant) -> None:
        """Take the result from the 2xx to a request of ours.

        ``at`` is when the request was sent, or when it was answered if it began the dialog.
        """
        try:
            expires = SessionExpires.of(response)
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
            self.agreed = Agreed(max(interval_s, self._floor_s), Side.US)
        else:
            # The interval of a 2xx is kept between our Min-SE and what we offered (section 9). A shorter one would
            # have us refresh without pause; with a longer one a dead peer would be noticed too late, so we refresh.
            is_late = expires.interval_s > self._offered_s
            side = Side.PEER if expires.refresher is Refresher.UAS and not is_late else Side.US
            self.agreed = Agreed(min(max(expires.interval_s, self._smallest_s), self._offered_s), side)

    # -- requests of the peer -----------------------------------------------------------------------------------

    def accept(self, wish: Wish, at: Instant) -> str:
        """Decide what the 2xx to a request of the peer says (section 9, table 2); return its header lines."""
        self.refreshed_at = at
        if not self.settings.enabled or (self.agreed is None and not wish.shows_timer):
            return ""
        interval_s = self.settings.effective_ttl_s if self.agreed is None else self.agreed.interval_s
        if wish.min_se_s <= TTL_MAX_S:  # a longer session would hide a dead peer
            interval_s = max(interval_s, wish.min_se_s)
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

    @property
    def interval_s(self) -> int:
        """The interval in seconds: the negotiated one, else the one that we would ask for."""
        return self.settings.effective_ttl_s if self.agreed is None else self.agreed.interval_s

    @property
    def is_ours(self) -> bool:
        """Whether we refresh; with a peer without timer it is we who probe it."""
        return self.agreed is None or self.agreed.refresher is Side.US

    @property
    def refresh_at(self) -> Instant | None:
        """When our next refresh is due; None where the peer refreshes, or before the answer."""
        if self.refreshed_at is None or not self.is_ours:
            return None
        return self.refreshed_at.plus(1_000 * self.settings.refresh_after_s(self.interval_s))

    @property
    def expires_at(self) -> Instant | None:
        """When the session expires unless it is refreshed; None before the answer."""
        if self.refreshed_at is None:
            return None
        interval_s = self.interval_s
        left_s = interval_s - self.settings.margin_s(interval_s, by_us=self.is_ours)
        return self.refreshed_at.plus(1_000 * left_s)

    # -- inside -------------------------------------------------------------------------------------------------

    @property
    def _smallest_s(self) -> int:
        return max(self.settings.min_se_s, self._floor_s)

    def _lines(self, expires: SessionExpires) -> str:
        self._offered_s = expires.interval_s
        return f"Session-Expires: {expires}\r\nMin-SE: {self._smallest_s}\r\n"
