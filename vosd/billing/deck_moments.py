"""Change of the rates of one prefix by an import, at each moment from which they differ.

A deck has rates that begin later, and an import may bring them forward, put them off or drop them. So the rates before
and after it are compared at every moment to come at which one begins or ends, not those that hold last alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

from vosd.billing.deck_changes import DeckChangeKind, kind_of
from vosd.billing.deck_rows import DeckRow


class RateChange(NamedTuple):
    """Change of the rate of a prefix that holds from a moment."""

    kind: DeckChangeKind
    begins: str
    """ISO 8601 UTC."""
    before: DeckRow | None
    """The rate that would have held then; None = none."""
    after: DeckRow | None

    @property
    def after_holds(self) -> bool:
        """Whether ``after`` is in force then: it has not ended before."""
        return self.after is not None and self.after.holds_at(self.begins)


class RateChanges:
    """Comparison of the rates of a prefix before and after an import."""

    def __init__(self, before: Sequence[DeckRow], after: Sequence[DeckRow], now: str) -> None:
        """Rates that have ended by ``now`` are left out."""
        self.now = now
        self._before, self._after = _Rates(before, now), _Rates(after, now)
        moments = {now}
        for row in (*self._before.rows, *self._after.rows):
            moments.add(row.begins)
            moments.add(row.ends)
        self._differing: list[RateChange] = []
        for moment in sorted(moments):
            if moment >= now:
                earlier, later = self._before.at(moment), self._after.at(moment)
                kind = kind_of(earlier, later)
                if kind is not DeckChangeKind.UNCHANGED:
                    self._differing.append(RateChange(kind, moment, earlier, later))

    @property
    def is_out(self) -> bool:
        """Whether no rate is left."""
        return not self._after.rows

    def before_at(self, moment: str) -> DeckRow | None:
        """Return the rate that would have held at a moment, else the first one to come; None = all have ended."""
        found = self._before.at(moment)
        return next(iter(self._before.rows), None) if found is None else found

    def main(self) -> RateChange | None:
        """Return the change to the rate that holds last of those that change; None = nothing changes.

        The later begin of a rate with the same terms is a change of its begin alone.
        """
        if not self._differing:
            return None
        last, found = self._differing[-1].after, self._differing[0]
        if len(self._differing) > 1:
            found = next(each for each in self._differing if each.after == last)
        if last is None:
            return self._later_begin(found)
        if found.kind is DeckChangeKind.CHANGED:
            found = self._last_dropped(found)
        if last.begins < found.begins:  # none of ``after`` begins then
            if found.begins > self.now:
                found = self._last_dropped(found)
            later = self._after.first_after(found.begins)
            if found.before is not None and later is not None and later.terms == found.before.terms:
                return RateChange(DeckChangeKind.CHANGED, later.begins, found.before, later)
        return found

    def _later_begin(self, found: RateChange) -> RateChange:
        """Return the later begin of the first rate of a prefix that has not begun; ``found`` where there is none."""
        later = self._after.first_after(found.begins)
        if found.begins == self.now or later is None:
            return found
        return RateChange(DeckChangeKind.CHANGED, later.begins, self._before.at(later.begins), later)

    def _last_dropped(self, found: RateChange) -> RateChange:
        """Return the change by the last rate to come that is dropped, where it is of another kind than the first one.

        A rise and a lower price behind it are dropped: the prefix is dearer in the end. So it is where a rate with the
        price in force replaces one that ends before a lower price.
        """
        last = self._differing[-1]
        return last if last.after_holds and last.kind is not found.kind else found

    def planned(self, main: RateChange) -> DeckRow | None:
        """Return a rate to come that does not begin as it was to, other than the one that ``main`` replaces.

        It is the first one; the last one where the change by it is of another kind than ``main``.
        """
        last = self._differing[-1]
        is_otherwise = last.after_holds and last.after == main.after and last.kind is not main.kind
        for row in reversed(self._before.rows) if is_otherwise else self._before.rows:
            is_kept = any(row.begins == kept.begins and row.terms == kept.terms for kept in self._after.rows)
            if row.begins > self.now and row.begins != main.begins and not is_kept:
                return row
        return None

    def first_rise(self, until: str) -> RateChange | None:
        """Return the first increase that begins before ``until``; None = there is none.

        A rate that has ended by then is none.
        """
        rises = (each for each in self._differing if each.kind is DeckChangeKind.UP and each.after_holds)
        return next((each for each in rises if each.begins < until), None)


class _Rates:
    """Rates of a prefix that have not ended, by the time at which they begin."""

    def __init__(self, rows: Sequence[DeckRow], now: str) -> None:
        self.rows = [row for row in rows if not row.ends or row.ends > now]
        self._named = self.rows if len(self.rows) == 1 else [*map(self._without_end, self.rows)]

    def _without_end(self, row: DeckRow) -> DeckRow:
        """Return a row, without its end where a later one follows at once: that is no end of the rate of the prefix."""
        if row.ends and any(later.holds_at(row.ends) for later in self.rows if later.begins > row.begins):
            return row._replace(ends="")
        return row

    def at(self, moment: str) -> DeckRow | None:
        """Return the row that holds at a moment, else the one that began last before it; None = none has begun."""
        begun = None
        for row, named in zip(reversed(self.rows), reversed(self._named), strict=True):
            if row.holds_at(moment):
                return named
            if begun is None and row.begins <= moment:
                begun = named
        return begun

    def first_after(self, moment: str) -> DeckRow | None:
        """Return the first row that begins after a moment."""
        return next((named for named in self._named if named.begins > moment), None)
