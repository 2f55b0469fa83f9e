"""Telephones that ring at the same time: the first answer wins, the others are told that the call is elsewhere."""

import itertools

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway, phone
from doubles.data.registering import register_request
from doubles.doorkeeper import ScriptedDoorkeeper, Treatment
from doubles.killed import KilledScene
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER
from doubles.successor import replace_node
from doubles.virtual import vendor
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, TRIES, Line, Script, answers, refuses

from vosd.base.cause import EndReason
from vosd.engine.calls.snapshots import description
from vosd.engine.registration.bindings import RegistrantKind
from vosd.engine.reports.report import of_running_call
from vosd.engine.settings import CallReportState
from vosd.sdp.media import media_of
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dids import Did
from vosd.trunks.gateways import Address
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings
from vosd.trunks.ringing import RingOrder

NUMBER = "4420946000"
PLACES = [Endpoint("203.0.113.66", 41_234), Endpoint("203.0.113.77", 5_070), Endpoint("203.0.113.88", 5_060)]
NAMES = ("7001", "7002", "7003")
MEDIA = Line(0, 183, ANSWER, (), True)
OTHERS = ANSWER.replace("192.0.2.20", "192.0.2.21")
RICH = [account(name, overdraft_limit=None) for name in ("acme", "other", "carriers")]
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


def stage(*, count: int = 3, ring_timeout_ms: int = 20_000, limits=None, gateways=(), **switch) -> Scene:
    """A customer, a vendor for 44, and a number whose phones ring together."""
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0), *gateways]
    phones = [phone(name, **(limits or {})) for name in NAMES[:count]]
    did = Did(NUMBER, "acme", phones=NAMES[:count], ring=RingOrder.TOGETHER, ring_timeout_ms=ring_timeout_ms)
    return Scene(catalogue(known, phones=phones, dids=[did]), **switch)


def rung(scene: Scene, *scripts: Script):
    """Register a phone for each script."""
    desks = [
        scene.exchange.telephone(name, place, script=script)
        for name, place, script in zip(NAMES, PLACES, scripts, strict=False)
    ]
    for desk in desks:
        desk.register()
    return desks


def placed(scene: Scene, *scripts: Script):
    """Place a phone for each script, whose registration is known already."""
    desks = []
    for name, place, script in zip(NAMES, PLACES, scripts, strict=True):
        desks.append(scene.exchange.telephone(name, place, script=script))
        wanted, now = register_request(f"<sip:{name}@{place}>", call_id=name), scene.exchange.clock.now()
        scene.exchange.registrations.register(name, RegistrantKind.PHONE, wanted, Peer(0, *place), now)
    return desks


def called(scene: Scene, number: str = NUMBER, **intent):
    call = scene.caller.call(number, Intent(**intent))
    scene.wire.run_until(lambda: call.final is not None, within_ms=180_000)
    return call


def finish(scene: Scene, call):
    scene.wire.run_for(3_000)
    if not call.is_over:
        scene.hang_up(call)
    return scene.close()


def rows(record):
    return [(row.gateway, row.code, row.reason) for row in record.attempts]


def test_all_phones_of_a_number_ring_at_once_and_the_first_answer_wins():
    scene = stage()
    desks = rung(scene, RINGS, answers(2_000), RINGS)
    call = called(scene)
    assert [len(desk.received("INVITE")) for desk in desks] == [1, 1, 1]
    assert len({desk.received("INVITE")[0]["Call-ID"] for desk in desks}) == 3
    record = finish(scene, call)
    assert (call.final, record.routing_gateway, record.did, record.end_reason) == (200, "7002", NUMBER, "Normal")
    assert rows(record) == [
        ("7001", 0, "Answered Elsewhere"), ("7003", 0, "Answered Elsewhere"), ("7002", 200, "Answered"),
    ]  # fmt: skip
    assert record.destination_address == str(PLACES[1])
    assert record.sip_call_id_out == desks[1].received("INVITE")[0]["Call-ID"]
    for desk in (desks[0], desks[2]):
        (cancel,) = desk.received("CANCEL")
        assert ELSEWHERE in cancel.every("Reason")
    assert desks[1].received("CANCEL") == []
    assert record.fee > 0
    assert record.cost == 0


