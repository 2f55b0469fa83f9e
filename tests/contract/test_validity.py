"""Until when accounts are valid by the ledger: payments extend it, operators set it."""

from dataclasses import replace
from decimal import Decimal

import pytest
from doubles.data.records import STARTED
from doubles.ledger_entries import entries_of
from doubles.statements import statements_of

from vosd.billing.accounts import DAY_MS, NEVER
from vosd.catalogue.ports import OverrideAction
from vosd.storage.overrides import SqlOverrides
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, MoneyTransfer, Payment, UndoneEntry
from vosd.storage.validity import PaymentEntry, SqlValidity, ValidityChange, memo_of, without_undone


def payment(amount: str = "5", **changes) -> Payment:
    fields = {"account": "acme", "kind": EntryKind.PAYMENT, "reference": "bank-1", "made_at": STARTED}
    terms = {"extends_days": 30, "configured_expiry": STARTED + 9 * DAY_MS, "operator": "ann"}
    return Payment(**(fields | terms | {"amount": Decimal(amount)} | changes))


async def expiries(store):
    return (await store.books.standings()).expiries


async def test_a_payment_extends_the_configured_expiry_and_the_next_one_that(store):
    first = await store.payments.add(payment())
    assert first.expires_at == STARTED + 39 * DAY_MS
    assert await expiries(store) == {"acme": STARTED + 39 * DAY_MS}
    second = await store.payments.add(payment(reference="bank-2", made_at=STARTED + DAY_MS))
    assert second.expires_at == STARTED + 69 * DAY_MS


async def test_the_same_payment_twice_extends_once(store):
    await store.payments.add(payment())
    again = await store.payments.add(payment())
    assert (again.repeated, again.expires_at) == (True, None)
    assert await expiries(store) == {"acme": STARTED + 39 * DAY_MS}


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "-5"},
        {"kind": EntryKind.ADJUSTMENT},
        {"kind": EntryKind.ZERO, "amount": "0"},
        {"kind": EntryKind.REFUND, "amount": "-5"},
        {"extends_days": 0},
        {"configured_expiry": None},
    ],
)
async def test_only_a_payment_above_zero_extends_and_only_what_expires(store, changes):
    assert (await store.payments.add(payment(**changes))).expires_at is None
    assert await expiries(store) == {}


async def test_a_transfer_extends_the_validity_of_its_target_alone_where_it_is_a_payment_to_it(store):
    money = {"source": "south", "target": "acme", "amount": Decimal(5), "made_at": STARTED, "operator": "agent south"}
    currencies = {"south": "USD", "acme": "USD"}
    terms = {"extends_days": 30, "configured_expiry": STARTED + 9 * DAY_MS, "currencies": currencies}
    for _ in range(2):
        taken, given = await store.payments.transfer(MoneyTransfer(**money, reference="one", **terms))
        assert (taken.expires_at, given.expires_at) == (None, None if given.repeated else STARTED + 39 * DAY_MS)
    moved = await store.payments.transfer(MoneyTransfer(**money, reference="two", currencies=currencies))
    assert [each.expires_at for each in moved] == [None, None]
    assert await expiries(store) == {"acme": STARTED + 39 * DAY_MS}


async def test_the_undo_of_a_transfer_takes_the_validity_back_and_names_an_entry_on_each_account(store):
    money = {"amount": Decimal(5), "operator": "agent south", "currencies": {"south": "USD", "acme": "USD"}}
    money["configured_expiry"] = STARTED + 9 * DAY_MS
    paid = MoneyTransfer(source="south", target="acme", reference="one", made_at=STARTED, extends_days=30, **money)
    await store.payments.transfer(paid)
    undone = UndoneEntry("one", STARTED, EntryKind.TRANSFER)
    names = {"source": "acme", "target": "south", "reference": "undo 2", "target_reference": "undo 1"}
    undo = MoneyTransfer(**names, made_at=STARTED + DAY_MS, undoes=undone, **money)
    for _ in range(2):
        taken, given = await store.payments.transfer(undo)
        assert (taken.after, given.after, given.expires_at) == (0, 0, None)
        assert taken.expires_at == (None if taken.repeated else STARTED + 9 * DAY_MS)
    assert taken.repeated
    assert {"one", "undo 1", "undo 2"} <= set(await store.numbers())
    assert await expiries(store) == {}


