"""What ``Payments`` promises, over memory, SQLite and MariaDB."""

from decimal import Decimal

import pytest

from vosd.cdr.ports import Standing
from vosd.storage.database import ContentRefused
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment, Receipt, ReferenceTaken
from vosd.storage.queries import SqlQueries
from vosd.testing.data.records import STARTED, answered_call


def payment(amount: str = "5", **changes) -> Payment:
    fields = {"account": "acme", "kind": EntryKind.PAYMENT, "reference": "bank-1", "made_at": STARTED}
    return Payment(**(fields | {"amount": Decimal(amount)} | changes))


async def test_a_payment_of_5_on_10_makes_15(store):
    await store.payments.add(payment("10"))
    receipt = await store.payments.add(payment("5", reference="bank-2", operator="ann", memo="cash"))
    assert receipt == Receipt(Decimal(10), Decimal(15), repeated=False)
    assert await store.queries.standing("acme") == Standing(Decimal(15), 2)


async def test_zero_brings_any_balance_to_zero(store):
    await store.payments.add(payment("15"))
    zeroing = Payment(account="acme", kind=EntryKind.ZERO, reference="close", made_at=STARTED)
    assert await store.payments.add(zeroing) == Receipt(Decimal(15), Decimal(0), repeated=False)
    assert await store.queries.standing("acme") == Standing(Decimal(0), 2)


async def test_zero_with_the_same_reference_does_not_take_later_money(store):
    zeroing = Payment(account="acme", kind=EntryKind.ZERO, reference="close", made_at=STARTED)
    await store.payments.add(zeroing)
    await store.payments.add(payment("7"))
    assert (await store.payments.add(zeroing)).repeated
    assert await store.queries.standing("acme") == Standing(Decimal(7), 2)


async def test_an_amount_may_be_negative(store):
    receipt = await store.payments.add(payment("-2.50", kind=EntryKind.ADJUSTMENT))
    assert receipt == Receipt(Decimal(0), Decimal("-2.5"), repeated=False)


async def test_the_same_reference_twice_books_once_and_says_so(store):
    first = await store.payments.add(payment("5"))
    await store.books.book([answered_call(1, customer_account="acme")])
    again = await store.payments.add(payment("5"))
    assert again == Receipt(first.before, first.after, repeated=True)
    standing = await store.queries.standing("acme")
    assert standing == Standing(Decimal(5) - Decimal("0.012345"), 2)


async def test_the_same_reference_with_another_amount_is_refused(store):
    await store.payments.add(payment("5"))
    with pytest.raises(ReferenceTaken, match=r"booked for 5\.00, not 6\.00"):
        await store.payments.add(payment("6"))
    assert await store.queries.standing("acme") == Standing(Decimal(5), 1)


async def test_a_reference_is_unique_within_account_and_kind_only(store):
    await store.payments.add(payment("5"))
    assert not (await store.payments.add(payment("5", kind=EntryKind.ADJUSTMENT))).repeated
    assert not (await store.payments.add(payment("5", account="other"))).repeated


async def test_a_payment_is_seen_by_the_next_poll(store):
    await store.books.open_accounts(["acme", "other"])
    mark = (await store.books.standings()).mark
    await store.payments.add(payment("5"))
    assert (await store.books.standings(mark)).standings == {"acme": Standing(Decimal(5), 1)}


async def test_calls_and_payments_share_one_sequence(store):
    await store.payments.add(payment("1"))
    await store.books.book([answered_call(1, customer_account="acme", fee=Decimal("0.25"))])
    await store.payments.add(payment("2", reference="bank-2"))
    assert await store.queries.standing("acme") == Standing(Decimal("2.75"), 3)


async def test_hostile_memos_and_references_are_only_text(store):
    text = "'; DELETE FROM account; -- \\ \" %s \N{BANKNOTE WITH DOLLAR SIGN}"
    await store.payments.add(payment("5", reference=text, memo=text + "\0\udcff" * 200, operator=text))
    assert (await store.payments.add(payment("5", reference=text))).repeated


async def test_an_amount_that_no_column_holds_is_refused_and_books_nothing(database):
    with pytest.raises(ContentRefused):
        await SqlPayments(database).add(payment("9999999999999"))
    assert await SqlQueries(database).standing("acme") is None
