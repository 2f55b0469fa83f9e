"""Calls to phones: where they are registered, one device after the other, and what happens when they are not."""

from decimal import Decimal
from ipaddress import ip_network

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.data.registering import register_request
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, answers, refuses

from vosd.base.cause import EndReason
from vosd.engine.registration.bindings import RegistrantKind
from vosd.sip.flows import Listener
from vosd.sip.settings import RegistrarSettings, SipSettings
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import Address

NUMBER = "44201"
HOME = Endpoint("203.0.113.66", 41_234)
OFFICE = Endpoint("203.0.113.77", 5_070)


def stage(*phones, proxies=(), **terms) -> Scene:
    """A customer, a vendor for 44, and a phone whose number the vendor's prefix fits, too."""
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    registrar = RegistrarSettings(proxies=tuple(map(ip_network, proxies)))
    sip = SipSettings(product="vosd/test", registrar=registrar)
    return Scene(catalogue(known, phones=phones or (phone(NUMBER, **terms),)), sip=sip)


def called(scene: Scene, number: str = NUMBER, **intent):
    """Call a number and return the call once it is answered or refused."""
    call = scene.caller.call(number, Intent(**intent))
    scene.wire.run_until(lambda: call.final is not None, within_ms=120_000)
    return call


def finish(scene: Scene, call):
    scene.wire.run_for(10_000)
    return scene.finish(call)


def test_a_phone_is_called_at_its_seen_address_with_its_contact():
    scene = stage()
    desk = scene.exchange.telephone(NUMBER, HOME, contact=f"sip:{NUMBER}@192.168.1.20:5060;line=7")
    desk.register()
    call = called(scene)
    record = finish(scene, call)
    (invite,) = desk.received("INVITE")
    assert invite.start_line == f"INVITE sip:{NUMBER}@192.168.1.20:5060;line=7 SIP/2.0"
    assert invite["To"] == f"<sip:{NUMBER}@192.0.2.1>"
    assert invite.every("Route") == []
    assert (record.routing_gateway, record.vendor_account) == (NUMBER, None)
    assert record.destination_address == str(HOME)


def test_the_caller_pays_as_for_any_number_and_there_is_no_vendor_cost():
    scene = stage()
    scene.exchange.telephone(NUMBER, HOME).register()
    record = finish(scene, called(scene))
    assert (record.customer_account, record.mapping_gateway, record.end_reason) == ("acme", "acme", "Normal")
    assert (record.fee, record.cost, record.vendor_billed_seconds) == (Decimal("0.10"), Decimal(0), 0)
    assert [posting.account for posting in record.postings] == ["acme"]
    assert scene.vendor.calls == []


def test_a_number_without_sell_rate_is_refused_though_it_is_a_phone():
    scene = stage(phone("888"))
    scene.exchange.telephone("888", HOME).register()
    assert called(scene, "888").final == 403
    assert scene.record.end_reason == "No Matching Rate"


def test_a_phone_that_is_not_registered_gets_480():
    scene = stage()
    assert called(scene).final == 480
    record = scene.record
    assert (record.end_reason, record.hangup_source, record.attempts) == ("Unavailable", "switch", ())
    assert scene.vendor.calls == []


def test_the_offline_gateway_takes_the_calls_of_a_phone_that_is_not_registered():
    scene = stage(offline_gateway="vendor-0")
    call = called(scene)
    record = finish(scene, call)
    assert (call.final, record.routing_gateway, record.vendor_account) == (200, "vendor-0", "carriers")
    assert record.cost > 0


def test_the_offline_gateway_is_tried_after_a_phone_that_does_not_answer_to_anything():
    scene = stage(offline_gateway="vendor-0")
    scene.exchange.telephone(NUMBER, HOME, script=SILENT).register()
    record = finish(scene, called(scene))
    assert [(attempt.gateway, attempt.code) for attempt in record.attempts] == [(NUMBER, 0), ("vendor-0", 200)]


def test_the_search_for_a_vendor_begins_when_the_phones_have_been_tried():
    both = tuple(Address(each.host, each.port) for each in VENDORS[:2])
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, addresses=both)]
    phones = (phone(NUMBER, offline_gateway="vendor-0"),)
    scene = Scene(catalogue(known, phones=phones, search_ms=2_000, max_attempts=2))
    scene.exchange.telephone(NUMBER, HOME, script=SILENT).register()
    scene.vendor.script = refuses(503)
    record = finish(scene, called(scene))
    assert [(attempt.gateway, attempt.code) for attempt in record.attempts] == [
        (NUMBER, 0), ("vendor-0", 503), ("vendor-0", 200)
    ]  # fmt: skip