def reverse(of: Payment, number: int, **changes) -> Payment:
    undone = UndoneEntry(of.reference, of.made_at, of.kind)
    own = {"reference": f"undo {number}", "made_at": STARTED + 2 * DAY_MS, "undoes": undone}
    return replace(of, amount=-of.amount, **(own | changes))


async def undo(store, of: Payment, **changes):
    return await store.payments.add(reverse(of, (await store.numbers())[of.reference], **changes))


SECOND = payment(reference="bank-2", made_at=STARTED + DAY_MS)


async def test_an_undone_payment_gives_its_days_back_and_the_configuration_counts_again(store):
    await store.payments.add(payment())
    receipt = await undo(store, payment())
    assert (receipt.after, receipt.expires_at) == (0, STARTED + 9 * DAY_MS)
    assert await expiries(store) == {}
    again = await undo(store, payment())
    assert (again.repeated, again.expires_at) == (True, None)
    assert await expiries(store) == {}


@pytest.mark.parametrize("configured", [STARTED + 200 * DAY_MS, None])
async def test_the_configuration_counts_again_also_where_it_was_changed_since(store, configured):
    await store.payments.add(payment())
    receipt = await undo(store, payment(), configured_expiry=configured)
    assert (receipt.expires_at, await expiries(store)) == (configured, {})


async def test_the_validity_that_the_ledger_had_before_an_undone_payment_is_in_the_ledger_again(store):
    await store.payments.add(payment())
    await store.payments.add(SECOND)
    await undo(store, SECOND)
    assert await expiries(store) == {"acme": STARTED + 39 * DAY_MS}


async def test_a_validity_that_was_extended_again_since_stays_when_the_first_payment_is_undone(store):
    await store.payments.add(payment())
    await store.payments.add(SECOND)
    assert (await undo(store, payment())).expires_at is None
    assert await expiries(store) == {"acme": STARTED + 69 * DAY_MS}


@pytest.mark.parametrize("order", [(SECOND, payment()), (payment(), SECOND)])
async def test_two_payments_that_are_undone_leave_no_day_in_either_order(store, order):
    await store.payments.add(payment())
    await store.payments.add(SECOND)
    first, second = [await undo(store, each) for each in order]
    assert first.expires_at == (STARTED + 39 * DAY_MS if order[0] is SECOND else None)
    assert (second.after, second.expires_at, await expiries(store)) == (0, STARTED + 9 * DAY_MS, {})
    third = payment(reference="bank-3", made_at=STARTED + 3 * DAY_MS)
    assert (await store.payments.add(third)).expires_at == STARTED + 39 * DAY_MS
    assert (await undo(store, third)).expires_at == STARTED + 9 * DAY_MS
    assert await expiries(store) == {}


async def test_a_payment_between_undone_ones_keeps_its_days(store):
    third = payment(reference="bank-3", made_at=STARTED + 3 * DAY_MS)
    for each in (payment(), SECOND, third):
        await store.payments.add(each)
    assert (await undo(store, payment())).expires_at is None
    assert (await undo(store, third)).expires_at == STARTED + 69 * DAY_MS
    assert await expiries(store) == {"acme": STARTED + 69 * DAY_MS}
    assert (await undo(store, SECOND)).expires_at == STARTED + 9 * DAY_MS


def test_an_undo_takes_the_days_of_its_payment_also_when_that_is_in_an_archive():
    later = ValidityChange(4, memo_of("bank-3"), 90)
    changes = [later, ValidityChange(3, memo_of("undo 2"), 30), ValidityChange(2, memo_of("bank-2"), 60)]
    changes.append(ValidityChange(1, memo_of("bank-1"), 30))
    there = [PaymentEntry(3, "undo 2", 3), PaymentEntry(4, "bank-3", 4), PaymentEntry(5, "undo 4", 5)]
    assert without_undone(changes, there, UndoneEntry("bank-3", 4, EntryKind.PAYMENT)) == (True, 30)


