"""The flows of RFC 3665 that concern a B2BUA, packet by packet on both sides, and what each leaves in the record.

Flows 3.3 (challenges by proxies) and 3.5 (a gateway for firewalls) are of other elements.
"""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import answering, revised
from doubles.sockets.peer import ANSWER, OFFER, Message
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, sides, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, refuses

from vosd.trunks.dialect import CalleeDialect, Redirects

BRIEF = Intent(hang_up_after_ms=1_000)
HANGS_UP = ["> BYE", "< 200 BYE"]
IS_HUNG_UP = ["< BYE", "> 200 BYE"]
CALLS = ["> INVITE", "< 100 INVITE", "< 180 INVITE", "< 200 INVITE", "> ACK"]
IS_CALLED = ["< INVITE", "> 100 INVITE", "> 180 INVITE", "> 200 INVITE", "< ACK"]


def ladder(scene, address):
    """Return what went over one side's line as that side sees it, in the order of sending."""
    lines = []
    for packet in scene.wire.packets:
        if address in {packet.source, packet.target}:
            message = Message(packet.data, packet.source)
            what = message.method or f"{message.status} {message['CSeq'].partition(' ')[2]}"
            lines.append(f"{'>' if packet.source == address else '<'} {what}")
    return lines


def carried(scene, intent=BRIEF):
    """Carry one call to its end and return it."""
    call = scene.whole_call(intent)
    scene.wire.run_for(100)
    return call


def end_of(record):
    return record.end_reason, record.hangup_source, record.sip_code


def test_3_1_and_3_2_a_session_is_established_and_ended_by_the_caller(scene):
    carried(scene)
    assert ladder(scene, CUSTOMER) == [*CALLS, *HANGS_UP]
    assert ladder(scene, VENDORS[0]) == [*IS_CALLED, *IS_HUNG_UP]
    assert end_of(scene.close()) == ("Normal", "caller", 200)


def test_3_1_the_same_ended_by_the_callee(scene):
    scene.vendor.script = answers(hang_up_after_ms=1_000)
    carried(scene, None)
    assert ladder(scene, CUSTOMER)[-2:] == IS_HUNG_UP
    assert ladder(scene, VENDORS[0])[-2:] == HANGS_UP
    assert end_of(scene.close()) == ("Normal", "callee", 200)


def test_3_4_the_first_way_does_not_answer_and_the_second_is_taken(scene):
    """The proxy that fails is a gateway here; its INVITE goes unanswered until the time for that is over."""
    scene.vendor.script = SILENT
    carried(scene)
    assert set(ladder(scene, VENDORS[0])) == {"< INVITE"}
    assert ladder(scene, VENDORS[1]) == [*IS_CALLED, *IS_HUNG_UP]
    assert ladder(scene, CUSTOMER) == [*CALLS, *HANGS_UP]
    assert [row.code for row in scene.close().attempts] == [0, 200]


def test_3_6_a_redirection_and_a_session_in_the_ack():
    """The INVITE has no offer; the answer goes into the ACK, through to the place that the 302 has named."""
    first = vendor_gateway(0, dialect=CalleeDialect(redirects=Redirects.FOLLOW))
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), first]))
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[1]}>",))
    scene.vendors[1].script = answers(body=OFFER)
    call = carried(scene, Intent(offer="", hang_up_after_ms=1_000))
    assert ladder(scene, VENDORS[0]) == ["< INVITE", "> 100 INVITE", "> 302 INVITE", "< ACK"]
    assert ladder(scene, VENDORS[1]) == [*IS_CALLED, *IS_HUNG_UP]
    there = scene.vendors[1].only_call
    assert (there.invite.body, call.response(200).body, there.acks[0].body) == ("", OFFER, ANSWER)
    assert end_of(scene.close()) == ("Normal", "caller", 200)


