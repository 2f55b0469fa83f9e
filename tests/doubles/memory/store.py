"""Calls, ledger and balances in dictionaries; no method awaits, so each is one transaction."""

from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from decimal import Decimal
from operator import gt, lt
from typing import Any, Final, NamedTuple

from vosd.base.ids import shortened
from vosd.base.money import LIMIT, ZERO
from vosd.base.number import for_matching
from vosd.billing.accounts import extended
from vosd.cdr.kinds import ACCOUNT_LENGTH, NUMBER_LENGTH, ColumnKind
from vosd.cdr.ports import BookedBatch, ChangedStandings, RejectedRecord, RejectedRecords, Standing
from vosd.cdr.record import CallRecord, ChargeRow
from vosd.storage import schema
from vosd.storage.books import check_size
from vosd.storage.currencies import other_currency
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.ports import (
    CallFilter,
    EntryKind,
    MoneyTransfer,
    NoSuchAccount,
    Payment,
    Receipt,
    StoredCall,
    UndoneEntry,
    both_or_none,
    check_at_most,
    check_currency,
    check_rest,
    check_same_currency,
    receipt_of_earlier,
)
from vosd.storage.queries import stored_attempt, stored_call, stored_charge
from vosd.storage.rows import CALL_KIND, Encoding, PreparedCall, prepare
from vosd.storage.types import Unstorable, call_key, descriptive, exact_money, identifying, largest_money, moment_text
from vosd.storage.validity import PaymentEntry, ValidityChange, memo_of, without_undone

_AS_IN: Final = "mysql"
"""Dialect whose columns limit amounts here."""
_CDR_COLUMNS: Final = tuple(column.name for column in schema.cdr.columns)


class Entry(NamedTuple):
    """One line of the ledger."""

    account: str
    seq: int
    amount: Decimal
    balance_after: Decimal
    kind: str
    reference: str
    call_id: str | None
    ended_at: int = 0
    """Of the call, UTC milliseconds."""
    memo: str | None = None


@dataclass(slots=True)
class _Account:
    standing: Standing
    changed: int
    currency: str | None = None
    expires_at: int | None = None
    changes: list[ValidityChange] = field(default_factory=list)
    """Those of ``expires_at``."""
    payments: list[PaymentEntry] = field(default_factory=list)

    def set_expiry(self, expires_at: int | None, payment: Payment) -> None:
        self.expires_at = expires_at
        self.changes.append(ValidityChange(payment.made_at, memo_of(payment.reference), expires_at))


class _OtherCurrencyHeld(Unstorable):
    """A posting is in another currency than its account, which has its row all the same."""


