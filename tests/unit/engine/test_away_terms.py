"""Accounts while the database is away: which take no calls, and what the calls of others may cost."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
import structlog
from doubles.data.builders import account, applied_rate, catalogue
from doubles.virtual.clock import ManualClock

from vosd.base.errors import Refusal
from vosd.billing.accounts import WhileAway
from vosd.billing.holds import AccountCredit
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.payers import occupy_payers
from vosd.engine.booking import away_terms
from vosd.engine.booking.away_terms import REARM_MS, AwayTerms, caps_of

PREPAID = account("prepaid", overdraft_limit=Decimal(0))
CAREFUL = account("careful", overdraft_limit=Decimal(0), database_away_cap=Decimal(2))
POSTPAID = account("postpaid", overdraft_limit=None)
WATCHED = account("watched", overdraft_limit=None, database_away_cap=Decimal(3))
ACCOUNTS = {each.id: each for each in (PREPAID, CAREFUL, POSTPAID, WATCHED)}
A_MINUTE = applied_rate("1.00")


def test_a_cap_is_the_accounts_own_or_that_of_accounts_with_a_limit():
    assert caps_of(ACCOUNTS.values(), Decimal(1000)) == {
        "prepaid": Decimal(1000), "careful": Decimal(2), "watched": Decimal(3),
    }  # fmt: skip
    assert caps_of(ACCOUNTS.values(), None) == {"careful": Decimal(2), "watched": Decimal(3)}


@pytest.fixture
def live() -> LiveState:
    credits = {name: AccountCredit(name, each.overdraft_limit, Decimal(10), 1) for name, each in ACCOUNTS.items()}
    return LiveState(credits)


class Booked:
    """So many calls have ended, and so many are booked."""

    ended = confirmed = 0


@pytest.fixture
def bookings() -> Booked:
    return Booked()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def terms(live, bookings, clock) -> AwayTerms:
    return AwayTerms(live, lambda: catalogue([], accounts=ACCOUNTS.values(), away_cap=Decimal(5)), bookings, clock)


async def comes_back(terms: AwayTerms) -> None:
    """End an outage as the watch over the database does."""
    await terms.note_used()
    await terms.set_away(False)


def minutes_held(credit: AccountCredit) -> int:
    """Hold a minute after the other until one is refused, at most twenty."""
    for count in range(20):
        if isinstance(credit.hold(A_MINUTE, 60, 3_600), Refusal):
            return count
    return 20


async def test_calls_may_cost_the_cap_of_the_account_and_no_more_than_it_has(live, terms):
    await terms.set_away(True)
    held = {name: minutes_held(live.credits[name]) for name in ACCOUNTS}
    assert held == {"prepaid": 5, "careful": 2, "postpaid": 20, "watched": 3}


async def test_what_runs_when_the_outage_begins_is_not_counted_and_what_is_booked_changes_nothing(live, terms):
    credit = live.credits["careful"]
    before = credit.hold(A_MINUTE, 60, 3_600)
    credit.post(Decimal(-1))
    await terms.set_away(True)
    assert credit.available == 2
    credit.release(before)
    credit.post(Decimal("-0.50"))
    assert credit.available == Decimal("2.50"), "the call has cost half of what it held"
    credit.committed(Decimal("8.50"), 2)
    credit.booked(Decimal("-1.50"))
    assert credit.available == Decimal("2.50")


async def test_a_balance_below_the_cap_bounds_calls_as_always(live, terms):
    live.credits["prepaid"].restore(Decimal(1), 2)
    await terms.set_away(True)
    assert minutes_held(live.credits["prepaid"]) == 1


async def test_the_cap_ends_with_the_outage_and_counts_anew_when_all_is_confirmed(live, terms, bookings, clock):
    credit = live.credits["careful"]
    await terms.set_away(True)
    assert minutes_held(credit) == 2
    bookings.ended = 7
    await comes_back(terms)
    assert credit.available == 8
    bookings.confirmed = 7
    clock.move_to(clock.now().mono + REARM_MS)
    terms.report()
    await terms.set_away(True)
    assert minutes_held(credit) == 2


@pytest.mark.parametrize(("booked", "stayed_ms"), [(6, REARM_MS), (7, REARM_MS - 1), (0, 0)])
async def test_short_outages_one_after_the_other_share_one_cap(live, terms, bookings, clock, booked, stayed_ms):
    """What was held, and what has ended, counts in the next: until it is booked and the database has stayed."""
    credit = live.credits["prepaid"]
    taken = 0
    for _ in range(4):
        await terms.set_away(True)
        first, second = (credit.hold(A_MINUTE, 60, 3_600) for _ in range(2))
        if not isinstance(first, Refusal):
            taken += 1
            credit.release(first)
            credit.post(Decimal(-1))
        taken += not isinstance(second, Refusal)
        bookings.ended += 7
        await comes_back(terms)
        bookings.confirmed = bookings.ended - 7 + booked
        clock.move_to(clock.now().mono + stayed_ms)
        terms.report()
    assert taken == 5
    assert credit.available == 5


async def test_a_payment_at_the_end_of_an_outage_gives_nothing_back_of_its_cap(live, terms):
    credit = live.credits["careful"]
    await terms.set_away(True)
    assert minutes_held(credit) == 2
    await terms.note_used()
    credit.committed(Decimal(1_000), 2)
    await terms.set_away(False)
    await terms.set_away(True)
    assert minutes_held(credit) == 0


async def test_a_database_that_comes_and_goes_before_balances_are_read_ends_no_outage(live, terms):
    credit = live.credits["careful"]
    await terms.set_away(True)
    assert minutes_held(credit) == 2
    await terms.note_used()
    await terms.set_away(True)
    assert minutes_held(credit) == 0


async def test_accounts_that_become_known_in_an_outage_have_their_caps(live, terms):
    """The database may go away while a start reads the balances: the outage has begun when the copy's are taken."""
    later = live.credits.pop("careful")
    await terms.set_away(True)
    assert minutes_held(live.credits["prepaid"]) == 5
    live.credits["careful"] = later
    await terms.set_away(True)
    assert minutes_held(later) == 2
    assert minutes_held(live.credits["prepaid"]) == 0
    await comes_back(terms)
    assert minutes_held(later) == 8


