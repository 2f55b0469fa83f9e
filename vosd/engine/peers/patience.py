"""How long a connection to a vendor may take: so that an INVITE can still go by UDP where TCP is filtered.

A filtered port answers nothing, and an INVITE above 1,300 bytes waits for its connection (RFC 3261 section 18.1.1).
"""

from math import inf
from typing import Final

from vosd.engine.calls.switch import Switch
from vosd.engine.peers.directory import Directory

SHARE: Final = 2
"""A connection may take this part of ``response_timeout``; the rest is for UDP."""


class Patience:
    """What connections may take, by the gateways at the other end."""

    def __init__(self, switch: Switch, directory: Directory) -> None:
        self._switch = switch
        self._directory = directory

    def connects_within(self, host: str) -> float:
        """Return how many seconds a connection to a host may take; infinity where it is no gateway's."""
        vendors = self._switch.notices.vendors
        names = vendors.get(host) or vendors.get(self._directory.name_at(host) or "") or ()
        gateways = self._switch.catalogue.routing_gateways
        waits_ms = [gateways[name].response_timeout_ms for name in names if name in gateways]
        return min(waits_ms, default=inf) / 1_000 / SHARE
