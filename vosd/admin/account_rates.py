"""Prices of an account by prefix: what its calls cost now."""

from decimal import Decimal
from itertools import takewhile

import msgspec

from vosd.base.errors import Refusal
from vosd.base.money import EXACT, AmountText, format_amount
from vosd.base.prefixes import ANY, each_once
from vosd.billing.accounts import Account
from vosd.billing.ports import Rates
from vosd.billing.rater import tax_percent
from vosd.billing.rates import AppliedRate, Rate
from vosd.callcontrol.sell_rate import of_allowed_type


class PriceSheet(msgspec.Struct, frozen=True, kw_only=True):
    """Price of the calls to a prefix, without tax, in the currency of the account."""

    prefix: str
    """Digits with which numbers begin; ``*`` fits every number."""
    area: str
    """Empty where the rate names none."""
    closed: bool
    """Whether calls to it are refused; there is no price then."""
    currency: str = ""
    """ISO 4217; empty = the prefix is closed."""
    price_per_minute: AmountText | None = None
    """Price of a minute after the first period."""
    billing_cycle: int | None = None
    """Seconds of an increment; each that has begun is paid in full."""
    first_duration: int = 0
    """Seconds of the first period, paid in full; 0 = none."""
    first_rate: AmountText | None = None
    """Price of the whole first period; None = by the price of a minute."""
    connection_fee: AmountText = "0.00"
    """Added to the price of each answered call."""
    minimum_charge: AmountText = "0.00"
    """The least that an answered call costs."""
    tax_rate: AmountText = "0"
    """Percent on the fee."""
    has_sections: bool = False
    """Whether calls have other prices by their length."""


def prices_of(
    account: Account, rates: Rates, wall_ms: int, prefix: str, after: str | None, most: int | None
) -> list[PriceSheet]:
    """Return the prices in force at ``wall_ms`` (UTC), in the order of the prefixes, those after one of them."""
    tables = rates.tables_at(wall_ms)
    known = each_once(*(table.prefixes(max(prefix, after or "")) for table in tables))
    found: list[PriceSheet] = []
    for each in takewhile(lambda each: each.startswith(prefix), known):
        if each == after:
            continue
        number = "" if each == ANY else each
        own = [rate for table in tables if (rate := table.find(number, wall_ms)) is not None and rate.prefix == each]
        if own:  # else it is not in force
            applied = rates.find(number, wall_ms)
            permitted = None if applied is None else of_allowed_type(account, applied)
            found.append(_sheet(each, own[0], None if isinstance(permitted, Refusal) else permitted))
        if len(found) == most:
            break
    return found


def _sheet(prefix: str, own: Rate, applied: AppliedRate | None) -> PriceSheet:
    if applied is None:
        return PriceSheet(prefix=prefix, area=own.area, closed=True)
    rate, exchange = applied.rate, applied.exchange_rate

    def amount(price: Decimal) -> str:
        return format_amount(price if exchange is None else EXACT.multiply(price, exchange))

    return PriceSheet(
        prefix=prefix,
        area=rate.area,
        closed=False,
        currency=applied.paid_in or applied.currency,
        price_per_minute=format_amount(msgspec.structs.replace(applied, candidates=()).price_per_minute),
        billing_cycle=rate.billing_cycle,
        first_duration=rate.first_duration,
        first_rate=None if rate.first_rate is None else amount(rate.first_rate),
        connection_fee=amount(rate.connection_fee),
        minimum_charge=amount(rate.minimum_charge),
        tax_rate=str(tax_percent(applied)),
        has_sections=bool(rate.sections),
    )
