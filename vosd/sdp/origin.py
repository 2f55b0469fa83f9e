"""Origin line: identity and version of a session description (RFC 8866 section 5.2, RFC 3264 section 8)."""

import re
from typing import Final

from vosd.sdp.anonymous import anonymous

# Numbers of 64 bits (RFC 8866 section 5.2); a line with longer ones is no origin line.
_ORIGIN: Final = re.compile(rb"^o=(\S+) (\d{1,20}) (\d{1,20}) (\S+ \S+ \S+?)([ \t]*\r*)$", re.MULTILINE)


def continued(session: bytes, previous: bytes) -> bytes:
    """Return ``session`` as a valid successor of ``previous`` for the side that received that.

    Within one dialog the origin stays, and the version grows by one if anything has changed. A peer's own descriptions
    mostly do so already; after a transfer they come from another peer, and get the old origin, and one that the switch
    has held in between has said more of them than its peer.
    """
    now, before = _ORIGIN.search(session), _ORIGIN.search(previous)
    if now is None or before is None:
        return session
    if (now[1], now[2], now[4]) == (before[1], before[2], before[4]) and int(now[3]) > int(before[3]):
        return session
    return _with_origin_of(session, previous, now, before)


def succeeding(session: bytes, previous: bytes) -> bytes:
    """Return ``session`` as the next description after ``previous``, whatever its own version: it was changed here."""
    now, before = _ORIGIN.search(session), _ORIGIN.search(previous)
    return session if now is None or before is None else _with_origin_of(session, previous, now, before)


def raised(session: bytes, by: int = 1) -> bytes:
    """Return a description with a later version: it is not known what the one before has said."""
    now = _ORIGIN.search(session)
    return session if now is None else b"%s%d%s" % (session[: now.start(3)], int(now[3]) + by, session[now.end(3) :])


def is_repeated(session: bytes, previous: bytes) -> bool:
    """Return whether a description has the origin and version of another one, but says something else."""
    now, before = _ORIGIN.search(session), _ORIGIN.search(previous)
    return now is not None and before is not None and now[0] == before[0] and not alike(session, previous)


def address_of_origin(session: bytes) -> str:
    """Return the address in the origin line of a description; empty if it has none."""
    found = _ORIGIN.search(session)
    return "" if found is None else found[4].rpartition(b" ")[2].decode("latin-1")


def from_address(session: bytes, host: str, *, keeps_user: bool) -> bytes:
    """Return a description with another address in its origin line, and with its user or none."""
    found = _ORIGIN.search(session)
    if found is None:
        return session
    address = b"IN IP%d %b" % (6 if ":" in host else 4, host.encode())
    user = found[1] if keeps_user else b"-"
    ids = session[found.end(1) : found.start(4)]
    return b"%b%b%b%b%b" % (session[: found.start(1)], user, ids, address, session[found.end(4) :])


def _with_origin_of(session: bytes, previous: bytes, now: re.Match[bytes], before: re.Match[bytes]) -> bytes:
    """Return a description with the origin of another one; its version is the next one if anything else differs."""
    version = before[3]
    if session[: now.start()] + session[now.end() :] != previous[: before.start()] + previous[before.end() :]:
        version = b"%d" % (int(version) + 1)
    origin = b"o=%s %s %s %s%s" % (before[1], before[2], version, before[4], now[5])
    return session[: now.start()] + origin + session[now.end() :]


def alike(one: bytes, other: bytes) -> bool:
    """Return whether two descriptions differ in nothing but their origin line and names of their authors."""
    one, other = anonymous(one), anonymous(other)
    first, second = _ORIGIN.search(one), _ORIGIN.search(other)
    if first is None or second is None:
        return one == other
    return one[: first.start()] + one[first.end() :] == other[: second.start()] + other[second.end() :]