async def test_accounts_whose_caps_an_end_that_was_cancelled_took_away_have_them_in_the_next_outage(
    live, terms, monkeypatch
):
    monkeypatch.setattr(away_terms, "ACCOUNTS_AT_ONCE", 1)
    await terms.set_away(True)
    ending = asyncio.create_task(terms.set_away(False))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    await terms.set_away(True)
    assert {name: minutes_held(live.credits[name]) for name in ("prepaid", "careful", "watched")} == {
        "prepaid": 5, "careful": 2, "watched": 3,
    }  # fmt: skip


async def test_what_an_earlier_run_owes_counts_in_an_outage_soon_after_the_start(live, terms, bookings, clock):
    credit = live.credits["prepaid"]
    credit.post(Decimal(-4))
    bookings.ended = 1
    terms.note_owed()
    terms.report()
    await terms.set_away(True)
    assert minutes_held(credit) == 1
    await comes_back(terms)
    bookings.confirmed = 1
    clock.move_to(clock.now().mono + REARM_MS)
    await terms.set_away(True)
    assert minutes_held(credit) == 5


async def test_a_reload_in_an_outage_changes_the_limit_and_not_the_cap(live, terms):
    credit = live.credits["careful"]
    await terms.set_away(True)
    credit.set_terms(Decimal(100), None)
    assert credit.available == 2
    credit.set_terms(Decimal(-9), None)
    assert credit.available == 1
    await terms.set_away(False)
    assert credit.available == 1


async def test_an_account_whose_cap_refuses_a_call_is_reported_once(live, terms):
    await terms.set_away(True)
    with structlog.testing.capture_logs() as logged:
        terms.report()
        assert logged == []
        refusal = [live.credits["careful"].hold(A_MINUTE, 60, 3_600) for _ in range(4)][-1]
        minutes_held(live.credits["postpaid"])
        terms.report()
        terms.report()
    assert "as its database_away_cap allows no more" in refusal.detail
    assert [(line["event"], line["account"], line["cap"]) for line in logged] == [
        ("away_cap_reached", "careful", "2.00")
    ]


@pytest.mark.parametrize("name", ["careful", "watched"])
async def test_a_cap_makes_no_balance_low(live, terms, name):
    """The owner is mailed how much is left by balance and overdraft limit, and asked to pay where that is little."""
    credit, lows = live.credits[name], []
    credit.lows = lows
    credit.set_terms(credit.own_limit, Decimal(9))
    await terms.set_away(True)
    credit.hold(A_MINUTE, 60, 3_600)
    assert (lows, credit.left) == ([], 9)
    credit.hold(A_MINUTE, 60, 3_600)
    assert (lows, credit.left) == ([credit], 8)
    credit.set_terms(credit.own_limit, Decimal(8))
    assert not credit.is_low


async def test_an_account_may_take_no_calls_while_the_database_is_away(live, terms):
    refusing = msgspec.structs.replace(PREPAID, database_away=WhileAway.REFUSE)
    now = ManualClock().now()

    def answer(asked):
        return occupy_payers([asked], now, live, [])

    assert answer(refusing) is None
    await terms.set_away(True)
    assert answer(PREPAID) is None
    refusal = answer(refusing)
    assert (refusal.reason.text, refusal.status) == ("Overload", 503)
    assert occupy_payers([PREPAID, refusing], now, live, []).detail.startswith("agent "), "nor those below it"
    await terms.set_away(False)
    assert answer(refusing) is None


def test_calls_that_go_on_after_a_kill_in_an_outage_take_nothing_of_the_cap():
    rate, before = applied_rate("0.60"), AccountCredit("acme", Decimal(0), Decimal(50_000), 1)
    holds = [before.hold(rate, 60, 3_600) for _ in range(4_000)]
    before.bound(Decimal(1_000))
    after = AccountCredit("acme", Decimal(0), Decimal(50_000), 1)
    after.bound(Decimal(1_000))
    resumed = [after.resume(rate, each.amount, each.granted_s, each.advance_s) for each in holds]
    assert (after.reserved, after.available) == (before.reserved, before.available) == (2_400, 1_000)
    assert after.reach(resumed[0], 90) == before.reach(holds[0], 90) > 60
    after.bound(None)
    assert after.available == 47_600
