"""An invoice: lines and totals from the sums of ledger entries, and the document that is kept of it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.billing.invoice_terms import InvoiceLines

MOVEMENTS_MAX: Final = 500
"""Payments that are listed one by one; of more the sums of each kind are listed."""


class InvoiceUnsoundError(VosError):
    """The lines of an invoice do not make what the balance has moved by; it is not made."""

    remedy = "vosd ledger verify finds what does not agree"


class InvoiceSection(Enum):
    """Part of an invoice that a line stands in, in this order."""

    CALLS = "calls"
    """Calls that ended in the period, with the corrections that are dated in it."""
    EARLIER = "earlier_calls"
    """Calls that ended before the period and were booked behind the invoice of then."""
    CORRECTIONS = "corrections"
    """Corrections of calls that earlier invoices have."""
    MINIMUM = "minimum"


class ChargedSum(NamedTuple):
    """Charges of one kind that are alike; amounts are what the account pays."""

    section: InvoiceSection
    area: str
    """Empty = the rate has none."""
    prefix: str
    """Prefix of the rate; of a minimum what its entry says."""
    price: Decimal | None
    per: str | None
    """``minute`` or ``cycle``."""
    tax_rate: Decimal | None
    """Percent; None = not known: it was booked by an earlier version."""
    calls: int
    seconds: int
    net: Decimal
    tax: Decimal


class TaxedAmount(NamedTuple):
    """Charges of calls at one time, as the account paid them."""

    tax_rate: Decimal | None
    """Percent; None = that of the steps of the calls."""
    net: Decimal
    tax: Decimal


def moved_between_tax_rates(corrections: ChargedSum, before: TaxedAmount, after: TaxedAmount) -> list[ChargedSum]:
    """Return what is added to a sum of corrections, so that each amount stands at the tax rate that it has.

    ``corrections`` has their names and counts, and the tax rate of their calls, at which the difference stands. What is
    added is nothing in all. Of calls on the same invoice the numbers move with the amount; a correction of a call on
    another one is counted at each of its rates.
    """
    own = corrections.tax_rate
    then, now = (own if each.tax_rate is None else each.tax_rate for each in (before, after))
    calls, seconds = corrections.calls, corrections.seconds
    moves = [(own, 0, 0, before.net - after.net, before.tax - after.tax)]
    if corrections.section is InvoiceSection.CORRECTIONS:
        moves += [(own, -calls, 0, ZERO, ZERO), *((rate, calls, 0, ZERO, ZERO) for rate in {then, now})]
        calls = seconds = 0
    moves += [(then, -calls, -seconds, -before.net, -before.tax), (now, calls, seconds, after.net, after.tax)]
    # At another rate it is no line of calls with that price.
    other = corrections._replace(price=None, per=None)
    return [
        (corrections if rate == own else other)._replace(tax_rate=rate, calls=count, seconds=time, net=net, tax=tax)
        for rate, count, time, net, tax in moves
    ]


class Moved(NamedTuple):
    """An entry that is no charge: a payment, or what calls of a partner have earned; positive = for the account."""

    date: str
    """Day, ISO 8601; empty for a sum."""
    kind: str
    reference: str
    memo: str
    amount: Decimal


class LedgerPart(NamedTuple):
    """Sums of the ledger entries that an invoice is about."""

    opening: Decimal
    charged: Sequence[ChargedSum]
    moved: Sequence[Moved]
    total: Decimal
    """Amount by which they have moved the balance of the account, read on its own."""


class InvoiceParty(msgspec.Struct, frozen=True, kw_only=True):
    """The issuer or the recipient of an invoice, as it is printed."""

    account: str
    """Account; of the installation itself empty."""
    name: str
    """Name that is printed."""
    address: tuple[str, ...] = ()
    """Lines of the postal address."""
    tax_id: str = ""
    """Number that the tax office knows it by."""
    bank: tuple[str, ...] = ()
    """Lines that say where to pay."""
    contact: tuple[str, ...] = ()
    """Lines that say where to ask."""


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an invoice; money as text."""

    section: InvoiceSection
    """Part of the invoice that it stands in."""
    area: str
    """Destination; empty = the rate has none."""
    prefix: str
    """Prefix of the rate; empty on lines by area where the rate has one."""
    price: str | None
    """Price of the rate as text; null where the line has several prices, one of another currency, or corrections."""
    per: str | None
    """Unit of the price: minute or cycle."""
    tax_rate: str | None
    """Tax in percent, as text; null = not known, an earlier version booked it."""
    calls: int
    """Number of calls; of ``corrections`` that of the corrections, of which a call may have several."""
    seconds: int
    """Billed seconds."""
    net: str
    """Amount without tax, as text."""


