"""Number of the media of a description: one that follows another has at least as many (RFC 3264 section 8)."""

import re
from itertools import zip_longest
from typing import Final

from vosd.sdp.media import ended, in_usual_form, parted
from vosd.sdp.origin import address_of_origin

MEDIUM: Final = b"\nm="
"""Beginning of a medium, but of one without any line above it."""
_PORT: Final = re.compile(rb"(m=\S+ )\d+(?:/\d+)?( [^\r\n]*)")
_KEPT: Final = re.compile(rb"^(?:c=|a=mid:)[^\r\n]*", re.MULTILINE)
"""Lines of a rejected medium that some peers want all the same."""
_REJECTED: Final = re.compile(rb"m=\S+ 0[ /]")
_NOWHERE: Final = b"c=IN IP4 0.0.0.0"


def fitted(session: bytes, before: bytes) -> bytes:
    """Return a description with as many media as ``before``, which it answers, or follows in a dialog.

    Media that it lacks are added as rejected, each at the place that it has before (RFC 3264 section 6), as far as
    kinds of media tell; rejected ones at its end that ``before`` does not have are left out.
    Text with neither an origin nor a medium is no description, and stays as its author has sent it.
    """
    if session.count(MEDIUM) == before.count(MEDIUM):
        return session
    above, *media = parted(in_usual_form(session))
    if not media and not address_of_origin(session):
        return session
    former = parted(in_usual_form(before))[1:]
    while len(media) > len(former) and _REJECTED.match(media[-1]):
        media.pop()
    if len(media) >= len(former):
        return b"".join([above, *media])
    needs_address = b"\nc=" not in above
    written = [above, *(own or _rejected(each, needs_address=needs_address) for own, each in _placed(media, former))]
    return b"".join(map(ended, written))


def without_foreign(session: bytes, known: bytes) -> bytes:
    """Return a description without the rejected media before those that its reader has described (``known``).

    They are of the dialog with its author alone: an answer has no more media than the offer, and the next offer has
    each at its place of before (RFC 3264 sections 6 and 8). Rejected ones behind them stay.
    """
    above, *media = parted(in_usual_form(session))
    placed = _placed(parted(in_usual_form(known))[1:], media)
    if not placed or placed[0][0]:
        return session
    return b"".join([above, *(medium for own, medium in placed if own or not _REJECTED.match(medium))])


def _placed(media: list[bytes], former: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the former media, each behind the one of its kind, or nothing; in order, if kinds have another one.

    A telephone that may encrypt offers audio twice, by ``RTP/AVP`` and by ``RTP/SAVP``: their transports differ.
    """
    for key_of in (_transport_of, _kind_of):
        left, placed = list(media), []
        for each in former:
            is_next = bool(left) and key_of(left[0]) == key_of(each)
            placed.append((left.pop(0) if is_next else b"", each))
        if not left:
            return placed
    return list(zip_longest(media, former, fillvalue=b""))


def _kind_of(medium: bytes) -> bytes:
    return medium.split(maxsplit=1)[0].lower()


def _transport_of(medium: bytes) -> tuple[bytes, ...]:
    """Return the kind of a medium and its transport."""
    words = medium.lower().split(maxsplit=3)
    return words[0], *words[2:3]


def _rejected(medium: bytes, *, needs_address: bool) -> bytes:
    kept = _KEPT.findall(medium)
    if needs_address and not any(line.startswith(b"c=") for line in kept):
        kept = [_NOWHERE, *kept]
    found = _PORT.match(medium)
    first = medium.partition(b"\r")[0] if found is None else found[1] + b"0" + found[2]
    return b"".join(b"%b\r\n" % line for line in (first, *kept))
