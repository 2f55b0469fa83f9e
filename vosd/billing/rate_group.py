"""Rate groups: a table of rates with a currency and a rounding."""

from vosd.billing.ports import RateTable
from vosd.billing.rates import AppliedRate, RatingPolicy


class RateGroup:
    """A named table of rates in one currency, with the rounding of what is charged by it."""

    __slots__ = ("currency", "name", "policy", "table", "version")

    def __init__(self, name: str, currency: str, policy: RatingPolicy, table: RateTable, version: str) -> None:
        self.name = name
        self.currency = currency
        self.policy = policy
        self.table = table
        self.version = version
        """Names the content: changes whenever a rate, the currency or the rounding does."""

    def find(self, number: str, wall_ms: int) -> AppliedRate | None:
        """Return the rate in force at ``wall_ms`` (UTC) of the longest prefix that fits ``number``, or None."""
        table = self.table
        rate = table.find(number.removeprefix("+"), wall_ms)  # ``base.number.for_matching``
        if rate is None:
            return None
        return AppliedRate(self.name, table.version, self.currency, rate, self.policy)
