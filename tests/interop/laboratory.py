"""Telephones, two homes behind NAT and a switch, each in a network namespace of its own, all at one line.

The routers of the homes give every stream another port (``masquerade random``). Only the namespaces are touched, which
are gone at the end; making them takes root, ``ip`` and ``nft``.
"""

import os
import socket
import time
from contextlib import ExitStack
from itertools import count
from typing import Final, Self

from doubles.home import Namespace, run
from doubles.sockets.waiting import readable

SWITCH: Final = "203.0.113.1"
SWITCH6: Final = "fd77::1"
OFFICES: Final = {"a": "203.0.113.11", "b": "203.0.113.21", "c": "203.0.113.31"}
OFFICES6: Final = {"a": "fd77::11", "b": "fd77::21", "c": "fd77::31"}
HOMES: Final = {"home": "192.168.77", "cottage": "192.168.88"}
ROUTERS: Final = {"home": "203.0.113.101", "cottage": "203.0.113.102"}
AT_HOME: Final = {name: f"{net}.2" for name, net in HOMES.items()}
_RULES: Final = """\
table ip home {
  chain out { type nat hook postrouting priority srcnat; oifname "outside" masquerade random; }
  chain in { type filter hook input priority filter; iifname "outside" ct state != { established, related } drop; }
}
"""
_MAPPING_S: Final = 120
_numbers: Final = count(1)
_ETHERTYPES: Final = (0x0800, 0x86DD)
_ULAW: Final = 0


class Laboratory:
    """The networks; a context manager that leaves nothing of them."""

    def __init__(self) -> None:
        mark = f"vosd-{os.getpid()}-{next(_numbers)}"
        names = ("line", "switch", *OFFICES, *HOMES, *(f"router-{each}" for each in HOMES))
        self.networks = {each: Namespace(f"{mark}-{each}") for each in names}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            for each in self.networks.values():
                run("ip", "netns", "add", each.name)
                opening.callback(run, "ip", "netns", "delete", each.name)
                run("ip", "-n", each.name, "link", "set", "lo", "up")
            self._build()
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._open.close()

    def _build(self) -> None:
        line = self.networks["line"].name
        run("ip", "-n", line, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", line, "link", "set", "bridge", "up")
        self._plug("switch", "line", f"{SWITCH}/24", f"{SWITCH6}/64")
        for name in OFFICES:
            self._plug(name, "line", f"{OFFICES[name]}/24", f"{OFFICES6[name]}/64")
        for name, net in HOMES.items():
            router = self.networks[f"router-{name}"]
            self._plug(f"router-{name}", "outside", f"{ROUTERS[name]}/24")
            home = self.networks[name].name
            run("ip", "-n", router.name, "link", "add", "inside", "type", "veth", "peer", "name", "line", "netns", home)
            for where, device, address in ((router.name, "inside", f"{net}.1"), (home, "line", f"{net}.2")):
                run("ip", "-n", where, "address", "add", f"{address}/24", "dev", device)
                run("ip", "-n", where, "link", "set", device, "up")
            run("ip", "-n", home, "route", "add", "default", "via", f"{net}.1")
            router.run("nft", "-f", "-", lines=_RULES)
            router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            for kind in ("udp_timeout", "udp_timeout_stream"):
                router.run("sh", "-c", f"echo {_MAPPING_S} > /proc/sys/net/netfilter/nf_conntrack_{kind}")

    def _plug(self, name: str, device: str, *addresses: str) -> None:
        """Connect a network with the line."""
        line, network = self.networks["line"].name, self.networks[name].name
        run("ip", "-n", line, "link", "add", "name", name, "type", "veth", "peer", "name", device, "netns", network)
        run("ip", "-n", line, "link", "set", "dev", name, "master", "bridge")
        run("ip", "-n", line, "link", "set", "dev", name, "up")
        for address in addresses:
            extra = ("nodad",) if ":" in address else ()
            run("ip", "-n", network, "address", "add", address, "dev", device, *extra)
        run("ip", "-n", network, "link", "set", device, "up")


class Receiver:
    """What comes to the network of a telephone in G.711, as the kernel has it."""

    def __init__(self, network: Namespace, ports: range) -> None:
        self._ports = ports
        with network.inside():
            self._sockets = [socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(e)) for e in _ETHERTYPES]
            for sock in self._sockets:
                sock.bind(("line", 0))

    def taken(self, within_s: float = 0.0) -> bytes:
        """Return the samples that have come since the last time, and that come in so many seconds."""
        samples, until_s = [], time.monotonic() + within_s
        while ready := readable(self._sockets, until_s - time.monotonic()):
            for sock in ready:
                packet, (_, _, kind, *_) = sock.recvfrom(2_048)
                udp = packet[40:] if packet[0] >> 4 == 6 else packet[20:]
                is_ours = kind == socket.PACKET_HOST and int.from_bytes(udp[2:4], "big") in self._ports
                if is_ours and len(udp) > 20 and udp[9] & 0x7F == _ULAW and udp[8] >> 6 == 2:
                    samples.append(udp[20:])
        return b"".join(samples)

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
