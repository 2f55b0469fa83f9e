"""Identification by name: addresses of names join the index, and none is taken from another gateway."""

from collections.abc import Mapping, Sequence

import pytest
from doubles.data.builders import credentials, mapping_gateway

from vosd.routing.identify import NameConflict, SourceIndex
from vosd.trunks.gateways import HostName, MappingGateway

ACME = HostName("acme.example", None)
OTHER = HostName("other.example", None)
PORT = HostName("acme.example", 5070)


def named(name: str, *names: HostName, **fields: object) -> MappingGateway:
    return mapping_gateway(name, named_hosts=names, **fields)


def located(
    found: Mapping[HostName, Sequence[str]], *gateways: MappingGateway, before: SourceIndex | None = None
) -> SourceIndex:
    return SourceIndex(gateways).located(lambda name: found.get(name, ()), before or SourceIndex(()))


def owner(index: SourceIndex, host: str, port: int = 5060, callee: str = "44") -> str | None:
    identified = index.identify(host, port, lambda _: callee)
    return identified.gateway.name if identified else None


def test_a_name_stands_for_its_addresses_of_both_versions_beside_the_configured_ones():
    acme = named("acme", ACME)
    index = located({ACME: ["192.0.2.7", "2001:db8::7"]}, acme, mapping_gateway("else", "192.0.2.8"))
    assert [owner(index, host) for host in ("192.0.2.7", "2001:db8::7", "192.0.2.8", "192.0.2.9")] == [
        "acme", "acme", "else", None,
    ]  # fmt: skip
    assert (index.addresses_by_name("acme"), index.addresses_by_name("else")) == (["192.0.2.7", "2001:db8::7"], [])
    assert index.is_trusted("192.0.2.7", 5060)
    assert [each.name for each in index.gateways_at("192.0.2.7")] == ["acme"]


def test_until_its_addresses_are_known_a_name_stands_for_none():
    index = SourceIndex([named("acme", ACME)])
    assert (owner(index, "192.0.2.7"), index.knows_host("192.0.2.7")) == (None, False)


def test_a_port_behind_a_name_is_that_of_the_packets():
    index = located({PORT: ["192.0.2.7"]}, named("acme", PORT))
    assert (owner(index, "192.0.2.7", 5070), owner(index, "192.0.2.7", 5060)) == ("acme", None)


@pytest.mark.parametrize("pattern", ["192.0.2.7/32", "192.0.2.0/24", "192.0.2.0/24@5070"])
@pytest.mark.parametrize("name", [ACME, PORT])
def test_a_name_takes_no_address_from_a_gateway_that_is_configured_with_it(pattern, name):
    index = located({name: ["192.0.2.7", "198.51.100.7"]}, mapping_gateway("holder", pattern), named("acme", name))
    assert owner(index, "192.0.2.7", 5070) == "holder"
    assert owner(index, "198.51.100.7", 5070) == "acme"
    assert index.conflicts == [NameConflict("acme", name, "192.0.2.7", "holder")]


def test_a_tech_prefix_tells_a_name_and_an_address_apart():
    index = located({ACME: ["192.0.2.7"]}, mapping_gateway("holder", "192.0.2.7"), named("acme", ACME, tech_prefix="9"))
    assert (owner(index, "192.0.2.7"), owner(index, "192.0.2.7", callee="944")) == ("holder", "acme")
    assert index.conflicts == []


def test_two_gateways_that_both_prove_who_they_are_share_an_address():
    first = named("first", ACME, credentials=credentials("first", "secret"))
    second = named("second", OTHER, credentials=credentials("second", "secret"))
    index = located({ACME: ["192.0.2.7"], OTHER: ["192.0.2.7"]}, first, second)
    assert index.conflicts == []
    assert [index.may_send(each, "192.0.2.7", 5060) for each in (first, second)] == [True, True]


def test_of_two_names_the_one_that_had_the_address_keeps_it():
    first, second = named("a", ACME), named("b", OTHER)
    both = {ACME: ["192.0.2.7"], OTHER: ["192.0.2.7"]}
    at_once = located(both, second, first)
    assert (owner(at_once, "192.0.2.7"), at_once.conflicts) == ("a", [NameConflict("b", OTHER, "192.0.2.7", "a")])
    before = located({OTHER: ["192.0.2.7"]}, first, second)
    later = located(both, first, second, before=before)
    assert (owner(later, "192.0.2.7"), later.conflicts) == ("b", [NameConflict("a", ACME, "192.0.2.7", "b")])


def test_a_gateway_with_names_alone_and_credentials_sends_from_its_addresses_only():
    acme = named("acme", ACME, credentials=credentials("acme", "secret"))
    anywhere = mapping_gateway("roaming", credentials=credentials("roaming", "secret"))
    index = located({ACME: ["192.0.2.7"]}, acme, anywhere)
    assert [index.may_send(acme, host, 5060) for host in ("192.0.2.7", "192.0.2.8")] == [True, False]
    assert index.may_send(anywhere, "192.0.2.8", 5060)


def test_an_edited_index_knows_the_names_of_the_gateways_that_it_has():
    index = SourceIndex([named("acme", ACME), named("gone", OTHER)])
    edited = index.changed([*index.named.values()], [named("acme", OTHER)])
    assert {name: each.named_hosts for name, each in edited.named.items()} == {"acme": (OTHER,)}
