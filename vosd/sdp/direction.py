"""Direction of media (RFC 3264 section 5.1): hold and resume."""

import re
from typing import Final

from vosd.sdp.media import ended, parted

_DIRECTION: Final = re.compile(rb"^a=(?:sendonly|recvonly|inactive)[ \t]*\r*(?:\n|\Z)", re.MULTILINE)
_ANY_DIRECTION: Final = re.compile(rb"^a=(?:sendrecv|sendonly|recvonly|inactive)[ \t]*\r*(?:\n|\Z)", re.MULTILINE)
_INACTIVE: Final = re.compile(rb"^a=inactive(?=[ \t]*\r*$)", re.MULTILINE)
_RECEIVING: Final = re.compile(rb"^a=(?:recvonly|sendrecv)(?=[ \t]*\r*$)", re.MULTILINE)
_WORD: Final = re.compile(rb"^a=(sendrecv|sendonly|recvonly|inactive)(?=[ \t]*\r*$)", re.MULTILINE)
_UNUSED: Final = re.compile(rb"m=\S+[ \t]+0[ \t/]")
_KEY: Final = b"\na=crypto:"
_OPEN_ROLE: Final = b"a=setup:actpass"
_SENDS: Final = frozenset({b"sendrecv", b"sendonly"})
_RECEIVES: Final = frozenset({b"sendrecv", b"recvonly"})
_CONNECTION: Final = re.compile(rb"^c=IN IP[46] [^\r\n]*", re.MULTILINE)
_NOWHERE: Final = re.compile(rb"^c=IN IP(?:4 0\.0\.0\.0|6 ::)(?=[/\s]|\Z)[^\r\n]*", re.MULTILINE)
"""Address that RFC 2543 peers use for a call on hold (RFC 3264 section 8.4)."""


def has_zero_address(session: bytes) -> bool:
    """Return whether a description holds any of its media with the zero address."""
    return (b" 0.0.0.0" in session or b" ::" in session) and _NOWHERE.search(session) is not None


def active(session: bytes, before: bytes = b"") -> bytes:
    """Return a description without hold: sendrecv, the default without attribute.

    ``before`` is the author's last description with addresses: media held with the zero address get theirs from it.
    Without an address there, they stay as they are.
    """
    session = _DIRECTION.sub(b"", session)
    if not has_zero_address(session):
        return session
    parts, places = parted(session), _connections(before)
    return b"".join(
        _NOWHERE.sub(lambda held, place=place: place or held[0], part)
        for part, place in zip(parts, _padded(places, len(parts)), strict=True)
    )


def may_answer(session: bytes, offer: bytes) -> bool:
    """Return whether a description that was an offer may be the answer to another one.

    No side sends what the other one does not receive (RFC 3264 section 6.1), and one key (RFC 4568 section 5.1.2) and
    the role in a handshake (RFC 5763 section 5) have been chosen.
    """
    if _OPEN_ROLE in session or (_KEY in session and any(part.count(_KEY) > 1 for part in parted(session))):
        return False
    if _DIRECTION.search(session) is None and _DIRECTION.search(offer) is None:
        return True
    return all(map(_fit, _directions(session), _directions(offer)))


def inactive(session: bytes) -> bytes:
    """Return a description with all its media on hold in both directions (RFC 3264 section 8.4)."""
    above, *media = parted(_ANY_DIRECTION.sub(b"", session))
    return above + b"".join(map(_held, media))


def sending(session: bytes) -> bytes:
    """Return a description on hold in both directions as one whose author still sends: its reader may listen."""
    return _INACTIVE.sub(b"a=sendonly", session)


def receiving(session: bytes) -> bytes:
    """Return the answer to ``sending`` as one to the description before: ``inactive`` (RFC 3264 section 6.1)."""
    return _RECEIVING.sub(b"a=inactive", session)


def _directions(session: bytes) -> list[bytes]:
    """Return the direction of each medium; empty if it is not used."""
    above, *media = parted(session)
    common = found[1] if (found := _WORD.search(above)) else b"sendrecv"
    return [b"" if _UNUSED.match(part) else found[1] if (found := _WORD.search(part)) else common for part in media]


def _fit(said: bytes, wanted: bytes) -> bool:
    """Return whether directions of an answer and of an offer fit; an unused medium fits anything."""
    sends_unwanted = said in _SENDS and wanted not in _RECEIVES
    takes_unsent = said in _RECEIVES and wanted not in _SENDS
    return not (said and wanted and (sends_unwanted or takes_unsent))


def _held(medium: bytes) -> bytes:
    return ended(medium) + b"a=inactive\r\n"


def _connections(session: bytes) -> list[bytes]:
    """Return the effective connection line of the session, then of each medium; empty if there is none."""
    above, *media = parted(session)
    own = [found[0] if (found := _CONNECTION.search(part)) else b"" for part in media]
    common = found[0] if (found := _CONNECTION.search(above)) else next(filter(None, own), b"")
    return [common, *(each or common for each in own)]


def _padded(places: list[bytes], length: int) -> list[bytes]:
    """Return as many addresses as there are parts: a new medium gets the address of the others."""
    return [*places[:length], *[places[0]] * (length - len(places))]
