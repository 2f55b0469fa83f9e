"""Payments from a file of the bank: read and checked as a whole first, then booked.

A payment is known by account and reference, so a file that is imported again books nothing twice. Refuses to guess:
columns are found by their names, and a line that is not clear keeps the whole file from being booked.
"""

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from io import StringIO
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec

from vosd.admin.names import UnknownAccountError, unknown_account
from vosd.admin.office.bookings import PaymentReceipt, add_payments, decimals_exceeded
from vosd.admin.office.office import Office, needs, waits_for_rows
from vosd.admin.office.payments import (
    BookPayment,
    ManualBooking,
    WaitingSheet,
    WasRefusedError,
    book_by_hand,
    faults_of,
    misnamed,
    needs_second,
    payees,
)
from vosd.admin.office.principal import OrderError, Permission, Principal, Scope
from vosd.base.csv_text import BOM, has_joined_rows, is_shortened, named_separator
from vosd.base.errors import VosError
from vosd.base.iso4217 import unit_of_currency
from vosd.base.money import ZERO, comma_to_point, format_amount, parse_amount
from vosd.base.parts import in_parts
from vosd.billing.accounts import Account
from vosd.billing.authority import OutOfScopeError
from vosd.invoicing.settlement import named_invoice
from vosd.storage.audit_line import AuditLine
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.ports import EntryKind, NoSuchAccount, OtherCurrency, Payment, ReferenceTaken

FAULTS_SHOWN: Final = 20
"""Most faults of a file that its error lists."""
LINES_MAX: Final = 10_000
"""Most lines of a file that is read for a request: it takes a second then, and its payments are ordered one by one."""
_CHECKED_AT_ONCE: Final = 500
"""Payments that are checked before other requests get their turn."""
_BOOKED_AT_ONCE: Final = 100
"""Payments of a transaction: no call is booked beside it."""
_DELIMITERS: Final = (",", ";", "\t")
_SPLIT_REFERENCE: Final = re.compile(r'[^0-9"]*[1-9][0-9]{0,2},[0-9]{3}(\.[0-9]*)?\Z')
"""Amount and the reference before it that a comma has split: RM 1,234.50. A reference INV-7 before 50 is one."""
_SPLIT_BEFORE: Final = re.compile(
    r'[^0-9"]*([0-9]{1,3}(\W[0-9]{3})*,[0-9]{3}\.[0-9]*|[0-9]+(\W[0-9]{3})*,[0-9]{1,3})\Z', re.ASCII
)
"""Amount and another cell before it that a comma has split: 1,234.50 and, with a decimal comma, 12,50 or 1.234,50."""
_SPLIT_BEHIND: Final = re.compile(r'[^0-9"]*[0-9]+(\.[0-9]{3})*,[0-9]{1,3}(\.[0-9]*)?[^0-9"]*\Z')
"""Amount and the cell behind it that a comma has split: 1,234.50 DR and, with a decimal comma, 12,50 or 1.234,50."""
_NO_TEXT: Final = re.compile(r"[\x00-\x08]")
"""Stands at the beginning of workbooks and of text in UTF-16, and in no text that is decoded as it was written."""
_THOUSANDTH: Final = Decimal("0.001")
_LOST: Final = "\ufffd"
"""Stands in a text for bytes that could not be decoded: two references that differ in these alone would be the same."""
_WRITTEN_CELL: Final = re.compile(r'(?:\A|,)("(?:[^"]|"")*"|[^,]*)')
"""A cell of a row, with its quotation marks."""
_FAULTS: Final = (OrderError, UnknownAccountError, ReferenceTaken, OtherCurrency, ContentRefused, WasRefusedError)
"""Reasons for which a line is not booked, now or when the file is imported again."""


class PaymentColumns(NamedTuple):
    """Names of the columns in the header of a file; memo and currency need not be there."""

    account: str = "account"
    amount: str = "amount"
    reference: str = "reference"
    memo: str = "memo"
    currency: str = "currency"


_NEEDED: Final = ("account", "amount", "reference")


class FileFault(NamedTuple):
    """One reason for which a file is not booked."""

    field: str
    """Field of the order that reads the file."""
    said: str


