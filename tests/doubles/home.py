"""A home behind NAT, in network namespaces of Linux: a phone's network, a router that masquerades, and the carrier's.

Real packets through a real NAT. Only the namespaces are touched, which have names of their own and are gone at the
end; making them takes root, ``ip`` and ``nft``. A socket stays in the namespace where it was made, so that a test
in one process talks from all of them.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final, Self

from vosd.base.errors import VosError

PHONE: Final = "192.168.77.2"
"""Private address of the phone, which is not reachable from outside."""
OTHER_PHONE: Final = "192.168.77.3"
ROUTER: Final = "203.0.113.2"
"""What the carrier sees of the home."""
CARRIER: Final = ("203.0.113.1", "203.0.113.11", "203.0.113.21", "203.0.113.31")
"""Addresses on the carrier's side."""

_RULES: Final = """\
table ip home {{
  chain out {{
    type nat hook postrouting priority srcnat;
    oifname "outside" {masquerade}
  }}
  chain in {{
    type filter hook input priority filter;
    iifname "outside" ct state != {{ established, related }} drop
  }}
}}
"""
"""Unsolicited packets are dropped, as by a home router: otherwise they would reserve the port for the router."""
_COMMAND_SECONDS: Final = 60
_NEW_NETWORK: Final = 0x4000_0000
"""``CLONE_NEWNET``."""
_NAMES: Final = Path("/run/netns")
_numbers: Final = count(1)
_libc: Final = ctypes.CDLL(None, use_errno=True)


class NoNamespacesError(VosError):
    """This machine, or this user, cannot have network namespaces with NAT; the message says why."""


class Namespace:
    """One network with a name, in which programs run and sockets are made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.launcher = ("ip", "netns", "exec", name)
        """What is put before a command line."""

    def run(self, *command: str, lines: str | None = None) -> None:
        """Run a program in there, with ``lines`` as its input.

        Raises:
            NoNamespacesError: it failed.
        """
        run(*self.launcher, *command, lines=lines)

    def make(self) -> None:
        """Make the network; raises NoNamespacesError."""
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")

    def remove(self) -> None:
        """Remove it, if it was made."""
        if (_NAMES / self.name).exists():
            run("ip", "netns", "delete", self.name)

    def enter(self) -> None:
        """Put this process in there for good, as one that the launcher executes."""
        with (_NAMES / self.name).open() as inside:
            _enter(inside.fileno())

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let this thread be in there: the sockets that it makes stay there."""
        with Path("/proc/thread-self/ns/net").open() as outside, (_NAMES / self.name).open() as inside:
            _enter(inside.fileno())
            try:
                yield
            finally:
                _enter(outside.fileno())


class Home:
    """The three networks; a context manager that leaves nothing of them."""

    def __init__(self, mapping_s: int, *, keeps_ports: bool = False) -> None:
        """``mapping_s`` is how long the router keeps a mapping that nothing goes through.

        A router that preserves ports, as most do, maps a source port to itself while it is free.
        """
        self._mapping_s = mapping_s
        self._masquerade = "masquerade" if keeps_ports else "masquerade random"
        mark = f"vosd-{os.getpid()}-{next(_numbers)}"
        self.home, self.router, self.carrier = (Namespace(f"{mark}-{each}") for each in ("home", "router", "carrier"))

    def __enter__(self) -> Self:
        """Make them.

        Raises:
            NoNamespacesError: not here, or not by this user.
        """
        expect_tools()
        try:
            self._build()
        except NoNamespacesError:
            self._remove()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self._remove()

    def reconnect(self) -> None:
        """Let the router's line drop and come back: every mapping is void, and the next has another port."""
        for state in ("down", "up"):
            run("ip", "-n", self.router.name, "link", "set", "outside", state)

    def _build(self) -> None:
        for each in (self.home, self.router, self.carrier):
            each.make()
        join(self.router, "inside", ("192.168.77.1",), self.home, (PHONE, OTHER_PHONE))
        join(self.router, "outside", (ROUTER,), self.carrier, CARRIER)
        self.home.run("ip", "route", "add", "default", "via", "192.168.77.1")
        self.router.run("nft", "-f", "-", lines=_RULES.format(masquerade=self._masquerade))
        self._set("net/ipv4/ip_forward", 1)
        for kind in ("udp_timeout", "udp_timeout_stream"):
            self._set(f"net/netfilter/nf_conntrack_{kind}", self._mapping_s)

    def _set(self, parameter: str, value: int) -> None:
        """Set a parameter of the router's kernel, which its network has for itself."""
        self.router.run("sh", "-c", f"echo {value} > /proc/sys/{parameter}")

    def _remove(self) -> None:
        for each in (self.home, self.router, self.carrier):
            each.remove()


def expect_tools() -> None:
    """Raise NoNamespacesError where namespaces with packet rules cannot be made."""
    if os.geteuid() != 0:
        raise NoNamespacesError("network namespaces are made by root")
    missing = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    if missing:
        raise NoNamespacesError(f"missing: {', '.join(missing)}")


def join(one: Namespace, device: str, own: tuple[str, ...], other: Namespace, addresses: tuple[str, ...]) -> None:
    """Lay a line between two networks; the device of the other one is ``line``."""
    run("ip", "-n", one.name, "link", "add", device, "type", "veth", "peer", "name", "line", "netns", other.name)
    for namespace, name, hosts in ((one, device, own), (other, "line", addresses)):
        for host in hosts:
            prefix, nodad = ("64", ("nodad",)) if ":" in host else ("24", ())
            run("ip", "-n", namespace.name, "address", "add", f"{host}/{prefix}", "dev", name, *nodad)
        run("ip", "-n", namespace.name, "link", "set", name, "up")


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _NEW_NETWORK) != 0:
        raise NoNamespacesError(f"setns: {os.strerror(ctypes.get_errno())}")


def run(*command: str, lines: str | None = None) -> None:
    """Run a program; raises ``NoNamespacesError`` with its complaint where it fails."""
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS)
    if done.returncode != 0:
        raise NoNamespacesError(f"{' '.join(command)}: {done.stderr.strip()}")