class MemoryStore:
    """Does what ``SqlBooks``, ``SqlPayments`` and ``SqlQueries`` do (tests/contract holds it to them)."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._accounts: dict[str, _Account] = {}
        self._calls: dict[str, StoredCall] = {}
        self.charges_without_cdr: dict[str, tuple[ChargeRow, ...]] = {}
        """Of calls that leave ledger entries and no CDR, by call id."""
        self._by_reference: dict[tuple[str, str, str], Entry] = {}
        self.commits = 0
        """The counter that orders commits."""
        self._reported = 0

    async def open_accounts(self, accounts: Collection[str], currencies: Mapping[str, str] | None = None) -> None:
        """Make a row with balance zero for every account that has none yet, in its currency."""
        self.commits += 1
        for account in accounts:
            is_new = account not in self._accounts
            self._open(account)
            if is_new:
                self._accounts[account].currency = (currencies or {}).get(account)

    async def locked_accounts(self, _accounts: Collection[str]) -> frozenset[str]:
        """Return nothing: no one else writes."""
        return frozenset()

    async def settle_currencies(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """Give every account its currency; where any has money in another, change none and return those."""
        others = await self.other_currencies(wanted)
        if not others:
            for name in wanted.keys() & self._accounts.keys():
                self._accounts[name].currency = wanted[name]
        return others

    async def other_currencies(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """Return the accounts that have money in another currency than is wanted, with that."""
        rows = {name: self._accounts[name] for name in wanted if name in self._accounts}
        return {
            name: row.currency
            for name, row in rows.items()
            if row.currency is not None and row.standing.seq and row.currency != wanted[name]
        }

    async def currencies(self, accounts: Collection[str]) -> Mapping[str, str | None]:
        """Return the currency of each account that has a row."""
        return {name: self._accounts[name].currency for name in accounts if name in self._accounts}

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        """Book whole calls.

        Raises:
            RejectedRecords: the named records cannot be stored as they are; all others are booked.
        """
        refused: list[RejectedRecord] = []
        calls: list[PreparedCall] = []
        currencies: dict[str, str | None] = {}
        for record in {each.call_id: each for each in records}.values():
            try:
                calls.append(_prepared(record))
            except Unstorable as fault:
                refused.append(RejectedRecord(record, str(fault)))
            else:
                for posting in record.postings:
                    currencies[posting.account] = currencies.get(posting.account) or posting.currency
        touched: set[str] = set()
        repeated: set[str] = set()
        for call in calls:
            try:
                if not self._book(call, currencies):
                    repeated.add(call.record.call_id)
            except Unstorable as fault:
                refused.append(RejectedRecord(call.record, str(fault)))
                if not isinstance(fault, _OtherCurrencyHeld):
                    continue  # its transaction was rolled back
            touched |= {posting.account for posting in call.record.postings}
        standings = {account: self._accounts[account].standing for account in sorted(touched)}
        booked = BookedBatch(standings, frozenset(repeated))
        if refused:
            raise RejectedRecords(refused, booked)
        return booked

    async def lacking(self, records: Sequence[CallRecord]) -> Sequence[CallRecord]:
        """Return the records that are not booked, of calls that leave entries or a CDR."""
        return [record for record in records if self._lacks(record)]

    def newest_commit(self) -> int:
        """Return the number of the latest commit since the last call of this method, 0 = none."""
        newest, self._reported = (0 if self.commits == self._reported else self.commits), self.commits
        return newest

    async def spent_since(self, wanted: Sequence[tuple[str, int]]) -> list[Decimal]:
        """Return what the calls of accounts have cost that ended since a time of each (UTC milliseconds)."""
        return [self._spent_since(*each) for each in wanted]

    def _spent_since(self, account: str, since: int) -> Decimal:
        of_calls = (each for each in self.entries if each.account == account and each.kind == CALL_KIND)
        return -sum((each.amount for each in of_calls if each.ended_at >= since and each.amount < 0), ZERO)

    async def standings_of(self, accounts: Collection[str]) -> ChangedStandings:
        """Return the standing of each of these accounts that has a row."""
        everything = await self.standings()
        standings = {name: each for name, each in everything.standings.items() if name in accounts}
        expiries = {name: each for name, each in everything.expiries.items() if name in accounts}
        currencies = {name: each for name, each in everything.currencies.items() if name in accounts}
        return ChangedStandings(standings, 0, expiries, currencies)

    async def standings(self, after: int = 0) -> ChangedStandings:
        """Return the standing of every account that changed after the mark; ``after=0`` returns all."""
        changed = {name: row for name, row in self._accounts.items() if row.changed > after}
        mark = max((row.changed for row in changed.values()), default=after)
        expiries = {name: row.expires_at for name, row in changed.items() if row.expires_at is not None}
        currencies = {name: row.currency for name, row in changed.items() if row.currency is not None}
        return ChangedStandings({name: row.standing for name, row in changed.items()}, mark, expiries, currencies)

    async def add(self, payment: Payment, *, is_trial: bool = False) -> Receipt:
        """Book a payment, once; ``is_trial``: in a copy.

        Raises:
            ReferenceTaken: the reference was used for another amount.
            NoSuchAccount: it must exist and does not.
            OtherCurrency: the account has entries in another currency.
            TooLittleLeft: less than ``least_left`` would be left.
            BalanceMoved: ``ZERO`` needs more than ``at_most``.
            ContentRefused: the amount has too many digits, or account or reference is too long.
        """
        if is_trial:
            return await deepcopy(self).add(payment)
        self._check(payment)
        currency = self._settled(payment)
        earlier = self._earlier(payment)
        if earlier is not None:
            self._accounts[payment.account].currency = currency
            return earlier._replace(currency=currency)
        amount = self._amount_of(payment)
        self.commits += 1
        receipt = self._pay(payment, amount, currency)
        row = self._accounts[payment.account]
        if payment.kind is EntryKind.PAYMENT:
            row.payments.append(PaymentEntry(len(self.entries), payment.reference, payment.made_at))
        if payment.undoes is not None:
            return self._taken_back(payment, payment.undoes, receipt)
        return receipt if payment.kind is not EntryKind.PAYMENT else self._extended(payment, receipt)

    def _taken_back(self, payment: Payment, undone: UndoneEntry, receipt: Receipt) -> Receipt:
        row = self._accounts[payment.account]
        is_newest, after = without_undone(reversed(row.changes), row.payments, undone)
        if not is_newest:
            return receipt
        row.set_expiry(after, payment)
        return receipt._replace(expires_at=payment.configured_expiry if after is None else after)

    def _extended(self, payment: Payment, receipt: Receipt) -> Receipt:
        row = self._accounts[payment.account]
        if payment.amount <= 0:
            return receipt
        before = payment.configured_expiry if row.expires_at is None else row.expires_at
        after = extended(before, payment.made_at, payment.extends_days)
        if after == before:
            return receipt
        row.set_expiry(after, payment)
        return receipt._replace(expires_at=after)

    async def transfer(self, transfer: MoneyTransfer, *, is_trial: bool = False) -> tuple[Receipt, Receipt]:
        """Move money once; return the receipts of source and target; ``is_trial``: in a copy.

        Raises:
            ReferenceTaken: the reference was used for another transfer.
            NoSuchAccount: an account that is not configured has never been opened.
            OtherCurrency: the accounts have different currencies.
            TooLittleLeft: less than ``least_left`` would be left on the source.
            ContentRefused: the amount has too many digits, or an account or the reference is too long.
        """
        if is_trial:
            return await deepcopy(self).transfer(transfer)
        source, target = transfer.payments
        for each in (source, target):
            self._check(each)
        currencies = [self._settled(each) for each in (source, target)]
        check_same_currency(transfer, *currencies)
        earlier = both_or_none(transfer, [self._earlier(each) for each in (source, target)])
        if earlier is not None:
            for each, currency in zip((source, target), currencies, strict=True):
                self._accounts[each.account].currency = currency
            return earlier[0]._replace(currency=currencies[0]), earlier[1]._replace(currency=currencies[1])
        amounts = [self._amount_of(each) for each in (source, target)]
        self.commits += 1
        receipts = []
        for each, amount, currency in zip((source, target), amounts, currencies, strict=True):
            receipts.append(self._pay(each, amount, currency))
            made = PaymentEntry(len(self.entries), each.reference, each.made_at)
            self._accounts[each.account].payments.append(made)
        taken, given = receipts
        if source.undoes is not None:
            taken = self._taken_back(source, source.undoes, taken)
        return taken, self._extended(target, given)

    async def calls(self, wanted: CallFilter) -> Sequence[StoredCall]:
        """Return the calls that fit, in the order of the listing."""
        is_behind = gt if wanted.oldest_first else lt
        fitting = [
            call
            for call in self._calls.values()
            if _fits(call.record, wanted) and (wanted.after is None or is_behind(call.position, wanted.after))
        ]
        fitting.sort(key=lambda call: call.position, reverse=not wanted.oldest_first)
        return fitting[: wanted.limit]

    async def stream(self, wanted: CallFilter) -> AsyncGenerator[StoredCall, None]:
        """Yield the calls that fit, in the order of the listing."""
        for call in await self.calls(wanted):
            yield call

    async def are_more(self, wanted: CallFilter, count: int) -> bool:
        """Return whether more calls fit than so many."""
        return len(await self.calls(replace(wanted, limit=count + 1))) > count

    async def calls_beginning(self, beginning: str, wanted: CallFilter) -> Sequence[StoredCall]:
        """Return calls that fit and whose id begins with ``beginning``, ordered by id."""
        calls = [self._calls[call_id] for call_id in sorted(self._calls) if call_id.startswith(beginning)]
        return [call for call in calls if _fits(call.record, wanted)][: wanted.limit]

    async def short_ids(self, call_ids: Collection[str]) -> Mapping[str, str]:
        """Return for each call the shortest beginning of its id that no other has."""
        return {call_id: shortened(call_id, self._calls) for call_id in call_ids}

    async def call(self, call_id: str) -> StoredCall | None:
        """Return one call, or None when it has no CDR."""
        return self._calls.get(call_id)

    async def standing(self, account: str) -> Standing | None:
        """Return the account's standing, or None when it was never opened."""
        row = self._accounts.get(account)
        return None if row is None else row.standing

    def _book(self, call: PreparedCall, currencies: Mapping[str, str | None]) -> bool:
        """Book a call; return False where it is booked already. Accounts without a row get one in any case."""
        record = call.record
        postings = [(each.account, each.amount, each.reference) for each in record.postings]
        if record.recorded and record.call_id in self._calls:
            self._open_for(record, currencies)
            return False
        if len({(account, reference) for account, _, reference in postings}) < len(postings):
            message = f"two postings of call {record.call_id} have the same account and reference"
            raise Unstorable(message)
        for account, _, reference in postings:
            earlier = self._by_reference.get((account, CALL_KIND, reference))
            if earlier is not None:
                if not record.recorded and earlier.call_id is None:
                    self._open_for(record, currencies)
                    return False
                message = f"reference {reference} of account {account} is booked for another call"
                raise Unstorable(message)
        after: dict[str, Decimal] = {}
        for account, amount, _ in postings:
            row = self._accounts.get(account)
            after[account] = after.get(account, ZERO if row is None else row.standing.balance) + amount
            if max(abs(amount), abs(after[account])) > largest_money(_AS_IN):
                message = f"account {account} would have more than its column holds"
                raise Unstorable(message)
        self._open_for(record, currencies)
        fault = other_currency(record, {account: self._accounts[account].currency for account, _, _ in postings})
        if fault is not None:
            raise _OtherCurrencyHeld(fault)
        if call.cdr is not None:
            self._calls[record.call_id] = _stored(call, self.commits)
        elif call.charges:
            self.charges_without_cdr[record.call_id] = tuple(map(stored_charge, call.charges))
        for account, amount, reference in postings:
            if amount:
                self._append(account, amount, CALL_KIND, reference, call.ledger_key, record.ended_at)
        return True

    def _lacks(self, record: CallRecord) -> bool:
        if record.recorded:
            return record.call_id not in self._calls
        postings = [posting for posting in record.postings if posting.amount]
        here = (self._by_reference.get((each.account, CALL_KIND, each.reference)) for each in record.postings)
        return bool(postings) and not any(here)

    def _open_for(self, record: CallRecord, currencies: Mapping[str, str | None]) -> None:
        self.commits += 1
        for posting in record.postings:
            self._open(posting.account, currencies[posting.account])

    def _open(self, account: str, currency: str | None = None) -> _Account:
        return self._accounts.setdefault(account, _Account(Standing(ZERO, 0), self.commits, currency))

    def _earlier(self, payment: Payment) -> Receipt | None:
        with _refused():
            identifying(payment.reference, schema.REFERENCE_LENGTH)
        found = self._by_reference.get((payment.account, payment.kind.value, payment.reference))
        if found is None:
            return None
        number = self.entries.index(found) + 1
        return receipt_of_earlier(payment, found.amount, found.balance_after, found.memo, number)

    def _check(self, payment: Payment) -> None:
        """Check the name of an account, and whether it must exist and does not."""
        with _refused():
            identifying(payment.account, ACCOUNT_LENGTH)
        if payment.must_exist and payment.account not in self._accounts:
            message = f"account {payment.account} is in no ledger"
            raise NoSuchAccount(message)

    def _settled(self, payment: Payment) -> str | None:
        """Return the currency of an account: that of the payment where it had none."""
        row = self._accounts.get(payment.account)
        if row is None or row.currency is None or not row.standing.seq:
            return payment.currency or (None if row is None else row.currency)
        check_currency(payment, row.currency, has_entries=True)
        return row.currency

    def _amount_of(self, payment: Payment) -> Decimal:
        """Return the amount of an entry, or refuse it; nothing is changed yet."""
        row = self._accounts.get(payment.account)
        before = ZERO if row is None else row.standing.balance
        check_rest(payment, before)
        amount = payment.amount
        if payment.kind is EntryKind.ZERO:
            amount = -before
            check_at_most(payment, amount)
        check_size(payment.account, amount, before + amount, _AS_IN)
        with _refused():
            return exact_money(amount)

    def _pay(self, payment: Payment, amount: Decimal, currency: str | None) -> Receipt:
        row = self._open(payment.account)
        row.currency = currency
        before = row.standing.balance
        memo = None if payment.memo is None else descriptive(payment.memo, schema.MEMO_LENGTH)
        self._append(payment.account, amount, payment.kind.value, payment.reference, None, memo=memo)
        return Receipt(before, before + amount, repeated=False, entry=len(self.entries), currency=currency)

    def _append(
        self,
        account: str,
        amount: Decimal,
        kind: str,
        reference: str,
        call_id: str | None,
        ended_at: int = 0,
        memo: str | None = None,
    ) -> None:
        row = self._accounts[account]
        row.standing = Standing(row.standing.balance + amount, row.standing.seq + 1)
        row.changed = self.commits
        entry = Entry(account, row.standing.seq, amount, row.standing.balance, kind, reference, call_id, ended_at, memo)
        self.entries.append(entry)
        self._by_reference[account, kind, reference] = entry


