"""What a gateway may ask from all its addresses together, by the address that it sends from."""

import pytest
from doubles.data.builders import catalogue, credentials, mapping_gateway, routing_gateway

from vosd.base.bucket import Allowance
from vosd.engine.peers.directory import SignallingLimits
from vosd.trunks.gateways import Address

VENDOR = "203.0.113.1"
NAMED = "203.0.113.9"


def limits(*gateways) -> SignallingLimits:
    names = {NAMED: ("sip.carrier.example", "other.example")}
    return SignallingLimits(catalogue(gateways), lambda host: names.get(host, ()))


@pytest.mark.parametrize(
    ("host", "allowance"),
    [("10.0.0.1", Allowance("one", 5)), ("10.0.0.2", Allowance("wide", 50)), ("10.9.9.9", Allowance("wide", 50)),
     ("11.0.0.1", None)],
)  # fmt: skip
def test_it_is_the_gateways_whose_pattern_is_the_closest(host, allowance):
    wide = mapping_gateway("wide", "10.0.0.0/8", max_requests=50)
    one = mapping_gateway("one", "10.0.0.1/32", max_requests=5)
    assert limits(wide, one).allowance_at(host) == allowance


def test_gateways_that_share_an_address_share_the_sum():
    first = mapping_gateway("first", "10.0.0.1", tech_prefix="70", max_requests=5)
    second = mapping_gateway("second", "10.0.0.1", tech_prefix="71", max_requests=7)
    assert limits(first, second).allowance_at("10.0.0.1") == Allowance("first second", 12)
    plain = mapping_gateway("plain", "10.0.0.1")
    assert limits(first, plain).allowance_at("10.0.0.1") is None, "one of them has no limit"


def test_a_gateway_with_credentials_is_limited_at_its_hosts():
    guarded = mapping_gateway("guarded", "10.0.0.1", credentials=credentials("a", "b"), max_requests=5)
    assert limits(guarded).allowance_at("10.0.0.1") == Allowance("guarded", 5)


def test_a_vendor_counts_at_its_addresses_and_those_of_its_name_unless_a_customer_has_them():
    carrier = routing_gateway("carrier", max_requests=9, addresses=(Address(VENDOR, 5060), Address("10.0.0.1", 5060)))
    named = routing_gateway("named", max_requests=3, addresses=(Address("sip.carrier.example", None),))
    found = limits(carrier, named, mapping_gateway("acme", "10.0.0.1"))
    assert [found.allowance_at(host) for host in (VENDOR, NAMED, "10.0.0.1")] == [
        Allowance("carrier", 9), Allowance("named", 3), None
    ]  # fmt: skip


def test_vendors_whose_names_lead_to_one_address_share_the_sum():
    one = routing_gateway("one", max_requests=3, addresses=(Address("sip.carrier.example", None),))
    other = routing_gateway("other", max_requests=9, addresses=(Address("other.example", 5080),))
    plain = routing_gateway("plain", max_requests=20, addresses=(Address(NAMED, 5060),))
    assert limits(one, other).allowance_at(NAMED) == Allowance("one other", 12)
    assert limits(one, other, plain).allowance_at(NAMED) == Allowance("plain one other", 32)
    unlimited = routing_gateway("other", addresses=(Address("other.example", 5080),))
    assert limits(one, unlimited).allowance_at(NAMED) is None, "one of them has no limit"


def test_a_reload_changes_it():
    found = limits(mapping_gateway("acme", "10.0.0.1", max_requests=5))
    found.adopt(catalogue([mapping_gateway("acme", "10.0.0.1", max_requests=6)]))
    assert found.allowance_at("10.0.0.1") == Allowance("acme", 6)
