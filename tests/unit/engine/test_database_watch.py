"""The watch over the database: the lease, lost commits, and booking again what a database has lost."""

import asyncio
import errno
import os
import threading
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
import structlog
from doubles.data.builders import account
from doubles.data.records import answered_call, call_id, refused_call, rejected
from doubles.memory import MemoryStore
from doubles.watched_database import ONE, OTHER, Installation, MemoryStandings, Server, booking_installation

from vosd.base.money import format_amount
from vosd.cdr.lease import DatabaseState
from vosd.cdr.ports import StoreUnavailable
from vosd.control.installation import DatabaseReport
from vosd.engine.booking.database_watch import Memo, MemoFile, regression
from vosd.storage.ports import EntryKind, Payment

STATE = DatabaseState("identity", 1, commits=10, epoch=1, renewals=5)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
async def switch(tmp_path, server):
    async with booking_installation(tmp_path, server) as switch:
        yield switch


async def pay(server, amount, reference="bank-1"):
    await server.add(
        Payment(account="acme", kind=EntryKind.PAYMENT, amount=Decimal(amount), reference=reference, made_at=0)
    )


def available(switch):
    credit = switch.balances.credits["acme"]
    return credit.balance + credit.unbooked


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (STATE._replace(renewals=6), None),
        (STATE._replace(renewals=7, commits=11, epoch=3), None),
        (STATE._replace(renewals=6, server=2), None),
        (STATE._replace(renewals=6, commits=9), "its counter of commits went back from 10 to 9"),
        (STATE._replace(renewals=5), "its count of lease renewals went back from 5 to 4"),
        (STATE._replace(renewals=6, identity="new"), "it is another database (new, was identity)"),
    ],
)
def test_lost_commits_show_in_the_counters_and_the_identity(seen, expected):
    assert regression(STATE, seen) == expected


async def test_a_database_that_lost_commits_gets_its_calls_back_and_its_balances_are_read_anew(switch, server):
    await pay(server, 100)
    await switch.balances.refresh()
    before = MemoryStore()
    await before.open_accounts(["acme", "carrier"])
    await pay(before, 40)
    calls = [answered_call(1, customer_account="acme"), refused_call(2), answered_call(3, customer_account="acme")]
    await switch.end_calls(*calls)

    server.replace_by(before)
    with structlog.testing.capture_logs() as logged:
        await switch.watch.look()
        assert switch.watch.refuses_calls
        assert switch.watch.report().state == "regressed"
        await switch.compared()

    charged = sum(posting.amount for each in calls for posting in each.postings if posting.account == "acme")
    assert len(await before.lacking(calls)) == 0
    assert available(switch) == (await before.standing("acme")).balance == 40 + charged
    assert [line["event"] for line in logged] == ["database_regressed", "database_mended", "payments_lost"]
    assert switch.times_mended == 1
    assert (logged[1]["booked_again"], logged[1]["balances_changed"]) == (3, 1)
    report = switch.watch.report()
    assert (report.state, report.booked_again, report.regressed_at is not None) == ("well", 3, True)


async def test_commits_since_the_latest_renewal_count_as_known(switch, server):
    """The calls were booked, and lost with the server, between two renewals."""
    await switch.watch.look()
    state = MemoryStore()
    state.commits, lease = server.store.commits, server.lease
    await switch.end_calls(refused_call(1))
    server.replace_by(state)
    server.lease._renewals, server.lease._epochs = lease._renewals, lease._epochs

    await switch.watch.look()
    assert switch.watch.report().state == "regressed"
    await switch.compared()
    assert await state.call(call_id(1)) is not None


async def test_an_account_with_fewer_entries_than_before_is_a_loss_that_no_counter_shows(switch, server):
    """As when a single table was restored."""
    lost, next_call = answered_call(1, customer_account="acme"), answered_call(2, customer_account="acme")
    await switch.end_calls(lost, answered_call(3, customer_account="acme"))
    before, lease = server.store, server.lease
    server.replace_by(MemoryStore())
    server.store.commits, server.lease._renewals, server.lease._epochs = before.commits, lease._renewals, lease._epochs
    await switch.watch.look()
    assert switch.watch.report().state == "well"

    await switch.end_calls(next_call)
    await switch.watch.look()
    await switch.compared()

    assert await server.lacking([lost, next_call]) == []
    assert switch.balances.credits["acme"].balance == (await server.standing("acme")).balance
    assert switch.watch.report().booked_again == 2