def test_phones_that_are_only_trying_do_not_ring():
    scene = stage(count=2)
    rung(scene, TRIES, Script((Line(0, 100), Line(4_000, 200, ANSWER))))
    call = called(scene)
    record = finish(scene, call)
    assert (call.statuses, record.ringing_at) == ([200], None)


def test_a_phone_that_a_number_names_twice_rings_once():
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    did = Did(NUMBER, "acme", phones=("7001", "7002", "7001"), ring=RingOrder.TOGETHER)
    scene = Scene(catalogue(known, phones=[phone(name) for name in NAMES], dids=[did]))
    desks = rung(scene, RINGS, answers(500))
    call = called(scene)
    assert [len(desk.received("INVITE")) for desk in desks] == [1, 1]
    finish(scene, call)


def test_the_caller_is_told_once_that_it_rings():
    scene = stage()
    rung(scene, RINGS, RINGS, answers(1_000))
    call = called(scene)
    assert [each.status for each in call.responses if 180 <= each.status < 190] == [180]
    assert len({each.to_tag for each in call.responses if each.status >= 180}) == 1
    finish(scene, call)


def test_an_answer_that_crosses_its_cancel_is_hung_up_and_costs_nothing():
    scene = stage(count=2)
    desks = rung(scene, answers(1_000), Script((Line(0, 180), Line(1_010, 200, OTHERS)), accepts_cancel=False))
    call = called(scene)
    scene.wire.run_for(1_000)
    (late,) = desks[1].calls
    assert (late.final, late.is_over, len(late.acks)) == (200, True, 1)
    assert call.theirs == ANSWER
    record = finish(scene, call)
    assert rows(record) == [
        ("7002", 0, "Answered Elsewhere"), ("7001", 200, "Answered"), ("7002", 200, "Late Answer"),
    ]  # fmt: skip
    assert [posting.account for posting in record.postings] == ["acme"]


@pytest.mark.parametrize("status", [486, 404, 480, 500])
def test_the_others_ring_on_when_one_refuses(status):
    scene = stage()
    desks = rung(scene, refuses(status, 300), refuses(status, 500), answers(1_500))
    call = called(scene)
    record = finish(scene, call)
    assert (call.final, record.routing_gateway) == (200, "7003")
    assert [row.code for row in record.attempts] == [status, status, 200]
    assert desks[2].received("CANCEL") == []


@pytest.mark.parametrize("status", [600, 603, 604])
def test_a_refusal_for_all_ends_the_call_and_is_the_answer(status):
    """RFC 3261 section 16.7: a 6xx cancels all other branches, and is the best response."""
    scene = stage()
    desks = rung(scene, RINGS, refuses(status, 1_000), refuses(486, 200))
    call = called(scene)
    assert call.final == status
    record = finish(scene, call)
    assert rows(record)[-2:] == [("7002", status, record.end_reason), ("7001", 0, "Refused Elsewhere")]
    assert record.routing_gateway == "7002"
    assert len(desks[0].received("CANCEL")) == 1


@pytest.mark.parametrize(
    ("refusals", "expected"),
    [((486, 480, 503), 486), ((503, 404, 500), 404), ((480, 480, 480), 480), ((500, 488, 503), 488)],
)
def test_the_most_telling_refusal_is_the_answer_when_all_refuse(refusals, expected):
    scene = stage()
    rung(scene, *(refuses(status, 100 * place) for place, status in enumerate(refusals)))
    call = called(scene)
    assert call.final == expected
    record = finish(scene, call)
    assert sorted(row.code for row in record.attempts) == sorted(refusals)


def test_a_refusal_for_all_counts_alone_where_the_others_have_refused_before():
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    did = Did(NUMBER, "acme", phones=NAMES, ring=RingOrder.TOGETHER, trunk="vendor-0")
    scene = Scene(catalogue(known, phones=[phone(name) for name in NAMES], dids=[did]))
    rung(scene, refuses(486, 100), refuses(480, 200), refuses(603, 1_000))
    call = called(scene)
    assert (call.final, scene.vendor.calls) == (603, [])
    finish(scene, call)


def test_a_refusal_for_all_places_of_a_phone_leads_to_the_next_phone_of_a_number_that_rings_in_turn():
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    did = Did(NUMBER, "acme", phones=("44201", "7001"))
    phones = [phone("44201", ring=RingOrder.TOGETHER), phone("7001")]
    scene = Scene(catalogue(known, phones=phones, dids=[did]))
    places(scene, RINGS, refuses(603, 500))
    rung(scene, answers(300))
    record = finish(scene, called(scene))
    assert [(row.gateway, row.code) for row in record.attempts] == [("44201", 603), ("44201", 0), ("7001", 200)]


