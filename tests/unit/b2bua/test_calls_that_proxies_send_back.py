"""A call of ours that a proxy sends back to another number is taken: a spiral, no loop (ADR 247)."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway, routing_gateway
from doubles.killed import KilledScene
from doubles.sockets.loopback import Endpoint
from doubles.successor import replace_node
from doubles.virtual.customer import INSISTS_ON_RELIABLE, KNOWS_UPDATE, Intent
from doubles.virtual.exchange import RESIDUE_MS, SWITCH
from doubles.virtual.proxy import Proxy
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, answers, answers_reliably, refuses
from doubles.virtual.wire import Storm

from vosd.engine.calls.intake import PASSES_MAX
from vosd.trunks.gateways import Address

OFFICE, MOBILE, OTHER = "442079460000", "447700900123", "447700900456"
PROXY = Endpoint("203.0.113.9", 5060)


def content(*prefixes, **terms):
    """Return a catalogue where the proxy, a customer as well, gets calls to the office, and a vendor the mobile."""
    proxy = routing_gateway(
        "proxy", OFFICE, *prefixes, addresses=(Address(PROXY.host, PROXY.port),), account="carriers", **terms
    )
    trunks = (
        mapping_gateway("acme", f"{CUSTOMER.host}/32"),
        mapping_gateway("proxy", f"{PROXY.host}/32", account="acme"),
    )
    return catalogue([*trunks, proxy, vendor_gateway(0, prefixes=(MOBILE,))])


def proxied(scene, numbers=None, **terms):
    scene.proxy = Proxy(scene.wire, PROXY, SWITCH, numbers or {OFFICE: (MOBILE,)}, **terms)
    return scene


@pytest.fixture
def scene():
    return proxied(Scene(content()))


def reasons(scene):
    return [each.end_reason for each in scene.exchange.sink.records]


def expect_two_alike(scene, reason="Normal"):
    """Require one record for each pass, charged alike: the forwarded call first, for it ends first."""
    scene.expect_nothing_left(within_ms=100)
    records = {each.callee_in: each for each in scene.exchange.sink.records}
    assert [*map(len, (records, scene.exchange.sink.records))] == [2, 2]
    office, mobile = records[OFFICE], records[MOBILE]
    assert (office.end_reason, mobile.end_reason) == (reason, reason)
    assert (office.mapping_gateway, mobile.mapping_gateway) == ("acme", "proxy")
    assert abs(office.hold_time_ms - mobile.hold_time_ms) <= 20
    return office, mobile


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_call_that_is_sent_back_to_a_mobile_is_made(scene, who):
    call = scene.answered_call(script=answers(1_000), callee=OFFICE, talk_ms=10_000)
    there = scene.vendor.only_call
    assert there.invite.start_line.startswith(f"INVITE sip:{MOBILE}@")
    scene.hang_up(call if who == "caller" else there)
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    office, mobile = expect_two_alike(scene)
    assert (office.hangup_source, mobile.hangup_source) == ((who,) * 2)


def test_a_call_that_is_sent_back_is_cancelled_with_the_first(scene):
    call = scene.begun_call(script=RINGS, callee=OFFICE, after_ms=500)
    assert call.statuses == [180]
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(500)
    assert scene.vendor.only_call.is_cancelled
    expect_two_alike(scene, "Cancelled")


def test_the_refusal_of_the_mobile_reaches_the_caller(scene):
    call = scene.settled_call(script=refuses(486), callee=OFFICE)
    scene.wire.run_for(500)
    assert call.final == 486
    assert reasons(scene) == ["Busy", "Busy"]


def test_reliable_responses_updates_and_re_invites_pass_both_calls(scene):
    intent = Intent(headers=(*INSISTS_ON_RELIABLE, *KNOWS_UPDATE))
    call = scene.answered_call(intent, script=answers_reliably(), callee=OFFICE, talk_ms=500)
    there = scene.vendor.only_call
    assert len(scene.vendor.received("PRACK")) == 1
    for side, other, method in ((call, there, "INVITE"), (there, call, "INVITE"), (call, there, "UPDATE")):
        scene.propose(side, "a=sendonly", method=method)
        assert "a=sendonly" in other.theirs, method
    scene.hang_up(call)
    expect_two_alike(scene)


@pytest.mark.parametrize("moment", ["ringing", "answered"])
def test_a_restart_between_the_two_changes_nothing(scene, moment):
    call = scene.begun_call(script=answers(2_000), callee=OFFICE, after_ms=500)
    if moment == "ringing":
        replace_node(scene)
    scene.await_answer(call, talk_ms=1_000)
    replace_node(scene)
    scene.wire.run_for(1_000)
    scene.hang_up(call)
    scene.wire.run_for(100)
    assert scene.vendor.only_call.is_over
    expect_two_alike(scene)


def test_a_kill_leaves_both_calls(tmp_path):
    scene = proxied(KilledScene(tmp_path, content()))
    call = scene.answered_call(script=answers(100), callee=OFFICE, talk_ms=5_000)
    scene.kill()
    scene.wire.run_for(3_000)
    scene.hang_up(scene.vendor.only_call)
    scene.wire.run_until(lambda: call.is_over)
    assert reasons(scene) == ["Normal", "Normal"]


@pytest.mark.parametrize("seed", range(8))
def test_lost_doubled_and_late_packets_leave_one_record_for_each_of_both_calls(scene, seed):
    """Both calls are ends of one dialog: what one repeats must not be taken for what the other has sent."""
    scene.wire.delays = Storm(seed, loss=0.1, doubling=0.1, jitter_ms=200)
    call = scene.answered_call(script=answers(300), callee=OFFICE, talk_ms=5_000)
    scene.propose(call, "a=sendonly", wait_ms=0)
    scene.propose(scene.vendor.only_call, "a=sendonly", wait_ms=15_000)
    call.hang_up()
    scene.wire.run_for(RESIDUE_MS)
    assert scene.exchange.residue() == {}
    records = scene.exchange.sink.records
    assert sorted((each.callee_in, each.end_reason) for each in records) == [(OFFICE, "Normal"), (MOBILE, "Normal")]


# -- circles ------------------------------------------------------------------------------------------------------


def settled(scene, **terms):
    call = scene.settled_call(callee=OFFICE, **terms)
    scene.wire.run_for(1_000)
    scene.expect_nothing_left(within_ms=0)
    return call


def details(scene):
    return [str(each.verdicts) for each in scene.exchange.sink.records]


@pytest.mark.parametrize("number", [OFFICE, f"+{OFFICE}"])
def test_a_call_that_comes_back_with_its_number_is_a_loop(number):
    scene = proxied(Scene(content()), {OFFICE: (number,)})
    assert settled(scene).final == 482
    assert reasons(scene) == ["Loop", "Unavailable"]
    assert "with the number that was sent" in details(scene)[0]


def test_a_proxy_that_does_not_stay_in_the_way_gets_482():
    """Neither call could send its BYE to the other: we send no request to ourselves because a Contact says so."""
    scene = proxied(Scene(content()), stays=False)
    assert settled(scene).final == 482
    assert "without Record-Route" in details(scene)[0]


def test_two_numbers_that_a_proxy_sends_to_each_other_make_three_calls():
    """Both go to the proxy alone; the third call would go where the first went."""
    scene = proxied(Scene(content(OTHER, "44207")), {OFFICE: (OTHER,), OTHER: (OFFICE,)})
    assert settled(scene).final == 482
    assert reasons(scene)[0] == "Loop"
    assert len(reasons(scene)) == 3


def test_a_proxy_that_adds_a_digit_each_time_makes_six_calls():
    numbers = {OFFICE + "0" * count: (OFFICE + "0" * (count + 1),) for count in range(40)}
    scene = proxied(Scene(content(OTHER, "44207")), numbers)
    settled(scene)
    assert len(reasons(scene)) == PASSES_MAX + 1
    assert f"come back {PASSES_MAX} times" in details(scene)[0]


def test_an_invite_that_comes_back_when_its_call_has_given_up_is_refused(scene):
    scene.vendor.script = RINGS
    call = scene.begun_call(callee=OFFICE, after_ms=100)
    [back] = [each for each in scene.wire.packets if each.source == PROXY and each.data.startswith(b"INVITE ")]
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(60_000)
    again = back.data.replace(b"z9hG4bK-proxy-", b"z9hG4bK-later-")
    scene.wire.send(PROXY, SWITCH, again)
    scene.wire.run_for(100)
    assert b"SIP/2.0 482 " in scene.bytes_to(PROXY)
    assert reasons(scene)[-1] == "Loop"
