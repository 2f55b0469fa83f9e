"""Use case of two switches that compare their calls: totals of one account by five minutes (docs/books.md)."""

from decimal import Decimal
from typing import Final

import msgspec

from vosd.admin.names import configured
from vosd.admin.office.errors import OrderError
from vosd.admin.office.needs import needs
from vosd.admin.office.office import Office
from vosd.admin.office.permissions import Permission
from vosd.admin.office.principal import Principal
from vosd.base.money import format_amount
from vosd.cdr.columns import iso_utc
from vosd.clearing.bilateral import PERIOD_MS, Book, PartnerDirection, PartnerTotals, TotalsKey, add_up

SPAN_MAX_MS: Final = 7_200_000


class ShowTotals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Totals of an account in whole periods of five minutes, two hours at most."""

    account: str
    since: int
    """Beginning of the first period: a multiple of five minutes."""
    until: int
    """End of the last period: a multiple of five minutes."""


class TotalsRow(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of the answered calls of a period that ended in it; money as text, with tax."""

    since: str
    """Beginning of the period, RFC 3339."""
    direction: PartnerDirection
    """``sent``: by this switch to the account; ``received``: by this switch from the account."""
    gateway: str
    """Gateway of this switch."""
    prefix: str
    """First four digits of the called number."""
    calls: int
    """Number of calls."""
    seconds: int
    """Seconds from answer to end."""
    amount: str
    """Cost of calls that were sent, fee of calls that were received, as text."""
    edge_seconds: int
    """Seconds of the calls that ended within a second of a border of the period."""
    edge_amount: str
    """Amount of these calls, as text."""


class BilateralTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of the calls of an account."""

    account: str
    """Account that the totals are of."""
    currency: str | None
    """Currency of the amounts."""
    rows: tuple[TotalsRow, ...]
    """Totals by period, direction, gateway and prefix."""


@needs(Permission.BILATERAL_SEE, by_account=True)
async def show_totals(office: Office, who: Principal, order: ShowTotals) -> BilateralTotals:
    """Return the totals of an account.

    Raises:
        OrderError: the span is none of whole periods, or too long.
        UnknownAccountError, OutOfScopeError: the principal does not see the account.
        StoreUnavailable: try again.
    """
    accounts = office.definitions.accounts()
    office.scope_of(who).require_visible(order.account)
    account = configured(accounts, order.account)
    if order.since % PERIOD_MS or order.until % PERIOD_MS:
        raise OrderError("since", "and `until` are not multiples of five minutes")
    if not 0 < order.until - order.since <= SPAN_MAX_MS:
        raise OrderError("until", "is not within two hours behind `since`")
    book = add_up(await office.stores.ended_calls.of(order.account, order.since, order.until))
    rows = tuple(_row(key, totals) for key, totals in sorted(book.items(), key=lambda each: _order_of(each[0])))
    return BilateralTotals(account=order.account, currency=account.currency, rows=rows)


def _order_of(key: TotalsKey) -> tuple[int, str, str, str]:
    return key.period, key.direction.value, key.gateway, key.prefix


def _row(key: TotalsKey, totals: PartnerTotals) -> TotalsRow:
    return TotalsRow(
        since=iso_utc(key.period),
        direction=key.direction,
        gateway=key.gateway,
        prefix=key.prefix,
        calls=totals.calls,
        seconds=totals.seconds,
        amount=format_amount(totals.amount),
        edge_seconds=totals.edge_seconds,
        edge_amount=format_amount(totals.edge_amount),
    )


def book_of(found: BilateralTotals, since: int) -> Book:
    """Return the totals that another switch has sent, of a span that begins at ``since``.

    Raises:
        ValueError, ArithmeticError: a time or an amount is none.
    """
    periods = {iso_utc(since + each * PERIOD_MS): since + each * PERIOD_MS for each in range(SPAN_MAX_MS // PERIOD_MS)}
    book: Book = {}
    for row in found.rows:
        if row.since not in periods:
            raise ValueError(f"{row.since} is no period of the span")
        key = TotalsKey(periods[row.since], row.direction, row.gateway, row.prefix)
        amounts = Decimal(row.amount), Decimal(row.edge_amount)
        if not all(each.is_finite() for each in amounts):
            raise ValueError(f"{row.amount} is no amount")
        own = PartnerTotals(row.calls, row.seconds, amounts[0], row.edge_seconds, amounts[1])
        book[key] = book.get(key, PartnerTotals()).plus(own)
    return book
