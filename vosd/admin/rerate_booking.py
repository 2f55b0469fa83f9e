"""Book what a new rating of calls makes of their charges: corrections, some calls in one transaction.

Each entry is named by the run and the call, so a run that was interrupted may be repeated.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from vosd.base.money import EXACT, ZERO, format_amount
from vosd.cdr.corrections import Change, CorrectedCharge, Correction

CALLS_AT_ONCE: Final = 100
"""Calls of one transaction: their accounts are locked for some milliseconds, while calls are booked as well."""


class CorrectionStore(Protocol):
    """Where corrections are booked (``storage.corrections``)."""

    async def book(self, corrections: Sequence[Correction]) -> list[CorrectedCharge]:
        """Correct calls, all in one transaction or none; return the changed charges."""
        ...


class Run(NamedTuple):
    """Who books, and why; the same ``reference`` (``admin.rerate_runs``) corrects a call once."""

    reference: str
    operator: str
    memo: str
    made_at: int
    """UTC milliseconds."""


class Bookings:
    """The corrections of one run."""

    def __init__(self, store: CorrectionStore, run: Run) -> None:
        self._store, self._run = store, run
        self._waiting: list[Correction] = []
        self._amounts: dict[tuple[str, str | None], Decimal] = {}
        self.charges = self.repeated = 0

    async def add(self, call_id: str, changes: tuple[Change, ...]) -> None:
        """Correct a call, at the latest with ``finish``; raises what ``CorrectionStore.book`` does."""
        if changes:
            run = self._run
            self._waiting.append(Correction(call_id, changes, run.reference, run.operator, run.memo, run.made_at))
            if len(self._waiting) >= CALLS_AT_ONCE:
                await self.finish()

    async def finish(self) -> None:
        """Book what waits; raises what ``CorrectionStore.book`` does."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        for charge in await self._store.book(waiting):
            if charge.is_repeated:
                self.repeated += 1
                continue
            self.charges += 1
            key = charge.account, charge.currency
            self._amounts[key] = EXACT.add(self._amounts.get(key, ZERO), charge.amount)

    def to_json(self) -> dict[str, object]:
        """Return what was booked; its keys are stable. ``amount`` is what the entries add to the account."""
        return {
            "reference": self._run.reference,
            "charges": self.charges,
            "repeated": self.repeated,
            "accounts": [
                {"account": account, "currency": currency, "amount": format_amount(amount)}
                for (account, currency), amount in sorted(self._amounts.items(), key=lambda item: item[0][0])
            ],
        }
