"""Which way media flows (RFC 3264 section 5.1): hold, and taking it off."""

import re
from typing import Final

_DIRECTION: Final = re.compile(rb"^a=(?:sendonly|recvonly|inactive)\r?\n", re.MULTILINE)
_ANY_DIRECTION: Final = re.compile(rb"^a=(?:sendrecv|sendonly|recvonly|inactive)\r?\n", re.MULTILINE)
_CONNECTION: Final = re.compile(rb"^c=IN IP[46] [^\r\n]*", re.MULTILINE)
_NOWHERE: Final = re.compile(rb"^c=IN IP(?:4 0\.0\.0\.0|6 ::)(?=[/\s]|\Z)[^\r\n]*", re.MULTILINE)
"""Where RFC 2543 peers send the media of a call on hold (RFC 3264 section 8.4)."""
_MEDIUM: Final = re.compile(rb"(?=^m=)", re.MULTILINE)


def goes_nowhere(session: bytes) -> bool:
    """Say whether a description holds any of its media by the zero address."""
    return (b" 0.0.0.0" in session or b" ::" in session) and _NOWHERE.search(session) is not None


def active(session: bytes, before: bytes = b"") -> bytes:
    """Return a description without hold: both ways, which is what none of the attributes means.

    ``before`` is what its author said last with addresses: media held by the zero address go there. Where that does
    not say, they stay as they are.
    """
    session = _DIRECTION.sub(b"", session)
    if not goes_nowhere(session):
        return session
    parts, places = _MEDIUM.split(session), _connections(before)
    return b"".join(
        _NOWHERE.sub(lambda held, place=place: place or held[0], part)
        for part, place in zip(parts, _padded(places, len(parts)), strict=True)
    )


def inactive(session: bytes) -> bytes:
    """Return a description with all its media on hold in both directions (RFC 3264 section 8.4)."""
    above, *media = _MEDIUM.split(_ANY_DIRECTION.sub(b"", session))
    return above + b"".join(map(_held, media))


def _held(medium: bytes) -> bytes:
    return (medium if medium.endswith(b"\n") else medium + b"\r\n") + b"a=inactive\r\n"


def _connections(session: bytes) -> list[bytes]:
    """Return the connection line that holds for the session, then for each medium; empty where there is none."""
    above, *media = _MEDIUM.split(session)
    own = [found[0] if (found := _CONNECTION.search(part)) else b"" for part in media]
    common = found[0] if (found := _CONNECTION.search(above)) else next(filter(None, own), b"")
    return [common, *(each or common for each in own)]


def _padded(places: list[bytes], length: int) -> list[bytes]:
    """Return as many places as there are parts: a medium that was not there before is where the others are."""
    return [*places[:length], *[places[0]] * (length - len(places))]
