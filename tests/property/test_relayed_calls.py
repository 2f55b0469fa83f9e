"""Relaying the media of a call changes its session descriptions and nothing else: the same packets, the same records.

Random calls, with forks, early media, holds, transfers, takeovers and lost packets, are carried out without a relay and
with one. In the end no port is open.
"""

import dataclasses
import re
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
import test_switch_midcall as midcall
from call_plans import LASTS_MS, keyed_plans, plans_with_moments, staged
from doubles.announcing import SOUNDS
from doubles.exploring import examples
from doubles.killed import KilledScene
from doubles.successor import replace_node
from doubles.virtual import customer, ua, vendor
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import Scene, usual_catalogue
from hypothesis import given, settings
from structlog.testing import capture_logs

from vosd.base.cause import EndReason
from vosd.trunks.announcements import ANNOUNCED
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

ON = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
LENGTH = re.compile(rb"\r\nContent-Length: \d+")


class TalkativeRelay(VirtualRelay):
    """A relay at whose ports something comes all the time: no call ends by silence."""

    def figures(self, port):
        return msgspec.structs.replace(super().figures(port), alive_mono=1 << 40)


def relayed_scene(relay, content=None, *, make=Scene, **terms):
    """Return a scene whose switch relays all calls."""
    content = content or usual_catalogue()
    parameters = dataclasses.replace(content.parameters, media=ON)
    content = dataclasses.replace(content, parameters=parameters)
    if "directory" in terms:
        return make(terms.pop("directory"), content, relay=relay, **terms)
    return make(content, relay=relay, **terms)


def killed_scene(content=None, *, directory, **terms):
    """Return a scene whose switch can be killed."""
    return KilledScene(directory, content or usual_catalogue(), **terms)


def story_of(scene):
    """Return what happened but for session descriptions, and what is left once all calls are over."""
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_for(1_000)
    packets = [
        (packet.sent_at, packet.source, packet.target, LENGTH.sub(b"", packet.data.partition(b"\r\n\r\n")[0]))
        for packet in scene.wire.packets
    ]
    records = [without_media(record) for record in scene.exchange.sink.records]
    return packets, records, scene.exchange.leftovers()


def without_media(record):
    """Return a record that says nothing of media, of its attempts neither."""
    without = {"media_path": None, "media_step": None, "media_fault": None}
    attempts = tuple(msgspec.structs.replace(attempt, **without) for attempt in record.attempts)
    return msgspec.structs.replace(record, media=None, attempts=attempts)


def carry_out(plan, make, moments=()):
    scene, _ = staged(plan, make)
    for at_ms in moments:
        scene.wire.after(at_ms, partial(replace_node, scene))
    scene.wire.run_for(LASTS_MS)
    return story_of(scene)


def assert_same(plan, moments=()):
    relay = TalkativeRelay()
    with capture_logs() as lines:
        relayed = carry_out(plan, partial(relayed_scene, relay), moments)
    assert [line for line in lines if line["event"] == "doorkeeper_failed"] == []
    plain = carry_out(plan, Scene)
    for number, (there, here) in enumerate(zip(plain[0], relayed[0], strict=False)):
        assert here == there, f"packet {number}"
    assert relayed == plain
    assert relay.open_ports == {}


@given(planned=plans_with_moments())
@settings(max_examples=examples(40, 300), deadline=None)
def test_any_call_is_the_same_with_a_relay(planned):
    plan, _ = planned
    assert_same(plan)


def announcing_scene(relay, content=None, *, make=Scene, **terms):
    """Return a scene whose switch announces every end of a call without an answer."""
    content = content or usual_catalogue()
    announcements = {reason.text: "busy" for reason in ANNOUNCED}
    media = msgspec.structs.replace(ON, announcements=announcements)
    parameters = dataclasses.replace(content.parameters, media=media, sounds=SOUNDS)
    content = dataclasses.replace(content, parameters=parameters)
    if "directory" in terms:
        return make(terms.pop("directory"), content, relay=relay, **terms)
    return make(content, relay=relay, **terms)


@given(planned=plans_with_moments())
@settings(max_examples=examples(12, 200), deadline=None)
def test_announcements_change_no_end_and_no_charge_and_leave_no_port(planned):
    """A caller that gives up while it hears one gets 487 in place of the code, and that is all."""
    plan, moments = planned
    for at_once in ((), moments):
        relay = TalkativeRelay()
        _, announced, left = carry_out(plan, partial(announcing_scene, relay), at_once)
        _, plain, _ = carry_out(plan, Scene)
        assert left == {}
        assert relay.open_ports == {}
        assert list(map(without_code, announced)) == list(map(without_code, plain))


@given(planned=plans_with_moments())
@settings(max_examples=examples(12, 200), deadline=None)
def test_music_on_hold_changes_no_packet_but_its_description_and_leaves_no_port(planned):
    plan, moments = planned
    for at_once in ((), moments):
        relay = TalkativeRelay()
        with capture_logs() as lines:
            musical = carry_out(plan, partial(musical_scene, relay), at_once)
        assert [line for line in lines if line["event"] == "doorkeeper_failed"] == []
        assert musical == carry_out(plan, Scene, at_once)
        assert relay.open_ports == {}


def musical_scene(relay, content=None, **terms):
    """Return a scene whose switch plays music on every hold."""
    content = content or usual_catalogue()
    media = msgspec.structs.replace(ON, music_on_hold="busy")
    parameters = dataclasses.replace(content.parameters, media=media, sounds=SOUNDS)
    return Scene(dataclasses.replace(content, parameters=parameters), relay=relay, **terms)


def without_code(record):
    return msgspec.structs.replace(record, sip_code=None)


@given(plan=keyed_plans())
@settings(max_examples=examples(20, 60), deadline=None)
def test_transfers_by_keys_are_the_same_with_a_relay(plan):
    assert_same(plan)


@given(planned=plans_with_moments())
@settings(max_examples=examples(20, 100), deadline=None)
def test_a_relayed_call_goes_on_in_another_switch(planned):
    assert_same(*planned)


@given(planned=plans_with_moments())
@settings(max_examples=examples(20, 100), deadline=None)
def test_a_relayed_call_whose_switch_is_killed_leaves_no_port(planned):
    plan, kills = planned
    relay = TalkativeRelay()
    stories = []
    for make in (killed_scene, partial(relayed_scene, relay, make=KilledScene)):
        with TemporaryDirectory() as directory, capture_logs() as lines:
            scene, _ = staged(plan, partial(make, directory=Path(directory) / "journal"))
            for at_ms in kills:
                scene.wire.after(at_ms, scene.kill)
            scene.wire.run_for(LASTS_MS)
            stories.append(story_of(scene))
        assert [line for line in lines if line["event"] == "doorkeeper_failed"] == []
    assert stories[0] == stories[1]
    assert relay.open_ports == {}


@pytest.mark.parametrize("seed", range(examples(4, 12)))
def test_a_day_of_transfers_and_takeovers_is_the_same_with_a_relay(seed, monkeypatch):
    stories = []
    for relay in (None, TalkativeRelay()):
        customer._numbers = vendor._numbers = ua._numbers = count(1)
        monkeypatch.setattr(midcall, "Scene", Scene if relay is None else partial(relayed_scene, relay))
        day = midcall.Day(seed)
        day.scene.wire.run_for(150_000)
        stories.append(story_of(day.scene))
    assert stories[0] == stories[1]
