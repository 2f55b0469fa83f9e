"""Values of ``storage.payments`` and ``storage.queries``: what is booked and asked for, and what is found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.cdr.record import CallRecord
from vosd.storage.audit_line import AuditLine

LISTED_AT_MOST: Final = 100
REFERENCE_MAX: Final = 64
"""Characters of the reference of a correction: the ledger's has the call and the party behind it."""

SETTLED_AS: Final = "dispute/"
"""Beginning of the reference of an entry that settles a dispute; the number of its comparison follows."""


class EntryKind(Enum):
    """Why a ledger entry was made; the value is stored."""

    CALL = "call"
    PAYMENT = "payment"
    ADJUSTMENT = "adjustment"
    ZERO = "zero"
    REFUND = "refund"
    TRANSFER = "transfer"
    MINIMUM = "minimum"
    """Entry of the amount that a month lacks of the account's minimum consumption."""
    CORRECTION = "correction"
    """The difference that a correction of a charge makes."""


UNDONE_AS: Final = {
    EntryKind.PAYMENT: EntryKind.PAYMENT,
    EntryKind.ADJUSTMENT: EntryKind.ADJUSTMENT,
    EntryKind.REFUND: EntryKind.REFUND,
    EntryKind.ZERO: EntryKind.ADJUSTMENT,
    EntryKind.TRANSFER: EntryKind.TRANSFER,
}
"""Kind of the entry that takes one of a kind back."""
_COMPUTED: Final = frozenset({EntryKind.ZERO, EntryKind.MINIMUM})
"""Kinds whose amount follows from the books: what was booked under a reference holds, whatever they say now."""


class ReferenceTaken(VosError):  # noqa: N818 - states what was found
    """The reference belongs to an entry of another amount."""


class NoSuchAccount(VosError):  # noqa: N818 - states what was found
    """The account has never been opened."""


class TooLittleLeft(VosError):  # noqa: N818 - states what was found
    """The account has less to spare than is to be taken from it.

    ``remedy`` is for those who may force the payment.
    """

    def __init__(self, said: str, remedy: str = "") -> None:
        """``said`` is the message without the remedy."""
        super().__init__(f"{said}{f'; {remedy}' if remedy else ''}")
        self.said = said
        self.remedy = remedy


class BalanceMoved(VosError):  # noqa: N818 - states what was found
    """Bringing the balance to zero takes more by now than was ordered."""


class OtherCurrency(VosError):  # noqa: N818 - states what was found
    """The account's ledger is in another currency than the payment."""


class Settlement(NamedTuple):
    """Confirmation of a payment that has waited for a second person; UTC milliseconds."""

    number: int
    confirmed_by: str
    confirmed_at: int


