"""Followers of live calls and messages of ended ones: content, bounds, blanked secrets."""

import asyncio

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue
from doubles.virtual.vendor import SILENT, answers, refuses

from vosd.b2bua.stamps import Arrival, Journey
from vosd.base.clock import Instant
from vosd.control.traces import CallSought
from vosd.engine.trace import followers
from vosd.engine.trace.followers import TraceFollower
from vosd.obs.traced import Direction
from vosd.trunks.dids import Did
from vosd.trunks.ringing import RingOrder

CREDENTIALS = 'Authorization: Digest username="acme", realm="vosd", nonce="1", uri="sip:x", response="deadbeef"'


@pytest.fixture
def scene() -> Scene:
    return Scene()


def starts(messages):
    return [(each.way.value, each.leg, each.data.split(b"\r\n")[0].split(b" sip:")[0].decode()) for each in messages]


def call_and_wait(scene: Scene, callee: str = CALLEE, intent: Intent | None = None):
    call = scene.whole_call(intent or Intent(), callee=callee)
    scene.wire.run_for(100)
    return call


def call_of(scene: Scene, sip_call_ids: list[str]):
    return asyncio.run(scene.exchange.followers.call_of(sip_call_ids))


def news(scene: Scene, follower: TraceFollower):
    return follower.updates(scene.exchange.clock.now())


# -- afterwards ---------------------------------------------------------------------------------------------------


def test_a_failed_call_has_all_legs_without_a_follower(scene):
    scene.vendors[0].script, scene.vendors[1].script = refuses(503), refuses(486)
    call_and_wait(scene)
    found = call_of(scene, [scene.record.sip_call_id_in])
    assert starts(found.messages) == [
        ("in", 0, "INVITE"),
        ("out", 0, "SIP/2.0 100 Trying"),
        ("out", 1, "INVITE"),
        ("in", 1, "SIP/2.0 100 Tested"),
        ("in", 1, "SIP/2.0 503 Tested"),
        ("out", 1, "ACK"),
        ("out", 2, "INVITE"),
        ("in", 2, "SIP/2.0 100 Tested"),
        ("in", 2, "SIP/2.0 486 Tested"),
        ("out", 2, "ACK"),
        ("out", 0, "SIP/2.0 486 Busy Here"),
        ("in", 0, "ACK"),
    ]
    first = found.messages[0]
    assert (first.transport, first.local_host, first.local_port) == ("udp", "192.0.2.1", 5060)
    assert (first.remote_host, first.remote_port) == CUSTOMER
    assert first.at == scene.record.started_at
    assert found.left_out == 0


def test_telephones_that_ring_together_are_named_by_their_legs_while_and_after_they_ring():
    places = {"7001": Endpoint("203.0.113.66", 5_060), "7002": Endpoint("203.0.113.77", 5_060)}
    did = Did(CALLEE, "acme", phones=tuple(places), ring=RingOrder.TOGETHER)
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32")]
    scene = Scene(catalogue(known, phones=[phone(name) for name in places], dids=[did]))
    scripts = {"7001": refuses(486, 2_000), "7002": refuses(404, 1_000)}
    for name, place in places.items():
        scene.exchange.telephone(name, place, script=scripts[name]).register()
    call = scene.begun_call(Intent(), after_ms=1_500)
    (live,) = scene.exchange.switch.calls()
    assert asyncio.run(scene.exchange.followers.running(live.call)).gateways == ("7001", "7002")
    scene.wire.run_until(lambda: call.is_over)
    assert [row.gateway for row in scene.record.attempts] == ["7002", "7001"]
    found = call_of(scene, [scene.record.sip_call_id_in, scene.record.sip_call_id_out])
    assert found.together == [(1, "7001"), (2, "7002")]
    remote = {each.leg: each.remote_host for each in found.messages}
    assert [remote[leg] for leg, _ in found.together] == [place.host for place in places.values()]


