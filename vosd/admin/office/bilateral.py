"""Use cases of two switches that compare their calls: by hand, and totals for the other one (docs/books.md)."""

from typing import Final

import msgspec

from vosd.admin.bilateral_totals import SPAN_MAX_MS, BilateralTotals, TotalsRow
from vosd.admin.names import configured
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.partner_totals import Partner, PartnerOutcome, compared_with
from vosd.base.money import format_amount
from vosd.cdr.columns import iso_utc
from vosd.clearing.bilateral import DELAY_MS, PERIOD_MS, SPAN_MS, PartnerTotals, TotalsKey, add_up
from vosd.engine.host_names import HostNames


class ShowTotals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Totals of an account in whole periods of five minutes, two hours at most."""

    account: str
    since: int
    """Beginning of the first period: a multiple of five minutes."""
    until: int
    """End of the last period: a multiple of five minutes."""


@needs(Permission.BILATERAL_SEE, by_account=True)
async def show_totals(office: Office, who: Principal, order: ShowTotals) -> BilateralTotals:
    """Return the totals of an account.

    Raises:
        OrderError: the span is none of whole periods, or too long.
        UnknownAccountError, OutOfScopeError: the principal does not see the account.
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


_NAMES: Final = HostNames(64, "names of partners")


class ComparePartner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The hour before a time, or before now, with a partner of ``bilateral``."""

    account: str
    until: int | None = None
    """None = the newest period that both switches have booked; another time is rounded down to five minutes."""


@needs(Permission.BOOKS_SEE)
async def compare_partner(office: Office, who: Principal, order: ComparePartner) -> PartnerOutcome:
    """Ask the switch of a partner for its totals, and compare them with ours; nothing is kept and no alarm raised.

    Raises:
        UnknownAccountError, OrderError: the account is none, or none of a partner.
        ConfigError: the configuration is invalid.
    """
    account = configured(office.definitions.accounts(), order.account)
    found = [each for each in office.definitions.settings.bilateral if each.account == order.account]
    if not found:
        raise OrderError("account", f"is {order.account}, which is no partner", "`bilateral` lists partners")
    at = office.now() - DELAY_MS if order.until is None else order.until
    until = at - at % PERIOD_MS
    partner = Partner(found[0], account.currency)
    return await compared_with(partner, office.stores.ended_calls, _NAMES, until - SPAN_MS, until)
