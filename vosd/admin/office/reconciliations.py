"""Use cases that show how vendors' bills compare with our calls (docs/books.md)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal
from typing import Final

import msgspec

from vosd.admin.bill_comparison import CSV_COLUMNS, csv_row, read_chunk
from vosd.admin.dispute_letter import dispute_letter
from vosd.admin.names import check_account, configured
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import Permission, Principal
from vosd.base.csv_text import csv_of
from vosd.base.errors import VosError
from vosd.base.money import EXACT, ZERO, AmountText, format_amount
from vosd.cdr.retention import DroppedPeriod
from vosd.cdr.shown import shown_as
from vosd.clearing.calls import BillClass
from vosd.clearing.sums import ClassSheet
from vosd.storage.disputes import DisputeState, StoredDispute
from vosd.storage.reconciliations import ReconciliationFilter, StoredReconciliation

FOLLOWING: Final = {
    DisputeState.OPEN: {DisputeState.SENT, DisputeState.ACCEPTED, DisputeState.REJECTED, DisputeState.SETTLED},
    DisputeState.SENT: {DisputeState.ACCEPTED, DisputeState.REJECTED, DisputeState.SETTLED},
    DisputeState.ACCEPTED: {DisputeState.SETTLED, DisputeState.REJECTED},
    DisputeState.REJECTED: {DisputeState.SENT, DisputeState.SETTLED},
    DisputeState.SETTLED: set(),
}
"""States that may follow each state of a dispute."""


class NoDisputeError(VosError):
    """Nothing is disputed of this reconciliation."""


class BadRowSheet(msgspec.Struct, frozen=True):
    """A row that could not be read."""

    line: int
    """Line of the file."""
    reason: str
    """Why it could not be read."""


class ComparisonSheet(msgspec.Struct, frozen=True, kw_only=True):
    """Counts and classes of a comparison."""

    rows: int
    """Rows of the file."""
    bad_rows: int
    """Rows that could not be read."""
    first_bad_rows: tuple[BadRowSheet, ...]
    """The first of them, with the reason."""
    attempts: int
    """Rows without seconds and price."""
    tolerance: float
    """Seconds by which the starts of a call may differ."""
    duration_tolerance: float
    """Seconds by which the durations of a call may differ."""
    classes: tuple[ClassSheet, ...]
    """Calls and money by class and explanation."""
    time_shift: int | None = None
    """Seconds by which the times of the file seem to be after ours: the zone of the map may be wrong; null = none."""
    lacks_seconds: bool = False
    """Whether the starts of the file seem to be cut off to whole minutes, and most calls are missing for that."""
    zone: str | None = None
    """Zone of the times of the file that have none of their own; null = an earlier version has compared it."""
    unbooked: int = 0
    """Calls of the period that were not booked yet, and so were not compared: compare the file again when they are."""


class KeptComparison(ComparisonSheet, frozen=True, kw_only=True):
    """A comparison as it is kept."""

    latest_correction: int
    """Number of the latest correction of a charge before our calls were read."""


class _KeptMark(msgspec.Struct, frozen=True):
    """The part of a kept comparison by which later corrections of charges are known."""

    tolerance: float = 0
    latest_correction: int | None = None
    """None = an earlier version has compared the calls."""


class DisputeSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute with a vendor; money as text, times are RFC 3339."""

    state: DisputeState
    """State of the dispute."""
    may_become: tuple[DisputeState, ...]
    """Other states that it may be changed to."""
    amount: str
    """Amount that the vendor is asked to credit, or has agreed to, as text."""
    reference: str | None
    """Reference of the vendor's credit note."""
    memo: str | None
    booked: str | None = None
    """Amount of the entry that settled it, as the vendor's account has it; null = nothing was booked."""
    booked_as: str | None = None
    """Reference of that entry."""
    opened_at: str
    """Time at which it was opened, RFC 3339."""
    changed_at: str
    """Time of the last change, RFC 3339."""
    operator: str
    """Name of who has changed it last."""


class ReconciliationSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of a vendor's file with our calls; money as text, times are RFC 3339."""

    id: int
    """Number of the comparison."""
    account: str
    """Account of the vendor."""
    file: str
    """Name of the vendor's file."""
    since: str
    """First moment of the period, RFC 3339."""
    until: str
    """First moment behind the period, RFC 3339."""
    made_at: str
    """Time of the comparison."""
    operator: str
    currency: str | None
    ours: AmountText
    """Cost that is booked here, as text."""
    theirs: AmountText
    """Price of the vendor, as text."""
    difference: AmountText
    """Price of the vendor less the cost that is booked here, as text."""
    disputable: AmountText
    """Sum of the classes in which the vendor asks for more than is booked here, as text."""
    comparison: ComparisonSheet
    """Counts and classes."""
    dispute: DisputeSheet | None
    """The dispute; null = nothing is disputed."""
    waiting: int | None = None
    """Number of the payment that a second person must confirm before the dispute can be settled; null = none."""
    repeated: bool = False
    """Whether the same file was imported before: this is the comparison of then."""
    corrected: int | None = None
    """Calls whose cost was corrected since: compare the file again. null = it was not looked up, as in lists, or
    calls of it were dropped: it cannot be compared again."""


class ListReconciliations(ReconciliationFilter, frozen=True):
    """Comparisons of vendors' files, the newest first unless ``oldest_first``; all given criteria must hold."""


