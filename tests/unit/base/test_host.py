"""What stands for a host: an address or a name."""

import pytest

from vosd.base.host import domain, is_address


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "::1", "::ffff:192.0.2.1"])
def test_addresses_are_told_from_names(host):
    assert is_address(host)


@pytest.mark.parametrize("host", ["sip.example.net", "10.example", "1a.2b", "carrier", "sbc1"])
def test_names_are_told_from_addresses(host):
    assert not is_address(host)
    assert domain(host) == host


def test_a_domain_is_compared_in_lower_case_and_without_the_final_dot():
    assert domain("SIP.Example.NET.") == "sip.example.net"


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a..b", "-a.example", "a-.example", "a b.example", "192.0.2.1", "192.0.2.999", "2001:db8::1",
     "a" * 64 + ".example", ".".join(["abcd"] * 51), "exämple.net", "a.example\n", "a.example;b"],
)  # fmt: skip
def test_what_is_no_domain_is_none(text):
    assert domain(text) is None
