"""A switch that is killed at any moment: the next one has the journal, and no call is lost or billed twice.

The plans of calls are those of ``call_plans``. In ``test_call_snapshots`` the successor is given a whole
description of the moment; here it finds what the journal has, and packets are lost while it is away.
"""

from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
import test_switch_midcall as midcall
from call_plans import ANSWERING, DOINGS, INTENTS, LASTS_MS, Plan, keyed_plans, plans_with_moments, staged
from doubles.exploring import examples
from doubles.killed import SMALL_BYTES, KilledScene
from hypothesis import given, settings, strategies as st
from structlog.testing import capture_logs
from test_switch_midcall import BUY, SELL

from vosd.base.cause import EndReason
from vosd.base.session_timer import Probe
from vosd.billing.rater import rate_call
from vosd.cdr.record import CallRecord


class Kill(NamedTuple):
    """When the switch is killed, and how long it is away."""

    at_ms: int
    away_ms: int


class Outcome(NamedTuple):
    """What is left of a plan."""

    records: list[CallRecord]
    late: list[CallRecord]
    """Late answers have records of their own."""
    lost: list[CallRecord]
    leftovers: dict[str, object]
    events: set[str]
    available: dict[str, object]
    scene: KilledScene


def carry_out(plan, kills=(), tear=None):
    with TemporaryDirectory() as directory, capture_logs() as logged:
        files = {"segment_bytes": SMALL_BYTES} if sum(kill.at_ms for kill in kills) % 2 else {}
        scene, _ = staged(plan, partial(KilledScene, Path(directory) / "journal", **files))
        for kill in kills:
            scene.wire.after(kill.at_ms, partial(scene.kill, kill.away_ms, tear))
        scene.wire.run_for(LASTS_MS)
        exchange = scene.exchange
        exchange.end_all(EndReason.ADMINISTRATIVE)
        scene.wire.run_for(1_000)
        left = {**exchange.leftovers(), **exchange.residue()}
        scene.exchange.sink.journal.close()
    events = {line["event"] for line in logged if line["log_level"] in {"warning", "error", "critical"}}
    available = {name: credit.available for name, credit in exchange.credits.items()}
    return Outcome(exchange.sink.records, exchange.sink.late_answers, scene.lost, left, events, available, scene)


HARMLESS = {
    "call_not_continued", "answer_late", "bye_unanswered", "account_refused", "session_refresh_refused",
    "calls_not_continued", "answer_released", "answer_unheard", "bye_refused",
    "session_refresh_failed",
}  # fmt: skip


@st.composite
def plans_with_kills(draw):
    plan, moments = draw(plans_with_moments())
    aways = st.sampled_from([0, 0, 300, 2_000, 40_000])
    kills, free = [], 0
    for at_ms in moments:
        kill = Kill(max(at_ms, free), draw(aways))
        free = kill.at_ms + kill.away_ms + 1
        kills.append(kill)
    return plan, kills


def judge(record, plan):
    """Compute the charges of a record again: from the answers, or from the INVITEs where ringing is charged."""
    talked_ms, charged_ms = record.hold_time_ms, record.billing_base_ms
    paid_ms = 0 if record.vendor_answered_at is None else record.ended_at - record.vendor_answered_at
    if charged_ms is None:
        assert not plan.charges_ringing or not record.attempts
        assert talked_ms == (0 if record.answered_at is None else record.ended_at - record.answered_at)
        charged_ms = talked_ms
    else:
        assert plan.charges_ringing
        paid_ms = record.vendor_billing_base_ms
        assert 0 <= paid_ms <= charged_ms <= record.ended_at - record.started_at
        assert talked_ms <= charged_ms
    assert record.fee == rate_call(SELL, charged_ms).total
    assert record.cost == rate_call(BUY, paid_ms).total


def judge_late(outcome):
    """Require that an attempt is paid once: by the record of its call, and by that of its late answer for the rest."""
    ids = [record.call_id for record in outcome.late]
    assert len(set(ids)) == len(ids)
    for late in (each for each in outcome.late if each.vendor_paid_ms is not None):
        [call] = [each for each in outcome.records if each.sip_call_id_out == late.sip_call_id_out]
        assert (call.vendor_answered_at, call.vendor_billing_base_ms) == (None, late.vendor_paid_ms)
        assert call.cost + late.cost == rate_call(BUY, late.vendor_billing_base_ms).total


@given(planned=plans_with_kills())
@settings(max_examples=examples(40, 200), deadline=None)
def test_every_answered_call_has_one_record_whenever_the_switch_is_killed(planned):
    plan, kills = planned
    outcome = carry_out(plan, kills)
    for record in outcome.records:
        judge(record, plan)
    assert outcome.leftovers == {}
    assert outcome.events <= HARMLESS
    ids = [record.call_id for record in outcome.records]
    assert len(set(ids)) == len(ids)
    judge_late(outcome)
    answered = [call for call in outcome.scene.caller.calls.values() if call.final == 200]
    assert len(answered) <= sum(record.answered_at is not None for record in outcome.records)


