"""The cost of a refused call is owed until it is booked, and forgotten once, however it got into quarantine."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from doubles.data.records import answered_call, call_id, rejected
from doubles.journals import crash_and_read, files_of, not_noted, opened, write_ended
from doubles.memory.store import MemoryStore

from vosd.billing.holds import AccountCredit
from vosd.cdr.ports import BookedBatch, RejectedRecords
from vosd.cdr.record import CallRecord, Posting
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.comparison import JournalComparison
from vosd.engine.booking.last_standings import NoLastStandings
from vosd.engine.booking.recorder import Recorder
from vosd.engine.booking.spool import Owing, Spool
from vosd.engine.journal import Journal
from vosd.engine.journal.kept import BEGINNING
from vosd.engine.settings import CdrSettings

CALL = answered_call(1, postings=(Posting("acme", Decimal(-1), f"{call_id(1)}/customer"),))


class Database(MemoryStore):
    """Refuses every call until that is mended."""

    refuses = False

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        if self.refuses and records:
            raise RejectedRecords(rejected("unfit", *records))
        return await super().book(records)


class Scene:
    """A journal, a database, and a recorder."""

    def __init__(self, directory: Path) -> None:
        self.database: Any = Database()
        self.journal: Journal = opened(directory / "journal")
        self.balances = Balances(self.database)
        self.credit = self.balances.credits["acme"] = AccountCredit("acme", Decimal(10))
        self.recorder = Recorder(self.database, self.journal, self.balances.credits, CdrSettings(batch_ms=1))
        owing = Owing(self.recorder.waiting, self.balances.add_owed)
        self.spool = Spool(self.database, self.journal.quarantine, self.balances.credits, self.recorder.turn, owing)

    @property
    def money(self) -> tuple[Decimal, Decimal]:
        """Return the committed and the owed amount."""
        return self.credit.balance, self.credit.unbooked


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize("order", ["retry", "salvage"])
async def test_a_call_that_a_salvage_put_there_is_owed_at_once_and_once_until_it_is_booked(scene, tmp_path, order):
    write_ended(scene.journal, CALL)
    file = tmp_path / "journal" / files_of(tmp_path / "journal")[0]
    scene.database.refuses = True
    for _ in range(2):
        assert (await scene.spool.salvage(file)).refused
        assert scene.money == (0, -1)
    scene.database.refuses = False
    for _ in range(2):
        done = await (scene.spool.retry() if order == "retry" else scene.spool.salvage(file))
        assert (scene.money, len(scene.journal.quarantine), done.refused) == ((-1, 0), 0, {})
    assert scene.journal.quarantine.read().records == []


async def test_a_call_that_waits_for_the_database_is_owed_once_though_a_salvage_puts_it_there(scene, tmp_path):
    write_ended(scene.journal, CALL)
    scene.credit.post(Decimal(-1))
    scene.database.refuses = True
    scene.recorder.add(CALL)
    assert (await scene.spool.salvage(tmp_path / "journal" / files_of(tmp_path / "journal")[0])).refused
    assert scene.money == (0, -1)
    task = asyncio.create_task(scene.recorder.run())
    async with asyncio.timeout(30):
        await scene.recorder.drained()
    task.cancel()
    assert (scene.money, scene.journal.quarantine.owed) == ((0, -1), {CALL.call_id})
    scene.database.refuses = False
    await scene.spool.retry()
    assert scene.money == (-1, 0)


async def test_a_lost_call_that_is_refused_when_it_is_booked_again_is_owed_until_it_is_booked(scene):
    await scene.database.open_accounts(["acme"])
    scene.journal.ended(CALL)
    scene.journal.booked([CALL.call_id])
    scene.database.refuses = True
    comparison = JournalComparison(scene.database, scene.balances, scene.recorder, scene.journal, NoLastStandings())
    done = await comparison.mend(BEGINNING, not_noted)
    assert (done.refused, scene.money) == (1, (0, -1))
    scene.database.refuses = False
    await scene.spool.retry()
    assert scene.money == (-1, 0)


@pytest.mark.parametrize("has_backlog", [False, True])
async def test_a_lost_call_that_is_refused_on_a_full_disk_is_owed_once_and_kept(scene, tmp_path, has_backlog):
    def full(_rejected: object) -> None:
        raise OSError(28, "No space left on device")

    await scene.database.open_accounts(["acme"])
    scene.journal.ended(CALL)
    scene.journal.booked([CALL.call_id])
    others = [answered_call(2, postings=())] if has_backlog else []
    if has_backlog:  # it waits on disk, behind another one
        credits = scene.balances.credits
        scene.recorder = Recorder(scene.database, scene.journal, credits, CdrSettings(batch_ms=1), window=1)
    for each in others:
        scene.journal.ended(each)
        scene.recorder.add(each)
    scene.database.refuses, put, scene.journal.quarantine.put = True, scene.journal.quarantine.put, full
    comparison = JournalComparison(scene.database, scene.balances, scene.recorder, scene.journal, NoLastStandings())
    for _ in range(2):
        await comparison.mend(BEGINNING, not_noted)
        assert scene.money == (0, -1)
    scene.journal.flush()
    assert crash_and_read(tmp_path / "journal").unbooked.keys() == {each.call_id for each in (*others, CALL)}
    scene.journal.quarantine.put = put
    task = asyncio.create_task(scene.recorder.run())
    async with asyncio.timeout(30):
        await scene.recorder.drained()
    task.cancel()
    assert (scene.money, len(scene.journal.quarantine)) == ((0, -1), 1 + len(others))
    scene.database.refuses = False
    await scene.spool.retry()
    assert scene.money == (-1, 0)


@pytest.mark.parametrize("first", ["the recorder", "the retry"])
async def test_a_call_in_journal_and_quarantine_is_forgotten_once(scene, first):
    scene.journal.quarantine.put(rejected("unfit", CALL))  # and killed before the journal said so
    scene.journal.ended(CALL)
    scene.credit.post(Decimal(-1))
    if first == "the retry":
        await scene.spool.retry()
    await _book(scene, CALL)
    assert (scene.money, len(scene.journal.quarantine)) == ((-1, 0), 0)
    await scene.spool.retry()
    assert scene.money == (-1, 0)


async def _book(scene: Scene, record: CallRecord) -> None:
    scene.recorder.add(record)
    task = asyncio.create_task(scene.recorder.run())
    await scene.recorder.drained()
    task.cancel()
