"""Spend limits of accounts in the running switch: what they count, and what reloads and outages do to them."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from unittest.mock import AsyncMock

import pytest
import structlog
from doubles.data.builders import account, applied_rate, catalogue, switch_settings
from doubles.data.records import answered_call
from doubles.journals import new_journal, opened, write_ended
from doubles.memory import store_with
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.turns import turns
from doubles.virtual.clock import ManualClock

from vosd.base.errors import Refusal
from vosd.base.ids import uuid7
from vosd.billing.accounts import Account
from vosd.billing.spending import SpendAction, SpendLimit, SpendPeriod
from vosd.cdr.lease import Claimant
from vosd.cdr.ports import RejectedRecord, StoreUnavailable
from vosd.cdr.record import Posting
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.recorder import Recorder
from vosd.engine.earlier_run import recover
from vosd.engine.journal import replay
from vosd.engine.service import SwitchService
from vosd.engine.settings import CdrSettings
from vosd.net.resolve import NameServerResolver
from vosd.sip.flows import Listener

TEN = {"acme": account("acme")}
HOUR_MS = 3_600_000
NOW = 1_790_000_000_000
PER_HOUR = SpendLimit(SpendPeriod.HOUR, Decimal(1), SpendAction.BLOCK)


async def spent_store(*ended_at: int) -> MemoryStore:
    store = await store_with("10")
    calls = [
        answered_call(number, customer_account="acme", fee=Decimal("0.40"), ended_at=at)
        for number, at in enumerate(ended_at, start=1)
    ]
    await store.book(calls)
    return store


async def test_what_calls_have_cost_in_the_present_hour_is_read_when_a_spend_limit_is_set():
    begin = NOW - NOW % HOUR_MS
    clock = ManualClock(wall=NOW)
    balances = Balances(await spent_store(begin - 1, begin, NOW), clock)
    balances.add_owed([Posting("acme", Decimal("-0.15"), "call-9/customer")])
    await balances.adopt({"acme": account("acme", spend_limits=(PER_HOUR,))})
    spending = balances.credits["acme"].spending
    assert (spending.spent(SpendPeriod.HOUR), spending.spent(SpendPeriod.DAY)) == (Decimal("0.95"), Decimal("1.35"))


@pytest.mark.parametrize("has_many", [False, True], ids=["in memory", "on disk"])
async def test_a_call_of_yesterday_that_waits_to_be_booked_spends_nothing_of_today(tmp_path, monkeypatch, has_many):
    """Three calls of an outage, and one of a minute ago: the start is ten minutes into the day."""
    if has_many:
        monkeypatch.setattr(replay, "UNBOOKED_IN_MEMORY", 0)
    midnight = NOW - NOW % (24 * HOUR_MS)
    clock = ManualClock(wall=midnight + HOUR_MS // 6)
    journal = opened(tmp_path / "journal", segment_bytes=1)
    for number, ended_at in enumerate((midnight - 12 * HOUR_MS, midnight - 6 * HOUR_MS, midnight + 540_000)):
        owed = (Posting("acme", Decimal(-30), f"call-{number}/customer", "USD"),)
        at = ended_at - 60_000
        write_ended(
            journal,
            answered_call(number, call_id=uuid7(at, bytes(10)), started_at=at, ended_at=ended_at, postings=owed),
        )
    balances = Balances(await store_with("1000"), clock)
    limits = tuple(SpendLimit(per, Decimal(95), SpendAction.BLOCK) for per in SpendPeriod)
    await balances.adopt({"acme": account("acme", spend_limits=limits)})
    after = new_journal(tmp_path / "journal")
    remains = after.open()
    assert bool(remains.on_disk) is has_many
    recorder = Recorder(MemoryStore(), after, balances.credits, CdrSettings(), clock=clock)
    recover(remains, after, recorder, balances, lambda _remains: None, lambda _closed: None)
    credit = balances.credits["acme"]
    assert credit.unbooked == -90
    assert [credit.spending.spent(per) for per in SpendPeriod] == [30, 30]


async def test_a_start_counts_a_refused_call_of_today_once(tmp_path):
    journal = opened(tmp_path / "journal")
    owed = (Posting("acme", Decimal(-30), "call-1/customer", "USD"),)
    journal.quarantine.put([RejectedRecord(answered_call(1, ended_at=NOW, postings=owed), "why")])
    journal.close()
    limited = account("acme", spend_limits=(PER_HOUR,))
    settings = switch_settings(tmp_path)
    store = await store_with("1000")
    lease = MemoryLease(store, has_ended=lambda _: True)
    listeners = [Listener("127.0.0.1", 5060, "udp", "udp:127.0.0.1:5060")]
    service = SwitchService(
        settings, catalogue([], accounts=[limited]), store, MemoryRegistrations(), lease, ManualClock(wall=NOW),
        listeners, NameServerResolver((), 1, 1),
    )  # fmt: skip
    await service.database.begin(Claimant("sw1", "this", "host", 1, ""))
    try:
        await service.learn()
        await service.start()
        credit = service.balances.credits["acme"]
        assert (credit.unbooked, credit.spending.spent(SpendPeriod.HOUR)) == (-30, 30)
        await service.stop()
    finally:
        await service.database.end()


async def test_a_limit_that_is_set_later_counts_unbooked_calls_of_its_periods_alone(tmp_path):
    clock = ManualClock(wall=NOW)
    journal = opened(tmp_path / "journal")
    balances = Balances(await store_with("1000"), clock)
    recorder = Recorder(MemoryStore(), journal, balances.credits, CdrSettings(), clock=clock)
    balances.owed_of = recorder.owed_of
    await balances.adopt(TEN)
    for number, ended_at in enumerate((NOW - 72 * HOUR_MS, NOW)):
        owed = (Posting("acme", Decimal(-30), f"call-{number}/customer", "USD"),)
        recorder.add(answered_call(number, ended_at=ended_at, postings=owed))
        balances.add_owed(owed)
    await balances.adopt({"acme": account("acme", spend_limits=(PER_HOUR,))})
    assert balances.credits["acme"].spending.spent(SpendPeriod.DAY) == 30


async def test_a_spend_limit_is_logged_once_in_its_hour_and_counts_anew_in_the_next():
    clock = ManualClock(wall=NOW)
    balances = Balances(await store_with("10"), clock)
    await balances.adopt({"acme": account("acme", spend_limits=(PER_HOUR,))})
    credit = balances.credits["acme"]
    credit.post(Decimal("-1.20"))
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            balances.watch_spending()
        clock.move_to(clock.now().mono + HOUR_MS)
        balances.watch_spending()
    found = [{name: line[name] for name in ("event", "account", "per", "limit", "action", "spent")} for line in lines]
    assert found == [
        {"event": "spend_limit_reached", "account": "acme", "per": "hour", "limit": "1.00", "action": "block",
         "spent": "1.20"}
    ]  # fmt: skip
    assert credit.spending.spent(SpendPeriod.HOUR) == 0


async def test_an_hour_begins_while_the_database_does_not_answer(monkeypatch):
    monkeypatch.setattr("vosd.engine.booking.balances.POLL_S", 0)
    monkeypatch.setattr("vosd.engine.booking.balances.LIMITED_AT_ONCE", 1)
    clock, store = ManualClock(wall=NOW), await store_with("10")
    balances = Balances(store, clock)
    await balances.adopt({name: account(name, spend_limits=(PER_HOUR,)) for name in ("acme", "bingo")})
    for name in ("acme", "bingo"):
        balances.credits[name].post(Decimal("-0.90"))
    asked = asyncio.Event()

    async def never(_mark: int = 0) -> None:
        asked.set()
        await asyncio.Event().wait()

    store.standings = never
    tasks = [asyncio.create_task(each()) for each in (balances.run, balances.watch)]
    await asked.wait()
    clock.move_to(clock.now().mono + HOUR_MS)
    await turns(20)
    assert not any(balances.credits[name].spending.spent(SpendPeriod.HOUR) for name in ("acme", "bingo"))
    for task in tasks:
        task.cancel()


async def test_the_calls_of_a_limit_that_a_reload_sets_are_looked_at_in_steps_within_a_second(monkeypatch):
    monkeypatch.setattr("vosd.engine.booking.balances.POLL_S", 0)
    monkeypatch.setattr("vosd.billing.spending.LOOKED_AT_ONCE", 2)
    clock, store = ManualClock(wall=NOW - NOW % HOUR_MS + 600_000), await store_with("1000")
    balances = Balances(store, clock)
    await balances.adopt(TEN)
    credit = balances.credits["acme"]
    for _ in range(5):
        credit.resume(applied_rate("0.60"), Decimal(36), 3_600, 60)
    await balances.adopt({"acme": account("acme", spend_limits=(PER_HOUR,))})
    watching = asyncio.create_task(balances.watch())
    await turns(20)
    watching.cancel()
    assert credit.spending.parts(SpendPeriod.HOUR, credit.reserved) == (0, 5 * Decimal("6.60"))


async def test_a_spend_limit_whose_history_could_not_be_read_is_not_set_until_it_is():
    class FailsOnce(MemoryStore):
        failures = 1

        async def spent_since(self, wanted: Sequence[tuple[str, int]]) -> list[Decimal]:
            if self.failures:
                self.failures -= 1
                raise StoreUnavailable("away")
            return [Decimal("0.95") for _ in wanted]

    balances = Balances(FailsOnce(), ManualClock(wall=NOW))
    limited = {"acme": account("acme", spend_limits=(PER_HOUR,))}
    with pytest.raises(StoreUnavailable):
        await balances.adopt(limited)
    assert balances.credits["acme"].spending is None
    await balances.adopt(limited)
    spending = balances.credits["acme"].spending
    assert (spending.spent(SpendPeriod.HOUR), spending.spent(SpendPeriod.DAY)) == (Decimal("0.95"), Decimal("0.95"))


async def test_limits_of_many_accounts_are_set_some_in_each_turn_and_calls_that_end_meanwhile_count_once(monkeypatch):
    """A limit of 20,000 accounts that a reload had set in a template kept the event loop for a second."""
    monkeypatch.setattr("vosd.engine.booking.balances.LIMITED_AT_ONCE", 2)
    balances = Balances(MemoryStore(), ManualClock(wall=NOW))
    balances.owed_of = owed_of = AsyncMock(return_value={"a": Decimal("0.40")})
    await balances.adopt(with_limits(**dict.fromkeys("abcdefg")))
    setting = asyncio.ensure_future(balances.adopt(with_limits(**dict.fromkeys("abcdefg", PER_HOUR))))
    counting = [0]
    while not owed_of.called:
        await asyncio.sleep(0)
        counting.append(sum(each.spending is not None for each in balances.credits.values()))
        if counting[-1] == 2 != counting[-2]:
            balances.add_owed([Posting("a", Decimal("-0.40"), "call-1/customer")])
    await setting
    assert max(after - before for before, after in pairwise(counting)) == 2
    assert balances.credits["a"].spending.spent(SpendPeriod.HOUR) == Decimal("0.40")


async def test_a_reload_without_spend_limits_lifts_them():
    balances = Balances(await store_with("10"), ManualClock(wall=NOW))
    await balances.adopt({"acme": account("acme", spend_limits=(PER_HOUR,))})
    await balances.adopt(TEN)
    assert balances.credits["acme"].spending is None
    balances.watch_spending()


async def test_spend_limits_hold_while_what_was_known_last_cannot_be_replaced_yet():
    store = await store_with("100")
    limit = SpendLimit(SpendPeriod.HOUR, Decimal(5), SpendAction.BLOCK)
    accounts = {"acme": account("acme", spend_limits=(limit,))}
    balances = Balances(store)
    balances.adopt_last_known(accounts, ())
    credit = balances.credits["acme"]
    credit.committed(Decimal(100), 1)
    balances.add_owed([Posting("acme", Decimal(-5), "call-1/customer")])
    assert isinstance(credit.hold(applied_rate(), 60, 60), Refusal)
    real, store.spent_since = store.spent_since, unavailable
    with pytest.raises(StoreUnavailable):
        await balances.adopt_anew(accounts, frozenset)
    assert isinstance(credit.hold(applied_rate(), 60, 60), Refusal)
    balances.watch_spending()
    store.spent_since = real
    await balances.adopt_anew(accounts, frozenset)
    assert credit.spending.spent(SpendPeriod.HOUR) == 5


class AwayForSums(MemoryStore):
    """A database that is away when what calls have cost is asked for."""

    is_away = False

    async def spent_since(self, wanted: Sequence[tuple[str, int]]) -> list[Decimal]:
        if self.is_away:
            raise StoreUnavailable("away")
        return await super().spent_since(wanted)


def with_limits(**limits: SpendLimit | None) -> dict[str, Account]:
    return {
        name: account(name, overdraft_limit=None, spend_limits=() if limit is None else (limit,))
        for name, limit in limits.items()
    }


def may_call(balances: Balances, name: str) -> bool:
    return not isinstance(balances.credits[name].hold(applied_rate(), 60, 60), Refusal)


@pytest.mark.parametrize("amount", [None, "0.01", "500"])
async def test_a_reload_that_is_refused_changes_no_spend_limit(amount):
    clock, store = ManualClock(wall=NOW), AwayForSums()
    balances = Balances(store, clock)
    in_force = with_limits(acme=PER_HOUR, bingo=None)
    await balances.adopt(in_force)
    balances.add_owed([Posting("acme", Decimal("-0.30"), "call-1/customer")])
    before = may_call(balances, "acme"), may_call(balances, "acme")
    assert before == (True, False)
    store.is_away = True
    edited = None if amount is None else SpendLimit(SpendPeriod.HOUR, Decimal(amount), SpendAction.BLOCK)
    with pytest.raises(StoreUnavailable):
        await balances.adopt(with_limits(acme=edited, bingo=PER_HOUR))
    assert not may_call(balances, "acme")
    balances.credits["acme"].spending.ended(Decimal("-0.60"))
    assert may_call(balances, "acme")
    assert balances.credits["bingo"].spending is None

    store.is_away = False
    await balances.adopt(with_limits(acme=edited, bingo=PER_HOUR))
    assert may_call(balances, "acme") is (amount != "0.01")
    balances.add_owed([Posting("bingo", Decimal(-1), "call-2/customer")])
    assert not may_call(balances, "bingo")
    clock.move_to(clock.now().mono + HOUR_MS)
    balances.watch_spending()
    assert may_call(balances, "bingo")


async def test_a_limit_that_is_being_set_refuses_nothing_and_counts_the_calls_that_end_meanwhile():
    class Slow(MemoryStore):
        async def spent_since(self, wanted: Sequence[tuple[str, int]]) -> list[Decimal]:
            for number in (1, 2):
                balances.add_owed([Posting("acme", Decimal("-0.40"), f"call-{number}/customer")])
                assert may_call(balances, "acme")
            return await super().spent_since(wanted)

    balances = Balances(Slow(), ManualClock(wall=NOW))
    await balances.adopt(with_limits(acme=None))
    await balances.adopt(with_limits(acme=PER_HOUR))
    assert balances.credits["acme"].spending.spent(SpendPeriod.HOUR) == Decimal("0.80")
    assert not may_call(balances, "acme")


async def test_a_call_that_ends_while_a_limit_is_being_set_counts_with_its_cost_of_the_present_hour(monkeypatch):
    class Slow(MemoryStore):
        async def spent_since(self, wanted: Sequence[tuple[str, int]]) -> list[Decimal]:
            found = await super().spent_since(wanted)
            while calls:
                credit.release(calls.pop())
                credit.post(Decimal(-6))
            return found

    monkeypatch.setattr("vosd.billing.spending.LOOKED_AT_ONCE", 2)
    balances = Balances(Slow(), ManualClock(wall=NOW - NOW % HOUR_MS + 300_000))
    await balances.adopt(TEN)
    credit = balances.credits["acme"]
    calls = [credit.resume(applied_rate("0.60"), Decimal(6), 600, 60) for _ in range(5)]  # 4 of 9 minutes are before
    await balances.adopt(with_limits(acme=PER_HOUR))
    assert credit.spending.parts(SpendPeriod.HOUR, credit.reserved) == (5 * Decimal("3.60"), 0)


async def test_a_currency_is_not_changed_before_all_else_is_read():
    """Else calls of the old catalogue would be admitted in the old currency meanwhile."""
    store = AwayForSums()
    balances = Balances(store, ManualClock(wall=NOW))
    await balances.adopt(with_limits(acme=None))
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        await balances.adopt({"acme": account("acme", currency="EUR", spend_limits=(PER_HOUR,))})
    assert await store.currencies(["acme"]) == {"acme": "USD"}


async def test_hours_of_an_account_that_is_gone_begin_anew_for_its_calls():
    clock = ManualClock(wall=NOW)
    balances = Balances(await store_with("10"), clock)
    await balances.adopt({"acme": account("acme", spend_limits=(PER_HOUR,))})
    credit = balances.credits["acme"]
    held = credit.hold(applied_rate(), 6, 3_600)
    credit.post(Decimal("-0.90"))
    await balances.adopt({})
    clock.move_to(clock.now().mono + HOUR_MS)
    balances.watch_spending()
    assert credit.spending.spent(SpendPeriod.HOUR) == 0
    credit.release(held)
    await balances.adopt({})
    credit.post(Decimal("-0.90"))
    await balances.adopt({"acme": account("acme")})
    assert credit.spending is None


async def test_an_account_that_returns_without_spend_limits_has_none():
    balances = Balances(MemoryStore(), ManualClock(wall=NOW))
    await balances.adopt(with_limits(acme=PER_HOUR))
    await balances.adopt({})
    await balances.adopt(with_limits(acme=None))
    assert balances.credits["acme"].spending is None


async def unavailable(*_arguments):
    raise StoreUnavailable("gone again")