@pytest.mark.parametrize("code", [486, 600, 603])
def test_busy_or_decline_ends_the_call_for_all_devices_and_the_offline_gateway(code):
    scene = stage(offline_gateway="vendor-0")
    scene.exchange.telephone(NUMBER, HOME, script=refuses(code)).register("<sip:a@203.0.113.66:41234>;q=1")
    other = scene.exchange.telephone(NUMBER, OFFICE)
    other.register("<sip:b@203.0.113.77:5070>;q=0.5")
    assert called(scene).final == code
    assert (other.calls, scene.vendor.calls) == ([], [])


def test_contacts_are_tried_by_preference_and_then_the_newest_first():
    scene = stage(phone(NUMBER, max_concurrent=5))
    places = [("least", "0.1"), ("older", "0.5"), ("newer", "0.5"), ("most", "0.9")]
    for index, (name, q) in enumerate(places):
        desk = scene.exchange.telephone(NUMBER, Endpoint("203.0.113.66", 40_000 + index), script=refuses(480))
        desk.register(f"<sip:{name}@h>;q={q}")
        scene.wire.run_for(1_000)
    assert called(scene).final == 480
    assert len(scene.record.attempts) == 4
    sent = [packet.data.decode() for packet in scene.wire.packets if packet.source == SWITCH]
    rung = [text.partition("sip:")[2].partition("@")[0] for text in sent if text.startswith("INVITE")]
    assert rung == ["most", "newer", "older", "least"]


@pytest.mark.parametrize("script", [SILENT, refuses(480), refuses(503), refuses(408)])
def test_the_next_device_is_tried_where_one_cannot_be_had(script):
    scene = stage()
    scene.exchange.telephone(NUMBER, HOME, script=script).register(f"<sip:a@{HOME}>;q=1")
    scene.exchange.telephone(NUMBER, OFFICE, script=answers()).register(f"<sip:b@{OFFICE}>;q=0.5")
    call = called(scene)
    record = finish(scene, call)
    assert (call.final, len(record.attempts), record.destination_address) == (200, 2, str(OFFICE))


def flows_of_one_device(scene, *scripts):
    """Register a device by a flow for each script, the first one preferred."""
    flows = []
    for index, script in enumerate(scripts):
        at = Endpoint("203.0.113.66", 40_000 + index)
        flows.append(scene.exchange.telephone(NUMBER, at, script=script))
        flows[-1].register(f'<sip:a{index}@{at}>;q=0.{9 - index};reg-id={index + 1};+sip.instance="<urn:uuid:7>"')
    return flows


@pytest.mark.parametrize("code", [404, 480, 503])
def test_a_device_that_has_refused_is_not_called_over_its_other_flow(code):
    """RFC 5626 section 5.3; another device, or the offline gateway, still is."""
    scene = stage(offline_gateway="vendor-0")
    first, second = flows_of_one_device(scene, refuses(code), RINGS)
    scene.exchange.telephone(NUMBER, OFFICE, script=refuses(480)).register(f"<sip:b@{OFFICE}>;q=0.1")
    record = finish(scene, called(scene))
    assert [len(first.calls), len(second.calls)] == [1, 0]
    assert [attempt.gateway for attempt in record.attempts] == [NUMBER, NUMBER, "vendor-0"]


@pytest.mark.parametrize("script", [SILENT, refuses(408), refuses(430)], ids=["silent", "408", "430"])
def test_the_other_flow_of_a_device_is_called_where_one_says_nothing_of_the_device(script):
    scene = stage()
    _, second = flows_of_one_device(scene, script, answers())
    assert finish(scene, called(scene)).end_reason == "Normal"
    assert len(second.calls) == 1


def test_a_retry_after_of_one_device_does_not_affect_the_others():
    """Retry-After pauses are for trunks: each contact is another device, and the offline gateway is none."""
    scene = stage(offline_gateway="vendor-0")
    alone = refuses(503, headers=("Retry-After: 60",))
    scene.exchange.telephone(NUMBER, HOME, script=alone).register(f"<sip:a@{HOME}>;q=1")
    office = scene.exchange.telephone(NUMBER, OFFICE, script=answers())
    office.register(f"<sip:b@{OFFICE}>;q=0.5")
    for _ in range(2):
        assert called(scene).final == 200
        scene.exchange.end_all(EndReason.ADMINISTRATIVE)
        scene.wire.run_for(1_000)
    assert len(office.calls) == 2
    office.register(f"<sip:b@{OFFICE}>", expires=0)
    assert called(scene).final == 200
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    tried = [[attempt.gateway for attempt in record.attempts] for record in scene.exchange.sink.records]
    assert tried == [[NUMBER, NUMBER], [NUMBER, NUMBER], [NUMBER, "vendor-0"]]


