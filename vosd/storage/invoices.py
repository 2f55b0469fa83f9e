"""Invoices in MySQL and SQLite: drafts, numbers without gaps, credit notes, and the money that pays them (ADR 131)."""

import hashlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import (
    JSON,
    ColumnElement,
    Select,
    and_,
    case,
    delete,
    false,
    func,
    insert,
    not_,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.engine import Row

from vosd.base.errors import VosError
from vosd.base.money import ZERO
from vosd.cdr.kinds import NAME_LENGTH
from vosd.cdr.retention import DroppedPeriod, RecordKind
from vosd.invoicing.settlement import (
    REFERENCE,
    UNDO,
    Credit,
    braced,
    named_invoice,
    reference_of_undo,
    undone_entry,
    without_invoice,
)
from vosd.storage import schema
from vosd.storage.among import among
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import SqlStore, repeated
from vosd.storage.driver_errors import AlreadyThere
from vosd.storage.dropped import check_there, dropped_before, hold_off_drops
from vosd.storage.invoice_sums import (
    CHARGES,
    InvoiceBegin,
    InvoicedPart,
    InvoicedSpan,
    calls_within,
    charges_without_cdr,
    read_invoiced,
)
from vosd.storage.ports import EntryKind
from vosd.storage.sums import money_sum
from vosd.storage.types import descriptive

_CALLS_AT_ONCE: Final = 1_000
_ACCOUNTS_AT_ONCE: Final = 200
_ID_DIGITS_MAX: Final = 18
_SEARCHED_AT_MOST: Final = 1_000
CLAIMED_MS: Final = 1_200_000
"""Longest time for which an order keeps others from mailing its invoice: the largest mail takes up to 19 minutes."""
_invoice: Final = schema.invoice
_series: Final = schema.invoice_series
_template: Final = schema.invoice_template
_account: Final = schema.account.c
_entry: Final = schema.ledger_entry.c
_gone: Final = schema.dropped_credit
_REFUNDS: Final = "no invoice: refunds"
"""In the place of a number: the sum of dropped refunds, and payments below zero, that name no invoice.

A number in a reference has no space.
"""
_OLDER: Final = "no invoice: undos of older"
"""The sum of dropped undos of entries from before the first invoice."""
_AWAY: Final = "no invoice: taken away"
"""The sum of dropped transfers below zero, and adjustments that name no invoice, and of their undos."""
_NO_NUMBERS: Final = frozenset({"", _REFUNDS, _OLDER, _AWAY})
_UNDO_KINDS: Final = tuple(
    each.value for each in (EntryKind.PAYMENT, EntryKind.ADJUSTMENT, EntryKind.REFUND, EntryKind.TRANSFER)
)
INVOICE: Final = "invoice"
CREDIT_NOTE: Final = "credit_note"


class NoSuchInvoiceError(VosError):
    """There is no such invoice, or the principal may not see it."""


class InvoiceAlteredError(VosError):
    """The stored document is not the one that was written: its digest is another."""

    remedy = (
        "take the row of the invoice from a backup (vosd restore into another database); vosd ledger verify --whole"
        " names every invoice that was changed"
    )


class InvoiceMovedError(VosError):
    """Another invoice of the account was issued or cancelled meanwhile, or this one was."""

    remedy = "make the invoice again (vosd invoice run)"


class StoredState(Enum):
    """State of an invoice as it is stored; what is paid follows from the ledger."""

    DRAFT = "draft"
    ISSUED = "issued"
    CANCELLED = "cancelled"


class StoredInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice or a credit note; times are UTC milliseconds. The columns are those of the table."""

    id: int = 0
    issuer: str
    account: str
    kind: str = INVOICE
    state: StoredState = StoredState.DRAFT
    number: str | None = None
    follows: int | None = None
    cancels: int | None = None
    period: str
    since: int
    until: int
    begin_until: int
    begin_seq: int
    floor_seq: int
    end_seq: int
    open_seq: int
    currency: str
    net: Decimal
    tax: Decimal
    opening: Decimal
    carried: Decimal
    closing: Decimal
    made_at: int
    issued_at: int | None = None
    due_at: int | None = None
    sent_at: int | None = None
    claimed_at: int | None = None
    operator: str
    document: str
    digest: str = ""
    template: str | None = None

    def check_document(self) -> None:
        """Check that the document is as it was written; of invoices that are read with it.

        Raises:
            InvoiceAlteredError: it is another one.
        """
        if _digest_of(self.document) != self.digest:
            named = f"#{self.id}" if self.number is None else self.number
            raise InvoiceAlteredError(f"the document of invoice {named} was changed in the database")

    @property
    def gross(self) -> Decimal:
        """The amount of the invoice."""
        return self.net + self.tax

    @property
    def begin(self) -> InvoiceBegin:
        """The place in the ledger at which it begins."""
        return InvoiceBegin(self.begin_until, self.begin_seq, self.floor_seq, self.opening)

    @property
    def end(self) -> InvoiceBegin:
        """The place in the ledger at which the next invoice begins."""
        return InvoiceBegin(self.until, self.end_seq, self.open_seq, self.closing)


class IssuePlan(NamedTuple):
    """Terms of the issue of an invoice, apart from its number."""

    series: str
    written: Callable[[int], str]
    """Makes a number of the counter."""
    at: int
    due_at: int
    document: Callable[[str], str]
    """Makes the document of the number."""
    template: str
    """Digest of the files by which it is printed (``SqlInvoices.prepare``)."""


class AccountRow(NamedTuple):
    """An account of the ledger: the number of its newest entry."""

    id: str
    seq: int
    currency: str | None


class InvoicedCall(NamedTuple):
    """A call, or the correction of one, on an invoice; ``ended_at`` is UTC milliseconds."""

    call_id: str | None
    ended_at: int
    """When the call ended, or the correction was made."""
    caller: str | None
    callee: str | None
    area: str | None
    prefix: str | None
    seconds: int | None
    """Billed seconds, as they are now."""
    amount: Decimal
    """As the ledger has it: negative = the account pays."""
    tax: Decimal | None
    kind: str
    started_at: int | None
    """UTC milliseconds, as ``answered_at``."""
    answered_at: int | None
    hold_time_s: int | None


class InvoicesSeen(NamedTuple):
    """The invoices that an agent or a customer sees: issued ones to itself, and those for accounts below an agent.

    These are the ones that it or an agent below it has issued, also to an account that has another agent now, and those
    that the installation has issued to accounts that are below it now.
    """

    own: str
    """Account of the agent or customer."""
    visible: Collection[str]
    """That account and the ones below it."""
    sees_own: bool
    sees_below: bool

    def has(self, invoice: StoredInvoice) -> bool:
        """Return whether an invoice is one of them."""
        if invoice.state is StoredState.DRAFT:
            return False
        if invoice.account == self.own:
            return self.sees_own
        is_below = invoice.issuer in self.visible or (not invoice.issuer and invoice.account in self.visible)
        return self.sees_below and is_below

    def condition(self) -> ColumnElement[bool]:
        """Return the same as a condition, without a look at drafts.

        Each of its alternatives has an index: for ``NOT own AND (… OR …)`` the databases would read the whole table.
        """
        account, issuer = _invoice.c.account, _invoice.c.issuer
        seen = [account == self.own] if self.sees_own else []
        if self.sees_below:
            seen.append(and_(among(issuer, self.visible), account != self.own))
            # Not by an empty issuer: SQLite would take the index of that, where most invoices of an installation are.
            seen.append(and_(func.length(issuer) == 0, among(account, {*self.visible} - {self.own})))
        return or_(false(), *seen)


class InvoiceFilter(NamedTuple):
    """The invoices to list; all given criteria must hold."""

    account: str | None = None
    seen: InvoicesSeen | None = None
    """None = all."""
    state: StoredState | None = None
    period: str | None = None
    ending: tuple[int, int] | None = None
    """Invoices whose periods end behind the first moment and not behind the second one, UTC milliseconds."""
    issued: tuple[int, int] | None = None
    """Invoices that were issued behind the first moment and not behind the second one, UTC milliseconds."""
    after: int | None = None
    """Invoices that are listed after the one with this id."""
    oldest_first: bool = False
    limit: int = 1_000
    drafts: bool = True
    is_to_send: bool = False
    """Whether to list those alone that were issued and not mailed, apart from cancelled ones and their credit notes."""
    number: str | None = None
    """The whole number; several issuers may have the same one."""
    kind: str | None = None
    due: tuple[int | None, int | None] = (None, None)
    """Invoices that are due behind the first moment and not behind the second one, UTC milliseconds; None = any."""

    def of_debt(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions of kind and due day."""
        after, until = self.due
        if self.kind is not None:
            yield _invoice.c.kind == self.kind
        if after is not None:
            yield _invoice.c.due_at > after
        if until is not None:
            yield _invoice.c.due_at <= until


class SqlInvoices(SqlStore):
    """Reads and writes invoices."""

    async def accounts(self) -> Sequence[AccountRow]:
        """Return the accounts that have entries, in their order."""
        query = select(_account.id, _account.seq, _account.currency).where(_account.seq > 0).order_by(_account.id)
        return [AccountRow._make(row) for row in await self._database.rows(query, unhurried=True)]

    async def issuers(self) -> Collection[str]:
        """Return the agents that have issued invoices."""
        query = select(_series.c.issuer).where(_series.c.issuer != "").distinct()
        async with self._database.reading() as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def last(self) -> dict[str, StoredInvoice]:
        """Return the last issued invoice of all accounts, by account, without its document."""
        newest = _live().with_only_columns(func.max(_invoice.c.id)).group_by(_invoice.c.account)
        query = select(*_BARE).where(_invoice.c.id.in_(newest))
        return {row.account: _bare(row) for row in await self._database.rows(query, unhurried=True)}

    async def cancelled_firsts(self) -> dict[str, StoredInvoice]:
        """Return the newest cancelled invoice that followed none, by account, without its document.

        Where none of an account is in force, those that were cancelled behind it are to be made again, too.
        """
        own = _invoice.c.kind == INVOICE, _invoice.c.state == StoredState.CANCELLED.value, _invoice.c.follows.is_(None)
        newest = select(func.max(_invoice.c.id)).where(*own).group_by(_invoice.c.account)
        async with self._database.reading(unhurried=True) as connection:
            rows = await connection.execute(select(*_BARE).where(_invoice.c.id.in_(newest)))
            return {row.account: _bare(row) for row in rows}

    async def part(
        self,
        account: str,
        since: int,
        until: int,
        zone: ZoneInfo,
        before: InvoiceBegin | None,
        cancelled: InvoiceBegin | None,
    ) -> InvoicedPart | None:
        """Return what an invoice is about (``read_invoiced``); raises DroppedPeriod, too."""
        return await read_invoiced(self._database, account, since, until, zone, before, cancelled)

    async def prepare(self, issuer: str, series: str, template: bytes) -> str:
        """Make the counter of a series where there is none, and keep a template; return the digest of that."""
        digest = hashlib.sha256(template).hexdigest()
        rows = (
            (_template, _template.c.digest == digest, {"digest": digest, "content": template}),
            (
                _series,
                and_(_series.c.issuer == issuer, _series.c.series == series),
                {"issuer": issuer, "series": series, "last": 0},
            ),
        )
        for table, own, values in rows:
            if await self._database.row(select(table).where(own)) is not None:
                continue
            with suppress(AlreadyThere):  # another process has written it since
                await self._database.write(insert(table).values(values))
        return digest

    @repeated
    async def add(self, draft: StoredInvoice, plan: IssuePlan | None, audit: AuditLine | None) -> StoredInvoice:
        """Write an invoice in the place of the drafts of its account, and issue it where there is a plan.

        Raises:
            InvoiceMovedError: it does not follow the last invoice of the account any more; nothing was written.
            DroppedPeriod: it is the first one of the account, and payments behind its begin were dropped.
        """
        async with self._database.writing() as connection:
            await _check_follows(connection, draft)
            if draft.follows is None:
                await _check_begin(connection, draft)
            drafts = _invoice.c.account == draft.account, _invoice.c.state == StoredState.DRAFT.value
            # SQLite gives the ids of removed drafts to other invoices.
            await connection.execute(delete(_gone).where(_gone.c.invoice.in_(select(_invoice.c.id).where(*drafts))))
            await connection.execute(delete(_invoice).where(*drafts))
            made = await _written(connection, draft)
            if plan is not None:
                made = await _issued(connection, made, plan)
            await note(connection, audit)
        return made

    @repeated
    async def issue(self, draft: StoredInvoice, plan: IssuePlan, audit: AuditLine) -> StoredInvoice:
        """Issue a draft: it gets its number, and is not changed any more.

        Raises:
            InvoiceMovedError: it was issued or removed meanwhile, or does not follow the last invoice of the account.
        """
        async with self._database.writing() as connection:
            await _check_follows(connection, draft)
            state = select(_invoice.c.state).where(_invoice.c.id == draft.id).with_for_update()
            if await connection.scalar(state) != StoredState.DRAFT.value:
                raise InvoiceMovedError(f"invoice {draft.id} is no draft any more")
            made = await _issued(connection, draft, plan)
            await note(connection, audit)
        return made

    @repeated
    async def cancel(
        self, invoice: StoredInvoice, note_: StoredInvoice, plan: IssuePlan, audit: AuditLine
    ) -> StoredInvoice:
        """Cancel an issued invoice by a credit note, and return that with its number.

        Raises:
            InvoiceMovedError: it was cancelled meanwhile, or is not the last one of its account.
            DroppedPeriod: its charges could be on no invoice again: calls or entries of its period were dropped.
        """
        async with self._database.writing() as connection:
            if await _newest(connection, invoice.account) != invoice.id:
                raise InvoiceMovedError(f"invoice {invoice.number} is cancelled, or not the last one of its account")
            dropped = await dropped_before(connection)
            try:
                check_there(dropped.calls, invoice.since, "calls")
                check_there(dropped.entries, invoice.since, "ledger entries")
            except DroppedPeriod as error:
                raise DroppedPeriod(f"invoice {invoice.number} cannot be made again: {error}") from error
            own = _invoice.c.id == invoice.id
            await connection.execute(update(_invoice).where(own).values(state=StoredState.CANCELLED.value))
            made = await _issued(connection, await _written(connection, note_), plan)
            await note(connection, audit)
        return made

    async def one(self, number: int) -> StoredInvoice:
        """Return an invoice or credit note by its id; raises NoSuchInvoiceError, too."""
        row = await self._database.row(select(_invoice).where(_invoice.c.id == number))
        if row is None:
            raise NoSuchInvoiceError(f"there is no invoice #{number}: vosd invoice list has them")
        return _stored(row)

    async def credit_note(self, invoice: StoredInvoice) -> StoredInvoice | None:
        """Return the credit note that takes an invoice back, without its document; None = none does."""
        own = _invoice.c.account == invoice.account, _invoice.c.cancels == invoice.id
        row = await self._database.row(select(*_BARE).where(*own))
        return None if row is None else _bare(row)

    async def claim(self, invoice: StoredInvoice, at: int) -> bool:
        """Take the right to mail an invoice; False = another order has it, or has mailed the invoice since it was read.

        ``note_sent`` or ``give_back`` ends it, and it ends by itself: an order that was killed does not end it.
        """
        claimed = _invoice.c.claimed_at
        is_free = or_(claimed.is_(None), not_(claimed.between(at - CLAIMED_MS, at + CLAIMED_MS)))
        as_read = _invoice.c.sent_at.is_(None) if invoice.sent_at is None else _invoice.c.sent_at == invoice.sent_at
        own = _invoice.c.id == invoice.id, as_read, is_free
        return await self._database.write(update(_invoice).where(*own).values(claimed_at=at)) == 1

    async def give_back(self, invoice: StoredInvoice, claimed_at: int) -> None:
        """Give the right to mail an invoice back: its mail was not taken."""
        own = _invoice.c.id == invoice.id, _invoice.c.claimed_at == claimed_at
        await self._database.write(update(_invoice).where(*own).values(claimed_at=None))

    @repeated
    async def note_sent(self, invoice: StoredInvoice, at: int, audit: AuditLine) -> StoredInvoice:
        """Note when an invoice was mailed, UTC milliseconds, and return it as it is now.

        Its document and its digest stay as they are; it may have been cancelled since it was read.
        """
        own = _invoice.c.id == invoice.id
        async with self._database.writing() as connection:
            await connection.execute(update(_invoice).where(own).values(sent_at=at, claimed_at=None))
            row = (await connection.execute(select(_invoice).where(own))).one()
            await note(connection, audit)
        return _stored(row)

    async def numbered(self, number: str) -> Sequence[StoredInvoice]:
        """Return the invoices of a number, one of each issuer; ``#`` and an id is the one of that id."""
        own = _invoice.c.number == descriptive(number, _SEARCHED_AT_MOST)
        if number.startswith("#") and number[1:].isdecimal() and len(number) <= _ID_DIGITS_MAX:
            own = _invoice.c.id == int(number[1:])
        return [_bare(row) for row in await self._database.rows(select(*_BARE).where(own).order_by(_invoice.c.id))]

    async def names_of(self, accounts: Collection[str]) -> Mapping[str, Set[str]]:
        """Return the numbers and, in braces, the ids of the issued invoices and credit notes of some accounts."""
        found: dict[str, set[str]] = defaultdict(set)  # MySQL may find other names: it ignores spaces at their end
        query = select(_invoice.c.account, _invoice.c.id, _invoice.c.number).where(
            _invoice.c.account.in_(accounts), _invoice.c.state != StoredState.DRAFT.value
        )
        for row in await self._database.rows(query):
            found[row.account] |= {row.number, braced(row.id)}
        return found

    async def calls(self, invoice: StoredInvoice) -> AsyncGenerator[Sequence[InvoicedCall], None]:
        """Yield the calls of an invoice and the corrections of calls in the order of booking, some at a time.

        Calls that began before its period may have been dropped since: their numbers, areas and seconds are missing.

        Raises:
            DroppedPeriod: calls or entries of its period were dropped.
            StoreUnavailable: what was yielded is correct, and is not all.
        """
        span = InvoicedSpan(invoice.account, invoice.begin, invoice.until, invoice.end_seq, invoice.open_seq)
        after: int | None = None
        while True:
            query = calls_within(span, after)
            async with self._database.reading() as connection:
                dropped = await dropped_before(connection)  # for each page: they may be dropped between two
                check_there(dropped.calls, invoice.since, "calls")
                check_there(dropped.ledger, invoice.since, "ledger entries")
                rows = (await connection.execute(query.limit(_CALLS_AT_ONCE))).all()
                without_cdr = [row.reference for row in rows if row.call_id is None]
                charges = await charges_without_cdr(connection, without_cdr)
            if not rows:
                return
            after = rows[-1].seq
            page = [(charges.get(row.reference), InvoicedCall(*row[2:])) for row in rows]
            yield [
                call if charge is None else call._replace(prefix=charge.rate_prefix, seconds=charge.billed_seconds)
                for charge, call in page
            ]

    async def list(self, wanted: InvoiceFilter) -> Sequence[StoredInvoice]:
        """Return invoices and credit notes without their documents, the newest first unless ``oldest_first``."""
        # a number is an entry for each issuer: in the order of an index, all invoices would be looked at for it
        key = _invoice.c.id if wanted.number is None else func.coalesce(_invoice.c.id, _invoice.c.id)
        order = key.asc() if wanted.oldest_first else key.desc()
        query = select(*_BARE).order_by(order).limit(wanted.limit)
        if wanted.account is not None:
            query = query.where(_invoice.c.account == wanted.account)
        if wanted.number is not None:
            issuers = select(_series.c.issuer).distinct()
            number = descriptive(wanted.number, _SEARCHED_AT_MOST)
            query = query.where(_invoice.c.issuer.in_(issuers), _invoice.c.number == number)
        if wanted.seen is not None:
            query = query.where(wanted.seen.condition())
        if wanted.state is not None:
            query = query.where(_invoice.c.state == wanted.state.value)
        if not wanted.drafts:
            query = query.where(_invoice.c.state != StoredState.DRAFT.value)
        if wanted.period is not None:
            query = query.where(_invoice.c.period == wanted.period)
        if wanted.is_to_send:
            query = query.where(*_TO_SEND)
        if wanted.ending is not None:
            after, until = wanted.ending
            query = query.where(_invoice.c.until > after, _invoice.c.until <= until)
        if wanted.issued is not None:
            after, last = wanted.issued
            query = query.where(_invoice.c.issued_at > after, _invoice.c.issued_at <= last)
        query = query.where(*wanted.of_debt())
        if wanted.after is not None:
            is_after = _invoice.c.id > wanted.after if wanted.oldest_first else _invoice.c.id < wanted.after
            query = query.where(is_after)
        return [_bare(row) for row in await self._database.rows(query)]

    async def due_days(self, ids: Collection[int]) -> Mapping[int, str]:
        """Return the last days on which issued invoices are paid in time, as they are printed, by id."""
        if not ids:
            return {}
        due_on = type_coerce(_invoice.c.document, JSON)["due_on"].as_string()
        # SQLite and MySQL refuse the whole query where one document is no JSON.
        day = case((func.json_valid(_invoice.c.document) == 1, due_on))
        query = select(_invoice.c.id, day.label("due_on")).where(_invoice.c.id.in_(ids), day != "")
        return {row.id: row.due_on for row in await self._database.rows(query)}

    async def owed(self, accounts: Collection[str]) -> Mapping[str, Sequence[StoredInvoice]]:
        """Return the issued invoices of some accounts, the oldest first, without their documents."""
        found: dict[str, list[StoredInvoice]] = {name: [] for name in accounts}
        query = select(*_BARE).where(*_LIVE, _invoice.c.account.in_(accounts)).order_by(_invoice.c.id)
        async with self._database.reading(unhurried=True) as connection:
            for row in await connection.execute(query):
                found[row.account].append(_bare(row))
        return found

    async def credits(self, firsts: Sequence[StoredInvoice]) -> Mapping[str, Sequence[Credit]]:
        """Return the money that accounts got since the begin of their first invoices, which are given.

        Money that names no invoice is one sum for each account and kind, apart from undos and from money that was taken
        away, and so are payments that were dropped.
        """
        found: dict[str, list[Credit]] = {each.account: [] for each in firsts}
        for place in range(0, len(firsts), _ACCOUNTS_AT_ONCE):
            async with self._database.reading(unhurried=True) as connection:
                await _add_credits(connection, firsts[place : place + _ACCOUNTS_AT_ONCE], found)
        return found

    async def credit_behind(self, invoice: StoredInvoice) -> Decimal:
        """Return the money that an account got, less what was taken away, since the end of an invoice."""
        end = invoice.end
        earlier = or_(_entry.seq <= end.floor, and_(_entry.created_at < end.until, _entry.seq <= end.seq))
        own = _entry.account == invoice.account, _entry.kind.not_in(CHARGES), not_(earlier)
        async with self._database.reading(unhurried=True) as connection:
            return await connection.scalar(_by_kind(select(money_sum(_entry.amount)).where(*own))) or ZERO

    async def accounts_with_overdue(self, now: int) -> Sequence[str]:
        """Return the accounts with issued invoices that were due before a moment, paid or not, in their order."""
        own = *_LIVE, _invoice.c.due_at <= now
        query = select(_invoice.c.account).where(*own).distinct().order_by(_invoice.c.account)
        async with self._database.reading(unhurried=True) as connection:
            return (await connection.scalars(query)).all()

    async def template(self, invoice: StoredInvoice) -> bytes:
        """Return the files by which an issued invoice is printed."""
        own = _template.c.digest == invoice.template
        async with self._database.reading() as connection:
            return bytes((await connection.execute(select(_template.c.content).where(own))).scalar_one())


_LIVE: Final = (_invoice.c.kind == INVOICE, _invoice.c.state == StoredState.ISSUED.value)
_MAILED: Final = select(_invoice.c.id).where(_invoice.c.sent_at.is_not(None)).scalar_subquery()
_TO_SEND: Final = (
    _invoice.c.state == StoredState.ISSUED.value,
    _invoice.c.sent_at.is_(None),
    or_(_invoice.c.cancels.is_(None), _invoice.c.cancels.in_(_MAILED)),
)
"""A credit note is for those who have the invoice that it takes back."""
_BARE: Final = tuple(column for column in _invoice.c if column.name != "document")
_BEGIN: Final[tuple[Any, ...]] = (
    _invoice.c.account, _invoice.c.id, _invoice.c.begin_until, _invoice.c.begin_seq, _invoice.c.floor_seq
)  # fmt: skip
_CREDIT: Final[tuple[Any, ...]] = (
    _entry.id, _entry.account, _entry.seq, _entry.kind, _entry.reference, _entry.amount, _entry.created_at
)  # fmt: skip


async def _add_credits(
    connection: AsyncConnection, firsts: Sequence[StoredInvoice], found: Mapping[str, list[Credit]]
) -> None:
    """Add the credits of some accounts to those that were found, as ``SqlInvoices.credits`` says."""
    first = _invoice.alias()
    dated_before = and_(_entry.created_at < first.c.begin_until, _entry.seq <= first.c.begin_seq)
    earlier = or_(_entry.seq <= first.c.floor_seq, dated_before)
    # MariaDB knows no range of accounts and kinds by the join alone: it would read all calls of the accounts. So the
    # accounts are named, and entries are read before invoices.
    own_entries = _entry.account.in_([each.account for each in firsts]), _entry.kind.not_in(CHARGES)
    own = first.c.id.in_([each.id for each in firsts]), *own_entries, not_(earlier)
    is_listed = or_(*(_entry.reference.startswith(each, autoescape=True) for each in (REFERENCE, UNDO)))
    entries = schema.ledger_entry.join(first, _entry.account == first.c.account)
    sums = select(first.c.account, _entry.kind, money_sum(_entry.amount)).select_from(entries)
    sums = sums.group_by(first.c.account, _entry.kind, _entry.amount < ZERO)
    for account, kind, rest in await connection.execute(_by_kind(sums.where(*own, not_(is_listed)))):
        found[account].append(_credit(kind, "", rest))
    listed = select(*_CREDIT).select_from(entries).where(*own, is_listed).order_by(_entry.account, _entry.seq)
    rows = (await connection.execute(_by_kind(listed))).all()
    older = await _undos_of_older(connection, rows, {each.account: each for each in firsts})
    for row in rows:
        found[row.account].append(_credit(row.kind, row.reference, row.amount, undoes_older=row.id in older))
    account_of = {each.id: each.account for each in firsts}
    gone = select(_gone.c.invoice, _gone.c.number, _gone.c.amount).where(_gone.c.invoice.in_(account_of))
    for row in await connection.execute(gone):
        reference = "" if row.number in _NO_NUMBERS else f"{REFERENCE}{row.number}"
        kept = Credit(reference, row.amount, row.number == _REFUNDS, row.number == _OLDER)
        found[account_of[row.invoice]].append(kept)


def _credit(kind: str, reference: str, amount: Decimal, *, undoes_older: bool = False) -> Credit:
    """Return an entry that is no charge as money of its account.

    A transfer names an invoice of the account that gets the money, also in the entry of the one that gives it. A
    payment below zero takes one back, as a refund does.
    """
    credit = Credit(reference, amount, kind == EntryKind.REFUND.value, undoes_older)
    if kind == EntryKind.TRANSFER.value and credit.is_taken_away:
        return credit._replace(reference=without_invoice(reference))
    if kind == EntryKind.PAYMENT.value and credit.is_taken_away:
        return credit._replace(is_refund=True)
    return credit


def _by_kind(query: Select[Any]) -> Select[Any]:
    """Have a statement find the entries of its accounts by their kinds, before it joins anything.

    By its statistics of a sample, MariaDB reads all calls of an account at times.
    """
    by_kind = query.with_hint(schema.ledger_entry, "FORCE INDEX (ledger_entry_once)", "mysql")
    return by_kind.prefix_with("STRAIGHT_JOIN", dialect="mysql")


async def keep_credits(connection: AsyncConnection, entries: Sequence[Row[Any]]) -> None:
    """Add entries that are dropped in this transaction to the sums that ``SqlInvoices.credits`` counts.

    They belong to the first invoice of the account, or to its draft. While that is there its begin stays; one that is
    made behind it begins behind all dropped entries, and has them in its opening balance.
    """
    is_draft = and_(_invoice.c.state == StoredState.DRAFT.value, _invoice.c.follows.is_(None))
    is_first = _invoice.c.kind == INVOICE, or_(_invoice.c.state == StoredState.ISSUED.value, is_draft)
    accounts = {each.account for each in entries}
    firsts = select(func.min(_invoice.c.id)).where(*is_first, _invoice.c.account.in_(accounts))
    begins = select(*_BEGIN).where(_invoice.c.id.in_(firsts.group_by(_invoice.c.account)))
    first_of = {row.account: row for row in await connection.execute(begins)}
    counted = [
        each
        for each in entries
        if each.account in first_of and each.kind not in CHARGES and not _is_earlier(each, first_of[each.account])
    ]
    older = await _undos_of_older(connection, counted, first_of)
    sums: defaultdict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for each in counted:
        sums[first_of[each.account].id, _OLDER if each.id in older else _kept_under(each)] += each.amount
    for each in await _undos_left(connection, counted, first_of):
        # Without the entry that it takes back, it counts as the undo of an older one from now on.
        sums[first_of[each.account].id, _OLDER] -= each.amount
        sums[first_of[each.account].id, _kept_under(each)] += each.amount
    for (invoice, number), amount in sums.items():
        if not amount:
            continue
        own = _gone.c.invoice == invoice, _gone.c.number == number
        before = await connection.scalar(select(_gone.c.amount).where(*own).with_for_update())
        if before is None:
            await connection.execute(insert(_gone).values(invoice=invoice, number=number, amount=amount))
        else:
            await connection.execute(update(_gone).where(*own).values(amount=before + amount))


def _is_earlier(entry: Row[Any], first: StoredInvoice | Row[Any]) -> bool:
    """Return whether an entry comes before the first invoice of its account."""
    is_dated_before = entry.created_at < first.begin_until and entry.seq <= first.begin_seq
    return bool(entry.seq <= first.floor_seq or is_dated_before)


async def _undos_of_older(
    connection: AsyncConnection, entries: Sequence[Row[Any]], first_of: Mapping[str, StoredInvoice | Row[Any]]
) -> set[int]:
    """Return which of some entries take back one from before the first invoice of their account.

    An entry that was dropped counts as such a one: ``keep_credits`` makes up for the others.
    """
    undone = {each.id: undone_entry(each.reference) for each in entries}
    wanted = {number for number in undone.values() if number is not None}
    if not wanted:
        return set()
    query = select(*_CREDIT).where(_entry.id.in_(wanted))
    younger = {
        (row.account, row.id)
        for row in await connection.execute(query)
        if row.account in first_of and not _is_earlier(row, first_of[row.account])
    }
    return {each.id for each in entries if undone[each.id] and (each.account, undone[each.id]) not in younger}


async def _undos_left(
    connection: AsyncConnection, dropped: Sequence[Row[Any]], first_of: Mapping[str, Row[Any]]
) -> list[Row[Any]]:
    """Return the undos of some entries which are not among them."""
    undone = {(each.account, reference_of_undo(each.reference, each.id)): each.amount for each in dropped}
    accounts, references = {account for account, _ in undone}, {reference for _, reference in undone}
    own = _entry.account.in_(accounts), _entry.kind.in_(_UNDO_KINDS), _entry.reference.in_(references)
    query = select(*_CREDIT).where(*own, _entry.id.not_in([each.id for each in dropped]))
    return [
        row
        for row in await connection.execute(query)
        if row.amount == -undone.get((row.account, row.reference), ZERO) and not _is_earlier(row, first_of[row.account])
    ]


def _kept_under(entry: Row[Any]) -> str:
    """Return the number of the invoice that an entry names, or the word of ``_NO_NUMBERS`` for one that names none."""
    credit = _credit(entry.kind, entry.reference, entry.amount)
    named = named_invoice(credit.reference)
    if named and len(named) <= schema.INVOICE_NUMBER_LENGTH:
        return named
    if credit.is_refund:
        return _REFUNDS
    return _AWAY if credit.is_taken_away else ""


def _live() -> Any:
    return select(_invoice.c.id).where(*_LIVE)


async def _newest(connection: AsyncConnection, account: str) -> int | None:
    """Lock an account, so that no other transaction issues or cancels one of its invoices, and return the last issued.

    The counter of a series does not exclude them: credit notes have another, and each form of numbers has its own.
    """
    await connection.execute(select(_account.id).where(_account.id == account).with_for_update())
    newest = _live().with_only_columns(func.max(_invoice.c.id)).where(_invoice.c.account == account)
    number: int | None = await connection.scalar(newest)
    return number


async def _check_follows(connection: AsyncConnection, draft: StoredInvoice) -> None:
    if await _newest(connection, draft.account) != draft.follows:
        message = f"another invoice of account {draft.account} was issued or cancelled meanwhile"
        raise InvoiceMovedError(f"{message}; run the period again, it completes the rest")


async def _check_begin(connection: AsyncConnection, draft: StoredInvoice) -> None:
    """Check that no payment behind the begin of a first invoice was dropped since its entries were read.

    Their sums are kept for an invoice that is stored (``keep_credits``); until this one is, none is dropped.
    """
    await hold_off_drops(connection, RecordKind.PAYMENTS)
    try:
        check_there((await dropped_before(connection)).payments, draft.begin_until, "ledger entries")
    except DroppedPeriod as error:
        message = f"the first invoice of account {draft.account} cannot begin there any more: {error}"
        raise DroppedPeriod(f"{message}; begin with a later period (vosd invoice run --anew)") from error


async def _locked_series(connection: AsyncConnection, issuer: str, series: str) -> int:
    """Lock the counter of a series, and return the number that was given last."""
    own = _series.c.issuer == issuer, _series.c.series == series
    last = await connection.scalar(select(_series.c.last).where(*own).with_for_update())
    if last is None:
        raise InvoiceMovedError(f"the series {series} has no counter")
    return int(last)


async def _issued(connection: AsyncConnection, draft: StoredInvoice, plan: IssuePlan) -> StoredInvoice:
    """Give a stored draft the next number of its series."""
    counted = await _locked_series(connection, draft.issuer, plan.series) + 1
    own = _series.c.issuer == draft.issuer, _series.c.series == plan.series
    await connection.execute(update(_series).where(*own).values(last=counted))
    number = plan.written(counted)
    document = plan.document(number)
    made = msgspec.structs.replace(
        draft,
        state=StoredState.ISSUED,
        number=number,
        issued_at=plan.at,
        due_at=plan.due_at,
        document=document,
        digest=_digest_of(document),
        template=plan.template,
    )
    await connection.execute(update(_invoice).where(_invoice.c.id == draft.id).values(_values(made)))
    return made


async def _written(connection: AsyncConnection, draft: StoredInvoice) -> StoredInvoice:
    draft = msgspec.structs.replace(draft, digest=_digest_of(draft.document))
    key = (await connection.execute(insert(_invoice).values(_values(draft)))).inserted_primary_key
    assert key is not None
    return msgspec.structs.replace(draft, id=int(key[0]))


def _digest_of(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()


def _values(invoice: StoredInvoice) -> dict[str, Any]:
    values = msgspec.structs.asdict(invoice)
    del values["id"]
    return values | {"state": invoice.state.value, "operator": descriptive(invoice.operator, NAME_LENGTH)}


def _stored(row: Row[Any]) -> StoredInvoice:
    return StoredInvoice(**{**row._mapping, "state": StoredState(row.state)})


def _bare(row: Row[Any]) -> StoredInvoice:
    return StoredInvoice(**{**row._mapping, "state": StoredState(row.state), "document": ""})
