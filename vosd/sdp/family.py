"""Address families of a session description (RFC 8866 section 5.7, RFC 6947)."""

import re
from typing import Final

_CONNECTION: Final = re.compile(rb"^c=IN IP([46]) ", re.MULTILINE)
_OTHERS: Final = (b"\na=candidate:", b"\na=altc:")
"""Lines by which the parties find addresses of the other family, too (RFC 8839, RFC 6947)."""


def family_of(session: bytes) -> int:
    """Return the only address family of the media, 4 or 6; 0 = both, or it is not known."""
    if any(each in session for each in _OTHERS):
        return 0
    families = set(_CONNECTION.findall(session))
    return int(families.pop()) if len(families) == 1 else 0
