"""Privacy (RFC 3323 section 4.2, RFC 3325 section 9.3, RFC 7044 section 10.1): what a caller wants kept from others."""

import re
from typing import Final

WITHHOLDS_CALLER: Final = frozenset({"id", "user", "header", "full"})
"""Wishes that are fulfilled by not saying who calls; ``full`` is no value of the RFCs, but peers use it."""
WITHHOLDS_HISTORY: Final = frozenset({"history", "header", "session"})
"""Wishes that hide where a call has been before (RFC 7044 section 10.1.1)."""

_WISHES: Final = ("header", "session", "user", "none", "critical", "id", "history", "full")
_SEPARATORS: Final = re.compile(r"[;,\s]+")


def wishes(text: str) -> tuple[str, ...]:
    """Read ``id;critical`` or ``id, critical``: the values that are known, in lower case, each once and in order."""
    found = dict.fromkeys(_SEPARATORS.split(text.lower()))
    return tuple(wish for wish in found if wish in _WISHES)
