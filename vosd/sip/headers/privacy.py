"""Privacy (RFC 3323 section 4.2, RFC 3325 section 9.3, RFC 7044 section 10.1): what a caller asks to withhold."""

import re
from typing import Final

from vosd.sip.headers.name_addr import NameAddr

WITHHOLDS_CALLER: Final = frozenset({"id", "user", "header", "full"})
"""Values that withhold the caller's identity; ``full`` is in no RFC, but peers use it."""
WITHHOLDS_SESSION: Final = WITHHOLDS_CALLER | {"session"}
"""Values that withhold who has written a session description."""
WITHHOLDS_HISTORY: Final = frozenset({"history", "header", "session"})
"""Values that withhold the history of a call (RFC 7044 section 10.1.1)."""

_WISHES: Final = ("header", "session", "user", "none", "critical", "id", "history", "full")
_SEPARATORS: Final = re.compile(r"[;,\s]+")


def hides_party(party: NameAddr) -> bool:
    """Return whether a Remote-Party-ID asks to withhold the number that it has."""
    return (party.param("privacy") or "").lower().partition("-")[0] in {"full", "uri"}


def wishes(text: str) -> tuple[str, ...]:
    """Parse ``id;critical`` or ``id, critical``; return the known values in lower case and order, each once."""
    found = dict.fromkeys(_SEPARATORS.split(text.lower()))
    return tuple(wish for wish in found if wish in _WISHES)
