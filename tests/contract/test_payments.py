"""Promises of ``SqlPayments``, over memory, SQLite and MariaDB."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from contract.conftest import MARIADB
from doubles.collisions import colliding
from doubles.data.records import STARTED, answered_call
from doubles.ledger_entries import entries_of
from doubles.statements import statements_of
from sqlalchemy import event

from vosd.base.errors import VosError
from vosd.cdr.ports import Collided, Standing
from vosd.storage import payments as payments_module
from vosd.storage.audit import SqlAudit
from vosd.storage.audit_line import AuditLine
from vosd.storage.books import SqlBooks
from vosd.storage.driver_errors import BalanceTooLarge, ContentRefused
from vosd.storage.payments import SqlPayments, book_openings
from vosd.storage.ports import (
    BalanceMoved,
    EntryKind,
    MoneyTransfer,
    NoSuchAccount,
    OtherCurrency,
    Payment,
    Receipt,
    ReferenceTaken,
    TooLittleLeft,
)
from vosd.storage.queries import SqlQueries
from vosd.storage.validity import SqlValidity
from vosd.storage.verify import verify_ledger


def payment(amount: str = "5", **changes) -> Payment:
    fields = {"account": "acme", "kind": EntryKind.PAYMENT, "reference": "bank-1", "made_at": STARTED}
    return Payment(**(fields | {"amount": Decimal(amount)} | changes))


def _money(receipt: Receipt) -> Receipt:
    """Return a receipt without the number of its entry, and the currency of its account."""
    return receipt._replace(entry=None, currency=None)


async def test_a_payment_of_5_on_10_makes_15(store):
    await store.payments.add(payment("10"))
    receipt = await store.payments.add(payment("5", reference="bank-2", operator="ann", memo="cash"))
    assert _money(receipt) == Receipt(Decimal(10), Decimal(15), repeated=False)
    assert await store.queries.standing("acme") == Standing(Decimal(15), 2)


async def test_zero_brings_any_balance_to_zero(store):
    await store.payments.add(payment("15"))
    zeroing = Payment(account="acme", kind=EntryKind.ZERO, reference="close", made_at=STARTED)
    assert _money(await store.payments.add(zeroing)) == Receipt(Decimal(15), Decimal(0), repeated=False)
    assert await store.queries.standing("acme") == Standing(Decimal(0), 2)


async def test_zero_with_the_same_reference_does_not_take_later_money(store):
    zeroing = Payment(account="acme", kind=EntryKind.ZERO, reference="close", made_at=STARTED)
    await store.payments.add(zeroing)
    await store.payments.add(payment("7"))
    assert (await store.payments.add(zeroing)).repeated
    assert await store.queries.standing("acme") == Standing(Decimal(7), 2)


async def test_an_amount_may_be_negative(store):
    receipt = await store.payments.add(payment("-2.50", kind=EntryKind.ADJUSTMENT))
    assert _money(receipt) == Receipt(Decimal(0), Decimal("-2.5"), repeated=False)


async def test_the_same_reference_twice_books_once_and_says_so(store):
    first = await store.payments.add(payment("5"))
    await store.books.book([answered_call(1, customer_account="acme")])
    again = await store.payments.add(payment("5"))
    assert _money(again) == Receipt(first.before, first.after, repeated=True)
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


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (payment("9999999999999"), BalanceTooLarge),
        (payment("0.000000001"), ContentRefused),
        (payment(account="a" * 65), ContentRefused),
        (payment(account="acme "), ContentRefused),
        (payment(reference="r" * 300), ContentRefused),
        (payment("-1", kind=EntryKind.REFUND, least_left=Decimal(0), currency="USD"), TooLittleLeft),
    ],
)
async def test_a_payment_that_is_refused_leaves_nothing(store, refused, error):
    with pytest.raises(error):
        await store.payments.add(refused)
    assert (await store.books.standings()).standings == {}


async def test_zero_beyond_what_was_asked_for_is_refused(store):
    await store.payments.add(payment("5"))
    zeroing = Payment(
        account="acme", kind=EntryKind.ZERO, reference="close", made_at=STARTED, at_most=Decimal(-4), currency="USD"
    )
    with pytest.raises(BalanceMoved):
        await store.payments.add(zeroing)
    assert await store.books.currencies(["acme"]) == {"acme": None}
    assert (await store.payments.add(replace(zeroing, at_most=Decimal(-5)))).after == 0


async def test_receipts_have_the_number_of_their_entry_and_the_currency_of_the_account(store):
    first = await store.payments.add(payment("5", currency="USD"))
    numbers = await store.numbers()
    assert (first.entry, first.currency) == (numbers["bank-1"], "USD")
    assert await store.payments.add(payment("5")) == first._replace(repeated=True)
    sent, received = await store.payments.transfer(transfer("3"))
    assert received.entry == (await store.numbers())["move-1"]
    assert (sent.currency, received.currency) == ("USD", "USD")


async def test_a_repeated_payment_in_another_currency_is_refused(store):
    await store.payments.add(payment("5", currency="USD"))
    with pytest.raises(OtherCurrency):
        await store.payments.add(payment("5", currency="EUR"))


MANY = (
    payment("1", reference="one", currency="USD"),
    payment("2", reference="two", currency="USD", extends_days=30, configured_expiry=STARTED),
    payment("3", reference="one", account="other", memo="'; -- %s", operator="ann"),
    payment("5", currency="USD"),
    payment("6", currency="USD"),
    payment("7", reference="seven", currency="EUR"),
    payment("1", reference="two", currency="USD"),
    payment("2", reference="two", currency="USD"),
    payment("8", account="none", must_exist=True),
    payment("9", account="shop", must_exist=True, currency="USD", extends_days=30, configured_expiry=STARTED),
    payment("9", account="shop", must_exist=True, currency="EUR", reference="euros"),
    payment("9999999999999", reference="large"),
    payment("3", account="a" * 65),
    payment("3", account="new "),
    payment("3", reference="r" * 300),
    payment("4", account="new", currency="JPY", extends_days=30),
)
"""Payments that are booked, repeated or refused, several of an account."""


async def _one_by_one(payments: SqlPayments, wanted: Sequence[Payment]) -> list[Receipt | VosError]:
    outcomes: list[Receipt | VosError] = []
    for each in wanted:
        try:
            outcomes.append(await payments.add(each))
        except VosError as error:
            outcomes.append(error)
    return outcomes


async def test_payments_that_are_booked_together_are_answered_as_one_by_one(database):
    payments, told, left = SqlPayments(database), [], []
    for prefix, book in (("a-", payments.add_all), ("b-", lambda wanted: _one_by_one(payments, wanted))):
        await payments.add(payment(account=f"{prefix}acme", currency="USD"))
        await SqlBooks(database).open_accounts([f"{prefix}shop"])
        line = AuditLine(STARTED, "ann", "operator", "ann", "terminal", "", "BookPayment", "", "{}")
        wanted = [
            replace(each, account=f"{prefix}{each.account}", audit=line._replace(subject=f"{prefix}{number}"))
            for number, each in enumerate(MANY)
        ]
        outcomes = await book(wanted)
        told.append([
            str(each).replace(prefix, "") if isinstance(each, VosError) else _money(each) for each in outcomes
        ])  # fmt: skip
        entries = [each for each in await entries_of(database) if each.account.startswith(prefix)]
        rows = sorted((each._replace(id=0, account=each.account[2:]) for each in entries), key=lambda each: each[1:3])
        expiry = [await SqlValidity(database).expiry(f"{prefix}{name}") for name in ("acme", "shop", "new")]
        left.append((rows, expiry))
        again = await book(wanted)
        assert [each.repeated for each in again if isinstance(each, Receipt)] == [True] * 7
    assert told[0] == told[1]
    assert left[0] == left[1]
    lines = [each.subject for each in await SqlAudit(database).newest(100, oldest_first=True)]
    assert lines == [f"{prefix}{number}" for prefix in ("a-", "b-") for number in (0, 1, 2, 9, 15)]
    assert (await verify_ledger(database)).differences == ()


async def test_a_trial_of_payments_together_keeps_nothing(database):
    payments = SqlPayments(database)
    tried = await payments.add_all(MANY, is_trial=True)
    assert [each.after for each in tried if isinstance(each, Receipt)][:2] == [Decimal(1), Decimal(3)]
    assert (await entries_of(database), (await SqlBooks(database).standings()).standings) == ([], {})


async def test_a_payment_that_the_database_refuses_takes_none_with_it(database):
    payments = SqlPayments(database)
    first, fine, last = await payments.add_all(
        [payment("1", reference="a"), payment("0.000000001", reference="b"), payment("2", reference="c")]
    )
    assert (first.after, type(fine), last.after) == (Decimal(1), ContentRefused, Decimal(3))
    assert await SqlQueries(database).standing("acme") == Standing(Decimal(3), 2)


async def test_payments_take_few_statements_together(database):
    many = [payment(account=f"c{number}", reference=str(number), currency="USD") for number in range(150)]
    await SqlBooks(database).open_accounts(
        [each.account for each in many], dict.fromkeys((each.account for each in many), "USD")
    )
    with statements_of(database) as asked:
        assert not any(each.repeated for each in await SqlPayments(database).add_all(many))
    assert len(asked) < 15


async def test_balances_of_another_switch_are_booked_by_few_statements_or_none_of_them(database):
    """No call is booked meanwhile, and a carrier that moves brings thousands."""
    opening = {"kind": EntryKind.ADJUSTMENT, "reference": "opening", "currency": "USD"}
    many = [payment(str(number - 200), account=f"c{number}", **opening) for number in range(250) if number != 200]
    names = [each.account for each in many]
    await SqlBooks(database).open_accounts(names, dict.fromkeys(names, "USD"))

    async def book(*payments: Payment) -> None:
        async with database.writing() as connection:
            await book_openings(database, connection, payments, [])

    with pytest.raises(OtherCurrency, match="the configuration says EUR"):
        await book(*many, replace(many[7], reference="euros", currency="EUR"))
    assert await entries_of(database) == []
    with statements_of(database) as asked:
        await book(*many)
    assert len(asked) < 25
    await book(*many)  # an import that is repeated books nothing again
    assert sorted(each.amount for each in await entries_of(database)) == sorted(each.amount for each in many)
    assert (await verify_ledger(database)).differences == ()


async def test_a_balance_that_no_column_holds_is_refused_by_its_amount_and_books_nothing(database):
    payments, amount = SqlPayments(database), "92233720368"
    fitting = 10 if database.engine.dialect.name == "mysql" else 1
    for number in range(fitting):
        await payments.add(payment(amount, reference=f"bank-{number}"))
    with pytest.raises(BalanceTooLarge, match=f"account acme would have [0-9.]+ with the amount {amount}.00: amounts"):
        await payments.add(payment(amount, reference="bank"))
    assert await SqlQueries(database).standing("acme") == Standing(Decimal(amount) * fitting, fitting)


def transfer(amount: str = "3", **changes) -> MoneyTransfer:
    fields = {"source": "acme", "target": "globex", "reference": "move-1", "made_at": STARTED, "operator": "ann"}
    return MoneyTransfer(
        **(fields | {"amount": Decimal(amount), "currencies": {"acme": "USD", "globex": "USD"}} | changes)
    )


async def test_a_transfer_moves_money_in_two_entries_of_one_reference(store):
    await store.payments.add(payment("10", currency="USD"))
    receipts = await store.payments.transfer(transfer("3"))
    assert [*map(_money, receipts)] == [
        Receipt(Decimal(10), Decimal(7), repeated=False),
        Receipt(Decimal(0), Decimal(3), repeated=False),
    ]
    assert await store.queries.standing("acme") == Standing(Decimal(7), 2)
    assert await store.queries.standing("globex") == Standing(Decimal(3), 1)


async def test_a_trial_says_what_a_payment_would_do_and_keeps_nothing(store):
    await store.payments.add(payment("10"))
    tried = payment("5", reference="bank-2", extends_days=30, configured_expiry=STARTED)
    receipt = await store.payments.add(tried, is_trial=True)
    assert (receipt.before, receipt.after, receipt.repeated) == (Decimal(10), Decimal(15), False)
    assert receipt.expires_at == STARTED + 30 * 86_400_000
    assert (await store.payments.add(payment("10"), is_trial=True)).repeated
    other = await store.payments.add(payment("5", account="new"), is_trial=True)
    assert (other.before, await store.queries.standing("new")) == (Decimal(0), None)
    for refused, error in (
        (payment("6", reference="bank-1"), ReferenceTaken),
        (payment("-11", kind=EntryKind.REFUND, least_left=Decimal(0)), TooLittleLeft),
        (payment("1", account="none", must_exist=True), NoSuchAccount),
    ):
        with pytest.raises(error):
            await store.payments.add(refused, is_trial=True)
    assert await store.queries.standing("acme") == Standing(Decimal(10), 1)
    assert _money(await store.payments.add(tried)) == _money(receipt), "the trial has told the truth"


async def test_a_trial_of_a_transfer_keeps_nothing(store):
    await store.payments.add(payment("10", currency="USD"))
    receipts = await store.payments.transfer(transfer("3"), is_trial=True)
    assert [(each.before, each.after) for each in receipts] == [(Decimal(10), Decimal(7)), (Decimal(0), Decimal(3))]
    with pytest.raises(TooLittleLeft):
        await store.payments.transfer(transfer("11", least_left=Decimal(0)), is_trial=True)
    assert [await store.queries.standing(each) for each in ("acme", "globex")] == [Standing(Decimal(10), 1), None]
    assert [*map(_money, await store.payments.transfer(transfer("3")))] == [*map(_money, receipts)]
    assert all(each.repeated for each in await store.payments.transfer(transfer("3"), is_trial=True))


async def test_the_same_transfer_twice_moves_money_once(store):
    first = await store.payments.transfer(transfer("3"))
    await store.payments.add(payment("100"))
    again = await store.payments.transfer(transfer("3"))
    assert again == tuple(receipt._replace(repeated=True) for receipt in first)
    assert await store.queries.standing("acme") == Standing(Decimal(97), 2)


@pytest.mark.parametrize(
    "other",
    [
        {"amount": "4"},
        {"source": "globex", "target": "acme"},
        {"source": "initech", "currencies": {"initech": "USD", "globex": "USD"}},
        {"target": "initech", "currencies": {"acme": "USD", "initech": "USD"}},
    ],
)
async def test_the_reference_of_another_transfer_is_refused(store, other):
    await store.payments.transfer(transfer("3"))
    with pytest.raises(ReferenceTaken):
        await store.payments.transfer(transfer(**({"amount": "3"} | other)))
    assert await store.queries.standing("acme") == Standing(Decimal(-3), 1)
    assert await store.queries.standing("globex") == Standing(Decimal(3), 1)


async def test_ends_of_two_other_transfers_are_no_repeat_of_a_third(store):
    """Agents below one another choose their references each for itself, such as the month."""
    names = ("acme", "globex", "initech", "umbrella")
    terms = {"currencies": dict.fromkeys(names, "USD"), "memo": "november"}
    await store.payments.transfer(transfer(target="initech", **terms))
    await store.payments.transfer(transfer(source="umbrella", **terms))
    with pytest.raises(ReferenceTaken, match="move-1 of account acme is another transfer"):
        await store.payments.transfer(transfer(**terms))
    assert (await store.payments.transfer(transfer(target="initech", **terms)))[0].repeated
    assert await store.queries.standing("globex") == Standing(Decimal(3), 1)


async def test_a_transfer_between_two_currencies_is_refused_and_books_nothing(store):
    await store.payments.add(payment("10", currency="USD"))
    with pytest.raises(OtherCurrency, match="acme has money in USD, account globex in EUR"):
        await store.payments.transfer(transfer(currencies={"acme": "USD", "globex": "EUR"}))
    assert await store.queries.standing("acme") == Standing(Decimal(10), 1)


async def test_a_transfer_leaves_what_must_be_left(store):
    await store.payments.add(payment("10", currency="USD"))
    with pytest.raises(TooLittleLeft, match=r"acme has 3\.00 to spare .* less than 3\.50"):
        await store.payments.transfer(transfer("3.5", least_left=Decimal(7)))
    assert await store.queries.standing("acme") == Standing(Decimal(10), 1)
    await store.payments.transfer(transfer("3", least_left=Decimal(7)))
    with pytest.raises(TooLittleLeft):
        await store.payments.add(payment("-1", kind=EntryKind.REFUND, least_left=Decimal(7)))
    assert (await store.payments.transfer(transfer("3", least_left=Decimal(7))))[0].repeated
    assert await store.queries.standing("acme") == Standing(Decimal(7), 2)


async def test_a_transfer_to_an_account_that_is_nowhere_is_refused(store):
    await store.payments.add(payment("10", currency="USD"))
    with pytest.raises(NoSuchAccount, match="globex"):
        await store.payments.transfer(transfer(currencies={"acme": "USD"}))
    assert await store.queries.standing("acme") == Standing(Decimal(10), 1)


async def test_both_accounts_of_a_transfer_are_seen_by_the_next_poll(store):
    await store.books.open_accounts(["acme", "globex", "other"])
    mark = (await store.books.standings()).mark
    await store.payments.transfer(transfer("3"))
    assert {*(await store.books.standings(mark)).standings} == {"acme", "globex"}


@pytest.mark.parametrize("order", ["add", "transfer"])
@pytest.mark.parametrize(("collisions", "entries"), [(0, 1), (2, 1), (3, 0)])
async def test_an_order_that_collides_is_tried_thrice(order, collisions, entries, database):
    """The database undoes a deadlock as a whole, and in a cluster a commit after another node's."""
    payments, ordered = SqlPayments(database), payment("5") if order == "add" else transfer("3")
    with colliding(database, "UPDATE account", lambda before: before < collisions):
        if collisions == 3:
            with pytest.raises(Collided, match="another transaction"):
                await getattr(payments, order)(ordered)
        else:
            assert await getattr(payments, order)(ordered)
    assert len(await entries_of(database)) == entries * (2 if order == "transfer" else 1)


