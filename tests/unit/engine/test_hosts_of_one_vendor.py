"""A 2xx that no call waits for may have its dialog ended at another host of the same vendor, at no other."""

from doubles.data.builders import catalogue, routing_gateway
from doubles.virtual.exchange import Exchange

from vosd.trunks.gateways import Address


def test_hosts_are_of_one_vendor_by_its_addresses_and_where_its_name_leads():
    fixed = routing_gateway("fixed", addresses=(Address("192.0.2.9", 5060), Address("192.0.2.10", 5060)))
    named = routing_gateway("named", addresses=(Address("sip.example.net", None), Address("192.0.2.12", 5060)))
    names = {"sip.example.net": Address("192.0.2.11", 5060, name="sip.example.net")}
    node = Exchange(catalogue([fixed, named]), names=names).node
    asked = [("9", "10"), ("9", "9"), ("11", "12"), ("10", "11"), ("9", "77"), ("77", "77")]
    are = [node.are_of_one_vendor(f"192.0.2.{one}", f"192.0.2.{other}") for one, other in asked]
    assert are == [True, True, True, False, False, False]


def test_gateways_of_one_account_are_one_vendor():
    west = routing_gateway("west", account="carrier", addresses=(Address("192.0.2.9", 5060),))
    east = routing_gateway("east", account="carrier", addresses=(Address("192.0.2.10", 5060),))
    other = routing_gateway("other", addresses=(Address("192.0.2.11", 5060),))
    node = Exchange(catalogue([west, east, other])).node
    assert [node.are_of_one_vendor("192.0.2.9", host) for host in ("192.0.2.10", "192.0.2.11")] == [True, False]