async def test_an_undone_debit_extends_nothing(store):
    debit = payment("-5")
    await store.payments.add(debit)
    assert (await undo(store, debit)).expires_at is None
    assert await expiries(store) == {}


async def test_the_payments_of_an_account_whose_validity_never_changed_are_not_read_by_an_undo(database):
    """They may be hundreds of thousands, and bookings wait for the account's row meanwhile."""
    payments, paid = SqlPayments(database), payment(extends_days=0)
    await payments.add(paid)
    (entry,) = await entries_of(database)
    with statements_of(database, "ledger_entry.reference, ledger_entry.created_at") as read:
        assert (await payments.add(reverse(paid, entry.id))).expires_at is None
    assert read == []


async def test_a_validity_that_an_operator_has_set_stays_when_payments_before_it_are_undone(database):
    payments, validity, configured = SqlPayments(database), SqlValidity(database), STARTED + 9 * DAY_MS
    await payments.add(payment())
    await validity.set("acme", STARTED + 50 * DAY_MS, configured, "ann", "payment undo 1", STARTED + 1)
    await payments.add(SECOND)
    first, second = [each.id for each in await entries_of(database)]
    assert (await payments.add(reverse(payment(), first))).expires_at is None
    assert await validity.expiry("acme") == STARTED + 80 * DAY_MS
    assert (await payments.add(reverse(SECOND, second))).expires_at == STARTED + 50 * DAY_MS
    assert await validity.expiry("acme") == STARTED + 50 * DAY_MS


@pytest.mark.parametrize("cleared", [True, False])
async def test_what_an_operator_has_cleared_is_as_configured_after_an_undo(database, cleared):
    payments, validity, configured = SqlPayments(database), SqlValidity(database), STARTED + 9 * DAY_MS
    await validity.set("acme", STARTED + DAY_MS, configured, "ann", None, STARTED - 2)
    if cleared:
        await validity.set("acme", None, configured, "ann", None, STARTED - 1)
    await payments.add(payment())
    (number,) = [each.id for each in await entries_of(database)]
    restored = (await payments.add(reverse(payment(), number))).expires_at
    assert restored == (configured if cleared else STARTED + DAY_MS)
    assert await validity.expiry("acme") == (None if cleared else restored)


async def test_what_an_undo_does_to_the_validity_is_in_the_record_of_changes(database):
    payments = SqlPayments(database)
    await payments.add(payment())
    await payments.add(reverse(payment(), 1))
    (taken, _) = await SqlOverrides(database).changes(10, "acme")
    assert (taken.action, taken.override.value, taken.override.memo, taken.operator) == (
        OverrideAction.CLEARED, "2026-10-30T14:13:20.000Z", "payment undo 1", "ann",
    )  # fmt: skip


async def test_a_poll_after_the_payment_sees_the_new_expiry(store):
    await store.books.open_accounts(["acme", "other"])
    mark = (await store.books.standings()).mark
    await store.payments.add(payment())
    changes = await store.books.standings(mark)
    assert ({*changes.standings}, changes.expiries) == ({"acme"}, {"acme": STARTED + 39 * DAY_MS})


async def test_an_operator_sets_and_unsets_it_and_each_change_is_kept(database):
    validity, configured = SqlValidity(database), STARTED + 9 * DAY_MS
    await validity.set("acme", NEVER, configured, "ann", "friend of the house", STARTED)
    assert await validity.expiry("acme") == NEVER
    await validity.set("acme", STARTED + DAY_MS, configured, "bob", None, STARTED + 1)
    await validity.set("acme", None, configured, "bob", None, STARTED + 2)
    assert await validity.expiry("acme") is None
    assert await validity.expiry("idle") is None
    changes = await SqlOverrides(database).changes(10, "acme")
    assert [(each.action, each.before, each.override.value, each.operator) for each in changes] == [
        (OverrideAction.CLEARED, None, "2026-09-22T14:13:20.000Z", "bob"),
        (OverrideAction.SET, "never", "2026-09-22T14:13:20.000Z", "bob"),
        (OverrideAction.SET, "2026-09-30T14:13:20.000Z", "never", "ann"),
    ]