async def test_a_comparison_that_a_fault_has_ended_is_made_again(switch, server, monkeypatch):
    """No call is taken until it is done."""
    await switch.end_calls(answered_call(1))
    server.replace_by(MemoryStore())
    await switch.watch.look()

    async def fails(*_):
        raise ValueError("it cannot be compared")

    with monkeypatch.context() as patched:
        patched.setattr(switch.watch._comparison, "mend", fails)
        with pytest.raises(ValueError, match="it cannot be compared"):
            await switch.watch.compare()
    assert switch.watch.refuses_calls
    await switch.compared()
    assert not switch.watch.refuses_calls


async def test_a_booking_that_crossed_a_payment_is_no_loss(switch, server):
    switch.recorder.behind.add("acme")
    await switch.watch.look()
    with structlog.testing.capture_logs() as logged:
        await switch.compared()
    assert logged == []
    assert not switch.watch._comparison.is_wanted


async def test_another_server_is_compared_while_calls_are_taken(switch, server):
    await switch.end_calls(answered_call(1))
    server.lease.server = 2
    with structlog.testing.capture_logs() as logged:
        await switch.watch.look()
        assert not switch.watch.refuses_calls
        await switch.compared()
    assert [line["event"] for line in logged] == ["database_changed"]


async def test_a_database_that_was_merely_away_is_not_compared(switch, server):
    await switch.end_calls(answered_call(1))
    server.is_away = True
    with structlog.testing.capture_logs() as logged:
        await switch.watch.look()
        await switch.watch.look()
        assert (switch.watch.refuses_calls, switch.watch.report().state) == (False, "away")
        server.is_away = False
        await switch.watch.look()
    assert [line["event"] for line in logged] == ["database_away", "database_back"]
    assert not switch.watch._comparison_wanted.is_set()


async def test_the_database_is_away_until_the_balances_are_read_again(switch, server):
    """Until then calls are taken as in the outage, so ``well`` would be wrong."""
    states = []

    async def note_used():
        states.append(switch.watch.report().state)

    switch.watch.note_used = note_used
    server.is_away = True
    await switch.watch.look()
    server.is_away = False
    await switch.watch.look()
    assert (states, switch.watch.report().state) == (["away"], "well")


async def test_terms_of_an_outage_that_a_start_has_cancelled_are_set_by_the_next_look(switch, server):
    set_away = switch.watch.set_away = AsyncMock(side_effect=[asyncio.CancelledError, None])
    server.is_away = True
    with pytest.raises(asyncio.CancelledError):
        await switch.watch.look()
    await switch.watch.look()
    await switch.watch.look()
    assert [each.args for each in set_away.await_args_list] == [(True,), (True,)]


@pytest.mark.parametrize("is_away", [True, False])
async def test_terms_of_an_outage_that_were_changed_in_part_become_those_of_the_next_look(switch, server, is_away):
    """Calls were refused and bounded until the next outage, or bounded by nothing in one."""
    set_away = switch.watch.set_away = AsyncMock()
    if not is_away:
        server.is_away = True
        await switch.watch.look()
    set_away.side_effect = [asyncio.CancelledError, None]
    server.is_away = is_away
    with pytest.raises(asyncio.CancelledError):
        await switch.watch.look()
    server.is_away = not is_away
    await switch.watch.look()
    assert set_away.await_args.args == (not is_away,)
    assert switch.watch.report().state == ("well" if is_away else "away")


async def test_a_start_without_the_database_is_away_until_it_has_caught_up(tmp_path, server):
    switch = Installation(tmp_path / "late", server)
    server.is_away = True
    switch.watch.wait()
    await switch.watch.look()
    server.is_away = False
    await switch.watch.begin(ONE)
    renewals = server.lease._renewals.copy()
    await switch.watch.look()
    assert server.lease._renewals != renewals, "the lease is renewed meanwhile"
    assert switch.watch.report().state == "away"
    switch.watch.caught_up()
    assert switch.watch.report().state == "well"
    switch.journal.close()


async def test_a_restore_while_the_switch_was_down_is_noticed_by_the_next_start(tmp_path, switch, server):
    await switch.end_calls(answered_call(1), answered_call(2))
    await switch.watch.look()
    await switch.watch.end()
    switch.journal.flush()

    server.replace_by(MemoryStore())
    again = Installation(tmp_path, server)
    await again.watch.begin(ONE)
    assert again.watch.refuses_calls
    await again.compared()
    assert await server.lacking([answered_call(1), answered_call(2)]) == []


