"""What each socket of ``sip.listen`` tells peers of itself: ``sip.advertise``, for all or socket by socket."""

import pytest

LAN, WAN, SIX = "udp:10.0.0.1:5060", "udp:203.0.113.1:5060", "udp:[2001:db8::1]:5060"


def announced(site, listen: list[str], advertise: str) -> tuple[str | None, ...]:
    return site.load(f"sip: {{listen: {listen}, advertise: {advertise}}}").settings.advertise


def test_one_address_holds_for_the_sockets_of_its_family(site):
    assert announced(site, [LAN, SIX, "tcp:10.0.0.1:5060"], "198.51.100.1") == ("198.51.100.1", None, "198.51.100.1")
    assert announced(site, [LAN, SIX], "2001:db8::9") == (None, "2001:db8::9")


def test_the_address_of_one_socket_is_not_announced_by_another(site):
    assert announced(site, [LAN, WAN], "203.0.113.1") == (None, "203.0.113.1")
    assert announced(site, [WAN, LAN], "10.0.0.1") == (None, "10.0.0.1")


def test_a_socket_on_all_addresses_announces_it_beside_others(site):
    assert announced(site, ["udp:0.0.0.0:5070", WAN], "203.0.113.1") == ("203.0.113.1", "203.0.113.1")


def test_each_socket_may_have_its_own(site):
    listen = [LAN, "udp:10.0.1.1:5060", SIX]
    written = f"{{'{LAN}': 198.51.100.1, '{SIX}': 2001:db8::9}}"
    assert announced(site, listen, written) == ("198.51.100.1", None, "2001:db8::9")
    assert announced(site, [LAN, WAN], "{'UDP:10.0.0.1': 203.0.113.1}") == ("203.0.113.1", None)


@pytest.mark.parametrize(
    ("listen", "advertise", "problem"),
    [
        ([LAN], "'203.0.113.1:5060'", "an IP address without port"),
        ([LAN], "0.0.0.0", "an IP address without port"),
        ([LAN], "[203.0.113.1]", "an IP address without port"),
        ([LAN], "2001:db8::1", "an address of a family that sip.listen has a socket of"),
        ([LAN], f"{{'{WAN}': 203.0.113.1}}", f"sockets of sip.listen as keys: {LAN}"),
        ([LAN], f"{{'{LAN}': 2001:db8::1}}", "an IP address without port, of the socket's family"),
        ([LAN], f"{{'{LAN}': example.net}}", "an IP address without port, of the socket's family"),
        ([LAN], f"{{'{LAN}': [203.0.113.1]}}", "an IP address without port, of the socket's family"),
        ([LAN], "{10.0.0.1: 203.0.113.1}", "a socket of sip.listen, such as udp:10.0.0.1:5060"),
    ],
)
def test_what_cannot_be_announced_is_named_with_what_was_expected(site, listen, advertise, problem):
    [error] = site.errors(f"sip: {{listen: {listen}, advertise: {advertise}}}")
    assert error.startswith("vosd.yaml:1: sip.advertise")
    assert problem in error


def test_a_socket_on_all_addresses_of_a_family_that_nothing_is_announced_for_is_a_warning(site):
    text = "sip: {listen: ['udp:0.0.0.0:5060', 'udp:[::]:5060'], advertise: 203.0.113.1}"
    [warning] = site.warnings(text)
    assert "value 'udp:[::]:5060': expected sip.advertise as well" in warning
