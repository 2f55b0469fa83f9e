"""Trunks that are known by the certificate of their connection, through the real switch."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone, routing_gateway
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway

from vosd.engine.peers.directory import VendorPlaces
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import Address

ANYWHERE = Endpoint("203.0.113.66", 41_234)
CONNECTION = Peer(0, ANYWHERE.host, ANYWHERE.port)
NAMES = frozenset({"pbx.customer.example"})
TRUNK = mapping_gateway("moving", account="acme", certificate_names=NAMES)
AT_HOME = mapping_gateway("at-home", f"{CUSTOMER.host}/32", account="acme", certificate_names=NAMES)


def scene(*gateways, phones=()) -> Scene:
    return Scene(catalogue([*gateways, vendor_gateway(0)], phones=phones))


def certificates(stage: Scene):
    return stage.exchange.node.authenticator.certificates


def call(stage: Scene, address=ANYWHERE, number=CALLEE, **intent):
    made = stage.exchange.caller(address).call(number, Intent(hang_up_after_ms=1_000, **intent))
    stage.wire.run_for(3_000)
    return made


def trunks(stage: Scene) -> list[str | None]:
    return [record.mapping_gateway for record in stage.exchange.sink.records]


@pytest.mark.parametrize("phones", [(), (phone("1001"),)], ids=["no phones", "phones"])
def test_a_call_over_a_connection_with_the_certificate_of_a_trunk_is_its_call_from_any_address(phones):
    stage = scene(TRUNK, phones=phones)
    certificates(stage).opened(CONNECTION, frozenset({"other.example", *NAMES}))
    assert call(stage).final == 200
    assert trunks(stage) == ["moving"]
    certificates(stage).closed(CONNECTION)
    before = len(stage.exchange.sink.records)
    made = call(stage)
    assert made.final is None or made.final == 401
    assert len(stage.exchange.sink.records) == before


@pytest.mark.parametrize(
    ("peer", "names"),
    [
        (CONNECTION, frozenset({"other.example"})),
        (CONNECTION._replace(port=41_235), NAMES),
        (CONNECTION._replace(host="203.0.113.67"), NAMES),
    ],
    ids=["another name", "another port", "another host"],
)
def test_any_other_connection_proves_nothing(peer, names):
    stage = scene(TRUNK)
    certificates(stage).opened(peer, names)
    assert call(stage).final is None, "dropped, as from any unknown source"
    assert trunks(stage) == []


def test_the_next_connection_from_a_port_does_not_have_the_certificate_of_the_one_before():
    """The end of a connection is not reported once another one from its port is open."""
    stage = scene(TRUNK)
    certificates(stage).opened(CONNECTION, NAMES)
    certificates(stage).opened(CONNECTION, frozenset())
    assert call(stage).final is None
    assert not certificates(stage).knows_host(CONNECTION.host)


def test_the_address_of_a_trunk_with_a_certificate_is_not_enough_and_the_certificate_elsewhere_neither():
    stage = scene(AT_HOME)
    assert call(stage, CUSTOMER).final == 403
    certificates(stage).opened(CONNECTION, NAMES)
    assert call(stage).final is None
    certificates(stage).opened(Peer(0, *CUSTOMER), NAMES)
    assert call(stage, CUSTOMER).final == 200
    assert [each for each in trunks(stage) if each][-1] == "at-home"


def test_trunks_that_share_a_certificate_differ_by_their_tech_prefix():
    stage = scene(
        mapping_gateway("plain", account="acme", certificate_names=NAMES),
        mapping_gateway("prefixed", account="acme", certificate_names=NAMES, tech_prefix="99"),
    )
    certificates(stage).opened(CONNECTION, NAMES)
    for number in (CALLEE, f"99{CALLEE}"):
        assert call(stage, number=number).final == 200
    assert trunks(stage) == ["plain", "prefixed"]


def test_no_registration_is_taken_by_certificate():
    stage = scene(TRUNK, phones=(phone("1001"),))
    certificates(stage).opened(CONNECTION, NAMES)
    assert stage.exchange.request_client(ANYWHERE).prove(Login("1001", "guess"), "REGISTER").status == 401


def test_a_changed_catalogue_holds_for_open_connections():
    stage = scene(TRUNK)
    certificates(stage).opened(CONNECTION, frozenset({"new.example", *NAMES}))
    stage.exchange.swap_catalogue(
        catalogue([mapping_gateway("moving", "192.0.2.99/32", account="acme"), vendor_gateway(0)])
    )
    assert call(stage).final is None
    renamed = mapping_gateway("moving", account="acme", certificate_names=frozenset({"new.example"}))
    stage.exchange.swap_catalogue(catalogue([renamed, vendor_gateway(0)]))
    assert call(stage).final == 200
    assert trunks(stage) == ["moving"]


def test_a_host_is_a_known_source_while_a_trunk_is_connected_from_it():
    stage = scene(TRUNK)
    node = stage.exchange.node
    assert not node.is_known_source(ANYWHERE.host)
    certificates(stage).opened(CONNECTION, NAMES)
    certificates(stage).opened(CONNECTION._replace(port=1), frozenset({"other.example"}))
    assert node.is_known_source(ANYWHERE.host)
    assert (node.knows(*ANYWHERE), node.knows(ANYWHERE.host, 1)) == (True, False)
    certificates(stage).closed(CONNECTION)
    assert not node.is_known_source(ANYWHERE.host)


def test_a_vendor_has_its_identity_at_its_addresses_and_where_its_name_leads():
    fixed = routing_gateway("fixed", addresses=(Address("192.0.2.9", 5061, "tls"),), tls="one")
    named = routing_gateway("named", addresses=(Address("sip.example.net", None, "tls"),), tls="two")
    at = {"192.0.2.9": [fixed], "sip.example.net": [named]}
    places = VendorPlaces(
        lambda host: at.get(host, ()), lambda host: ["sip.example.net"] if host == "192.0.2.10" else []
    )
    assert [places.identity_at("192.0.2.9", port) for port in (5061, 5071)] == ["one", ""]
    assert places.identity_at("192.0.2.10", 5071) == "two"
    assert places.identity_at("192.0.2.11", 5061) == ""
    asked = (("192.0.2.9", 5061), ("192.0.2.9", 5071), ("192.0.2.10", 5071), ("192.0.2.11", 5061))
    assert [places.is_vendor_at(*place) for place in asked] == [True, False, True, False]


@pytest.mark.parametrize("last_port", [5073, None], ids=["all ports configured", "one port from DNS"])
def test_gateways_by_several_names_of_one_address_are_known_by_their_ports(last_port):
    ports = {"c.example": last_port, "a.example": 5061, "b.example": 5062}
    gateways = [
        routing_gateway(name[0], addresses=(Address(name, port, "tls"),), tls=f"of-{name[0]}")
        for name, port in ports.items()
    ]
    at = dict(zip(ports, ([each] for each in gateways), strict=True))
    hosts = {"192.0.2.10": [*ports]}
    places = VendorPlaces(lambda host: at.get(host, ()), lambda host: hosts.get(host, ()))
    asked = (5061, 5062, 5073)
    assert [places.identity_at("192.0.2.10", port) for port in asked] == ["of-a", "of-b", "of-c"]
    assert [places.name_at("192.0.2.10", port) for port in asked] == ["a.example", "b.example", "c.example"]
    assert [places.is_vendor_at("192.0.2.10", port) for port in (*asked, 5074)] == [True] * 3 + [last_port is None]
    assert (places.name_at("192.0.2.11", 5061), places.is_vendor_at("192.0.2.11", 5061)) == (None, False)


def dialogs(stage: Scene):
    return [each.dialog for each in stage.exchange.endpoint.dialogs.owners.values() if each.dialog is not None]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [(NAMES, "pbx.customer.example"), (frozenset({"other.example"}), ""), (frozenset(), "")],
    ids=["the same", "another", "none"],
)
def test_a_call_keeps_the_name_that_its_connection_has_proven_while_further_ones_prove_it(shown, expected):
    """Another connection for it must show that; callers who prove nothing are asked for nothing."""
    stage = scene(TRUNK)
    certificates(stage).opened(CONNECTION, frozenset({"other.example", *NAMES}))
    made = stage.exchange.caller(ANYWHERE).call(CALLEE, Intent(hang_up_after_ms=60_000))
    stage.wire.run_for(3_000)
    [dialog] = [each for each in dialogs(stage) if each.user]
    assert (made.final, dialog.expected_name) == (200, "pbx.customer.example")
    dialog.reach_by(CONNECTION._replace(host="203.0.113.67"))
    certificates(stage).opened(CONNECTION, shown)
    made.propose()
    stage.wire.run_for(1_000)
    assert (dialog.peer, dialog.expected_name) == (CONNECTION, expected)


def test_a_call_of_a_trunk_that_is_known_by_its_address_alone_has_no_name():
    stage = scene(mapping_gateway("plain", f"{CUSTOMER.host}/32", account="acme"))
    certificates(stage).opened(Peer(0, *CUSTOMER), NAMES)
    stage.exchange.caller(CUSTOMER).call(CALLEE)
    stage.wire.run_for(1_000)
    assert {each.server_name for each in dialogs(stage)} == {""}