class BadPaymentFile(VosError):  # noqa: N818 - describes the file
    """The file has lines that cannot be booked as they are; nothing was booked."""

    def __init__(self, faults: Sequence[str]) -> None:
        shown = [*faults[:FAULTS_SHOWN]]
        if len(faults) > len(shown):
            shown.append(f"... and {len(faults) - len(shown)} more")
        self.mistakes = [FileFault("content", each) for each in shown]
        super().__init__("\n".join(["nothing was booked:", *shown]))


class FilePayment(NamedTuple):
    """One line of a file."""

    line: int
    account: str
    amount: Decimal
    reference: str
    memo: str | None
    currency: str | None
    has_comma: bool = False
    """Whether its amount is written with a decimal comma."""


class PaymentOfFile(msgspec.Struct, frozen=True):
    """One line of a file that can be booked as it is; money as text."""

    line: int
    """Number of its line in the file, from 1."""
    account: str
    amount: str
    reference: str
    memo: str | None
    currency: str | None
    """ISO 4217, of the line or else of its account; None = the line has none, nor has an account not configured."""


class PaymentsOfFile(msgspec.Struct, frozen=True):
    """Payments of a file."""

    payments: tuple[PaymentOfFile, ...]
    """Payments in the order of their lines."""


class ImportOutcome(Enum):
    """Result of a line: booked before, booked now, or to be booked."""

    NEW = "new"
    """A dry run has found that it would be booked."""
    BOOKED = "booked"
    REPEATED = "booked before"
    WAITING = "waits for a second person"


class ImportedPayment(msgspec.Struct, frozen=True):
    """One line of a file and what became of it; money as text."""

    line: int
    account: str
    amount: str
    currency: str | None
    reference: str
    outcome: str
    after: str | msgspec.UnsetType = msgspec.UNSET
    """Balance after the booking; absent in a dry run of one that is not booked."""


def read_payment_file(
    lines: Iterable[str], columns: PaymentColumns | None = None, *, has_decimal_comma: bool = False
) -> list[FilePayment]:
    """Read the lines of a file of comma, semicolon or tab separated values with a header, of small or capital letters.

    A line ``sep=;`` may stand above the header. ``columns``: None = they are called as here, and no other name can be
    said. ``has_decimal_comma``: amounts are written 1.234,50 or 1234,50.

    Raises:
        BadPaymentFile: a column is missing, or lines have no account, no reference, a shortened one or no amount above
            zero, or the file is no text.
    """
    rows, number = iter(lines), 1
    header = next(rows, "").removeprefix(BOM)
    if _NO_TEXT.search(header):
        raise BadPaymentFile(["the file is no text in UTF-8, but a workbook or another one: save it as CSV UTF-8"])
    separator = named_separator(header)
    if separator is not None:
        header, number = next(rows, ""), 2
    delimiter, cells = _titles(header, number, separator, columns)
    faults: list[str] = []
    named = {name: title.casefold() for name, title in (columns or PaymentColumns())._asdict().items()}
    if twice := [title for title in named.values() if cells.count(title) > 1]:
        raise BadPaymentFile([f"line {number}: two columns are called {twice[0]}"])
    places = {name: cells.index(title) for name, title in named.items() if title in cells}
    sound = _rows(rows, delimiter, len(cells), faults, number)
    if delimiter == ",":
        sound = _unsplit(sound, places, faults, has_comma=has_decimal_comma)
    read = list(_read(sound, places, faults, has_comma=has_decimal_comma))
    by_reference: dict[tuple[str, str], int] = {}
    for each in read:
        first = by_reference.setdefault((each.account, each.reference), each.line)
        if first != each.line:
            faults.append(
                f"line {each.line}: reference {each.reference} of account {each.account} is on line {first} too"
            )
    if faults:
        raise BadPaymentFile(faults)
    return read


def _titles(header: str, number: int, separator: str | None, columns: PaymentColumns | None) -> tuple[str, list[str]]:
    """Return the delimiter by which the header has the columns that are needed, and its titles in small letters."""
    wanted = [getattr(columns or PaymentColumns(), name) for name in _NEEDED]
    for delimiter in _DELIMITERS if separator is None else (separator,):
        try:
            cells = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error as error:
            raise BadPaymentFile([f"line {number}: {error}"]) from error
        titles = [cell.strip().casefold() for cell in cells]
        if {each.casefold() for each in wanted} <= set(titles):
            return delimiter, titles
    said = f"line {number}: the header has no columns {', '.join(wanted)}; it is {header.strip()[:200]!r}"
    remedy = "write these names into it" if columns is None else "name the columns by `column` account=TITLE ..."
    raise BadPaymentFile([f"{said}: {remedy}"])


