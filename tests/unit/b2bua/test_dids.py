"""Numbers that were given to customers: what rings, in which order and at which times; a trunk that is called, too."""

from zoneinfo import ZoneInfo

import msgspec
import pytest
from doubles.data.builders import (
    applied_rate,
    catalogue,
    credentials,
    mapping_gateway,
    override,
    phone,
    rate_group,
    routing_gateway,
)
from doubles.sockets.loopback import Endpoint
from doubles.successor import replace_node
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, answers, refuses

from vosd.catalogue.overrides import Setting, Target
from vosd.routing.calendar import Calendar, CalendarEntry
from vosd.routing.plan import RouteRow, RoutingPlan
from vosd.routing.pools import NumberPool
from vosd.trunks.dialect import CalleeDialect, CallerDialect, Redirects
from vosd.trunks.dids import Did, DidTable, OverlapError
from vosd.trunks.gateways import Address
from vosd.trunks.groups import GatewayGroup
from vosd.trunks.header_rules import HeaderRules, TrunkHeaders
from vosd.trunks.number_rules import OutgoingNumbers
from vosd.trunks.ringing import RingOrder

NUMBER = "4420946000"
HOME = Endpoint("203.0.113.66", 41_234)
OFFICE = Endpoint("203.0.113.77", 5_070)
PBX = Endpoint("203.0.113.88", 5_060)
PROOF = credentials("pbx", "secret")


def stage(*dids: Did, gateways=(), **more) -> Scene:
    """A customer, a vendor for 44, two phones and the inventory."""
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0), *gateways]
    return Scene(catalogue(known, phones=(phone("7001"), phone("7002")), dids=dids, **more))


def called(scene: Scene, number: str = NUMBER, *, within_ms: int = 180_000):
    call = scene.caller.call(number, Intent())
    scene.wire.run_until(lambda: call.final is not None, within_ms=within_ms)
    return call


def finish(scene: Scene, call):
    scene.wire.run_for(10_000)
    return scene.finish(call)


def test_a_number_rings_the_phone_that_it_was_given_to_whatever_routes_there_are():
    scene = stage(Did(NUMBER, "acme", phones=("7001",)))
    desk = scene.exchange.telephone("7001", HOME)
    desk.register()
    record = finish(scene, called(scene))
    assert len(desk.received("INVITE")) == 1
    assert (record.routing_gateway, record.did, record.callee_in) == ("7001", NUMBER, NUMBER)
    assert scene.vendor.calls == []


def test_the_numbers_beside_it_are_routed_as_ever_and_have_no_did():
    scene = stage(Did(f"{NUMBER}-4420946099", "acme", phones=("7001",)))
    record = finish(scene, called(scene, "4420946100"))
    assert (record.routing_gateway, record.did) == ("vendor-0", None)


@pytest.mark.parametrize("ending", ["%23", "*", "*%23"])
@pytest.mark.parametrize(
    ("number", "did"), [(NUMBER, NUMBER), ("7001", None)], ids=["of the inventory", "of the telephone"]
)
def test_a_number_rings_the_same_phone_with_signs_behind_it(number, did, ending):
    """A vendor would be paid for a call that it sends back to us, or to no one."""
    sell = rate_group("sell", applied_rate("0.10", prefix="7"), applied_rate("0.10", prefix="44"))
    routes = [vendor_gateway(1, prefixes=("7",))]
    scene = stage(Did(NUMBER, "acme", phones=("7001",)), gateways=routes, rate_groups=[sell])
    desk = scene.exchange.telephone("7001", HOME)
    desk.register()
    record = finish(scene, called(scene, number + ending))
    assert (record.routing_gateway, record.did) == ("7001", did)
    assert record.callee_in == number + ending.replace("%23", "#")
    assert len(desk.received("INVITE")) == 1


