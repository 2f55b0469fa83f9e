"""Correction of what a booked call has cost: what is asked for, and what it makes of each charge.

It does not know databases (``storage.corrections``) and how amounts are found (``admin.corrections``).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from vosd.base.errors import VosError
from vosd.base.money import ZERO
from vosd.cdr.charges import steps_of, tax_rate_of
from vosd.cdr.record import ChargeRow


class NoSuchCharge(VosError):  # noqa: N818 - states what was found
    """The call has no charge of that role and level."""


class Amounts(NamedTuple):
    """The parts of a charge that can be corrected."""

    fee: Decimal
    tax: Decimal
    billed_seconds: int

    @property
    def total(self) -> Decimal:
        """Return fee and tax."""
        return self.fee + self.tax


class ChargeChange(NamedTuple):
    """One charge of a call and what it is to be."""

    role: str
    level: int
    after: Amounts
    tax_rate: Decimal | None = None
    """Percent by which the tax was computed; None = a person has said the tax."""
    follows: str | None = None
    """Reference of the latest correction that the charge had when the change was computed, empty = it had none.

    None = the change holds whatever has corrected the charge.
    """


class Correction(NamedTuple):
    """Changes of the charges of one call. The same ``reference`` corrects a call once."""

    call_id: str
    changes: tuple[ChargeChange, ...]
    reference: str
    operator: str
    memo: str
    """Why."""
    made_at: int
    """UTC milliseconds."""


class CorrectedCharge(NamedTuple):
    """A charge before and after its correction."""

    call_id: str
    position: int
    """Number of the charge among those of its call, from 1."""
    account: str
    role: str
    level: int
    currency: str | None
    before: Amounts
    after: Amounts
    reference: str
    operator: str
    memo: str
    corrected_at: int
    is_repeated: bool = False
    """It was booked under this reference before; nothing was booked now."""
    is_outdated: bool = False
    """It is repeated, and the charge was changed since: it differs from what is wanted."""
    earned: int | None = None
    """1 = it is what a partner is paid, which raises its balance."""
    is_overtaken: bool = False
    """A charge of the call was corrected since the change was computed; nothing was booked."""
    tax_rate_before: Decimal | None = None
    """Tax rate, percent; None = that of the steps of the charge."""
    tax_rate_after: Decimal | None = None

    @property
    def is_new(self) -> bool:
        """Whether it is corrected now."""
        return not (self.is_repeated or self.is_overtaken)

    @property
    def is_booked(self) -> bool:
        """Whether it has an entry in the ledger: not where only the seconds change."""
        return bool(self.amount or self.tax)

    @property
    def amount(self) -> Decimal:
        """Return what the ledger entry adds to the account: a lower charge gives money back, less earned takes it."""
        return self._signed(self.before.total - self.after.total)

    @property
    def tax(self) -> Decimal:
        """Return what of ``amount`` is tax."""
        return self._signed(self.before.tax - self.after.tax)

    def _signed(self, difference: Decimal) -> Decimal:
        return -difference if self.earned else difference


def corrected(
    charges: Sequence[ChargeRow], correction: Correction, tax_rates: Mapping[int, Decimal | None]
) -> list[CorrectedCharge]:
    """Return what a correction makes of the charges of its call; one that stays as it is is left out.

    Charges have their steps. ``tax_rates`` has the tax rate after the latest correction of a charge by its position,
    where there is one.

    Raises:
        NoSuchCharge: the call has no charge of a role and level that is to be changed.
    """
    places = {(each.role, each.level): place for place, each in enumerate(charges)}
    found = []
    for change in correction.changes:
        place = places.get((change.role, change.level))
        if place is None:
            level = f" of level {change.level}" if change.level else ""
            known = ", ".join(f"{each.role} {each.account}" for each in charges) or "none"
            raise NoSuchCharge(f"call {correction.call_id} has no charge for the {change.role}{level}; it has: {known}")
        row = charges[place]
        before = Amounts(row.fee, row.tax, row.billed_seconds)
        rate_before = tax_rates.get(place + 1)
        if before != change.after:
            found.append(
                CorrectedCharge(
                    correction.call_id,
                    place + 1,
                    row.account,
                    row.role,
                    row.level,
                    row.currency,
                    before,
                    change.after,
                    correction.reference,
                    correction.operator,
                    correction.memo,
                    correction.made_at,
                    earned=row.earned,
                    tax_rate_before=rate_before,
                    tax_rate_after=_tax_rate_after(row, change, rate_before),
                )
            )
    return found


def _tax_rate_after(row: ChargeRow, change: ChargeChange, before: Decimal | None) -> Decimal | None:
    """Return the tax rate of a charge after its change; None = that of its steps.

    Where a person has said the tax, no rate is known: a tax that is struck out means no tax, and any other one the rate
    of before, or where that was no tax the rate of the steps.
    """
    after = change.tax_rate
    if after is None:
        if change.after.tax:
            return before or None
        if not change.after.fee or not row.tax:
            return before
        after = ZERO
    return None if after == tax_rate_of(steps_of(row.breakdown)) else after
