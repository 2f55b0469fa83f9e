"""Time limit for connecting to a vendor, so that an INVITE can still be sent by UDP where TCP is filtered.

A filtered port does not answer, and an INVITE above 1,300 bytes waits for its connection (RFC 3261 section 18.1.1).
"""

from math import inf
from typing import Final

from vosd.engine.calls.switch import Switch
from vosd.engine.peers.directory import Directory

SHARE: Final = 2
"""A connection may take this fraction of ``response_timeout``; the rest is left for UDP."""


class ConnectTimeouts:
    """Time limits by gateway."""

    def __init__(self, switch: Switch, directory: Directory) -> None:
        self._switch = switch
        self._directory = directory

    def connects_within(self, host: str) -> float:
        """Return the time limit in seconds for a connection to a host; infinity if it is no gateway's."""
        vendors = self._switch.notices.vendors
        names = vendors.get(host) or vendors.get(self._directory.name_at(host) or "") or ()
        gateways = self._switch.catalogue.routing_gateways
        waits_ms = [gateways[name].response_timeout_ms for name in names if name in gateways]
        return min(waits_ms, default=inf) / 1_000 / SHARE
