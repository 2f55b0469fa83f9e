"""Answers of the switch itself to an offer: one audio medium, by which it sends a sound (RFC 3264 section 6)."""

import re
from collections.abc import Container
from typing import Final, NamedTuple

from vosd.sdp.media import BadSession, Medium, Place, in_usual_form, media_of

_MEDIUM_LINE: Final = re.compile(rb"^m=(\S+)[ \t]+\S+([^\r\n]*)", re.MULTILINE)
PLAIN: Final = frozenset({"RTP/AVP", "RTP/AVPF"})
"""Transports without encryption."""
ENCRYPTED: Final = PLAIN | {"RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"}
"""Transports of an end point that may encrypt, too."""
_CLOCK: Final = 8_000


class PlayableAudio(NamedTuple):
    """An audio medium of an offer, and the payload type by which a sound is sent to it."""

    place: int
    """From 0, among all media."""
    medium: Medium
    payload: int
    codec: str


def playable_audio(offer: bytes, codecs: Container[str], transports: Container[str] = PLAIN) -> PlayableAudio | None:
    """Return the first audio medium that takes one of the codecs, whose names are in lower case; None = none does.

    The offer's own order of codecs counts. One on hold, or with another transport, is sent nothing.
    """
    try:
        media = media_of(offer)
    except BadSession:
        return None
    for index, medium in enumerate(media):
        if medium.kind != "audio" or not medium.port or medium.transport not in transports or medium.is_held:
            continue
        for payload, clock, codec in zip(medium.payloads, medium.clocks, medium.codecs, strict=True):
            if clock == _CLOCK and codec.lower() in codecs:
                return PlayableAudio(index, medium, payload, codec)
    return None


def sound_answer(offer: bytes, audio: PlayableAudio, place: Place, number: int) -> bytes:
    """Return the answer to an offer: its audio is received at ``place``, all other media are rejected.

    The answer takes media as well, where the offer sends some: a party behind NAT opens the way to itself by sending.
    ``number`` identifies the session.
    """
    family = "IP6" if ":" in place.host else "IP4"
    direction = "sendonly" if audio.medium.direction == "recvonly" else "sendrecv"
    lines = ["v=0", f"o=- {number} 1 IN {family} {place.host}", "s=-", f"c=IN {family} {place.host}", "t=0 0"]
    for index, (kind, rest) in enumerate(_MEDIUM_LINE.findall(in_usual_form(offer))):
        if index != audio.place:
            lines.append(f"m={kind.decode('utf-8', 'surrogateescape')} 0{rest.decode('utf-8', 'surrogateescape')}")
            continue
        lines.append(f"m=audio {place.rtp} {audio.medium.transport} {audio.payload}")
        lines.append(f"a=rtpmap:{audio.payload} {audio.codec}/{_CLOCK}")
        lines.append(f"a={direction}")
        if place.rtcp is None:
            lines.append("a=rtcp-mux")
        elif place.rtcp != place.rtp + 1:
            lines.append(f"a=rtcp:{place.rtcp}")
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
