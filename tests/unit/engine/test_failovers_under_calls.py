"""A failover while calls are booked: only lost payments change balances, for lost calls are booked again."""

import asyncio
from copy import deepcopy
from decimal import Decimal
from itertools import pairwise

import pytest
import structlog
from doubles.data.builders import account
from doubles.data.records import answered_call, partner_call
from doubles.watched_database import ONE, OTHER, Installation, MemoryStandings, Server
from msgspec.structs import replace

from vosd.cdr.ports import LastStanding, StoreUnavailable
from vosd.engine.booking import comparison
from vosd.storage.ports import EntryKind, Payment

ACCOUNTS = {"acme": account("acme"), "carrier": account("carrier", currency="EUR")}


@pytest.fixture
def server():
    return Server()


@pytest.fixture
async def switch(tmp_path, server):
    switch = Installation(tmp_path, server, copy=MemoryStandings())
    await switch.watch.begin(ONE)
    await switch.balances.adopt(ACCOUNTS)
    await switch.compared()
    await pay(server, 50)
    await talk(switch, 1)
    await switch.balances.refresh()
    await switch.copier.write()
    await switch.watch.look()
    yield switch
    switch.journal.close()


async def pay(server, amount, reference="bank-1"):
    payment = Payment(account="acme", kind=EntryKind.PAYMENT, amount=Decimal(amount), reference=reference, made_at=0)
    await server.store.add(payment)


def call(index):
    """Return a call of a price of its own; the vendor is paid in another currency."""
    plain = answered_call(
        index, customer_account="acme", vendor_account="carrier", fee=Decimal(index), cost=Decimal(index) / 4
    )
    charged, paid = plain.postings
    return replace(plain, postings=(charged, replace(paid, currency="EUR")), vendor_currency="EUR")


async def talk(switch, *indices):
    """Book calls one by one."""
    for index in indices:
        await switch.end_calls(call(index))


def fail_over(server, backup):
    """Put an earlier copy in the place of the database; its lease was renewed as long as the copy is old."""
    renewals, epochs = server.lease._renewals, server.lease._epochs
    server.replace_by(deepcopy(backup))
    server.lease._renewals = {name: number - 1 for name, number in renewals.items()}
    server.lease._epochs = dict(epochs)


async def mended(switch):
    """Renew the lease, compare, and return what the log says of balances, and the alarm."""
    with structlog.testing.capture_logs() as logged:
        await switch.watch.look()
        await switch.compared()
    (done,) = (line for line in logged if line["event"] == "database_mended")
    alarms = [line for line in logged if line["event"] == "payments_lost"]
    return done["balances"], alarms


