"""A switch between two networks: packets that pass go in at one line and out at the other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final, Self

from doubles.home import Namespace, NoNamespacesError, expect_tools, join

CUSTOMER: Final = "198.51.100.11"
OTHER_CUSTOMER: Final = "198.51.100.12"
ATTACKER: Final = "198.51.100.77"
SWITCH: Final = "198.51.100.1"
VENDOR: Final = "203.0.113.21"
SWITCH_OF_VENDOR: Final = "203.0.113.1"
CUSTOMER6: Final = "2001:db8:1::11"
SWITCH6: Final = "2001:db8:1::1"
VENDOR6: Final = "2001:db8:2::21"
SWITCH6_OF_VENDOR: Final = "2001:db8:2::1"
_PROBE: Final = """\
table netdev probe {
  chain in {
    type filter hook ingress device lo priority 0;
    udp dport 1 fwd to "lo"
  }
}
"""
_numbers: Final = count(1)


class TwoNetworks:
    """Networks of a customer and of a vendor, and that of the switch between them; nothing of them is left."""

    def __init__(self) -> None:
        mark = f"vosd-{os.getpid()}-between-{next(_numbers)}"
        self.customer, self.switch, self.vendor = (
            Namespace(f"{mark}-{each}") for each in ("customer", "switch", "vendor")
        )

    def __enter__(self) -> Self:
        """Make them.

        Raises:
            NoNamespacesError: not here, or not by this user.
        """
        expect_tools()
        try:
            for each in (self.customer, self.switch, self.vendor):
                each.make()
            join(
                self.switch,
                "outside",
                (SWITCH, SWITCH6),
                self.customer,
                (CUSTOMER, OTHER_CUSTOMER, ATTACKER, CUSTOMER6),
            )
            join(self.switch, "inside", (SWITCH_OF_VENDOR, SWITCH6_OF_VENDOR), self.vendor, (VENDOR, VENDOR6))
            self.customer.run("ip", "route", "add", "default", "via", SWITCH)
            self.vendor.run("ip", "route", "add", "default", "via", SWITCH_OF_VENDOR)
        except NoNamespacesError:
            self._remove()
            raise
        return self

    def lacks(self) -> str | None:
        """Return what the kernel lacks to forward packets where they arrive, as ``nft`` says; None = nothing."""
        try:
            self.switch.run("nft", "-f", "-", lines=_PROBE)
        except NoNamespacesError as reason:
            return str(reason)
        self.switch.run("nft", "delete", "table", "netdev", "probe")
        return None

    def __exit__(self, *_exception: object) -> None:
        self._remove()

    def _remove(self) -> None:
        for each in (self.customer, self.switch, self.vendor):
            each.remove()


@contextmanager
def between_networks() -> Iterator[TwoNetworks]:
    """Let this thread be at the switch: its sockets, and processes that it starts, are there."""
    with TwoNetworks() as networks, networks.switch.inside():
        yield networks
