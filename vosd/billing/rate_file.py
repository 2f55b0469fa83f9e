"""A rate table over the bytes of a compiled file, wherever these are: mapped into memory, usually (ADR 49).

Knows nothing of files. Nothing is read but what a look-up needs, and ``Rate`` objects are made by the look-up.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from vosd.base.money import ZERO
from vosd.base.prefixes import ANY
from vosd.billing.rate_layout import (
    AS_TEXT,
    BLOCK,
    COLUMNS,
    DIGITS,
    NO_AMOUNT,
    NO_ROW,
    TERMS,
    DamagedRateFileError,
    decode_header,
    fields_of,
    keys_of,
    prefix_of,
)
from vosd.billing.rates import Rate
from vosd.billing.sections import RateSection, parse_sections

_STEPS: Final = tuple(Decimal(1).scaleb(-places) for places in range(NO_AMOUNT))
_REMEMBERED: Final = 512
"""Rates, and terms, that each table remembers: making one costs more than finding its row."""


class NotedRate(NamedTuple):
    """A rate that the compiler noted for a report, and its line in the source."""

    rate: Rate
    line: int


class Gone(NamedTuple):
    """The prefixes that another table does not have."""

    number: int
    before: int
    """Prefixes of this table."""
    first: tuple[str, ...]
    """Some of them, in the order of the alphabet."""


class _Terms(NamedTuple):
    begins: int
    ends: int
    first_rate: Decimal | None
    tax_rate: Decimal
    first_duration: int
    billing_cycle: int
    rate_type: str
    others: tuple[Decimal, Decimal, tuple[RateSection, ...], bool, bool]
    """Connection fee, minimum charge, sections, whether it is locked, whether its cycle is that of the group."""


class RateFile:
    """The rates of a compiled file (implements ``billing.ports.RateTable``).

    Several rates may have one prefix, in force at different times. Where their times overlap, the one that came into
    force last has precedence.
    """

    __slots__ = (
        "_areas", "_block_keys", "_has_windows", "_keys", "_large", "_lengths", "_lines", "_made", "_more_keys",
        "_noted", "_parents", "_per_cycle", "_places", "_prices", "_term_table", "_terms", "_terms_made", "_text_ends",
        "_texts", "_texts_made", "reported", "size", "version",
    )  # fmt: skip

    def __init__(self, content: memoryview) -> None:
        """Take the bytes of a whole file, whose digest was checked.

        Raises:
            DamagedRateFileError: the header is damaged, or columns are missing.
        """
        header, begin = decode_header(content)
        if len(content) != begin + header.body_bytes:
            raise DamagedRateFileError("the file is truncated")

        def column(name: str) -> "memoryview[int]":
            offset, size = header.columns[name]
            return content[begin + offset : begin + offset + size].cast(COLUMNS[name])

        self.version: Final = header.version
        self.size: Final = header.rows
        self.reported: Final = header.reported
        """Number of problems in the report on rounding; ``noted`` yields their rates."""
        self._per_cycle = header.per_cycle
        self._has_windows = header.has_windows
        self._keys = column("keys")
        self._block_keys = column("block_keys").tolist()  # a search of objects takes half the time; a byte a rate
        self._more_keys = column("more_keys")
        rows = fields_of(column("rows"))
        self._lengths = rows["lengths"]
        self._parents = rows["parents"]
        self._prices = rows["prices"]
        self._places = rows["places"]
        self._terms = rows["terms"]
        self._areas = rows["areas"]
        self._lines = column("lines")
        self._noted = column("noted")
        self._large = column("large")
        self._term_table = column("term_table")
        self._text_ends = column("text_ends")
        self._texts = column("texts")
        self._made: dict[int, Rate] = {}
        self._terms_made: dict[int, _Terms] = {}
        self._texts_made: dict[int, str] = {}

    def find(self, number: str, wall_ms: int) -> Rate | None:
        """Return the rate in force at ``wall_ms`` whose prefix is the longest that fits ``number``, or None."""
        # Every prefix of the number is a prefix of the greatest key that is not above the number's, too: it lies
        # between both. So one search is enough, and the rows of shorter prefixes are known from there.
        keys, lengths = self._keys, self._lengths
        key, second = keys_of(number)
        end = bisect_right(self._block_keys, key) * BLOCK
        if not end:
            return None
        last = end if end < self.size else self.size  # noqa: FURB136 - a call takes longer
        row = bisect_right(keys, key, end - BLOCK, last) - 1
        common = (64 - (keys[row] ^ key).bit_length()) >> 2
        if common == DIGITS and self._more_keys:
            row, common = self._row_of_long(key, second, row)
        while lengths[row] > common:
            row = self._parents[row]
            if row == NO_ROW:
                return None
        if self._has_windows:
            row = self._in_force(row, wall_ms)
            if row == NO_ROW:
                return None
        return self._made.get(row) or self._make(row, number[: lengths[row]] or ANY)

    def has(self, prefix: str) -> bool:
        """Return whether a rate of exactly this prefix exists, in force or not."""
        digits = "" if prefix == ANY else prefix
        key, second = keys_of(digits)
        row = bisect_right(self._keys, key) - 1
        if row >= 0 and self._more_keys and self._keys[row] == key:
            row, _ = self._row_of_long(key, second, row)
        return row >= 0 and self._is_at(row, key, second) and self._lengths[row] == len(digits)

    def prefixes(self, first: str = "", /) -> Iterator[str]:
        """Yield every prefix, each once and in the order of the alphabet, from ``first`` on."""
        begin = keys_of("" if first == ANY else first)
        before = -1, -1
        keys, more = self._keys, self._more_keys
        for row in range(bisect_left(keys, begin[0]), self.size):
            at = keys[row], more[row] if more else 0
            if at != before and at >= begin:
                before = at
                yield prefix_of(*at, self._lengths[row])

    def noted(self) -> Iterator[NotedRate]:
        """Yield the rates that the report on rounding names, in the order of the source."""
        return self._at(self._noted)

    def large(self) -> Iterator[NotedRate]:
        """Yield the rates whose price is large, in the order of the source."""
        return self._at(self._large)

    def every(self) -> Iterator[NotedRate]:
        """Yield all rates, in the order of the source."""
        return self._at(range(self.size))

    def gone_in(self, other: "RateFile", most: int) -> Gone:
        """Return how many prefixes another table does not have, and the first ``most``; takes time for large ones."""
        if self._more_keys or other._more_keys:
            before = set(self.prefixes())
            names = sorted(before.difference(other.prefixes()))
            return Gone(len(names), len(before), tuple(names[:most]))
        before_keys = set(self._keys.tolist())
        gone = before_keys.difference(other._keys.tolist())
        first = sorted(gone)[:most]
        rows = (bisect_left(self._keys, key) for key in first)
        return Gone(
            len(gone), len(before_keys), tuple(prefix_of(self._keys[row], 0, self._lengths[row]) for row in rows)
        )

    def _row_of_long(self, key: int, second: int, last: int) -> tuple[int, int]:
        """Return the row not above a number of more than 16 digits, and how many digits it shares with the number."""
        first = bisect_left(self._keys, key, 0, last + 1)
        row = bisect_right(self._more_keys, second, first, last + 1) - 1
        if row < first:
            row = first - 1
            if row < 0:
                return 0, -1
            return row, (64 - (self._keys[row] ^ key).bit_length()) >> 2
        return row, DIGITS + ((64 - (self._more_keys[row] ^ second).bit_length()) >> 2)

    def _in_force(self, row: int, wall_ms: int) -> int:
        """Return the first row in force: of this prefix, else of a shorter one."""
        while row != NO_ROW:
            terms = self._terms_of(self._terms[row])
            if terms.begins <= wall_ms < terms.ends:
                return row
            more = self._more_keys[row] if self._more_keys else 0
            row = row - 1 if row and self._is_at(row - 1, self._keys[row], more) else self._parents[row]
        return NO_ROW

    def _is_at(self, row: int, key: int, second: int) -> bool:
        return bool(self._keys[row] == key and (not self._more_keys or self._more_keys[row] == second))

    def _at(self, rows: "memoryview | range") -> Iterator[NotedRate]:
        lines = self._lines
        for row in sorted(rows, key=lines.__getitem__):
            more = self._more_keys[row] if self._more_keys else 0
            prefix = prefix_of(self._keys[row], more, self._lengths[row])
            yield NotedRate(self._make(row, prefix), lines[row])

    def _make(self, row: int, prefix: str) -> Rate:
        made = self._made
        if len(made) >= _REMEMBERED:
            made.clear()
        number = self._terms[row]
        terms = self._terms_made.get(number) or self._terms_of(number)
        places = self._places[row]
        area = self._areas[row]
        rate = made[row] = Rate(
            prefix,
            Decimal(self._prices[row]) * _STEPS[places]
            if places != AS_TEXT
            else self._amount(self._prices[row], places),
            terms[5],
            self._per_cycle,
            terms[2],
            terms[4],
            terms[3],
            self._texts_made.get(area) or self._text(area),
            terms[6],
            *terms[7],
        )
        return rate

    def _terms_of(self, number: int) -> _Terms:
        terms = self._terms_made.get(number)
        if terms is not None:
            return terms
        (
            begins, ends, first, tax, connection, least, first_duration, cycle, kind, sections,
            first_places, tax_places, connection_places, least_places, locked, cycle_of_group,
        ) = TERMS.unpack_from(self._term_table, number * TERMS.size)  # fmt: skip
        written = self._text(sections)
        terms = _Terms(
            begins,
            ends,
            None if first_places == NO_AMOUNT else self._amount(first, first_places),
            self._amount(tax, tax_places) if tax or tax_places else ZERO,
            first_duration,
            cycle,
            self._text(kind),
            (
                self._amount(connection, connection_places) if connection or connection_places else ZERO,
                self._amount(least, least_places) if least or least_places else ZERO,
                parse_sections(written) if written else (),
                bool(locked),
                bool(cycle_of_group),
            ),
        )
        if len(self._terms_made) >= _REMEMBERED:
            self._terms_made.clear()
        self._terms_made[number] = terms
        return terms

    def _amount(self, number: int, places: int) -> Decimal:
        return Decimal(self._text(number)) if places == AS_TEXT else Decimal(number) * _STEPS[places]

    def _text(self, number: int) -> str:
        begin = self._text_ends[number - 1] if number else 0
        text = str(self._texts[begin : self._text_ends[number]], "utf-8")
        if len(self._texts_made) >= _REMEMBERED:
            self._texts_made.clear()
        self._texts_made[number] = text
        return text
