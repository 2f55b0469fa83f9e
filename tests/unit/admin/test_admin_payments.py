"""Payments over the memory store and a switch that may or may not run."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from doubles.data import builders
from doubles.memory.store import MemoryStore

from vosd.admin.names import UnknownAccountError
from vosd.admin.office.bookings import add_payment, make_transfer
from vosd.base.money import ZERO
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.ports import StoreUnavailable
from vosd.control.client import DaemonUnreachableError, RunningSwitch
from vosd.control.money import BeginWithdrawal, EndWithdrawal, RefreshBalances, Withdrawal
from vosd.control.order import OrderDone
from vosd.control.server import CommandError, ControlServer
from vosd.storage.ports import EntryKind, MoneyTransfer, Payment, TooLittleLeft

CATALOGUE: Catalogue = builders.catalogue(
    [builders.mapping_gateway("acme", "127.0.0.1/32"), builders.routing_gateway("carrier-a", "44")],
    accounts=[builders.account("acme", overdraft_limit=Decimal("2.5")), builders.account("idle", enabled=False)],
)


def payment(account: str = "acme", amount: str = "10", reference: str = "r1") -> Payment:
    return Payment(account=account, kind=EntryKind.PAYMENT, reference=reference, made_at=1, amount=Decimal(amount))


class LiveSwitch:
    """A control socket that answers what a running switch would."""

    def __init__(self) -> None:
        self.refreshed = 0
        self.is_cut_off = False
        self.answer = Withdrawal(id="w1")
        self.withheld: list[Decimal] = []
        self.ended: list[str] = []

    async def begin_withdrawal(self, order: BeginWithdrawal) -> Withdrawal:
        self.withheld.append(order.amount)
        return self.answer

    async def end_withdrawal(self, order: EndWithdrawal) -> OrderDone:
        self.ended.append(order.id)
        return OrderDone()

    async def refresh(self, _order: RefreshBalances) -> OrderDone:
        if self.is_cut_off:
            raise CommandError("the database is away")
        self.refreshed += 1
        return OrderDone()


@pytest.fixture
def no_switch(tmp_path: Path) -> RunningSwitch:
    return RunningSwitch(tmp_path / "vosd.sock")


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveSwitch]:
    switch = LiveSwitch()
    handlers = (
        RefreshBalances.answered_by(switch.refresh),
        BeginWithdrawal.answered_by(switch.begin_withdrawal),
        EndWithdrawal.answered_by(switch.end_withdrawal),
    )
    server = ControlServer(tmp_path / "vosd.sock", handlers)
    await server.open()
    yield switch
    await server.close()


async def test_a_payment_is_booked_reported_to_the_switch_and_returns_both_balances(
    no_switch: RunningSwitch, live: LiveSwitch
) -> None:
    receipt = await add_payment(CATALOGUE.accounts, MemoryStore(), no_switch, payment())
    assert (receipt.before, receipt.amount, receipt.after, receipt.repeated) == ("0.00", "10.00", "10.00", False)
    assert (live.refreshed, receipt.untold) == (1, "")


async def test_the_same_reference_books_once(no_switch: RunningSwitch) -> None:
    store = MemoryStore()
    await add_payment(CATALOGUE.accounts, store, no_switch, payment())
    again = await add_payment(CATALOGUE.accounts, store, no_switch, payment())
    assert (again.before, again.after, again.repeated) == ("0.00", "10.00", True)
    assert (await store.standings()).standings["acme"].balance == 10


async def test_a_payment_is_booked_even_where_the_switch_cannot_take_it_yet(
    no_switch: RunningSwitch, live: LiveSwitch
) -> None:
    live.is_cut_off = True
    receipt = await add_payment(CATALOGUE.accounts, MemoryStore(), no_switch, payment())
    assert (receipt.after, receipt.untold) == ("10.00", "the database is away")


@pytest.fixture
async def mute(no_switch: RunningSwitch) -> AsyncIterator[RunningSwitch]:
    """A running switch that closes the connection without an answer."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_unix_server(hang_up, no_switch.control_socket):
        yield no_switch