def test_a_call_counts_once_for_the_rate_limit_however_many_devices_ring():
    scene = stage(max_cps=1)
    scene.exchange.telephone(NUMBER, HOME, script=refuses(480)).register(f"<sip:a@{HOME}>;q=1")
    scene.exchange.telephone(NUMBER, OFFICE, script=answers()).register(f"<sip:b@{OFFICE}>;q=0.5")
    first = scene.begun_call(callee=NUMBER, after_ms=100)
    assert called(scene).final == 486
    scene.await_answer(first, talk_ms=1_000)
    assert called(scene).final == 200
    scene.wire.run_for(1_000)
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    assert scene.exchange.residue() == {}


def test_a_question_mark_in_a_user_part_is_kept_and_headers_are_not():
    """RFC 3261 sections 25.1 (user-unreserved) and 19.1.1."""
    scene = stage()
    desk = scene.exchange.telephone(NUMBER, HOME, contact=f"sip:{NUMBER}?x@192.168.1.20:5060;line=7?Subject=y")
    desk.register()
    finish(scene, called(scene))
    (invite,) = desk.received("INVITE")
    assert invite.start_line == f"INVITE sip:{NUMBER}?x@192.168.1.20:5060;line=7 SIP/2.0"


def test_an_empty_user_part_of_a_contact_is_not_asked_for():
    """RFC 3261 section 25.1: a user has one character at least, and a proxy on the way may refuse it."""
    scene = stage()
    desk = scene.exchange.telephone(NUMBER, HOME, contact="sip:@192.168.1.20:5060")
    desk.register()
    finish(scene, called(scene))
    (invite,) = desk.received("INVITE")
    assert invite.start_line == "INVITE sip:192.168.1.20:5060 SIP/2.0"


def test_a_path_is_followed_by_the_invite_and_its_cancel():
    """RFC 3327 section 5.4."""
    scene = stage()
    desk = scene.exchange.telephone(NUMBER, HOME, script=answers(60_000))
    path = ["Path: <sip:edge.example.com;lr>", "Path: <sip:inner.example.com;lr;x=y>", "Supported: path"]
    assert desk.register(headers=path)["Path"] == "<sip:edge.example.com;lr>, <sip:inner.example.com;lr;x=y>"
    scene.whole_call(Intent(cancel_after_ms=2_000), callee=NUMBER)
    for method in ("INVITE", "CANCEL"):
        assert desk.received(method)[0]["Route"] == "<sip:edge.example.com;lr>, <sip:inner.example.com;lr;x=y>"
    assert scene.close().end_reason == "Cancelled"


PROXY = Endpoint("203.0.113.86", 5_062)
OTHER_PROXY = Endpoint("203.0.113.87", 5_062)


@pytest.mark.parametrize(
    "path", [f"<sip:{PROXY};lr>, <sip:inner.example.com;lr>", f"<sip:anyone@{PROXY};transport=udp>"]
)
def test_a_call_goes_to_the_first_proxy_of_the_path_where_the_register_came_from_a_proxy(path):
    """RFC 3327 section 5.3, RFC 3261 section 16.6 item 7."""
    scene = stage(proxies=("203.0.113.80/29",))
    proxy = scene.exchange.vendor(PROXY, answers(60_000))
    scene.exchange.telephone(NUMBER, OTHER_PROXY).register(headers=[f"Path: {path}", "Supported: path"])
    scene.whole_call(Intent(cancel_after_ms=2_000), callee=NUMBER)
    there = proxy.only_call
    assert there.invite["Route"] == path
    assert there.is_cancelled
    assert not [
        packet for packet in scene.wire.packets if packet.target == OTHER_PROXY and packet.data.startswith(b"INVITE")
    ]
    record = scene.close()
    assert (record.end_reason, record.destination_address) == ("Cancelled", str(PROXY))