def test_a_call_refused_at_once_has_its_messages(scene):
    call_and_wait(scene, "99123")
    assert scene.record.end_reason == "No Matching Rate"
    found = call_of(scene, [scene.record.sip_call_id_in])
    assert [start[2] for start in starts(found.messages)] == ["INVITE", "SIP/2.0 403 Forbidden", "ACK"]


def test_digest_credentials_never_leave(scene):
    scene.vendor.script = refuses(486)
    call_and_wait(scene, intent=Intent(headers=(CREDENTIALS,)))
    found = call_of(scene, [scene.record.sip_call_id_in])
    assert b"Authorization: blanked\r\n" in found.messages[0].data
    assert not any(b"deadbeef" in each.data for each in found.messages)


def test_the_messages_of_a_call_are_bounded_and_the_rest_is_counted(scene, monkeypatch):
    monkeypatch.setattr(followers, "CALL_BYTES_MAX", 1_500)
    scene.vendor.script = refuses(486)
    call_and_wait(scene)
    found = call_of(scene, [scene.record.sip_call_id_in])
    assert sum(len(each.data) for each in found.messages[:-1]) < 1_500
    whole = scene.exchange.followers.trace.call_of([scene.record.sip_call_id_in])
    assert len(found.messages) + found.left_out == len(whole)
    assert found.left_out > 3


# -- while it happens ---------------------------------------------------------------------------------------------


def test_updates_arrive_until_the_call_has_ended_and_lingered(scene):
    scene.vendor.script = answers(1_000)
    with scene.exchange.followers.follow_calls(CallSought()) as follower:
        assert news(scene, follower) == []
        call = scene.begun_call(Intent(hang_up_after_ms=5_000), after_ms=500)
        (first,) = news(scene, follower)
        assert news(scene, follower) == []
        scene.wire.run_for(1_000)
        (second,) = news(scene, follower)
        scene.wire.run_until(lambda: call.is_over)
        scene.wire.run_for(100)
        (third,) = news(scene, follower)
        scene.wire.run_for(followers.LINGER_MS)
        (last,) = news(scene, follower)
        assert news(scene, follower) == []
    record = scene.record
    assert {each.call_id for each in (first, second, third, last)} == {record.call_id}
    assert (first.caller, first.callee, first.mapping_gateway) == (record.caller_in, CALLEE, "acme")
    assert first.gateways == last.gateways == ("vendor-0",)
    assert [each.is_last for each in (first, second, third, last)] == [False, False, False, True]
    assert (first.record, second.record, third.record.end_reason) == (None, None, "Normal")
    told = [*first.messages, *second.messages, *third.messages, *last.messages]
    whole = call_of(scene, [record.sip_call_id_in]).messages
    assert told == whole
    assert {each.way for each in told} == {Direction.IN, Direction.OUT}


@pytest.mark.parametrize(
    ("sought", "fits"),
    [
        (CallSought(), True),
        (CallSought(caller="1202"), True),
        (CallSought(caller="+1202", callee="44207"), True),
        (CallSought(callee="+44207"), True),
        (CallSought(gateway="acme"), True),
        (CallSought(gateway="vendor-0"), True),
        (CallSought(gateway="vendor-1"), True),
        (CallSought(gateway="vendor-2"), False),
        (CallSought(caller="44"), False),
        (CallSought(address=CUSTOMER.host), True),
        (CallSought(address=str(CUSTOMER)), True),
        (CallSought(address="192.0.2.200"), False),
        (CallSought(sip_call_id="another"), False),
        (CallSought(caller="1202", callee="45"), False),
    ],
)
def test_a_call_is_followed_where_everything_fits_even_if_the_gateway_is_the_second(scene, sought, fits):
    scene.vendors[0].script = refuses(503)
    with scene.exchange.followers.follow_calls(sought) as follower:
        call_and_wait(scene, intent=Intent(hang_up_after_ms=100))
        told = news(scene, follower)
    assert bool(told) is fits
    if fits:
        assert starts(told[0].messages)[0] == ("in", 0, "INVITE")
        assert told[0].gateways == ("vendor-0", "vendor-1")


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("2001:db8::10", True),
        ("[2001:db8::10]", True),
        ("[2001:db8::10]:6000", True),
        ("[2001:DB8:0::10]:6000", True),
        ("2001:DB8:0:0:0:0:0:10", True),
        ("::ffff:192.0.2.9", True),
        ("192.0.2.9:5060", True),
        ("192.0.2.9:6000", False),
        ("[2001:db8::10]:600", False),
        ("2001:db8::10:6000", False),
    ],
)
def test_an_address_is_found_in_each_form_with_and_without_port(address, fits):
    arrival = Arrival("1", "1202", CALLEE, "in", "[2001:db8::10]:6000", Instant(0, 0))
    sought, journey = CallSought(address=address), Journey(destination_address="192.0.2.9:5060")
    assert followers.fits(sought, arrival, journey, None, ()) is fits


