"""In which currency the money of accounts is, over memory, SQLite and MariaDB."""

from decimal import Decimal

import pytest
from doubles.data.records import STARTED, answered_call, call_id
from doubles.statements import statements_of
from pymysql.cursors import RE_INSERT_VALUES
from sqlalchemy import select

from vosd.cdr.lease import Claimant
from vosd.cdr.ports import RejectedRecords, Standing
from vosd.cdr.record import CallRecord, Posting
from vosd.storage import currencies, schema
from vosd.storage.books import SqlBooks
from vosd.storage.lease import SqlLease
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, MoneyTransfer, NoSuchAccount, OtherCurrency, Payment, ReferenceTaken
from vosd.storage.waiting_payments import SqlWaitingPayments
from vosd.storage.waiting_values import WaitingPayment


def payment(account: str = "acme", reference: str = "1", **changes) -> Payment:
    terms = {"kind": EntryKind.PAYMENT, "made_at": STARTED, "amount": Decimal(5), **changes}
    return Payment(account=account, reference=reference, **terms)


async def test_an_account_takes_the_currency_that_it_is_first_used_with(store):
    await store.books.open_accounts(["acme"])
    assert await store.books.currencies(["acme", "unknown"]) == {"acme": None}
    assert await store.books.settle_currencies({"acme": "USD"}) == {}
    assert await store.books.currencies(["acme"]) == {"acme": "USD"}


async def test_an_account_is_opened_in_its_currency_and_one_that_has_a_row_keeps_its_own(store):
    await store.books.open_accounts(["acme"])
    await store.books.open_accounts(["acme", "new", "other"], {"acme": "USD", "new": "EUR"})
    assert await store.books.currencies(["acme", "new", "other"]) == {"acme": None, "new": "EUR", "other": None}


async def test_an_account_without_entries_may_change_its_currency(store):
    await store.books.open_accounts(["acme"])
    await store.books.settle_currencies({"acme": "USD"})
    assert await store.books.settle_currencies({"acme": "EUR"}) == {}
    assert await store.books.currencies(["acme"]) == {"acme": "EUR"}


async def test_an_account_with_entries_keeps_its_currency_and_nothing_else_changes_beside_it(store):
    await store.books.open_accounts(["acme", "new"])
    await store.books.settle_currencies({"acme": "USD", "new": "USD"})
    await store.payments.add(payment())
    assert await store.books.settle_currencies({"acme": "EUR", "new": "EUR"}) == {"acme": "USD"}
    assert await store.books.currencies(["acme", "new"]) == {"acme": "USD", "new": "USD"}
    assert await store.books.settle_currencies({"acme": "USD"}) == {}


async def test_an_account_keeps_its_currency_while_money_from_or_to_it_waits_for_a_second_person(database):
    books, waiting = SqlBooks(database), SqlWaitingPayments(database)
    euros = {"acme": "EUR", "shop": "EUR"}
    await books.open_accounts(euros, dict.fromkeys(euros, "USD"))
    moved = WaitingPayment(0, "acme", "shop", EntryKind.TRANSFER, "1", Decimal(5), False, None, "ann", "ann", STARTED)
    asked, _ = await waiting.ask(moved)
    assert await books.settle_currencies(euros) == {"acme": "USD", "shop": "USD"}
    await waiting.refuse(asked.id, "bob", STARTED, None)
    assert await books.settle_currencies(euros) == {}
    assert await books.currencies(euros) == euros


async def test_money_that_waits_for_an_account_without_a_row_keeps_its_currency(database):
    """No switch has read the account yet, and none runs."""
    books, waiting, payments = SqlBooks(database), SqlWaitingPayments(database), SqlPayments(database)
    first = WaitingPayment(
        0, "acme", "", EntryKind.PAYMENT, "1", Decimal(5), False, None, "ann", "ann", STARTED, currency="USD"
    )
    asked, _ = await waiting.ask(first)
    assert asked.currency == "USD"
    with pytest.raises(ReferenceTaken, match=r"was asked for with 5\.00 USD: give another reference"):
        await waiting.ask(first._replace(currency="EUR"))
    assert await books.settle_currencies({"acme": "EUR", "shop": "EUR"}) == {"acme": "USD"}
    with pytest.raises(OtherCurrency, match="account acme has money in USD, the configuration says EUR"):
        await payments.add(payment(currency="EUR"))
    assert await books.currencies(["acme"]) == {}
    assert await books.settle_currencies({"shop": "EUR"}) == {}, "acme may be gone from the configuration"
    assert await books.settle_currencies({"acme": "USD"}) == {}
    await payments.add(payment(currency="USD"))
    assert await books.currencies(["acme"]) == {"acme": "USD"}