def test_a_phone_behind_a_proxy_is_called_after_the_connection_of_the_proxy_has_closed():
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    listeners = (Listener(*SWITCH), Listener(*SWITCH, "tcp"))
    scene = Scene(catalogue(known, phones=(phone(NUMBER),)), listeners=listeners)
    proxy, connection = scene.exchange.vendor(PROXY), Peer(1, PROXY.host, 43_817)
    path = [f"Path: <sip:{PROXY};transport=tcp;lr>"]
    request = register_request(f"<sip:{NUMBER}@192.168.1.20:5060>", headers=path)
    registrations = scene.exchange.registrations
    registrations.register(NUMBER, RegistrantKind.PHONE, request, connection, scene.exchange.clock.now())
    registrations.connection_lost(connection)
    record = finish(scene, called(scene))
    assert (record.end_reason, record.destination_address) == ("Normal", str(PROXY))
    assert proxy.only_call.invite.start_line == f"INVITE sip:{NUMBER}@192.168.1.20:5060 SIP/2.0"


@pytest.mark.parametrize("proxies", [(), (f"{VENDORS[0].host}/32", f"{PROXY.host}/32", "10.0.0.0/8")])
@pytest.mark.parametrize(
    "host", [*("127.0.0.1", "10.0.0.5", "[::1]", "no.such.name.example", "[2001:db8::7]"), str(VENDORS[0]), str(PROXY)]
)
def test_a_path_leads_a_phones_calls_nowhere_but_where_its_register_came_from(host, proxies):
    """A vendor would take the INVITE to the phone's Contact for a call of ours to that number."""
    scene = stage(proxies=proxies)
    desk = scene.exchange.telephone(NUMBER, HOME)
    desk.register(headers=[f"Path: <sip:{host};lr>", "Supported: path"])
    record = finish(scene, called(scene))
    assert (record.end_reason, record.destination_address) == ("Normal", str(HOME))
    assert desk.received("INVITE")[0]["Route"] == f"<sip:{host};lr>"


def test_a_phone_rings_no_longer_than_its_ring_timeout():
    scene = stage(ring_timeout_ms=7_000)
    scene.exchange.telephone(NUMBER, HOME, script=answers(60_000)).register()
    before = scene.exchange.clock.now().mono
    assert called(scene).final == 480
    assert 6_900 < scene.exchange.clock.now().mono - before < 8_000
    assert scene.record.end_reason == "No Answer"


def test_calls_to_and_from_a_phone_share_its_limit():
    scene = stage(max_concurrent=1)
    desk = scene.exchange.telephone(NUMBER, HOME)
    desk.register()
    first = called(scene)
    assert first.final == 200
    assert called(scene).final == 486
    made = desk.call("442079")
    scene.wire.run_until(lambda: made.final is not None)
    assert made.final == 503
    scene.hang_up(first)
    assert [each.end_reason for each in scene.exchange.sink.records] == ["Busy", "Gateway Capacity", "Normal"]
    assert scene.exchange.leftovers() == {}


def test_two_phones_call_each_other():
    scene = stage(phone("44201"), phone("44202"))
    first, second = scene.exchange.telephone("44201", HOME), scene.exchange.telephone("44202", OFFICE)
    first.register()
    second.register()
    call = first.call("44202")
    scene.wire.run_until(lambda: call.final == 200)
    record = finish(scene, call)
    assert (record.mapping_gateway, record.routing_gateway) == ("44201", "44202")
    assert (record.customer_account, record.vendor_account) == ("acme", None)
    assert second.calls[0].invite["From"].startswith("<sip:44201@")


def test_a_phone_that_is_switched_off_is_not_called_and_cannot_register():
    scene = stage(phone(NUMBER, enabled=False, offline_gateway="vendor-0"))
    assert scene.exchange.telephone(NUMBER, HOME).register().status in {401, 403}
    assert called(scene).final == 480
    assert scene.vendor.calls == []


def test_an_unregistered_device_is_not_called():
    scene = stage()
    desk = scene.exchange.telephone(NUMBER, HOME)
    desk.register()
    desk.register("*", expires=0)
    assert called(scene).final == 480


def test_a_phone_that_forwards_by_itself_spends_nobodys_money():
    scene = stage(offline_gateway="vendor-0")
    moved = refuses(302, headers=("Contact: <sip:442079@203.0.113.1>",))
    scene.exchange.telephone(NUMBER, HOME, script=moved).register()
    assert called(scene).final == 480
    assert (scene.record.end_reason, scene.vendor.calls) == ("Unavailable", [])


def test_the_record_says_as_what_the_caller_pays():
    to_phone = stage()
    to_phone.exchange.telephone(NUMBER, HOME).register()
    assert finish(to_phone, called(to_phone)).billing_method == "gateway"
    scene = stage()
    desk = scene.exchange.telephone(NUMBER, HOME)
    desk.register()
    from_phone = desk.call("442079460000")
    scene.wire.run_until(lambda: from_phone.final == 200)
    assert finish(scene, from_phone).billing_method == "phone"