@pytest.mark.parametrize(
    ("number", "final"), [(NUMBER, 404), (NUMBER[:-1], 200)], ids=["free", "shorter than the range"]
)
def test_a_number_with_a_sign_behind_it_is_one_of_a_range_by_its_digits(number, final):
    scene = stage(Did(f"{NUMBER}-4420946099"))
    call = called(scene, f"{number}%23")
    assert call.final == final


def test_phones_ring_one_after_the_other_until_one_answers():
    scene = stage(Did(NUMBER, "acme", phones=("7001", "7002"), ring_timeout_ms=5_000))
    first = scene.exchange.telephone("7001", HOME, script=RINGS)
    second = scene.exchange.telephone("7002", OFFICE, script=answers(1_000))
    first.register()
    second.register()
    call = called(scene)
    record = finish(scene, call)
    assert call.final == 200
    assert len(first.received("CANCEL")) == 1
    assert [each.gateway for each in record.attempts] == ["7001", "7002"]
    assert 5_000 <= record.attempts[0].ms < 5_010


def ringing(scene: Scene, *numbers: str, script=RINGS):
    """Register telephones that ring and are never answered."""
    devices = []
    for place, number in enumerate(numbers):
        devices.append(scene.exchange.telephone(number, Endpoint("203.0.113.66", 42_000 + place), script=script))
        devices[-1].register()
    return devices


VOICEMAIL = routing_gateway("vm", "9", addresses=(Address(*VENDORS[1]),), account="carriers", allow_unrated=True)
OF_ONE, OF_TWO = ("447001",), ("447001", "447002")


def with_voicemail(script, *phones: str, registered=OF_TWO, order=RingOrder.IN_TURN, customer=None, **terms) -> Scene:
    """Phones with an offline gateway, which a number rings; those that are ``registered`` act by ``script``."""
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32", **(customer or {})), vendor_gateway(0), VOICEMAIL]
    desks = [phone(each, offline_gateway="vm", **terms) for each in OF_TWO]
    scene = Scene(catalogue(known, phones=desks, dids=[Did(NUMBER, "acme", phones=phones, ring=order)]))
    ringing(scene, *registered, script=script)
    return scene


@pytest.mark.parametrize("order", RingOrder)
@pytest.mark.parametrize("phones", [OF_ONE, OF_TWO])
@pytest.mark.parametrize(
    ("script", "registered", "final"),
    [
        (SILENT, (), 200),
        (SILENT, OF_TWO, 200),
        (refuses(404), OF_TWO, 200),
        (RINGS, OF_TWO, 480),
        (refuses(486), OF_TWO, 486),
        (refuses(486), ("447001",), 486),
        (refuses(302), OF_TWO, 480),
    ],
    ids=["offline", "silent", "404", "rings in vain", "busy", "busy and offline", "forwarded"],
)
def test_the_offline_gateway_takes_the_calls_by_a_number_where_no_phone_can_be_reached(
    order, phones, script, registered, final
):
    """As those by the number of the phone itself."""
    scene = with_voicemail(script, *phones, registered=registered, order=order)
    assert called(scene).final == final
    assert len(scene.vendors[1].calls) == (final == 200)
    if phones == OF_ONE:
        assert called(scene, "447001").final == final


@pytest.mark.parametrize("is_restarted", [False, True])
def test_all_addresses_of_an_offline_gateway_that_was_found_ahead_show_one_number_of_its_pool(is_restarted):
    addresses = tuple(Address(*each) for each in VENDORS[1:3])
    pooled = msgspec.structs.replace(VOICEMAIL, addresses=addresses, numbers=OutgoingNumbers(caller_pool="p"))
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), pooled]
    desks = [phone(each, offline_gateway="vm") for each in OF_TWO]
    did = Did(NUMBER, "acme", phones=OF_TWO, ring=RingOrder.TOGETHER)
    pool = NumberPool("p", ("441", "442", "443"))
    scene = Scene(catalogue(known, phones=desks, dids=[did], number_pools=[pool]))
    ringing(scene, *OF_TWO, script=refuses(404, 500))
    scene.vendors[1].script = refuses(503)
    call = scene.begun_call(callee=NUMBER, after_ms=200)
    if is_restarted:
        replace_node(scene)
    scene.wire.run_until(lambda: call.final is not None)
    shown = [each.only_call.invite["From"].partition("@")[0] for each in scene.vendors[1:3]]
    assert (call.final, shown) == (200, ["<sip:441"] * 2)


