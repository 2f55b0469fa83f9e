"""Money above a limit is booked when a second person has confirmed it: once, by another one, or not at all."""

import asyncio
from decimal import Decimal

import pytest
from doubles.data.builders import account

from vosd.admin.names import UnknownAccountError
from vosd.admin.second_person import ByHand, OwnPaymentError, PaymentOrder, Person, WaitingSheet, WasRefusedError
from vosd.storage.ledger import EntryFilter, SqlLedger
from vosd.storage.ports import EntryKind, ReferenceTaken, TooLittleLeft
from vosd.storage.stores import SqlStores
from vosd.storage.verify import verify_ledger
from vosd.storage.waiting_payments import NotWaiting

NOW = 1_790_000_000_000
ANN, BOB = Person("ann", "ann"), Person("bob", "bob")


class NoSwitch:
    """None runs."""

    async def ask_if_running(self, verb, **arguments):
        return None


@pytest.fixture
def by_hand(database):
    accounts = {name: account(name) for name in ("acme", "other")}
    return ByHand(accounts, SqlStores(database), NoSwitch(), Decimal(100))


def order(amount, kind=EntryKind.PAYMENT, **changes):
    return PaymentOrder(**{"account": "acme", "kind": kind, "amount": Decimal(amount), "reference": "bank-1"} | changes)


async def entries(database):
    return [each async for each in SqlLedger(database).entries(EntryFilter())]


async def test_a_payment_above_the_limit_is_booked_when_another_person_has_confirmed_it(database, by_hand):
    (receipt,) = await by_hand.book(order("100", reference="bank-0"), ANN, NOW)
    assert receipt.after == "100.00"
    waits = await by_hand.book(order("100.00000001", memo="November"), ANN, NOW)
    assert isinstance(waits, WaitingSheet)
    assert await by_hand.book(order("100.00000001"), ANN, NOW) == waits
    assert len(await entries(database)) == 1
    for same in (ANN, Person("bob", "ann"), Person("ann", "bob")):
        with pytest.raises(OwnPaymentError):
            await by_hand.confirm(waits.id, same, NOW + 1)
    assert await by_hand.waiting() == [waits]
    (receipt,) = await by_hand.confirm(waits.id, BOB, NOW + 1)
    assert (receipt.before, receipt.after, receipt.repeated) == ("100.00", "200.00000001", False)
    entry = (await entries(database))[-1]
    assert (entry.operator, entry.memo, entry.created_at) == ("ann", "confirmed by bob: November", NOW + 1)
    assert await by_hand.waiting() == []
    assert (await by_hand.confirm(waits.id, BOB, NOW + 2))[0].repeated
    (receipt,) = await by_hand.book(order("100.00000001"), ANN, NOW)
    assert receipt.repeated
    assert (await verify_ledger(database)).differences == ()


async def test_two_who_confirm_at_once_book_once_and_one_who_refuses_meanwhile_ends_it(database, by_hand):
    waits = await by_hand.book(order("500"), ANN, NOW)
    receipts = await asyncio.gather(*(by_hand.confirm(waits.id, Person(each, each), NOW) for each in ("bob", "eve")))
    assert sorted(each.repeated for (each,) in receipts) == [False, True]
    assert len(await entries(database)) == 1
    with pytest.raises(NotWaiting):
        await by_hand.refuse(waits.id, BOB, NOW, None)
    other = await by_hand.book(order("500", reference="bank-2"), ANN, NOW)
    await by_hand.refuse(other.id, BOB, NOW, "not on the statement")
    with pytest.raises(NotWaiting):
        await by_hand.confirm(other.id, BOB, NOW)
    with pytest.raises(WasRefusedError, match="refused by bob: not on the statement"):
        await by_hand.book(order("500", reference="bank-2"), ANN, NOW)
    assert len(await entries(database)) == 1


async def test_what_is_taken_is_checked_when_it_is_confirmed_and_waits_on_where_too_little_is_left(database, by_hand):
    moved = order("150", EntryKind.TRANSFER, target="other", reference="move-1")
    waits = await by_hand.book(moved, ANN, NOW)
    with pytest.raises(TooLittleLeft):
        await by_hand.confirm(waits.id, BOB, NOW)
    for number in range(2):
        await by_hand.book(order("100", reference=f"bank-{number}"), ANN, NOW)
    source, target = await by_hand.confirm(waits.id, BOB, NOW)
    assert (source.after, target.after) == ("50.00", "150.00")
    refund = await by_hand.book(order("-120", EntryKind.REFUND, account="other", reference="r"), ANN, NOW)
    assert (await by_hand.confirm(refund.id, BOB, NOW))[0].after == "30.00"
    await by_hand.book(order("100", reference="bank-3"), ANN, NOW)
    zero = await by_hand.book(order("0", EntryKind.ZERO, reference="z"), ANN, NOW)
    assert (zero.amount, (await by_hand.confirm(zero.id, BOB, NOW))[0].after) == ("-150.00", "0.00")
    assert (await verify_ledger(database)).differences == ()


async def test_nothing_waits_that_could_never_be_booked(by_hand):
    with pytest.raises(UnknownAccountError):
        await by_hand.book(order("500", account="unknown"), ANN, NOW)
    await by_hand.book(order("500"), ANN, NOW)
    with pytest.raises(ReferenceTaken):
        await by_hand.book(order("600"), ANN, NOW)
    with pytest.raises(NotWaiting):
        await by_hand.confirm(99, BOB, NOW)
