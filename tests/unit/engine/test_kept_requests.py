"""A stop that keeps the calls, and the start behind it: requests that no call waits for any more go on, too.

A call that is over may still have a BYE or a CANCEL that its vendor has not answered.
"""

import pytest
from doubles.killed import KilledScene
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, usual_catalogue
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, answers, refuses

from vosd.trunks.dialect import CalleeDialect

LASTS_MS = 40_000
"""Longer than a request is repeated."""
UNANSWERED_MS = pytest.mark.parametrize("unanswered_ms", [1_000, 8_000])
OTHERS = pytest.mark.parametrize("others", [0, 1], ids=["no other call", "another call"])


def begin(tmp_path, others, *content):
    """Return a switch with that many calls beside."""
    scene = KilledScene(tmp_path, *content)
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
    scene.hang_up(call, wait_ms=unanswered_ms)
    return scene


def unanswered_cancel(tmp_path, others, unanswered_ms):
    scene = begin(tmp_path, others)
    call = scene.begun_call(script=RINGS, after_ms=2_000)
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
    scene.stop_and_keep(then_ms=LASTS_MS)
    refusals = [packet for packet in scene.wire.packets[before:] if packet.data.startswith(b"SIP/2.0 486")]
    assert len(refusals) > 3
    assert not any(
        packet.data.startswith(b"INVITE") and packet.target == VENDORS[0] for packet in scene.wire.packets[before:]
    )


def test_a_bye_that_waits_for_the_ack_of_our_200_is_sent_when_it_comes(tmp_path):
    scene = begin(tmp_path, 0)
    call = scene.answered_call(Intent(acknowledges=False), talk_ms=1_000)
    scene.hang_up(scene.vendor.calls[0], wait_ms=6_000)
    assert not call.is_over
    scene.stop_and_keep(then_ms=1_000)
    assert not call.is_over
    call.acknowledge()
    scene.wire.run_for(1_000)
    assert call.is_over


ANSWERS_TO_INFO = pytest.mark.parametrize(("said", "told"), [(200, 200), (415, 415), (408, 504), (481, 504), (0, 504)])
"""Answers of the asked side (0 = none), and what is told to the one that has sent the INFO."""


def with_info(tmp_path, said, then="", asks="vendor", content=()):
    """Return both ends of a call, one of which has sent an INFO that the other answers after a second.

    ``then``: the caller ``hangs up``, or ``is replaced`` by another phone, before the next process takes over.
    """
    scene = begin(tmp_path, 1, *content)
    call, party = scene.talk()
    asking, asked = (party, call) if asks == "vendor" else (call, party)
    asked.will("INFO", Reply(said, after_ms=1_000))
    asking.ask("INFO", body="Signal=5\r\n", kind="application/dtmf-relay")
    scene.wire.run_for(100)
    if then == "hangs up":
        call.hang_up()
    elif then == "is replaced":
        scene.caller.call(CALLEE, Intent(headers=(f"Replaces: {call.replaces}",)))
    scene.wire.run_for(300)
    scene.stop_and_keep(then_ms=10)
    return scene, asking, party


def waiting_infos(scene):
    """Return for each leg the number of INFOs that have no answer."""
    return [leg.informing for each in scene.exchange.switch.calls() for leg in each.call.conversation.parties]


@ANSWERS_TO_INFO
@pytest.mark.parametrize("then", ["", "hangs up", "is replaced"])
def test_an_info_is_answered_by_the_next_process_once(tmp_path, said, told, then):
    scene, asking, party = with_info(tmp_path, said, then)
    assert sum(waiting_infos(scene)) == (then != "hangs up")
    scene.wire.run_for(LASTS_MS)
    assert [status for status in asking.got["INFO"] if status] == [told]
    assert party.is_over is (then == "hangs up" or (said == 481 and not then))
    assert not any(waiting_infos(scene))


@ANSWERS_TO_INFO
def test_an_info_of_a_caller_that_was_replaced_is_answered_and_may_show_that_the_call_is_lost(tmp_path, said, told):
    scene, asking, _ = with_info(tmp_path, said, "is replaced", asks="caller")
    callees = [each.call.callee.leg for each in scene.exchange.switch.calls()]
    before = [callee.facts.last_seen_at for callee in callees]
    scene.wire.run_for(LASTS_MS)
    assert [status for status in asking.got["INFO"] if status] == [told]
    assert len(scene.exchange.switch.calls()) == (1 if said == 481 else 2)
    assert ([callee.facts.last_seen_at for callee in callees] != before) is (said in {200, 415})


@pytest.mark.parametrize(("then", "named"), [("", True), ("is replaced", True), ("hangs up", False)])
def test_the_answer_to_an_info_has_the_name_of_the_trunk_while_its_sender_is_part_of_a_call(tmp_path, then, named):
    content = usual_catalogue(terms={"dialect": CalleeDialect(user_agent="trunk/7")})
    scene, asking, _ = with_info(tmp_path, 200, then, content=[content])
    before = len(scene.wire.packets)
    scene.wire.run_for(LASTS_MS)
    assert asking.got["INFO"][-1] == 200
    (answer,) = [
        packet.data
        for packet in scene.wire.packets[before:]
        if packet.target == VENDORS[0] and packet.data.startswith(b"SIP/2.0 200") and b" INFO\r\n" in packet.data
    ]
    assert (b"\r\nServer: trunk/7\r\n" in answer) is named