async def test_a_start_on_a_restored_database_names_the_lost_payments_and_no_account_that_lost_calls_alone(
    tmp_path, server
):
    """They are known from the copy of the balances, for this process has read none before the loss."""
    copy, names = MemoryStandings(), ("acme", "carrier")
    accounts = {name: account(name) for name in names}

    async def begun(claimant):
        switch = Installation(tmp_path, server, copy=copy)
        await switch.watch.begin(claimant)
        await switch.balances.adopt(accounts)
        await switch.copier.write()
        return switch

    switch = await begun(ONE)
    await switch.compared()
    backup = deepcopy(server.store)
    await pay(server, 70)
    await switch.balances.refresh()
    await switch.end_calls(answered_call(1, customer_account="acme", vendor_account="carrier"))
    await switch.copier.write()
    before = switch.balances.committed()
    assert before["carrier"].balance, "a call alone changes it"
    await switch.watch.end()
    switch.journal.close()

    for claimant, is_killed in ((OTHER, True), (ONE, False)):
        server.replace_by(deepcopy(backup))
        switch = await begun(claimant)
        if is_killed:  # the next process still knows the balances of before the loss
            switch.journal.close()
            continue
        with structlog.testing.capture_logs() as logged:
            await switch.compared()
    (mended,) = (line for line in logged if line["event"] == "database_mended")
    known, now = before["acme"].balance, before["acme"].balance - 70
    assert mended["balances"] == {"acme": f"was {format_amount(known)}, is {format_amount(now)}, 70.00 less"}
    assert (mended["booked_again"], mended["do"]) == (1, "book payments again that were lost")
    await switch.copier.write()
    assert copy.by_account["acme"].balance == now
    switch.journal.close()


async def test_the_copy_gets_the_balances_that_its_disk_had_no_room_for(tmp_path, server):
    copy = MemoryStandings()
    switch = Installation(tmp_path, server, copy=copy)
    await switch.watch.begin(ONE)
    await switch.balances.adopt({"acme": account("acme")})
    await switch.compared()
    await switch.copier.write()
    copy.is_full = True
    await pay(server, 70)
    await switch.balances.refresh()
    await switch.copier.write()
    copy.is_full = False
    await switch.copier.write()
    assert copy.by_account["acme"].balance == switch.balances.committed()["acme"].balance != 0
    switch.journal.close()


async def test_what_an_account_has_paid_since_it_left_the_configuration_is_no_lost_payment(tmp_path, server):
    copy = MemoryStandings()

    async def begun(*names):
        switch = Installation(tmp_path, server, copy=copy)
        await switch.watch.begin(ONE)
        await switch.balances.adopt({name: account(name) for name in names})
        with structlog.testing.capture_logs() as logged:
            await switch.compared()
        await switch.copier.write()
        return switch, [line for line in logged if line["event"] in {"database_mended", "payments_lost"}]

    async def stop(switch):
        await switch.balances.refresh()
        await switch.copier.write()
        await switch.watch.end()
        switch.journal.close()

    switch, _ = await begun("acme", "carrier")
    await pay(server, 70)
    await stop(switch)
    switch, _ = await begun("carrier", "other")
    await pay(server, -70, "paid back")
    backup = deepcopy(server.store)
    await switch.end_calls(answered_call(1, customer_account="other", vendor_account="carrier"))
    await stop(switch)
    assert copy.by_account["acme"].balance == 70

    server.replace_by(backup)
    switch, (mended,) = await begun("carrier", "other")
    assert (mended["balances"], mended["do"], mended["booked_again"]) == ({}, "nothing", 1)
    assert copy.by_account["acme"].balance == 0
    switch.journal.close()