@pytest.mark.parametrize(("count", "calls"), [(25, 0), (12, 1)], ids=["more phones", "an offline gateway"])
def test_phones_that_ring_together_are_one_attempt_of_a_search(count, calls):
    names = [str(7_000 + index) for index in range(count)]
    both = tuple(Address(each.host, each.port) for each in VENDORS[:2])
    carrier = vendor_gateway(0, allow_unrated=True, addresses=both)
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), carrier]
    did = Did(NUMBER, "acme", phones=tuple(names), ring=RingOrder.TOGETHER)
    scene = Scene(catalogue(known, phones=[phone(name, offline_gateway="vendor-0") for name in names], dids=[did]))
    for index, name in enumerate(names):
        script = answers(500) if index == 24 else refuses(404, 200)
        scene.exchange.telephone(name, Endpoint(PLACES[0].host, 42_000 + index), script=script).register()
    scene.vendor.script = refuses(503)
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=100)
    if calls:
        replace_node(scene)  # it has no registrations: none is asked for any more
    scene.wire.run_until(lambda: call.final == 200)
    assert [len(each.calls) for each in scene.vendors[:2]] == [calls, calls]
    assert len(finish(scene, call).attempts) == count + 2 * calls


def test_the_record_has_the_product_of_the_phone_that_answered():
    scene = stage(count=2)
    rung(scene, answers(1_000), Script((Line(100, 180, "", ("User-Agent: Another",)),)))
    assert finish(scene, called(scene)).callee_user_agent is None
    scene = stage(count=2)
    rung(scene, RINGS, Script((Line(100, 180, "", ("User-Agent: Desk",)), Line(500, 200, ANSWER))))
    assert finish(scene, called(scene)).callee_user_agent == "Desk"


def test_the_ring_time_of_the_group_ends_it_for_all():
    scene = stage(ring_timeout_ms=5_000)
    desks = rung(scene, RINGS, RINGS, SILENT)
    begun = scene.exchange.clock.now().mono
    call = called(scene)
    assert call.final == 480
    assert scene.exchange.clock.now().mono - begun < 5_100
    record = finish(scene, call)
    assert [(row.gateway, row.code, row.reason) for row in record.attempts] == [
        (name, 0, "No Answer") for name in record_order(record)
    ]
    assert sorted(record_order(record)) == list(NAMES)
    assert [len(desk.received("CANCEL")) for desk in desks] == [1, 1, 0]


def record_order(record):
    return [row.gateway for row in record.attempts]


def test_a_caller_who_hangs_up_cancels_all():
    scene = stage()
    desks = rung(scene, RINGS, RINGS, SILENT)
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=1_000)
    call.cancel()
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 487
    record = finish(scene, call)
    assert sorted(rows(record)) == [(name, 0, "Cancelled") for name in NAMES]
    assert [len(desk.received("CANCEL")) for desk in desks[:2]] == [1, 1]


def test_a_phone_that_is_away_or_has_its_calls_is_left_out():
    scene = stage(limits={"max_concurrent": 1})
    desks = rung(scene, answers(500), answers(2_000))
    first = called(scene)
    second = called(scene)
    scene.wire.run_for(1_000)
    assert [len(desk.received("INVITE")) for desk in desks] == [1, 2]
    for call in (first, second):
        call.hang_up()
    scene.wire.run_until(lambda: first.is_over and second.is_over)
    assert scene.exchange.leftovers() == {}


def test_a_call_that_is_charged_from_its_invite_is_charged_once():
    """``SS_STARTBILLINGTIME`` 1."""
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    did = Did(NUMBER, "acme", phones=NAMES, ring=RingOrder.TOGETHER)
    scene = Scene(catalogue(known, phones=[phone(name) for name in NAMES], dids=[did], charges_ringing=True))
    rung(scene, RINGS, answers(2_000), RINGS)
    record = finish(scene, called(scene))
    assert record.billing_base_ms == record.ended_at - record.started_at
    assert [posting.account for posting in record.postings] == ["acme"]