@pytest.mark.parametrize("order", RingOrder)
@pytest.mark.parametrize("phones", [OF_ONE, OF_TWO])
def test_no_offline_gateway_takes_the_calls_of_a_phone_that_is_busy(order, phones):
    scene = with_voicemail(answers(), *phones, registered=("447001",), order=order, max_concurrent=1)
    scene.exchange.telephone("447002", OFFICE).register()
    for number in phones:
        assert called(scene, number).final == 200
    assert called(scene).final == 486
    assert scene.vendors[1].calls == []


def test_an_offline_gateway_that_is_full_while_the_phones_ring_takes_the_call_if_it_has_room_in_its_turn():
    full = msgspec.structs.replace(VOICEMAIL, max_concurrent=1)
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), full]
    desks = [phone("447001"), phone("447002", offline_gateway="vm")]
    did = Did(NUMBER, "acme", phones=OF_TWO, ring=RingOrder.TOGETHER)
    scene = Scene(catalogue(known, phones=desks, dids=[did]))
    before = scene.begun_call(Intent(hang_up_after_ms=2_000), callee="447002", after_ms=100)
    ringing(scene, *OF_TWO, script=SILENT)
    assert called(scene).final == 200
    assert before.is_over


def test_a_phone_that_was_busy_before_its_turn_keeps_no_call_from_the_offline_gateway():
    """The first phone rings at all its places, so those that follow are found before their turn."""
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0), VOICEMAIL]
    desks = [phone("447001", ring=RingOrder.TOGETHER), phone("447002", offline_gateway="vm", max_concurrent=1)]
    scene = Scene(catalogue(known, phones=desks, dids=[Did(NUMBER, "acme", phones=OF_TWO)]))
    ringing(scene, *OF_TWO, script=SILENT)
    before = scene.begun_call(Intent(cancel_after_ms=2_000), callee="447002", after_ms=100)
    assert called(scene).final == 200
    assert before.is_over
    assert scene.vendors[1].calls != []


def test_what_is_left_of_the_search_outlives_a_restart():
    """Which phones were reached, and the offline gateway."""
    for script, final in ((SILENT, 200), (refuses(486), 486)):
        scene = with_voicemail(script, *OF_TWO)
        scene.exchange.telephone("447002", OFFICE, script=SILENT).register()
        call = scene.begun_call(callee=NUMBER, after_ms=8_000 if script is SILENT else 2_000)
        replace_node(scene)
        scene.wire.run_until(lambda call=call: call.final is not None, within_ms=60_000)
        assert call.final == final


@pytest.mark.parametrize("terms", [{"gateways_allow": frozenset({"vendor-0"})}, {"routing_plan": "narrow"}])
@pytest.mark.parametrize("number", [NUMBER, "447001"])
def test_no_choice_of_vendors_keeps_a_call_from_the_offline_gateway(terms, number):
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32", **terms), vendor_gateway(0), VOICEMAIL]
    plans = [RoutingPlan("narrow", gateways=frozenset({"vendor-0"}))]
    desks = [phone("447001", offline_gateway="vm")]
    scene = Scene(catalogue(known, phones=desks, dids=[Did(NUMBER, "acme", phones=OF_ONE)], plans=plans))
    assert finish(scene, called(scene, number)).routing_gateway == "vm"


