"""Address families of a session description (RFC 8866 section 5.7, RFC 6947)."""

from typing import Final

_IPV4: Final = b"\nc=IN IP4 "
_IPV6: Final = b"\nc=IN IP6 "
_CANDIDATE: Final = b"\na=candidate:"
_ALTERNATIVE: Final = b"\na=altc:"
"""Begins the lines by which, as by ICE candidates, parties find addresses of the other family, too (RFC 6947)."""


def family_of(session: bytes) -> int:
    """Return the only address family of the media, 4 or 6; 0 = both, or it is not known."""
    is_ipv6 = _IPV6 in session
    if is_ipv6 is (_IPV4 in session) or _CANDIDATE in session or _ALTERNATIVE in session:
        return 0
    return 6 if is_ipv6 else 4