@pytest.mark.parametrize("booked", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("lost", [1, 3])
async def test_calls_that_were_booked_before_the_loss_was_found_are_no_lost_payments(switch, server, lost, booked):
    backup = deepcopy(server.store)
    await talk(switch, *range(2, 2 + lost))
    fail_over(server, backup)
    await talk(switch, *range(10, 10 + booked))
    await switch.balances.refresh()
    assert await mended(switch) == ({}, [])
    assert switch.recorder.expected == {}


@pytest.mark.parametrize("booked", [1, 2, 3, 4])
async def test_a_lost_payment_is_named_with_its_amount_whatever_was_booked_since(switch, server, booked):
    backup = deepcopy(server.store)
    await talk(switch, 2)
    await pay(server, 70, "bank-2")
    await switch.balances.refresh()
    fail_over(server, backup)
    await talk(switch, *range(10, 10 + booked))
    balances, (alarm,) = await mended(switch)
    assert balances.keys() == {"acme"}
    assert balances["acme"].endswith("70.00 less")
    assert (alarm["accounts"], alarm["less"]) == (1, "70.00 USD")
    assert "more" not in alarm


async def test_the_same_holds_for_one_failover_after_another(switch, server):
    backup = deepcopy(server.store)
    await talk(switch, 2, 3)
    for times in range(2):
        fail_over(server, backup)
        await talk(switch, 10 + times)
        assert await mended(switch) == ({}, [])
    await pay(server, 5, "bank-3")
    await switch.balances.refresh()
    fail_over(server, backup)
    await talk(switch, 20)
    assert (await mended(switch))[0]["acme"].endswith("5.00 less")


async def test_calls_that_are_booked_while_a_comparison_waits_for_the_database_are_no_lost_payments(
    switch, server, monkeypatch
):
    backup = deepcopy(server.store)
    await talk(switch, 2, 3)
    fail_over(server, backup)
    await talk(switch, 10)
    await switch.watch.look()

    async def away(_records):
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(server, "lacking", away, raising=False)
        with pytest.raises(StoreUnavailable):
            await switch.compared()
    await talk(switch, 11)
    fail_over(server, backup)
    await talk(switch, 12)
    assert await mended(switch) == ({}, [])


async def test_the_money_of_partners_counts_with_its_sign(switch, server):
    backup = deepcopy(server.store)
    for index in (2, 3):
        await switch.end_calls(partner_call(index, "acme", "acme-partner"))
    fail_over(server, backup)
    await switch.end_calls(partner_call(4, "acme", "acme-partner"))
    assert await mended(switch) == ({}, [])


async def test_a_batch_that_is_repeated_is_expected_once_when_the_database_is_well(switch, server, monkeypatch):
    """The database has committed it, its answer was lost, and the balances were read before the next attempt."""
    book, answers = server.store.book, [StoreUnavailable("no answer")]

    async def without_answer(records):
        done = await book(records)
        if answers:
            await switch.balances.refresh()
            raise answers.pop()
        return done

    monkeypatch.setattr(server.store, "book", without_answer)
    await talk(switch, 2)
    await switch.watch.look()
    assert switch.recorder.expected == {}
    monkeypatch.undo()
    backup = deepcopy(server.store)
    await talk(switch, 3)
    fail_over(server, backup)
    await talk(switch, 4)
    assert await mended(switch) == ({}, [])


def losing_the_answer(switch, server, *, is_read):
    """Have the database commit the next batch without an answer; ``is_read``: the balances are read behind it."""
    store, book, answers = server.store, server.store.book, [StoreUnavailable("no answer")]

    async def without_answer(records):
        done = await book(records)
        if answers:
            if is_read:
                await switch.balances.refresh()
            raise answers.pop()
        return done

    store.book = without_answer
    return lambda: delattr(store, "book")


async def test_a_batch_that_is_repeated_hides_no_payment_that_is_lost_behind_it(switch, server):
    answer = losing_the_answer(switch, server, is_read=True)
    await talk(switch, 2)
    answer()
    assert switch.recorder.expected == {}
    backup = deepcopy(server.store)
    await pay(server, 70, "bank-2")
    await switch.balances.refresh()
    fail_over(server, backup)
    balances, (alarm,) = await mended(switch)
    assert (balances.keys(), alarm["less"]) == ({"acme"}, "70.00 USD")
    assert "more" not in alarm


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("lost", [1, 3])
async def test_a_batch_that_the_new_server_has_booked_without_an_answer_is_no_lost_payment(
    switch, server, before, lost
):
    backup = deepcopy(server.store)
    await talk(switch, *range(2, 2 + lost))
    fail_over(server, backup)
    await talk(switch, *range(10, 10 + before))
    answer = losing_the_answer(switch, server, is_read=False)
    await talk(switch, 20)
    answer()
    assert await mended(switch) == ({}, [])


@pytest.mark.parametrize("had", [0, 1, 6, 10])
@pytest.mark.parametrize("paid", [0, 70])
async def test_calls_of_the_run_before_that_the_database_has_are_no_lost_payments(tmp_path, switch, server, had, paid):
    """The machine and the database lose their power at once: the journal has calls as unbooked that were committed."""
    made = [call(index) for index in range(2, 12)]
    await server.store.book(made[:had])
    backup = deepcopy(server.store)
    if paid:
        await pay(server, paid, "bank-2")
        await switch.balances.refresh()
        await switch.copier.write()
    fail_over(server, backup)
    after = await restarted(tmp_path, switch, server)
    for record in made:
        after.journal.ended(record)
        after.balances.add_owed(record.postings)
        after.recorder.add_oldest(record)
    after.journal.flush()
    task = asyncio.create_task(after.recorder.run())
    async with asyncio.timeout(30):
        await after.watch._comparison.recall(is_left=False)
        await after.recorder.drained()
    task.cancel()
    balances, alarms = await mended(after)
    assert {name: shown.split(", ")[-1] for name, shown in balances.items()} == ({"acme": "70.00 less"} if paid else {})
    assert [alarm["less"] for alarm in alarms] == (["70.00 USD"] if paid else [])
    after.journal.close()


async def test_what_a_start_expects_of_many_accounts_is_taken_some_in_each_turn(tmp_path, server, monkeypatch):
    """Calls waited 60 ms for 100,000 accounts behind each start."""
    monkeypatch.setattr(comparison, "ACCOUNTS_AT_ONCE", 2)
    names = "abcdefg"
    copy = MemoryStandings()
    await copy.note([LastStanding(name, Decimal(5), 9, None, "USD") for name in names])
    switch = Installation(tmp_path, server, copy=copy)
    await switch.balances.adopt({name: account(name) for name in names})
    recall, known = asyncio.ensure_future(switch.watch._comparison.recall(is_left=False)), [0]
    for _ in range(30):
        await asyncio.sleep(0)
        known.append(len(switch.recorder.expected))
    await recall
    assert max(after - before for before, after in pairwise(known)) == 2
    assert switch.recorder.expected == dict.fromkeys(names, Decimal(5))
    switch.journal.close()


class ProcessEndsError(Exception):
    """A kill of the process."""


async def killed_while_mending(switch, server, monkeypatch, steps):
    """Let the switch book some calls again, and end it."""
    asked = []

    async def lacking(records):
        asked.append(records)
        if len(asked) > steps:
            raise ProcessEndsError
        return await server.store.lacking(records)

    with monkeypatch.context() as patched:
        patched.setattr(server, "lacking", lacking, raising=False)
        with pytest.raises(ProcessEndsError):
            await switch.compared()


async def restarted(tmp_path, switch, server):
    server.now_ms += 60_000
    after = Installation(tmp_path, server, copy=switch.copier.copy)
    await after.watch.begin(OTHER)
    await after.balances.adopt(ACCOUNTS)
    return after


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
@pytest.mark.parametrize("paid", [0, 70])
async def test_a_process_that_is_killed_while_it_books_again_leaves_the_balances_of_before_to_the_next(
    tmp_path, switch, server, monkeypatch, steps, paid
):
    monkeypatch.setattr(comparison, "COMPARED_AT_ONCE", 2)
    backup = deepcopy(server.store)
    await talk(switch, 2, 3, 4)
    if paid:
        await pay(server, paid, "bank-2")
        await switch.balances.refresh()
    await switch.copier.write()
    await talk(switch, 5, 6, 7)
    fail_over(server, backup)
    await talk(switch, 10)
    await switch.watch.look()
    await killed_while_mending(switch, server, monkeypatch, steps)
    after = await restarted(tmp_path, switch, server)
    balances, alarms = await mended(after)
    assert {name: shown.split(", ")[-1] for name, shown in balances.items()} == ({"acme": "70.00 less"} if paid else {})
    assert [alarm["less"] for alarm in alarms] == (["70.00 USD"] if paid else [])
    after.journal.close()


async def test_a_lost_payment_is_named_where_the_database_goes_away_before_the_comparison_is_over(
    switch, server, monkeypatch
):
    backup = deepcopy(server.store)
    await pay(server, 70, "bank-2")
    await switch.balances.refresh()
    await switch.copier.write()
    await talk(switch, 5, 6, 7)
    fail_over(server, backup)
    await talk(switch, 10)
    await switch.watch.look()

    async def away():
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(switch.watch, "_mended", away)
        with pytest.raises(StoreUnavailable):
            await switch.compared()
    switch.watch._comparison_wanted.set()  # as ``compare`` does
    await talk(switch, 11)
    balances, (alarm,) = await mended(switch)
    assert (balances.keys(), alarm["less"]) == ({"acme"}, "70.00 USD")
    fail_over(server, backup)
    await talk(switch, 12)
    assert await mended(switch) == ({}, []), "it is named once"


async def test_a_payment_that_is_read_while_a_start_reads_the_copy_hides_no_lost_one(
    tmp_path, switch, server, monkeypatch
):
    backup = deepcopy(server.store)
    await pay(server, 70, "bank-2")
    await switch.balances.refresh()
    await switch.copier.write()
    fail_over(server, backup)
    after = await restarted(tmp_path, switch, server)
    standings = switch.copier.copy.standings

    async def standings_behind_a_payment():
        monkeypatch.undo()
        await pay(server, 30, "bank-3")
        await after.balances.refresh()
        return await standings()

    monkeypatch.setattr(switch.copier.copy, "standings", standings_behind_a_payment)
    balances, (alarm,) = await mended(after)
    assert (balances.keys(), alarm["less"]) == ({"acme"}, "40.00 USD")
    after.journal.close()


@pytest.mark.parametrize("is_shown", [True, False])
async def test_a_lost_payment_is_named_where_calls_of_the_run_before_wait_for_their_booking(
    tmp_path, switch, server, is_shown
):
    """They are booked before the loss is found if no counter shows it."""
    backup = deepcopy(server.store)
    await talk(switch, 2)
    await pay(server, 70, "bank-2")
    await switch.balances.refresh()
    await switch.copier.write()
    lost = server.store.commits
    fail_over(server, backup)
    if not is_shown:
        server.store.commits, server.lease._renewals = lost, {"sw1": 100}
    after = await restarted(tmp_path, switch, server)
    assert after.watch.refuses_calls == is_shown
    waiting = [call(index) for index in range(20, 24)]
    for record in waiting:
        after.journal.ended(record)
        after.balances.add_owed(record.postings)
        after.recorder.add(record)
    after.journal.flush()
    after.recorder._most = 1
    with structlog.testing.capture_logs() as logged:
        tasks = [asyncio.create_task(each) for each in (after.recorder.run(), after.watch.compare())]
        await asyncio.wait_for(after.recorder.drained(), 30)
        async with asyncio.timeout(30):
            while not after.watch.is_compared:  # noqa: ASYNC110 - the comparison has no event of its end
                await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    (alarm,) = (line for line in logged if line["event"] == "payments_lost")
    assert (alarm["accounts"], alarm["less"]) == (1, "70.00 USD")
    after.journal.close()
