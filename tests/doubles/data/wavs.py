"""WAV files for tests."""

import math
from array import array
from struct import pack

LINEAR = 1
A_LAW = 6
MU_LAW = 7


def tone(duration_ms: int = 200, hertz: int = 440, amplitude: int = 8_000) -> "array[int]":
    """Return samples of a tone."""
    return array("h", (int(amplitude * math.sin(math.tau * hertz * at / 8_000)) for at in range(8 * duration_ms)))


def wav(
    data: bytes | None = None,
    *,
    format_number: int = LINEAR,
    bits: int = 16,
    channels: int = 1,
    rate: int = 8_000,
    before: bytes = b"",
    size: int | None = None,
) -> bytes:
    """Return a file; ``before`` are chunks before its format, ``size`` is the size of its samples as it says it."""
    data = tone().tobytes() if data is None else data
    frame = channels * bits // 8
    chunks = before + b"fmt " + pack("<IHHIIHH", 16, format_number, channels, rate, rate * frame, frame, bits)
    chunks += b"data" + pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
