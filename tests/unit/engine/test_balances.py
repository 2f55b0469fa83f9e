"""What the running switch knows of accounts' money (ADR 3), of configured accounts and of others."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from decimal import Decimal

import pytest
import structlog
from doubles.data.builders import account, applied_rate
from doubles.memory import store_with
from doubles.memory.store import MemoryStore

from vosd.billing.accounts import DAY_MS
from vosd.cdr.ports import StoreUnavailable
from vosd.cdr.record import Posting
from vosd.engine.booking import balances as balances_module
from vosd.engine.booking.balances import LOWS_AT_ONCE, Balances, CurrencyChangedError
from vosd.storage.ports import EntryKind, Payment

TEN = {"acme": account("acme")}


async def test_what_waits_to_be_booked_is_known_of_an_account_that_is_not_configured_when_it_returns():
    balances = Balances(await store_with("10"))
    balances.add_owed([Posting("acme", Decimal(-4), "call-1/customer")])
    await balances.adopt({})
    await balances.adopt(TEN)
    assert balances.credits["acme"].available == 6


async def test_a_commit_reported_while_the_account_is_not_configured_counts_when_it_returns():
    balances = Balances(await store_with("10"))
    balances.add_owed([Posting("acme", Decimal(-4), "call-1/customer")])
    credit = balances.credits["acme"]
    credit.committed(Decimal(6), 2)
    credit.booked(Decimal(-4))
    await balances.adopt(TEN)
    assert (credit.balance, credit.unbooked) == (6, 0)


async def test_an_account_whose_balance_was_not_read_yet_lets_calls_have_nothing():
    balances = Balances(await store_with("10"))
    balances.add_owed([Posting("acme", Decimal(-4), "call-1/customer")])
    credit = balances.credits["acme"]
    assert not credit.is_read
    assert credit.hold(applied_rate(), 1, 60).status == 402


async def test_foreign_bookings_reach_an_account_that_is_not_configured_any_more():
    store = await store_with("10")
    balances = Balances(store)
    await balances.adopt(TEN)
    await balances.adopt({})
    await store.add(Payment(account="acme", kind=EntryKind.PAYMENT, reference="2", made_at=0, amount=Decimal(5)))
    await balances.refresh()
    assert balances.credits["acme"].balance == 15


async def test_a_start_reads_the_balances_of_many_accounts_once(monkeypatch):
    """The first look, a second later, asks for what has changed since, and gets that."""
    monkeypatch.setattr(balances_module, "ACCOUNTS_AT_ONCE", 1)
    store = await store_with("10")
    balances = Balances(store)
    await balances.adopt({**TEN, "other": account("other")})
    assert balances.mark > 0
    read = store.standings
    found = []

    async def noted(after=0):
        found.append(await read(after))
        return found[-1]

    store.standings = noted
    await balances.refresh()
    assert found[-1].standings == {}
    await store.add(Payment(account="acme", kind=EntryKind.PAYMENT, reference="2", made_at=0, amount=Decimal(5)))
    await balances.refresh()
    assert balances.credits["acme"].balance == 15


class CountingStore(MemoryStore):
    """Notes the accounts that are opened, and those whose currency is asked about or set."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.settled: list[str] = []

    async def open_accounts(self, accounts, currencies=None):
        self.opened += accounts
        await super().open_accounts(accounts, currencies)

    async def settle_currencies(self, wanted):
        self.settled += wanted
        return await super().settle_currencies(wanted)


