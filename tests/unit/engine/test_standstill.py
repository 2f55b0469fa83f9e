"""A process that stood still processes nothing until its lease was asked for."""

from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate
from doubles.watched_database import ONE, OTHER, Installation, Server

from vosd.cdr.ports import StoreUnavailable
from vosd.engine.booking.standstill import DOUBT_MS, GAP_MS, STALE_MS, Standstill
from vosd.storage.ports import EntryKind, Payment

LONG_MS = STALE_MS + GAP_MS + 1


class Part:
    """A part of the switch, and how often it went on."""

    def __init__(self) -> None:
        self.resumed = 0

    def resume(self) -> None:
        self.resumed += 1


class Elapsed:
    ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def elapsed():
    return Elapsed()


@pytest.fixture
def part():
    return Part()


@pytest.fixture
def standstill(elapsed, part):
    standstill = Standstill(elapsed)
    standstill.connect(part, resume=part.resume)
    standstill.held(elapsed.ms)
    return standstill


def test_a_short_pause_and_a_lease_that_is_fresh_are_no_doubt(standstill, elapsed, part):
    elapsed.ms += GAP_MS
    assert not part.stands_still()
    for _ in range(20):  # the database hangs, and the process goes on
        elapsed.ms += GAP_MS
        assert not part.stands_still()
    standstill.held(elapsed.ms)
    elapsed.ms += STALE_MS  # stopped, but no other switch can have taken it
    assert not part.stands_still()


def test_the_first_look_after_a_long_standstill_stops_everything_until_the_lease_was_asked_for(
    standstill, elapsed, part
):
    elapsed.ms += LONG_MS
    assert part.stands_still()
    assert standstill.wanted.is_set()
    elapsed.ms += 10
    assert part.stands_still()
    standstill.held(elapsed.ms)
    assert not part.stands_still()
    assert part.resumed == 1


def test_a_renewal_that_was_sent_before_the_standstill_ends_no_doubt(standstill, elapsed, part):
    asked_ms = elapsed.ms
    elapsed.ms += LONG_MS
    assert part.stands_still()
    standstill.held(asked_ms)
    standstill.refused(asked_ms)
    assert part.stands_still()
    standstill.refused(elapsed.ms)
    assert not part.stands_still()


def test_a_database_that_does_not_answer_holds_nothing_up_for_longer_than_five_seconds(standstill, elapsed, part):
    elapsed.ms += LONG_MS
    assert part.stands_still()
    for step_ms in (GAP_MS, GAP_MS, DOUBT_MS - 2 * GAP_MS - 1):
        elapsed.ms += step_ms
        assert part.stands_still()
    elapsed.ms += 1
    assert not part.stands_still()
    assert part.resumed == 1


def test_a_process_that_stands_still_again_before_its_lease_was_asked_for_asks_anew(standstill, elapsed, part):
    """The time of the second standstill counted as one in which the database had not answered."""
    elapsed.ms += LONG_MS
    assert part.stands_still()
    asked_ms = elapsed.ms
    standstill.wanted.clear()
    elapsed.ms += LONG_MS
    assert part.stands_still()
    assert standstill.wanted.is_set()
    standstill.held(asked_ms)
    assert part.stands_still()
    standstill.held(elapsed.ms)
    assert not part.stands_still()
    assert part.resumed == 1


def test_a_process_without_a_lease_is_never_in_doubt(elapsed, part):
    standstill = Standstill(elapsed)
    standstill.connect(part, resume=part.resume)
    elapsed.ms += LONG_MS
    assert not part.stands_still()


@pytest.fixture
async def switch(tmp_path, elapsed, part):
    server = Server()
    switch = Installation(tmp_path, server, elapsed)
    switch.watch.standstill.connect(part, resume=part.resume)
    await switch.watch.begin(ONE)
    await pay(server, "10", "bank-1")
    await switch.balances.adopt({"acme": account("acme"), "postpaid": account("postpaid", overdraft_limit=None)})
    await switch.compared()
    yield switch
    switch.journal.close()


async def pay(server, amount, reference):
    await server.add(
        Payment(account="acme", kind=EntryKind.ADJUSTMENT, amount=Decimal(amount), reference=reference, made_at=0)
    )


def reached(switch, name: str = "acme") -> int:
    """Return how many seconds a running call would be granted that holds one."""
    credit = switch.balances.credits[name]
    hold = credit.hold(applied_rate("60"), 1, 3_600)
    reached_s = credit.reach(hold, 5)
    credit.release(hold)
    return reached_s


async def test_what_another_switch_has_booked_is_read_before_calls_go_on(switch, elapsed, part):
    assert reached(switch) == 5
    elapsed.ms += LONG_MS
    assert part.stands_still()
    assert (reached(switch), reached(switch, "postpaid")) == (1, 5), "nothing is granted before the lease was asked for"
    await pay(switch.server, "-9", "spent elsewhere")
    await switch.watch.look()
    assert not part.stands_still()
    assert reached(switch) == 1


async def test_calls_are_granted_nothing_that_costs_while_another_switch_has_the_database(switch, elapsed, part):
    elapsed.ms += LONG_MS
    assert part.stands_still()
    switch.server.now_ms = 10_001
    await switch.server.lease.hold(OTHER)
    await switch.watch.look()
    assert not part.stands_still()
    assert (reached(switch), reached(switch, "postpaid")) == (1, 5)
    await pay(switch.server, "-7", "spent elsewhere")
    await switch.server.release(OTHER)
    await switch.watch.look()
    assert reached(switch) == 3, "granted again, of the balance that is left"


async def test_a_lease_that_is_back_is_not_enough_while_the_balances_cannot_be_read(switch, elapsed, part, monkeypatch):
    async def fail() -> None:
        raise StoreUnavailable("away")

    elapsed.ms += LONG_MS
    assert part.stands_still()
    monkeypatch.setattr(switch.balances, "refresh", fail)
    await switch.watch.look()
    assert part.stands_still()


async def test_calls_are_granted_money_again_where_the_database_does_not_answer(switch, elapsed, part):
    elapsed.ms += LONG_MS
    assert part.stands_still()
    switch.server.is_away = True
    await switch.watch.look()
    for _ in range(DOUBT_MS // 1_000):
        assert part.stands_still()
        elapsed.ms += 1_000
    assert not part.stands_still()
    assert reached(switch) == 5
