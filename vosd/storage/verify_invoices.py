"""Audit of issued invoices: each against its document, the invoice before it and its credit note; and their number.

Their lengths are read before the documents, which are then read a few megabytes at a time, so the memory of this
process does not grow with the invoices. It does not know charges and payments.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, func, or_, select

from vosd.base.money import ZERO, parse_amount
from vosd.invoicing.invoice import CARRIED
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.faults import BookDifference, BookFault
from vosd.storage.invoices import CREDIT_NOTE, INVOICE, StoredState
from vosd.storage.verify_accounts import Report

_AT_ONCE: Final = 200
_LENGTH_AT_ONCE: Final = 8_000_000
"""Characters of documents that are read at once; a longer one is read alone."""
_AMOUNTS: Final = ("net", "tax", "opening", "closing")
_WORDS: Final = ("kind", "number", "issuer", "account", "period", "currency")
_DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1).toordinal()

_invoice: Final = schema.invoice.c


class _Party(msgspec.Struct, frozen=True):
    account: str


class _Movement(msgspec.Struct, frozen=True):
    kind: str
    amount: str


class _Printed(msgspec.Struct, frozen=True):
    """Parts of a document that columns have, too; amounts as text."""

    kind: str
    number: str
    issuer: _Party
    recipient: _Party
    period: str
    currency: str
    due_on: str
    movements: tuple[_Movement, ...]
    net: str
    tax: str
    opening: str
    closing: str

    @property
    def words(self) -> tuple[str, ...]:
        """The values of the columns ``_WORDS``."""
        return self.kind, self.number, self.issuer.account, self.recipient.account, self.period, self.currency

    def amounts(self) -> dict[str, Decimal]:
        """Return the amounts by their columns; a credit note has no movements, and keeps what was carried.

        Raises:
            ValueError: one is no amount that a column can hold.
        """
        found = {name: parse_amount(getattr(self, name)) for name in _AMOUNTS}
        if self.kind == INVOICE:
            carried = (parse_amount(each.amount) for each in self.movements if each.kind == CARRIED)
            found["carried"] = sum(carried, ZERO)
        return found

    def has_due(self, due_at: int | None) -> bool:
        """Return whether a moment, UTC milliseconds, is the end of the last day of payment in some time zone.

        That of the document is the one of the draft, which may have been issued in another one.
        """
        if not self.due_on:
            return True
        behind = date.fromisoformat(self.due_on).toordinal() + 1 - _EPOCH
        return due_at is not None and abs(due_at - behind * _DAY_MS) < _DAY_MS


async def audit_invoices(connection: AsyncConnection, since: int | None, report: Report) -> None:
    """Audit the invoices and credit notes that were issued since a time, UTC milliseconds; None = all of them."""
    issued: list[ColumnElement[bool]] = [_invoice.number.is_not(None)]
    if since is not None:
        issued.append(_invoice.issued_at >= since)
    columns = (_invoice[name] for name in (*_WORDS, *_AMOUNTS, "carried"))
    query = select(_invoice.id, _invoice.document, _invoice.digest, _invoice.due_at, *columns).order_by(_invoice.id)
    lengths = select(_invoice.id, func.length(_invoice.document).label("length")).where(*issued).order_by(_invoice.id)
    after = 0
    while sized := (await connection.execute(lengths.where(_invoice.id > after).limit(_AT_ONCE))).all():
        after = sized[-1].id
        for ids in parts_by_length([(each.id, each.length) for each in sized], _LENGTH_AT_ONCE):
            for row in await connection.execute(query.where(_invoice.id.in_(ids))):
                difference = _difference(row)
                if difference is not None:
                    report(difference)
    await _audit_order(connection, issued, report)
    await _audit_cancelled(connection, issued, report)
    await _audit_followed_twice(connection, since, report)
    await _audit_numbers(connection, report)


def parts_by_length(sized: Iterable[tuple[int, int]], longest: int) -> Iterator[list[int]]:
    """Yield ids of documents in parts whose lengths together are not above a bound; a longer one is a part alone."""
    part: list[int] = []
    filled = 0
    for number, length in sized:
        if part and filled + length > longest:
            yield part
            part, filled = [], 0
        part.append(number)
        filled += length
    if part:
        yield part


def _difference(row: Any) -> BookDifference | None:
    """Return the first difference between an invoice and its document; None = there is none."""
    document = row.document.encode()
    if hashlib.sha256(document).hexdigest() != row.digest:
        return BookDifference(BookFault.INVOICE_DOCUMENT, row.account, ZERO, ZERO, invoice=row.number)
    try:
        printed = msgspec.json.decode(document, type=_Printed)
        amounts, has_due = printed.amounts(), printed.has_due(row.due_at)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # RecursionError: too many brackets
        return BookDifference(BookFault.INVOICE_DOCUMENT, row.account, ZERO, ZERO, invoice=row.number)
    for name, expected in amounts.items():
        found = getattr(row, name)
        if expected != found:
            return BookDifference(BookFault.INVOICE_AMOUNTS, row.account, expected, found, invoice=row.number)
    if not has_due or printed.words != tuple(getattr(row, name) for name in _WORDS):
        return BookDifference(BookFault.INVOICE_COLUMNS, row.account, ZERO, ZERO, invoice=row.number)
    return None


async def _audit_order(connection: AsyncConnection, issued: Sequence[ColumnElement[bool]], report: Report) -> None:
    """Report the invoices that do not begin with the balance with which the one before them ends."""
    earlier = schema.invoice.alias()
    before = earlier.c
    ends_otherwise = or_(before.id.is_(None), before.account != _invoice.account, before.closing != _invoice.opening)
    columns = select(
        _invoice.account, _invoice.number, _invoice.opening, func.coalesce(before.closing, ZERO).label("closing")
    )
    query = columns.select_from(schema.invoice.outerjoin(earlier, before.id == _invoice.follows))
    query = query.where(*issued, _invoice.follows.is_not(None), ends_otherwise).order_by(_invoice.id)
    for row in await connection.execute(query):
        report(BookDifference(BookFault.INVOICE_ORDER, row.account, row.closing, row.opening, invoice=row.number))


async def _audit_cancelled(connection: AsyncConnection, issued: Sequence[ColumnElement[bool]], report: Report) -> None:
    """Report cancelled invoices without one credit note, and credit notes without a cancelled invoice."""
    is_note = _invoice.kind == CREDIT_NOTE
    counted = select(_invoice.cancels, func.count().label("notes")).where(is_note, _invoice.number.is_not(None))
    notes = counted.group_by(_invoice.cancels).subquery()
    without_note = (
        select(_invoice.id, _invoice.account, _invoice.number)
        .select_from(schema.invoice.outerjoin(notes, notes.c.cancels == _invoice.id))
        .where(*issued, _invoice.state == StoredState.CANCELLED.value, func.coalesce(notes.c.notes, 0) != 1)
    )
    taken_back = schema.invoice.alias()
    other = taken_back.c
    is_other = or_(
        other.id.is_(None),
        other.kind != INVOICE,
        other.state != StoredState.CANCELLED.value,
        other.account != _invoice.account,
        other.issuer != _invoice.issuer,
    )
    without_invoice = (
        select(_invoice.id, _invoice.account, _invoice.number)
        .select_from(schema.invoice.outerjoin(taken_back, other.id == _invoice.cancels))
        .where(*issued, is_note, is_other)
    )
    for query in (without_note, without_invoice):
        for row in await connection.execute(query.order_by(_invoice.id)):
            report(BookDifference(BookFault.INVOICE_CANCELLED, row.account, ZERO, ZERO, invoice=row.number))


async def _audit_followed_twice(connection: AsyncConnection, since: int | None, report: Report) -> None:
    """Report accounts of which two invoices in force follow the same one, or none, by the number of the later one."""
    ids = (
        select(func.max(_invoice.id))
        .where(_invoice.kind == INVOICE, _invoice.state == StoredState.ISSUED.value)
        .group_by(_invoice.account, _invoice.follows)
        .having(func.count() > 1)
    )
    query = select(_invoice.account, _invoice.number).where(_invoice.id.in_(ids)).order_by(_invoice.id)
    if since is not None:
        query = query.where(_invoice.issued_at >= since)
    for row in await connection.execute(query):
        report(BookDifference(BookFault.INVOICE_TWICE, row.account, ZERO, ZERO, invoice=row.number))


async def _audit_numbers(connection: AsyncConnection, report: Report) -> None:
    """Report issuers whose counters have given another number of numbers than there are invoices and credit notes.

    The counters of an issuer are taken together: no column says to which of them a number belongs.
    """
    series = schema.invoice_series.c
    given = select(series.issuer, func.sum(series.last)).group_by(series.issuer)
    counted = {issuer: int(last) for issuer, last in await connection.execute(given)}
    numbered = select(_invoice.issuer, func.count()).where(_invoice.number.is_not(None)).group_by(_invoice.issuer)
    there = {issuer: int(count) for issuer, count in await connection.execute(numbered)}
    for issuer in sorted({*counted, *there}):
        expected, found = counted.get(issuer, 0), there.get(issuer, 0)
        if expected != found:
            report(BookDifference(BookFault.INVOICE_NUMBERS, issuer, Decimal(expected), Decimal(found)))
