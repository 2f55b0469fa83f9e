"""Whether what a configuration charges can be booked: amounts that the columns hold, one currency a call.

A call whose price no column holds would be carried and never booked; a call that is sold in one currency and bought in
another has no margin that anybody could state.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from vosd.base.money import format_amount
from vosd.billing.accounts import Account
from vosd.billing.rater import total_at
from vosd.billing.rates import AppliedRate, Rate, RatingPolicy
from vosd.config.assembly.inventory import Inventory, Written, place_of
from vosd.config.assembly.rate_groups import ReadGroup
from vosd.config.keys.objects import MappingGatewayKeys, RoutingGatewayKeys
from vosd.config.keys.phones import PhoneKeys
from vosd.config.reader.problems import ProblemList

Customer = Written[MappingGatewayKeys] | Written[PhoneKeys]

BOOKED_AT_MOST: Final = Decimal(90_000_000_000)
"""What one call may cost with tax: SQLite keeps 1e-8 in 64 bits, up to 92,233,720,368; DECIMAL(20,8) takes more."""
_SMALL: Final = Decimal(1_000)
"""A price of a minute or a cycle that a call of a week, the highest ``limits.max_call_seconds``, keeps far below it."""


def check_rates(groups: Iterable[ReadGroup], longest_s: int, problems: ProblemList) -> None:
    """Note each rate by which the longest call would cost more than can be booked."""
    for read in groups:
        group = read.group
        for rate, place in read.rates:
            if _is_small(rate, group.policy):
                continue
            applied = AppliedRate(group.name, group.version, group.currency, rate, group.policy)
            cost = total_at(applied, longest_s)
            if cost > BOOKED_AT_MOST:
                expected = (
                    f"a price at which a call of limits.max_call_seconds ({longest_s} s) costs at most "
                    f"{format_amount(BOOKED_AT_MOST)} {group.currency} with tax, not {format_amount(cost)}: "
                    "more cannot be booked"
                )
                key = f"rate_groups[{group.name}].rates[{rate.prefix}].billing_rate"
                problems.error(place, key, expected, f"{rate.billing_rate:f}")


def _is_small(rate: Rate, policy: RatingPolicy) -> bool:
    prices = (rate.billing_rate, rate.first_rate or Decimal(0), policy.fee_unit)
    return max(prices) <= _SMALL


def check_currencies(
    customers: Iterable[Customer],
    vendors: Inventory[RoutingGatewayKeys],
    accounts: Mapping[str, Account],
    problems: ProblemList,
) -> None:
    """Note each routing gateway that would be paid in another currency than some customer's calls bring.

    Routing may join any customer with any gateway; one that is disabled, or buys by no rates, cannot cost another
    currency.
    """
    sold: dict[str, Customer] = {}
    for customer in customers:
        account = accounts.get(customer.thing.account)
        if account is not None and customer.thing.enabled:
            sold.setdefault(account.currency, customer)
    for vendor in vendors.written.values():
        account = accounts.get(vendor.thing.account)
        if account is None or account.rate_group is None or not vendor.thing.enabled:
            continue
        for currency, customer in sold.items():
            if currency != account.currency:
                expected = (
                    f"an account in {currency}, since calls of {customer.label} ({customer.section.place}, account "
                    f"{customer.thing.account!r}, {currency}) may go out here, and account {account.id!r} is paid in "
                    f"{account.currency}; a call has one currency"
                )
                place = place_of(vendor.section, "account")
                problems.error(place, f"{vendor.label}.account", expected, account.id)
