"""Calls whose descriptions wait for rtpengines: nothing fails inside, and nothing is left, whatever the parties do.

Random calls, with forks, early media, holds, transfers, takeovers and lost packets; in some runs an rtpengine is lost.
"""

import dataclasses
from functools import partial

import pytest
import test_switch_midcall as midcall
from call_plans import LASTS_MS, keyed_plans, plans_with_moments, staged
from doubles.exploring import examples
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import Scene, usual_catalogue
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from vosd.base.cause import EndReason
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

ON = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
FAULTS = {"doorkeeper_failed", "call_aborted", "call_not_ended"}
TICK_MS = 1_000


def scene_with(engines, content=None, **terms):
    """Return a scene whose switch has all calls relayed by rtpengines, and asks for their figures."""
    content = content or usual_catalogue()
    parameters = dataclasses.replace(content.parameters, media=ON)
    scene = Scene(dataclasses.replace(content, parameters=parameters), rtpengines=engines, **terms)

    def tick():
        scene.exchange.poll_rtpengines()
        scene.wire.after(TICK_MS, tick)

    scene.wire.after(TICK_MS, tick)
    return scene


def expect_nothing_left(scene, engines, lines):
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_for(40_000)
    assert [line for line in lines if line["event"] in FAULTS] == []
    assert engines.calls == {}
    assert scene.exchange.leftovers() == Scene(usual_catalogue()).exchange.leftovers()


@given(
    planned=st.one_of(plans_with_moments().map(lambda each: each[0]), keyed_plans()), after_ms=st.sampled_from([1, 40])
)
@settings(max_examples=examples(40, 400), deadline=None)
def test_calls_of_any_kind_leave_nothing_at_an_rtpengine(planned, after_ms):
    engines = VirtualRtpEngines(after_ms)
    with capture_logs() as lines:
        scene, _ = staged(planned, partial(scene_with, engines))
        scene.wire.run_for(LASTS_MS)
        expect_nothing_left(scene, engines, lines)


@given(planned=plans_with_moments())
@settings(max_examples=examples(40, 400), deadline=None)
def test_calls_of_any_kind_survive_the_loss_of_their_rtpengine(planned):
    plan, moments = planned
    engines = VirtualRtpEngines()

    def change(number):
        lost, other = ("one", "two") if number % 2 == 0 else ("two", "one")
        engines.up[other] = True
        engines.lose(lost)

    with capture_logs() as lines:
        scene, _ = staged(plan, partial(scene_with, engines))
        for number, at_ms in enumerate(moments):
            scene.wire.after(at_ms, partial(change, number))
        scene.wire.run_for(LASTS_MS)
        expect_nothing_left(scene, engines, lines)


@pytest.mark.parametrize("seed", range(examples(3, 12)))
def test_a_day_of_transfers_and_takeovers_leaves_nothing_at_an_rtpengine(seed, monkeypatch):
    engines = VirtualRtpEngines()
    monkeypatch.setattr(midcall, "Scene", partial(scene_with, engines))
    with capture_logs() as lines:
        day = midcall.Day(seed)
        day.scene.wire.run_for(150_000)
        expect_nothing_left(day.scene, engines, lines)
