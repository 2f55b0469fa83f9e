"""A switch that is killed while a new file of its journal has some of the running calls, and the older file has all."""

from decimal import Decimal

from doubles.killed import MARK_MS, KilledScene

from vosd.base.cause import EndReason
from vosd.engine.journal.journal import AT_ONCE

CALLS, TALKED_MS, GOES_ON_MS = 3 * AT_ONCE, 20_000, 10_000


def test_calls_have_lasted_as_long_as_they_have_talked_whichever_file_they_are_in(tmp_path):
    scene = KilledScene(tmp_path)
    for _ in range(CALLS):
        scene.talk()
    scene.wire.run_for(TALKED_MS)
    journal, clock = scene.sink.journal, scene.exchange.clock
    journal._segment_bytes = 1
    journal.tick(clock.now(), has_calls=True)
    assert len(journal._carrying.left) == CALLS - AT_ONCE
    scene.kill(0, then_ms=GOES_ON_MS)
    assert scene.lost == []
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    records = scene.exchange.sink.records
    assert len(records) == CALLS
    for record in records:
        assert record.hold_time_ms == record.ended_at - record.answered_at
        assert TALKED_MS + GOES_ON_MS <= record.hold_time_ms <= TALKED_MS + GOES_ON_MS + CALLS * 2 * MARK_MS
        assert record.fee == Decimal(record.billed_seconds) / 100