async def test_a_payment_reports_a_running_switch_that_could_not_be_reached(mute: RunningSwitch) -> None:
    receipt = await add_payment(CATALOGUE.accounts, MemoryStore(), mute, payment())
    assert receipt.after == "10.00"
    assert str(mute.control_socket) in receipt.untold


async def test_a_payment_to_an_unknown_account_books_nothing(no_switch: RunningSwitch) -> None:
    store = MemoryStore()
    with pytest.raises(UnknownAccountError):
        await add_payment(CATALOGUE.accounts, store, no_switch, payment("unknown"))
    assert (await store.standings()).standings == {}


def refund(amount: str = "4", **changes: Any) -> Payment:
    wanted = Payment(
        account="acme", kind=EntryKind.REFUND, reference="back", made_at=1, amount=-Decimal(amount), least_left=ZERO
    )
    return replace(wanted, **changes)


async def test_a_refund_is_withheld_from_calls_before_it_is_booked_and_reported_afterwards(
    no_switch: RunningSwitch, live: LiveSwitch
) -> None:
    store = MemoryStore()
    await store.add(payment())
    receipt = await add_payment(CATALOGUE.accounts, store, no_switch, refund())
    assert (receipt.after, live.withheld, live.ended, live.refreshed) == ("6.00", [Decimal(4)], ["w1"], 0)
    await add_payment(CATALOGUE.accounts, store, no_switch, refund("1", reference="forced", least_left=None))
    assert (live.withheld, live.refreshed) == ([Decimal(4)], 1)


async def test_a_refund_of_more_than_calls_leave_is_refused_unless_it_was_booked_before(
    no_switch: RunningSwitch, live: LiveSwitch
) -> None:
    store = MemoryStore()
    await store.add(payment())
    await add_payment(CATALOGUE.accounts, store, no_switch, refund())
    live.answer = Withdrawal(available=Decimal("3.50"))
    with pytest.raises(TooLittleLeft, match=r"acme has 3\.50 to spare beside what running calls hold"):
        await add_payment(CATALOGUE.accounts, store, no_switch, refund(reference="other"))
    assert (await add_payment(CATALOGUE.accounts, store, no_switch, refund())).repeated


async def test_a_transfer_that_is_refused_gives_back_what_was_withheld(
    no_switch: RunningSwitch, live: LiveSwitch
) -> None:
    store = MemoryStore()
    await store.add(payment())
    fields = {"source": "acme", "target": "idle", "reference": "m", "made_at": 1, "least_left": ZERO}
    moved = await make_transfer(
        CATALOGUE.accounts, store, no_switch, MoneyTransfer(**(fields | {"amount": Decimal(4)}))
    )
    assert [each.after for each in moved] == ["6.00", "4.00"]
    wanted = MoneyTransfer(**(fields | {"amount": Decimal(7), "reference": "n"}))
    with pytest.raises(TooLittleLeft):
        await make_transfer(CATALOGUE.accounts, store, no_switch, wanted)
    assert (live.withheld, live.ended) == ([Decimal(4), Decimal(7)], ["w1", "w1"])


async def test_what_may_be_booked_stays_withheld(
    no_switch: RunningSwitch, live: LiveSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(*_: object) -> None:
        raise StoreUnavailable("the connection was lost at the commit")

    store = MemoryStore()
    monkeypatch.setattr(store, "add", lose)
    with pytest.raises(StoreUnavailable):
        await add_payment(CATALOGUE.accounts, store, no_switch, refund())
    assert (live.withheld, live.ended) == ([Decimal(4)], [])


async def test_nothing_is_taken_beside_a_switch_that_cannot_be_reached(mute: RunningSwitch) -> None:
    store = MemoryStore()
    await store.add(payment())
    with pytest.raises(DaemonUnreachableError):
        await add_payment(CATALOGUE.accounts, store, mute, refund())
    assert (await store.standings()).standings["acme"].balance == 10
