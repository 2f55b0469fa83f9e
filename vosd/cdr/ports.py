"""The ports of the books: whole calls booked together, and the standing of accounts.

``storage`` implements ``Books`` over MySQL, SQLite and memory. It does not know SQL, connections and retries: when to
try again is the caller's decision.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple, Protocol

from vosd.base.errors import VosError
from vosd.cdr.record import CallRecord


class Standing(NamedTuple):
    """A committed balance and the account's ledger sequence number at which it held (ADR 3)."""

    balance: Decimal
    seq: int


class BookedBatch(NamedTuple):
    """Result of a booking."""

    standings: Mapping[str, Standing]
    """Standing of every account that the batch touched."""
    repeated: frozenset[str] = frozenset()
    """Ids of its calls that were booked already."""


class LastStanding(NamedTuple):
    """The standing of an account as the switch knew it last, for a start without the database."""

    account: str
    balance: Decimal
    seq: int
    expires_at: int | None
    """UTC milliseconds; None = as configured."""
    currency: str | None


class ChangedStandings(NamedTuple):
    """Accounts whose standing changed after a mark, and the mark for the next query."""

    standings: Mapping[str, Standing]
    mark: int
    expiries: Mapping[str, int] = MappingProxyType({})
    """Until when those of them are valid of which the ledger says so, UTC milliseconds; of the others the configuration
    does."""
    currencies: Mapping[str, str] = MappingProxyType({})
    """Currency of each that has one."""


class StoreUnavailable(VosError):  # noqa: N818 - a state, not a mistake
    """The database cannot be reached or did not finish; try the same again later, nothing is booked twice."""


class OutcomeUnknown(StoreUnavailable):
    """The database went away while it committed: the change was made, or it was not."""

    remedy = "it is not known whether the change was made: read the object before you send it again"


class RowsLocked(StoreUnavailable):
    """Another transaction has held rows that were needed for too long: the database itself does its work."""


class Collided(StoreUnavailable):
    """The database has undone the whole transaction because of another one: the same may succeed at once."""


class StoreDamaged(StoreUnavailable):
    """The database answers, but its tables are not as they must be; the message says what to correct.

    The records are valid: they are booked once that is done.
    """


class RejectedRecord(NamedTuple):
    """A record that the database can never take, and why."""

    record: CallRecord
    reason: str


class RejectedRecords(VosError):  # noqa: N818 - it carries the records
    """Records that the database can never take; every other record of the batch is booked.

    ``booked`` is what ``book`` would have returned for the rest.
    """

    def __init__(self, rejected: Sequence[RejectedRecord], booked: BookedBatch | None = None) -> None:
        reasons = "; ".join(f"{record.call_id}: {reason}" for record, reason in rejected)
        super().__init__(f"the database refuses {len(rejected)} call record(s), keep them apart: {reasons}")
        self.rejected = tuple(rejected)
        self.booked = booked or BookedBatch({})


class Books(Protocol):
    """Port of the engine to the database: CDRs and money, booked together or not at all.

    Methods that await raise ``StoreUnavailable``: try again, unless they say more.
    """

    async def open_accounts(self, accounts: Collection[str], currencies: Mapping[str, str] | None = None) -> None:
        """Insert a row with balance zero for each account that has none, in its currency of ``currencies``.

        Raises:
            StoreUnavailable: some rows may be missing; try again.
        """

    async def locked_accounts(self, accounts: Collection[str]) -> frozenset[str]:
        """Return those of the accounts whose rows another transaction holds now, without waiting for it.

        Raises:
            StoreUnavailable: the database cannot say which they are.
        """

    async def settle_currencies(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """Set the currency of each account that has a row and no ledger entries in another currency.

        If any has money in another currency, set none and return those, each with its currency.

        Raises:
            StoreUnavailable: some may be set; try again.
        """

    async def other_currencies(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """Return the accounts that ``settle_currencies`` would refuse, each with its currency; nothing is changed."""

    async def currencies(self, accounts: Collection[str]) -> Mapping[str, str | None]:
        """Return the currency of each account that has a row; None = its money is from before there were currencies."""

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        """Book whole calls in one transaction.

        What is booked already changes nothing (a retry after a crash): a CDR is known by its call id, a
        ledger entry by account and reference (ADR 5). An account without a row gets one, in the currency of its first
        posting. A record is also rejected where a posting is in another currency than its account (ADR 32).

        Raises:
            StoreUnavailable: probably nothing of the batch was booked; try the same batch again.
            RowsLocked: nothing was booked, because of a row that another transaction holds.
            RejectedRecords: these records can never be booked; all others are committed.
        """

    async def lacking(self, records: Sequence[CallRecord]) -> Sequence[CallRecord]:
        """Return the records that are not booked, of calls that leave entries or a CDR."""

    def newest_commit(self) -> int:
        """Return the number of the latest commit since the last call of this method, 0 = none."""

    async def spent_since(self, wanted: Sequence[tuple[str, int]]) -> list[Decimal]:
        """Return what the calls of accounts have cost that ended since a time of each (UTC milliseconds), in order."""

    async def standings_of(self, accounts: Collection[str]) -> ChangedStandings:
        """Return the standing of each of these accounts that has a row; the mark is 0."""

    async def standings(self, after: int = 0) -> ChangedStandings:
        """Return the standing of every account that changed after the mark; ``after=0`` returns all."""
