"""Money that operators take from accounts is not available to calls from the question until the balance is read."""

from decimal import Decimal

import pytest
import structlog
from doubles.data.builders import account, applied_rate
from doubles.memory.store import MemoryStore
from doubles.virtual.clock import ManualClock

from vosd.cdr.ports import StoreUnavailable
from vosd.engine.booking.balances import WITHDRAWAL_MS, Balances
from vosd.storage.ports import EntryKind, Payment

THREE = Decimal(3)


def refund(amount: Decimal, reference: str = "r1") -> Payment:
    return Payment(account="acme", kind=EntryKind.REFUND, reference=reference, made_at=0, amount=-amount)


class AwayStore(MemoryStore):
    is_away = False

    async def standings(self, after: int = 0):
        if self.is_away:
            raise StoreUnavailable("away")
        return await super().standings(after)


@pytest.fixture
async def store() -> AwayStore:
    store = AwayStore()
    await store.add(Payment(account="acme", kind=EntryKind.PAYMENT, reference="1", made_at=0, amount=Decimal(5)))
    return store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def balances(store: AwayStore, clock: ManualClock) -> Balances:
    balances = Balances(store, clock)
    await balances.adopt({"acme": account("acme"), "postpaid": account("postpaid", overdraft_limit=None)})
    return balances


async def test_a_withdrawal_is_taken_from_what_calls_may_have_until_its_balance_is_read(store, balances, clock):
    credit, withdrawals = balances.credits["acme"], balances.withdrawals
    name = withdrawals.begin("acme", THREE, clock.now().mono)
    assert (credit.available, credit.reserved) == (2, 0)
    assert credit.hold(applied_rate("180"), 1, 60).status == 402
    await balances.refresh()
    assert credit.available == 2, "its command has not booked yet"
    await store.add(refund(THREE))
    await balances.refresh()
    assert credit.available == -1, "it counts twice for a moment, never not at all"
    withdrawals.report(name)
    await balances.refresh()
    assert (credit.available, credit.withheld) == (2, 0)


async def test_a_withdrawal_beyond_what_running_calls_leave_is_refused_with_what_is_available(balances, clock):
    credit = balances.credits["acme"]
    credit.hold(applied_rate("180"), 1, 60)
    assert balances.withdrawals.begin("acme", THREE, clock.now().mono) == 2
    assert (credit.available, credit.withheld) == (2, 0)


async def test_two_withdrawals_take_no_more_together_than_there_is(balances, clock):
    withdrawals, now = balances.withdrawals, clock.now().mono
    assert isinstance(withdrawals.begin("acme", THREE, now), str)
    assert withdrawals.begin("acme", THREE, now) == 2


async def test_a_withdrawal_that_is_not_reported_ends_with_a_reading_after_its_time(balances, clock):
    balances.withdrawals.begin("acme", THREE, clock.now().mono)
    begun = clock.now().mono
    clock.move_to(begun + WITHDRAWAL_MS - 1)
    await balances.refresh()
    assert balances.credits["acme"].available == 2
    clock.move_to(begun + WITHDRAWAL_MS)
    with structlog.testing.capture_logs() as lines:
        await balances.refresh()
    assert [(line["event"], line["amount"]) for line in lines] == [("withdrawal_not_reported", "3.00")]
    assert balances.credits["acme"].available == 5


async def test_what_is_withheld_stays_so_while_the_database_is_away(store, balances, clock):
    name = balances.withdrawals.begin("acme", THREE, clock.now().mono)
    balances.withdrawals.report(name)
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        await balances.refresh()
    assert balances.credits["acme"].available == 2
    store.is_away = False
    await balances.refresh()
    assert balances.credits["acme"].available == 5


async def test_accounts_without_limit_and_accounts_that_no_call_can_use_are_never_short(balances, clock):
    for name in ("postpaid", "unknown"):
        assert isinstance(balances.withdrawals.begin(name, THREE, clock.now().mono), str)
    balances.withdrawals.report("no such withdrawal")
    await balances.refresh()