class TaxLine(msgspec.Struct, frozen=True):
    """Tax of one rate; money as text."""

    rate: str | None
    """Percent, as text; null = not known."""
    net: str
    """Amount that is taxed, as text."""
    tax: str
    """Tax on it: the sum of the taxes of the calls, each rounded as it was booked."""


class MovementLine(msgspec.Struct, frozen=True):
    """A payment or another movement that is no charge; money as text."""

    date: str
    """Day, ISO 8601; empty for the sum of many."""
    kind: str
    """Kind of the entry, such as ``payment``."""
    reference: str
    memo: str
    amount: str
    """Amount, as text; positive = for the account."""


class InvoiceDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of an invoice or of a credit note; money as text, days ISO 8601."""

    kind: str
    """``invoice`` or ``credit_note``."""
    number: str
    """Number; empty while it is a draft."""
    cancels: str
    """Number of the invoice that a credit note takes back; empty for an invoice."""
    issuer: InvoiceParty
    """Issuer, as it was printed then."""
    recipient: InvoiceParty
    """Recipient, as it was printed then."""
    period: str
    """Period, such as 2026-10."""
    first_day: str
    """First day of the period."""
    last_day: str
    """Last day of the period."""
    zone: str
    """Time zone in which days begin."""
    issued_on: str
    """Day of issue; empty while it is a draft."""
    due_on: str
    """Day by which it is to be paid; empty while it is a draft."""
    currency: str
    """ISO 4217."""
    language: str
    """Language of the printed form."""
    lines: tuple[InvoiceLine, ...]
    """Lines in the order of their sections."""
    taxes: tuple[TaxLine, ...]
    """Tax by rate."""
    net: str
    """Sum of the lines, as text."""
    tax: str
    """Sum of the taxes, as text."""
    gross: str
    """Sum of both, as text."""
    opening: str
    """Balance of the account before, as text."""
    movements: tuple[MovementLine, ...]
    """Payments and other movements that are no charges."""
    closing: str
    """Balance of the account behind, as text."""
    is_settled: bool = False
    """Whether nothing of it was to be paid when it was issued: its form asks for nothing."""


class InvoiceSums(NamedTuple):
    """Lines and totals of an invoice."""

    lines: tuple[InvoiceLine, ...]
    taxes: tuple[TaxLine, ...]
    movements: tuple[MovementLine, ...]
    net: Decimal
    tax: Decimal
    carried: Decimal
    """Amount that calls of a partner have earned."""
    closing: Decimal

    @property
    def gross(self) -> Decimal:
        """The amount of the invoice."""
        return self.net + self.tax


CARRIED: Final = "carried"
"""Kind of the movement of calls that a partner has carried."""
DROPPED: Final = "dropped"
"""Kind of the movement of entries that were dropped, because their time was over, and are on no earlier invoice."""


def summed(part: LedgerPart, by: InvoiceLines) -> InvoiceSums:
    """Return lines and totals of the entries of an invoice; no amount is rounded.

    Raises:
        InvoiceUnsoundError: the charges and movements do not make what the balance has moved by.
    """
    net = sum((each.net for each in part.charged), ZERO)
    tax = sum((each.tax for each in part.charged), ZERO)
    moved = sum((each.amount for each in part.moved), ZERO)
    if moved - net - tax != part.total:
        raise InvoiceUnsoundError(
            f"the charges are {format_amount(net + tax)} and the movements {format_amount(moved)}, but the balance "
            f"has moved by {format_amount(part.total)}"
        )
    return InvoiceSums(
        lines=tuple(_lines(part.charged, by)),
        taxes=tuple(_taxes(part.charged)),
        movements=tuple(_movements(part.moved)),
        net=net,
        tax=tax,
        carried=sum((each.amount for each in part.moved if each.kind == CARRIED), ZERO),
        closing=part.opening + part.total,
    )


def _lines(charged: Iterable[ChargedSum], by: InvoiceLines) -> Iterable[InvoiceLine]:
    groups: dict[tuple[object, ...], list[ChargedSum]] = defaultdict(list)
    for each in charged:
        is_by_prefix = by is InvoiceLines.PREFIX or not each.area
        details = (each.prefix, each.price, each.per) if is_by_prefix else ()
        groups[each.section, each.area, each.tax_rate, *details].append(each)
    order = list(InvoiceSection)
    lines = [_line(each, by) for each in groups.values() if _is_something(each)]
    return sorted(
        lines,
        key=lambda line: (
            order.index(line.section), line.area, line.prefix, line.price or "", Decimal(line.tax_rate or 0)
        ),
    )  # fmt: skip


def _is_something(sums: Sequence[ChargedSum]) -> bool:
    """Return whether sums are more than calls of which all was moved to another tax rate."""
    counts = sum(each.calls for each in sums), sum(each.seconds for each in sums)
    return any((*counts, sum((each.net for each in sums), ZERO), sum((each.tax for each in sums), ZERO)))


def _line(sums: Sequence[ChargedSum], by: InvoiceLines) -> InvoiceLine:
    first = sums[0]
    prices = {(each.price, each.per) for each in sums}
    # A correction is no price times minutes: neither where it is in the line of its call, nor in a line of its own.
    is_corrected = first.section is InvoiceSection.CORRECTIONS or any(not each.calls for each in sums)
    price, per = prices.pop() if len(prices) == 1 and not is_corrected else (None, None)
    return InvoiceLine(
        section=first.section,
        area=first.area,
        prefix=first.prefix if by is InvoiceLines.PREFIX or not first.area else "",
        price=None if price is None else format_amount(price),
        per=per,
        tax_rate=_percent(first.tax_rate),
        calls=sum(each.calls for each in sums),
        seconds=sum(each.seconds for each in sums),
        net=format_amount(sum((each.net for each in sums), ZERO)),
    )


def _taxes(charged: Iterable[ChargedSum]) -> Iterable[TaxLine]:
    by_rate: dict[Decimal | None, list[ChargedSum]] = defaultdict(list)
    for each in charged:
        by_rate[each.tax_rate].append(each)
    rates = [rate for rate, sums in by_rate.items() if _is_something(sums)]
    for rate in sorted(rates, key=lambda rate: (rate is None, rate or ZERO)):
        net = sum((each.net for each in by_rate[rate]), ZERO)
        tax = sum((each.tax for each in by_rate[rate]), ZERO)
        yield TaxLine(_percent(rate), format_amount(net), format_amount(tax))


def _movements(moved: Sequence[Moved]) -> Iterable[MovementLine]:
    if len(moved) > MOVEMENTS_MAX:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for each in moved:
            sums[each.kind] += each.amount
        moved = [Moved("", kind, "", "", amount) for kind, amount in sorted(sums.items())]
    for each in moved:
        yield MovementLine(each.date, each.kind, each.reference, each.memo, format_amount(each.amount))


def _percent(rate: Decimal | None) -> str | None:
    if rate is None:
        return None
    return format(rate.normalize(), "f")


def taken_back(invoice: InvoiceDocument) -> InvoiceDocument:
    """Return the credit note that takes an issued invoice back, without number and day."""
    lines = (
        msgspec.structs.replace(line, net=_negative(line.net), calls=-line.calls, seconds=-line.seconds)
        for line in invoice.lines
    )
    taxes = (TaxLine(line.rate, _negative(line.net), _negative(line.tax)) for line in invoice.taxes)
    return msgspec.structs.replace(
        invoice,
        kind="credit_note",
        number="",
        cancels=invoice.number,
        issued_on="",
        due_on="",
        lines=tuple(lines),
        taxes=tuple(taxes),
        movements=(),
        net=_negative(invoice.net),
        tax=_negative(invoice.tax),
        gross=_negative(invoice.gross),
    )


def _negative(amount: str) -> str:
    return format_amount(-Decimal(amount))
