"""Address families of a session description (RFC 8866 section 5.7, RFC 6947)."""

import re
from typing import Final

_FAMILY: Final = re.compile(rb"\nc=IN IP([46]) (?!(?:0\.0\.0\.0|::)\s)")
"""Family of an address; that of a call on hold is none (RFC 3264 section 8.4)."""
_CANDIDATE: Final = b"\na=candidate:"
_ALTERNATIVE: Final = b"\na=altc:"
"""Begins the lines by which, as by ICE candidates, parties find addresses of the other family, too (RFC 6947)."""


def family_of(session: bytes) -> int:
    """Return the only address family of the media, 4 or 6; 0 = both, or it is not known."""
    families = set(_FAMILY.findall(session))
    if len(families) != 1 or _CANDIDATE in session or _ALTERNATIVE in session:
        return 0
    return int(families.pop())