class _Row(NamedTuple):
    line: int
    """Number of its first line."""
    cells: list[str]
    text: str
    """Text of its lines."""


def _unsplit(rows: Iterator[_Row], places: Mapping[str, int], faults: list[str], *, has_comma: bool) -> Iterator[_Row]:
    """Yield the rows of a file with commas whose amount is no half of one that a comma has split.

    A cell that is left out makes the width right, and of 1,234.50 the 1 or the 234.50 would be booked. Units and marks
    have too many names for a list, so any text without digits may stand beside the number. Cells with quotation marks
    are whole, and so are amount and account, which has to be configured.
    """
    amount, account = places["amount"], places["account"]
    before = _SPLIT_REFERENCE if amount - 1 == places["reference"] else _SPLIT_BEFORE
    halves = [
        (first, pattern)
        for first, pattern in ((amount - 1, before), (amount, _SPLIT_BEHIND))
        if first >= 0 and account not in {first, first + 1}
    ]
    for row in rows:
        written = [cell.strip() for cell in _WRITTEN_CELL.findall(row.text)]
        pairs = ((",".join(written[first : first + 2]), pattern) for first, pattern in halves)
        pair = next((text for text, pattern in pairs if pattern.match(text)), None)
        if has_comma and written[amount][:1] not in {"", '"'}:
            faults.append(f"line {row.line}: put quotation marks around {written[amount]}, or separate by semicolons")
        elif pair is not None:
            faults.append(
                f"line {row.line}: is {pair} one amount? Put quotation marks around it, or around both cells if they "
                "are two, or separate by semicolons"
            )
        else:
            yield row


def _rows(lines: Iterator[str], delimiter: str, width: int, faults: list[str], header: int) -> Iterator[_Row]:
    """Yield the rows behind the header, which is on line ``header``.

    A row of another width may have an amount with a separator and no quotes: its cells are not where they belong.
    """
    read: list[str] = []
    reader, line = csv.reader(_noted(lines, read), delimiter=delimiter, strict=True), header + 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                if len(row) != width:
                    faults.append(f"line {line}: {len(row)} cells, not {width} as in the header")
                elif _LOST in "".join(read):
                    faults.append(f"line {line}: characters that cannot be read: save the file as UTF-8")
                elif has_joined_rows(row, delimiter, width):
                    faults.append(f"line {line}: a cell of several lines: is a quotation mark missing?")
                else:
                    yield _Row(line, row, "".join(read))
            line = reader.line_num + header + 1
            read.clear()
    except csv.Error as error:
        faults.append(f"line {line}: its quotation marks are not in pairs: {error}")


def _noted(lines: Iterator[str], read: list[str]) -> Iterator[str]:
    for line in lines:
        read.append(line)
        yield line


def _read(
    rows: Iterator[_Row], places: Mapping[str, int], faults: list[str], *, has_comma: bool
) -> Iterator[FilePayment]:
    for line, row, _ in rows:
        values = {name: row[place].strip() for name, place in places.items()}
        broken = [name for name in _NEEDED if len(values[name].splitlines()) > 1]
        if broken:
            faults.append(f"line {line}: a line break in {' and in '.join(broken)}")
            continue
        missing = [name for name in _NEEDED if not values[name]]
        if missing:
            faults.append(f"line {line}: no {' and no '.join(missing)}")
            continue
        if is_shortened(values["reference"]):  # the next payment has the same, and would count as booked before
            faults.append(
                f"line {line}: reference {values['reference']} has lost its digits: a spreadsheet has shortened it"
            )
            continue
        try:
            amount = _amount(values["amount"], has_comma=has_comma)
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        memo, currency = values.get("memo") or None, values.get("currency") or None
        yield FilePayment(line, values["account"], amount, values["reference"], memo, currency, has_comma)


def _amount(text: str, *, has_comma: bool) -> Decimal:
    """Return an amount above zero; raises ValueError for anything else."""
    amount = parse_amount((comma_to_point(text) if has_comma else text).removeprefix("+"))
    if amount <= 0:
        message = f"{format_amount(amount)} is no payment: book a refund or an adjustment (vosd payment add --type)"
        raise ValueError(message)
    return amount


