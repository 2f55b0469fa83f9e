"""A failover while calls are booked: only lost payments change balances, for lost calls are booked again."""

from copy import deepcopy
from decimal import Decimal

import pytest
import structlog
from doubles.data.builders import account
from doubles.data.records import answered_call, partner_call
from doubles.watched_database import ONE, Installation, MemoryStandings, Server
from msgspec.structs import replace

from vosd.cdr.ports import StoreUnavailable
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


async def talk(switch, *indices):
    """Book calls one by one, each of another price; the vendor is paid in another currency."""
    for index in indices:
        plain = answered_call(
            index, customer_account="acme", vendor_account="carrier", fee=Decimal(index), cost=Decimal(index) / 4
        )
        charged, paid = plain.postings
        postings = (charged, replace(paid, currency="EUR"))
        await switch.end_calls(replace(plain, postings=postings, vendor_currency="EUR"))


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
