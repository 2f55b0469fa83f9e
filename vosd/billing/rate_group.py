"""Rate groups: a table of rates with a currency and a rounding."""

from typing import Final

from vosd.billing.origin_rates import RateOrigin
from vosd.billing.ports import RateTable
from vosd.billing.rates import AppliedRate, RatingPolicy

_SHARED_MAX: Final = 1_024


class RateGroup:
    """A named table of rates in one currency, with the rounding of what is charged by it."""

    __slots__ = (
        "_applied", "currency", "name", "origins", "period_rates", "policy", "rate_version", "table", "version",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        currency: str,
        policy: RatingPolicy,
        table: RateTable,
        version: str,
        period_rates: str | None = None,
        origins: tuple[RateOrigin, ...] = (),
    ) -> None:
        self.name = name
        self.currency = currency
        self.policy = policy
        self.table = table
        self.version = version
        """Names the content: changes whenever a rate, the currency or the rounding does."""
        self.period_rates = period_rates
        """Name of the period rates of accounts that have this as their rate group and none of their own."""
        self.rate_version = table.version
        """Version of the rate that calls keep; it begins with the version of the deck, where there is one."""
        self.origins = origins
        """Calls of which callers other rate groups price; none = this one prices all of them."""
        self._applied: dict[str, AppliedRate] = {}
        """The latest by prefix: the calls that run at one rate share it."""

    def name_deck(self, version: int) -> None:
        """Have calls name the version of the deck that the rates are from; to be called before the first call."""
        self.rate_version = f"{version}-{self.table.version}"

    def has_the_rates_of(self, other: "RateGroup") -> bool:
        """Return whether another group of this name charges calls by the same rates, and calls them the same."""
        return self.version == other.version and self.rate_version == other.rate_version

    @property
    def depends_on_caller(self) -> bool:
        """Return whether the rate of a number is another one for some callers."""
        return False  # those of its origins are priced by ``OriginRates``

    def tables_at(self, wall_ms: int) -> tuple[RateTable, ...]:  # noqa: ARG002 - it is the same at any time
        """Return the one table (``ports.Rates``); which of its rates are in force it knows itself."""
        return (self.table,)

    def find(self, number: str, wall_ms: int, _caller: str = "", _forward_prefix: str = "", /) -> AppliedRate | None:
        """Return the rate in force at ``wall_ms`` (UTC) of the longest prefix that fits ``number``, or None.

        A number whose prefix is locked has none.
        """
        rate = self.table.find(number.removeprefix("+"), wall_ms)  # ``base.number.for_matching``
        if rate is None or rate.locked:
            return None
        applied = self._applied.get(rate.prefix)
        if applied is None or applied.rate is not rate or applied.version != self.rate_version:
            if len(self._applied) >= _SHARED_MAX:
                self._applied.clear()
            applied = AppliedRate(self.name, self.rate_version, self.currency, rate, self.policy)
            self._applied[rate.prefix] = applied
        return applied
