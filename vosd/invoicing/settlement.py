"""Paid amounts of invoices: money of an account goes to the oldest one, a payment that names an invoice goes to that.

An invoice is paid where less than the smallest unit of its currency is missing (ADR 183). All of it follows from the
ledger at any time and is written down nowhere, so it cannot differ from it.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_DOWN, Decimal
from enum import Enum
from typing import Final, NamedTuple

from vosd.base.iso4217 import unit_of_currency
from vosd.base.money import EXACT, ZERO

REFERENCE: Final = "invoice/"
"""Beginning of the reference of a payment for one invoice; its number follows, or its id in braces, and behind a space
what tells payments apart."""
UNDO: Final = "undo "
"""Beginning of the reference of an entry that takes another one back, whose number follows."""


class InvoiceState(Enum):
    """State of an invoice."""

    DRAFT = "draft"
    OPEN = "open"
    PART_PAID = "part_paid"
    PAID = "paid"
    OVERDUE = "overdue"
    """Not paid, or not in whole, behind the day on which it was due."""
    ISSUED = "issued"
    """State of a credit note, of which nothing is to be paid."""
    CANCELLED = "cancelled"
    """A credit note takes all of it back."""


class Owed(NamedTuple):
    """An issued invoice that was not cancelled."""

    id: int
    number: str
    gross: Decimal
    currency: str

    @property
    def payable(self) -> Decimal:
        """The amount in whole units of the currency, without the rest that no bank transfers."""
        return whole_units(self.gross, self.currency)


class Credit(NamedTuple):
    """Money that is no charge: a payment, or what was paid back."""

    reference: str
    amount: Decimal
    is_refund: bool = False
    undoes_older: bool = False
    """It takes back an entry from before the first invoice, which the opening balance contains."""

    @property
    def is_taken_away(self) -> bool:
        """Whether it is money that went away, or the undo of an entry by which money went away."""
        return (self.amount < ZERO) is (undone_entry(self.reference) is None)


def paid_of(opening: Decimal, owed: Sequence[Owed], credits: Iterable[Credit]) -> list[Decimal]:
    """Return what is paid of each invoice of an account, given the oldest first.

    ``opening`` is its balance before the first one: money that it had already, or an older debt. A payment of more
    than its invoice goes on to the others. Money that names none pays the whole units of debts (an older one, and money
    that was taken away), then those of all invoices, then the rests in that order. Money that is taken back lowers the
    invoice that it names; a refund that names none is taken from the newest one that was paid by name, once no other
    money is left. What is moved away otherwise, such as a transfer, makes no named payment undone. Money for a number
    that is no invoice here changes nothing once it is taken back; the undo of an entry from before the first invoice
    changes ``opening``. Money for a number that several invoices have, of two issuers, pays the whole units of the
    oldest of them first.
    """
    by_id = {braced(each.id): [place] for place, each in enumerate(owed)}
    named = by_id | _places_by_number(owed)
    paid = [ZERO] * len(owed)
    away = ZERO  # by adjustments and transfers: a debt, also where payments are more
    sums: dict[tuple[str, bool], Decimal] = {}
    for credit in credits:
        if credit.undoes_older:
            opening += credit.amount
            continue
        number = named_invoice(credit.reference)
        if credit.is_taken_away and not (number or credit.is_refund):
            away -= credit.amount
        key = number, credit.is_refund and not number
        sums[key] = sums.get(key, ZERO) + credit.amount
    pool, back = opening, ZERO
    # Money for an id is that of one invoice, so it comes before money for a number that several have.
    for (number, is_refund), amount in sorted(sums.items(), key=lambda each: each[0][0] not in by_id):
        if number in named:
            _share(amount, named[number], owed, paid)
        elif amount < ZERO and (number or is_refund):
            back -= amount
        else:
            pool += amount
    for place, each in enumerate(owed):
        by_name = paid[place]
        paid[place] = max(ZERO, min(by_name, each.gross))
        pool += max(ZERO, by_name - paid[place])
        back += max(ZERO, -by_name)
    pool -= sum((each.gross for each in owed if each.gross < ZERO), ZERO)  # such an invoice is money for the others
    of_named = max(ZERO, back - max(ZERO, pool - min(opening, ZERO)))  # other money has paid the older debt
    pool -= back
    for place in reversed(range(len(owed))):
        taken = min(paid[place], of_named)
        paid[place] -= taken
        of_named -= taken
        pool += taken
        back -= taken
    debt = max(ZERO, -opening) + back + max(ZERO, away)
    rest = debt - whole_units(debt, owed[0].currency) if owed else ZERO
    left = _spend(pool + rest, [each.payable for each in owed], range(len(owed)), paid)
    _spend(left - rest, [each.gross for each in owed], range(len(owed)), paid)
    return paid


def whole_units(amount: Decimal, currency: str) -> Decimal:
    """Return an amount without the rest below the smallest unit of its currency."""
    unit = unit_of_currency(currency)
    units = EXACT.divide(amount, unit).quantize(Decimal(1), ROUND_DOWN, EXACT)
    return EXACT.multiply(units, unit)


def _spend(money: Decimal, wanted: Sequence[Decimal], places: Sequence[int], paid: list[Decimal]) -> Decimal:
    """Pay invoices at some places up to the amount that each wants, the oldest first, and return what is left over."""
    for place in places:
        taken = max(ZERO, min(money, wanted[place] - paid[place]))
        paid[place] += taken
        money -= taken
    return money


def braced(id_: int) -> str:
    """Return the name of an invoice by its id, for references: no form of numbers makes braces."""
    return f"{{{id_}}}"


def _places_by_number(owed: Sequence[Owed]) -> dict[str, list[int]]:
    """Return the places of invoices by their numbers, the oldest first."""
    places: dict[str, list[int]] = {}
    for place, each in enumerate(owed):
        places.setdefault(each.number, []).append(place)
    return places


def _share(amount: Decimal, places: Sequence[int], owed: Sequence[Owed], paid: list[Decimal]) -> None:
    """Add money for some invoices to what is paid of each: the newest gets what is too much for all of them."""
    left = _spend(amount, [each.payable for each in owed], places, paid)
    left = _spend(left, [each.gross for each in owed], places, paid)
    paid[places[-1]] += left


def is_paid(gross: Decimal, paid: Decimal, currency: str) -> bool:
    """Return whether an invoice is paid as far as its customer can: a bank transfers no part of a unit."""
    return gross - paid < unit_of_currency(currency)


def named_invoice(reference: str) -> str:
    """Return the number, or the id in braces, in the reference of money for one invoice; empty = it names none."""
    if not reference.startswith(REFERENCE):
        return ""
    return reference.removeprefix(REFERENCE).partition(" ")[0]


def without_invoice(reference: str) -> str:
    """Return the reference of money without the invoice that it names; that of an undo stays one."""
    if not named_invoice(reference):
        return reference
    entry = undone_entry(reference)
    return "" if entry is None else f"{UNDO}{entry}"


def name_in_reference(invoice: Owed, owed: Sequence[Owed]) -> str:
    """Return what names an invoice in references among those of its account, the oldest first.

    It is the number, which the oldest invoice keeps where a later one of another issuer has the same.
    """
    first = next(each for each in owed if each.number == invoice.number)
    return invoice.number if first.id == invoice.id else braced(invoice.id)


def reference_of_undo(reference: str, entry: int) -> str:
    """Return the reference of what takes back the entry of a number; it is about the same invoice."""
    number = named_invoice(reference)
    return f"{REFERENCE}{number} {UNDO}{entry}" if number else f"{UNDO}{entry}"


def undone_entry(reference: str) -> int | None:
    """Return the number of the entry that is taken back under a reference; None = it is the reference of no undo."""
    number = named_invoice(reference)
    behind = reference.removeprefix(f"{REFERENCE}{number} ") if number else reference
    entry = behind.removeprefix(UNDO)
    return int(entry) if entry != behind and entry.isascii() and entry.isdigit() else None


def state_of(gross: Decimal, paid: Decimal, currency: str, due_at: int, now: int) -> InvoiceState:
    """Return the state of an issued invoice; times are UTC milliseconds."""
    if is_paid(gross, paid, currency):
        return InvoiceState.PAID
    if now >= due_at:
        return InvoiceState.OVERDUE
    return InvoiceState.PART_PAID if paid >= unit_of_currency(currency) else InvoiceState.OPEN
