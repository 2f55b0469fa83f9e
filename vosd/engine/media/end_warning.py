"""The tone that warns a side of the end of its call, at the relay of the switch."""

from typing import Final

from vosd.b2bua.leg import Leg
from vosd.engine.media.key_conversion import are_encrypted
from vosd.media.g711 import PAYLOADS
from vosd.media.leg_media import PlayedSound
from vosd.media.relay import MediaRelay
from vosd.media.warning_tone import TONE_MS

END_WARNING: Final = "end_warning"
"""Name of the tone in records."""
_NO_STREAM: Final = -1


def warn_of_end(leg: Leg, other: Leg, relay: MediaRelay) -> None:
    """Warn a side that talks to another one, and note that for the record.

    It is not warned in a fax, in media that the parties encrypt, nor in another codec than G.711. One that holds, or is
    held without music, is sent no packets that are not forwarded to it anyway: it may play none.
    """
    media, theirs = leg.facts.media, other.facts.media
    if media is None or theirs is None or are_encrypted(leg, other):
        return
    port, source, sender = media.audio_port, media.audio_source, theirs.audio_source
    far = theirs.audio_port
    if port is None or far is None or port.id < 0 or source is None or sender is None:
        return
    agreed = [each for each in source.taken()[0] if each in PAYLOADS and each in sender.taken()[0]]
    in_use = relay.figures(far).payload
    if not agreed or (in_use is not None and in_use not in PAYLOADS):
        return
    payload = agreed[0] if in_use is None else in_use
    if relay.warn(port, _NO_STREAM if media.is_held or theirs.is_held else payload):
        media.note_played(PlayedSound(END_WARNING, PAYLOADS[payload], TONE_MS))