async def test_transfers_in_both_directions_at_once_do_not_block_each_other(store):
    there = [transfer("1", reference=f"there-{index}") for index in range(5)]
    back = [transfer("1", source="globex", target="acme", reference=f"back-{index}") for index in range(5)]
    await asyncio.gather(*(store.payments.transfer(each) for each in (*there, *back)))
    assert await store.queries.standing("acme") == Standing(Decimal(0), 10)


async def test_the_entries_of_a_transfer_say_where_the_money_went(database):
    await SqlPayments(database).transfer(transfer("3", memo="one invoice"))
    entries = await entries_of(database, kinds=("transfer",))
    found = [(each.account, each.amount, each.reference, each.memo, each.operator) for each in entries]
    assert found == [
        ("acme", Decimal(-3), "move-1", "to globex: one invoice", "ann"),
        ("globex", Decimal(3), "move-1", "from acme: one invoice", "ann"),
    ]


@pytest.mark.parametrize("database_url", [MARIADB], indirect=True)
async def test_many_references_are_found_by_their_index_whatever_the_statistics_of_the_table_say(database, monkeypatch):
    monkeypatch.setattr(payments_module, "_ASKED_AT_ONCE", 1_000)
    async with database.writing() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO ledger_entry (account, seq, kind, amount, balance_after, reference, created_at)"
            " SELECT CONCAT('acme-', MOD(seq, 5)), seq, 'payment', 1, 1, CONCAT('bank-', seq), '2026-01-01'"
            " FROM seq_1_to_20000"
        )
    statements = list[tuple[str, Any]]()
    listen = database.engine.sync_engine, "before_cursor_execute"
    event.listen(*listen, lambda _c, _k, asked, parameters, *_: statements.append((asked, parameters)))
    numbers = range(19_501, 20_501)
    wanted = [payment("1", account=f"acme-{number % 5}", reference=f"bank-{number}") for number in numbers]
    found = await SqlPayments(database).earlier_of(wanted)
    assert [each is None for each in found] == [False] * 500 + [True] * 500
    [(asked, parameters)] = [each for each in statements if "FROM ledger_entry" in each[0]]
    async with database.reading() as connection:
        (plan,) = (await connection.exec_driver_sql(f"EXPLAIN FORMAT=TRADITIONAL {asked}", parameters)).mappings().all()
    assert (plan["type"], plan["key"]) == ("range", "ledger_entry_once")
