"""Audio of WAV files (RIFF WAVE) as samples of G.711's rate: linear with 8 or 16 bits, or G.711, with one channel.

Files are written by people and by programs that were interrupted: sizes in them are not trusted.
"""

from array import array
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from vosd.base.parts import give_way
from vosd.media.g711 import RATE, linear

_RIFF: Final = Struct("<4sI4s")
_CHUNK: Final = Struct("<4sI")
_FORMAT: Final = Struct("<HHIIHH")
"""Format, channels, samples a second, bytes a second, bytes of a frame, bits of a sample."""
_LINEAR: Final = 1
_CODECS: Final = {6: "PCMA", 7: "PCMU"}
_EXTENSIBLE: Final = 0xFFFE
_SUBFORMAT_AT: Final = 24
"""Place of the number of an extensible format: behind the size of the extension, the bits and the channel mask."""
_CHUNKS_MAX: Final = 1_000
_PART: Final = 8_000
"""Samples that are converted at once: other threads wait for so long."""


class BadSoundError(ValueError):
    """A file that cannot be played; the text is what was expected."""


class WavAudio(NamedTuple):
    """Audio of a file: as octets of G.711 where it has those, else linear with 16 bits."""

    codec: str | None
    """``PCMU`` or ``PCMA``; None = linear."""
    content: bytes

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.content) // (1 if self.codec else 2)

    def linear(self) -> Iterator["array[int]"]:
        """Yield linear samples, a part at a time."""
        size = _PART if self.codec else 2 * _PART
        for begin in range(0, len(self.content), size):
            part = self.content[begin : begin + size]
            if self.codec is None:
                samples = array("h")
                samples.frombytes(part)
                yield samples
            else:
                yield linear(part, self.codec)
            give_way()


def samples_of_wav(content: bytes) -> WavAudio:
    """Return the samples of a WAV file.

    Raises:
        BadSoundError: it is none, has another rate, several channels, another encoding, or no samples.
    """
    if len(content) < _RIFF.size:
        raise BadSoundError("a WAV file (RIFF WAVE)")
    riff, _, kind = _RIFF.unpack_from(content)
    if (riff, kind) != (b"RIFF", b"WAVE"):
        raise BadSoundError("a WAV file (RIFF WAVE)")
    format_chunk: bytes | None = None
    for name, chunk in _chunks(content):
        if name == b"fmt ":
            format_chunk = chunk
        elif name == b"data":
            if format_chunk is None:
                raise BadSoundError("a WAV file with its format (fmt) before its samples (data)")
            return _samples(format_chunk, chunk)
    raise BadSoundError("a WAV file with samples (data)")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and contents; one that is longer than the file ends with it, as one that was never completed."""
    at = _RIFF.size
    for _ in range(_CHUNKS_MAX):
        if at + _CHUNK.size > len(content):
            return
        name, size = _CHUNK.unpack_from(content, at)
        at += _CHUNK.size
        yield name, content[at : at + size]
        at += size + size % 2


def _samples(chunk: bytes, data: bytes) -> WavAudio:
    if len(chunk) < _FORMAT.size:
        raise BadSoundError("a WAV file whose format (fmt) has 16 bytes or more")
    number, channels, rate, _, _, bits = _FORMAT.unpack_from(chunk)
    if number == _EXTENSIBLE and len(chunk) >= _SUBFORMAT_AT + 2:
        number = int.from_bytes(chunk[_SUBFORMAT_AT : _SUBFORMAT_AT + 2], "little")
    if channels != 1:
        raise BadSoundError(f"one channel (mono), not {channels}")
    if rate != RATE:
        raise BadSoundError(f"{RATE} samples a second, not {rate}")
    codec = _CODECS.get(number)
    if (number, bits) == (_LINEAR, 8):
        data = _from_8_bits(data)
    elif (number, bits) == (_LINEAR, 16):
        data = data[: len(data) // 2 * 2]
    elif codec is None or bits != 8:
        raise BadSoundError(f"linear samples of 8 or 16 bits, or G.711, not format {number} with {bits} bits")
    if not data:
        raise BadSoundError("a WAV file with samples (data)")
    return WavAudio(codec, data)


def _from_8_bits(data: bytes) -> bytes:
    """Return samples of 16 bits, in the order of bytes of a file; those of 8 bits are unsigned."""
    wide = bytearray(2 * len(data))
    wide[1::2] = data.translate(_SIGNED)
    return bytes(wide)


_SIGNED: Final = bytes(value ^ 0x80 for value in range(256))
