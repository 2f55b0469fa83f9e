"""What stands for a host: an address or a name."""

import pytest

from vosd.base.host import domain, is_address, is_private, owner_network_of, plain_host


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "::1", "::ffff:192.0.2.1"])
def test_addresses_are_recognised(host):
    assert is_address(host)


@pytest.mark.parametrize("host", ["sip.example.net", "10.example", "1a.2b", "carrier", "sbc1"])
def test_names_are_recognised(host):
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


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("10.0.0.1", True), ("172.16.0.1", True), ("172.31.255.255", True), ("172.32.0.1", False),
        ("192.168.1.100", True), ("192.169.0.1", False), ("100.64.0.1", True), ("100.128.0.1", False),
        ("169.254.7.7", True), ("127.0.0.1", True), ("fd00::1", True), ("fe80::1", True), ("::1", True),
        ("192.0.0.4", True), ("192.0.1.1", False), ("198.18.0.1", True), ("198.20.0.1", False),
        ("2001:db8::1", False), ("198.51.100.7", False), ("0.0.0.0", False), ("::", False), ("224.2.1.1", False),
        ("pbx.example.com", False), ("10.0.0.1.example", False), ("10.0.0.999", False), ("", False),
    ],
)  # fmt: skip
def test_private_addresses_are_those_that_only_their_own_network_reaches(host, private):
    """RFC 1918, 6598, 3927, 4193, 4291, 6890, 7335, 2544."""
    assert is_private(host) is private


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("192.0.2.1", "192.0.2.1"), ("PBX.Example", "pbx.example"), ("[2001:DB8::0:1]", "2001:db8::1"),
        ("2001:db8:0::1", "2001:db8::1"), ("[::bad::]", "::bad::"),
        ("[::FFFF:192.0.2.1]", "192.0.2.1"),
    ],
)  # fmt: skip
def test_hosts_are_compared_in_one_form(written, host):
    assert plain_host(written) == host


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2::9", "2001:db8:1::/48"),
        ("2001:db8:1:fff0::9", "2001:db8:1::/48"),
        ("2001:db8:2::9", "2001:db8:2::/48"),
    ],
)
def test_an_address_is_in_the_network_that_one_owner_may_have(host: str, network: str):
    assert owner_network_of(host) == network