@pytest.mark.parametrize("phones", [OF_ONE, OF_TWO])
def test_the_offline_gateway_is_sent_the_number_of_the_phone_and_paid_for_it(phones):
    """A vendor that was sent the number of the inventory would return the call to us."""
    mobile = routing_gateway(
        "mobile",
        "9",
        addresses=(Address(*VENDORS[1]),),
        account="carriers",
        numbers=OutgoingNumbers(callee_rewrite=((phones[-1], "447700900123"),)),
    )
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), mobile]
    rates = [rate_group("buy", applied_rate("0.30", prefix="447"), applied_rate("0.60", prefix=NUMBER))]
    desks = [phone(each, offline_gateway="mobile") for each in phones]
    dids = [Did(NUMBER, "acme", phones=phones)]
    records = []
    for number in (phones[-1], NUMBER):
        scene = Scene(catalogue(known, phones=desks, dids=dids, rate_groups=rates))
        records.append(finish(scene, called(scene, number)))
    assert [each.callee_out for each in records] == ["447700900123", "447700900123"]
    assert records[0].cost == records[1].cost > 0


def test_the_redirect_server_of_a_single_phone_is_asked():
    follows = CalleeDialect(redirects=Redirects.FOLLOW)
    asked = routing_gateway(
        "asked", "9", addresses=(Address(*VENDORS[1]),), account="asked", allow_unrated=True, dialect=follows
    )
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), asked]
    for phones, tried in ((OF_ONE, ["asked", "447001"]), (OF_TWO, ["447001"])):
        desks = [phone(each, redirect_server="asked") for each in OF_TWO]
        scene = Scene(catalogue(known, phones=desks, dids=[Did(NUMBER, "acme", phones=phones)]))
        scene.vendors[1].script = refuses(410)
        ringing(scene, *OF_TWO, script=answers())
        record = finish(scene, called(scene))
        assert [each.gateway for each in record.attempts] == tried
        sent = [each.invite["To"] for each in scene.vendors[1].calls]
        assert [each.partition("@")[0] for each in sent] == ["<sip:447001"][: len(tried) - 1]


def test_a_single_phone_rings_at_all_its_places_where_its_number_says_so():
    scene = stage(Did(NUMBER, "acme", phones=("7001",), ring=RingOrder.TOGETHER, ring_timeout_ms=5_000))
    devices = [*ringing(scene, "7001"), scene.exchange.telephone("7001", OFFICE, script=RINGS)]
    devices[1].register()
    began_at = scene.exchange.clock.now().mono
    assert called(scene).final == 480
    assert [len(each.received("INVITE")) for each in devices] == [1, 1]
    assert 60_000 <= scene.exchange.clock.now().mono - began_at < 60_100


@pytest.mark.parametrize("is_replaced", [False, True])
def test_all_phones_of_a_number_ring_in_turn_however_long_that_takes(is_replaced):
    numbers = tuple(f"{number}" for number in range(7001, 7013))
    did = Did(NUMBER, "acme", phones=numbers)
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32")]
    scene = Scene(catalogue(known, phones=[phone(each) for each in numbers], dids=[did]))
    devices = ringing(scene, *numbers)
    call = called(scene, within_ms=300_000)
    assert [len(each.received("CANCEL")) for each in devices] == [1] * 12
    assert [each.gateway for each in scene.close().attempts] == [*numbers]
    assert call.final == 480


@pytest.mark.parametrize("is_replaced", [False, True])
def test_the_search_behind_the_phones_has_its_limits_for_itself(is_replaced):
    numbers = tuple(f"{number}" for number in range(7001, 7013))
    vm = msgspec.structs.replace(VOICEMAIL, addresses=tuple(Address(*each) for each in VENDORS[1:]))
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vm]
    desks = [phone(each, offline_gateway="vm") for each in numbers]
    scene = Scene(catalogue(known, phones=desks, dids=[Did(NUMBER, "acme", phones=numbers)]))
    ringing(scene, *numbers, script=SILENT)
    scene.vendors[1].script, scene.vendors[2].script = SILENT, refuses(404)
    call = scene.caller.call(NUMBER)
    if is_replaced:
        scene.wire.run_for(57_000)
        replace_node(scene)
    scene.wire.run_until(lambda: call.final is not None, within_ms=300_000)
    assert [each.gateway for each in scene.close().attempts] == [*numbers, "vm", "vm"]