async def test_what_an_earlier_version_has_asked_for_does_not_hide_the_currency_of_what_waits_besides(database):
    """A process of it may go on behind the migration."""
    books, waiting = SqlBooks(database), SqlWaitingPayments(database)
    for reference, currency in (("1", None), ("2", "USD"), ("3", None)):
        await waiting.ask(
            WaitingPayment(
                0, "acme", "", EntryKind.PAYMENT, reference, Decimal(5), False, None, "ann", "ann", STARTED,
                currency=currency,
            )
        )  # fmt: skip
    assert await books.other_currencies({"acme": "EUR"}) == {"acme": "USD"}
    assert await books.other_currencies({"acme": "USD"}) == {}


async def test_an_open_account_takes_the_currency_of_its_money_that_waits(database):
    """It was opened in another one, before the configuration changed; no switch runs."""
    books, waiting = SqlBooks(database), SqlWaitingPayments(database)
    await books.open_accounts(["acme"], {"acme": "USD"})
    await waiting.ask(
        WaitingPayment(
            0, "acme", "", EntryKind.PAYMENT, "1", Decimal(5), False, None, "ann", "ann", STARTED, currency="EUR"
        )
    )
    assert await books.settle_currencies({"acme": "USD"}) == {"acme": "EUR"}
    assert await books.settle_currencies({"acme": "EUR"}) == {}
    assert await books.currencies(["acme"]) == {"acme": "EUR"}


async def test_no_payment_gives_an_account_another_currency_while_money_of_it_waits_though_no_switch_runs(database):
    books, waiting, payments = SqlBooks(database), SqlWaitingPayments(database), SqlPayments(database)
    await books.open_accounts(["acme", "shop"], {"acme": "USD", "shop": "USD"})
    moved = WaitingPayment(0, "shop", "acme", EntryKind.TRANSFER, "1", Decimal(5), False, None, "ann", "ann", STARTED)
    asked, _ = await waiting.ask(moved)
    with pytest.raises(OtherCurrency, match="account acme has money in USD, the configuration says EUR"):
        await payments.add(payment(currency="EUR"))
    moving = MoneyTransfer(
        source="shop",
        target="acme",
        amount=Decimal(5),
        reference="2",
        made_at=STARTED,
        currencies={"shop": "EUR", "acme": "EUR"},
    )
    with pytest.raises(OtherCurrency, match="account shop has money in USD, the configuration says EUR"):
        await payments.transfer(moving)
    assert await books.currencies(["acme", "shop"]) == {"acme": "USD", "shop": "USD"}
    await waiting.refuse(asked.id, "bob", STARTED, None)
    await payments.add(payment(currency="EUR"))
    assert await books.currencies(["acme"]) == {"acme": "EUR"}


async def test_money_from_before_there_were_currencies_takes_the_configured_one(store):
    await store.payments.add(payment())
    assert await store.books.currencies(["acme"]) == {"acme": None}
    assert await store.books.settle_currencies({"acme": "EUR"}) == {}
    assert await store.books.currencies(["acme"]) == {"acme": "EUR"}


async def test_an_account_that_has_no_row_is_settled_when_it_has_one(store):
    assert await store.books.settle_currencies({"acme": "USD"}) == {}
    assert await store.books.currencies(["acme"]) == {}


async def test_a_payment_settles_the_currency_of_a_new_account(store):
    await store.payments.add(payment(currency="EUR"))
    assert await store.books.currencies(["acme"]) == {"acme": "EUR"}


async def test_a_payment_in_another_currency_books_nothing(store):
    await store.payments.add(payment(currency="EUR"))
    with pytest.raises(OtherCurrency, match="has money in EUR, the configuration says USD"):
        await store.payments.add(payment(reference="2", currency="USD"))
    assert (await store.queries.standing("acme")).balance == 5