@pytest.mark.parametrize("at_once", [1, 1_000])
async def test_a_start_opens_those_of_many_accounts_that_are_new_in_their_currencies(monkeypatch, at_once):
    monkeypatch.setattr(balances_module, "ACCOUNTS_AT_ONCE", at_once)
    store, many = CountingStore(), {name: account(name) for name in ("acme", "other")}
    await Balances(store).adopt(many)
    assert await store.currencies(many) == {name: each.currency for name, each in many.items()}
    balances = Balances(store)
    await balances.adopt(many)
    assert balances.currencies == {name: each.currency for name, each in many.items()}
    balances = Balances(store)
    await balances.adopt({**many, "new": account("new")})
    assert store.opened[2:] == ["new"] or at_once > 1
    assert store.settled == []  # which takes as long again
    assert balances.credits.keys() == balances.currencies.keys() == {"acme", "other", "new"}
    assert all(each.is_read for each in balances.credits.values())


async def test_balances_that_were_known_before_are_read_by_the_first_look(monkeypatch):
    monkeypatch.setattr(balances_module, "ACCOUNTS_AT_ONCE", 1)
    store = await store_with("10")
    balances = Balances(store)
    balances.adopt_last_known({"gone": account("gone")}, ())
    await balances.adopt_anew({**TEN, "other": account("other")}, frozenset)
    assert balances.mark == 0


async def most_in_a_turn(work: Awaitable[object], known: Callable[[], Collection[object]]) -> int:
    """Return how many more are known behind one turn of the event loop, at most."""
    task, found, most = asyncio.ensure_future(work), len(known()), 0
    while not task.done():
        await asyncio.sleep(0)
        most, found = max(most, len(known()) - found), len(known())
    await task
    return most


async def test_the_balances_of_many_accounts_are_taken_some_in_each_turn(monkeypatch):
    """Calls waited 0.1 to 0.2 s for 50,000 accounts."""
    monkeypatch.setattr(balances_module, "ACCOUNTS_AT_ONCE", 2)
    store, many = MemoryStore(), {name: account(name) for name in "abcdefg"}
    balances = Balances(store)
    assert await most_in_a_turn(balances.adopt(many), lambda: balances.credits) == 2
    assert balances.take_changed(7)
    for name in many:
        await store.add(Payment(account=name, kind=EntryKind.PAYMENT, reference=name, made_at=0, amount=Decimal(5)))
    assert await most_in_a_turn(balances.refresh(), lambda: [*range(balances.changed)]) == 2
    assert [each.balance for each in balances.credits.values()] == [5] * 7
    assert balances.take_changed(7)
    assert await most_in_a_turn(balances.read_anew(), lambda: [*range(balances.changed)]) == 2
    assert [each.balance for each in balances.credits.values()] == [5] * 7


async def test_a_look_that_is_cancelled_before_its_last_turn_leaves_the_rest_to_the_next(monkeypatch):
    monkeypatch.setattr(balances_module, "ACCOUNTS_AT_ONCE", 2)
    store, many = MemoryStore(), {name: account(name) for name in "abcdefg"}
    balances = Balances(store)
    await balances.adopt(many)
    for name in many:
        await store.add(Payment(account=name, kind=EntryKind.PAYMENT, reference=name, made_at=0, amount=Decimal(5)))
    look = asyncio.ensure_future(balances.refresh())
    for _ in range(100):
        if not any(each.balance for each in balances.credits.values()):
            await asyncio.sleep(0)
    look.cancel()
    await asyncio.wait({look})
    assert not all(each.balance for each in balances.credits.values())
    await balances.refresh()
    assert [each.balance for each in balances.credits.values()] == [5] * 7


