"""Ring-back of the switch for a caller whose callee rings without media of its own (``local_ring``)."""

from collections.abc import Container
from typing import Final

from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.headers import SDP
from vosd.media.g711 import PAYLOADS
from vosd.media.leg_media import LegMedia
from vosd.media.relay import MediaRelay
from vosd.media.source import RelayPort
from vosd.sdp.media import Place, relayed, with_codecs
from vosd.sdp.security import Protection, protection_of
from vosd.sip.door.door import MessageChange
from vosd.sip.door.messages import Outgoing, OutgoingResponse

_RINGING: Final = range(180, 190)
_OPPOSITE: Final = {b"a=sendonly": b"a=recvonly", b"a=recvonly": b"a=sendonly"}


def ring_back(
    message: Outgoing,
    leg: Leg,
    media: LegMedia,
    relay: MediaRelay,
    address: str,
    delay_ms: int,
    legs: Container[int],
) -> MessageChange | None:
    """Return a ringing response with a description, for a caller that is played ring-back; None for any other message.

    The description answers the caller's offer with G.711 at the port that the caller has anyway, so that the answer of
    the callee changes nothing but the codec. It is put into responses that are not reliable: a reliable one would be
    the only answer (RFC 3262 section 5). The tone begins after a pause, unless media of the callee come before. It
    begins again for the next attempt, because media of the one before may have ended it; ``legs`` are those in use.
    """
    if not isinstance(message, OutgoingResponse) or message.status not in _RINGING or message.body:
        return None
    callee = leg.call.callee
    attempt = None if callee is None else callee.leg.facts.media
    if attempt is None or not attempt.is_relayed or not attempt.settings.local_ring or leg.route_choice is not None:
        return None
    port, source = media.port(0), media.source(0)
    if port is None or port.id < 0 or source is None:
        return None
    session = _answer(bytes(leg.sessions.remote), address, port)
    if session is None:
        return None
    if not media.is_ringing or media.rings_for not in legs:
        media.is_ringing, media.rings_for = True, attempt.number
        relay.play_ring_back(port, delay_ms)
    return MessageChange(headers=message.headers + SDP, body=session)


def _answer(offer: bytes, address: str, port: RelayPort) -> bytes | None:
    """Return an answer to an offer of audio with G.711 as its first medium; None to any other, or with encryption."""
    chosen = with_codecs(offer, tuple(PAYLOADS.values()))
    if (
        not offer
        or protection_of(offer) is not Protection.NONE
        or chosen is None
        or chosen.count(b"\nm=") != 1
        or b"\nm=audio " not in chosen
    ):
        return None
    lines = [_OPPOSITE.get(line.rstrip(), line.rstrip()) for line in chosen.split(b"\n")]
    return relayed(b"\r\n".join(lines), [Place(address, port.rtp, port.rtcp)])