def _prepared(record: CallRecord) -> PreparedCall:
    call = prepare(record, _AS_IT_IS)
    for posting in record.postings:
        identifying(posting.account, ACCOUNT_LENGTH)
        exact_money(posting.amount)
        identifying(posting.reference, schema.REFERENCE_LENGTH)
    return call


def _fits(record: CallRecord, wanted: CallFilter) -> bool:
    return (
        (wanted.since is None or record.started_at >= wanted.since)
        and (wanted.until is None or record.started_at < wanted.until)
        and (wanted.ended_since is None or record.ended_at >= wanted.ended_since)
        and (wanted.ended_until is None or record.ended_at < wanted.ended_until)
        and (wanted.account is None or wanted.account in {record.customer_account, record.vendor_account})
        and (wanted.customer is None or wanted.customer == record.customer_account)
        and (wanted.vendor is None or wanted.vendor == record.vendor_account)
        and (wanted.mapping_gateway is None or wanted.mapping_gateway == record.mapping_gateway)
        and (wanted.routing_gateway is None or wanted.routing_gateway == record.routing_gateway)
        and (wanted.area is None or wanted.area == (record.rate_area or record.rate_prefix or ""))
        and (wanted.rate_type is None or wanted.rate_type == (record.rate_type or ""))
        and (wanted.currencies is None or (record.currency or "") in wanted.currencies)
        and (wanted.vendor_currencies is None or (record.vendor_currency or "") in wanted.vendor_currencies)
        and (wanted.customers is None or record.customer_account in wanted.customers)
        and (wanted.gateway is None or wanted.gateway in {record.mapping_gateway, record.routing_gateway})
        and (wanted.caller is None or _begins(record.caller_in, wanted.caller))
        and (wanted.callee is None or _begins(record.callee_in, wanted.callee))
        and (wanted.sip_call_id is None or wanted.sip_call_id in {record.sip_call_id_in, record.sip_call_id_out})
        and (wanted.reason is None or record.end_reason == wanted.reason)
        and (wanted.sip_code is None or (record.sip_code or 0) == wanted.sip_code)
        and (wanted.hangup_source is None or record.hangup_source == wanted.hangup_source)
        and (wanted.answered is None or (record.answered_at is not None) == wanted.answered)
        and (not wanted.loss or record.loss is not None)
    )


