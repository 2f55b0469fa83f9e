"""Rates as columns in the order in which they are read, and from there the bytes of a rate file.

Rows are taken many at a time as columns, or one by one as ``Rate``; both end in the same bytes.
"""

import hashlib
import sys
from array import array
from binascii import unhexlify
from collections.abc import Callable, Iterator, Sequence, Set
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from vosd.billing.rate_layout import (
    ALIGNMENT,
    ALWAYS,
    AS_TEXT,
    BLOCK,
    COLUMNS,
    DIGITS,
    DIGITS_MAX,
    FORMAT,
    HEX_OF_CHARACTER,
    NO_AMOUNT,
    ROW_BYTES,
    TERMS,
    Header,
    encode_header,
    fields_of,
    keys_of,
    prefix_of,
)
from vosd.billing.rate_sorting import equal_to_next, parents_of, sorted_rows
from vosd.billing.rates import Rate
from vosd.billing.sections import format_sections

MANTISSA_MAX: Final = 2**63 - 1
"""Largest number of a ``Scaled``."""
_FILLED: Final = f"%-{DIGITS}s"
_PAD: Final = HEX_OF_CHARACTER[:32] + b"0" + HEX_OF_CHARACTER[33:]
"""``HEX_OF_CHARACTER`` with the blank, which fills a prefix up, as "no digit"."""


class Note(NamedTuple):
    """Facts about a row by which a report finds it again."""

    problems: int = 0
    """Number of its entries in the report on rounding."""
    is_large: bool = False


NOTHING: Final = Note()


class Scaled(NamedTuple):
    """An amount as a whole number and its decimals, so that no digit is lost, zeros at the end included."""

    number: int
    places: int


class Repeated(NamedTuple):
    """Two rows with the same prefix, of which only one may be: the line of the earlier, the line of the later."""

    prefix: str
    first_line: int
    line: int


