"""A reader of HEP 3 packets, made from the published format alone."""

from ipaddress import ip_address
from typing import Any

NAMES = {7: "source_port", 8: "target_port", 9: "seconds", 10: "microseconds", 11: "kind", 12: "capture_id"}
SIZES = {1: 1, 2: 1, 3: 4, 4: 4, 5: 16, 6: 16, 7: 2, 8: 2, 9: 4, 10: 4, 11: 1, 12: 4}


def read_hep(packet: bytes) -> dict[str, Any]:
    """Return the chunks of a packet by name.

    Raises:
        AssertionError: it is no whole packet of HEP 3.
    """
    assert packet[:4] == b"HEP3"
    assert int.from_bytes(packet[4:6], "big") == len(packet)
    found: dict[str, Any] = {}
    rest = packet[6:]
    while rest:
        vendor, kind, length = (int.from_bytes(rest[at : at + 2], "big") for at in (0, 2, 4))
        content, rest = rest[6:length], rest[length:]
        assert vendor == 0
        assert 6 <= length == 6 + len(content)
        assert len(content) == SIZES.get(kind, len(content))
        number = int.from_bytes(content, "big")
        match kind:
            case 1:
                found["family"] = {2: "IPv4", 10: "IPv6"}[number]
            case 2:
                found["protocol"] = {17: "UDP", 6: "TCP"}[number]
            case 3 | 5:
                found["source"] = str(ip_address(content))
            case 4 | 6:
                found["target"] = str(ip_address(content))
            case 14:
                found["key"] = content.decode()
            case 15:
                found["content"] = content
            case 17:
                found["correlation"] = content.decode()
            case _:
                found[NAMES[kind]] = number
    return found
