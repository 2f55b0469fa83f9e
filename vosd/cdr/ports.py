"""What the switch asks of its database: whole calls booked together, and the standing of accounts.

``storage`` implements ``Books`` over MySQL, SQLite and memory. Refuses to know SQL, connections and retries: when to
try again is the caller's decision.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from vosd.base.errors import VosError
from vosd.cdr.record import CallRecord


class Standing(NamedTuple):
    """A committed balance and the account's ledger sequence number at which it held (ADR 3)."""

    balance: Decimal
    seq: int


class Changes(NamedTuple):
    """The accounts whose standing changed after a mark, and the mark to ask with next time."""

    standings: Mapping[str, Standing]
    mark: int


class StoreUnavailable(VosError):  # noqa: N818 - a state, not a mistake
    """The database cannot be reached or did not finish; try the same again later, it books nothing twice."""


class StoreDamaged(StoreUnavailable):
    """The database answers, but its tables are not as they must be; the message says what to mend.

    No record is at fault: the same records are taken once that is done.
    """


class RejectedRecord(NamedTuple):
    """A record that the database can never take, and why."""

    record: CallRecord
    reason: str


class RejectedRecords(VosError):  # noqa: N818 - it carries the records
    """Records that the database can never take; every other record of the batch is booked.

    ``standings`` holds what ``book`` would have returned for the rest.
    """

    def __init__(self, rejected: Sequence[RejectedRecord], standings: Mapping[str, Standing] | None = None) -> None:
        reasons = "; ".join(f"{record.call_id}: {reason}" for record, reason in rejected)
        super().__init__(f"the database refuses {len(rejected)} call record(s), keep them apart: {reasons}")
        self.rejected = tuple(rejected)
        self.standings: Mapping[str, Standing] = standings or {}


class Books(Protocol):
    """The database as the engine sees it: CDRs and money, booked together or not at all."""

    async def open_accounts(self, accounts: Collection[str]) -> None:
        """Make a row with balance zero for every account that has none yet.

        Raises:
            StoreUnavailable: some rows may be missing; ask again.
        """
        ...

    async def settle_currencies(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """Give every account that has a row its currency, by account, where no entry of its ledger has one yet.

        Where any has money in another currency none is changed; return those, each with the currency that it has.

        Raises:
            StoreUnavailable: some may be settled; ask again.
        """
        ...

    async def currencies(self, accounts: Collection[str]) -> Mapping[str, str | None]:
        """Return the currency of each account that has a row; None = its money came before currencies were kept.

        Raises:
            StoreUnavailable: ask again.
        """
        ...

    async def book(self, records: Sequence[CallRecord]) -> Mapping[str, Standing]:
        """Book whole calls in one transaction and return the standing of every account they touched.

        What is booked already changes nothing (a retry after a crash): a CDR is known by its call id, a
        ledger entry by account and reference (ADR 5). An account without a row gets one, in the currency of its first
        posting. A record is also rejected where a posting is in another currency than its account (ADR 32).

        Raises:
            StoreUnavailable: nothing of this batch was booked, as far as is known; try the same batch again.
            RejectedRecords: the named records cannot be stored as they are; all others are committed.
        """
        ...

    async def lacking(self, records: Sequence[CallRecord]) -> Sequence[CallRecord]:
        """Return those of the records of which the database has nothing, of a call that leaves entries or a CDR.

        Raises:
            StoreUnavailable: ask again.
        """
        ...

    def newest_commit(self) -> int:
        """Return the number of the latest commit since the question before, 0 = none."""
        ...

    async def standings(self, after: int = 0) -> Changes:
        """Return the standing of every account that changed after the mark; ``after=0`` returns all.

        Raises:
            StoreUnavailable: ask again.
        """
        ...
