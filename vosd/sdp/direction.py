"""Which way media flows (RFC 3264 section 5.1): hold, and taking it off."""

import re
from typing import Final

_DIRECTION: Final = re.compile(rb"^a=(?:sendonly|recvonly|inactive)\r?\n", re.MULTILINE)


def active(session: bytes) -> bytes:
    """Return a description without hold: both ways, which is what none of the attributes means."""
    return _DIRECTION.sub(b"", session)
