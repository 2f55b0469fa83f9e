"""Addresses on this machine: how tests, benchmarks and the demo name them, find free ones, and see them taken."""

import socket
from pathlib import Path
from typing import Final, NamedTuple

HOST: Final = "127.0.0.1"


class Endpoint(NamedTuple):
    """An IPv4 address and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def free_endpoint() -> Endpoint:
    """Return an address that nobody uses at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return Endpoint(*probe.getsockname())


def udp_bound(endpoint: Endpoint) -> bool:
    """Say whether some process has a UDP socket at ``endpoint``."""
    octets = [int(part) for part in endpoint.host.split(".")]
    wanted = f" {''.join(f'{octet:02X}' for octet in reversed(octets))}:{endpoint.port:04X} "
    return wanted in Path("/proc/net/udp").read_text()
