"""Two currencies that may meet: whether there is an exchange rate for them, and whether it is in force (ADR 64)."""

from typing import Any

from vosd.billing.accounts import Account
from vosd.billing.currencies import Currencies
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Definition
from vosd.cdr.columns import iso_utc


class Exchange:
    """Reports the exchange rates that definitions need and that are missing."""

    def __init__(self, currencies: Currencies, problems: ProblemList, now_ms: int | None = None) -> None:
        """``now_ms``: the present, UTC; None = whether a rate is in force yet is not looked at."""
        self._currencies = currencies
        self._problems = problems
        self._now_ms = now_ms

    def missing(self, base: str, quote: str) -> str:
        """Return what is expected so that amounts of ``base`` can be converted into ``quote``; empty = they can."""
        if base == quote:
            return ""
        begins = self._currencies.begins_at(base, quote)
        if begins is None:
            return f"exchange_rates with base: {base} and quote: {quote}"
        if self._now_ms is None or begins <= self._now_ms:
            return ""
        return f"exchange_rates with base: {base} and quote: {quote} that are in force, not from {iso_utc(begins)} on"

    def check_group(self, group: Definition[RateGroup], account: Account, named_by: Definition[Any], key: str) -> None:
        """Report that fees by a rate group, which ``key`` names, cannot be converted into an account's currency."""
        missing = self.missing(group.value.currency, account.currency)
        if missing:
            expected = (
                f"a rate group in {account.currency}, the currency of account {account.id!r}, or {missing}; rate group "
                f"{group.value.name!r} ({group.origin.place}) is in {group.value.currency}"
            )
            self._problems.error(*named_by.at(key), expected, group.value.name)
