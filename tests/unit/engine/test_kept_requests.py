"""A stop that keeps the calls, and the start behind it: requests that no call waits for any more go on, too.

A call that is over may still have a BYE or a CANCEL that its vendor has not answered.
"""

import pytest
from doubles.killed import KilledScene
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS
from doubles.virtual.vendor import RINGS, answers, refuses

LASTS_MS = 40_000
"""Longer than a request is repeated."""
UNANSWERED_MS = pytest.mark.parametrize("unanswered_ms", [1_000, 8_000])
OTHERS = pytest.mark.parametrize("others", [0, 1], ids=["no other call", "another call"])


def begin(tmp_path, others):
    """Return a switch with that many calls beside."""
    scene = KilledScene(tmp_path)
    scene.vendor.script = answers()
    for _ in range(others):
        scene.caller.call(CALLEE)
        scene.wire.run_for(2_000)
    return scene


def sent_again(scene, method, *, is_kept):
    """Return the CSeq of each request of a method that the vendor is sent from now on, which takes none."""
    before = len(scene.wire.packets)
    if is_kept:
        scene.stop_and_keep()
    scene.wire.run_for(LASTS_MS)
    return [
        packet.data.partition(b"\r\nCSeq: ")[2].partition(b"\r\n")[0]
        for packet in scene.wire.packets[before:]
        if packet.target == VENDORS[0] and packet.data.startswith(method)
    ]


def unanswered_bye(tmp_path, others, unanswered_ms):
    scene = begin(tmp_path, others)
    call, _ = scene.talk()
    scene.wire.run_for(5_000)
    scene.wire.attach(VENDORS[0], lambda _packet: None)
    call.hang_up()
    scene.wire.run_for(unanswered_ms)
    return scene


def unanswered_cancel(tmp_path, others, unanswered_ms):
    scene = begin(tmp_path, others)
    scene.vendor.script = RINGS
    call = scene.caller.call(CALLEE)
    scene.wire.run_for(2_000)
    scene.wire.attach(VENDORS[0], lambda _packet: None)
    call.cancel()
    scene.wire.run_for(unanswered_ms)
    return scene


@OTHERS
@UNANSWERED_MS
@pytest.mark.parametrize(
    ("leave", "method"), [(unanswered_bye, b"BYE"), (unanswered_cancel, b"CANCEL")], ids=["BYE", "CANCEL"]
)
def test_a_request_of_a_call_that_is_over_is_repeated_as_without_a_restart(
    tmp_path, others, unanswered_ms, leave, method
):
    whole = sent_again(leave(tmp_path / "whole", others, unanswered_ms), method, is_kept=False)
    kept = sent_again(leave(tmp_path / "kept", others, unanswered_ms), method, is_kept=True)
    assert kept == whole
    assert len(kept) > 3


@OTHERS
def test_the_refusal_of_a_call_that_is_over_is_repeated_until_its_ack(tmp_path, others):
    """The caller has not received it, and repeats its INVITE, which is no new call."""
    scene = begin(tmp_path, others)
    scene.vendor.script = refuses(486)
    scene.wire.attach(CUSTOMER, lambda _packet: None)
    scene.caller.call(CALLEE)
    scene.wire.run_for(5_000)
    before = len(scene.wire.packets)
    scene.stop_and_keep()
    scene.wire.run_for(LASTS_MS)
    refusals = [packet for packet in scene.wire.packets[before:] if packet.data.startswith(b"SIP/2.0 486")]
    assert len(refusals) > 3
    assert not any(
        packet.data.startswith(b"INVITE") and packet.target == VENDORS[0] for packet in scene.wire.packets[before:]
    )


def test_a_bye_that_waits_for_the_ack_of_our_200_is_sent_when_it_comes(tmp_path):
    scene = begin(tmp_path, 0)
    call = scene.caller.call(CALLEE, Intent(acknowledges=False))
    scene.wire.run_until(lambda: call.final == 200)
    scene.wire.run_for(1_000)
    scene.vendor.calls[0].hang_up()
    scene.wire.run_for(6_000)
    assert not call.is_over
    scene.stop_and_keep()
    scene.wire.run_for(1_000)
    assert not call.is_over
    call.acknowledge()
    scene.wire.run_for(1_000)
    assert call.is_over