class ReadPayments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the bank, to be read before its payments are booked one by one."""

    content: str
    """The file as text, with a header that has the columns ``account``, ``amount`` and ``reference``; ``memo`` and
    ``currency`` if there are any."""


@needs(Permission.MONEY_BOOK, by_account=True)
async def read_payments(office: Office, who: Principal, order: ReadPayments) -> PaymentsOfFile:
    """Return the payments of a file; nothing is booked.

    Raises:
        UnknownAccountError, NoAgentError, MayNotActError: the agent may not act.
        BadPaymentFile: a line is not clear, its account is not there, or has another currency or fewer decimals, or
            its reference was booked for another amount.
        StoreUnavailable: whether an account is in the ledger is not known; try again.
    """
    scope = office.scope_of(who)
    if max(map(order.content.count, "\r\n")) > LINES_MAX:
        raise BadPaymentFile([f"more than {LINES_MAX:,} lines: make several files of it, or use vosd payment import"])
    found = await asyncio.to_thread(read_payment_file, StringIO(order.content, newline=""))
    known = await payees(office, [each.account for each in found])
    absent = await _absent(office, scope, dict.fromkeys(each.account for each in found))
    faults = [
        fault
        for each in found
        # no fault has the currency of an account that one does not see
        for fault in (_absence(each, absent), _fault(each, None if each.account in absent else known.get(each.account)))
        if fault is not None
    ]
    faults += await _untakable(office, who, [] if faults else found)
    if faults:
        raise BadPaymentFile(faults)
    return PaymentsOfFile(
        tuple(
            PaymentOfFile(
                each.line,
                each.account,
                format_amount(each.amount),
                each.reference,
                each.memo,
                each.currency or _currency_of(known.get(each.account)),
            )
            for each in found
        )
    )


async def _untakable(office: Office, who: Principal, payments: Iterable[FilePayment]) -> list[str]:
    """Return a sentence for each line that no order books, whose reference is taken, or that has too many decimals.

    A line that was booked before is taken, whatever decimals it has.
    """
    orders, faults = dict[int, BookPayment](), dict[int, VosError]()
    for each in payments:
        try:
            orders[each.line] = BookPayment(
                account=each.account, amount=each.amount, reference=each.reference, memo=each.memo
            )
        except OrderError as error:
            faults[each.line] = error
    for part in in_parts([*orders], _CHECKED_AT_ONCE):
        left = max(FAULTS_SHOWN - len(faults), 0)
        found = await faults_of(office, who, [orders[line] for line in part], left)
        faults |= {line: fault for line, fault in zip(part, found, strict=True) if fault is not None}
    return [f"line {line}: {fault}" for line, fault in sorted(faults.items())]


async def _absent(office: Office, scope: Scope, names: Iterable[str]) -> dict[str, str]:
    """Return the accounts that get no payment, each with the reason: it is neither configured nor in the ledger.

    An agent learns of no account that it does not see, neither that it exists nor its currency.
    """
    accounts, absent, asked = office.definitions.accounts(), dict[str, str](), list[str]()
    for name in names:
        try:
            scope.require_visible(name)
        except OutOfScopeError as error:
            absent[name] = str(error)
        else:
            asked += [name] if name not in accounts else []
    known = (await office.stores.books.standings_of(asked)).standings
    for name in asked:
        if name in known:
            continue
        absent[name] = f"no account {name!r} is configured"
        if len(absent) <= FAULTS_SHOWN:  # each search for similar names reads all accounts
            absent[name] = str(unknown_account(accounts, name))
    return absent


def _absence(payment: FilePayment, absent: Mapping[str, str]) -> str | None:
    """Return a sentence where the account of a line gets no payment, or None."""
    why = absent.get(payment.account)
    return None if why is None else f"line {payment.line}: {why}"


def _currency_of(account: Account | None) -> str | None:
    return None if account is None else account.currency


def _fault(payment: FilePayment, account: Account | None) -> str | None:
    """Return a sentence where a line has another currency than its account, or may be of thousands; None = neither.

    Banks write 50.000 for fifty thousand, and for fifty where the currency has three decimals alone.
    """
    if account is not None and payment.currency not in {None, account.currency}:
        return f"line {payment.line}: {payment.currency}, account {payment.account} has {account.currency}"
    amount, currency = payment.amount, payment.currency or _currency_of(account)
    if amount.as_tuple().exponent != -3 or not 1 <= amount < 1000:
        return None
    if currency is not None and unit_of_currency(currency) == _THOUSANDTH:
        return None
    thousands, two = str(amount).replace(".", ""), round(amount, 2)
    once = two if two == amount else round(amount, 4)  # three decimals would be refused again
    point = "," if payment.has_comma else "."
    written, decimal = (str(each).replace(".", point) for each in (amount, once))
    return f"line {payment.line}: {written} may be {thousands} or {decimal}: write the one that is meant"


class ImportPayments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payments of a file of the bank; ``is_trial``: everything is checked, and nothing booked."""

    payments: tuple[FilePayment, ...]
    is_trial: bool = False


