"""Sums of a comparison by class and explanation."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from vosd.base.money import EXACT, ZERO, format_amount
from vosd.clearing.calls import BillClass

EXPLANATIONS_MAX: Final = 200
"""Explanations that have sums of their own; the calls of all others are counted together."""
OTHERS: Final = "(others)"


class ClassSheet(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one class and explanation; money as text."""

    result: BillClass
    """Class of the calls."""
    explanation: str
    """Difference of terms that explains the prices of the vendor; empty = none was found, or there is none."""
    calls: int
    """Number of calls."""
    ours: str
    """Cost that is booked here, as text."""
    theirs: str
    """Price of the vendor, as text."""
    difference: str
    """Price of the vendor less the cost that is booked here, as text."""


class BillSums:
    """Counts and amounts; memory grows with the explanations, not with the calls."""

    def __init__(self) -> None:
        self._sums: dict[tuple[BillClass, str], tuple[int, Decimal, Decimal]] = {}

    def add(self, result: BillClass, explanation: str, ours: Decimal, theirs: Decimal) -> None:
        """Count one call."""
        if len(self._sums) >= EXPLANATIONS_MAX and (result, explanation) not in self._sums:
            explanation = OTHERS
        calls, mine, other = self._sums.get((result, explanation), (0, ZERO, ZERO))
        self._sums[result, explanation] = calls + 1, EXACT.add(mine, ours), EXACT.add(other, theirs)

    @property
    def totals(self) -> tuple[Decimal, Decimal]:
        """The sums of all classes: ours, theirs."""
        ours = theirs = ZERO
        for _, mine, other in self._sums.values():
            ours, theirs = EXACT.add(ours, mine), EXACT.add(theirs, other)
        return ours, theirs

    def sheets(self) -> Sequence[ClassSheet]:
        """Return the classes in their order, within each the explanation of most calls first."""
        order = list(BillClass)
        found = sorted(self._sums.items(), key=lambda each: (order.index(each[0][0]), -each[1][0], each[0][1]))
        return [
            ClassSheet(
                result=result,
                explanation=explanation,
                calls=calls,
                ours=format_amount(ours),
                theirs=format_amount(theirs),
                difference=format_amount(EXACT.subtract(theirs, ours)),
            )
            for (result, explanation), (calls, ours, theirs) in found
        ]