SWITCH = Claimant("sw1", "holder-1", "host-a", 100, "boot/1")


@pytest.fixture
async def lease(database) -> SqlLease:
    """The lease of a switch that runs and has an account without entries in EUR."""
    books, lease = SqlBooks(database), SqlLease(database, lambda _: False)
    await lease.hold(SWITCH)
    await books.open_accounts(["acme", "new"])
    await books.settle_currencies({"acme": "EUR"})
    return lease


async def test_a_payment_leaves_an_account_its_currency_in_the_running_switch(database, lease):
    books, payments = SqlBooks(database), SqlPayments(database)
    for is_trial in (True, False):
        with pytest.raises(OtherCurrency, match=r"running switch has account acme in EUR, .* says JPY: reload it"):
            await payments.add(payment(currency="JPY"), is_trial=is_trial)
    moved = {"source": "new", "target": "acme", "amount": Decimal(5), "made_at": STARTED, "reference": "t"}
    with pytest.raises(OtherCurrency, match="the running switch has account acme in EUR"):
        await payments.transfer(MoneyTransfer(**moved, currencies={"new": "JPY", "acme": "JPY"}))
    assert await books.currencies(["acme", "new"]) == {"acme": "EUR", "new": None}
    await books.settle_currencies({"acme": "JPY"})  # the reload of the switch
    assert (await payments.add(payment(currency="JPY"))).after == 5


async def test_a_payment_settles_an_account_that_the_running_switch_does_not_know(database, lease):
    await SqlPayments(database).add(payment("new", currency="JPY"))
    assert await SqlBooks(database).currencies(["new"]) == {"new": "JPY"}


async def test_a_payment_changes_the_currency_of_an_account_without_entries_where_no_switch_runs(database, lease):
    await lease.release(SWITCH)
    await SqlPayments(database).add(payment(currency="JPY"))
    assert await SqlBooks(database).currencies(["acme"]) == {"acme": "JPY"}


async def test_an_account_that_gets_its_first_money_while_it_is_settled_is_returned(database, lease, monkeypatch):
    """The reload looks at the account, a payment in its currency comes, and then the reload would change that."""
    apart, payments = currencies._apart, SqlPayments(database)

    async def apart_before_the_payment(database, wanted):
        found = await apart(database, wanted)
        monkeypatch.undo()
        await payments.add(payment(currency="EUR"))
        return found

    monkeypatch.setattr(currencies, "_apart", apart_before_the_payment)
    assert await SqlBooks(database).settle_currencies({"acme": "JPY"}) == {"acme": "EUR"}
    assert await SqlBooks(database).currencies(["acme"]) == {"acme": "EUR"}


async def test_a_payment_to_an_account_that_must_exist_makes_none(store):
    with pytest.raises(NoSuchAccount):
        await store.payments.add(payment(must_exist=True))
    assert await store.queries.standing("acme") is None
    await store.books.open_accounts(["acme"])
    await store.payments.add(payment(must_exist=True))
    assert (await store.queries.standing("acme")).balance == 5


async def test_more_accounts_than_one_statement_takes_are_settled(store):
    names = [f"account-{number:04}" for number in range(1_100)]
    await store.books.open_accounts(names)
    assert await store.books.settle_currencies(dict.fromkeys(names, "USD")) == {}
    assert set((await store.books.currencies(names)).values()) == {"USD"}


@pytest.mark.parametrize("accounts", [500, 1_000])
async def test_five_hundred_accounts_are_settled_in_one_statement(database, accounts):
    """A start with 100,000 new accounts sets the currency of each."""
    books = SqlBooks(database)
    names = [f"account-{number:04}" for number in range(accounts)]
    await books.open_accounts(names)
    with statements_of(database, "UPDATE account") as updates:
        await books.settle_currencies({name: "EUR" if name == names[0] else "USD" for name in names})
    assert len(updates) == 1 + accounts // 500
    found = await books.currencies(names)
    assert (found[names[0]], found[names[1]], found[names[-1]]) == ("EUR", "USD", "USD")


async def test_the_rows_of_many_accounts_are_values_alone(database):
    """The drivers of MySQL make one statement of them then: a first start inserts 100,000."""
    with statements_of(database, "INSERT INTO account ") as statements:
        await SqlBooks(database).open_accounts(["acme", "other"], {"acme": "USD"})
    assert len(statements) == 1
    assert database.is_sqlite or RE_INSERT_VALUES.match(statements[0].text)


