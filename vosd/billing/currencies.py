"""Several currencies: rates of exchange by date, decimals by currency, and rate groups of another currency (ADR 64)."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from vosd.base.money import unit_of
from vosd.billing.account_rates import AccountRounding, for_account
from vosd.billing.exchange import ExchangeRate
from vosd.billing.ports import Rates, RateTable
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_layout import ALWAYS
from vosd.billing.rater import total_at
from vosd.billing.rates import AppliedRate, RatingPolicy

BOOKED_AT_MOST: Final = Decimal(90_000_000_000)
"""Largest price of one call with tax: SQLite keeps units of 1e-8 in 64 bits, up to 92,233,720,368; DECIMAL(20,8)
holds more."""
_SHARED_MAX: Final = 1_024


class FeeDecimals(msgspec.Struct, frozen=True):
    """To which step amounts of a currency are rounded."""

    precision: int
    """Decimals, 0-8."""
    unit: Decimal
    """Smallest step, not finer than the decimals."""


class Currencies:
    """Rates of exchange and decimals of one catalogue."""

    def __init__(
        self,
        exchange_rates: Iterable[ExchangeRate] = (),
        decimals: Mapping[str, FeeDecimals] | None = None,
        default: FeeDecimals | None = None,
        longest_s: int = 0,
    ) -> None:
        """Take the definitions.

        Args:
            exchange_rates: of each pair and moment one.
            decimals: of fees, by currency.
            default: of fees in all other currencies; None = six decimals.
            longest_s: how long a call may last; a converted price by which it could not be booked is none.
        """
        self._decimals = decimals or {}
        self._default = default or FeeDecimals(6, unit_of(6))
        self.longest_s = longest_s
        pairs: dict[tuple[str, str], list[tuple[int, Decimal]]] = {}
        for each in exchange_rates:
            begins = ALWAYS[0] if each.effective_from is None else each.effective_from
            pairs.setdefault((each.base, each.quote), []).append((begins, each.rate))
        self._pairs: dict[tuple[str, str], tuple[list[int], list[Decimal]]] = {}
        """By base and quote: when each rate begins, and the rates, the earliest first."""
        for pair, found in pairs.items():
            found.sort()
            self._pairs[pair] = [begins for begins, _ in found], [rate for _, rate in found]
        self.is_empty: Final = not self._pairs
        """Whether there are no exchange rates: then no two currencies meet."""

    def rate(self, base: str, quote: str, wall_ms: int) -> Decimal | None:
        """Return what one unit of ``base`` is in ``quote`` at ``wall_ms`` (UTC), 1 for the same currency.

        None = no rate is in force. Only the written direction counts: 1/rate is a rate that no one has agreed on, and
        mostly has no last digit.
        """
        if base == quote:
            return Decimal(1)
        found = self._pairs.get((base, quote))
        if found is None:
            return None
        place = bisect_right(found[0], wall_ms)
        return found[1][place - 1] if place else None

    def begins_at(self, base: str, quote: str) -> int | None:
        """Return when the first rate of a pair begins, UTC milliseconds; None = there is none."""
        found = self._pairs.get((base, quote))
        return None if found is None else found[0][0]

    def decimals(self, currency: str) -> FeeDecimals:
        """Return to which step amounts of a currency are rounded where nothing else says so."""
        return self._decimals.get(currency, self._default)


class ConvertedRates:
    """The rates of a group for accounts of another currency (implements ``Rates``)."""

    __slots__ = ("_applied", "_currencies", "_currency", "_group", "name", "policy")

    def __init__(self, group: RateGroup, currency: str, currencies: Currencies) -> None:
        self.name: Final = group.name
        self._group = group
        self._currency = currency
        self._currencies = currencies
        decimals = currencies.decimals(currency)
        self.policy: Final[RatingPolicy] = msgspec.structs.replace(
            group.policy, fee_precision=decimals.precision, fee_unit=decimals.unit
        )
        """Rounding of fees: to the decimals of the account's currency, those of the group being of another one."""
        self._applied: dict[tuple[AppliedRate, Decimal], AppliedRate] = {}
        """By rate of the group and rate of exchange: the calls that run at one rate share it."""

    @property
    def depends_on_caller(self) -> bool:
        """Return whether the rate of a number is another one for some callers."""
        return False

    def tables_at(self, wall_ms: int) -> tuple[RateTable, ...]:
        """Return the table in which numbers are looked up."""
        return self._group.tables_at(wall_ms)

    def find(self, number: str, wall_ms: int, caller: str = "", forward_prefix: str = "", /) -> AppliedRate | None:
        """Return the rate of a call to ``number`` that arrives at ``wall_ms`` (UTC), converted at the rate of then.

        None = there is none, no exchange rate is in force, or the longest call would cost more than can be booked.
        """
        found = self._group.find(number, wall_ms, caller, forward_prefix)
        if found is None:
            return None
        exchange_rate = self._currencies.rate(self._group.currency, self._currency, wall_ms)
        if exchange_rate is None:
            return None
        return self._applied.get((found, exchange_rate)) or self._made(found, exchange_rate)

    def _made(self, found: AppliedRate, exchange_rate: Decimal) -> AppliedRate | None:
        made = msgspec.structs.replace(found, policy=self.policy, exchange_rate=exchange_rate, paid_in=self._currency)
        if total_at(made, self._currencies.longest_s) > BOOKED_AT_MOST:
            return None
        if len(self._applied) >= _SHARED_MAX:
            self._applied.clear()
        self._applied[found, exchange_rate] = made
        return made


def rates_for(group: RateGroup, currency: str, rounding: AccountRounding, currencies: Currencies) -> Rates:
    """Return the rates of a group as an account of ``currency`` is charged by them; the group if that is as it says."""
    if group.currency == currency:
        return for_account(group, group.policy, rounding)
    converted = ConvertedRates(group, currency, currencies)
    return for_account(converted, converted.policy, rounding)
