"""What the parties say to each other beside the session: keys in INFO, and the questions that are between us and one.

RFC 6086 (legacy INFO usage), RFC 3261 section 11, RFC 6665 for events.
"""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.side import SILENCE, Reply

from vosd.b2bua.information import IN_FLIGHT_MAX
from vosd.trunks.dialect import CalleeDialect, CallerDialect
from vosd.trunks.header_rules import SessionIdUse

KEY = "Signal=5\r\nDuration=160\r\n"
RELAY = "application/dtmf-relay"

both_sides = pytest.mark.parametrize("side", ["caller", "callee"])


@pytest.fixture
def ends(scene):
    return scene.talk()


def sorted_by(ends, side):
    return ends if side == "caller" else ends[::-1]


@both_sides
@pytest.mark.parametrize("kind", [RELAY, "application/dtmf", "application/media_control+xml", "Application/DTMF-Relay"])
def test_a_key_goes_through_byte_for_byte(scene, ends, side, kind):
    asking, asked = sorted_by(ends, side)
    asking.ask("INFO", body=KEY, kind=kind, headers=("X-Secret: 1",))
    scene.wire.run_for(100)
    (info,) = asked.asked["INFO"]
    assert (info.body, info["Content-Type"]) == (KEY, kind.lower())
    assert info.every("X-Secret") == []
    assert asking.got == {"INFO": [200]}
    assert scene.finish(ends[0]).end_reason == "Normal"


@both_sides
@pytest.mark.parametrize(("said", "told"), [(400, 400), (415, 415), (501, 501), (405, 405), (408, 504), (401, 503)])
def test_the_other_sides_answer_to_a_key_is_forwarded(scene, ends, side, said, told):
    asking, asked = sorted_by(ends, side)
    asked.will("INFO", Reply(said))
    asking.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_for(100)
    assert asking.got == {"INFO": [told]}
    assert scene.finish(ends[0]).end_reason == "Normal"


@both_sides
def test_a_side_that_knows_the_call_no_more_ends_it(scene, ends, side):
    asking, asked = sorted_by(ends, side)
    asked.will("INFO", Reply(481))
    asking.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_until(lambda: asking.is_over)
    assert asking.got["INFO"] == [504]
    asked.over()
    assert scene.close().hangup_source == ("callee" if side == "caller" else "caller")


@pytest.mark.parametrize("acknowledges", [True, False], ids=["ACK", "no ACK"])
def test_a_caller_that_knows_the_call_no_more_before_its_ack_gets_its_bye(scene, acknowledges):
    """The BYE waits for the ACK of our 200, which is repeated until then (RFC 3261 section 15.1.1)."""
    call = scene.answered_call(Intent(acknowledges=False))
    there = scene.vendor.only_call
    call.will("INFO", Reply(481))
    there.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_until(lambda: there.is_over)
    assert call.asked["BYE"] == []
    if acknowledges:
        call.acknowledge()
    scene.wire.run_until(lambda: call.is_over)
    assert len(call.asked["BYE"]) == 1
    assert (sum(response.status == 200 for response in call.responses) > 5) is not acknowledges
    assert scene.close().hangup_source == "caller"


@both_sides
def test_a_side_that_does_not_answer_an_info_ends_no_call(scene, ends, side):
    """Old peers know no INFO."""
    asking, asked = sorted_by(ends, side)
    asked.will("INFO", SILENCE)
    asking.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_for(40_000)
    assert not asking.is_over
    assert scene.finish(ends[0]).end_reason == "Normal"


@both_sides
def test_only_so_many_keys_wait_for_the_other_side(scene, ends, side):
    """What a flood of INFOs would keep is bounded; once they are answered, or given up, there is room again."""
    asking, asked = sorted_by(ends, side)
    asked.will("INFO", *[SILENCE] * IN_FLIGHT_MAX)
    for _ in range(IN_FLIGHT_MAX + 3):
        asking.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_for(400)
    assert asking.got["INFO"] == [500] * 3
    assert len(asked.asked["INFO"]) == IN_FLIGHT_MAX
    scene.wire.run_for(40_000)
    asking.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_for(100)
    assert asking.got["INFO"][-1] == 200
    assert scene.finish(ends[0]).end_reason == "Normal"


@both_sides
@pytest.mark.parametrize(
    ("body", "kind", "headers", "status"),
    [
        ("", "", (), 200),
        ("x", "application/x-secret", (), 415),
        (KEY, RELAY, ("Content-Encoding: gzip",), 415),
        (KEY, RELAY, ("Info-Package: x",), 469),
    ],
    ids=["empty", "not for the other side", "compressed", "of a package"],
)
def test_other_information_stays_with_us(scene, ends, side, body, kind, headers, status):
    asking, asked = sorted_by(ends, side)
    asking.ask("INFO", body=body, kind=kind, headers=headers)
    scene.wire.run_for(100)
    assert asking.got == {"INFO": [status]}
    assert asked.asked == {}
    scene.finish(ends[0])


@both_sides
@pytest.mark.parametrize(
    ("method", "status"),
    [("OPTIONS", 200), ("MESSAGE", 405), ("SUBSCRIBE", 489), ("NOTIFY", 489), ("PUBLISH", 489), ("PRACK", 481)],
)
def test_questions_within_a_call_are_answered_by_us(scene, ends, side, method, status):
    asking, asked = sorted_by(ends, side)
    asking.ask(method, headers=("RAck: 1 1 INVITE",) if method == "PRACK" else ())
    scene.wire.run_for(100)
    assert asking.got == {method: [status]}
    assert asked.asked == {}
    assert scene.finish(ends[0]).end_reason == "Normal"


def test_a_side_that_was_replaced_while_it_had_an_info_gets_one_bye(scene, ends):
    call, party = ends
    call.will("INFO", Reply(481, after_ms=400))
    party.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_for(50)
    pickup = scene.begun_call(Intent(headers=(f"Replaces: {call.replaces}",)), after_ms=2_000)
    assert call.is_over
    assert party.got["INFO"] == [504]
    assert scene.bytes_to(CUSTOMER).count(b"BYE sip:") == 1
    assert scene.finish(pickup).end_reason == "Normal"


@both_sides
@pytest.mark.parametrize("said", [200, 0])
def test_a_key_that_is_answered_after_the_end_of_the_call_has_its_answer_with_the_name_of_the_trunk(side, said):
    named = {"user_agent": "trunk/7", "session_id": SessionIdUse.MAKE, "bodies": frozenset({"application/pidf+xml"})}
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(**named)),
        vendor_gateway(0, dialect=CalleeDialect(**named)),
    ]
    scene = Scene(catalogue(trunks))
    ends = scene.talk()
    asking, asked = sorted_by(ends, side)
    asked.will("INFO", Reply(said, after_ms=2_000))
    asking.ask("INFO", body=KEY, kind=RELAY)
    scene.wire.run_for(500)
    scene.hang_up(ends[0], wait_ms=40_000)
    assert [status for status in asking.got["INFO"] if status >= 200] == [said or 504]
    place = CUSTOMER if side == "caller" else VENDORS[0]
    (answer,) = [
        packet.data
        for packet in scene.wire.packets
        if packet.target == place
        and b" INFO\r\n" in packet.data
        and packet.data.startswith(b"SIP/2.0 %d" % (said or 504))
    ]
    assert b"Server: trunk/7\r\n" in answer
    assert b"\r\nSession-ID: " in answer