class UndoneEntry(NamedTuple):
    """Entry that a payment takes back; ``made_at`` is UTC milliseconds."""

    reference: str
    made_at: int
    kind: EntryKind


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyOrdered:
    """Facts that payments and transfers have alike; ``made_at`` is UTC milliseconds."""

    reference: str
    made_at: int
    operator: str | None = None
    memo: str | None = None
    least_left: Decimal | None = None
    """Refuse it where the balance, of a transfer that of the source, would be less afterwards; None = it may be."""
    available: Decimal | None = None
    """Most that the running switch lets be taken, where that is less than the amount; None = it has withheld the
    amount, or none runs. Such a payment finds its earlier booking, or is refused."""
    extends_days: int = 0
    """By how many days a payment above zero extends the validity of the account, if that expires; of a transfer that of
    the target, where an agent pays an account below it."""
    undoes: UndoneEntry | None = None
    """The entry that it takes back, of a transfer that of the source, with what that has done to the validity of the
    account, unless the validity was changed since; None = it extends the validity itself."""
    settles: Settlement | None = None
    """The payment that waits and is booked by this; None = it has not waited."""
    configured_expiry: int | None = None
    """Moment at which the account expires by the configuration, UTC milliseconds; None = never. What the ledger has
    wins. The account of a transfer is the target, of an undone one the source."""
    audit: AuditLine | None = None
    """Written with the booking; a repeat writes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment(MoneyOrdered):
    """Money that an operator books.

    ``reference`` is unique for each account and kind: the same one books once. ``kind`` is none of those of calls; one
    of ``TRANSFER`` is half of a ``MoneyTransfer``.
    ``ZERO`` brings the balance to zero and takes no amount.
    """

    account: str
    kind: EntryKind
    amount: Decimal = ZERO
    other_end: str | None = None
    """The beginning of the memo of a transfer, which names the other account; None = it is no transfer."""
    currency: str | None = None
    """ISO 4217; None = the currency of the account."""
    must_exist: bool = False
    """Whether the account must have a row already, because the configuration does not name it."""
    at_most: Decimal | None = None
    """Refuse ``ZERO`` where the balance needs more than this amount, or one of the other sign; None = any."""

    def __post_init__(self) -> None:
        assert self.kind not in {EntryKind.CALL, EntryKind.CORRECTION}, "calls have entries of their own"
        assert self.kind is not EntryKind.ZERO or not self.amount, "zero takes no amount"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyTransfer(MoneyOrdered):
    """Money that an operator moves from one account to another of the same currency.

    The same ``reference`` moves the money once.
    """

    source: str
    target: str
    amount: Decimal
    currencies: Mapping[str, str] = field(default_factory=dict)
    """Currency of each account that is configured; one that is not must have a row."""
    target_reference: str | None = None
    """Reference of the target's entry; None = that of the source's. Those of an undo name an entry each."""

    def __post_init__(self) -> None:
        assert self.amount > 0, "the direction is from source to target"
        assert self.source != self.target, "a transfer has two accounts"

    @property
    def payments(self) -> "tuple[Payment, Payment]":
        """Payments on the source and on the target."""
        return (
            replace(
                self._payment(self.source, -self.amount, f"to {self.target}"),
                least_left=self.least_left,
                available=self.available,
                undoes=self.undoes,
                configured_expiry=self.configured_expiry,
            ),
            replace(
                self._payment(self.target, self.amount, f"from {self.source}"),
                reference=self.reference if self.target_reference is None else self.target_reference,
                extends_days=self.extends_days,
                configured_expiry=self.configured_expiry,
            ),
        )

    def _payment(self, account: str, amount: Decimal, other_end: str) -> "Payment":
        currency = self.currencies.get(account)
        return Payment(
            account=account,
            kind=EntryKind.TRANSFER,
            reference=self.reference,
            made_at=self.made_at,
            amount=amount,
            operator=self.operator,
            memo=f"{other_end}: {self.memo}" if self.memo else other_end,
            other_end=other_end,
            currency=currency,
            must_exist=currency is None,
        )


def other_ends(memo: str) -> Sequence[str]:
    """Return the accounts that may be at the other end of a transfer, by the memo of one of its entries.

    Behind a name follows a colon with the memo of the order; a name may have a colon itself.
    """
    parts = memo.partition(" ")[2].split(": ")
    return [": ".join(parts[:count]) for count in range(1, len(parts) + 1)]


class Receipt(NamedTuple):
    """Balance before and after a payment; ``repeated`` if it was booked earlier, with the balances of then."""

    before: Decimal
    after: Decimal
    repeated: bool
    expires_at: int | None = None
    """Until when the account is valid by the payment, UTC milliseconds, or by what it took back; None = it left that
    as it was, or the account does not expire."""
    entry: int | None = None
    """Number of the entry in the ledger; None = it was dropped."""
    currency: str | None = None
    """Currency of the account's money; None = it has none yet."""


class CallPosition(NamedTuple):
    """Position of a call in a listing, which is ordered by time and then by call id; UTC milliseconds."""

    started_at: int
    call_id: str


