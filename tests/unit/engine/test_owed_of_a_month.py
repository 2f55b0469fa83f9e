"""What accounts owe of the calls of a month that wait for the database: in memory, on disk, in quarantine."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.data.records import STARTED, rejected
from doubles.journals import opened
from doubles.recording import Database, call, end

from vosd.billing.holds import AccountCredit
from vosd.engine.booking.recorder import Recorder
from vosd.engine.journal import Journal
from vosd.engine.settings import CdrSettings

UNTIL = STARTED + 1_000
SINCE = UNTIL - 1_000_000
WINDOW = 4


@pytest.fixture
def credits() -> dict[str, AccountCredit]:
    return {name: AccountCredit(name, None) for name in ("acme", "carrier")}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return opened(tmp_path / "journal")


@pytest.fixture
def recorder(journal: Journal, credits: dict[str, AccountCredit]) -> Recorder:
    return Recorder(Database(), journal, credits, CdrSettings(batch_ms=1), window=WINDOW)


async def test_calls_of_the_month_count_and_no_others(recorder, journal, credits):
    for index, ended_at in enumerate((SINCE - 1, SINCE, UNTIL - 1, UNTIL)):
        end(recorder, journal, credits, call(index, ended_at=ended_at))
    assert await recorder.owed_of(SINCE, UNTIL) == {"acme": Decimal("0.20"), "carrier": Decimal("0.08")}
    assert await recorder.owed_of(UNTIL, UNTIL + 1) == {"acme": Decimal("0.10"), "carrier": Decimal("0.04")}
    assert await recorder.owed_of(UNTIL + 1, UNTIL + 2) == {}


async def test_calls_that_go_on_ending_afterwards_hold_nothing_up(recorder, journal, credits):
    for index in range(WINDOW + 2):  # two of them on disk
        end(recorder, journal, credits, call(index, ended_at=UNTIL + index))
    assert journal.waiting.on_disk == 2
    assert await recorder.owed_of(SINCE, UNTIL) == {}


async def test_everything_counts_where_calls_on_disk_may_be_of_the_month(recorder, journal, credits):
    for index in range(WINDOW + 2):
        end(recorder, journal, credits, call(index, ended_at=UNTIL - 1 + index))
    assert await recorder.owed_of(SINCE, UNTIL) == {"acme": Decimal("0.60"), "carrier": Decimal("0.24")}


async def test_calls_that_began_before_count_whenever_they_ended(recorder, journal, credits):
    for index, started_at in enumerate((UNTIL - 2, UNTIL - 1, UNTIL)):
        end(recorder, journal, credits, call(index, started_at=started_at, ended_at=UNTIL + 60_000))
    assert recorder.begun_before(UNTIL) == 2
    for index in range(3, WINDOW + 2):
        end(recorder, journal, credits, call(index, started_at=UNTIL, ended_at=UNTIL + 60_000))
    assert recorder.begun_before(UNTIL) == 2 + journal.waiting.on_disk == 4, "those on disk are not read"


async def test_calls_in_quarantine_count_until_they_are_booked(recorder, journal, credits):
    of_the_month, later = call(1, ended_at=UNTIL - 1), call(2, ended_at=UNTIL)
    for each in (of_the_month, later):
        end(recorder, journal, credits, each)
    await asyncio.to_thread(journal.quarantine.put, rejected("unfit", of_the_month, later))
    expected = {"acme": Decimal("0.10"), "carrier": Decimal("0.04")}
    assert await recorder.owed_of(SINCE, UNTIL) == expected, "the call counts once while it is in both places"
    task = asyncio.create_task(recorder.run())
    await asyncio.wait_for(recorder.drained(), 30)
    task.cancel()
    assert await recorder.owed_of(SINCE, UNTIL) == {}, "a call that is booked was removed from quarantine"