def test_3_7_the_callees_address_changes_within_the_session(scene):
    """Its re-INVITE names another address for media; the caller's answer comes back, both are acknowledged."""
    call, there = scene.talk()
    offer = revised(ANSWER).replace("192.0.2.20", "192.0.2.99")
    there.ask("INVITE", body=offer)
    scene.wire.run_for(1_000)
    assert ladder(scene, CUSTOMER) == [*CALLS, "< INVITE", "> 200 INVITE", "< ACK"]
    assert ladder(scene, VENDORS[0]) == [*IS_CALLED, "> INVITE", "< 100 INVITE", "< 200 INVITE", "> ACK"]
    told = call.asked["INVITE"][0].body
    assert "c=IN IP4 192.0.2.99" in told
    assert there.theirs == answering(told, OFFER)
    assert end_of(scene.finish(call)) == ("Normal", "caller", 200)


def test_3_8_no_answer_and_the_caller_gives_up(scene):
    scene.vendor.script = RINGS
    carried(scene, Intent(cancel_after_ms=5_000))
    assert ladder(scene, CUSTOMER) == [
        "> INVITE", "< 100 INVITE", "< 180 INVITE", "> CANCEL", "< 200 CANCEL", "< 487 INVITE", "> ACK",
    ]  # fmt: skip
    assert ladder(scene, VENDORS[0]) == [
        "< INVITE", "> 100 INVITE", "> 180 INVITE", "< CANCEL", "> 200 CANCEL", "> 487 INVITE", "< ACK",
    ]  # fmt: skip
    assert end_of(scene.close()) == ("Cancelled", "caller", 487)


def test_3_9_the_callee_is_busy(scene):
    scene.vendor.script = refuses(486)
    carried(scene)
    assert ladder(scene, CUSTOMER) == ["> INVITE", "< 100 INVITE", "< 486 INVITE", "> ACK"]
    assert ladder(scene, VENDORS[0]) == ["< INVITE", "> 100 INVITE", "> 486 INVITE", "< ACK"]
    assert end_of(scene.close()) == ("Busy", "callee", 486)


def test_3_10_the_callee_does_not_respond():
    """Timer B is 32 s; a gateway is left after its response_timeout, and alone it makes 408."""
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]))
    scene.vendor.script = SILENT
    carried(scene)
    assert ladder(scene, CUSTOMER) == ["> INVITE", "< 100 INVITE", "< 408 INVITE", "> ACK"]
    assert set(ladder(scene, VENDORS[0])) == {"< INVITE"}
    assert end_of(scene.close()) == ("No Answer", "switch", 408)


def test_3_11_the_callee_is_not_there_for_now():
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]))
    scene.vendor.script = Script((Line(0, 100), Line(0, 180), Line(2_000, 480)))
    carried(scene)
    assert ladder(scene, CUSTOMER) == ["> INVITE", "< 100 INVITE", "< 180 INVITE", "< 480 INVITE", "> ACK"]
    assert ladder(scene, VENDORS[0]) == ["< INVITE", "> 100 INVITE", "> 180 INVITE", "> 480 INVITE", "< ACK"]
    assert end_of(scene.close()) == ("Unavailable", "callee", 480)


@pytest.mark.parametrize("behind", ["caller", "callee"])
def test_within_the_call_each_side_is_reached_through_the_proxies_it_has_named(behind):
    """The proxies of flow 3.2 with Record-Route: what we ask within the dialog goes their way (RFC 3261 12.2.1.1)."""
    scene = Scene()
    proxy = scene.exchange.caller(VENDORS[0]._replace(host="203.0.113.200"))
    route = f"Record-Route: <sip:{proxy.address};lr>"
    headers = (route,) if behind == "caller" else ()
    script = Script((Line(0, 180), Line(100, 200, ANSWER, () if behind == "caller" else (route,))))
    call, there = scene.talk(Intent(headers=headers), script)
    asked, asking = sides(behind, call, there)
    scene.propose(asking, "a=sendonly", wait_ms=10)
    (through,) = proxy.received("INVITE")
    assert through["Route"] == f"<sip:{proxy.address};lr>"
    assert through.start_line == f"INVITE sip:{asked.agent.address} SIP/2.0"
