"""Comparisons of vendors' files with our calls in MySQL and SQLite: results, calls that differ, disputes.

The calls that differ are compressed in chunks: a comparison of a million calls is written in one transaction.
"""

from collections.abc import AsyncGenerator, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    not_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.engine import Row

from vosd.base.errors import VosError
from vosd.cdr.kinds import ACCOUNT_LENGTH, NAME_LENGTH
from vosd.cdr.record import IN_VAIN, VENDOR
from vosd.cdr.retention import LONGEST_CALL_MS
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import Database, repeated
from vosd.storage.disputes import DisputeMovedError, StoredDispute, dispute_of
from vosd.storage.driver_errors import AlreadyThere
from vosd.storage.dropped import check_there, check_unmasked, dropped_before, first_id
from vosd.storage.ports import Payment
from vosd.storage.types import descriptive, identifying
from vosd.storage.unrecorded_calls import UnrecordedCall, unrecorded_calls
from vosd.storage.writers import writer_for

CALLS_AT_ONCE: Final = 5_000
"""Calls of a page, more or less."""
_FIRST_SLICE_MS: Final = 60_000
"""Time of the first page: the next ones are longer or shorter, as calls are rare or frequent."""

_cdr: Final = schema.cdr.c
_attempt: Final = schema.cdr_attempt.c
_correction: Final = schema.cdr_correction.c
_reconciliation: Final = schema.reconciliation
_chunk: Final = schema.reconciliation_chunk
_dispute: Final = schema.reconciliation_dispute


class NoSuchReconciliationError(VosError):
    """No comparison has the number."""


class StoredReconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of a vendor's file with our calls; times are UTC milliseconds."""

    id: int
    account: str
    digest: str
    file: str
    since: int
    until: int
    made_at: int
    operator: str
    currency: str | None
    ours: Decimal
    theirs: Decimal
    result: str
    """JSON."""


class ReconciliationFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Comparisons of vendors' files, the newest first unless ``oldest_first``; all given criteria must hold."""

    account: str | None = None
    """Account of a vendor; None = all."""
    file: str | None = None
    """Name of the file; None = any."""
    operator: str | None = None
    """Operator who compared it; None = any."""
    after: int | None = None
    """Comparisons that are listed after the one with this id."""
    oldest_first: bool = False
    """Whether the comparison that was made first comes first."""
    limit: int | None = None
    """None = all."""


