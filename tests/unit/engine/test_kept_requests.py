"""A stop that keeps the calls, and the start behind it: requests that no call waits for any more go on, too.

A call that is over may still have a BYE or a CANCEL that its vendor has not answered.
"""

import pytest
from doubles.killed import KilledScene

from vosd.testing.virtual.scene import CALLEE, VENDORS
from vosd.testing.virtual.vendor import RINGS, answers

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