def test_the_list_of_calls_and_the_call_itself_show_all_that_ring():
    scene = stage()
    rung(scene, RINGS, RINGS, RINGS)
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=500)
    (live,) = scene.exchange.switch.calls()
    shown = description(live, scene.exchange.clock.now())
    assert sorted([shown.call.routing_gateway, *shown.call.rings_beside]) == list(NAMES)
    facts = live.call.arrival, live.call.journey, live.call_request, live.call.journey.choice
    reported = of_running_call("sw1", *facts, CallReportState.RINGING, 0)
    assert (reported.routing_gateway, reported.rings_beside) == (shown.call.routing_gateway, shown.call.rings_beside)
    legs = [(leg.gateway, leg.address) for leg in shown.legs if leg.side == "callee"]
    assert sorted(legs) == sorted(zip(NAMES, map(str, PLACES), strict=True))
    assert len({leg.sip_call_id for leg in shown.legs}) == 4
    call.cancel()
    scene.wire.run_until(lambda: call.final is not None)
    finish(scene, call)


def office():
    """Return three phones of a number, which ring, and one that does not; each has room for one call."""
    known = [mapping_gateway("pbx", f"{CUSTOMER.host}/32", account="other"), vendor_gateway(0)]
    phones = [phone(name, max_concurrent=1) for name in (*NAMES, "7004")]
    did = Did(NUMBER, "acme", phones=NAMES, ring=RingOrder.TOGETHER)
    scene = Scene(catalogue(known, phones=phones, dids=[did], accounts=RICH))
    desks = rung(scene, RINGS, RINGS, RINGS)
    desks.append(scene.exchange.telephone("7004", Endpoint("203.0.113.99", 5_060)))
    desks[3].register()
    return scene, desks


def picked_up(scene, taker, there, offer=OTHERS):
    """Take the call of a telephone that rings over."""
    pickup = taker.call(NUMBER, Intent(offer, headers=(f"Replaces: {there.replaces}",)))
    scene.wire.run_until(lambda: pickup.final is not None)
    scene.wire.run_for(1_000)
    return pickup


@pytest.mark.parametrize("by", ["7003", "7004"], ids=["one that rings, too", "one that does not"])
def test_another_phone_picks_up_the_call_and_all_that_ring_are_told(by):
    scene, desks = office()
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=1_000)
    pickup = picked_up(scene, desks[int(by) - 7001], desks[1].only_call)
    assert (pickup.final, call.final) == (200, 200)
    assert [len(desk.received("CANCEL")) for desk in desks] == [1, 1, 1, 0]
    call.hang_up()
    record = scene.end_of(pickup)
    assert record.routing_gateway == by
    assert [row.reason for row in record.attempts] == [*["Picked Up Elsewhere"] * 3, "Answered"]


def test_a_pickup_that_is_refused_cancels_none():
    scene, desks = office()
    desks[1].script = answers(3_000)
    busy = desks[3].call(CALLEE)
    scene.wire.run_until(lambda: busy.final == 200)
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=300)
    assert picked_up(scene, desks[3], desks[1].only_call).final == 486
    assert [desk.received("CANCEL") for desk in desks] == [[], [], [], []]
    scene.wire.run_until(lambda: call.final == 200)
    busy.hang_up()
    scene.hang_up(call)
    scene.expect_nothing_left()
    assert [record.routing_gateway for record in scene.exchange.sink.records] == ["vendor-0", "7002"]


@pytest.mark.parametrize("ring", RingOrder)
def test_a_place_of_the_phone_that_rings_picks_its_only_call_up(ring):
    scene = line(ring=ring)
    desks = places(scene, RINGS, RINGS, RINGS)
    call = scene.begun_call(Intent(), callee="44201", after_ms=300)
    there = next(desk.only_call for desk in desks[1:] if desk.received("INVITE"))
    pickup = picked_up(scene, desks[0], there)
    assert (pickup.final, call.final, there.is_over) == (200, 200, True)
    scene.wire.run_for(2_000)
    assert called(scene, "44201").final == 486, "the call that it has picked up is its only one"
    call.hang_up()
    scene.wire.run_until(lambda: pickup.is_over)
    scene.expect_nothing_left()
    assert scene.exchange.sink.records[-1].attempts[-1].reason == "Answered"


# -- media through the relay ----------------------------------------------------------------------------------------