async def test_an_interrupted_comparison_forgets_no_lost_payment_of_an_account_that_left_the_configuration(
    tmp_path, server, monkeypatch
):
    copy = MemoryStandings()
    before = Installation(tmp_path, server, copy=copy)
    await before.watch.begin(ONE)
    await before.balances.adopt({name: account(name) for name in ("acme", "carrier")})
    await before.compared()
    backup = deepcopy(server.store)
    await pay(server, 70)
    await before.balances.refresh()
    await before.copier.write()
    await before.watch.end()
    before.journal.close()

    server.replace_by(backup)
    after = Installation(tmp_path, server, copy=copy)
    await after.watch.begin(ONE)
    await after.balances.adopt({"carrier": account("carrier")})
    with monkeypatch.context() as interrupted:
        interrupted.setattr(after.watch, "_mended", _gone_away)
        with pytest.raises(StoreUnavailable):
            await after.compared()
    after.watch._comparison_wanted.set()  # as ``compare`` does
    with structlog.testing.capture_logs() as logged:
        await after.compared()
    (mended,) = (line for line in logged if line["event"] == "database_mended")
    assert mended["balances"] == {"acme": "was 70.00, is 0.00, 70.00 less"}
    (lost,) = (line for line in logged if line["event"] == "payments_lost")
    assert (lost["accounts"], lost["less"], lost["greatest"]) == (1, "70.00 USD", "acme -70.00")
    assert lost["lost_at"].endswith("Z")
    assert lost.keys().isdisjoint({"more", "why"})
    assert copy.by_account["acme"].balance == 0
    after.journal.close()


async def _gone_away():
    raise StoreUnavailable("away")


async def test_a_start_that_does_not_know_the_balances_of_before_the_loss_says_so(tmp_path, switch, server):
    await switch.end_calls(answered_call(1))
    await switch.watch.end()
    server.replace_by(MemoryStore())
    after = Installation(tmp_path, server)
    await after.watch.begin(OTHER)
    with structlog.testing.capture_logs() as logged:
        await after.compared()
    (mended,) = (line for line in logged if line["event"] == "database_mended")
    assert "not known here" in mended["do"]
    (lost,) = (line for line in logged if line["event"] == "payments_lost")
    assert "balances of before are unknown" in lost["why"]


async def test_after_a_crash_the_journal_is_compared_while_calls_are_taken(tmp_path, switch, server):
    """The memo may be older than the latest booking: what proves the loss is the call that is missing."""
    await switch.end_calls(answered_call(1), answered_call(2))
    switch.journal.flush()
    memo = switch.memo.read()
    lost = MemoryStore()
    lost.commits = server.store.commits
    lease = server.lease
    server.replace_by(lost)
    server.lease._renewals, server.lease._epochs = lease._renewals, lease._epochs
    assert not memo.complete

    again = Installation(tmp_path, server)
    await again.watch.begin(ONE)
    assert again.memo.read().compare_from_s <= memo.compare_from_s, "until it was compared, after one more crash too"
    assert not again.watch.refuses_calls
    await again.compared()
    assert await server.lacking([answered_call(1), answered_call(2)]) == []
    assert again.watch.report().booked_again == 2


async def test_after_a_crash_files_that_were_finished_long_before_are_not_read(tmp_path, switch, server):
    await switch.end_calls(answered_call(1))
    server.replace_by(MemoryStore())
    server.store.commits = 1_000
    server.lease._renewals = {"sw1": 1_000}
    switch.memo.note(Memo(switch.watch._known, None, complete=False, compare_from_s=1_000))
    switch.memo.write()

    again = Installation(tmp_path, server)
    (booked,) = (tmp_path / "journal").glob("*.kept")
    os.utime(booked, (0, 0))
    await again.watch.begin(ONE)
    await again.compared()
    assert await server.lacking([answered_call(1)]) == [answered_call(1)]


async def test_mending_goes_on_after_a_crash_in_the_middle_of_it(tmp_path, switch, server):
    await switch.end_calls(answered_call(1))
    server.replace_by(MemoryStore())
    await switch.watch.look()
    assert switch.memo.read().regressed is not None

    await server.release(ONE)
    again = Installation(tmp_path, server)
    await again.watch.begin(ONE)
    assert again.watch.refuses_calls


async def test_a_call_that_waits_or_was_refused_by_the_database_is_not_missing(switch, server):
    waiting, refused = answered_call(1), answered_call(2)
    for record in (waiting, refused):
        switch.journal.ended(record)
    switch.recorder.add(waiting)
    await switch.journal.refused(rejected("why", refused))
    assert await switch.watch._comparison.missing_call() is None