class VendorCall(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A call that a vendor is paid for, as far as it is compared; times are UTC milliseconds."""

    call_id: str
    started_at: int
    vendor_answered_at: int | None
    ended_at: int
    caller_out: str | None
    callee_out: str | None
    callee_billing: str | None
    routing_gateway: str | None
    vendor_billing_base_ms: int | None
    vendor_billed_seconds: int
    cost: Decimal
    cost_tax: Decimal
    vendor_rate_prefix: str | None
    caller_hidden: int | None = None
    answered_after_ms: int | None = None
    """Milliseconds from the INVITE to the vendor until its answer; None = it did not answer, or answered late."""


class TriedCall(NamedTuple):
    """An attempt at a gateway that did not answer; times are UTC milliseconds and those of the call."""

    call_id: str
    started_at: int
    ended_at: int
    callee_in: str
    callee_out: str | None
    """Number of the last attempt of the call."""
    callee_billing: str | None
    gateway: str
    code: int
    reason: str


_answered_after: Final = (
    select(_attempt.ms)
    .where(
        _attempt.call_id == _cdr.call_id,
        _attempt.gateway == _cdr.routing_gateway,
        _attempt.code.between(200, 299),
        _attempt.reason.not_in(IN_VAIN),  # the CDR of such an answer begins with the INVITE to the vendor
    )
    .order_by(_attempt.position)
    .limit(1)
    .correlate(schema.cdr)
    .scalar_subquery()
)
_other: Final = schema.cdr.alias("other")
_same_attempt: Final = and_(
    _other.c.sip_call_id_out == _cdr.sip_call_id_out,
    # no plain column: SQLite would go by the vendor, and read all its calls for each one
    func.coalesce(_other.c.vendor_account, "") == _cdr.vendor_account,
)
PAID_REST: Final = (
    select(_other.c.call_id).where(_same_attempt, _other.c.vendor_paid_ms.is_not(None)).correlate(schema.cdr)
)
"""CDR of the late answer of the attempt that a call is charged for: the vendor bills both as one call."""


def with_paid(name: str) -> ColumnElement[Any]:
    """Return a column of a call, of a late answer with what the CDR of its call has charged for the same attempt."""
    column, unpaid = _cdr[name], literal(0, BigInteger)
    unanswered = _other.c.vendor_paid_ms.is_(None), _other.c.vendor_answered_at.is_(None)
    before = select(_other.c[name]).where(_same_attempt, *unanswered).limit(1)
    of_call = before.correlate(schema.cdr).scalar_subquery()
    paid = case(
        (_cdr.vendor_paid_ms.is_not(None), func.coalesce(type_coerce(of_call, BigInteger), unpaid)), else_=unpaid
    )
    return type_coerce(type_coerce(column, BigInteger) + type_coerce(paid, BigInteger), column.type)


_WITH_PAID: Final = {name: with_paid(name) for name in ("vendor_billed_seconds", "cost", "cost_tax")}
_COLUMNS: Final = (
    *(_WITH_PAID.get(name, _cdr[name]).label(name) for name in VendorCall.__struct_fields__[:-1]),
    _answered_after,
)


class SqlReconciliations:
    """Reads calls of vendors, and keeps comparisons."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = writer_for(database)

    async def check_kept(self, since: int) -> None:
        """Check that the calls since a time (UTC milliseconds) are there with their numbers.

        Raises:
            DroppedPeriod: some were dropped, or their numbers are masked.
        """
        async with self._database.reading() as connection:
            dropped = await dropped_before(connection)
        check_there(dropped.calls, since, "calls")
        check_unmasked(dropped.numbers, since)

    async def calls(self, vendor: str, since: int, until: int) -> AsyncGenerator[Sequence[VendorCall], None]:
        """Yield the calls of a vendor whose INVITE arrived in a span and that it is paid for, the earliest pages first.

        A page is a slice of time of about ``CALLS_AT_ONCE`` calls in any order: with a limit and an order the server
        would sort all that is left for each page, because the table is partitioned.
        """
        paid = _cdr.vendor_answered_at.is_not(None) | (_cdr.cost != 0) | (_cdr.cost_tax != 0)
        is_whole = _cdr.vendor_answered_at.is_not(None) | ~PAID_REST.exists()
        query = select(*_COLUMNS).where(_cdr.vendor_account == vendor, paid, is_whole)
        begin, slice_ms = since, _FIRST_SLICE_MS
        while begin < until:
            end = min(begin + slice_ms, until)
            async with self._database.reading() as connection:
                part = query.where(_cdr.started_at >= begin, _cdr.started_at < end)
                rows = (await connection.execute(part)).all()
            if rows:
                yield [VendorCall(*row) for row in rows]
            begin = end
            if len(rows) > CALLS_AT_ONCE:
                slice_ms = max(slice_ms // 2, 1)
            elif len(rows) < CALLS_AT_ONCE // 3:
                slice_ms *= 2

    async def unrecorded(self, vendor: str, since: int, until: int) -> Sequence[UnrecordedCall]:
        """Return the calls without CDR that a vendor is paid for and that ended since ``since``.

        Their INVITEs arrived before ``until``.
        """
        async with self._database.reading(unhurried=True) as connection:
            began = since - LONGEST_CALL_MS, until
            found = await unrecorded_calls(connection, vendor, since, until + LONGEST_CALL_MS, began)
        return [each for each in found if each.role == VENDOR]

    async def tried(self, gateways: Sequence[str], since: int, until: int) -> Sequence[TriedCall]:
        """Return the attempts at gateways that did not answer, of calls whose INVITE arrived in a span."""
        of_attempt = {"gateway", "code", "reason"}
        query = select(*(_attempt[name] if name in of_attempt else _cdr[name] for name in TriedCall._fields))
        began = _cdr.started_at >= since, _cdr.started_at < until
        refused = _attempt.gateway.in_(gateways), not_(_attempt.code.between(200, 299)), schema.ATTEMPT_WAS_SENT
        joined = query.join(schema.cdr_attempt, _attempt.call_id == _cdr.call_id).where(*began, *refused)
        rows = await self._database.rows(
            joined.order_by(_cdr.started_at, _cdr.call_id, _attempt.position), unhurried=True
        )
        return [TriedCall(*row) for row in rows]

    async def breakdowns(self, call_ids: Sequence[str]) -> dict[str, str]:
        """Return the steps of the charges of some calls, by call."""
        query = select(_cdr.call_id, _cdr.fee_breakdown).where(_cdr.call_id.in_(call_ids))
        return {row.call_id: row.fee_breakdown for row in await self._database.rows(query)}

    async def latest_correction(self) -> int:
        """Return the number of the latest correction of a charge, 0 = there is none; numbers grow by commits."""
        async with self._database.reading() as connection:
            return await connection.scalar(select(func.max(_correction.id))) or 0

    async def corrected(self, of: StoredReconciliation, tolerance_ms: int, latest: int | None) -> int:
        """Return how many calls of a comparison had what their vendor is paid corrected since it was made.

        ``tolerance_ms``: by which its calls may be out of its span. ``latest`` is the latest correction of then; None =
        an earlier version has compared them.
        """
        later = _correction.corrected_at > of.made_at if latest is None else _correction.id > latest
        since, until = max(0, of.since - tolerance_ms), of.until + tolerance_ms
        begin = max(0, since - LONGEST_CALL_MS)
        query = (
            select(func.count(_correction.call_id.distinct()))
            .join(schema.cdr, _cdr.call_id == _correction.call_id)
            .where(_correction.call_id >= first_id(begin), _correction.call_id < first_id(until))
            .where(_correction.role == VENDOR, later)
            # The times bound a plan that begins with the calls of the vendor, too.
            .where(_cdr.vendor_account == of.account, _cdr.started_at >= begin, _cdr.started_at < until)
            .where(func.coalesce(_cdr.vendor_answered_at, _cdr.started_at) >= since)
        )
        async with self._database.reading(unhurried=True) as connection:
            return await connection.scalar(query) or 0

    async def of_file(self, account: str, digest: str) -> StoredReconciliation | None:
        """Return the comparison of a file; None = it was not imported."""
        async with self._database.reading() as connection:
            return await _of_file(connection, account, digest)

    @repeated
    async def add(
        self, made: StoredReconciliation, chunks: Sequence[bytes], audit: AuditLine, *, again: bool
    ) -> tuple[StoredReconciliation, bool]:
        """Write a comparison with the calls that differ; return it with its number, and whether it was written.

        The comparison of the same file is returned unless it is made ``again``: then the new one takes its place and
        its number, and its dispute stays.
        """
        try:
            async with self._database.writing(unhurried=True) as connection:
                earlier = await _of_file(connection, made.account, made.digest)
                if earlier is not None and not again:
                    return earlier, False
                number = await _written(connection, made, None if earlier is None else earlier.id)
                for position, compressed in enumerate(chunks):
                    row = {"reconciliation": number, "position": position, "compressed": compressed}
                    await connection.execute(insert(_chunk).values(row))
                await note(connection, audit)
        except AlreadyThere:  # another process has written it since
            found = await self.of_file(made.account, made.digest)
            if found is None:
                raise
            return found, False
        return msgspec.structs.replace(made, id=number), True

    async def list(self, wanted: ReconciliationFilter) -> Sequence[StoredReconciliation]:
        """Return comparisons, the one that was made last first unless ``oldest_first``."""
        columns = _reconciliation.c
        query = select(_reconciliation).limit(wanted.limit)
        query = query.order_by(columns.id.asc() if wanted.oldest_first else columns.id.desc())
        for column, value in (
            (columns.account, wanted.account), (columns.file, wanted.file), (columns.operator, wanted.operator),
        ):  # fmt: skip
            if value is not None:
                query = query.where(column == value)
        if wanted.after is not None:
            query = query.where(columns.id > wanted.after if wanted.oldest_first else columns.id < wanted.after)
        return [_reconciliation_of(row) for row in await self._database.rows(query)]

    async def within(self, since: int, until: int) -> Sequence[StoredReconciliation]:
        """Return all comparisons whose spans have a part of a span, the oldest first; times are UTC milliseconds."""
        is_within = _reconciliation.c.since < until, _reconciliation.c.until > since
        query = select(_reconciliation).where(*is_within).order_by(_reconciliation.c.id)
        return [_reconciliation_of(row) for row in await self._database.rows(query, unhurried=True)]

    async def one(self, number: int) -> StoredReconciliation:
        """Return a comparison; raises NoSuchReconciliationError, too."""
        async with self._database.reading() as connection:
            query = select(_reconciliation).where(_reconciliation.c.id == number)
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise NoSuchReconciliationError(f"there is no reconciliation {number}: vosd reconcile list has them")
        return _reconciliation_of(row)

    async def chunks(self, of: StoredReconciliation) -> AsyncGenerator[bytes, None]:
        """Yield the calls of a comparison that differ, compressed.

        Raises:
            NoSuchReconciliationError: it was made again meanwhile; what was yielded is of the earlier one.
        """
        position, made_at = 0, select(_reconciliation.c.made_at).where(_reconciliation.c.id == of.id)
        while True:
            own = (_chunk.c.reconciliation == of.id) & (_chunk.c.position == position)
            async with self._database.reading() as connection:
                if await connection.scalar(made_at) != of.made_at:
                    raise NoSuchReconciliationError(f"reconciliation {of.id} was made again meanwhile: read it again")
                found = await connection.scalar(select(_chunk.c.compressed).where(own))
            if found is None:
                return
            yield found
            position += 1

    async def disputes(self, numbers: Sequence[int]) -> dict[int, StoredDispute]:
        """Return the disputes of comparisons by the numbers of these."""
        query = select(_dispute).where(_dispute.c.reconciliation.in_(numbers))
        return {row.reconciliation: dispute_of(row) for row in await self._database.rows(query)}

    @repeated
    async def dispute(
        self, wanted: StoredDispute, before: StoredDispute | None, audit: AuditLine, settlement: Payment | None = None
    ) -> None:
        """Open a dispute, or change the one that was read ``before``.

        ``settlement`` is booked in the same transaction, once: an entry that has its reference already is the one.

        Raises:
            DisputeMovedError: another person has opened or changed it meanwhile; nothing was changed.
            ReferenceTaken, OtherCurrency, NoSuchAccount: nothing was booked or changed.
        """
        values = _values_of(wanted)
        moved = DisputeMovedError(f"the dispute of reconciliation {wanted.reconciliation} was changed meanwhile")
        try:
            async with self._database.writing() as connection:
                if settlement is not None:  # before the dispute is locked: bookings take their numbers first
                    mark = await self._writer.take_numbers(connection, 1)
                    from vosd.storage.payments import book  # most readers of reconciliations book nothing

                    await book(connection, settlement, mark)
                if before is None:
                    await connection.execute(insert(_dispute).values(values))
                else:
                    read = _values_of(before).items()
                    unchanged = [_dispute.c[name].is_not_distinct_from(value) for name, value in read]
                    changed = await connection.execute(update(_dispute).where(*unchanged).values(values))
                    if changed.rowcount != 1:
                        raise moved
                await note(connection, audit)
        except AlreadyThere as error:
            raise moved from error


async def _of_file(connection: AsyncConnection, account: str, digest: str) -> StoredReconciliation | None:
    own = (_reconciliation.c.account == account) & (_reconciliation.c.digest == digest)
    row = (await connection.execute(select(_reconciliation).where(own))).one_or_none()
    return None if row is None else _reconciliation_of(row)


def _values_of(dispute: StoredDispute) -> dict[str, Any]:
    return msgspec.structs.asdict(dispute) | {
        "state": dispute.state.value,
        "operator": descriptive(dispute.operator, NAME_LENGTH),
        "reference": None if dispute.reference is None else identifying(dispute.reference, schema.REFERENCE_LENGTH),
        "memo": None if dispute.memo is None else descriptive(dispute.memo, schema.MEMO_LENGTH),
    }


async def _written(connection: AsyncConnection, made: StoredReconciliation, number: int | None) -> int:
    """Write the row of a comparison, in the place of an earlier one with ``number``; return its number."""
    values = msgspec.structs.asdict(made) | {
        "account": identifying(made.account, ACCOUNT_LENGTH),
        "file": descriptive(made.file, schema.MEMO_LENGTH),
        "operator": descriptive(made.operator, NAME_LENGTH),
    }
    del values["id"]
    if number is not None:
        await connection.execute(update(_reconciliation).where(_reconciliation.c.id == number).values(values))
        await connection.execute(delete(_chunk).where(_chunk.c.reconciliation == number))
        return number
    key = (await connection.execute(insert(_reconciliation).values(values))).inserted_primary_key
    assert key is not None
    return int(key[0])


def _reconciliation_of(row: Row[Any]) -> StoredReconciliation:
    return StoredReconciliation(**row._mapping)