def relayed(relay, *scripts):
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    did = Did(NUMBER, "acme", phones=NAMES, ring=RingOrder.TOGETHER)
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    phones = [phone(name) for name in NAMES]
    scene = Scene(catalogue(known, phones=phones, dids=[did], media=media), relay=relay)
    return scene, rung(scene, *scripts)


def test_a_caller_may_send_by_the_payload_types_of_the_phone_that_picks_it_up():
    """Two offers cross in a pickup, so that neither phone has chosen its numbers by those of the other one."""
    relay = VirtualRelay()
    scene, desks = relayed(relay, RINGS, RINGS, RINGS)
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=1_000)
    pickup = picked_up(scene, desks[2], desks[1].only_call, OTHERS.replace("101", "96"))
    assert (pickup.final, call.final) == (200, 200)
    assert "RTP/AVP 0 96" in call.theirs
    of_caller = relay.at(_port_of(call.theirs))
    assert set(of_caller.source.payloads) == {0, 101, 96}
    assert of_caller.other == relay.at(_port_of(pickup.theirs)).port
    finish(scene, call)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_each_phone_has_ports_of_its_own_and_the_caller_is_connected_with_the_one_that_answers(is_restarted):
    relay = VirtualRelay()
    heard = Script((Line(0, 180), Line(500, 183, OTHERS), Line(9_000, 486)))
    scene, desks = relayed(relay, answers(2_000), RINGS, heard)
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=1_000)
    assert len(relay.open_ports) == 4
    assert (
        relay.at(_port(desks[2])).other
        == relay.at(_port_of(next(each.body for each in call.responses if each.status == 183))).port
    )
    if is_restarted:
        replace_node(scene)
    scene.await_answer(call, talk_ms=500)
    assert len(relay.open_ports) == 2
    assert relay.at(_port(desks[0])).other == relay.at(_port_of(call.theirs)).port
    assert finish(scene, call).routing_gateway == "7001"
    assert relay.open_ports == {}


def test_the_media_of_all_phones_go_on_in_the_next_process(tmp_path):
    relay = VirtualRelay()
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    did = Did(NUMBER, "acme", phones=NAMES, ring=RingOrder.TOGETHER)
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    content = catalogue(known, phones=[phone(name) for name in NAMES], dids=[did], media=media)
    scene = KilledScene(tmp_path, content, relay=relay)
    desks = placed(scene, RINGS, answers(2_000), RINGS)
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=1_000)
    scene.stop_and_keep()
    scene.await_answer(call, talk_ms=500)
    assert relay.at(_port(desks[1])).other == relay.at(_port_of(call.theirs)).port
    assert len(relay.open_ports) == 2
    assert finish(scene, call).routing_gateway == "7002"
    assert relay.open_ports == {}


def test_invites_that_wait_to_be_sent_are_sent_by_the_next_process():
    keeper = ScriptedDoorkeeper({"INVITE": Treatment(50)})
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    did = Did(NUMBER, "acme", phones=NAMES, ring=RingOrder.TOGETHER)
    scene = Scene(catalogue(known, phones=[phone(name) for name in NAMES], dids=[did]), doorkeeper=keeper)
    keeper.exchange = scene.exchange
    desks = rung(scene, RINGS, answers(500), RINGS)
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=10)
    assert len(keeper.waiting) == 3
    replace_node(scene)
    scene.wire.run_until(lambda: call.final == 200)
    assert [len(desk.received("INVITE")) for desk in desks] == [1, 1, 1]
    assert finish(scene, call).routing_gateway == "7002"


def test_a_phone_for_which_there_is_no_port_is_left_out_and_the_others_ring():
    relay = VirtualRelay(free=3)
    scene, desks = relayed(relay, RINGS, answers(1_000), RINGS)
    call = called(scene)
    assert [len(desk.received("INVITE")) for desk in desks] == [1, 1, 0]
    record = finish(scene, call)
    assert [(row.gateway, row.reason) for row in record.attempts] == [
        ("7003", "No Media Port"), ("7001", "Answered Elsewhere"), ("7002", "Answered"),
    ]  # fmt: skip
    assert relay.open_ports == {}


