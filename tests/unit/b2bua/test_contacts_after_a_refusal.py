"""Contacts of a 3xx, and other numbers at one gateway, that remain after a refusal (RFC 3261 section 8.1.3.4)."""

import msgspec
import pytest
from doubles.data.builders import (
    account,
    applied_rate,
    catalogue,
    credentials,
    mapping_gateway,
    rate_group,
    routing_gateway,
)
from doubles.sockets.loopback import Endpoint
from doubles.successor import replace_node
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, TRIES, Line, Script, answers, refuses

from vosd.engine.calls.gateways_of_call import GatewaysOfCall
from vosd.routing.lookups import PortabilityTerms
from vosd.sip.flows import Hop, Listener
from vosd.trunks.dialect import CalleeDialect, PortedNumber, Redirects
from vosd.trunks.gateways import Address
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters
from vosd.trunks.number_format import NumberFormat, NumberNotation
from vosd.trunks.number_rules import OutgoingNumbers

TRUNK = mapping_gateway("acme", f"{CUSTOMER.host}/32")
FOLLOWS = CalleeDialect(redirects=Redirects.FOLLOW)
LEADS_ON = [404, 480, 500, 502, 503]
OTHER = "442079460099"
HERE = "192.0.2.44"


def at(index, q, number=CALLEE):
    return f"Contact: <sip:{number}@{VENDORS[index]}>;q={q}"


def redirected_to(*contacts, **terms):
    """Return a scene whose vendor answers 302."""
    scene = Scene(catalogue([TRUNK, vendor_gateway(0, dialect=FOLLOWS, **terms)]))
    scene.vendor.script = refuses(302, headers=contacts)
    return scene


def has_address(scene, host):
    """Have the machine of the switch an address beside that of its socket."""
    flows = scene.exchange.endpoint.flows
    flows.is_here = lambda each: each in {host, SWITCH.host, "127.0.0.1"}


def codes(scene, call):
    return [each.code for each in scene.end_of(call).attempts]


