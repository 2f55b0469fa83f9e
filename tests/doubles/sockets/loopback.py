"""Addresses on this machine: type, free ports, and ports in use."""

import socket
from pathlib import Path
from typing import Final, NamedTuple

HOST: Final = "127.0.0.1"


class Endpoint(NamedTuple):
    """An IPv4 address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def free_endpoint() -> Endpoint:
    """Return an address that is free at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return Endpoint(*probe.getsockname())


def udp_bound(endpoint: Endpoint) -> bool:
    """Return whether some process has a UDP socket at ``endpoint``."""
    return _in_kernel_table("udp", f"{_as_kernel(endpoint)} ")


def tcp_listening(endpoint: Endpoint) -> bool:
    """Return whether some process accepts connections at ``endpoint``."""
    return _in_kernel_table("tcp", f"{_as_kernel(endpoint)} 00000000:0000 0A ")


def _in_kernel_table(name: str, row: str) -> bool:
    return f" {row}" in Path(f"/proc/net/{name}").read_text()


def _as_kernel(endpoint: Endpoint) -> str:
    octets = [int(part) for part in endpoint.host.split(".")]
    return f"{''.join(f'{octet:02X}' for octet in reversed(octets))}:{endpoint.port:04X}"
