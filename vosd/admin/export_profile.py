"""Form of calls for another program: columns, format, times, money, filters.

Made by ``config.export_profile`` from a file, or ``PLAIN``. It does not know files and databases.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from vosd.cdr.columns import COLUMNS, KEYS
from vosd.cdr.kinds import Column, ColumnKind

CORRECTED: Final = Column(
    "corrected", ColumnKind.NUMBER, 32, False, "how many corrections of its charges there were so far"
)
"""A column that only exports have."""
EXPORTED: Final[Mapping[str, Column]] = {column.name: column for column in (*COLUMNS, CORRECTED)}
"""Every column that a profile may name."""


class Format(Enum):
    """Form of a file; the value is its ending, too."""

    CSV = "csv"
    JSON_LINES = "jsonl"


class Quoting(Enum):
    """The cells of CSV that stand in quotes."""

    MINIMAL = "minimal"
    ALL = "all"


class LineEnd(Enum):
    """Ends of a line."""

    LF = "lf"
    CRLF = "crlf"


class TimeForm(Enum):
    """Forms of times that are no pattern."""

    ISO = "iso"
    """With milliseconds, and ``Z`` or the offset of the zone."""
    EPOCH_MS = "epoch_ms"
    EPOCH = "epoch"
    """Whole seconds, cut."""


class Compression(Enum):
    """Kinds of compression of a file."""

    NONE = "none"
    GZIP = "gzip"


class ExportColumn(NamedTuple):
    """A column of the file: one of ``EXPORTED``, or the same text in every line."""

    title: str
    source: str | None
    constant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportProfile:
    """A profile that is read."""

    name: str = "cdr"
    """Beginning of the names of files."""
    digest: str | None = None
    """SHA-256 of the profile's file; None = there is none."""
    format: Format = Format.CSV
    columns: tuple[ExportColumn, ...] = tuple(ExportColumn(name, name) for name in KEYS)
    delimiter: str = ","
    quoting: Quoting = Quoting.MINIMAL
    header: bool = True
    line_end: LineEnd = LineEnd.LF
    time_form: TimeForm | str = TimeForm.ISO
    """Or a pattern of ``strftime``."""
    zone: ZoneInfo | None = None
    """None = UTC."""
    decimals: int | None = None
    """Decimals of amounts; None = the exact amount, at least two."""
    decimal_comma: bool = False
    answered_only: bool = False
    customers: frozenset[str] = frozenset()
    """Only calls that these accounts pay for; empty = all."""
    vendors: frozenset[str] = frozenset()
    """Only calls that these accounts carried; empty = all."""
    max_rows: int = 100_000
    """Calls of a file."""
    compression: Compression = Compression.NONE

    @property
    def ending(self) -> str:
        """The ending of a file's name."""
        return f".{self.format.value}{'.gz' if self.compression is Compression.GZIP else ''}"


PLAIN: Final = ExportProfile()
"""All columns as ``vosd cdr list --csv`` writes them."""
