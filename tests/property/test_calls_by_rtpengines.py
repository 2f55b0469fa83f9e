"""Calls whose descriptions wait for rtpengines: nothing fails inside, and nothing is left, whatever the parties do.

Random calls, with forks, early media, holds, transfers, takeovers and lost packets; in some runs an rtpengine is lost.
"""

import dataclasses
from functools import partial

import msgspec
import pytest
import test_switch_midcall as midcall
from call_plans import LASTS_MS, keyed_plans, plans_with_moments, staged
from doubles.announcing import sound
from doubles.exploring import examples
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import Scene, usual_catalogue
from hypothesis import given, settings, strategies as st
from structlog.testing import capture_logs

from vosd.base.cause import EndReason
from vosd.media.sounds import Sound
from vosd.trunks.media import Encryption, MediaEngine, MediaMode, MediaParameters, MediaSettings

ON = MediaParameters(
    engine=MediaEngine.RTPENGINE,
    mode=MediaMode.ON,
    music_on_hold="music",
    announcements={"Busy": "music", "Rejected": "music", "No Answer": "music"},
)
SOUNDS = {"music": Sound("music", sound("music").by_codec, "/srv/music.wav")}
MAY_ENCRYPT = MediaSettings(encryption=Encryption.OPTIONAL)
FAULTS = {"doorkeeper_failed", "call_aborted", "call_not_ended"}
TICK_MS = 1_000


def scene_with(engines, content=None, *, encrypts=False, **terms):
    """Return a scene whose switch has all calls relayed by rtpengines, and asks for their figures."""
    content = content or usual_catalogue()
    if encrypts:
        for gateway in (*content.mapping_gateways.values(), *content.routing_gateways.values()):
            msgspec.structs.force_setattr(gateway, "media", MAY_ENCRYPT)
    parameters = dataclasses.replace(content.parameters, media=ON, sounds=SOUNDS)
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
    assert (engines.calls, engines.playing) == ({}, {})
    assert scene.exchange.leftovers() == Scene(usual_catalogue()).exchange.leftovers()


@given(
    planned=st.one_of(plans_with_moments().map(lambda each: each[0]), keyed_plans()),
    after_ms=st.sampled_from([1, 40]),
    encrypts=st.booleans(),
)
@settings(max_examples=examples(40, 400), deadline=None)
def test_calls_of_any_kind_leave_nothing_at_an_rtpengine(planned, after_ms, encrypts):
    engines = VirtualRtpEngines(after_ms)
    with capture_logs() as lines:
        scene, _ = staged(planned, partial(scene_with, engines, encrypts=encrypts))
        scene.wire.run_for(LASTS_MS)
        expect_nothing_left(scene, engines, lines)


@given(planned=plans_with_moments(), encrypts=st.booleans())
@settings(max_examples=examples(40, 400), deadline=None)
def test_calls_of_any_kind_survive_the_loss_of_their_rtpengine(planned, encrypts):
    plan, moments = planned
    engines = VirtualRtpEngines()

    def change(number):
        lost, other = ("one", "two") if number % 2 == 0 else ("two", "one")
        engines.up[other] = True
        engines.lose(lost)

    with capture_logs() as lines:
        scene, _ = staged(plan, partial(scene_with, engines, encrypts=encrypts))
        for number, at_ms in enumerate(moments):
            scene.wire.after(at_ms, partial(change, number))
        scene.wire.run_for(LASTS_MS)
        expect_nothing_left(scene, engines, lines)


@pytest.mark.parametrize("seed", range(examples(3, 12)))
def test_a_day_of_transfers_and_takeovers_leaves_nothing_at_an_rtpengine(seed, monkeypatch):
    engines = VirtualRtpEngines()
    monkeypatch.setattr(midcall, "Scene", partial(scene_with, engines, encrypts=seed % 2 == 0))
    with capture_logs() as lines:
        day = midcall.Day(seed)
        day.scene.wire.run_for(150_000)
        expect_nothing_left(day.scene, engines, lines)