@needs(Permission.MONEY_BOOK)
@waits_for_rows
async def import_payments(
    office: Office, who: Principal, order: ImportPayments, report: Callable[[float, int], None] = lambda *_: None
) -> list[ImportedPayment]:
    """Check all payments, then book them; those above the limit wait for a second person.

    Others are booked many in a transaction, so a file whose import was interrupted is booked up to one of its lines.
    ``report`` receives a part of 1 and a count of payments: they are checked, and then counted again.

    Raises:
        BadPaymentFile: a line cannot be booked; nothing was booked.
        StoreUnavailable: some may be booked: import the same file again.
    """
    known = await payees(office, [each.account for each in order.payments])
    whole = len(order.payments) * (1 if order.is_trial else 2)
    tried = await _tried(office, who, order.payments, known, lambda number: report(number / whole, number))
    if order.is_trial:
        return tried
    booked: list[ImportedPayment] = []
    async for _, outcome in _outcomes(office, who, order.payments, known, is_trial=False):
        if isinstance(outcome, VosError):
            raise outcome
        booked.append(outcome)
        report((len(tried) + len(booked)) / whole, len(booked))
    return booked


async def _tried(
    office: Office,
    who: Principal,
    payments: Iterable[FilePayment],
    known: Mapping[str, Account],
    report: Callable[[int], None],
) -> list[ImportedPayment]:
    """Return what would become of each line, or raise BadPaymentFile; nothing is booked."""
    accounts, number = office.definitions.accounts(), 0
    faults: list[tuple[int, str]] = []
    found: list[ImportedPayment] = []
    named: list[FilePayment] = []
    async for each, outcome in _outcomes(office, who, payments, known, is_trial=True):
        report(number)
        number += 1
        account = known.get(each.account)
        if (fault := _fault(each, account)) is not None:
            faults.append((each.line, fault))
            if account is not None and each.account not in accounts:  # the trial has refused the same
                continue
        if isinstance(outcome, VosError):
            is_searched = isinstance(outcome, NoSuchAccount) and len(faults) < FAULTS_SHOWN  # which reads all names
            why = unknown_account(accounts, each.account) if is_searched else outcome
            faults.append((each.line, f"line {each.line}: {why}"))
            continue
        found.append(outcome)
        if outcome.outcome == ImportOutcome.REPEATED.value:
            continue
        too_exact = None if account is None else _too_exact(office, each, account)
        if too_exact is None and not named_invoice(each.reference):
            continue
        asked = office.stores.waiting_payments.was_asked
        if needs_second(office, who, each.amount) and await asked(each.account, EntryKind.PAYMENT, each.reference):
            continue
        faults += [] if too_exact is None else [(each.line, too_exact)]
        named.append(each)
    for part in in_parts(named, _CHECKED_AT_ONCE):
        wrong = await misnamed(office, [(each.account, each.reference) for each in part])
        faults += [(each.line, f"line {each.line}: {why}") for each, why in zip(part, wrong, strict=True) if why]
    if faults:
        raise BadPaymentFile([said for _, said in sorted(faults, key=itemgetter(0))])
    return found


def _too_exact(office: Office, each: FilePayment, account: Account) -> str | None:
    """Return the fault of an amount with more decimals than the currency has; None = it has not."""
    places = decimals_exceeded(office.definitions, account, each.amount)
    if places is None:
        return None
    amount = format_amount(each.amount)
    return f"line {each.line}: {amount} has more decimals than {account.currency} of account {account.id}: {places}"