async def test_another_switch_that_took_the_lease_ends_the_taking_of_calls_until_it_stops(switch, server):
    server.now_ms = 10_001  # the lease has run out: the database was away for this switch, not for the other one
    await server.lease.hold(OTHER)
    with structlog.testing.capture_logs() as logged:
        await switch.watch.look()
        await switch.watch.look()
        assert switch.watch.refuses_calls
        lease = "node sw1 on host host-b, pid 200"
        assert switch.watch.report() == DatabaseReport("lease_lost", lease, regressed_at=None, booked_again=0)
        await switch.end_calls(answered_call(1))
        assert await server.lacking([answered_call(1)]) == []
        await server.release(OTHER)
        await switch.watch.look()
    assert not switch.watch.refuses_calls
    assert [line["event"] for line in logged] == ["lease_lost", "lease_regained"]


async def test_a_stop_releases_the_lease_and_notes_that_nothing_is_left_to_compare(switch, server):
    await switch.watch.end()
    assert switch.memo.read() == Memo(
        switch.watch._known, None, complete=True, compare_from_s=switch.memo.read().compare_from_s, node="sw1"
    )
    await server.hold(OTHER)


async def test_a_switch_that_was_renamed_has_lost_nothing(tmp_path, switch, server):
    """Each name has a count of renewals of its own."""
    await switch.watch.look()
    await switch.watch.end()

    again = Installation(tmp_path, server)
    await again.watch.begin(ONE._replace(node="sw2"))
    assert again.watch.report().state == "well"
    assert again.watch.was_held_elsewhere


async def test_a_switch_that_was_renamed_finds_that_the_database_is_an_older_one(tmp_path, switch, server):
    await switch.end_calls(answered_call(1))
    await switch.watch.look()
    await switch.watch.end()
    server.replace_by(MemoryStore())

    again = Installation(tmp_path, server)
    await again.watch.begin(ONE._replace(node="sw2"))
    assert again.watch.report().state == "regressed"


def test_a_memo_that_cannot_be_read_is_as_none(tmp_path):
    memo = MemoFile(tmp_path / "database.json")
    assert memo.read() is None
    memo.note(Memo(STATE, "why", complete=False, compare_from_s=0))
    memo.write()
    assert MemoFile(tmp_path / "database.json").read() == Memo(STATE, "why", complete=False, compare_from_s=0)
    (tmp_path / "database.json").write_bytes(b"{")
    assert memo.read() is None


def test_a_memo_that_cannot_be_written_is_logged_once(tmp_path):
    memo = MemoFile(tmp_path / "missing" / "database.json")
    with structlog.testing.capture_logs() as logged:
        memo.note(Memo(STATE, None, complete=False, compare_from_s=0))
        memo.write()
        memo.note(Memo(STATE, None, complete=True, compare_from_s=0))
        memo.write()
    assert [line["event"] for line in logged] == ["database_memo_not_written"]


def test_a_memo_without_a_free_descriptor_asks_for_more_files(tmp_path, monkeypatch):
    def refuse(_path, _content, **_settings):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("vosd.engine.kept_file.replace_file", refuse)
    memo = MemoFile(tmp_path / "database.json")
    with structlog.testing.capture_logs() as logged:
        memo.note(Memo(STATE, None, complete=False, compare_from_s=0))
        memo.write()
    assert "LimitNOFILE" in logged[0]["do"]


async def test_the_loop_goes_on_while_the_disk_takes_the_memo(switch, monkeypatch):
    """To remove the file before may wait for the disk."""
    begun, goes_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    replace = Path.replace

    def replace_slowly(path, target):
        loop.call_soon_threadsafe(begun.set)
        assert goes_on.wait(60)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replace_slowly)
    looking = asyncio.create_task(switch.watch.look())
    await asyncio.wait_for(begun.wait(), 60)  # it gets here only if the loop does not wait
    assert not looking.done()
    goes_on.set()
    await looking


def test_what_was_noted_last_is_written_also_by_a_thread_that_began_before(tmp_path):
    memo = MemoFile(tmp_path / "database.json")
    earlier, later = (Memo(STATE, None, complete=each, compare_from_s=0) for each in (False, True))
    memo.note(earlier)
    memo.note(later)
    memo.write()
    memo.write()
    assert memo.read() == later


async def test_a_stop_that_has_no_answer_of_the_database_says_so(switch, server, monkeypatch):
    async def silent(_claimant):
        await asyncio.Event().wait()

    monkeypatch.setattr("vosd.engine.booking.database_watch.RELEASE_S", 0)
    monkeypatch.setattr(server.lease, "release", silent)
    with structlog.testing.capture_logs() as logged:
        await switch.watch.end()
    assert [(line["event"], line["error"]) for line in logged] == [("lease_not_released", "no answer in time")]
