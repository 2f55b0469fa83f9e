"""The layout of a compiled rate file: a header, then columns, sorted by prefix (ADR 49).

A row has at least 36 bytes: its prefix as a number, the row of the next shorter prefix, the price as a scaled integer,
and numbers of what many rows share: the terms (all but prefix, price and area) and the area. What a look-up needs of
the row that it has found stands together, so that it brings in one piece of memory. Numbers are in the byte order of
the machine, for the file is read by the machine that wrote it.

A prefix is a whole number, its key, and keys sort as the prefixes do: four bits for each digit, whose value is that of
the digit and one; zero stands for "no digit". So a prefix sorts directly before the longer ones that begin with it, and
the number of equal leading bits tells how many digits two numbers share.
"""

import sys
import zlib
from functools import lru_cache
from struct import Struct
from typing import Final, Literal, NamedTuple

import msgspec

from vosd.base.errors import VosError
from vosd.base.prefixes import ANY

FORMAT: Final = 6
"""Changes with the layout, with the rules by which a row is read, and with what is computed of a row."""
MAGIC: Final = b"vosdrate"
NO_ROW: Final = 0xFFFF_FFFF
AS_TEXT: Final = 255
"""Decimals of an amount whose number is that of a text: it has too many digits, or a sign."""
NO_AMOUNT: Final = 254
"""Decimals of a first price that does not exist."""
ALWAYS: Final = (-(2**62), 2**62)
"""Validity of a rate without bounds, UTC milliseconds."""
ALIGNMENT: Final = 8

COLUMNS: Final[dict[str, Literal["Q", "q", "I", "B"]]] = {
    "keys": "Q",  # the first 16 digits of the prefix
    "more_keys": "Q",  # the others; empty where no prefix has more
    "block_keys": "Q",  # the first key of every ``BLOCK`` rows, so that a search looks at little memory
    "rows": "B",  # the fields of each row, ``FIELDS``
    "lines": "I",  # line of the source
    "noted": "I",  # rows that a report names
    "large": "I",  # rows whose price is large
    "term_table": "B",
    "text_ends": "Q",
    "texts": "B",
}
"""Name and type of each column."""

BLOCK: Final = 64
"""Rows of a block; a power of two."""


class RowField(NamedTuple):
    """Place of a field in a row."""

    type: Literal["q", "I", "B"]
    place: int
    """Offset in the row, in fields of its type."""
    per_row: int
    """Number of fields of its type that a row has room for."""


ROW_BYTES: Final = 24
FIELDS: Final = {
    "prices": RowField("q", 0, 3),
    "terms": RowField("I", 2, 6),  # position in the table of terms
    "areas": RowField("I", 3, 6),  # number of a text
    "parents": RowField("I", 4, 6),  # the last row of the longest shorter prefix that fits, or NO_ROW
    "lengths": RowField("B", 20, 24),  # digits of the prefix
    "places": RowField("B", 21, 24),  # decimals of the price
}
"""The fields of a row; two bytes are unused."""

TERMS: Final = Struct("=qqqqqqIIIIBBBBBB2x")
"""Validity from and to; first price, tax, connection fee, minimum charge; first duration, cycle, numbers of the texts
of its type and its sections; decimals of the four amounts; whether it is locked, and whether its cycle is that of the
group."""

_PREAMBLE: Final = Struct("=8sII")


class DamagedRateFileError(VosError):
    """The bytes are no rate file of this version of the program, or not all of one."""


class Header(msgspec.Struct, frozen=True):
    """Header before the columns."""

    format: int
    byte_order: str
    rows: int
    version: str
    """Names the content, for bills."""
    per_cycle: bool
    reported: int
    """Problems that the report on rounding has; ``noted`` are their rows."""
    has_windows: bool
    """Whether any rate is not valid always."""
    columns: dict[str, tuple[int, int]]
    """Offset from the end of the header, and size in bytes."""
    body_bytes: int
    digest: str
    """SHA-256 of all columns."""


def encode_header(header: Header) -> bytes:
    """Return the bytes before the columns."""
    text = msgspec.json.encode(header)
    text += b" " * (-(_PREAMBLE.size + len(text)) % ALIGNMENT)
    return _PREAMBLE.pack(MAGIC, len(text), zlib.crc32(text)) + text


def decode_header(start: bytes | memoryview) -> tuple[Header, int]:
    """Return the header and the offset of the columns; ``start`` is at least the first 8 KiB of the file, or all.

    Raises:
        DamagedRateFileError: this is no header.
    """
    if len(start) < _PREAMBLE.size:
        raise DamagedRateFileError("the file is truncated")
    magic, size, checksum = _PREAMBLE.unpack_from(start)
    text = bytes(start[_PREAMBLE.size : _PREAMBLE.size + size])
    if magic != MAGIC or len(text) != size or zlib.crc32(text) != checksum:
        raise DamagedRateFileError("its header is damaged")
    try:
        header = msgspec.json.decode(text, type=Header)
    except msgspec.MsgspecError as error:
        raise DamagedRateFileError(f"its header is that of another version: {error}") from error
    if header.format != FORMAT or header.byte_order != sys.byteorder or set(header.columns) != set(COLUMNS):
        raise DamagedRateFileError("it is of another version")
    return header, _PREAMBLE.size + size


def fields_of(rows: memoryview) -> "dict[str, memoryview[int]]":
    """Return the fields of all rows, each as a view that has one for each row; what is written there goes into it."""
    return {name: rows.cast(field.type)[field.place :: field.per_row] for name, field in FIELDS.items()}


DIGITS: Final = 16
"""Digits of one key of 64 bits; a longer prefix has a second key for the digits behind these."""
DIGITS_MAX: Final = 2 * DIGITS
"""Digits of the longest prefix."""

_OTHER: Final = ord("f")
"""Stands for every character that is no digit, in a called number: no prefix of a rate has one."""
HEX_OF_CHARACTER: Final = bytes(
    ord("123456789a"[code - ord("0")]) if ord("0") <= code <= ord("9") else _OTHER for code in range(256)
)
"""For ``bytes.translate``."""
_DIGIT_OF_HEX: Final = str.maketrans("123456789a", "0123456789")


@lru_cache(maxsize=256)
def keys_of(number: str) -> tuple[int, int]:
    """Return the key of the first 16 digits of a number, and that of the 16 behind them.

    A call looks its number up in many tables, so the latest are remembered.
    """
    size = len(number)
    written = number.encode("ascii", "replace").translate(HEX_OF_CHARACTER)
    if size <= DIGITS:
        return (int(written, 16) << 4 * (DIGITS - size) if size else 0), 0
    return int(written[:DIGITS], 16), int(written[DIGITS:DIGITS_MAX].ljust(DIGITS, b"0"), 16)


def prefix_of(first: int, second: int, length: int) -> str:
    """Return the prefix of these keys; ``*`` where it has no digits."""
    written = f"{first:016x}" if length <= DIGITS else f"{first:016x}{second:016x}"
    return written[:length].translate(_DIGIT_OF_HEX) or ANY
