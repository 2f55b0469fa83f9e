"""Money above a limit is booked when a second person has confirmed it: once, by another one, or not at all."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import account
from doubles.ledger_entries import entries_of
from doubles.office import office_on

from vosd.admin.names import UnknownAccountError
from vosd.admin.office import payments
from vosd.admin.office.payment_file import BadPaymentFile, FilePayment, ImportPayments, import_payments
from vosd.admin.office.payments import (
    BookPayment,
    ConfirmPayment,
    ListWaitingPayments,
    MoveMoney,
    OwnPaymentError,
    PaymentType,
    RefusePayment,
    UndoPayment,
    WaitingSheet,
    WasRefusedError,
    book_payment,
    confirm_payment,
    list_waiting_payments,
    move_money,
    refuse_payment,
    undo_payment,
)
from vosd.admin.office.people import AddPerson, add_person
from vosd.admin.office.principal import ALL, Means, Principal, Role
from vosd.admin.office.tokens import AddToken, add_token, principal_of
from vosd.cdr.ports import StoreUnavailable
from vosd.storage.books import SqlBooks
from vosd.storage.ports import BalanceMoved, OtherCurrency, ReferenceTaken, TooLittleLeft
from vosd.storage.verify import verify_ledger
from vosd.storage.waiting_payments import NotWaiting

NOW = 1_790_000_000_000


def person(name, login):
    return Principal(role=Role.OPERATOR, name=name, login=login, means=Means.TERMINAL, permissions=ALL)


ANN, BOB = person("ann", "ann"), person("bob", "bob")
LIMITS = {"clerk": Decimal(10), "director": None}


class ByHand:
    """The office of two accounts, at any moment."""

    def __init__(self, database):
        self._database = database

    def at(self, now=NOW, currency="USD"):
        accounts = (account("acme", currency=currency), account("other"), account("third"))
        limits = {"confirm_above": Decimal(100), "confirm_above_by": LIMITS}
        return office_on(self._database, *accounts, now=now, **limits)

    async def pay(self, amount, kind=PaymentType.PAYMENT, who=ANN, **changes):
        amount = None if kind is PaymentType.ZERO else Decimal(amount)
        wanted = {"account": "acme", "amount": amount, "type": kind, "reference": "bank-1"} | changes
        return await book_payment(self.at(), who, BookPayment(**wanted))

    async def move(self, amount, currency="USD"):
        order = MoveMoney(source="acme", target="other", amount=Decimal(amount), reference="move-1")
        return await move_money(self.at(currency=currency), ANN, order)

    async def person(self, name):
        """Add a person of the page."""
        await add_person(self.at(), BOB, AddPerson(name=name, role="administrator"))
        return msgspec.structs.replace(person(name, name), means=Means.PAGE)

    async def token(self, maker, name="mine"):
        """Make a token, and return its principal."""
        made = await add_token(self.at(), maker, AddToken(name=name, role="administrator"))
        return await principal_of(self.at(), made.token, "192.0.2.7")

    async def confirm(self, number, who, now=NOW, currency="USD"):
        return await confirm_payment(self.at(now, currency), who, ConfirmPayment(number))

    async def refuse(self, number, reason=None):
        return await refuse_payment(self.at(), BOB, RefusePayment(number, reason))

    async def waiting(self):
        return await list_waiting_payments(self.at(), ANN, ListWaitingPayments())


@pytest.fixture
def by_hand(database):
    return ByHand(database)


async def entries(database):
    return await entries_of(database)


async def test_a_payment_above_the_limit_is_booked_when_another_person_has_confirmed_it(database, by_hand):
    (receipt,) = await by_hand.pay("100", reference="bank-0")
    assert receipt.after == "100.00"
    waits = await by_hand.pay("100.00000001", memo="November")
    assert isinstance(waits, WaitingSheet)
    assert await by_hand.pay("100.00000001") == msgspec.structs.replace(waits, repeated=True)
    assert len(await entries(database)) == 1
    for same in (ANN, person("bob", "ann"), person("ann", "bob")):
        with pytest.raises(OwnPaymentError):
            await by_hand.confirm(waits.id, same, NOW + 1)
    assert await by_hand.waiting() == [waits]
    (receipt,) = await by_hand.confirm(waits.id, BOB, NOW + 1)
    assert (receipt.before, receipt.after, receipt.repeated) == ("100.00", "200.00000001", False)
    entry = (await entries(database))[-1]
    assert (entry.operator, entry.memo, entry.created_at) == ("ann", "confirmed by bob: November", NOW + 1)
    assert await by_hand.waiting() == []
    assert (await by_hand.confirm(waits.id, BOB, NOW + 2))[0].repeated
    (receipt,) = await by_hand.pay("100.00000001")
    assert receipt.repeated
    assert (await verify_ledger(database)).differences == ()


async def test_a_payment_is_booked_in_the_currency_that_it_was_asked_for_in(database, by_hand):
    """The configuration has changed before any switch had read the account."""
    waits = await by_hand.pay("500")
    assert waits.currency == "USD"
    with pytest.raises(OtherCurrency, match=rf"^payment {waits.id} was asked for in USD, the configuration says EUR "):
        await by_hand.confirm(waits.id, BOB, currency="EUR")
    assert await entries(database) == []
    assert await by_hand.waiting() == [waits]
    (receipt,) = await by_hand.confirm(waits.id, BOB)
    assert (receipt.after, receipt.currency) == ("500.00", "USD")


async def test_payments_of_one_reference_wait_for_each_of_their_accounts(database, by_hand):
    first, second = await by_hand.pay("500"), await by_hand.pay("700", account="other")
    assert await by_hand.waiting() == [first, second]
    await by_hand.confirm(second.id, BOB)
    assert await by_hand.waiting() == [first]
    assert [(entry.account, entry.amount) for entry in await entries(database)] == [("other", 700)]
    await by_hand.refuse(first.id)
    assert await by_hand.waiting() == []


async def test_payments_that_are_asked_for_at_once_under_one_reference_wait_once(by_hand):
    for number in range(10):  # two of them find none before either has written it
        orders = [by_hand.pay(101, reference=f"bank-{number}") for _ in range(3)]
        waiting = await asyncio.gather(*orders, return_exceptions=True)  # the others end before the database does
        assert [each for each in waiting if isinstance(each, BaseException)] == []
        assert len({each.id for each in waiting}) == 1
        assert [each.repeated for each in waiting].count(False) == 1


async def test_a_transfer_between_two_currencies_is_refused_and_does_not_wait(database, by_hand):
    """The account that gets the money would be held in the other currency, and the configuration be refused."""
    euros = {"acme": "EUR", "other": "USD"}
    with pytest.raises(OtherCurrency, match=r"^account acme has money in EUR, account other in USD: "):
        await by_hand.move("500", currency="EUR")
    assert await by_hand.waiting() == []
    assert await SqlBooks(database).other_currencies(euros) == {}
    waits = await by_hand.move("500")
    assert (waits.currency, waits.target) == ("USD", "other")


async def test_a_token_counts_as_the_person_who_has_made_it_or_the_token_that_has_made_it(database, by_hand):
    ann, eve = await by_hand.person("ann"), await by_hand.person("eve")
    first, second = await by_hand.token(ann, "first"), await by_hand.token(ann, "second")
    of_eve = await by_hand.token(eve, "of eve")
    deeper = await by_hand.token(first, "deeper")
    behind_ann = (ann, first, second, deeper)
    for number, asker in enumerate(behind_ann):
        waits = await by_hand.pay("500", who=asker, reference=f"bank-{number}")
        for same in behind_ann:
            with pytest.raises(OwnPaymentError, match=f"^payment {waits.id} was asked for by {asker.name} "):
                await by_hand.confirm(waits.id, same)
        (receipt,) = await by_hand.confirm(waits.id, of_eve)
        assert receipt.after == f"{500 * (number + 1)}.00"
    waits = await by_hand.pay("500", who=of_eve, reference="bank-9")
    await by_hand.confirm(waits.id, deeper)


async def test_tokens_of_the_terminal_are_programs_of_their_own_and_count_for_those_that_they_make(by_hand):
    first, other = await by_hand.token(ANN, "crm"), await by_hand.token(ANN, "bank")
    deeper = await by_hand.token(first, "deeper")
    waits = await by_hand.pay("500", who=first)
    with pytest.raises(OwnPaymentError):
        await by_hand.confirm(waits.id, deeper)
    await by_hand.confirm(waits.id, other)


async def test_a_token_books_alone_at_most_what_each_of_its_makers_does(by_hand):
    clerk, director = await by_hand.person("clerk"), await by_hand.person("director")
    of_clerk = await by_hand.token(clerk)
    deeper = await by_hand.token(of_clerk, "deeper")
    for number, who in enumerate((clerk, of_clerk, deeper)):
        for amount, waits in (("10", False), ("10.01", True)):
            booked = await by_hand.pay(amount, who=who, reference=f"{amount}-{number}")
            assert isinstance(booked, WaitingSheet) == waits
    of_director = await by_hand.token(director)
    assert isinstance(await by_hand.pay("101", who=of_director, reference="d1"), WaitingSheet)
    assert not isinstance(await by_hand.pay("101", who=director, reference="d2"), WaitingSheet)


async def test_two_who_confirm_at_once_book_once_and_one_who_refuses_meanwhile_ends_it(database, by_hand):
    waits = await by_hand.pay("500")
    receipts = await asyncio.gather(*(by_hand.confirm(waits.id, person(each, each)) for each in ("bob", "eve")))
    assert sorted(each.repeated for (each,) in receipts) == [False, True]
    assert len(await entries(database)) == 1
    with pytest.raises(NotWaiting):
        await by_hand.refuse(waits.id)
    other = await by_hand.pay("500", reference="bank-2")
    await by_hand.refuse(other.id, "not on the statement")
    with pytest.raises(NotWaiting):
        await by_hand.confirm(other.id, BOB)
    with pytest.raises(WasRefusedError, match="refused by bob: not on the statement"):
        await by_hand.pay("500", reference="bank-2")
    transfer = await by_hand.move("500")
    await by_hand.refuse(transfer.id)
    with pytest.raises(NotWaiting):
        await by_hand.confirm(transfer.id, BOB)
    assert len(await entries(database)) == 1


async def test_a_file_with_a_payment_that_was_refused_books_nothing(database, by_hand):
    waits = await by_hand.pay("500", reference="bank-2")
    await by_hand.refuse(waits.id)
    payments = tuple(
        FilePayment(line, "acme", Decimal(amount), f"bank-{line}", None, None) for line, amount in ((1, 5), (2, 500))
    )
    for is_trial in (True, False):
        with pytest.raises(BadPaymentFile, match="line 2: reference bank-2 of account acme was refused by bob"):
            await import_payments(by_hand.at(), ANN, ImportPayments(payments, is_trial))
    assert await entries(database) == []


async def test_a_payment_whose_account_cannot_be_read_is_not_refused(by_hand, monkeypatch):
    waits = await by_hand.pay("500")

    async def away(*_):
        raise StoreUnavailable("the connection was cut")

    with monkeypatch.context() as patched:
        patched.setattr(payments, "payees", away)
        with pytest.raises(StoreUnavailable):
            await by_hand.refuse(waits.id)
    assert await by_hand.waiting() == [waits]


async def test_an_undo_that_was_refused_stays_so(database, by_hand):
    waits = await by_hand.pay("101")
    await by_hand.confirm(waits.id, BOB)
    (paid,) = await entries(database)
    waits = await undo_payment(by_hand.at(), ANN, UndoPayment(id=paid.id))
    await by_hand.refuse(waits.id)
    with pytest.raises(WasRefusedError, match=r"was refused by bob; book an adjustment$"):
        await undo_payment(by_hand.at(), ANN, UndoPayment(id=paid.id))


async def test_what_is_taken_is_checked_when_it_is_confirmed_and_waits_on_where_too_little_is_left(database, by_hand):
    moved = MoveMoney(source="acme", target="other", amount=Decimal(150), reference="move-1")
    waits = await move_money(by_hand.at(), ANN, moved)
    with pytest.raises(ReferenceTaken):
        await move_money(by_hand.at(), ANN, msgspec.structs.replace(moved, target="third"))
    with pytest.raises(TooLittleLeft):
        await by_hand.confirm(waits.id, BOB)
    for number in range(2):
        await by_hand.pay("100", reference=f"bank-{number}")
    source, target = await by_hand.confirm(waits.id, BOB)
    assert (source.after, target.after) == ("50.00", "150.00")
    assert await by_hand.waiting() == []
    refund = await by_hand.pay("120", PaymentType.REFUND, account="other", reference="r")
    assert (await by_hand.confirm(refund.id, BOB))[0].after == "30.00"
    await by_hand.pay("100", reference="bank-3")
    zero = await by_hand.pay("0", PaymentType.ZERO, reference="z")
    assert (zero.amount, (await by_hand.confirm(zero.id, BOB))[0].after) == ("-150.00", "0.00")
    assert (await verify_ledger(database)).differences == ()


async def test_a_zero_that_waits_books_at_most_what_was_asked_for(database, by_hand):
    for number in range(2):
        await by_hand.pay("75", reference=f"bank-{number}")
    zero = await by_hand.pay("0", PaymentType.ZERO, reference="z")
    for number, (amount, balance) in enumerate((("0.01", "150.01"), ("-100", "50.01"), ("-60", "-9.99"))):
        await by_hand.pay(amount, PaymentType.ADJUSTMENT, reference=f"a-{number}")
        if balance == "50.01":
            continue
        with pytest.raises(BalanceMoved, match=f"^account acme has {balance} by now, and at most 150.00 was to be"):
            await by_hand.confirm(zero.id, BOB)
    assert await by_hand.waiting() == [zero]
    await by_hand.pay("70", PaymentType.ADJUSTMENT, reference="b")
    (receipt,) = await by_hand.confirm(zero.id, BOB)
    assert (receipt.before, receipt.amount, receipt.after) == ("60.01", "-60.01", "0.00")
    assert (await by_hand.confirm(zero.id, BOB))[0].repeated
    assert (await verify_ledger(database)).differences == ()


async def test_a_zero_of_one_person_is_not_above_the_limit_where_the_balance_moves_meanwhile(by_hand, monkeypatch):
    await by_hand.pay("60")
    read, references = payments.known_standing, iter("xy")

    async def stale(*of_account):
        standing = await read(*of_account)
        monkeypatch.setattr(payments, "known_standing", read)
        await by_hand.pay("60", reference=next(references))
        return standing

    monkeypatch.setattr(payments, "known_standing", stale)
    with pytest.raises(BalanceMoved, match=r"has 120.00 by now, and at most 100.00 was to be brought to zero"):
        await by_hand.pay("0", PaymentType.ZERO, reference="z")
    await by_hand.pay("-60", PaymentType.ADJUSTMENT, reference="a")
    monkeypatch.setattr(payments, "known_standing", stale)
    await by_hand.pay("-30", PaymentType.ADJUSTMENT, reference="b")
    (receipt,) = await by_hand.pay("0", PaymentType.ZERO, reference="z")
    assert (receipt.before, receipt.after) == ("90.00", "0.00"), "what came meanwhile is zeroed, too"


async def test_nothing_waits_that_could_never_be_booked(by_hand):
    with pytest.raises(UnknownAccountError):
        await by_hand.pay("500", account="unknown")
    await by_hand.pay("500")
    with pytest.raises(ReferenceTaken):
        await by_hand.pay("600")
    with pytest.raises(NotWaiting):
        await by_hand.confirm(99, BOB)