@pytest.mark.parametrize(
    ("contact", "sent"),
    [
        (f"{CALLEE};npdi;rn=44999", f"{CALLEE};npdi;rn=44999"),
        (f"{CALLEE};rn=+44-999", f"{CALLEE};npdi;rn=+44999"),
        (f"{OTHER};npdi;rn=44999", f"{OTHER};npdi;rn=44999"),
        (CALLEE, f"{CALLEE};npdi;rn=33888"),
        (OTHER, OTHER),
        (f"{CALLEE};npdi", CALLEE),
    ],
    ids=["ported", "as people write it", "another number", "the same number alone", "another alone", "not ported"],
)
def test_the_routing_number_of_a_contact_goes_out_and_that_of_the_dialled_number_with_no_other_one(contact, sent):
    """The contact is the next Request-URI (RFC 3261 section 8.1.3.4): its vendor has looked the number up."""
    dialect = msgspec.structs.replace(FOLLOWS, ported_number=PortedNumber.PARAMETERS)
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", accept_routing_number=True)
    scene = Scene(catalogue([trunk, vendor_gateway(0, dialect=dialect, prefixes=("33", "44"))]))
    scene.vendor.script = refuses(302, headers=(at(1, 0.9, contact),))
    call = scene.caller.call(f"{CALLEE};npdi;rn=33888", Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == [302, 200]
    [first], [second] = (each.received("INVITE") for each in scene.vendors[:2])
    assert first.start_line == f"INVITE sip:{CALLEE};npdi;rn=33888@{VENDORS[0]} SIP/2.0"
    assert second.start_line == f"INVITE sip:{sent}@{VENDORS[1]} SIP/2.0"


@pytest.mark.parametrize("form", list(NumberNotation))
@pytest.mark.parametrize("routing_number", ["", "33888"])
def test_a_vendor_that_names_the_number_as_it_was_sent_it_means_the_dialled_one(form, routing_number):
    """The rates of the vendor have no prefix of a national number. To the next place the number has the same form."""
    formed = NumberFormat(request_uri=form, to=form, country="44")
    dialect = msgspec.structs.replace(FOLLOWS, number_format=formed, ported_number=PortedNumber.PARAMETERS)
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", accept_routing_number=True)
    vendors = account("carriers", rate_group="buy", overdraft_limit=None)
    groups = [rate_group("sell", applied_rate("0.95")), rate_group("buy", applied_rate("0.30", prefix="44"))]
    gateway = vendor_gateway(0, dialect=dialect, prefixes=("33", "44"))
    scene = Scene(catalogue([trunk, gateway], accounts=[vendors], rate_groups=groups))
    number = formed.written(CALLEE, form)
    scene.vendor.script = refuses(302, headers=(at(1, 0.9, number),))
    dialled = f"{CALLEE};npdi;rn={routing_number}" if routing_number else CALLEE
    call = scene.caller.call(dialled, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == [302, 200]
    [first], [second] = (each.received("INVITE") for each in scene.vendors[:2])
    assert second.start_line == first.start_line.replace(str(VENDORS[0]), str(VENDORS[1]))
    assert second["To"].partition("@")[0] == first["To"].partition("@")[0]


@pytest.mark.parametrize(("named", "tried"), [("02079460099", [302, 200]), ("0033140000000", [302])])
def test_another_number_is_compared_by_its_price_in_whatever_form_its_vendor_is_sent_numbers(named, tried):
    formed = NumberFormat(request_uri=NumberNotation.NATIONAL, country="44")
    vendors = account("carriers", rate_group="buy", overdraft_limit=None)
    rates = [applied_rate("0.30", prefix="44"), applied_rate("0.60", prefix="33")]
    gateway = vendor_gateway(0, dialect=msgspec.structs.replace(FOLLOWS, number_format=formed))
    groups = [rate_group("sell", applied_rate("0.95")), rate_group("buy", *rates)]
    scene = Scene(catalogue([TRUNK, gateway], accounts=[vendors], rate_groups=groups))
    scene.vendor.script = refuses(302, headers=(at(1, 0.9, named),))
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == tried
    sent = [each.start_line.split("@")[0] for each in scene.vendors[1].received("INVITE")]
    assert sent == [f"INVITE sip:{named}"] * (len(tried) - 1)


@pytest.mark.parametrize("routing_number", ["", "33888"])
@pytest.mark.parametrize("named", [";npdi;rn=44999", ";npdi"])
def test_a_routing_number_alone_is_no_other_price_where_calls_are_not_rated_by_it(named, routing_number):
    """The rates of a vendor have no prefix of its trunk."""
    dialect = msgspec.structs.replace(FOLLOWS, ported_number=PortedNumber.PARAMETERS)
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", accept_routing_number=True)
    vendors = account("carriers", rate_group="buy", overdraft_limit=None)
    groups = [rate_group("sell", applied_rate("0.95")), rate_group("buy", applied_rate("0.30", prefix="44"))]
    numbers = OutgoingNumbers(tech_prefix="99")
    gateway = vendor_gateway(0, dialect=dialect, numbers=numbers, prefixes=("33", "44"))
    scene = Scene(catalogue([trunk, gateway], accounts=[vendors], rate_groups=groups))
    scene.vendor.script = refuses(302, headers=(at(1, 0.9, f"99{CALLEE}{named}"),))
    dialled = f"{CALLEE};npdi;rn={routing_number}" if routing_number else CALLEE
    call = scene.caller.call(dialled, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == [302, 200]


def test_a_contact_without_a_number_is_called_by_the_one_before():
    scene = redirected_to(f"Contact: <sip:{VENDORS[1]}>")
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == [302, 200]
    [invite] = scene.vendors[1].received("INVITE")
    assert invite.start_line == f"INVITE sip:{CALLEE}@{VENDORS[1]} SIP/2.0"


def test_a_vendor_may_send_a_call_to_itself_with_the_routing_number_that_it_has_found():
    scene = redirected_to(at(0, 0.9, f"{CALLEE};npdi;rn=44999"))
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == [302, 302]
    assert [each.start_line.split("@")[0] for each in scene.vendor.received("INVITE")] == [
        f"INVITE sip:{CALLEE}", f"INVITE sip:{CALLEE};npdi;rn=44999",
    ]  # fmt: skip


@pytest.mark.parametrize(("price", "tried"), [("0.30", [302, 200]), ("0.90", [302])])
def test_a_routing_number_of_a_contact_makes_no_call_dearer_that_is_rated_by_it(price, tried):
    vendors = account("carriers", rate_group="buy", overdraft_limit=None)
    groups = [
        rate_group("sell", applied_rate("0.95")),
        rate_group("buy", applied_rate("0.30"), applied_rate(price, prefix="44999")),
    ]
    content = catalogue(
        [TRUNK, vendor_gateway(0, dialect=FOLLOWS)], accounts=[vendors], rate_groups=groups,
        number_portability=PortabilityTerms(rate_by_routing_number=True),
    )  # fmt: skip
    scene = Scene(content)
    scene.vendor.script = refuses(302, headers=(at(1, 0.9, f"{CALLEE};npdi;rn=44999"),))
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == tried


@pytest.mark.parametrize("code", LEADS_ON)
def test_the_next_contact_is_tried_after_a_refusal_of_the_first(code):
    scene = redirected_to(at(1, 0.9), at(2, 0.5))
    scene.vendors[1].script = refuses(code)
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == [302, code, 200]
    assert len(scene.vendors[2].calls) == 1


def test_the_next_contact_is_tried_after_one_that_rings_too_long():
    scene = redirected_to(at(1, 0.9), at(2, 0.5), ring_timeout_ms=2_000, failover_after_ringing=True)
    scene.vendors[1].script = Script((Line(0, 180),))
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == [302, 0, 200]


@pytest.mark.parametrize(
    ("terms", "refusal"),
    [
        ({}, refuses(486)),
        ({}, refuses(603)),
        ({"stop_causes": frozenset({17})}, refuses(404, headers=("Reason: Q.850;cause=17",))),
        ({"failover_codes": frozenset({503})}, refuses(404)),
    ],
    ids=["486", "603", "stop cause", "no failover code"],
)
def test_what_ends_the_search_ends_it_at_a_contact_too(terms, refusal):
    scene = redirected_to(at(1, 0.9), at(2, 0.5), **terms)
    scene.vendors[1].script = refusal
    assert len(codes(scene, scene.caller.call(CALLEE))) == 2
    assert scene.vendors[2].calls == []


def test_other_contacts_remain_where_one_names_another_place():
    scene = redirected_to(at(1, 0.9), at(2, 0.5))
    scene.vendors[1].script = refuses(302, headers=(at(0, 1, OTHER),))
    scene.vendor.by_number = {OTHER: refuses(404)}
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == [302, 302, 404, 200]


@pytest.mark.parametrize("code", [404, 480])
def test_the_other_address_of_a_gateway_is_left_out_after_a_refusal(code):
    """Also of one that has named contacts for the call, all of which have refused it."""
    addresses = tuple(Address(*VENDORS[index]) for index in (0, 2))
    scene = redirected_to(at(1, 0.9), addresses=addresses)
    scene.vendors[1].script = refuses(code)
    assert codes(scene, scene.caller.call(CALLEE)) == [302, code]
    scene = redirected_to(addresses=addresses)
    scene.vendor.script = refuses(code)
    assert codes(scene, scene.caller.call(CALLEE)) == [code]
    assert scene.vendors[2].calls == []


@pytest.mark.parametrize(
    "contact",
    [
        "<sip:>",
        "<tel:+442079460000>",
        f"<sip:{CALLEE}@{SWITCH}>",
        f"<sip:{CALLEE}@{VENDORS[1]};transport=ws>",
        f"<sip:{CALLEE}@{VENDORS[1]};transport=sctp>",
        f"<sip:{CALLEE}@unresolved.example>",
        f"<sip:{CALLEE}@{VENDORS[0]}>",
        f"<sip:33123456789@{VENDORS[1]}>",
        f"<sip:{CALLEE}@0.0.0.0:2223>",
        f"<sip:{CALLEE}@224.0.0.75>",
        f"<sip:{CALLEE}@255.255.255.255>",
        f"<sip:{CALLEE}@127.0.0.1:2223>",
        f"<sip:{CALLEE}@127.0.0.1:3306;transport=tcp>",
        f"<sip:{CALLEE}@[::ffff:127.0.0.1]:2223>",
        f"<sip:{CALLEE}@{HERE}:2223>",
        f"<sip:{CALLEE}@inside.example>",
    ],
    ids=[
        "no URI", "no SIP", "this switch", "WebSocket", "SCTP", "a name not resolved", "the vendor itself",
        "another price", "no host", "multicast", "broadcast", "loopback", "loopback over TCP", "mapped", "this machine",
        "a name of it",
    ],
)  # fmt: skip
def test_the_next_gateway_is_tried_where_no_contact_can_be_called(contact):
    """At once; where there is none, the caller gets 480."""
    rates = rate_group("buy", applied_rate("0.30", prefix="44"))
    vendors = [vendor_gateway(0, dialect=FOLLOWS), vendor_gateway(2)]
    for known, expected in ((vendors, [302, 200]), (vendors[:1], [302])):
        scene = Scene(
            catalogue([TRUNK, *known], rate_groups=[rates]),
            locate=lambda hop, _: Hop("127.0.0.1", 2223, None) if hop.host == "inside.example" else None,
        )
        has_address(scene, HERE)
        scene.vendor.script, scene.vendors[2].script = refuses(302, headers=(f"Contact: {contact}",)), answers(0)
        call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
        assert codes(scene, call) == expected
        assert call.final == (200 if len(known) > 1 else 480)
        assert scene.record.pdd_ms is None or scene.record.pdd_ms < 100


@pytest.mark.parametrize("contact", ["127.0.0.1:5060", HERE, f"{SWITCH.host}", "0.0.0.0:5060"])
def test_a_socket_for_all_addresses_is_the_switch_at_each_of_them(contact):
    """Also for a gateway on its machine: the call would come back as one of the customer that is known there."""
    listener = Listener(SWITCH.host, SWITCH.port, "udp", "udp:0.0.0.0:5060", bound="0.0.0.0")
    scene = Scene(catalogue([TRUNK, vendor_gateway(0, dialect=FOLLOWS), vendor_gateway(2)]), listeners=(listener,))
    flows = scene.exchange.endpoint.flows
    flows.is_here = lambda each: each in {HERE, SWITCH.host, VENDORS[0].host, "127.0.0.1"}
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{contact}>",))
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == [302, 200]
    assert scene.record.routing_gateway == "vendor-2"


@pytest.mark.parametrize("known_port", [None, 5099])
def test_a_place_on_the_machine_of_the_switch_is_one_for_a_gateway_there_and_for_a_configured_one(known_port):
    here = VENDORS[1].host
    terms = {"addresses": (Address(here, known_port),), "account": "carriers"}
    beside = [] if known_port is None else [routing_gateway("beside", "33", **terms)]
    for port in (5098, 5099):
        scene = Scene(catalogue([TRUNK, vendor_gateway(0, dialect=FOLLOWS), *beside, vendor_gateway(2)]))
        has_address(scene, here)
        scene.exchange.vendor(Endpoint(here, port))
        scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{here}:{port}>",))
        call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
        assert codes(scene, call) == [302, 200]
        assert scene.record.routing_gateway == ("vendor-0" if port == known_port else "vendor-2")
    scene = redirected_to(f"Contact: <sip:{CALLEE}@{here}:5099>")
    has_address(scene, here)
    flows, is_here = scene.exchange.endpoint.flows, scene.exchange.endpoint.flows.is_here
    flows.is_here = lambda each: each == VENDORS[0].host or is_here(each)
    scene.exchange.vendor(Endpoint(here, 5099))
    assert codes(scene, scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))) == [302, 200]


@pytest.mark.parametrize("account", ["carriers", "dear"])
@pytest.mark.parametrize(
    ("contact", "is_known"),
    [
        ("inside.example", True),
        ("inside.example:5060", True),
        (f"{VENDORS[1].host}:5060", True),
        ("inside.example:3306;transport=tcp", False),
        ("inside.example:3306", False),
        (f"{VENDORS[1].host}:3306", False),
    ],
)
def test_a_gateway_on_the_machine_that_has_a_name_without_port_is_at_the_ports_of_that_name_alone(
    contact, is_known, account
):
    here = VENDORS[1].host
    beside = routing_gateway("beside", "33", addresses=(Address("inside.example", None),), account=account)
    scene = Scene(
        catalogue([TRUNK, vendor_gateway(0, dialect=FOLLOWS), beside, vendor_gateway(2)]),
        locate=lambda hop, _: Hop(here, hop.port or 5060, None) if hop.host == "inside.example" else None,
        names={"inside.example": Address(here, 5060)},
    )
    has_address(scene, here)
    scene.exchange.vendor(Endpoint(here, 5060 if is_known else 3306))
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{contact}>",))
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == [302, 200]
    assert scene.record.routing_gateway == ("vendor-0" if is_known and account == "carriers" else "vendor-2")


DEAR = Address(*VENDORS[1])
NAME = "dear.example"


@pytest.mark.parametrize(
    ("addresses", "contact", "account", "is_followed"),
    [
        ((DEAR,), str(VENDORS[1]), "dear", False),
        ((DEAR,), f"{VENDORS[1].host}:5099", "dear", False),
        ((Address(NAME, None),), str(VENDORS[1]), "dear", False),
        ((Address(NAME, None),), NAME, "dear", False),
        ((DEAR,), NAME, "dear", False),
        ((DEAR,), str(VENDORS[1]), "carriers", True),
        ((DEAR, Address(*VENDORS[2])), str(VENDORS[1]), "dear", False),
    ],
    ids=[
        "address",
        "another port",
        "address of a name",
        "name",
        "name of an address",
        "same account",
        "one of several",
    ],
)
@pytest.mark.parametrize("terms", [{}, {"max_concurrent": 0}, {"enabled": False}], ids=["open", "full", "disabled"])
def test_a_contact_at_the_place_of_another_vendor_is_left_out(addresses, contact, account, is_followed, terms):
    """The call would be paid to the vendor that has named it, and no limit of the other one would hold."""
    dear = routing_gateway("dear", "33", addresses=addresses, account=account, **terms)
    scene = Scene(
        catalogue([TRUNK, vendor_gateway(0, dialect=FOLLOWS), dear, vendor_gateway(2)]),
        locate=lambda hop, _: Hop(*VENDORS[1], None) if hop.host == NAME else None,
        names={NAME: DEAR} if dear.has_names else {},
    )
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{contact}>",))
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    assert codes(scene, call) == [302, 200]
    assert scene.record.routing_gateway == ("vendor-0" if is_followed else "vendor-2")
    assert len(scene.vendors[1].calls) == is_followed


def test_a_contact_at_the_place_where_another_vendor_is_registered_is_left_out():
    dear = routing_gateway("dear", "33", addresses=(), account="dear", credentials=credentials("dear", "secret"))
    scene = Scene(catalogue([TRUNK, vendor_gateway(0, dialect=FOLLOWS), dear, vendor_gateway(2)]))
    live = scene.exchange.switch.live
    live.addresses_of = lambda gateway: [DEAR] if gateway is dear else gateway.addresses
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), script=refuses(302, headers=(at(1, 1),)))
    assert codes(scene, call) == [302, 200]
    assert scene.record.routing_gateway == "vendor-2"


