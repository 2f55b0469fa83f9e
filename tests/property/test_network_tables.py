"""The longest network that holds an address, and one that meets another: as by comparing all of them."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import given, strategies as st

from vosd.base.networks import NetworkTable

NUMBERS = st.one_of(st.integers(0, 2**32 - 1), st.integers(0xC0000200, 0xC000020F))
"""Addresses anywhere, and some that are close to each other."""
SIX = st.one_of(st.integers(0, 2**128 - 1), st.integers(0x20010DB8 << 96, (0x20010DB8 << 96) + 15))


@st.composite
def networks(draw):
    if draw(st.booleans()):
        return ip_network((draw(NUMBERS), draw(st.integers(0, 32))), strict=False)
    return ip_network((draw(SIX), draw(st.integers(0, 128))), strict=False)


ADDRESSES = st.one_of(
    st.builds(IPv4Address, NUMBERS),
    st.builds(IPv6Address, SIX),
    st.builds(lambda number: IPv6Address((0xFFFF << 32) | number), NUMBERS),
)


@given(st.lists(networks(), max_size=12), ADDRESSES)
def test_the_longest_network_is_the_one_that_a_comparison_finds(written, address):
    table = NetworkTable((network, number) for number, network in enumerate(written))
    plain = ip_address(address)
    if isinstance(plain, IPv6Address) and plain.ipv4_mapped is not None:
        plain = plain.ipv4_mapped
    best = None
    for number, network in enumerate(written):
        mapped = network
        if network.version == 6 and network.prefixlen >= 96 and network.network_address.ipv4_mapped is not None:
            mapped = ip_network((int(network.network_address.ipv4_mapped), network.prefixlen - 96))
        if mapped.version == plain.version and plain in mapped and (best is None or mapped.prefixlen >= best[0]):
            best = mapped.prefixlen, network, number
    assert table.longest(str(address)) == (None if best is None else best[1:])


@given(st.lists(networks(), max_size=12), networks())
def test_a_network_meets_one_that_has_addresses_in_common_with_it(written, other):
    def plain(network):
        if network.version == 6 and network.prefixlen >= 96 and network.network_address.ipv4_mapped is not None:
            return ip_network((int(network.network_address.ipv4_mapped), network.prefixlen - 96))
        return network

    found = NetworkTable((network, network) for network in written).meeting(other)
    mine = plain(other)
    met = [each for each in written if plain(each).version == mine.version and plain(each).overlaps(mine)]
    assert (found is None) is not bool(met)
    assert found is None or found[1] in met
