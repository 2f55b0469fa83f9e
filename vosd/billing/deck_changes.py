"""Changes of a deck of rates by an import: counted by prefixes, with examples."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Final

import msgspec

from vosd.billing.deck_rows import COLUMNS_AHEAD, ENDS, DeckRow

EXAMPLES_MAX: Final = 100
"""Prefixes of each kind of change that are named."""
_NEVER: Final = "9999-12-31"
"""The day that vendors write as the end of rates that have none."""


class DeckChangeKind(Enum):
    """Change of a prefix by an import: by its last rate that changes, and the one that would have held at its begin."""

    NEW = "new"
    UP = "up"
    DOWN = "down"
    CHANGED = "changed"
    """The price is the same and another column, the end of the rate or the begin of one to come is not."""
    UNCHANGED = "unchanged"
    CLOSED = "closed"
    """It has no rate any more, for its rates have ended or it is taken out, or is marked as closed."""
    OPENED = "opened"
    """It was marked as closed and is not any more: it has a rate, or its numbers have that of a shorter prefix."""


class Fallback(msgspec.Struct, frozen=True):
    """The shorter prefix whose rate the numbers of a prefix have that is taken out."""

    prefix: str
    price: str | None
    """None = it is closed."""


class Planned(msgspec.Struct, frozen=True):
    """A rate to come of the deck before an import, which does not begin as it was to."""

    price: str | None
    """None = closed."""
    begins: str
    """ISO 8601 UTC."""


class Example(msgspec.Struct, frozen=True):
    """A prefix that an import changes, with its price at that moment before and after; None = none, or closed."""

    prefix: str
    before: str | None
    after: str | None
    taken_out: bool = False
    """Whether it is not in the deck any more."""
    fallback: Fallback | None = None
    """The rate of its numbers after it is taken out; None = no rate."""
    others: Mapping[str, tuple[str, str]] = {}
    """The other columns that change, ``effective_to`` among them, each before and after; empty = the default."""
    begins: str | None = None
    """From when the change holds, ISO 8601 UTC; None = at once."""
    planned: Planned | None = None
    """A rate that was to begin at another time, and is brought forward, put off or dropped; None = none is."""


Each = Callable[[DeckChangeKind, Example, DeckRow | None, DeckRow | None], None]
"""Takes a change, with the rates before and after it."""


@dataclass(slots=True)
class DeckChanges:
    """Changes by an import, counted by prefixes."""

    header: str = ""
    """Names of the columns; those behind ``COLUMNS_AHEAD`` are compared by them."""
    notice_until: str = ""
    """Increases that begin before are counted apart; empty = none are."""
    each: Each | None = None
    """Takes every change, by order of prefixes."""
    counts: dict[DeckChangeKind, int] = field(default_factory=lambda: dict.fromkeys(DeckChangeKind, 0))
    examples: dict[DeckChangeKind, list[Example]] = field(
        default_factory=lambda: {kind: [] for kind in DeckChangeKind if kind is not DeckChangeKind.UNCHANGED}
    )
    rows: int = 0
    """Rates of the new deck."""
    prefixes_before: int = 0
    """Prefixes of the old deck."""
    lost: int = 0
    """Number of these that had a price and are closed."""
    fallen: int = 0
    """Prefixes that are taken out and whose numbers have the rate of a shorter one then."""
    unrated: int = 0
    """Prefixes that are taken out and whose numbers have no rate then."""
    short: int = 0
    """Increases that begin before ``notice_until``."""
    short_examples: list[Example] = field(default_factory=list)
    early: int = 0
    """Prefixes whose rate begins sooner than the file says: the deck has it already from an earlier time to come."""
    early_examples: list[Example] = field(default_factory=list)

    def note(
        self,
        kind: DeckChangeKind,
        prefix: str,
        before: DeckRow | None,
        after: DeckRow | None,
        begins: str | None,
        planned: DeckRow | None = None,
        *,
        fallback: Fallback | None = None,
    ) -> None:
        """Count a prefix of the new deck, by the rates that hold from ``begins`` on before and after the import.

        None = its rates have ended. ``planned`` is a rate to come that does not begin as it was to.
        """
        self.counts[kind] += 1
        if kind is DeckChangeKind.CLOSED and before is not None:
            self.lost += 1
        named = self.examples.get(kind)
        is_named = named is not None and len(named) < EXAMPLES_MAX
        if named is None or not (is_named or self.each):
            return
        others = _others_that_differ(self.header, before, after)
        example = Example(
            prefix,
            _shown(before),
            _shown(after),
            taken_out=after is None,
            fallback=fallback,
            others=others,
            begins=begins,
            planned=None if planned is None else Planned(_shown(planned), planned.begins),
        )
        if is_named:
            named.append(example)
        if self.each is not None:
            self.each(kind, example, before, after)

    def note_short(self, prefix: str, before: DeckRow | None, after: DeckRow, begins: str | None) -> None:
        """Count an increase that begins before ``notice_until``."""
        self.short += 1
        if len(self.short_examples) < EXAMPLES_MAX:
            others = _others_that_differ(self.header, before, after)
            self.short_examples.append(Example(prefix, _shown(before), _shown(after), others=others, begins=begins))

    def note_early(self, row: DeckRow) -> None:
        """Count a rate that begins sooner than the file says."""
        self.early += 1
        if len(self.early_examples) < EXAMPLES_MAX:
            self.early_examples.append(Example(row.prefix, _shown(row), _shown(row), begins=row.begins))

    def note_taken_out(self, prefix: str, before: DeckRow | None, shorter: DeckRow | None, begins: str | None) -> None:
        """Count a prefix that the new deck does not have from ``begins`` on; its numbers have the rate ``shorter``."""
        kind = kind_of(before, None)
        if before is not None:
            if shorter is None:
                self.unrated += 1
            elif not shorter.closed:
                self.fallen += 1
        fallback = None if shorter is None else Fallback(shorter.prefix, _shown(shorter))
        self.note(kind, prefix, before, None, begins, fallback=fallback)


def kind_of(before: DeckRow | None, after: DeckRow | None) -> DeckChangeKind:
    """Return the change from a rate to another one; None = none."""
    if before is not None and before.closed:
        if after is None or not after.closed:
            return DeckChangeKind.OPENED
        return DeckChangeKind.UNCHANGED if end_of(before) == end_of(after) else DeckChangeKind.CHANGED
    if after is None or after.closed:
        return DeckChangeKind.UNCHANGED if before is None and after is None else DeckChangeKind.CLOSED
    if before is None:
        return DeckChangeKind.NEW
    if before.price != after.price:
        price_before, price_after = Decimal(before.price), Decimal(after.price)
        if price_before != price_after:
            return DeckChangeKind.UP if price_before < price_after else DeckChangeKind.DOWN
    is_same = before.others == after.others and end_of(before) == end_of(after)
    return DeckChangeKind.UNCHANGED if is_same else DeckChangeKind.CHANGED


def end_of(row: DeckRow | None) -> str:
    """Return when a rate ends; empty = never, or there is none."""
    return "" if row is None or row.ends.startswith(_NEVER) else row.ends


def _shown(row: DeckRow | None) -> str | None:
    return None if row is None or row.closed else row.price


def _others_that_differ(header: str, before: DeckRow | None, after: DeckRow | None) -> dict[str, tuple[str, str]]:
    """Return the end and the columns behind ``COLUMNS_AHEAD`` that are not the same, each before and after."""
    if after is None:
        return {}
    ends = {} if end_of(before) == end_of(after) else {ENDS: (end_of(before), end_of(after))}
    if before is None or before.others == after.others or after.closed:
        return ends
    names = header.split(",")[len(COLUMNS_AHEAD) :]
    cells = zip(names, *csv.reader([before.others, after.others], strict=True), strict=False)
    return ends | {name: (was, becomes) for name, was, becomes in cells if was != becomes}


def counts_by_name(changes: DeckChanges) -> Mapping[str, int]:
    """Return the number of prefixes of each kind of change."""
    return {kind.value: count for kind, count in changes.counts.items()}
