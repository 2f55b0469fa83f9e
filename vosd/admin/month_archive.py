"""The files of a closed month: its calls, the entries that its statements count, balances; each appears whole.

The same books give the same files, whenever and however often they are written.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, aclosing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from vosd.admin.export_files import KEPT, ExportPart, make_kept_directory, opened
from vosd.admin.export_lines import ExportLines, columns_wanted
from vosd.admin.export_profile import PLAIN
from vosd.admin.ledger import EntrySheet, entry_sheet
from vosd.admin.month_page import BalanceMoney, CallMoney, InvoiceMoney, LedgerMoney, MonthFile, MonthPage, page_as_text
from vosd.base.csv_text import csv_of
from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.cdr.columns import iso_utc
from vosd.invoicing.periods import period_of
from vosd.processes.whole_file import replace_file, sync_directory
from vosd.storage.invoices import CREDIT_NOTE, INVOICE, InvoiceFilter, StoredInvoice
from vosd.storage.ledger_values import EARNED, LedgerEntry
from vosd.storage.ports import EntryKind
from vosd.storage.stores import SqlStores

CALLS: Final = "calls.csv.gz"
LEDGER: Final = "ledger.csv.gz"
BALANCES: Final = "balances.csv"
INVOICES: Final = "invoices.csv"
_INVOICE: Final = (
    "number", "kind", "period", "account", "issuer", "issued_at", "currency", "net", "tax", "gross", "digest",
)  # fmt: skip
_CALL_SUMS: Final = ("currency", "fee", "tax", "vendor_currency", "cost", "cost_tax", "answered_at")


_ZONES_MS: Final = 2 * 86_400_000
"""More than the same midnight lies apart in any two zones."""


class BooksMovedError(VosError):
    """The entries of the month do not lead from the balances at its begin to those at its end."""


class ClosedMonth(NamedTuple):
    """The close of a month."""

    month: str
    """Such as ``2026-10``."""
    closed_at: int
    """UTC milliseconds."""


class WrittenMonth(NamedTuple):
    """Sums of what was written."""

    calls: int
    answered: int
    money: tuple[CallMoney, ...]
    ledger: tuple[LedgerMoney, ...]
    balances: tuple[BalanceMoney, ...]
    invoices: tuple[InvoiceMoney, ...]
    invoice_periods: tuple[str, ...]
    files: tuple[MonthFile, ...]


class MonthArchive:
    """Writes the files of a month to a directory."""

    def __init__(self, stores: SqlStores, directory: Path, month: str, since: int, until: int) -> None:
        """``since`` and ``until`` are UTC milliseconds; the ledger is closed until then."""
        self._stores, self._directory = stores, directory
        self._month, self._since, self._until = month, since, until

    async def write(
        self, closed_at: int, before: Sequence[ClosedMonth], report: Callable[[float, int], None]
    ) -> WrittenMonth:
        """Write the files in the place of earlier ones; ``report`` receives a part of 1 and the calls that are written.

        ``before`` has the closes of other months in the order in which they were made. Invoices that are issued behind
        ``closed_at`` are for the next close.

        Raises:
            DroppedPeriod: calls or entries of the month were dropped.
            BooksMovedError: balances and entries do not agree.
            StoreUnavailable, OSError: the same again writes them.
        """
        calls = _OfCalls()
        of_calls = await self._calls(calls, report)
        ledger = _OfLedger(await self._balances(self._since), await self._balances(self._until))
        of_ledger = await self._ledger(ledger)
        ledger.check()
        of_balances = self._file(BALANCES, ledger.lines())
        invoices = await self._invoices(closed_at, before)
        of_invoices = self._file(INVOICES, [_INVOICE, *map(_invoice_row, invoices)])
        return WrittenMonth(
            calls=of_calls.rows,
            answered=calls.answered,
            money=calls.sheets(),
            ledger=ledger.moved(),
            balances=ledger.totals(),
            invoices=_invoice_sums(invoices),
            invoice_periods=tuple(dict.fromkeys(each.period for each in invoices)),
            files=(of_calls, of_ledger, of_balances, of_invoices),
        )

    def show(self, stored: str) -> None:
        """Write the page, JSON as it is stored, beside the files: as Markdown, as JSON, and the digests.

        Raises:
            OSError: the same again writes it.
        """
        page = msgspec.json.decode(stored, type=MonthPage)
        json = msgspec.json.format(stored).encode()  # fields that are newer than the page stay out
        digests = {each.name: each.sha256 for each in page.files}
        for name, content in (("month.md", page_as_text(page).encode()), ("month.json", json)):
            replace_file(self._directory / name, content, synced=True)
            digests[name] = hashlib.sha256(content).hexdigest()
        sums = "".join(f"{digest}  {name}\n" for name, digest in digests.items())  # as sha256sum -c reads them
        replace_file(self._directory / "SHA256SUMS", sums.encode(), synced=True)
        sync_directory(self._directory)

    def opened(self) -> AbstractContextManager[object]:
        """Lock the directory against other closes, and make it where it is missing; for ``write`` and ``show``.

        Raises:
            ExportBlocked: another run has it.
        """
        make_kept_directory(self._directory.parent)  # an earlier version let the group read the months in it
        make_kept_directory(self._directory)
        return opened(self._directory, "month", KEPT)

    async def _calls(self, sums: "_OfCalls", report: Callable[[float, int], None]) -> MonthFile:
        columns = list(dict.fromkeys([*_CALL_SUMS, *columns_wanted(PLAIN.columns)]))
        lines, began = ExportLines(PLAIN, columns, for_people=True), columns.index("started_at")
        part, rows = self._part(CALLS), 0
        part.write(lines.head())
        async with aclosing(self._stores.export.of_span(self._since, self._until, columns)) as pages:
            async for page in pages:
                part.write(lines.lines(page))
                sums.add(page)
                rows += len(page)
                report((page[-1][began] - self._since) / (self._until - self._since), rows)
        return self._finished(CALLS, part, rows)

    async def _ledger(self, sums: "_OfLedger") -> MonthFile:
        part, rows = self._part(LEDGER), 0
        part.write(_csv([EntrySheet.__struct_fields__]))
        async with aclosing(self._stores.ledger.counted(self._since, self._until)) as pages:
            async for page in pages:
                part.write(_csv([msgspec.structs.astuple(entry_sheet(each)) for each in page]))
                for each in page:
                    sums.add(each)
                rows += len(page)
        return self._finished(LEDGER, part, rows)

    async def _balances(self, moment: int) -> dict[str, tuple[str, Decimal]]:
        async with aclosing(self._stores.ledger.balances(moment)) as found:
            return {each.account: (each.currency or "", each.balance) async for each in found}

    async def _invoices(self, closed_at: int, before: Sequence[ClosedMonth]) -> list[StoredInvoice]:
        """Return the invoices and credit notes that are on this page and on no earlier one, the oldest first."""
        ending = self._since - _ZONES_MS, self._until + _ZONES_MS  # their zone may have been another one
        found = {each.id: each for each in await self._issued((0, closed_at), ending)}
        if before:
            found |= {each.id: each for each in await self._issued((before[-1].closed_at, closed_at), None)}
        *earlier, own = [(each, before[:at]) for at, each in enumerate([*before, ClosedMonth(self._month, closed_at)])]
        documents = []
        for _, each in sorted(found.items()):
            last_day = period_of(each.period).behind - timedelta(days=1)
            of = f"{last_day:%Y-%m}", each.issued_at or 0
            if _has(*own, *of) and not any(_has(*page, *of) for page in earlier):
                documents.append(each)
        return documents

    async def _issued(self, issued: tuple[int, int], ending: tuple[int, int] | None) -> list[StoredInvoice]:
        found: list[StoredInvoice] = []
        while True:
            after = found[-1].id if found else None
            wanted = InvoiceFilter(ending=ending, issued=issued, after=after, drafts=False)
            page = await self._stores.invoices.list(wanted)
            if not page:
                return found
            found += page

    def _file(self, name: str, rows: Sequence[Sequence[object]]) -> MonthFile:
        part = self._part(name)
        part.write(_csv(rows))
        return self._finished(name, part, len(rows) - 1)

    def _part(self, name: str) -> ExportPart:
        return ExportPart(self._directory / f".{name}.part", is_compressed=name.endswith(".gz"), mode=KEPT)

    def _finished(self, name: str, part: ExportPart, rows: int) -> MonthFile:
        size, digest = part.finish()
        (self._directory / f".{name}.part").replace(self._directory / name)
        return MonthFile(name, rows, size, digest)


def _has(page: ClosedMonth, before: Sequence[ClosedMonth], month: str, issued_at: int) -> bool:
    """Return whether a document of a month is for a page, unless an earlier page has it.

    Besides the documents of its own month these are late ones of months that were closed ``before``, issued since the
    last of these closes. Months before the first closed one may never be closed, so theirs are among them.
    """
    if issued_at > page.closed_at:
        return False
    if month == page.month:
        return True
    if not before or issued_at <= before[-1].closed_at:
        return False
    months = [each.month for each in before]
    return month in months or month < min(months) < page.month


class _OfCalls:
    """Sums of calls by currency."""

    def __init__(self) -> None:
        self.answered = 0
        self._sums: dict[str, list[Decimal]] = defaultdict(lambda: [ZERO] * 4)

    def add(self, page: Sequence[tuple[object, ...]]) -> None:
        for currency, fee, tax, vendor_currency, cost, cost_tax, answered_at, *_ in page:
            self.answered += answered_at is not None
            for name, place, amount in (
                (currency, 0, fee), (currency, 1, tax), (vendor_currency, 2, cost), (vendor_currency, 3, cost_tax),
            ):  # fmt: skip
                if amount:
                    assert isinstance(amount, Decimal)
                    self._sums[str(name or "")][place] += amount

    def sheets(self) -> tuple[CallMoney, ...]:
        return tuple(CallMoney(name, *map(format_amount, sums)) for name, sums in sorted(self._sums.items()))


class _OfLedger:
    """Sums of entries by currency and kind, and balances by account."""

    def __init__(self, opening: dict[str, tuple[str, Decimal]], closing: dict[str, tuple[str, Decimal]]) -> None:
        self._opening, self._closing = opening, closing
        self._moved: dict[str, Decimal] = defaultdict(lambda: ZERO)
        self._kinds: dict[tuple[str, str], tuple[int, Decimal, Decimal | None]] = {}

    def add(self, entry: LedgerEntry) -> None:
        self._moved[entry.account] += entry.amount
        is_earned = entry.kind == EntryKind.CALL.value and entry.amount > 0
        key = self._closing[entry.account][0], EARNED if is_earned else entry.kind
        entries, amount, tax = self._kinds.get(key, (0, ZERO, ZERO))
        known = None if tax is None or entry.tax is None else tax + entry.tax
        self._kinds[key] = entries + 1, amount + entry.amount, known

    def check(self) -> None:
        for account, (_, closing) in self._closing.items():
            opening = self._opening.get(account, ("", ZERO))[1]
            if opening + self._moved[account] != closing:
                amounts = map(format_amount, (opening, self._moved[account], closing))
                raise BooksMovedError("account {} opens with {}, moves by {}, closes with {}".format(account, *amounts))

    def moved(self) -> tuple[LedgerMoney, ...]:
        return tuple(
            LedgerMoney(*key, entries, format_amount(amount), None if tax is None else format_amount(tax))
            for key, (entries, amount, tax) in sorted(self._kinds.items())
        )

    def totals(self) -> tuple[BalanceMoney, ...]:
        found: dict[str, list[Decimal]] = defaultdict(lambda: [ZERO] * 3)
        count: dict[str, int] = defaultdict(int)
        for account, (currency, closing) in self._closing.items():
            amounts = (self._opening.get(account, ("", ZERO))[1], self._moved[account], closing)
            found[currency] = [a + b for a, b in zip(found[currency], amounts, strict=True)]
            count[currency] += 1
        return tuple(BalanceMoney(name, count[name], *map(format_amount, sums)) for name, sums in sorted(found.items()))

    def lines(self) -> list[Sequence[object]]:
        return [
            ("account", "currency", "opening", "moved", "closing"),
            *(
                (account, currency, *map(format_amount, (self._opening.get(account, ("", ZERO))[1],
                                                         self._moved[account], closing)))
                for account, (currency, closing) in sorted(self._closing.items())
            ),
        ]  # fmt: skip


def _invoice_row(each: StoredInvoice) -> Sequence[object]:
    issued_at = "" if each.issued_at is None else iso_utc(each.issued_at)
    amounts = map(format_amount, (each.net, each.tax, each.gross))
    return (
        each.number,
        each.kind,
        each.period,
        each.account,
        each.issuer,
        issued_at,
        each.currency,
        *amounts,
        each.digest,
    )


def _invoice_sums(invoices: Sequence[StoredInvoice]) -> tuple[InvoiceMoney, ...]:
    found: dict[tuple[str, str], list[StoredInvoice]] = defaultdict(list)
    for each in invoices:
        found[each.issuer, each.currency].append(each)
    return tuple(
        InvoiceMoney(
            issuer=issuer,
            currency=currency,
            invoices=sum(each.kind == INVOICE for each in some),
            credit_notes=sum(each.kind == CREDIT_NOTE for each in some),
            net=format_amount(sum((each.net for each in some), ZERO)),
            tax=format_amount(sum((each.tax for each in some), ZERO)),
            gross=format_amount(sum((each.gross for each in some), ZERO)),
        )
        for (issuer, currency), some in sorted(found.items())
    )


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    return csv_of(rows).encode()
