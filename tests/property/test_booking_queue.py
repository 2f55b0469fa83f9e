"""The queue of unbooked calls against a model: outages, kills, full disks, refused calls; the window stays small.

Whatever happens, every call that ended is booked once, accounts see their calls in the order of their ends, and what
the switch knows of an account is what it owns.
"""

import asyncio
import tempfile
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

from doubles.data.records import answered_call, call_id, partner_call
from doubles.exploring import examples
from doubles.journals import STARTED, begun, new_journal
from doubles.memory.store import MemoryStore
from doubles.small_disk import PLENTY, Disk
from hypothesis import example, given, settings, strategies as st

from vosd.base.clock import Instant
from vosd.cdr.ports import BookedBatch, StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.engine.booking import recorder as recorder_module
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.recorder import Recorder
from vosd.engine.earlier_run import recover
from vosd.engine.journal import KeepSettings, replay, sealing
from vosd.engine.settings import CdrSettings

WINDOW = 4
TERMS = {"segment_bytes": 9_000, "reserve_bytes": 40_000, "keep": KeepSettings(keep_files=2)}
FEE = Decimal("0.012345")

KINDS = (
    "end",
    "end",
    "end",
    "away",
    "back",
    "answer lost",
    "one fails",
    "full",
    "room",
    "kill",
    "stop",
    "seal",
    "turn",
)
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 25)), max_size=40)