def test_the_others_ring_on_when_the_answer_of_one_cannot_be_used():
    relay = VirtualRelay()
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(codecs=("pcmu",))), vendor_gateway(0)]
    did = Did(NUMBER, "acme", phones=NAMES[:2], ring=RingOrder.TOGETHER)
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    scene = Scene(catalogue(known, phones=[phone(name) for name in NAMES[:2]], dids=[did], media=media), relay=relay)
    g729 = ANSWER.replace("RTP/AVP 0 101", "RTP/AVP 18").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")
    desks = rung(scene, Script((Line(0, 180), Line(500, 200, g729))), answers(1_500))
    call = called(scene)
    assert (call.final, desks[0].only_call.is_over, len(desks[0].only_call.acks)) == (200, True, 1)
    record = finish(scene, call)
    assert record.routing_gateway == "7002"
    assert rows(record)[-2:] == [("7001", 200, "No Common Codec"), ("7002", 200, "Answered")]
    assert relay.open_ports == {}


def _port(desk) -> int:
    return _port_of(desk.only_call.theirs)


def _port_of(session: str) -> int:
    return media_of(session.encode())[0].port


# -- early media --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [(), SUPPORTS_100REL], ids=["as it comes", "reliably"])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_the_latest_early_media_are_heard_and_each_phone_has_its_own_dialog(headers, is_restarted):
    scene = stage(count=2)
    first = Script((Line(0, 180), Line(500, 183, ANSWER, (), True), Line(4_000, 200, ANSWER)))
    desks = rung(scene, first, Script((Line(100, 183, OTHERS, (), True),)))
    call = scene.begun_call(Intent(headers=headers), callee=NUMBER, after_ms=2_000)
    if is_restarted:
        replace_node(scene)
    scene.wire.run_until(lambda: call.final == 200)
    bodies = [each.body for each in call.responses if each.status == 183]
    assert bodies[0] == OTHERS
    assert bodies[-1] == ANSWER
    tags = {each.body: each.to_tag for each in call.responses if each.status == 183}
    assert len(set(tags.values())) == 2
    assert call.response(200).to_tag == tags[ANSWER]
    assert call.theirs == ANSWER
    assert [len(desk.calls[0].asked["PRACK"]) for desk in desks] == [1, 1]
    assert finish(scene, call).end_reason == "Normal"


@pytest.mark.parametrize("have_equal_tags", [False, True])
def test_a_phone_that_is_not_heard_answers_under_the_tag_of_its_own_media(have_equal_tags, monkeypatch):
    if have_equal_tags:
        monkeypatch.setattr(vendor, "_numbers", itertools.repeat(7))
    scene = stage(count=2)
    first = Script((Line(100, 183, ANSWER, (), True), Line(3_000, 200, ANSWER)))
    rung(scene, first, Script((Line(600, 183, OTHERS, (), True),)))
    call = called(scene, headers=SUPPORTS_100REL)
    tags = {each.body: each.to_tag for each in call.responses if each.status == 183}
    assert call.response(200).to_tag == tags[ANSWER]
    scene.wire.run_for(1_000)
    scene.propose(call, "a=sendonly")
    assert call.got["INVITE"] == [200]
    assert finish(scene, call).routing_gateway == "7001"


def test_another_phone_is_heard_when_the_one_with_media_refuses():
    scene = stage(count=2)
    heard = Script((Line(200, 183, ANSWER), Line(1_000, 486)))
    rung(scene, heard, Script((Line(0, 180), Line(3_000, 200, OTHERS))))
    call = called(scene)
    shown = [(each.status, bool(each.body)) for each in call.responses if 180 <= each.status < 190]
    assert shown == [(180, False), (183, True), (180, False)]
    assert call.theirs == OTHERS
    assert finish(scene, call).routing_gateway == "7002"


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_call_without_offer_rings_all_and_the_winner_offers(is_restarted):
    scene = stage(count=2)
    desks = rung(scene, RINGS, answers(1_000))
    call = scene.begun_call(Intent(offer="", headers=SUPPORTS_100REL), callee=NUMBER, after_ms=500)
    if is_restarted:
        replace_node(scene)
    scene.await_answer(call, talk_ms=500)
    assert "100rel" not in desks[0].received("INVITE")[0].listed("Supported")
    assert desks[1].calls[0].theirs
    assert finish(scene, call).end_reason == "Normal"


# -- several places of one phone ------------------------------------------------------------------------------------


def places(scene: Scene, *scripts: Script):
    desks = []
    for index, script in enumerate(scripts):
        desk = scene.exchange.telephone("44201", Endpoint("203.0.113.66", 40_000 + index), script=script)
        desk.register(f"<sip:place{index}@203.0.113.66:{40_000 + index}>")
        desks.append(desk)
    return desks


