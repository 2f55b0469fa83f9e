"""Address families of what a session offers."""

import pytest

from vosd.sdp.family import host_of_ice


@pytest.mark.parametrize(
    ("hosts", "described"),
    [
        (["10.0.0.7", "198.51.100.7", "203.0.113.7"], "198.51.100.7"),
        (["10.0.0.7", "192.168.1.7"], "10.0.0.7"),
        (["fd00::7", "2600::7"], "2600::7"),
        (["198.51.100.7", "2600::7"], ""),
        ([], ""),
    ],
    ids=["a public one", "none is public", "IPv6", "both families", "no ICE"],
)
def test_a_host_of_ice_is_a_public_one_of_the_only_family(hosts: list[str], described: str):
    lines = [f"a=candidate:{number} 1 udp 2130706431 {host} 40000 typ host" for number, host in enumerate(hosts, 1)]
    session = "\r\n".join(["v=0", "m=audio 40000 RTP/AVP 0", *lines, ""])
    assert host_of_ice(session.encode()) == described