LIVELY = sorted(
    set(DOINGS) - {"is gone", "will say nothing", "will be slow", "will be busy", "changes its mind"}
    - {each for each in DOINGS if "by keys" in each}
)  # fmt: skip
QUIET_MS = 4_000


@st.composite
def quiet_plans(draw):
    """Draw a plan whose switch is killed while nothing is in progress."""
    times = draw(st.lists(st.integers(12_000, 200_000), min_size=1, max_size=5, unique=True).map(sorted))
    spaced = [at_ms + 12_000 * number for number, at_ms in enumerate(times)]
    doings = tuple(
        (at_ms, draw(st.sampled_from(["caller", "callee"])), draw(st.sampled_from(LIVELY))) for at_ms in spaced
    )
    plan = Plan(
        draw(st.sampled_from(sorted({*INTENTS} - {"never acknowledges", "gives up", "gives up in no UTF-8"}))),
        (draw(st.sampled_from([each for each in ANSWERING if each != "refreshes itself"])), "answers"),
        doings,
        None,
        draw(st.sampled_from(["100", "0.7"])),
        draw(st.sampled_from(list(Probe))),
        draw(st.sampled_from([1_000, 40])),
        charges_ringing=draw(st.booleans()),
    )
    kills = [
        Kill(at_ms + QUIET_MS, draw(st.sampled_from([0, 1_500]))) for at_ms in [6_000, *spaced] if draw(st.booleans())
    ]
    return plan, kills


def told(record):
    """Return what a record says that a kill does not change."""
    return (
        record.end_reason, record.hangup_source, record.sip_code, record.q850_cause, record.codec, record.callee_out,
        record.caller_in, record.routing_gateway, record.pdd_ms, record.attempts, record.fee, record.cost,
        record.billed_seconds, record.acknowledged_at, record.answered_at, record.recorded,
    )  # fmt: skip


@given(planned=quiet_plans())
@settings(max_examples=examples(30, 200), deadline=None)
def test_a_call_that_is_not_in_the_middle_of_something_ends_as_if_nothing_had_happened(planned):
    plan, kills = planned
    untouched, killed = carry_out(plan), carry_out(plan, kills)
    assert killed.leftovers == {}
    assert killed.lost == []
    assert [told(record) for record in killed.records] == [told(record) for record in untouched.records]
    assert killed.available == untouched.available


@given(plan=keyed_plans(), kills=st.lists(st.integers(3_000, 39_000), min_size=1, max_size=3, unique=True).map(sorted))
@settings(max_examples=examples(25, 100), deadline=None)
def test_a_transfer_by_keys_leaves_one_record_for_each_call_whenever_the_switch_is_killed(plan, kills):
    outcome = carry_out(plan, [Kill(at, 0) for at in kills])
    assert outcome.leftovers == {}
    assert outcome.events <= HARMLESS
    ids = [record.call_id for record in outcome.records]
    assert len(set(ids)) == len(ids)


@given(planned=plans_with_kills(), share=st.floats(0, 1))
@settings(max_examples=examples(25, 100), deadline=None)
def test_a_power_loss_that_takes_a_part_of_the_last_records_leaves_none_twice(planned, share):
    """The file is cut at any byte behind the records of the last mark, which were synced."""
    plan, kills = planned

    def tear(scene, file):
        cut = scene.synced_bytes + round(share * max(0, file.stat().st_size - scene.synced_bytes))
        with file.open("r+b") as torn:
            torn.truncate(cut)

    outcome = carry_out(plan, kills, tear)
    assert outcome.leftovers == {}
    assert outcome.events <= {*HARMLESS, "journal_record_incomplete"}
    ids = [record.call_id for record in outcome.records]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("seed", range(12))
def test_a_day_of_transfers_takeovers_and_falsehoods_is_paid_for_although_the_switch_is_killed(
    seed, monkeypatch, tmp_path
):
    made = []

    def scene(*content, **terms):
        made.append(KilledScene(tmp_path / "journal", *content, **terms))
        draw = Random(seed)
        for at_ms in sorted(draw.sample(range(0, midcall.DAY_MS, 3_000), 5)):
            made[0].wire.after(at_ms + draw.randrange(1_000), partial(made[0].kill, draw.choice([0, 0, 700])))
        return made[0]

    monkeypatch.setattr(midcall, "Scene", scene)
    with capture_logs() as logged:
        day = midcall.Day(seed)
        day.is_honest = False  # what is said while the switch is away is lost
        day.judge()
    made[0].exchange.sink.journal.close()
    assert {line["event"] for line in logged if line["log_level"] in {"error", "critical"}} == set()