class RateColumns:
    """Collects rates; ``encoded`` sorts them."""

    def __init__(self, *, per_cycle: bool) -> None:
        self._per_cycle = per_cycle
        self._keys = array("Q")
        self._more_keys: dict[int, int] = {}
        """By row, of prefixes with more than 16 digits."""
        self._lengths = array("B")
        self._prices = array("q")
        self._places = array("B")
        self._terms = array("I")
        self._areas = array("I")
        self._named_by: dict[int, str] = {}
        """By row, of those without an area of their own: the prefix whose row names it."""
        self._lines = array("I")
        self._notes: dict[int, Note] = {}
        self._texts: dict[str, int] = {}
        self._term_table: dict[bytes, int] = {}
        self._has_windows = False
        self._sorted: tuple[Sequence[int], Sequence[int]] = range(0), ()

    def __len__(self) -> int:
        return len(self._keys)

    def text(self, text: str) -> int:
        """Return the number of a text, of which each is kept once."""
        return self._texts.setdefault(text, len(self._texts))

    def terms(self, rate: Rate, begins: int = ALWAYS[0], ends: int = ALWAYS[1]) -> int:
        """Return the number of a rate's terms: all but prefix, price and area; valid from ``begins`` until ``ends``."""
        first = (0, NO_AMOUNT) if rate.first_rate is None else self.scaled(rate.first_rate)
        tax, connection, least = map(self.scaled, (rate.tax_rate, rate.connection_fee, rate.minimum_charge))
        record = TERMS.pack(
            begins, ends, first[0], tax.number, connection.number, least.number, rate.first_duration,
            rate.billing_cycle, self.text(rate.rate_type), self.text(format_sections(rate.sections)),
            first[1], tax.places, connection.places, least.places, rate.locked,
            rate.has_cycle_of_group,
        )  # fmt: skip
        self._has_windows = self._has_windows or (begins, ends) != ALWAYS
        return self._term_table.setdefault(record, len(self._term_table))

    def scaled(self, amount: Decimal) -> Scaled:
        """Return an amount as it is kept in a column."""
        sign, digits, exponent = amount.as_tuple()
        if isinstance(exponent, int) and not sign and -NO_AMOUNT < exponent <= 0:
            number = int("".join(map(str, digits)))
            if number <= MANTISSA_MAX:
                return Scaled(number, -exponent)
        return Scaled(self.text(str(amount)), AS_TEXT)

    def add(
        self, rate: Rate, line: int = 0, begins: int = ALWAYS[0], ends: int = ALWAYS[1], note: Note = NOTHING
    ) -> None:
        """Add one rate."""
        digits = "" if rate.prefix == "*" else rate.prefix
        first, second = keys_of(digits)
        if note != NOTHING:
            self._notes[len(self)] = note
        if len(digits) > DIGITS:
            self._more_keys[len(self)] = second
        price = self.scaled(rate.billing_rate)
        self._keys.append(first)
        self._lengths.append(len(digits))
        self._prices.append(price.number)
        self._places.append(price.places)
        self._terms.append(self.terms(rate, begins, ends))
        self._areas.append(self.text(rate.area))
        self._lines.append(line)

    def extend(
        self,
        prefixes: Sequence[str],
        lengths: Sequence[int],
        prices: "array[int]",
        places: bytes,
        terms: "array[int]",
        areas: "array[int]",
        lines: Sequence[int],
    ) -> None:
        """Add rates by columns; each prefix is 1 to 16 ASCII digits, and ``lengths`` are their numbers."""
        filled = (_FILLED * len(prefixes) % tuple(prefixes)).encode().translate(_PAD)
        keys = array("Q", unhexlify(filled))
        if sys.byteorder == "little":
            keys.byteswap()
        self._keys.extend(keys)
        self._lengths.frombytes(bytes(lengths))
        self._prices.extend(prices)
        self._places.frombytes(places)
        self._terms.extend(terms)
        self._areas.extend(areas)
        self._lines.extend(lines)

    def take_area_of(self, prefix: str, row: int) -> None:
        """Let a row, by the number of rows before it, have the area of another prefix; its digits if that has none."""
        self._named_by[row] = prefix

    def note(self, row: int, note: Note) -> None:
        """Note a row, by the number of rows before it."""
        self._notes[row] = note

    def repeated(self) -> Iterator[Repeated]:
        """Yield rows whose prefix an earlier line has too, coming into force at the same moment."""
        order, keys = self._in_order()
        if isinstance(order, range):
            return
        begins = self._begins()

        def name(row: int) -> tuple[int, int, int]:
            return *self._key(row), begins[self._terms[row]]

        if not any(name(order[place]) == name(order[place + 1]) for place in equal_to_next(keys)):
            return
        for _, rows in groupby(order, name):
            first, *others = sorted(rows, key=self._lines.__getitem__)
            for row in others:
                prefix = prefix_of(*self._key(row), self._lengths[row])
                yield Repeated(prefix, self._lines[first], self._lines[row])

    def encoded(self) -> list[bytes | bytearray]:
        """Return the file in parts, to be written one after the other."""
        order, keys = self._in_order()
        picked = _picker(order)
        more = [self._more_keys.get(row, 0) for row in order] if self._more_keys else []
        columns: dict[str, bytes | bytearray] = {
            "keys": array("Q", keys).tobytes(),
            "block_keys": array("Q", keys[::BLOCK]).tobytes(),
            "more_keys": array("Q", more).tobytes(),
            "rows": self._rows(picked, keys, more),
            "lines": picked(self._lines).tobytes(),
            "noted": self._where(order, {row for row, note in self._notes.items() if note.problems}),
            "large": self._where(order, {row for row, note in self._notes.items() if note.is_large}),
            "term_table": b"".join(self._term_table),
        }
        texts = [text.encode() for text in self._texts]
        ends, end = array("Q"), 0
        for text in texts:
            end += len(text)
            ends.append(end)
        columns["text_ends"], columns["texts"] = ends.tobytes(), b"".join(texts)
        return self._whole(columns)

    def _rows(self, picked: "_Picker", keys: Sequence[int], more: Sequence[int]) -> bytearray:
        """Return the fields of all rows in the order of the file."""
        rows = bytearray(ROW_BYTES * len(keys))
        fields = fields_of(memoryview(rows))
        for name, column in (
            ("lengths", self._lengths),
            ("prices", self._prices),
            ("places", self._places),
            ("terms", self._terms),
            ("areas", self._named_areas()),
        ):
            fields[name][:] = picked(column)
        fields["parents"][:] = _parents(keys, more, fields["lengths"].tobytes())
        return rows

    def _whole(self, columns: dict[str, bytes | bytearray]) -> list[bytes | bytearray]:
        digest = hashlib.sha256()
        version = hashlib.sha256(b"per cycle" if self._per_cycle else b"per minute")
        parts: list[bytes | bytearray] = []
        places: dict[str, tuple[int, int]] = {}
        offset = 0
        for name in COLUMNS:
            content = columns[name]
            places[name] = offset, len(content)
            padding = b"\0" * (-len(content) % ALIGNMENT)
            for part in (content, padding):
                digest.update(part)
            parts += (content, padding)
            offset += len(content) + len(padding)
            if name not in {"lines", "noted", "large"}:
                version.update(content)
        header = Header(
            FORMAT,
            sys.byteorder,
            len(self),
            version.hexdigest()[:16],
            self._per_cycle,
            sum(note.problems for note in self._notes.values()),
            self._has_windows,
            places,
            offset,
            digest.hexdigest(),
        )
        return [encode_header(header), *parts]

    def _in_order(self) -> tuple[Sequence[int], Sequence[int]]:
        """Return the rows in the order of prefix, then of when they come into force, then of their lines; their keys.

        The keys are those of the first 16 digits.
        """
        order, keys = self._sorted
        if len(order) != len(self):
            given = self._keys.tolist()
            begins = [*map(self._begins().__getitem__, self._terms)] if self._has_windows else None
            order = sorted_rows(given, self._more_keys, begins)
            keys = given if isinstance(order, range) else [*map(given.__getitem__, order)]
            self._sorted = order, keys
        return order, keys

    def _begins(self) -> Sequence[int]:
        """Return when each entry of the table of terms comes into force."""
        return [TERMS.unpack(record)[0] for record in self._term_table]

    def _key(self, row: int) -> tuple[int, int]:
        return self._keys[row], self._more_keys.get(row, 0)

    def _named_areas(self) -> "array[int]":
        """Return the areas of all rows, those included that are named by another row."""
        if not self._named_by:
            return self._areas
        unnamed = self.text("")
        found = {(*keys_of(prefix), len(prefix)): unnamed for prefix in self._named_by.values()}
        for row, area in enumerate(self._areas):
            key = (*self._key(row), self._lengths[row])
            if area != unnamed and found.get(key) == unnamed:
                found[key] = area
        areas = self._areas[:]
        for row, prefix in self._named_by.items():
            named = found[(*keys_of(prefix), len(prefix))]
            areas[row] = self.text(prefix) if named == unnamed else named
        return areas

    @staticmethod
    def _where(order: Sequence[int], rows: Set[int]) -> bytes:
        return array("I", [position for position, row in enumerate(order) if row in rows] if rows else []).tobytes()


_Picker = Callable[["array[int]"], "array[int]"]


def _picker(order: Sequence[int]) -> _Picker:
    """Return what puts a column into an order."""
    if isinstance(order, range):
        return lambda column: column
    pick = itemgetter(*order)
    return lambda column: array(column.typecode, pick(column))


def _parents(keys: Sequence[int], more: Sequence[int], lengths: bytes) -> "array[int]":
    if not more:
        return parents_of(keys, lengths, DIGITS)
    return parents_of([(key << 64) + second for key, second in zip(keys, more, strict=True)], lengths, DIGITS_MAX)
