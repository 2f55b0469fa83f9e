"""Sounds that the switch plays: files as whole packets of each codec, made once and shared by all listeners."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from vosd.media.g711 import RATE, encoded_array
from vosd.media.wav import BadSoundError, WavAudio, samples_of_wav

SOUND_MS_MAX: Final = 600_000
"""Longest sound: ten minutes of music."""
ANNOUNCEMENT_MS_MAX: Final = 30_000
"""Longest announcement before a call is refused."""
GATEWAY_SOUND_MS_MAX: Final = 180_000
"""Longest announcement of a routing gateway: other switches give an unanswered INVITE so long (RFC 3261 timer C)."""
WARNING_MS_MAX: Final = 5_000
"""Longest sound that warns of the end of a call: the other side is not understood meanwhile."""
FILE_BYTES_MAX: Final = 16 * SOUND_MS_MAX + 65_536
"""Largest file: ten minutes with 16 bits, and a head."""
ALL_BYTES_MAX: Final = 64 << 20
"""Most bytes of all sounds in all codecs together."""


class SoundCodec(NamedTuple):
    """A codec with frames of one size."""

    name: str
    """Encoding name of session descriptions."""
    packet_bytes: int
    packet_ms: int
    frame_bytes: int
    """The least number of bytes that can be cut out."""


G711: Final = (SoundCodec("PCMU", 160, 20, 1), SoundCodec("PCMA", 160, 20, 1))
READY_MADE: Final = {
    "g729": SoundCodec("G729", 20, 20, 10),
    "g722": SoundCodec("G722", 160, 20, 1),
    "gsm": SoundCodec("GSM", 33, 20, 33),
    "g723": SoundCodec("G723", 24, 30, 24),
}
"""Codecs of files with raw frames, by the ending of their names; G.723.1 with 6.3 kbit/s."""
_TOO_LONG: Final = f"a sound of at most {SOUND_MS_MAX // 1_000} seconds"
_SILENCE: Final = {"PCMU": b"\xff", "PCMA": b"\xd5"}
_DIGEST_BYTES: Final = 16


class EncodedSound:
    """A sound in one codec.

    It is no struct: the version of a catalogue has its digest, which is its text, instead of megabytes.
    """

    __slots__ = ("codec", "content", "digest")

    def __init__(self, codec: SoundCodec, content: bytes) -> None:
        """``content`` are the payloads of whole packets."""
        self.codec = codec
        self.content = content
        self.digest = blake2b(codec.name.encode() + b"\n" + content, digest_size=_DIGEST_BYTES).hexdigest()
        """Digest of codec and content: the same sound has the same one after a restart."""

    def __str__(self) -> str:
        return self.digest

    @property
    def duration_ms(self) -> int:
        """Duration."""
        return len(self.content) // self.codec.packet_bytes * self.codec.packet_ms


class Sound(msgspec.Struct, frozen=True, weakref=True):
    """A sound in all codecs that there are files for."""

    name: str
    by_codec: Mapping[str, EncodedSound]
    """By encoding name in lower case."""
    file: str = ""
    """Path of the file that is named, which an rtpengine reads itself; empty = there is none."""

    @property
    def duration_ms(self) -> int:
        """Duration of the longest file."""
        return max((each.duration_ms for each in self.by_codec.values()), default=0)

    @property
    def size(self) -> int:
        """Bytes of all codecs together."""
        return sum(len(each.content) for each in self.by_codec.values())

    def in_one_of(self, codecs: Iterable[str]) -> EncodedSound | None:
        """Return it in the first codec that there is a file for; None = there is none."""
        return next((found for each in codecs if (found := self.by_codec.get(each.lower())) is not None), None)


def encoded_wav(content: bytes) -> list[EncodedSound]:
    """Return a WAV file in both codecs of G.711.

    Raises:
        BadSoundError: it cannot be played.
    """
    audio = samples_of_wav(content)
    if audio.samples * 1_000 // RATE > SOUND_MS_MAX:  # before the work of encoding it
        raise BadSoundError(_TOO_LONG)
    return [_encoded(codec, _as_g711(audio, codec.name)) for codec in G711]


def encoded_frames(content: bytes, codec: SoundCodec) -> EncodedSound:
    """Return a file of raw frames; what is behind the last whole packet is left out.

    Raises:
        BadSoundError: it has no packet, or frames of another kind.
    """
    whole = content[: len(content) // codec.packet_bytes * codec.packet_bytes]
    if not whole:
        raise BadSoundError(f"raw frames of {codec.name}, {codec.packet_bytes} bytes for {codec.packet_ms} ms")
    if content[:4] == b"RIFF":
        raise BadSoundError(f"raw frames of {codec.name}, not a WAV file")
    if codec.name == "G723" and any(first & 3 for first in whole[:: codec.packet_bytes]):
        raise BadSoundError("frames of G.723.1 with 6.3 kbit/s, 24 bytes each")
    if codec.name == "GSM" and any(first >> 4 != 0xD for first in whole[:: codec.packet_bytes]):
        raise BadSoundError("frames of GSM 06.10, 33 bytes each")
    return _encoded(codec, whole)


def _encoded(codec: SoundCodec, content: bytes) -> EncodedSound:
    if len(content) // codec.packet_bytes * codec.packet_ms > SOUND_MS_MAX:
        raise BadSoundError(_TOO_LONG)
    return EncodedSound(codec, content)


def _as_g711(audio: WavAudio, codec: str) -> bytes:
    """Return samples in G.711, with silence up to the end of the last packet."""
    octets = audio.content if audio.codec == codec else b"".join(encoded_array(part, codec) for part in audio.linear())
    packet = G711[0].packet_bytes
    return octets + _SILENCE[codec] * (-len(octets) % packet)