@pytest.mark.parametrize("status", [486, 480, 603])
def test_a_busy_phone_of_a_group_is_followed_by_the_next(status):
    scene = stage(Did(NUMBER, "acme", phones=("7001", "7002")))
    scene.exchange.telephone("7001", HOME, script=refuses(status)).register()
    scene.exchange.telephone("7002", OFFICE).register()
    assert finish(scene, called(scene)).routing_gateway == "7002"


def test_a_phone_of_a_group_that_is_not_registered_is_left_out():
    scene = stage(Did(NUMBER, "acme", phones=("7001", "7002")))
    scene.exchange.telephone("7002", OFFICE).register()
    assert finish(scene, called(scene)).routing_gateway == "7002"


def test_a_free_number_gets_404_and_a_record():
    scene = stage(Did(NUMBER))
    assert called(scene).final == 404
    assert scene.record.did == NUMBER
    assert scene.vendor.calls == []


def test_a_number_may_go_to_a_routing_gateway():
    pbx = routing_gateway("hq", "9", addresses=(Address(VENDORS[1].host, VENDORS[1].port),), account="carriers")
    scene = stage(Did(NUMBER, "acme", trunk="hq"), gateways=[pbx])
    record = finish(scene, called(scene))
    assert scene.vendors[1].only_call.invite.start_line.startswith(f"INVITE sip:{NUMBER}@")
    assert (record.routing_gateway, record.did) == ("hq", NUMBER)


def test_a_pbx_that_registers_once_calls_and_is_called_for_its_numbers():
    own = mapping_gateway("pbx", account="acme", credentials=PROOF)
    scene = stage(Did(f"{NUMBER}-4420946099", "acme", trunk="pbx"), gateways=[own])
    pbx = scene.exchange.telephone("pbx", PBX, contact="sip:line7@192.168.1.20:5062")
    pbx.register()
    record = finish(scene, called(scene, "4420946042"))
    (invite,) = pbx.received("INVITE")
    assert invite.start_line == "INVITE sip:4420946042@192.168.1.20:5062 SIP/2.0"
    assert "<sip:12025550100@" in invite["P-Asserted-Identity"]
    assert (record.routing_gateway, record.vendor_account, record.did) == ("pbx", None, "4420946042")


def test_a_call_to_several_places_of_a_pbx_is_one_for_the_rate_limits_of_its_group():
    own = mapping_gateway("pbx", account="acme", credentials=PROOF, groups=frozenset({"crowd"}), max_cps=1)
    group = GatewayGroup("crowd", frozenset(), max_cps=1)
    scene = stage(Did(NUMBER, "acme", trunk="pbx"), gateways=[own], groups=[group])
    places = [scene.exchange.telephone("pbx", PBX), scene.exchange.telephone("pbx", OFFICE)]
    for each in places:
        each.script = refuses(503)
        each.register()
    assert called(scene).final == 503
    assert [len(each.calls) for each in places] == [1, 1]


def test_a_pbx_is_not_sent_a_withheld_number_neither_in_identities_nor_by_rules():
    """RFC 3325 sections 5 and 7: a customer's PBX is outside of the trust domain."""
    rules = HeaderRules(passes=("p-charge-info",), adds=(("X-Caller", "{caller}"), ("X-From", "{header From}")))
    spoken = CallerDialect(headers=TrunkHeaders(rules))
    own = mapping_gateway("pbx", account="acme", credentials=PROOF, dialect=spoken)
    scene = stage(Did(NUMBER, "acme", trunk="pbx"), gateways=[own])
    pbx = scene.exchange.telephone("pbx", PBX)
    pbx.register()
    call = scene.caller.call(NUMBER, Intent(headers=("Privacy: id", "P-Charge-Info: <sip:12025550100@a.example>")))
    scene.wire.run_until(lambda: call.final is not None)
    assert finish(scene, call).caller_in == "12025550100"
    (invite,) = pbx.received("INVITE")
    assert invite["From"].startswith('"Anonymous" <sip:anonymous@anonymous.invalid>;')
    assert b"12025550100" not in scene.bytes_to(PBX)


