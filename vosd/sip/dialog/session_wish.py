"""Session timers in requests (RFC 4028), and their negotiation."""

from enum import Enum
from typing import Final, NamedTuple

from vosd.base.session_timer import SessionTimerSettings
from vosd.sip.headers.session_expires import SessionExpires, min_se_of
from vosd.sip.wire.message import Message, Request

TIMER: Final = "timer"
"""The option tag (RFC 4028 section 11.1)."""
SHORTEST_S: Final = 90
"""No session interval may be shorter (section 4)."""


class Side(Enum):
    """The end that refreshes a session."""

    US = "us"
    PEER = "peer"


class Agreed(NamedTuple):
    """Result of a negotiation: the interval in seconds, and the end that refreshes."""

    interval_s: int
    refresher: Side


class Wish(NamedTuple):
    """Session timers in a request of the peer."""

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
        header = request.header
        expires = None if header("session-expires") is None else SessionExpires.of(request)
        requires = header("require") is not None and _names_timer(request, "require")
        knows = requires or (header("supported") is not None and _names_timer(request, "supported"))
        return cls(knows, requires, expires, min_se_of(request)) if knows or expires is not None else NO_WISH


NO_WISH: Final = Wish(knows_timer=False, requires_timer=False, expires=None, min_se_s=0)
"""Wish of a request that does not mention session timers."""


def knows_timer(message: Message) -> bool:
    """Return whether a message names the extension."""
    header = message.header
    return (header("supported") is not None and _names_timer(message, "supported")) or (
        header("require") is not None and _names_timer(message, "require")
    )


def _names_timer(message: Message, header: str) -> bool:
    """Return whether a list header that the message has names the extension."""
    value = message.header(header)
    if value is not None and value.lower() == TIMER and not message.comes_twice(header):
        return True
    return any(tag.lower() == TIMER for tag in message.headers(header))


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