def line(**terms) -> Scene:
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    terms = {"ring": RingOrder.TOGETHER, "max_concurrent": 1, "max_cps": 1, **terms}
    return Scene(catalogue(known, phones=(phone("44201", **terms),)))


def test_all_places_of_a_phone_ring_as_one_call_of_it():
    scene = line()
    desks = places(scene, RINGS, answers(1_000), RINGS)
    call = called(scene, "44201")
    assert [len(desk.received("INVITE")) for desk in desks] == [1, 1, 1]
    record = finish(scene, call)
    assert (record.routing_gateway, record.destination_address) == ("44201", "203.0.113.66:40001")
    assert [row.reason for row in record.attempts] == ["Answered Elsewhere", "Answered Elsewhere", "Answered"]


def test_the_flows_of_one_device_do_not_ring_at_the_same_time():
    scene = line()
    flows = [
        (0, answers(1_000), ';reg-id=1;+sip.instance="<urn:uuid:7>"'),
        (1, answers(1_000), ';reg-id=2;+sip.instance="<urn:uuid:7>"'),
        (2, RINGS, ';reg-id=1;+sip.instance="<urn:uuid:8>"'),
    ]
    desks = []
    for index, script, flow in flows:
        desk = scene.exchange.telephone("44201", Endpoint("203.0.113.66", 40_000 + index), script=script)
        desk.register(f"<sip:place{index}@203.0.113.66:{40_000 + index}>{flow}")
        desks.append(desk)
    call = called(scene, "44201")
    assert call.final == 200
    assert len(desks[0].received("INVITE")) + len(desks[1].received("INVITE")) == 1
    assert len(desks[2].received("INVITE")) == 1
    finish(scene, call)


def test_the_other_flow_of_a_device_is_tried_when_the_first_is_silent():
    scene = line()
    desks = [
        scene.exchange.telephone("44201", Endpoint("203.0.113.66", 40_000 + index), script=script)
        for index, script in enumerate((answers(1_000), SILENT))
    ]
    for index, desk in enumerate(desks):
        instance = f'+sip.instance="<urn:uuid:7>";reg-id={index + 1}'
        desk.register(f"<sip:place{index}@203.0.113.66:{40_000 + index}>;{instance}")
    call = called(scene, "44201")
    record = finish(scene, call)
    assert (call.final, [row.code for row in record.attempts]) == (200, [0, 200])


@pytest.mark.parametrize(("code", "rung"), [(480, 0), (408, 1)])
def test_the_other_flow_of_a_device_does_not_ring_once_the_device_has_refused(code, rung):
    """RFC 5626 section 5.3."""
    scene = line()
    scripts = (RINGS, refuses(code, 500))  # the newest is called first
    desks = [
        scene.exchange.telephone("44201", Endpoint("203.0.113.66", 40_000 + index), script=script)
        for index, script in enumerate(scripts)
    ]
    for index, desk in enumerate(desks):
        instance = f'+sip.instance="<urn:uuid:7>";reg-id={index + 1}'
        desk.register(f"<sip:place{index}@203.0.113.66:{40_000 + index}>;{instance}")
    other = scene.exchange.telephone("44201", Endpoint("203.0.113.66", 40_009), script=refuses(480, 1_000))
    other.register("<sip:other@203.0.113.66:40009>")
    call = called(scene, "44201")
    assert [len(desk.received("INVITE")) for desk in (*desks, other)] == [rung, 1, 1]
    assert call.final == 480


def test_a_phone_that_is_busy_at_one_place_does_not_go_to_the_offline_gateway():
    scene = line(offline_gateway="vendor-0")
    places(scene, refuses(486, 500), refuses(480, 1_000))
    call = called(scene, "44201")
    assert call.final == 486
    assert scene.vendor.calls == []
    finish(scene, call)


def test_the_offline_gateway_takes_the_call_when_no_place_can_be_had():
    scene = line(offline_gateway="vendor-0")
    places(scene, refuses(480, 500), SILENT)
    call = called(scene, "44201")
    record = finish(scene, call)
    assert (call.final, record.routing_gateway) == (200, "vendor-0")
    assert [row.code for row in record.attempts] == [480, 0, 200]