@pytest.mark.parametrize(
    ("place", "judged", "tried"),
    [("198.51.100.{}", 5, 7), (str(VENDORS[1]), 20, 2)],
    ids=["no vendor's", "another vendor's"],
)
def test_few_of_many_contacts_are_looked_at(monkeypatch, place, judged, tried):
    """A packet has room for hundreds, and whose place each is takes its time."""
    dear = routing_gateway("dear", "33", addresses=(DEAR,), account="dear")
    scene = Scene(catalogue([TRUNK, vendor_gateway(0, dialect=FOLLOWS), dear, vendor_gateway(2)]))
    looked_at = []
    judge = GatewaysOfCall.redirected_to
    monkeypatch.setattr(
        GatewaysOfCall, "redirected_to", lambda board, *of, **how: looked_at.append(of) or judge(board, *of, **how)
    )
    contacts = ", ".join(f"<sip:{CALLEE}@{place.format(each)}>" for each in range(1, 201))
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), script=refuses(302, headers=(f"Contact: {contacts}",)))
    scene.wire.run_until(lambda: call.is_over, within_ms=300_000)
    assert (len(looked_at), len(scene.record.attempts)) == (judged, tried)


@pytest.mark.parametrize(("engine", "is_followed"), [(MediaEngine.NONE, False), (MediaEngine.RELAY, True)])
def test_a_contact_of_the_other_ip_family_is_followed_where_media_are_relayed_alone(engine, is_followed):
    """Else the call would be answered, and the vendor paid, without sound."""
    media = MediaParameters(engine=engine, mode=MediaMode.ON)
    listeners = (Listener(*SWITCH), Listener("2001:db8::1", 5060))
    relay = VirtualRelay() if is_followed else None
    content = catalogue([TRUNK, vendor_gateway(0, dialect=FOLLOWS), vendor_gateway(2)], media=media)
    scene = Scene(content, listeners=listeners, relay=relay)
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@[2001:db8::20]>",))
    call = scene.begun_call(Intent(cancel_after_ms=1_000))
    scene.vendors[2].script = RINGS
    scene.wire.run_until(lambda: call.is_over)
    invited = {each.target.host for each in scene.wire.packets if each.data.startswith(b"INVITE")}
    assert ("2001:db8::20" in invited, VENDORS[2].host in invited) == (is_followed, not is_followed)


