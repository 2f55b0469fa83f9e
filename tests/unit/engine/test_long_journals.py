"""A start that takes long: the lease is renewed meanwhile, and calls of a long journal are no older for it."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.data.builders import account, catalogue, switch_settings
from doubles.journals import open_call, opened
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.turns import until
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.billing.accounts import Account
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.lease import Claimant, DatabaseState
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.booking import database_watch
from vosd.engine.journal import JournalUnusableError
from vosd.engine.journal.earlier import Earlier
from vosd.engine.service import SwitchService
from vosd.net.resolve import NameServerResolver
from vosd.sip.flows import Listener

LONG_MS = 400_000
"""Longer than ``resume_within``."""


class CountedLease(MemoryLease):
    """A lease that says when it was renewed often enough."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store, has_ended=lambda _: True)
        self.left = 4
        self.is_renewed = threading.Event()
        self.is_away = False

    async def hold(self, claimant: Claimant) -> DatabaseState:
        if self.is_away:
            raise StoreUnavailable("can only be read")
        self.left -= 1
        if not self.left:
            self.is_renewed.set()
        return await super().hold(claimant)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lease() -> CountedLease:
    return CountedLease(MemoryStore())


@pytest.fixture
def service(tmp_path: Path, clock: ManualClock, lease: CountedLease) -> SwitchService:
    settings = switch_settings(tmp_path)
    listeners = [Listener("127.0.0.1", 5060, "udp", "udp:127.0.0.1:5060")]
    store, resolver = MemoryStore(), NameServerResolver((), 1, 1)
    content = catalogue([], accounts=[account("acme", database_away_cap=Decimal(2))])
    return SwitchService(settings, content, store, MemoryRegistrations(), lease, clock, listeners, resolver)


async def started(service: SwitchService, while_reading: Callable[[], None]) -> list[str]:
    """Start and stop a switch; return the names of what it logged."""
    read = service._journal.read_earlier

    def read_slowly() -> Earlier:
        while_reading()
        return read()

    service._journal.read_earlier = read_slowly
    await service.database.begin(Claimant("sw1", "this", "host", 1, ""))
    await service.learn()
    with capture_logs() as log:
        try:
            await service.start()
            await service.stop()
        finally:
            await service.database.end()
    return [line["event"] for line in log]


async def test_the_lease_is_renewed_while_the_journal_is_read(service, lease, monkeypatch):
    monkeypatch.setattr(database_watch, "RENEW_S", 0.001)
    renewed = []
    await started(service, lambda: renewed.append(lease.is_renewed.wait(60)))
    assert renewed == [True]


async def test_the_lease_is_renewed_while_the_database_is_read(service, lease, monkeypatch):
    """To read what 5,000 accounts with limits had spent took longer than it holds: another switch might take it."""
    monkeypatch.setattr(database_watch, "RENEW_S", 0.001)
    renewed, restore = [], service.node.registrar.restore

    async def restore_slowly(content: Catalogue) -> None:
        renewed.append(await asyncio.to_thread(lease.is_renewed.wait, 60))
        await restore(content)

    service.node.registrar.restore = restore_slowly
    await service.database.begin(Claimant("sw1", "this", "host", 1, ""))
    before = asyncio.all_tasks()
    await service.learn()
    assert renewed == [True]
    assert asyncio.all_tasks() == before
    await service.database.end()


async def test_an_outage_that_begins_while_the_database_is_read_has_the_caps_of_all_accounts(
    service, lease, monkeypatch
):
    monkeypatch.setattr(database_watch, "RENEW_S", 0.001)
    adopt = service.balances.adopt

    async def adopt_in_an_outage(accounts: Mapping[str, Account]) -> None:
        lease.is_away = True
        await until(lambda: service.switch.live.is_database_away)
        await adopt(accounts)

    service.balances.adopt = adopt_in_an_outage
    await service.database.begin(Claimant("sw1", "this", "host", 1, ""))
    await service.learn()
    assert service.balances.credits["acme"].left_in_bound == 2


@pytest.mark.parametrize(("killed_before_ms", "continues"), [(20_000, True), (LONG_MS, False)])
async def test_how_long_the_switch_was_away_is_counted_to_its_start(
    service, clock, tmp_path, killed_before_ms, continues
):
    journal = opened(tmp_path / "journal")
    journal.answered(open_call(1, clock.now().mono))
    journal.tick(clock.now(), has_calls=True)
    clock.move_to(clock.now().mono + killed_before_ms)
    events = await started(service, lambda: clock.move_to(clock.now().mono + LONG_MS))
    assert ("calls_continued" in events, "calls_not_continued" in events) == (continues, not continues)


async def test_a_start_that_fails_leaves_nothing_running(service):
    def fail() -> None:
        raise JournalUnusableError("the disk")

    before = asyncio.all_tasks()
    with pytest.raises(JournalUnusableError, match="the disk"):
        await started(service, fail)
    assert asyncio.all_tasks() == before
