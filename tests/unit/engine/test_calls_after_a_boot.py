"""The machine is booted while calls last: its monotonic clock begins anew, and its wall clock may say anything.

The clocks are arguments: the second switch has others than the first one, and the files of its journal.
"""

from decimal import Decimal
from functools import partial

import msgspec
import pytest
from doubles.journals import open_call
from doubles.killed import KilledScene
from doubles.virtual import exchange
from doubles.virtual.clock import ManualClock
from doubles.virtual.scene import usual_catalogue

from vosd.callcontrol.bookkeeping import lost
from vosd.engine.journal import journal
from vosd.engine.journal.journal import CHANGED_AT_ONCE
from vosd.engine.journal.replay import moved_by

TALKED_MS, GOES_ON_MS, MARK_MS = 20_000, 10_000, 1_000
SOON_MS, HOUR_MS = 5_000, 3_600_000
"""What the monotonic clock shows when the switch starts after the boot."""


@pytest.fixture
def booted(tmp_path, monkeypatch):
    """Return what makes a call talk, boots the machine, and starts the next switch."""

    def boot(*, mono, wall_later_ms, balance="100", is_changed=False, boot="another boot", at_once=CHANGED_AT_ONCE):
        before = KilledScene(tmp_path, balance=balance)
        call, _ = before.talk()
        if is_changed:
            call.propose("a=sendonly")
        before.wire.run_for(TALKED_MS - 1_000)
        before.kill(10**9)
        monkeypatch.setattr(journal, "CHANGED_AT_ONCE", at_once)
        now = before.exchange.clock.now()
        monkeypatch.setattr(exchange, "ManualClock", partial(ManualClock, mono, now.wall + wall_later_ms))
        return KilledScene(tmp_path, usual_catalogue(), balance=balance, boot=boot)

    return boot


@pytest.mark.parametrize("is_changed", [False, True], ids=["as it was answered", "after a change"])
@pytest.mark.parametrize("mono", [SOON_MS, 100 * HOUR_MS], ids=["less on the clock", "more on the clock"])
@pytest.mark.parametrize(
    ("wall_later_ms", "passed_ms"),
    [(30_000, 30_000), (0, 0), (-HOUR_MS, 0), (-100 * 24 * HOUR_MS, 0)],
    ids=["half a minute", "no time at all", "set back by an hour", "set back by months"],
)
def test_the_call_has_lasted_as_long_as_the_wall_clock_says_or_the_journal_proves(
    booted, is_changed, mono, wall_later_ms, passed_ms
):
    scene = booted(mono=mono, wall_later_ms=wall_later_ms, is_changed=is_changed)
    assert scene.lost == []
    scene.wire.run_for(GOES_ON_MS)
    scene.exchange.end_all(exchange.EndReason.ADMINISTRATIVE)
    record = scene.record
    lasted_ms = TALKED_MS + passed_ms + GOES_ON_MS
    assert lasted_ms - 2 * MARK_MS <= record.hold_time_ms <= lasted_ms + 100
    assert record.ended_at - record.answered_at == record.hold_time_ms
    assert record.fee == Decimal(record.billed_seconds) / 100
    assert (record.vendor_billed_seconds, record.cost) == (record.billed_seconds, record.fee / 2)


@pytest.mark.parametrize("is_changed", [False, True], ids=["as it was answered", "after a change"])
def test_a_kill_right_behind_the_start_changes_no_duration(booted, is_changed):
    """Such a start has more calls to write again than fit into one turn."""
    scene = booted(mono=SOON_MS, wall_later_ms=30_000, is_changed=is_changed, at_once=0)
    scene.kill(1_000, then_ms=GOES_ON_MS)
    scene.exchange.end_all(exchange.EndReason.ADMINISTRATIVE)
    lasted_ms = TALKED_MS + 30_000 + GOES_ON_MS
    assert lasted_ms - 2 * MARK_MS <= scene.record.hold_time_ms <= lasted_ms + 100


def test_a_call_ends_as_lost_where_the_clock_was_set_far_ahead(booted):
    """Or the machine was off for days: the call is over, and the time in between is not charged."""
    scene = booted(mono=SOON_MS, wall_later_ms=48 * HOUR_MS)
    [record] = scene.lost
    assert record.end_reason == "Lost"
    assert TALKED_MS - 2 * MARK_MS <= record.hold_time_ms <= TALKED_MS
    assert (record.vendor_billed_seconds, record.cost) == (record.billed_seconds, record.fee / 2)


@pytest.mark.parametrize(
    "instants",
    [
        {"vendor_answered_mono": 3_000},
        {"charged_mono": (1_000, 1_500)},
        {"charged_mono": (1_000, 1_500), "vendor_left_mono": 9_000},
        {"charged_mono": (1_000, 1_500), "ended_mono": 12_000},
        {"vendor_answered_mono": 3_000, "ended_mono": 12_000},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("ms", [-500, 10_000_000], ids=["less on the clock", "more on the clock"])
def test_a_call_that_is_lost_costs_the_same_by_the_clock_of_another_boot(instants, ms):
    call = msgspec.structs.replace(open_call(1), **instants)
    record = lost(call, 20_000)
    assert record.cost > 0
    assert lost(moved_by(ms, call), 20_000 + ms) == record


def test_a_step_of_the_wall_clock_without_a_boot_changes_no_duration(booted):
    """The monotonic clock goes on, and it alone measures."""
    scene = booted(mono=1_000_000 + 3 * TALKED_MS, wall_later_ms=-HOUR_MS, boot="one boot")
    scene.exchange.end_all(exchange.EndReason.ADMINISTRATIVE)
    assert 2 * TALKED_MS <= scene.record.hold_time_ms <= 3 * TALKED_MS


@pytest.mark.parametrize("is_changed", [False, True], ids=["as it was answered", "after a change"])
@pytest.mark.parametrize("away_ms", [10_000, 60_000], ids=["it goes on for a while", "it is over already"])
def test_money_lasts_as_long_as_it_was_paid_for(booted, is_changed, away_ms):
    scene = booted(mono=SOON_MS, wall_later_ms=away_ms, balance="0.60", is_changed=is_changed)
    scene.wire.run_for(100_000)
    record = scene.close()
    assert (record.end_reason, record.hold_time_ms, record.fee) == ("Balance Exhausted", 60_000, Decimal("0.60"))