def test_a_pbx_that_is_away_gets_480():
    own = mapping_gateway("pbx", account="acme", credentials=PROOF)
    scene = stage(Did(NUMBER, "acme", trunk="pbx"), gateways=[own])
    assert called(scene).final == 480
    assert scene.record.end_reason == "Unavailable"


@pytest.mark.parametrize("did", [Did(NUMBER, "acme", trunk="hq"), Did(NUMBER, "acme", phones=("447001",))])
@pytest.mark.parametrize(
    "terms",
    [
        {"routing_plan": "by-gateway"},
        {"routing_plan": "by-line"},
        {"gateways_allow": frozenset({"vendor-0"})},
        {"gateways_deny": frozenset({"vendor-0"})},
    ],
)
def test_no_plan_and_no_choice_of_vendors_keeps_a_number_from_where_it_was_given_to(did, terms):
    pbx = routing_gateway("hq", "9", addresses=(Address(VENDORS[1].host, VENDORS[1].port),), account="carriers")
    plans = (
        RoutingPlan("by-gateway", gateways=frozenset({"vendor-0"})),
        RoutingPlan("by-line", routes=(RouteRow("44", "vendor-0"),)),
    )
    customer = mapping_gateway("acme", f"{CUSTOMER.host}/32", **terms)
    scene = Scene(catalogue([customer, vendor_gateway(0), pbx], phones=[phone("447001")], dids=[did], plans=plans))
    scene.exchange.telephone("447001", HOME).register()
    scene.vendors[1].script = answers(0)
    assert called(scene).final == 200
    if did.phones:
        assert called(scene, "447001").final == 200


@pytest.mark.parametrize(
    ("name", "did"), [("7001", Did(NUMBER, "acme", phones=("7001", "7002"))), ("pbx", Did(NUMBER, "acme", trunk="pbx"))]
)
def test_an_overridden_limit_holds_for_calls_by_a_number_that_was_given(name, did):
    scene = stage(did, gateways=[mapping_gateway("pbx", account="acme", credentials=PROOF)])
    scene.exchange.telephone(name, PBX).register()
    scene.exchange.override(override(Target.MAPPING, name, Setting.MAX_CONCURRENT, "1"))
    assert called(scene).final == 200
    assert called(scene).final == 486


def test_at_other_times_than_those_of_its_calendar_other_phones_ring():
    never = Calendar("office", ZoneInfo("UTC"), (CalendarEntry(is_working=False),))
    always = Calendar("office", ZoneInfo("UTC"), (CalendarEntry(),))
    for calendar, rung in ((always, "7001"), (never, "7002")):
        did = Did(NUMBER, "acme", phones=("7001",), calendar="office", otherwise=("7002",))
        scene = stage(did, calendars=[calendar])
        scene.exchange.telephone("7001", HOME).register()
        scene.exchange.telephone("7002", OFFICE).register()
        assert finish(scene, called(scene)).routing_gateway == rung


def test_entries_are_found_by_their_numbers_and_never_overlap():
    table = DidTable([Did("100-199"), Did("4930"), Did("50"), Did("0100")])
    found = {
        number: table.find(number) for number in ("099", "100", "150", "199", "200", "50", "0100", "4930", "49300")
    }
    assert [number for number, did in found.items() if did is not None] == ["100", "150", "199", "50", "0100", "4930"]
    with pytest.raises(OverlapError):
        DidTable([Did("100-199"), Did("199")])
    with pytest.raises(OverlapError):
        DidTable([Did("100-199"), Did("150-160"), Did("200")])