async def _outcomes(
    office: Office, who: Principal, payments: Iterable[FilePayment], known: Mapping[str, Account], *, is_trial: bool
) -> AsyncIterator[tuple[FilePayment, ImportedPayment | VosError]]:
    """Book lines, many in a transaction; yield each with its result, or with the reason why it is not booked.

    ``is_trial``: nothing is kept of them.
    """
    for waits, lines in groupby(payments, lambda each: needs_second(office, who, each.amount)):
        for part in in_parts(lines, _BOOKED_AT_ONCE):
            book = _ask if waits else _book
            for each, outcome in zip(part, await book(office, who, part, known, is_trial=is_trial), strict=True):
                yield each, outcome


async def _ask(
    office: Office, who: Principal, part: Sequence[FilePayment], known: Mapping[str, Account], *, is_trial: bool
) -> list[ImportedPayment | VosError]:
    """Have lines wait for a second person, one by one; ``is_trial``: nothing is kept of them."""
    outcomes: list[ImportedPayment | VosError] = []
    for each in part:
        account = known.get(each.account)
        manual = ManualBooking(
            account=each.account, kind=EntryKind.PAYMENT, amount=each.amount, reference=each.reference,
            memo=each.memo, is_trial=is_trial,
        )  # fmt: skip
        try:
            done = await book_by_hand(office, who, manual, _audit_line(office, who, each))
        except _FAULTS as error:
            outcomes.append(error)
            continue
        if isinstance(done, WaitingSheet):
            outcomes.append(_imported(each, account, ImportOutcome.WAITING))
        else:
            outcomes.append(_outcome(each, account, *done, is_trial=is_trial))
    return outcomes


async def _book(
    office: Office, who: Principal, part: Sequence[FilePayment], known: Mapping[str, Account], *, is_trial: bool
) -> list[ImportedPayment | VosError]:
    """Book lines in one transaction; ``is_trial``: nothing is kept of them."""
    outcomes: dict[int, ImportedPayment | VosError] = {}
    wanted: dict[int, Payment] = {}
    for place, each in enumerate(part):
        try:
            audit = _audit_line(office, who, each)
        except OrderError as error:
            outcomes[place] = error
        else:
            wanted[place] = replace(_payment(each, who.recorded, office.now()), audit=audit)
    accounts, stores = office.definitions.accounts(), office.stores
    receipts = await add_payments(accounts, stores.payments, office.switch, [*wanted.values()], is_trial=is_trial)
    for place, receipt in zip(wanted, receipts, strict=True):
        if isinstance(receipt, VosError):
            outcomes[place] = receipt
        else:
            each = part[place]
            outcomes[place] = _outcome(each, known.get(each.account), receipt, is_trial=is_trial)
    return [outcomes[place] for place in range(len(part))]


def _audit_line(office: Office, who: Principal, each: FilePayment) -> AuditLine:
    """Return the line of the audit of a line; raises OrderError where no order books it."""
    order = BookPayment(account=each.account, amount=each.amount, reference=each.reference, memo=each.memo)
    return office.audit_line(who, order, each.account)


def _outcome(each: FilePayment, account: Account | None, receipt: PaymentReceipt, *, is_trial: bool) -> ImportedPayment:
    """Return a line with the result of its booking."""
    if receipt.repeated:
        return _imported(each, account, ImportOutcome.REPEATED, receipt.after)
    if is_trial:
        return _imported(each, account, ImportOutcome.NEW)
    return _imported(each, account, ImportOutcome.BOOKED, receipt.after)


def sums_of(payments: Iterable[ImportedPayment]) -> list[tuple[str, str | None, int, str]]:
    """Return outcome, currency, how many and their sum, of each outcome in each currency."""
    sums: dict[tuple[str, str | None], list[Decimal]] = {}
    for each in payments:
        sums.setdefault((each.outcome, each.currency), []).append(Decimal(each.amount))
    return [
        (outcome, currency, len(amounts), format_amount(sum(amounts, ZERO)))
        for (outcome, currency), amounts in sums.items()
    ]


def _payment(each: FilePayment, operator: str, now: int) -> Payment:
    return Payment(
        account=each.account,
        kind=EntryKind.PAYMENT,
        reference=each.reference,
        made_at=now,
        amount=each.amount,
        operator=operator,
        memo=each.memo,
        currency=each.currency,
    )


def _imported(
    each: FilePayment, account: Account | None, outcome: ImportOutcome, after: str | msgspec.UnsetType = msgspec.UNSET
) -> ImportedPayment:
    currency = each.currency if account is None else account.currency
    return ImportedPayment(
        each.line, each.account, format_amount(each.amount), currency, each.reference, outcome.value, after
    )
