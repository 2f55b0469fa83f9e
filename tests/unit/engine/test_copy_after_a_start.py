"""The copy of the balances in ``state_dir``: a start does not wait for it, and its age says no more than it has."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from doubles.data.builders import account, catalogue, switch_settings
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.turns import turns
from doubles.virtual.clock import ManualClock
from doubles.watched_database import MemoryStandings

from vosd.cdr.lease import Claimant
from vosd.cdr.ports import LastStanding
from vosd.engine import background
from vosd.engine.booking.database_watch import DatabaseWatch
from vosd.engine.service import SwitchService
from vosd.net.resolve import NameServerResolver
from vosd.sip.flows import Listener


class SlowStandings(MemoryStandings):
    """A copy on a disk that does not write until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_write = asyncio.Event()
        self.begun = 0
        """Writings that have begun."""

    async def note(self, standings: Sequence[LastStanding]) -> bool:
        self.begun += 1
        await self.may_write.wait()
        return await super().note(standings)


async def started(state_dir: Path, store: MemoryStore, lease: MemoryLease, copy: MemoryStandings) -> SwitchService:
    settings = switch_settings(state_dir)
    service = SwitchService(
        settings,
        catalogue([], accounts=[account("acme")]),
        store,
        MemoryRegistrations(),
        lease,
        ManualClock(),
        [Listener("127.0.0.1", 5060, "tcp", "tcp:127.0.0.1:5060")],
        NameServerResolver((), 1, 1),
        last_standings=copy,
    )
    await service.database.begin(Claimant("sw1", "this", "host", 1, ""))
    await service.learn()
    await service.start()
    return service


async def stop(service: SwitchService) -> None:
    await service.stop()
    await service.database.end()


async def test_a_start_does_not_wait_for_the_copy_whose_age_is_noted_when_it_is_written(tmp_path: Path) -> None:
    store, copy = MemoryStore(), SlowStandings()
    lease = MemoryLease(store)
    async with asyncio.timeout(60):
        first = await started(tmp_path, store, lease, MemoryStandings())
        while not first.database.is_compared:  # noqa: ASYNC110 - it waits for a thread
            await asyncio.sleep(0)
        await stop(first)
        service = await started(tmp_path, store, lease, copy)
    try:
        await turns(10)
        assert (copy.by_account, copy.at) == ({}, None)
        copy.may_write.set()
        await turns(10)
        assert [*copy.by_account] == ["acme"]
        assert copy.at is not None
    finally:
        copy.may_write.set()
        await stop(service)


async def test_a_stop_writes_the_copy_however_slow_its_disk_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks are cancelled again until they have ended, which would interrupt what one of them writes at its end."""
    store, copy = MemoryStore(), SlowStandings()
    service = await started(tmp_path, store, MemoryLease(store), copy)
    async with asyncio.timeout(60):
        while not service.database.is_compared:  # noqa: ASYNC110 - it waits for a thread
            await asyncio.sleep(0)
    monkeypatch.setattr(background, "CANCELLED_AGAIN_S", 0)
    begun, stopping = copy.begun, asyncio.create_task(stop(service))
    async with asyncio.timeout(60):
        while copy.begun == begun:  # noqa: ASYNC110 - the tasks are cancelled first
            await asyncio.sleep(0)
    await turns(10)
    copy.may_write.set()
    await stopping
    assert [*copy.by_account] == ["acme"]
    assert copy.at is not None


async def test_a_copy_is_not_of_now_before_it_has_what_a_first_start_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal is compared first, which needs the copy as it is; a stop meanwhile says nothing of its age, too."""

    async def compare(_watch: DatabaseWatch) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(DatabaseWatch, "compare", compare)
    store, copy = MemoryStore(), MemoryStandings()
    service = await started(tmp_path, store, MemoryLease(store), copy)
    await turns(10)
    assert not service.database.is_compared
    assert (copy.by_account, copy.at) == ({}, None)
    await stop(service)
    assert (copy.by_account, copy.at) == ({}, None)
