"""A database that is away when a test says so, and calls that end as the switch ends them."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from doubles.data.records import answered_call
from doubles.memory.store import MemoryStore
from vosd.billing.holds import AccountCredit
from vosd.cdr.ports import BookedBatch, StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.engine.booking.recorder import Recorder
from vosd.engine.journal import Journal


class Database:
    """``MemoryStore`` with an outage that can be ordered, and a note of every batch that it was offered."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.offered: list[list[str]] = []
        self.away = 0
        """How many of the next attempts fail."""
        self.loses_answer = False
        """Whether a failing attempt has booked all the same, as when the connection breaks after the commit."""

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        self.offered.append([record.call_id for record in records])
        if self.away:
            self.away -= 1
            if self.loses_answer:
                await self.store.book(records)
            raise StoreUnavailable("away")
        return await self.store.book(records)

    async def open_accounts(self, accounts: Collection[str], currencies: Mapping[str, str] | None = None) -> None:
        if self.away:
            raise StoreUnavailable("away")
        await self.store.open_accounts(accounts, currencies)

    async def locked_accounts(self, accounts: Collection[str]) -> frozenset[str]:
        if self.away:
            raise StoreUnavailable("away")
        return await self.store.locked_accounts(accounts)


def end(recorder: Recorder, journal: Journal, credits: Mapping[str, AccountCredit], record: CallRecord) -> None:
    """Let a call end as the switch does: journal, recorder, and what it owes."""
    journal.ended(record)
    recorder.add(record)
    for posting in record.postings:
        if posting.account in credits:
            credits[posting.account].post(posting.amount)


def call(index: int, fee: str = "0.10", cost: str = "0.04", **changes: Any) -> CallRecord:
    return answered_call(
        index, customer_account="acme", vendor_account="carrier", fee=Decimal(fee), cost=Decimal(cost), **changes
    )