class SlowStore(MemoryStore):
    """Calls are booked while it answers: what it returns was true when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile = []

    async def standings(self, after=0):
        changes = await super().standings(after)
        if self.meanwhile:
            await self.meanwhile.pop(0)()
        return changes


async def slowly_asked():
    store = SlowStore()
    await store.add(Payment(account="acme", kind=EntryKind.PAYMENT, reference="1", made_at=0, amount=Decimal(10)))
    balances = Balances(store)
    await balances.adopt(TEN)
    await store.add(Payment(account="acme", kind=EntryKind.PAYMENT, reference="2", made_at=0, amount=Decimal(5)))
    return store, balances


async def test_new_accounts_whose_balances_are_taken_before_their_currencies_are_known_are_taken_again(monkeypatch):
    """The copy on the disk would have none of them, by which a start without the database refuses another one."""
    monkeypatch.setattr(balances_module, "ACCOUNTS_AT_ONCE", 1)
    balances = Balances(MemoryStore())
    task = asyncio.ensure_future(balances.adopt({name: account(name, currency="EUR") for name in "ab"}))
    taken = {}
    while not task.done():
        await asyncio.sleep(0)
        taken |= {each.account: each.currency for each in balances.take_changed(10)}
    await task
    taken |= {each.account: each.currency for each in balances.take_changed(10)}
    assert taken == {"a": "EUR", "b": "EUR"}


async def test_an_account_that_was_booked_while_the_database_was_asked_has_lost_nothing():
    store, balances = await slowly_asked()

    async def book():
        await store.add(Payment(account="acme", kind=EntryKind.PAYMENT, reference="3", made_at=0, amount=Decimal(1)))
        balances.credits["acme"].committed(Decimal(16), 3)

    store.meanwhile.append(book)
    await balances.refresh()
    assert balances.behind == set()
    assert (balances.credits["acme"].balance, balances.credits["acme"].seq) == (16, 3)


async def test_an_account_that_lacks_a_committed_entry_when_asked_again_is_behind():
    store, balances = await slowly_asked()

    async def commit_and_lose():
        balances.credits["acme"].committed(Decimal(16), 3)

    store.meanwhile.append(commit_and_lose)
    await balances.refresh()
    assert balances.behind == {"acme"}


EURO = {"acme": account("acme", currency="EUR")}


async def test_an_account_with_money_keeps_its_currency():
    balances = Balances(await store_with("10"))
    await balances.adopt(TEN)
    with pytest.raises(CurrencyChangedError) as refused:
        await balances.adopt(EURO)
    assert refused.value.held == {"acme": "USD"}
    await balances.adopt(TEN)


async def test_an_account_whose_first_call_still_runs_keeps_its_currency():
    """Nothing stands in its ledger yet, and the call will be booked in the currency that it began with."""
    balances = Balances(MemoryStore())
    await balances.adopt({"acme": account("acme", overdraft_limit=None)})
    hold = balances.credits["acme"].hold(applied_rate(), 60, 60)
    with pytest.raises(CurrencyChangedError):
        await balances.adopt(EURO)
    balances.credits["acme"].release(hold)
    await balances.adopt(EURO)


async def test_an_account_that_a_running_call_will_pay_keeps_its_currency():
    """Nothing is reserved for a vendor, and the call will be booked in the currency of the rate that it copied."""
    balances = Balances(MemoryStore())
    await balances.adopt(TEN)
    with pytest.raises(CurrencyChangedError):
        await balances.adopt(EURO, lambda: {"acme"})
    await balances.adopt(EURO, lambda: {"other"})


async def test_a_call_that_begins_while_the_database_is_asked_keeps_the_currency(monkeypatch):
    store = MemoryStore()
    balances = Balances(store)
    other = account("other", currency="EUR")
    await balances.adopt({"acme": account("acme", overdraft_limit=None), "other": account("other")})
    settle, holds = store.settle_currencies, []

    async def settle_slowly(wanted):
        done = await settle(wanted)
        if not holds:
            holds.append(balances.credits["acme"].hold(applied_rate(), 60, 60))
        return done

    monkeypatch.setattr(store, "settle_currencies", settle_slowly)
    with pytest.raises(CurrencyChangedError) as refused:
        await balances.adopt({**EURO, "other": other})
    assert refused.value.held == {"acme": "USD"}
    assert await store.currencies(["acme", "other"]) == {"acme": "USD", "other": "USD"}
    balances.credits["acme"].release(holds[0])
    await balances.adopt({**EURO, "other": other})
    assert await store.currencies(["acme", "other"]) == {"acme": "EUR", "other": "EUR"}


async def test_an_account_that_another_process_gave_another_currency_is_refused_as_a_start_would():
    store = MemoryStore()
    balances = Balances(store)
    await balances.adopt(TEN)
    yen = Payment(account="acme", kind=EntryKind.PAYMENT, reference="2", made_at=0, amount=Decimal(5), currency="JPY")
    await store.add(yen)
    await balances.refresh()
    for _ in range(2):
        with pytest.raises(CurrencyChangedError) as refused:
            await balances.adopt(TEN, other=set())
        assert refused.value.held == {"acme": "JPY"}
        with pytest.raises(CurrencyChangedError):
            await balances.check_currencies(TEN)
    await balances.adopt({"acme": account("acme", currency="JPY")})
    assert balances.currencies == {"acme": "JPY"}
    await balances.adopt({"acme": account("acme", currency="JPY")}, other=set())


async def test_a_currency_is_set_again_where_the_database_went_away_while_it_was_changed(monkeypatch):
    store = MemoryStore()
    balances = Balances(store)
    await balances.adopt(TEN)
    settle = store.settle_currencies

    async def settle_and_go(wanted):
        await settle(wanted)
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "settle_currencies", settle_and_go)
    with pytest.raises(StoreUnavailable):
        await balances.adopt(EURO)
    monkeypatch.undo()
    assert await store.currencies(["acme"]) == {"acme": "EUR"}
    await balances.adopt(TEN, other=set())
    assert await store.currencies(["acme"]) == {"acme": "USD"}


async def test_an_account_that_was_never_used_may_change_its_currency():
    store = MemoryStore()
    balances = Balances(store)
    await balances.adopt(TEN)
    await balances.adopt(EURO)
    assert await store.currencies(["acme"]) == {"acme": "EUR"}


async def test_a_currency_that_changed_while_the_account_was_not_configured_is_noticed():
    balances = Balances(await store_with("10"))
    await balances.adopt(TEN)
    await balances.adopt({})
    with pytest.raises(CurrencyChangedError):
        await balances.adopt(EURO)


async def test_accounts_with_a_low_balance_are_logged_a_few_at_a_time():
    store, count = MemoryStore(), LOWS_AT_ONCE + 3
    accounts = {f"a{number}": account(f"a{number}", balance_low=Decimal(5)) for number in range(count)}
    balances = Balances(store)
    await balances.adopt(accounts)
    told = []
    for _ in range(3):
        with structlog.testing.capture_logs() as lines:
            balances.report_lows()
        told.append(len(lines))
    assert told == [LOWS_AT_ONCE, 3, 0]
    assert lines == []


async def test_the_event_has_account_amount_and_currency():
    balances = Balances(await store_with("10"))
    await balances.adopt({"acme": account("acme", balance_low=Decimal("9.50"))})
    balances.credits["acme"].hold(applied_rate(), 60, 60)
    with structlog.testing.capture_logs() as lines:
        balances.report_lows()
    assert lines == [
        {
            "event": "balance_low", "log_level": "warning", "account": "acme", "left": "9.40", "currency": "USD",
            "balance": "10.00", "reserved": "0.60", "balance_low": "9.50",
        }
    ]  # fmt: skip


async def test_the_expiry_of_the_ledger_is_taken_with_the_balance_and_given_up_with_it():
    store = await store_with("10")
    balances = Balances(store)
    await balances.adopt(TEN)
    terms = {"extends_days": 30, "configured_expiry": 5}
    await store.add(
        Payment(account="acme", kind=EntryKind.PAYMENT, reference="2", made_at=7, amount=Decimal(5), **terms)
    )
    assert balances.credits["acme"].expires_at is None
    await balances.refresh()
    extended = balances.credits["acme"].expires_at
    assert extended == 7 + 30 * DAY_MS
    later = Balances(store)
    await later.adopt(TEN)
    assert later.credits["acme"].expires_at == extended
