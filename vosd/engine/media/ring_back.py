"""Ring-back of the switch for a caller whose callee rings, until media of the callee come (``local_ring``)."""

from collections.abc import Container
from typing import Final

from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.headers import SDP
from vosd.engine.media.passing_session import limited
from vosd.media.g711 import PAYLOADS
from vosd.media.leg_media import LegMedia
from vosd.media.relay import MediaRelay
from vosd.sdp.answering import playable_audio, sound_answer
from vosd.sdp.media import Place
from vosd.sdp.security import Protection, protection_of
from vosd.sip.door.door import MessageChange
from vosd.sip.door.messages import Outgoing

_G711: Final = frozenset(name.lower() for name in PAYLOADS.values())


def ringing_callee(leg: Leg) -> Leg | None:
    """Return the leg that rings without media, so that its caller is to be played ring-back; None = it does not.

    One that has described its media has them, also where it rings again.
    """
    callee = leg.call.callee
    attempt = None if callee is None else callee.leg.facts.media
    if callee is None or attempt is None or leg.route_choice is not None:
        return None
    is_wanted = attempt.is_relayed and attempt.settings.local_ring and not any(attempt.sources)
    return callee.leg if is_wanted else None


def ringing_offer(leg: Leg, media: LegMedia, attempt: LegMedia) -> bytes | None:
    """Return the offer of a caller with the codecs that both trunks may use; None if it has not one medium alone."""
    offer = limited(bytes(leg.sessions.remote), media, attempt)
    return offer if offer is not None and offer.count(b"\nm=") == 1 else None


def ring_back(
    message: Outgoing,
    leg: Leg,
    attempt: LegMedia,
    media: LegMedia,
    relay: MediaRelay,
    address: str,
    delay_ms: int,
    legs: Container[int],
) -> MessageChange | None:
    """Return a ringing response with a description, for a caller that is played ring-back; None = it is not.

    The response is not a reliable one, in which the description would be the only answer (RFC 3262 section 5). It
    answers the caller's offer with G.711 at the port that the caller has anyway. The tone begins after a pause, unless
    media of the callee come before. It begins again for the next attempt, because media of the one before may have
    ended it; ``legs`` are those in use.
    """
    port, offer = media.audio_port, ringing_offer(leg, media, attempt)
    if port is None or port.id < 0 or offer is None or protection_of(offer) is not Protection.NONE:
        return None
    audio = playable_audio(offer, _G711)
    if audio is None or audio.payload not in PAYLOADS:
        return None
    if not media.is_ringing or media.rings_for not in legs:
        media.is_ringing, media.rings_for = True, attempt.number
        relay.play_ring_back(port, delay_ms, audio.payload)
    session = sound_answer(offer, audio, Place(address, port.rtp, port.rtcp), media.number)
    return MessageChange(headers=message.headers + SDP, body=session)


def begin_described(media: LegMedia, attempt: LegMedia, session: bytes, relay: MediaRelay, delay_ms: int) -> None:
    """Play ring-back to a caller that is sent its callee's own description: not all that have one send media.

    The tone is G.711 that both sides take, and ends with the first packet of the callee. It begins once for each
    attempt: a description that is repeated, or another fork's, may follow media that have ended it.
    """
    if media.rings_for == attempt.number:
        return
    port, source = media.audio_port, media.audio_source
    if port is None or port.id < 0 or source is None or protection_of(session) is not Protection.NONE:
        return
    audio = playable_audio(session, _G711)
    if audio is None or audio.place != media.audio or audio.payload not in PAYLOADS:
        return
    if audio.payload in source.taken()[0]:
        media.is_ringing, media.rings_for = True, attempt.number
        relay.play_ring_back(port, delay_ms, audio.payload)