class StoredCall(NamedTuple):
    """A call's record as read from the database (without its postings), and its export number."""

    record: CallRecord
    export_seq: int

    @property
    def position(self) -> CallPosition:
        """Position of the call in a listing."""
        return CallPosition(self.record.started_at, self.record.call_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """The calls to list; all given criteria must hold.

    ``since`` is inclusive and ``until`` exclusive, UTC milliseconds of the INVITE, ``ended_since`` and ``ended_until``
    likewise of the end, by which the ledger dates a call. ``account`` is the customer's or the vendor's, ``gateway``
    the mapping or the routing one; ``customer``, ``vendor``, ``mapping_gateway`` and ``routing_gateway`` are those of
    one side. ``area`` is the area of the customer's rate, or its prefix where the rate has none, as reports name it;
    ``rate_type`` is empty for calls whose rate has no type; among ``currencies`` and ``vendor_currencies`` empty text
    stands for calls that have none. ``sip_code`` is 0 for calls without a final code. ``caller`` and ``callee`` are
    beginnings of the numbers as received, with or without the leading ``+``. ``sip_call_id`` is the Call-ID of the
    caller's leg or of the latest attempt, whole. ``after`` lists only calls after that position in the order of the
    listing, ``customers`` only calls that one of these accounts pays for, ``answered`` only answered calls, or only
    unanswered ones, ``loss`` only calls that were sold below cost. The newest call comes first, or, ``oldest_first``,
    the oldest one.
    """

    limit: int = LISTED_AT_MOST
    since: int | None = None
    until: int | None = None
    ended_since: int | None = None
    ended_until: int | None = None
    account: str | None = None
    customer: str | None = None
    vendor: str | None = None
    gateway: str | None = None
    mapping_gateway: str | None = None
    routing_gateway: str | None = None
    area: str | None = None
    rate_type: str | None = None
    currencies: frozenset[str] | None = None
    vendor_currencies: frozenset[str] | None = None
    caller: str | None = None
    callee: str | None = None
    reason: str | None = None
    sip_code: int | None = None
    hangup_source: str | None = None
    answered: bool | None = None
    sip_call_id: str | None = None
    after: CallPosition | None = None
    customers: frozenset[str] | None = None
    loss: bool = False
    oldest_first: bool = False


def check_currency(payment: Payment, held: str | None, *, has_entries: bool) -> None:
    """Check a payment against the currency that its account has, with entries or in the running switch alone.

    Raises:
        OtherCurrency: they differ.
    """
    if payment.currency is None or held in {None, payment.currency}:
        return
    if has_entries:
        message = (
            f"account {payment.account} has money in {held}, the configuration says {payment.currency}: set its "
            f"currency back to {held}; money in {payment.currency} needs an account of its own"
        )
    else:
        message = (
            f"the running switch has account {payment.account} in {held}, the configuration says {payment.currency}: "
            f"reload it before you book, or set its currency back to {held}"
        )
    raise OtherCurrency(message)


def check_rest(payment: Payment, before: Decimal) -> None:
    """Check what a payment leaves on its account; raises TooLittleLeft where it is less than the payment says."""
    known = (None if payment.least_left is None else before - payment.least_left, payment.available)
    spare = min((each for each in known if each is not None), default=None)
    if spare is not None and spare + payment.amount < 0:
        raise TooLittleLeft(
            f"account {payment.account} has {format_amount(spare)} to spare beside what running calls hold, "
            f"less than {format_amount(-payment.amount)}",
            "`force` books it all the same",
        )


def check_at_most(payment: Payment, amount: Decimal) -> None:
    """Check the amount that brings a balance to zero; raises BalanceMoved where it is beyond what the payment says."""
    most = payment.at_most
    if most is not None and not min(ZERO, most) <= amount <= max(ZERO, most):
        raise BalanceMoved(
            f"account {payment.account} has {format_amount(-amount)} by now, and at most {format_amount(-most)} was to "
            "be brought to zero: order it anew, and refuse it where it waits"
        )


def check_same_currency(transfer: MoneyTransfer, source: str | None, target: str | None) -> None:
    """Check the currencies that the accounts of a transfer have; raises OtherCurrency where they differ."""
    if source != target:
        raise OtherCurrency(
            f"account {transfer.source} has money in {source}, account {transfer.target} in {target}: an operator "
            f"books a payment on each, with what the other currency was bought for"
        )


def both_or_none(transfer: MoneyTransfer, receipts: Sequence[Receipt | None]) -> tuple[Receipt, Receipt] | None:
    """Return the receipts of an earlier booking of the same transfer; None = there was none.

    Raises:
        ReferenceTaken: one of the accounts alone has the reference, for a transfer with another account.
    """
    source, target = receipts
    if source is None and target is None:
        return None
    if source is None or target is None:
        has_it = transfer.source if target is None else transfer.target
        message = f"reference {transfer.reference} of account {has_it} is another transfer: give another reference"
        raise ReferenceTaken(message)
    return source, target


def receipt_of_earlier(
    payment: Payment, amount: Decimal, balance_after: Decimal, memo: str | None, entry: int | None = None
) -> Receipt:
    """Return the receipt of the earlier entry that has the payment's reference; ``memo`` of None: it was dropped.

    ``entry`` is its number.

    Raises:
        ReferenceTaken: when that entry was for another amount, or of a transfer with another account.
    """
    other_end = payment.other_end
    if other_end is not None and memo is not None and memo != other_end and not memo.startswith(f"{other_end}: "):
        raise ReferenceTaken(
            f"reference {payment.reference} of account {payment.account} is another transfer: give another reference"
        )
    if payment.kind not in _COMPUTED and amount != payment.amount:
        raise ReferenceTaken(
            f"reference {payment.reference} of account {payment.account} was booked for "
            f"{format_amount(amount)}, not {format_amount(payment.amount)}: give another reference"
        )
    return Receipt(balance_after - amount, balance_after, repeated=True, entry=entry)