@needs(Permission.BOOKS_SEE)
async def list_reconciliations(office: Office, who: Principal, order: ListReconciliations) -> list[ReconciliationSheet]:
    """Return comparisons with their disputes.

    Raises:
        UnknownNameError: nothing fits, and the account is unknown.
    """
    found = await office.stores.reconciliations.list(order)
    if not found:
        await check_account(order.account, office.definitions, office.stores, office.now())
    disputes = await office.stores.reconciliations.disputes([each.id for each in found])
    return [sheet_of(each, disputes.get(each.id)) for each in found]


class ReconciliationOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One comparison."""

    id: int


class ShowReconciliation(ReconciliationOrder, frozen=True):
    """Counts, classes and dispute of a comparison."""


class ReadDifferences(ReconciliationOrder, frozen=True):
    """The calls of a comparison that differ."""

    result: BillClass | None = None
    """Class of the calls; None = all that differ."""


class WriteLetter(ReconciliationOrder, frozen=True):
    """The letter to the vendor about a dispute."""


class Letter(msgspec.Struct, frozen=True):
    """A letter."""

    text: str
    """The letter as Markdown."""


@needs(Permission.BOOKS_SEE)
async def show_reconciliation(office: Office, who: Principal, order: ShowReconciliation) -> ReconciliationSheet:
    """Return a comparison; raises NoSuchReconciliationError where there is none of the number."""
    return await sheet_now(office, await office.stores.reconciliations.one(order.id))


@needs(Permission.BOOKS_SEE)
async def read_differences(office: Office, who: Principal, order: ReadDifferences) -> AsyncGenerator[str, None]:
    """Yield the calls that differ as CSV with a header, in parts: the file that a dispute is sent with.

    Raises:
        NoSuchReconciliationError: there is none of the number, or it was made again meanwhile.
        StoreUnavailable: what was yielded is correct, and is not all.
    """
    stored = await office.stores.reconciliations.one(order.id)
    yield csv_of([CSV_COLUMNS])
    chunks = office.stores.reconciliations.chunks(stored)
    async with aclosing(chunks):
        async for compressed in chunks:
            calls = await asyncio.to_thread(read_chunk, compressed)
            yield csv_of(csv_row(each) for each in calls if order.result in {None, each.result})


async def corrected_since(office: Office, stored: StoredReconciliation) -> int | None:
    """Return how many calls of a comparison had what their vendor is paid corrected since it was made.

    None = its calls were dropped, or their numbers are masked, so that the file cannot be compared again.
    """
    try:
        await office.stores.reconciliations.check_kept(stored.since)
    except DroppedPeriod:
        return None
    kept = msgspec.json.decode(stored.result, type=_KeptMark)
    return await office.stores.reconciliations.corrected(stored, round(1_000 * kept.tolerance), kept.latest_correction)


@needs(Permission.BOOKS_SEE)
async def write_letter(office: Office, who: Principal, order: WriteLetter) -> Letter:
    """Return the letter about a dispute: amounts by class and explanation, and what is asked for.

    Raises:
        NoSuchReconciliationError: there is none of the number.
        NoDisputeError: nothing is disputed.
    """
    stored = await office.stores.reconciliations.one(order.id)
    dispute = (await office.stores.reconciliations.disputes([order.id])).get(order.id)
    if dispute is None:
        raise NoDisputeError(f"nothing of reconciliation {order.id} is disputed: vosd reconcile dispute {order.id}")
    name = configured(office.definitions.accounts(), stored.account).id
    return Letter(dispute_letter(stored, dispute, _comparison(stored).classes, name))


async def sheet_now(office: Office, stored: StoredReconciliation, *, is_repeated: bool = False) -> ReconciliationSheet:
    """Return a comparison with its dispute as they are now."""
    disputes = await office.stores.reconciliations.disputes([stored.id])
    sheet = sheet_of(stored, disputes.get(stored.id))
    return msgspec.structs.replace(sheet, repeated=is_repeated, corrected=await corrected_since(office, stored))


def _comparison(stored: StoredReconciliation) -> ComparisonSheet:
    return msgspec.json.decode(stored.result, type=ComparisonSheet)


def disputable_part(stored: StoredReconciliation) -> Decimal:
    """Return what the vendor has billed too much, without what matches."""
    found = ZERO
    for each in _comparison(stored).classes:
        if each.result is not BillClass.MATCHED:
            found = EXACT.add(found, max(Decimal(each.difference), ZERO))
    return found


def sheet_of(stored: StoredReconciliation, dispute: StoredDispute | None) -> ReconciliationSheet:
    """Return a stored comparison with its dispute."""
    return shown_as(
        ReconciliationSheet,
        stored,
        difference=format_amount(EXACT.subtract(stored.theirs, stored.ours)),
        disputable=format_amount(disputable_part(stored)),
        comparison=_comparison(stored),
        dispute=None if dispute is None else _dispute_sheet(dispute),
    )


def _dispute_sheet(dispute: StoredDispute) -> DisputeSheet:
    return shown_as(
        DisputeSheet,
        dispute,
        may_become=tuple(each for each in DisputeState if each in FOLLOWING[dispute.state]),
        booked_as=None if dispute.booked is None else dispute.settled_as,
    )
