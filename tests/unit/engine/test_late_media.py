"""Records that wait for the figures of their media, and no longer than a moment."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from doubles.data.records import call_id
from doubles.recording import Database, call, end
from doubles.sockets.relay import until

from vosd.engine.booking import late_media
from vosd.engine.booking.recorder import Recorder
from vosd.engine.journal import Journal
from vosd.engine.settings import CdrSettings


class Booking:
    """A recorder that books all the time, and what it has offered to the database."""

    def __init__(self, directory: Path) -> None:
        self.database, self.journal = Database(), Journal(directory / "journal")
        self.journal.open()
        self.journal.settle()
        self.recorder = Recorder(self.database, self.journal, {}, CdrSettings(batch_rows=3, batch_ms=1))
        self.late = self.recorder.late

    def end(self, index: int, *, is_late: bool) -> None:
        if is_late:
            self.late.expect(call_id(index))
        end(self.recorder, self.journal, {}, call(index, media="early"))

    async def media(self) -> dict[str, str | None]:
        """Return the documents of all records, once they are booked."""
        await asyncio.wait_for(self.recorder.drained(), 30)
        return {name: stored.record.media for name, stored in self.database.store._calls.items()}


@pytest.fixture
async def booking(tmp_path: Path) -> AsyncIterator[Booking]:
    made = Booking(tmp_path)
    task = asyncio.create_task(made.recorder.run())
    yield made
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_record_is_booked_with_the_figures_that_come_after_its_end(booking, monkeypatch):
    monkeypatch.setattr(late_media, "WITHIN_S", 30.0)
    booking.end(0, is_late=True)
    booking.late.came(call_id(0), "final")
    assert await booking.media() == {call_id(0): "final"}


async def test_the_record_stands_where_no_other_figures_come(booking, monkeypatch):
    monkeypatch.setattr(late_media, "WITHIN_S", 30.0)
    booking.end(0, is_late=True)
    booking.late.came(call_id(0), None)
    assert await booking.media() == {call_id(0): "early"}


async def test_figures_that_come_too_late_hold_up_no_record_and_are_dropped(booking, monkeypatch):
    monkeypatch.setattr(late_media, "WITHIN_S", 0.01)
    booking.end(0, is_late=True)
    booking.end(1, is_late=False)
    assert await booking.media() == {call_id(0): "early", call_id(1): "early"}
    booking.late.came(call_id(0), "final")
    assert booking.late.completed(call(0, media="early")).media == "early"


async def test_records_before_one_that_waits_are_booked_and_those_behind_it_with_it(booking, monkeypatch):
    monkeypatch.setattr(late_media, "WITHIN_S", 30.0)
    booking.end(0, is_late=False)
    booking.end(1, is_late=True)
    booking.end(2, is_late=False)
    await until(lambda: bool(booking.database.offered))
    booking.late.came(call_id(1), "final")
    assert await booking.media() == {call_id(0): "early", call_id(1): "final", call_id(2): "early"}
    assert booking.database.offered == [[call_id(0)], [call_id(1), call_id(2)]]


async def test_records_keep_their_figures_when_the_database_refuses_them_at_first(booking, monkeypatch):
    monkeypatch.setattr(late_media, "WITHIN_S", 30.0)
    monkeypatch.setattr("vosd.engine.booking.recorder._RETRY_FIRST_S", 0.001)
    booking.database.away = 2
    booking.end(0, is_late=True)
    booking.late.came(call_id(0), "final")
    assert await booking.media() == {call_id(0): "final"}


async def test_no_more_documents_wait_than_may(booking, monkeypatch):
    monkeypatch.setattr(late_media, "DOCUMENTS_MAX", 1)
    for index in range(2):
        booking.late.expect(call_id(index))
        booking.late.came(call_id(index), "final")
    assert [booking.late.completed(call(index)).media for index in range(2)] == ["final", None]
