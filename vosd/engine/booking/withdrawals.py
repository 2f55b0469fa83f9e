"""Money that operators take from accounts, kept from calls while it is being booked (ADR 91).

A command asks for a withdrawal, books it itself, and reports that it is done. In between the amount is not available
to calls. Reads no balances and books nothing.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import uuid4

from vosd.base.money import format_amount
from vosd.billing.holds import AccountCredit
from vosd.obs.events import log as _log

WITHDRAWAL_MS: Final = 60_000
"""Longest time of a withdrawal: a booking takes half as long at most, or is undone."""


class _Withdrawal(NamedTuple):
    credit: AccountCredit | None
    """None = no call can use the account."""
    amount: Decimal
    until_mono: int


class Withdrawals:
    """The withdrawals of one switch that are in no balance yet."""

    def __init__(self, credits: Mapping[str, AccountCredit]) -> None:
        self._credits = credits
        self._open: dict[str, _Withdrawal] = {}
        self._reported: set[str] = set()

    def begin(self, account: str, amount: Decimal, mono_ms: int) -> str | Decimal:
        """Withhold an amount and return the id of the withdrawal, or what is available where that is less."""
        credit = self._credits.get(account)
        if credit is not None and not credit.is_read:
            credit = None
        if credit is not None and not credit.withhold(amount):
            assert credit.available is not None, "an unlimited account is never short"
            return credit.available
        name = str(uuid4())
        self._open[name] = _Withdrawal(credit, amount, mono_ms + WITHDRAWAL_MS)
        return name

    def report(self, name: str) -> None:
        """Note that it is booked, or never will be: balances that are read from now on contain it or need not."""
        if name in self._open:
            self._reported.add(name)

    def over(self, mono_ms: int) -> list[str]:
        """Return the withdrawals that were reported, or not in time; call it before balances are read."""
        if not self._open:
            return []
        late = [name for name, each in self._open.items() if each.until_mono <= mono_ms and name not in self._reported]
        for name in late:
            amount = format_amount(self._open[name].amount)
            _log.warning(
                "withdrawal_not_reported", amount=amount, means="its command was killed before or after it booked"
            )
        self._reported.update(late)
        return list(self._reported)

    def put_back(self, over: list[str]) -> None:
        """Release them once the balances are read. For that moment an amount counts twice, never not at all."""
        for name in over:
            withdrawal = self._open.pop(name)
            self._reported.discard(name)
            if withdrawal.credit is not None:
                withdrawal.credit.put_back(withdrawal.amount)