def test_at_one_host_the_port_says_whose_place_it_is():
    host = VENDORS[0].host
    dear = routing_gateway("dear", "33", addresses=(Address(host, 5070),), account="dear")
    for port, expected in ((5070, "vendor-2"), (5080, "vendor-0")):
        scene = Scene(catalogue([TRUNK, vendor_gateway(0, dialect=FOLLOWS), dear, vendor_gateway(2)]))
        scene.exchange.vendor(Endpoint(host, port))
        scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{CALLEE}@{host}:{port}>",))
        call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
        assert codes(scene, call) == [302, 200]
        assert scene.record.routing_gateway == expected


def test_a_switch_that_goes_on_with_the_call_tries_the_next_contact_too():
    scene = redirected_to(at(1, 0.9), at(2, 0.5))
    scene.vendors[1].script = refuses(404, 2_000)
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), after_ms=1_000)
    replace_node(scene)
    assert codes(scene, call) == [302, 404, 200]


def test_a_switch_that_goes_on_with_the_call_knows_what_was_refused():
    """The gateway that is tried then only sends 100 and is left for the next one."""
    scene = Scene(
        catalogue([TRUNK, vendor_gateway(0), vendor_gateway(1, progress_timeout_ms=3_000), vendor_gateway(2)])
    )
    scene.vendor.script, scene.vendors[1].script, scene.vendors[2].script = refuses(404), TRIES, answers(0)
    call = scene.begun_call(Intent(hang_up_after_ms=1_000), after_ms=1_000)
    replace_node(scene)
    assert codes(scene, call) == [404, 0, 200]