def test_a_refused_call_is_followed_though_no_gateway_was_tried(scene):
    with scene.exchange.followers.follow_calls(CallSought(callee="99")) as follower:
        call_and_wait(scene, "99123")
        (told,) = news(scene, follower)
    assert (told.gateways, told.record.end_reason) == ((), "No Matching Rate")
    assert len(told.messages) == 3


def test_the_gateway_that_is_being_tried_is_named(scene):
    scene.vendors[0].script = SILENT
    with scene.exchange.followers.follow_calls(CallSought()) as follower:
        call = scene.begun_call(after_ms=100)
        assert news(scene, follower)[0].gateways == ("vendor-0",)
        scene.wire.run_for(5_000)
        assert news(scene, follower)[0].gateways == ("vendor-0", "vendor-1")
        assert call.final is None


def test_more_calls_than_one_can_follow_are_counted(monkeypatch):
    monkeypatch.setattr(followers, "CALLS_MAX", 2)
    scene = Scene(usual_catalogue())
    scene.vendor.script = refuses(486)
    with scene.exchange.followers.follow_calls(CallSought()) as follower:
        for _ in range(5):
            call_and_wait(scene)
        assert (len(news(scene, follower)), follower.left_out) == (2, 3)


def test_an_update_is_bounded_and_the_rest_is_in_the_next(scene, monkeypatch):
    monkeypatch.setattr(followers, "UPDATE_BYTES_MAX", 1_000)
    with scene.exchange.followers.follow_calls(CallSought()) as follower:
        call_and_wait(scene, intent=Intent(hang_up_after_ms=100))
        scene.wire.run_for(followers.LINGER_MS)
        pieces = []
        while piece := news(scene, follower):
            pieces += piece
    assert len(pieces) > 3
    assert all(sum(len(each.data) for each in piece.messages[:-1]) < 1_000 for piece in pieces)
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    told = [each for piece in pieces for each in piece.messages]
    assert told == call_of(scene, [scene.record.sip_call_id_in]).messages


def test_a_follower_that_has_left_gets_no_updates(scene):
    with scene.exchange.followers.follow_calls(CallSought()) as follower:
        pass
    call_and_wait(scene, intent=Intent(hang_up_after_ms=100))
    assert news(scene, follower) == []


def test_unknown_sources_are_shown_only_while_there_is_a_follower(scene):
    unknown = scene.exchange.caller(VENDORS[2]._replace(host="192.0.2.99"))
    before = unknown.call(CALLEE)
    scene.wire.run_for(100)
    assert call_of(scene, [before.call_id]).messages == []

    with (
        scene.exchange.followers.follow_calls(CallSought(callee=CALLEE)) as follower,
        scene.exchange.followers.follow_calls(CallSought(callee="999")) as other,
    ):
        unknown.call(CALLEE)
        scene.wire.run_for(100)
        (told,) = news(scene, follower)
        assert news(scene, other) == []
    assert (told.record.end_reason, told.record.mapping_gateway, told.record.sip_code) == ("Unknown Source", None, None)
    assert starts(told.messages)[0] == ("in", 0, "INVITE")
    assert scene.exchange.sink.records == []

    after = scene.exchange.caller(VENDORS[2]._replace(host="192.0.2.98")).call(CALLEE)
    scene.wire.run_for(100)
    assert call_of(scene, [after.call_id]).messages == []
