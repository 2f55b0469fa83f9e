"""The line that says which session a description is of, and which version (RFC 8866 5.2, RFC 3264 8)."""

import re
from typing import Final

# Numbers of 64 bits (RFC 8866 section 5.2); what has more digits is no origin line.
_ORIGIN: Final = re.compile(rb"^o=(\S+) (\d{1,20}) (\d{1,20}) (\S+ \S+ \S+?)(\r?)$", re.MULTILINE)


def continued(session: bytes, previous: bytes) -> bytes:
    """Return ``session`` so that it follows ``previous`` in the eyes of whoever got that.

    Within one dialog a description keeps its origin, and its version grows by one where anything has changed.
    Those of one peer do so by themselves; after a transfer the words are another's, and get the old name.
    """
    now, before = _ORIGIN.search(session), _ORIGIN.search(previous)
    if now is None or before is None:
        return session
    if (now[1], now[2], now[4]) == (before[1], before[2], before[4]) and int(now[3]) >= int(before[3]):
        return session
    version = int(before[3])
    if session[: now.start()] + session[now.end() :] != previous[: before.start()] + previous[before.end() :]:
        version += 1
    origin = b"o=%s %s %d %s%s" % (before[1], before[2], version, before[4], now[5])
    return session[: now.start()] + origin + session[now.end() :]


def alike(one: bytes, other: bytes) -> bool:
    """Say whether two descriptions differ in nothing but the line of their origin."""
    first, second = _ORIGIN.search(one), _ORIGIN.search(other)
    if first is None or second is None:
        return one == other
    return one[: first.start()] + one[first.end() :] == other[: second.start()] + other[second.end() :]
