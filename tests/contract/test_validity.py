"""Until when accounts are valid by the ledger: payments extend it, operators set it."""

from dataclasses import replace
from decimal import Decimal

import pytest
from doubles.data.records import STARTED

from vosd.billing.validity import DAY_MS, NEVER
from vosd.catalogue.ports import OverrideAction
from vosd.storage.overrides import SqlOverrides
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment, UndoneEntry
from vosd.storage.validity import SqlValidity


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


def undo(of: Payment, **changes) -> Payment:
    undone = UndoneEntry(of.reference, of.made_at)
    own = {"reference": "undo 1", "made_at": STARTED + 2 * DAY_MS, "undoes": undone}
    return replace(of, amount=-of.amount, **(own | changes))


async def test_an_undone_payment_gives_its_days_back_and_the_configuration_counts_again(store):
    await store.payments.add(payment())
    receipt = await store.payments.add(undo(payment()))
    assert (receipt.after, receipt.expires_at) == (0, STARTED + 9 * DAY_MS)
    assert await expiries(store) == {}
    again = await store.payments.add(undo(payment()))
    assert (again.repeated, again.expires_at) == (True, None)
    assert await expiries(store) == {}


async def test_the_validity_that_the_ledger_had_before_an_undone_payment_is_in_the_ledger_again(store):
    await store.payments.add(payment())
    second = payment(reference="bank-2", made_at=STARTED + DAY_MS)
    await store.payments.add(second)
    await store.payments.add(undo(second))
    assert await expiries(store) == {"acme": STARTED + 39 * DAY_MS}


async def test_a_validity_that_was_extended_again_since_stays_when_the_first_payment_is_undone(store):
    await store.payments.add(payment())
    await store.payments.add(payment(reference="bank-2", made_at=STARTED + DAY_MS))
    assert (await store.payments.add(undo(payment()))).expires_at is None
    assert await expiries(store) == {"acme": STARTED + 69 * DAY_MS}


async def test_an_undone_debit_extends_nothing(store):
    debit = payment("-5")
    await store.payments.add(debit)
    assert (await store.payments.add(undo(debit))).expires_at is None
    assert await expiries(store) == {}


async def test_a_validity_that_an_operator_has_set_since_stays_when_the_payment_is_undone(database):
    payments, validity, configured = SqlPayments(database), SqlValidity(database), STARTED + 9 * DAY_MS
    await payments.add(payment())
    await validity.set("acme", STARTED + 39 * DAY_MS, configured, "ann", "as agreed", STARTED + 1)
    assert (await payments.add(undo(payment()))).expires_at is None
    assert await validity.expiry("acme") == STARTED + 39 * DAY_MS


async def test_what_an_undo_does_to_the_validity_is_in_the_record_of_changes(database):
    payments = SqlPayments(database)
    await payments.add(payment())
    await payments.add(undo(payment()))
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
