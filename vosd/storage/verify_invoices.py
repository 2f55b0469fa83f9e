"""Audit of issued invoices: their documents against digest and amounts, and each against the invoice before it.

Their lengths are read before the documents, which are then read a few megabytes at a time, so the memory of this
process does not grow with the invoices. It does not know charges and payments.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, func, or_, select

from vosd.base.money import ZERO
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.faults import BookDifference, BookFault
from vosd.storage.verify_accounts import Report

_AT_ONCE: Final = 200
_LENGTH_AT_ONCE: Final = 8_000_000
"""Characters of documents that are read at once; a longer one is read alone."""
_AMOUNTS: Final = ("net", "tax", "opening", "closing")

_invoice: Final = schema.invoice.c


class _Printed(msgspec.Struct, frozen=True):
    """Amounts of a document, as text."""

    net: str
    tax: str
    opening: str
    closing: str


async def audit_invoices(connection: AsyncConnection, since: int | None, report: Report) -> None:
    """Audit the invoices and credit notes that were issued since a time, UTC milliseconds; None = all of them."""
    issued: list[ColumnElement[bool]] = [_invoice.number.is_not(None)]
    if since is not None:
        issued.append(_invoice.issued_at >= since)
    columns = (_invoice.id, _invoice.account, _invoice.number, _invoice.document, _invoice.digest)
    query = select(*columns, *(_invoice[name] for name in _AMOUNTS)).order_by(_invoice.id)
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
        amounts = {name: Decimal(getattr(printed, name)) for name in _AMOUNTS}
    except (msgspec.MsgspecError, InvalidOperation, RecursionError):  # RecursionError: too many brackets
        amounts = {}
    if not amounts or not all(each.is_finite() for each in amounts.values()):
        return BookDifference(BookFault.INVOICE_DOCUMENT, row.account, ZERO, ZERO, invoice=row.number)
    for name, expected in amounts.items():
        found = getattr(row, name)
        if expected != found:
            return BookDifference(BookFault.INVOICE_AMOUNTS, row.account, expected, found, invoice=row.number)
    return None


async def _audit_order(connection: AsyncConnection, issued: Sequence[ColumnElement[bool]], report: Report) -> None:
    """Report the invoices that do not begin with the balance with which the one before them ends."""
    earlier = schema.invoice.alias()
    before = earlier.c
    ends_otherwise = or_(before.id.is_(None), before.account != _invoice.account, before.closing != _invoice.opening)
    columns = select(
        _invoice.account,
        _invoice.number,
        _invoice.opening,
        func.coalesce(before.closing, ZERO).label("closing"),
    )
    query = columns.select_from(schema.invoice.outerjoin(earlier, before.id == _invoice.follows))
    query = query.where(*issued, _invoice.follows.is_not(None), ends_otherwise).order_by(_invoice.id)
    for row in await connection.execute(query):
        report(BookDifference(BookFault.INVOICE_ORDER, row.account, row.closing, row.opening, invoice=row.number))