class Database(MemoryStore):
    """A database that is away, loses its answers, or fails for one call, as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = self.loses_answer = False
        self.failing = ""

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        await asyncio.sleep(0)
        if self.is_away or any(record.call_id == self.failing for record in records):
            raise StoreUnavailable("away")
        done = await super().book(records)
        if self.loses_answer:
            self.loses_answer = False
            raise StoreUnavailable("the connection broke")
        return done

    async def open_accounts(self, accounts: Collection[str], currencies: Mapping[str, str] | None = None) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        await super().open_accounts(accounts, currencies)


class Run:
    """One life of the switch, as far as booking is concerned."""

    def __init__(self, directory: Path, database: Database) -> None:
        self.journal = new_journal(directory, **TERMS)
        self.balances = Balances(database)
        settings = CdrSettings(batch_rows=3, batch_ms=1)
        self.recorder = Recorder(database, self.journal, self.balances.credits, settings, window=WINDOW)
        remains = self.journal.open()
        begun(remains, self.journal, STARTED)
        recover(remains, self.journal, self.recorder, self.balances, lambda _remains: None, lambda _closed: None)
        self.recorder.wake()
        self.task = asyncio.create_task(self.recorder.run())

    def end(self, record: CallRecord) -> None:
        self.journal.ended(record)
        self.recorder.add(record)
        self.balances.add_owed(record.postings)
        self.journal.flush()

    async def cut_off(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.journal.waiting.close()


class Model:
    """What has ended, and what must be true at every moment."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory, self._disk = directory, disk
        self.database = Database()
        self.ended: list[str] = []
        self._run: Run | None = None
        self._is_in_order = True

    @property
    def run(self) -> Run:
        if self._run is None:
            self._run = Run(self._directory, self.database)
        return self._run

    async def step(self, kind: str, number: int) -> None:
        match kind:
            case "end":
                for _ in range(number):
                    index = len(self.ended)
                    self.ended.append(call_id(index))
                    self.run.end(answered_call(index, customer_account="acme", vendor_account="carrier"))
            case "away" | "back":
                self.database.is_away = kind == "away"
            case "answer lost":
                self.database.loses_answer = True
            case "one fails":
                self.database.failing = call_id(max(0, len(self.ended) - number))
                self._is_in_order = False
            case "full" | "room":
                run = self.run  # which starts while there is room
                self._disk.room = PLENTY if kind == "room" else 0
                run.journal.tick(Instant(len(self.ended), 0), has_calls=False)
            case "seal":
                await self.run.journal.sealing.seal()
            case "kill" | "stop":
                await self._end_run(in_order=kind == "stop")
            case _:
                await asyncio.wait({self.run.task}, timeout=number / 1_000)
        self.check()

    async def _end_run(self, *, in_order: bool) -> None:
        # What a full disk did not take is lost by a kill, and no 200 was sent for it: not what this is about.
        self._disk.room = PLENTY
        self.run.journal.tick(Instant(len(self.ended), 0), has_calls=False)
        await self.run.cut_off()
        if in_order:
            self.run.journal.close()
        self._run = None

    def check(self) -> None:
        run = self.run
        in_memory = len(run.recorder) - run.journal.waiting.on_disk
        assert in_memory <= WINDOW, "memory grows with the outage"
        assert len({entry.reference for entry in self.database.entries}) == len(self.database.entries)
        credit = run.balances.credits.get("acme")
        if credit is not None and credit.is_read:
            assert credit.balance + credit.unbooked <= -FEE * len(self.ended), "an account may spend what it owes"
        assert len(run.recorder) == len(run.journal.waiting)

    async def finish(self) -> None:
        self._disk.room = PLENTY
        self.database.is_away = self.database.loses_answer = False
        self.database.failing = ""
        self.run.journal.tick(Instant(len(self.ended), 0), has_calls=False)
        drained = asyncio.ensure_future(self.run.recorder.drained())
        await asyncio.wait({drained, self.run.task}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert drained.done(), self.run.task
        booked = [entry.call_id for entry in self.database.entries if entry.account == "acme"]
        assert sorted(booked) == sorted(self.ended), "each call is booked once"
        if self._is_in_order:
            assert booked == self.ended, "in the order in which they ended"
        credit = self.run.balances.credits.get("acme")
        if credit is not None and credit.is_read:
            assert (credit.balance + credit.unbooked) == -FEE * len(self.ended)
        assert self.run.journal.unbooked == 0
        await self.run.cut_off()
        self.run.journal.close()
        assert not [*self._directory.glob("*.log"), *self._directory.glob("*.unbooked")]


async def check_history(steps: list[tuple[str, int]], directory: Path, disk: Disk) -> None:
    model = Model(directory, disk)
    for step in steps:
        await model.step(*step)
    await model.finish()


@example([("end", 5), ("turn", 20), ("away", 1), ("end", 25), ("back", 1), ("turn", 20), ("end", 25), ("turn", 20)])
@example([("away", 1), ("end", 25), ("kill", 1), ("end", 20), ("kill", 1), ("back", 1), ("turn", 5)])
@example(
    [("away", 1), ("end", 25), ("end", 25), ("seal", 1), ("end", 9), ("kill", 1), ("back", 1), ("turn", 9), ("kill", 1)]
)
@example([("away", 1), ("end", 25), ("kill", 1), ("end", 25), ("seal", 1), ("kill", 1), ("back", 1), ("turn", 5)])
@example([("away", 1), ("end", 25), ("full", 1), ("end", 20), ("back", 1), ("turn", 20), ("room", 1)])
@given(STEPS)
@settings(max_examples=examples(40, 600))
def test_every_call_is_booked_once_and_the_window_stays_small(steps: list[tuple[str, int]]) -> None:
    disk = Disk()
    with (
        tempfile.TemporaryDirectory() as directory,
        disk.in_place(),
        patch.object(recorder_module, "_RETRY_FIRST_S", 0.001),
        patch.object(recorder_module, "_RETRY_MOST_S", 0.002),
        patch.object(replay, "UNBOOKED_IN_MEMORY", WINDOW),
        patch.object(sealing, "PAUSE_S", 0),
    ):
        asyncio.run(check_history(steps, Path(directory) / "journal", disk))


async def test_what_a_partner_has_earned_is_no_less_owed_after_a_restart(tmp_path):
    """Calls on disk are counted as owed by their sums; what some of them earn is not set off against the others."""
    database = Database()
    database.is_away = True
    run = Run(tmp_path, database)
    for index in range(40):
        run.end(partner_call(index, "acme", "partner") if index % 2 else partner_call(index, "partner", "acme"))
    await run.cut_off()
    with patch.object(replay, "UNBOOKED_IN_MEMORY", WINDOW):
        run = Run(tmp_path, database)
    assert run.journal.waiting.on_disk > 0
    for name in ("acme", "partner"):
        assert run.balances.credits[name].unbooked == -FEE * 20
    database.is_away = False
    await asyncio.wait_for(run.recorder.drained(), 10)
    for name in ("acme", "partner"):
        assert run.balances.credits[name].unbooked == 0
    await run.cut_off()
    run.journal.close()