def _begins(number: str, beginning: str) -> bool:
    return for_matching(number).startswith(for_matching(descriptive(beginning, NUMBER_LENGTH)))


def _stored(call: PreparedCall, export_seq: int) -> StoredCall:
    assert call.cdr is not None, "only a call with a row is stored"
    row = dict(zip(_CDR_COLUMNS, (export_seq, *call.cdr), strict=True))
    return stored_call(row, map(stored_attempt, call.attempts), map(stored_charge, call.charges))


@contextmanager
def _refused() -> Iterator[None]:
    """Raise ContentRefused where a value is Unstorable."""
    try:
        yield
    except Unstorable as error:
        raise ContentRefused(str(error)) from error


def _optional(check: Any) -> Any:
    """Pass None and check everything else."""
    return lambda value, size: None if value is None else check(value, size)


def _number(value: int) -> int:
    if value.bit_length() > 63:
        message = f"{value} is no number that a database holds"
        raise Unstorable(message)
    return value


def _amount(value: Decimal) -> Decimal:
    if abs(exact_money(value)) > LIMIT:
        message = f"{value} is more than the books hold"
        raise Unstorable(message)
    return value


def _key(call_id: str) -> str:
    call_key(call_id)
    return call_id


def _moment(wall_ms: int) -> int:
    moment_text(wall_ms)
    return wall_ms


_AS_IT_IS: Final = Encoding(
    {ColumnKind.CALL_ID: _key, ColumnKind.NUMBER: _number, ColumnKind.AMOUNT: _amount, ColumnKind.TIME: _moment},
    {
        ColumnKind.ACCOUNT: _optional(identifying),
        ColumnKind.WORD: _optional(descriptive),
        ColumnKind.TEXT: _optional(descriptive),
        ColumnKind.DOCUMENT: _optional(descriptive),
    },
    reference=identifying,
)
"""Python's own values, cut and refused as in the other databases."""


async def store_with(amount: str) -> MemoryStore:
    """Return a store in which the account ``acme`` has paid an amount."""
    store = MemoryStore()
    await store.add(Payment(account="acme", kind=EntryKind.PAYMENT, reference="1", made_at=0, amount=Decimal(amount)))
    return store
