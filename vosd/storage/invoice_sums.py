"""Sums of the ledger entries that an invoice is about, with the areas and prices of their calls (ADR 131)."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import ColumnElement, Select, and_, case, func, literal, not_, or_, select
from sqlalchemy.engine import Row
from sqlalchemy.sql.selectable import FromClause

from vosd.base.money import ZERO
from vosd.billing.named_areas import BY_NUMBER
from vosd.cdr.charges import steps_of, tax_rate_of
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR
from vosd.invoicing.invoice import (
    CARRIED,
    DROPPED,
    ChargedSum,
    InvoiceSection,
    LedgerPart,
    Moved,
    TaxedAmount,
    moved_between_tax_rates,
)
from vosd.invoicing.periods import day_of
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.checkpoints import Checkpoint, checkpoints_of
from vosd.storage.database import Database
from vosd.storage.dropped import check_there, dropped_before
from vosd.storage.ledger import CORRECTED_CHARGE, CORRECTION_OF_ENTRY, IS_OF_VENDOR, OF_CHARGE, TAX_OF_ENTRY
from vosd.storage.ports import EntryKind
from vosd.storage.rows import reference_of
from vosd.storage.sums import money_sum
from vosd.storage.verify_charges import call_in

CHARGES: Final = (EntryKind.CALL.value, EntryKind.CORRECTION.value, EntryKind.MINIMUM.value)
"""Kinds of entries that are charges, unless a vendor has them (``IS_OF_VENDOR``); all others are movements."""
_SECTIONS: Final = (InvoiceSection.CORRECTIONS, InvoiceSection.CALLS, InvoiceSection.EARLIER)
"""Sections of calls by their place: a correction stands with its call, where the invoice has that, too."""
_OF_CALLS: Final = (EntryKind.CALL.value, EntryKind.CORRECTION.value)
_SAMPLES_AT_ONCE: Final = 500

_account: Final = schema.account.c
_cdr: Final = schema.cdr.c
_charge: Final = schema.cdr_charge.c
_correction: Final = schema.cdr_correction.c
_entry: Final = schema.ledger_entry.c
_call_entry: Final = schema.ledger_entry.alias("call_entry").c
"""The entry of the call that a correction is about."""
_WEEKS: Final = func.substr(_entry.call_id, 1, 2).label("weeks")
"""The seven weeks that a call began in: there corrections of long ago do not hide what changed in between."""
_FIRST_AND_LAST: Final = (func.min(_entry.call_id).label("first"), func.max(_entry.call_id).label("last"))
"""Calls of a sum: the ids begin with the times in milliseconds."""


class InvoiceBegin(NamedTuple):
    """From where an invoice goes on: entries dated before ``until`` up to ``seq`` are not on it."""

    until: int
    seq: int
    floor: int
    """No entry up to this one is on it."""
    opening: Decimal


class InvoicedSpan(NamedTuple):
    """Entries of an account that an invoice is about, by their dates and numbers."""

    account: str
    begin: InvoiceBegin
    until: int
    end_seq: int
    open_seq: int
    """Entries up to this one are on it or on those before it, whatever their dates.

    One that is dated later is of a wrong clock, and counts with the period that was closed over it.
    """

    def has(self, entry: Any) -> ColumnElement[bool]:
        """Return the condition that an entry is one of them; ``entry`` has the columns of entries, or of an alias."""
        earlier = and_(entry.created_at < self.begin.until, entry.seq <= self.begin.seq)
        return and_(
            entry.account == self.account,
            entry.seq > self.begin.floor,
            entry.seq <= self.end_seq,
            or_(entry.created_at < self.until, entry.seq <= self.open_seq),
            not_(earlier),
        )


class InvoicedPart(NamedTuple):
    """Entries of an account that an invoice is about."""

    span: InvoicedSpan
    skipped: int | None
    """Date of the first charge before the period that is on no invoice, UTC milliseconds; None = there is none.

    Charges of dropped calls do not count, nor do those before the begin of the first invoice, where the account has
    one: they are in the opening balance of that.
    """
    sellers: Sequence[str]
    """Agents that sold the calls of the period, and were charged for them; the one of the latest call last.

    An empty name is the installation. Where no call is of the period, it is the agent of the latest one booked late;
    none where a minimum is charged as well.
    """
    part: LedgerPart


async def read_invoiced(
    database: Database,
    account: str,
    since: int,
    until: int,
    zone: ZoneInfo,
    before: InvoiceBegin | None,
    cancelled: InvoiceBegin | None,
) -> InvoicedPart | None:
    """Return what an invoice over a period is about; None = the account has no charge that is on no invoice.

    ``before`` is the end of the invoice before it; None = it is the first one (``_first_begin``). ``cancelled`` is the
    begin of a first one that was cancelled.

    Raises:
        DroppedPeriod: entries or calls of the period were dropped.
    """
    async with database.reading(unhurried=True) as connection:
        row = (await connection.execute(select(_account.seq, _account.balance).where(_account.id == account))).first()
        if row is None or (before is not None and row.seq <= before.floor):
            return None
        newest = row.seq
        dropped = await dropped_before(connection)
        check_there(dropped.entries, since, "ledger entries")
        check_there(dropped.calls, since, "calls")
        if not await _has_charges(connection, account, 0 if before is None else before.floor):
            return None  # as most of very many accounts: what follows costs ten statements
        begin, points = before, await checkpoints_of(connection, account)
        if begin is None:
            lost = max(dropped.calls, dropped.entries)
            begin = await _first_begin(connection, account, since, newest, points, cancelled, lost)
        end_seq = max(begin.seq, newest)
        closed = max((each.seq for each in points if each.closed_until <= until), default=0)
        left = select(func.min(_entry.seq)).where(
            _of(account, max(begin.floor, closed)), _entry.seq <= end_seq, _entry.created_at >= until
        )
        first_left = await connection.scalar(left)
        open_seq = end_seq if first_left is None else first_left - 1
        span = InvoicedSpan(account, begin, until, end_seq, open_seq)
        within = span.has(_entry)
        of_call = _call_entry.account == _entry.account, _call_entry.call_id == _entry.call_id
        of_its_call = select(_place_of(_call_entry, since)).where(
            span.has(_call_entry), *of_call, _call_entry.kind == EntryKind.CALL.value
        )
        corrected = func.coalesce(of_its_call.limit(1).scalar_subquery(), 0)
        charged = await _charges(connection, EntryKind.CALL, within, _place_of(_entry, since), account)
        if corrections := await _charges(connection, EntryKind.CORRECTION, within, corrected, account):
            charged += [*corrections, *await _between_tax_rates(connection, within, corrected, account)]
        without_cdr = await _without_cdr(connection, within, _place_of(_entry, since))
        charged += map(_sum_without_cdr, without_cdr)
        minimums, moved = await _others(connection, within, zone)
        behind = _of(account, open_seq), _entry.seq <= end_seq, _entry.created_at >= until
        later = await connection.scalar(select(money_sum(_entry.amount)).where(*behind))
        total = row.balance - (later or ZERO) - begin.opening
        there = await connection.scalar(select(money_sum(_entry.amount)).where(within))
        missing = total - (there or ZERO)
        gone = [each for each in points if each.closed_until <= dropped.entries]
        if missing and await _has_balance_of(connection, account, gone, newest, row.balance):
            # Dropped entries have moved the balance all the same, and an earlier invoice may have left them out.
            moved.insert(0, Moved("", DROPPED, "", "", missing))
        earliest = None
        if before is None and cancelled is None:
            never = _of(account, 0), _entry.seq <= end_seq
            earliest = await _first_charge(connection, and_(*never), max(dropped.calls, dropped.entries), since)
        elif begin.until < since:
            earliest = await _first_charge(connection, within, begin.until, since)
        in_period = [each for each in without_cdr if each.entry.created_at >= since]
        sellers = await _sellers(connection, and_(within, _entry.created_at >= since), in_period)
        if not sellers and not minimums:  # a minimum is by the terms that the account has now
            sellers = (await _sellers(connection, within, without_cdr))[-1:]
    return InvoicedPart(span, earliest, sellers, LedgerPart(begin.opening, [*charged, *minimums], moved, total))


class _Unrecorded(NamedTuple):
    """Call that has left an entry and no CDR."""

    entry: Row[Any]
    charge: Row[Any] | None
    """None = the charges of the call are not there."""
    seller: str
    """Agent next above the account that is charged; empty = the installation."""


async def _sellers(
    connection: AsyncConnection, within: ColumnElement[bool], without_cdr: Sequence[_Unrecorded]
) -> Sequence[str]:
    """Return the agents next above those who are charged for calls, the one of the latest call last.

    ``without_cdr`` has the calls that have left no CDR: they do not join with their charges by the id of the call.
    """
    above = schema.cdr_charge.alias("above")
    next_above = above.c.call_id == _charge.call_id, above.c.role == AGENT, above.c.level == _charge.level + 1
    tables = schema.ledger_entry.join(schema.cdr_charge, OF_CHARGE).outerjoin(above, and_(*next_above))
    query = select(func.coalesce(above.c.account, ""), func.max(_entry.seq)).select_from(tables)
    own = within, _entry.kind == EntryKind.CALL.value, not_(IS_OF_VENDOR)
    rows = await connection.execute(query.where(*own).group_by(above.c.account))
    latest: dict[str, int] = {row[0]: row[1] for row in rows}
    for each in without_cdr:
        if each.charge is not None:
            latest[each.seller] = max(latest.get(each.seller, 0), each.entry.seq)
    return sorted(latest, key=lambda seller: latest[seller])


async def _first_begin(
    connection: AsyncConnection,
    account: str,
    since: int,
    newest: int,
    points: Sequence[Checkpoint],
    cancelled: InvoiceBegin | None,
    lost: int,
) -> InvoiceBegin:
    """Return where the first invoice of an account begins: with its period, or where one that was cancelled began.

    So it leaves out no entry that the cancelled ones had, also where it was booked late. Calls and entries dated before
    ``lost`` were dropped, and can be on no invoice again.
    """
    until, seq = since, newest
    if cancelled is not None:
        if since < cancelled.until:
            seq = cancelled.seq
        elif lost <= cancelled.until:
            return cancelled
        else:
            until = lost
    closed = [each for each in points if each.closed_until <= until]
    start = max(closed, key=_closed_until, default=None)
    floor, balance = (0, ZERO) if start is None else (start.seq, start.balance)
    earlier = _of(account, floor), _entry.created_at < until, _entry.seq <= seq
    opening = await connection.scalar(select(money_sum(_entry.amount)).where(*earlier))
    return InvoiceBegin(until, seq, floor, balance + (opening or ZERO))


async def _has_balance_of(
    connection: AsyncConnection, account: str, closes: Sequence[Checkpoint], newest: int, balance: Decimal
) -> bool:
    """Return whether a balance is that of the latest of some closes and of all entries behind it; False without one."""
    base = max(closes, key=_closed_until, default=None)
    if base is None:
        return False
    behind = select(money_sum(_entry.amount)).where(_of(account, base.seq), _entry.seq <= newest)
    return balance == base.balance + (await connection.scalar(behind) or ZERO)


async def _has_charges(connection: AsyncConnection, account: str, floor: int) -> bool:
    """Return whether an account has a charge behind an entry."""
    charges = select(_entry.seq).where(_of(account, floor), _entry.kind.in_(CHARGES))
    return await connection.scalar(charges.limit(1)) is not None


async def _first_charge(connection: AsyncConnection, wanted: ColumnElement[bool], since: int, until: int) -> int | None:
    """Return the date of the first charge of some entries, UTC milliseconds; None = there is none."""
    charged = _entry.kind.in_(CHARGES), not_(IS_OF_VENDOR), _entry.created_at >= since, _entry.created_at < until
    found: int | None = await connection.scalar(select(func.min(_entry.created_at)).where(wanted, *charged))
    return found


def _place_of(entry: Any, since: int) -> ColumnElement[int]:
    """Return the place in ``_SECTIONS`` of the entry of a call."""
    return case((entry.created_at < since, 2), else_=1)


def _of(account: str, floor: int) -> ColumnElement[bool]:
    return and_(_entry.account == account, _entry.seq > floor)


def _closed_until(point: Checkpoint) -> int:
    return point.closed_until


async def _charges(
    connection: AsyncConnection, kind: EntryKind, within: ColumnElement[bool], place: ColumnElement[int], account: str
) -> list[ChargedSum]:
    """Return the charges of calls, or their corrections, those that are alike as a sum; ``place`` in ``_SECTIONS``."""
    is_call = kind is EntryKind.CALL
    wanted = (within, _entry.kind == kind.value, _entry.call_id.is_not(None), not_(IS_OF_VENDOR))
    query = _alike(kind, place, with_cdr=False).where(*wanted)
    rows = (await connection.execute(query)).all()
    own = await _with_samples(connection, account, query, [*filter(_has_one_area, rows)])
    if not all(map(_has_one_area, rows)):
        others = or_(_charge.role.is_(None), _charge.role != CUSTOMER, _charge.rate_version.endswith(BY_NUMBER))
        query = _alike(kind, place, with_cdr=True).where(*wanted, others)
        own += await _with_samples(connection, account, query, (await connection.execute(query)).all())
    found = []
    for row, sample in own:
        section = _SECTIONS[row.place]
        is_counted = is_call or section is InvoiceSection.CORRECTIONS
        found.append(
            ChargedSum(
                section,
                sample.area if _has_one_area(row) else row.area,
                row.prefix,
                None if sample.is_converted else row.unit_price,
                None if sample.is_converted else row.price_per,
                _tax_rate(row, sample.tax_rate),
                row.calls if is_counted else 0,
                int(row.seconds) if is_call else 0,
                (row.tax or ZERO) - row.amount,
                -(row.tax or ZERO),
            )
        )
    return found


def _has_one_area(charge: Row[Any]) -> bool:
    """Return whether charges by one prefix have one area; those of agents and of old records may have several."""
    return charge.role == CUSTOMER and not (charge.rate_version or "").endswith(BY_NUMBER)


async def _between_tax_rates(
    connection: AsyncConnection, within: ColumnElement[bool], place: ColumnElement[int], account: str
) -> list[ChargedSum]:
    """Return what corrections move from one tax rate to another; with all other sums the total stays as it is.

    ``_charges`` has their differences at the tax rate in the steps of the calls. Where a correction has other ones,
    what was charged before is taken back at the rate of then, and what is charged now stands at that of now.
    """
    keys, tables = _keys(CORRECTED_CHARGE, place, with_cdr=True)
    tables = tables.join(schema.cdr_correction, CORRECTION_OF_ENTRY)
    sign = case((_charge.earned == 1, -1), else_=1)
    amounts = (_correction.fee_before, _correction.tax_before, _correction.fee_after, _correction.tax_after)
    sums = (
        func.count().label("calls"),
        func.sum(func.coalesce(_charge.billed_seconds, 0)).label("seconds"),
        *(money_sum(amount * sign).label(amount.name) for amount in amounts),
        *_FIRST_AND_LAST,
    )
    rates = (_correction.tax_rate_before, _correction.tax_rate_after)
    query: Select[Any] = select(*keys, *rates, *sums).select_from(tables).group_by(*keys, *rates)
    query = query.where(within, _entry.kind == EntryKind.CORRECTION.value, not_(IS_OF_VENDOR))
    query = query.where(or_(*(rate.is_not(None) for rate in rates)))
    rows = (await connection.execute(query)).all()
    found = []
    for row, sample in await _with_samples(connection, account, query, rows):
        like = ChargedSum(
            _SECTIONS[row.place],
            sample.area if row.role == CUSTOMER else row.area,
            row.prefix,
            None if sample.is_converted else row.unit_price,
            None if sample.is_converted else row.price_per,
            _tax_rate(row, sample.tax_rate),
            row.calls,
            int(row.seconds) if row.place else 0,
            ZERO,
            ZERO,
        )
        before = TaxedAmount(row.tax_rate_before, row.fee_before, row.tax_before)
        after = TaxedAmount(row.tax_rate_after, row.fee_after, row.tax_after)
        found += moved_between_tax_rates(like, before, after)
    return found


def _alike(kind: EntryKind, place: ColumnElement[int], *, with_cdr: bool) -> Select[Any]:
    """Select sums of entries that are alike.

    Without CDRs it reads a third of the pages. A customer's charges by one prefix of one version have the area of their
    calls (``_with_samples``), unless areas go by the number.
    """
    keys, tables = _keys(OF_CHARGE if kind is EntryKind.CALL else CORRECTED_CHARGE, place, with_cdr=with_cdr)
    keys = (*keys, case((TAX_OF_ENTRY != 0, 1), else_=0).label("taxed"))
    seconds = func.coalesce(_charge.billed_seconds, _cdr.billed_seconds if with_cdr else 0, 0)
    sums = (
        func.count().label("calls"),
        func.sum(seconds).label("seconds"),
        money_sum(_entry.amount).label("amount"),
        money_sum(TAX_OF_ENTRY).label("tax"),
        *_FIRST_AND_LAST,
    )
    constant = set() if with_cdr else {"area"}  # a number there would be the place of a column
    return select(*keys, *sums).select_from(tables).group_by(*(key for key in keys if key.name not in constant))


def _keys(
    of_entry: ColumnElement[bool], place: ColumnElement[int], *, with_cdr: bool
) -> tuple[tuple[ColumnElement[Any], ...], FromClause]:
    """Return what entries have in common that are alike, and the tables that have it."""
    tables = schema.ledger_entry.outerjoin(schema.cdr_charge, of_entry)
    area: ColumnElement[Any] = literal("")
    prefix = func.coalesce(_charge.rate_prefix, "")
    if with_cdr:
        tables = tables.outerjoin(schema.cdr, _cdr.call_id == _entry.call_id)
        area, prefix = func.coalesce(_cdr.rate_area, ""), func.coalesce(_charge.rate_prefix, _cdr.rate_prefix, "")
    keys = (
        place.label("place"),
        area.label("area"),
        prefix.label("prefix"),
        _charge.role,
        _charge.rate_group,
        _charge.rate_version,
        _charge.unit_price,
        _charge.price_per,
        _charge.tax_rate,
        _WEEKS,
    )
    return keys, tables


def calls_within(span: InvoicedSpan, after: int | None) -> Select[Any]:
    """Select the number and reference of the entry and the columns of ``InvoicedCall`` of the calls of an invoice.

    ``after`` is the number of the last entry before; None = from the first one. Prefixes and seconds of calls that have
    left no CDR are those of ``charges_without_cdr``.
    """
    tables = schema.ledger_entry.outerjoin(schema.cdr, _cdr.call_id == _entry.call_id)
    tables = tables.outerjoin(schema.cdr_charge, or_(OF_CHARGE, CORRECTED_CHARGE))
    columns = (
        _entry.seq, _entry.reference, _entry.call_id, _entry.created_at, _cdr.caller_in, _cdr.callee_in, _cdr.rate_area,
        func.coalesce(_charge.rate_prefix, _cdr.rate_prefix), _charge.billed_seconds, _entry.amount,
        TAX_OF_ENTRY, _entry.kind, _cdr.started_at, _cdr.answered_at, _cdr.hold_time_s,
    )  # fmt: skip
    wanted = [span.has(_entry), _entry.kind.in_(_OF_CALLS), not_(IS_OF_VENDOR)]
    if after is not None:
        wanted.append(_entry.seq > after)
    return select(*columns).select_from(tables).where(*wanted).order_by(_entry.seq)


class _Sample(NamedTuple):
    """A call that stands for those like it."""

    area: str
    tax_rate: Decimal | None
    is_converted: bool
    """Whether the price is in another currency than the charge."""


_NO_SAMPLE: Final = _Sample("", None, is_converted=False)


async def _with_samples(
    connection: AsyncConnection, account: str, query: Select[Any], rows: Sequence[Row[Any]]
) -> list[tuple[Row[Any], _Sample]]:
    """Return sums of entries that are alike, ``rows`` of ``query``, each with a call that stands for all of it.

    A version has several rates of one prefix where they begin on a day to come, perhaps by one price and with other
    areas. Where the first and the last call of a sum are not alike, its calls are read one by one. An area that changes
    and changes back within seven weeks is not seen, nor is such a tax rate of charges that do not have it.
    """
    samples = await _samples(connection, [call for row in rows for call in (row.first, row.last)], account)
    mixed = {_key_of(row) for row in rows if samples.get(row.first) != samples.get(row.last)}
    if mixed:
        one_by_one = await connection.stream(query.group_by(_entry.call_id))
        apart = [row async for row in one_by_one if _key_of(row) in mixed]
        rows = [*(row for row in rows if _key_of(row) not in mixed), *apart]
        samples |= await _samples(connection, [row.first for row in apart], account)
    return [(row, samples.get(row.first, _NO_SAMPLE)) for row in rows]


def _tax_rate(charge: Row[Any], by_steps: Decimal | None) -> Decimal | None:
    """Return the tax rate of charges that are alike; those of earlier versions have it in their steps alone."""
    rate: Decimal | None = charge.tax_rate
    return by_steps if rate is None else rate


def _key_of(row: Row[Any]) -> tuple[Any, ...]:
    """Return by what a sum is alike: the values in front of those of the sum."""
    return tuple(row)[: row._fields.index("calls")]


async def _samples(connection: AsyncConnection, calls: Sequence[str], account: str) -> dict[str, _Sample]:
    """Return the area of some calls, and the tax rate by which the account was charged, as far as the steps have it."""
    found: dict[str, _Sample] = {}
    tables = schema.cdr.outerjoin(schema.cdr_charge, and_(_charge.call_id == _cdr.call_id, _charge.account == account))
    columns = select(_cdr.call_id, _cdr.rate_area, _cdr.fee_breakdown, _charge.role, _charge.breakdown)
    for place in range(0, len(calls), _SAMPLES_AT_ONCE):
        part = calls[place : place + _SAMPLES_AT_ONCE]
        for row in await connection.execute(columns.select_from(tables).where(_cdr.call_id.in_(part))):
            steps = _steps_of(row.breakdown, row.fee_breakdown, row.role or CUSTOMER)
            if row.role != VENDOR:
                found[row.call_id] = _Sample(row.rate_area or "", tax_rate_of(steps), _is_converted(steps))
    return found


async def _without_cdr(
    connection: AsyncConnection, within: ColumnElement[bool], place: ColumnElement[int]
) -> list[_Unrecorded]:
    """Return the entries of calls that have left no CDR with their charges; ``place`` in ``_SECTIONS``."""
    tax = TAX_OF_ENTRY.label("tax")
    query = select(_entry.reference, _entry.seq, _entry.created_at, _entry.amount, tax, place.label("place"))
    own = within, _entry.kind == EntryKind.CALL.value, _entry.call_id.is_(None), not_(IS_OF_VENDOR)
    rows = (await connection.execute(query.where(*own))).all()
    charges = await charges_without_cdr(connection, [row.reference for row in rows])
    found = []
    for row in rows:
        charge = charges.get(row.reference)
        above = None if charge is None else charges.get(reference_of(charge.call_id, AGENT, charge.level + 1))
        found.append(_Unrecorded(row, charge, "" if above is None else above.account))
    return found


async def charges_without_cdr(connection: AsyncConnection, references: Iterable[str]) -> dict[str, Row[Any]]:
    """Return the charges of the calls in references of entries, by the references that their own entries have.

    The entry of a call without CDR has no id of the call to join it by.
    """
    calls = sorted({call for call in map(call_in, references) if call is not None})
    found: dict[str, Row[Any]] = {}
    for place in range(0, len(calls), _SAMPLES_AT_ONCE):
        part = _charge.call_id.in_(calls[place : place + _SAMPLES_AT_ONCE])
        for charge in await connection.execute(select(schema.cdr_charge).where(part)):
            found[reference_of(charge.call_id, charge.role, charge.level)] = charge
    return found


def _sum_without_cdr(call: _Unrecorded) -> ChargedSum:
    """Return the charge of a call that has left no CDR as a sum of one."""
    row, charge = call.entry, call.charge
    section, tax = _SECTIONS[row.place], row.tax or ZERO
    if charge is None:
        return ChargedSum(section, "", "", None, None, None, 1, 0, tax - row.amount, -tax)
    steps = _steps_of(charge.breakdown, "{}", charge.role)
    price, per = (None, None) if _is_converted(steps) else (charge.unit_price, charge.price_per)
    prefix, rate, seconds = charge.rate_prefix or "", _tax_rate(charge, tax_rate_of(steps)), charge.billed_seconds
    return ChargedSum(section, "", prefix, price, per, rate, 1, seconds, tax - row.amount, -tax)


async def _others(
    connection: AsyncConnection, within: ColumnElement[bool], zone: ZoneInfo
) -> tuple[list[ChargedSum], list[Moved]]:
    """Return what is no charge of a call: minimums, and movements in the order of booking."""
    vendors = IS_OF_VENDOR.label("is_of_vendor")
    columns = (_entry.kind, _entry.reference, _entry.memo, _entry.amount, _entry.created_at, vendors)
    by_hand = _entry.kind.not_in(_OF_CALLS)
    query = select(*columns).where(within, by_hand).order_by(_entry.seq)
    minimums, moved = [], []
    for row in await connection.execute(query):
        memo = row.memo or ""
        if row.kind == EntryKind.MINIMUM.value and not row.is_of_vendor:
            minimums.append(
                ChargedSum(InvoiceSection.MINIMUM, "", row.reference, None, None, ZERO, 1, 0, -row.amount, ZERO)
            )
        else:
            moved.append(Moved(_day(row.created_at, zone), row.kind, row.reference, memo, row.amount))
    earned = within, _entry.kind.in_(_OF_CALLS), IS_OF_VENDOR
    carried = await connection.scalar(select(money_sum(_entry.amount)).where(*earned))
    if carried:
        moved.append(Moved("", CARRIED, "", "", carried))
    return minimums, moved


def _day(moment: int, zone: ZoneInfo) -> str:
    return day_of(moment, zone).isoformat()


def _steps_of(own: str | None, of_call: str, role: str) -> list[dict[str, Any]]:
    """Return the steps of a charge: ``own``, or else those of the call by role."""
    if own is not None:
        return steps_of(own)
    try:
        steps = msgspec.json.decode(of_call).get(role)
    except (msgspec.DecodeError, AttributeError):
        return []  # damaged steps must not keep an invoice from being made
    return [step for step in steps or () if isinstance(step, dict)]


def _is_converted(steps: Sequence[dict[str, Any]]) -> bool:
    return any(step.get("step") == "exchange" for step in steps)