def call(index: int, currency: str, account: str = "acme") -> CallRecord:
    return answered_call(index, postings=(Posting(account, Decimal(-1), f"{call_id(index)}/customer", currency),))


async def test_a_call_in_another_currency_than_its_account_is_refused_and_the_rest_is_booked(store):
    await store.books.open_accounts(["acme"])
    await store.books.settle_currencies({"acme": "USD"})
    with pytest.raises(RejectedRecords) as rejection:
        await store.books.book([call(1, "USD"), call(2, "EUR"), call(3, "USD"), call(4, "EUR", account="other")])
    [(record, reason)] = rejection.value.rejected
    assert record.call_id == call_id(2)
    assert reason == "account acme has its money in USD, this call's posting is in EUR"
    assert rejection.value.booked.standings == {"acme": Standing(Decimal(-2), 2), "other": Standing(Decimal(-1), 1)}
    assert await store.queries.call(call_id(2)) is None
    assert await store.queries.standing("acme") == Standing(Decimal(-2), 2)


async def test_neither_side_of_a_call_is_booked_where_one_is_in_another_currency(store):
    await store.books.open_accounts(["acme", "carrier-a"])
    await store.books.settle_currencies({"acme": "USD", "carrier-a": "EUR"})
    with pytest.raises(RejectedRecords, match="account carrier-a has its money in EUR, this call's posting is in USD"):
        await store.books.book([answered_call(1, customer_account="acme", vendor_account="carrier-a")])
    assert await store.queries.standing("acme") == await store.queries.standing("carrier-a") == Standing(Decimal(0), 0)


async def test_a_call_that_is_booked_stays_booked_although_its_account_has_another_currency_now(store):
    await store.payments.add(payment())
    before = (await store.books.book([call(1, "USD")])).standings
    await store.books.settle_currencies({"acme": "EUR"})
    assert await store.books.currencies(["acme"]) == {"acme": "EUR"}
    assert (await store.books.book([call(1, "USD")])).standings == before
    with pytest.raises(RejectedRecords) as rejection:
        await store.books.book([call(1, "USD"), call(2, "USD"), call(3, "EUR")])
    assert [each.record.call_id for each in rejection.value.rejected] == [call_id(2)]
    assert await store.queries.standing("acme") == Standing(Decimal(3), 3)


async def test_a_refused_call_is_booked_once_its_account_has_that_currency(store):
    await store.books.open_accounts(["acme"])
    await store.books.settle_currencies({"acme": "USD"})
    with pytest.raises(RejectedRecords):
        await store.books.book([call(1, "EUR")])
    assert await store.books.settle_currencies({"acme": "EUR"}) == {}
    assert (await store.books.book([call(1, "EUR")])).standings == {"acme": Standing(Decimal(-1), 1)}


async def test_an_account_that_a_call_opens_takes_the_currency_of_the_call(store):
    await store.books.book([call(1, "EUR", account="new")])
    assert await store.books.currencies(["new"]) == {"new": "EUR"}
    with pytest.raises(RejectedRecords, match="account new has its money in EUR, this call's posting is in USD"):
        await store.books.book([call(2, "USD", account="new")])


async def test_a_call_that_cost_nothing_is_booked_in_any_currency(store):
    await store.books.open_accounts(["acme"])
    await store.books.settle_currencies({"acme": "USD"})
    free = answered_call(1, postings=(Posting("acme", Decimal(0), f"{call_id(1)}/customer", "EUR"),))
    assert (await store.books.book([free])).standings == {"acme": Standing(Decimal(0), 0)}


async def test_every_entry_of_the_ledger_says_its_currency(database):
    books, payments = SqlBooks(database), SqlPayments(database)
    await payments.add(payment(currency="EUR"))
    await payments.add(payment(reference="2"))
    postings = (Posting("acme", Decimal(-1), "call/customer", "EUR"),)
    await books.book([answered_call(1, postings=postings)])
    entry = schema.ledger_entry.c
    async with database.reading() as connection:
        found = (await connection.scalars(select(entry.currency).order_by(entry.seq))).all()
    assert found == ["EUR", "EUR", "EUR"]
