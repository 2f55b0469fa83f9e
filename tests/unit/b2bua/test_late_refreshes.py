"""Refreshes and probes that are answered late: how long they are waited for, and from when the next interval counts."""

import re

from doubles.timed_scene import TimedScene
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import VENDORS
from doubles.virtual.side import Reply
from doubles.virtual.vendor import answers

from vosd.base.session_timer import Probe


def test_a_refresh_after_one_that_failed_has_its_own_time_for_an_answer():
    """64·T1, also where the session would be given up before; only a refresh that follows a failure has less."""
    scene = TimedScene(vendor={"early_hangup_s": 280})  # given up after 320 s of 600; the first refresh is sent at 300
    _, there = scene.answered()
    there.will("UPDATE", Reply(503), Reply(200), Reply(200, after_ms=25_000))
    scene.run(800)
    assert len(there.asked["UPDATE"]) == 3
    assert scene.exchange.sink.records == []


def test_a_probe_that_was_answered_late_counts_from_when_it_was_sent():
    """Any answer but those of ``UNREACHED`` shows that the peer had the call then, not that it has it now."""
    scene = TimedScene(vendor={"probe": Probe.REFRESH})
    _, there = scene.answered(script=answers())
    there.will("INVITE", *[Reply(488, after_ms=20_000)] * 3)
    scene.run(1_000)
    began, *probes = invites_to_the_vendor(scene)
    assert [sent_at - began for sent_at in probes] == [301_000, 601_000, 901_000]


def invites_to_the_vendor(scene):
    """Return when each INVITE was sent first, in milliseconds."""
    times = {}
    for packet in scene.wire.packets:
        if packet.source == SWITCH and packet.target == VENDORS[0] and packet.data.startswith(b"INVITE "):
            times.setdefault(re.search(rb"CSeq: (\d+)", packet.data)[1], packet.sent_at)
    return [*times.values()]