# -- restarts, errors, ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_ms", [10, 300, 1_500])
def test_a_call_that_rings_several_phones_goes_on_in_another_process(after_ms):
    scene = stage()
    desks = rung(scene, RINGS, answers(2_000), refuses(486, 1_000))
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=after_ms)
    replace_node(scene)
    scene.wire.run_until(lambda: call.final == 200)
    assert ELSEWHERE in desks[0].received("CANCEL")[0].every("Reason")
    record = finish(scene, call)
    assert record.routing_gateway == "7002"
    assert sorted(row.code for row in record.attempts) == [0, 200, 486]


def test_the_ring_time_of_the_group_holds_after_a_restart():
    scene = stage(count=2, ring_timeout_ms=5_000)
    rung(scene, RINGS, RINGS)
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=1_000)
    replace_node(scene)
    scene.wire.run_until(lambda: call.final is not None, within_ms=4_200)
    assert call.final == 480
    finish(scene, call)


def test_an_order_ends_all_of_them():
    scene = stage()
    desks = rung(scene, RINGS, RINGS, RINGS)
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=500)
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_until(lambda: call.final == 503)
    assert [len(desk.received("CANCEL")) for desk in desks] == [1, 1, 1]
    finish(scene, call)


@pytest.mark.parametrize("at_ms", [500, 1_003])
def test_a_kill_while_several_ring_leaves_no_phone_ringing_and_one_record(tmp_path, at_ms):
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    did = Did(NUMBER, "acme", phones=NAMES, ring=RingOrder.TOGETHER)
    scene = KilledScene(tmp_path, catalogue(known, phones=[phone(name) for name in NAMES], dids=[did]))
    late = Script((Line(0, 180), Line(1_002, 200, OTHERS)), accepts_cancel=False)
    desks = placed(scene, RINGS, RINGS, late)
    call = scene.begun_call(Intent(), callee=NUMBER, after_ms=at_ms)
    scene.kill(away_ms=100, then_ms=50_000)
    assert call.final == 503
    assert [len(desk.received("CANCEL")) for desk in desks[:2]] == [1, 1]
    assert all(each.is_over or each.final != 200 for desk in desks for each in desk.calls)
    record = scene.close()
    assert record.end_reason == "Lost"
    assert sorted(row.gateway for row in record.attempts) == list(NAMES)
    assert record.cost == 0
    assert not record.postings


# -- requests before the answer, and transfers ----------------------------------------------------------------------


def test_a_change_of_session_by_a_phone_whose_media_are_not_forwarded_is_refused_and_changes_nothing():
    scene = stage(count=2)
    first = Script((Line(0, 183, ANSWER, (), True),))
    second = Script((Line(500, 183, OTHERS, (), True), Line(4_000, 200, OTHERS)))
    desks = rung(scene, first, second)
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL), callee=NUMBER, after_ms=1_500)
    left = desks[0].only_call
    scene.propose(left, "a=sendonly", method="UPDATE")
    assert left.got["UPDATE"] == [500]
    assert not call.asked.get("UPDATE")
    scene.wire.run_until(lambda: call.final == 200)
    assert call.theirs == OTHERS
    assert finish(scene, call).routing_gateway == "7002"


def test_a_call_is_transferred_to_phones_that_ring_together():
    known = [vendor_gateway(0)]
    did = Did(NUMBER, "acme", phones=NAMES[1:], ring=RingOrder.TOGETHER)
    scene = Scene(catalogue(known, phones=[phone(name) for name in NAMES], dids=[did]))
    desks = rung(scene, answers(), RINGS, answers(2_000))
    call = desks[0].call(CALLEE)
    scene.await_answer(call, talk_ms=1_000)
    call.ask("REFER", headers=(f"Refer-To: <sip:{NUMBER}@192.0.2.1>",))
    scene.wire.run_for(5_000)
    there, target = scene.vendor.only_call, desks[2].only_call
    assert (call.is_over, there.is_over, target.is_over) == (True, False, False)
    assert ELSEWHERE in desks[1].received("CANCEL")[0].every("Reason")
    assert there.theirs.partition("\r\nt=")[2] == target.mine.partition("\r\nt=")[2]
    there.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    scene.expect_nothing_left()
    assert sorted(record.routing_gateway for record in scene.exchange.sink.records) == ["7003", "vendor-0"]
