"""Two offers as answers to each other (RFC 3264 section 6): of a caller, and of a phone that picks its call up.

Each offer says what its author receives, which is what the other one has to know. Media that the other party has not
offered are rejected, and so are codecs that only one of them has. Both stay plain: keys that an offer has beside
``RTP/AVP`` (RFC 8643), or in place of it (RFC 5939), were chosen by no answer.
"""

import re
from typing import Final

from vosd.sdp.codec import payload_names
from vosd.sdp.direction import has_zero_address
from vosd.sdp.media import in_usual_form, parted
from vosd.sdp.rewrite import Authored

_HELD: Final = re.compile(rb"^a=(?:sendonly|recvonly|inactive)[ \t]*\r*$", re.MULTILINE)
_OF_PAYLOAD: Final = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d+) ")
_KEYS: Final = re.compile(r"a=(?:crypto:|fingerprint:|setup:|tls-id:|key-mgmt:|[at]cap:|[apl]cfg:)")
_PLAIN: Final = "RTP/AVP"
"""Transport of media; keys and fingerprints of others belong to one offer and its own answer."""


def answer_of(offer: bytes, other: bytes) -> bytes:
    """Return the offer of ``other`` as the answer to an offer; empty if it cannot be one, as on hold.

    They must have a codec for audio in common.
    """
    if any(_HELD.search(each) or has_zero_address(each) for each in (offer, other)):
        return b""
    above, *media = _parts(other)
    written, has_audio = [above], False
    for medium in _parts(offer)[1:]:
        found = next(((each, common) for each in media if (common := _common(medium, each))), None)
        if found is None:
            kind, _, rest = medium[0].split(" ", 2)
            written.append([f"{kind} 0 {rest}"])
            continue
        media.remove(found[0])
        has_audio = has_audio or found[0][0].startswith("m=audio ")
        written.append(_limited(*found))
    if not has_audio:
        return b""
    lines = (line for part in written for line in part if not _KEYS.match(line))
    session = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
    return other.changed(session) if isinstance(other, Authored) else session


def _parts(session: bytes) -> list[list[str]]:
    """Return the lines above all media, then those of each medium."""
    # Split as bytes: text has more ends of lines (U+2028, U+0085), which may stand within a line of a description.
    parts = [
        [line.decode("utf-8", "surrogateescape") for line in part.splitlines() if line]
        for part in parted(in_usual_form(session))
    ]
    return [parts[0], *(part for part in parts[1:] if len(part[0].split(" ")) > 3)]


def _common(one: list[str], other: list[str]) -> set[str]:
    """Return the codecs that two media have in common; empty if they cannot be connected."""
    (kind, port, transport, *_), (other_kind, other_port, other_transport, *_) = one[0].split(" "), other[0].split(" ")
    if kind != other_kind or not transport == other_transport == _PLAIN or "0" in (port, other_port):
        return set()
    common = {name.lower() for _, name in _payloads(one)} & {name.lower() for _, name in _payloads(other)}
    return common if common - {"telephone-event"} else set()


def _payloads(medium: list[str]) -> list[tuple[str, str]]:
    """Return the payload types of a medium with their codecs."""
    payloads = medium[0].split(" ")[3:]
    return list(zip(payloads, payload_names(payloads, medium), strict=False))


def _limited(medium: list[str], common: set[str]) -> list[str]:
    """Return a medium with only those codecs."""
    kept = [payload for payload, name in _payloads(medium) if name.lower() in common]
    lines = (line for line in medium[1:] if (found := _OF_PAYLOAD.match(line)) is None or found[1] in kept)
    return [" ".join([*medium[0].split(" ")[:3], *kept]), *lines]
