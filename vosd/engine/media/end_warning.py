"""The tone that warns a side of the end of its call, at the relay of the switch."""

from collections.abc import Iterator
from typing import Final

from vosd.b2bua.leg import Leg
from vosd.engine.media.key_conversion import are_encrypted
from vosd.media.g711 import PAYLOADS, RATE
from vosd.media.leg_media import PlayedSound
from vosd.media.relay import MediaRelay
from vosd.media.sounds import EncodedSound, Sound
from vosd.media.source import MediaSource
from vosd.media.warning_tone import TONE_MS
from vosd.sdp.media import ALWAYS_KEPT

END_WARNING: Final = "end_warning"
"""Name of the beeps in records."""
_NO_STREAM: Final = -1


def warn_of_end(leg: Leg, other: Leg, relay: MediaRelay, sound: Sound | None) -> None:
    """Warn a side that talks to another one by a sound, or in G.711 by beeps, and note that for the record.

    It is not warned in a fax, in media that the parties encrypt, nor in a codec that there is nothing for. One that
    holds, or is held without music, is sent no packets that are not forwarded to it anyway: it may play none. The
    record says of none that holds that it was warned: it takes no media.
    """
    media, theirs = leg.facts.media, other.facts.media
    if media is None or theirs is None or are_encrypted(leg, other):
        return
    port, source, sender = media.audio_port, media.audio_source, theirs.audio_source
    far = theirs.audio_port
    if port is None or far is None or port.id < 0 or source is None or sender is None:
        return
    agreed = dict(_agreed(source, sender, sound))
    in_use = relay.figures(far).payload
    numbers, _, codecs = source.taken()
    audio = {number for number, codec in zip(numbers, codecs, strict=True) if codec.lower() not in ALWAYS_KEPT}
    # Else the most frequent one is of a description before, or its sender is silent but for comfort noise.
    payload = in_use if in_use in audio else next(iter(agreed), None)
    if payload is None or payload not in agreed:
        return
    encoded = {number: each for number, each in agreed.items() if each is not None}
    is_silent = media.is_held or theirs.is_held
    if relay.warn(port, _NO_STREAM if is_silent else payload, encoded) and not media.is_held:
        found = agreed[payload]
        if sound is None or found is None:
            media.note_played(PlayedSound(END_WARNING, PAYLOADS[payload], TONE_MS))
        else:
            media.note_played(PlayedSound(sound.name, found.codec.name, found.duration_ms))


def _agreed(source: MediaSource, sender: MediaSource, sound: Sound | None) -> Iterator[tuple[int, EncodedSound | None]]:
    """Yield payload types of a side whose codecs both sides have named, and the sound in each; None = beeps."""
    theirs = {codec.lower() for codec in sender.taken()[2]}
    for payload, clock, codec in zip(*source.taken(), strict=True):
        found = None if sound is None or clock != RATE else sound.by_codec.get(codec.lower())
        if codec.lower() in theirs and (found is not None or payload in PAYLOADS):
            yield payload, found
