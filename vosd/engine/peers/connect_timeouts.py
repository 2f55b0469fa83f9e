"""Time limit for connecting to a vendor, so that an INVITE can still be sent by UDP where TCP is filtered.

A filtered port does not answer, and an INVITE above 1,300 bytes waits for its connection (RFC 3261 section 18.1.1).
"""

from collections.abc import Callable, Collection
from math import inf
from typing import Final

from vosd.engine.peers.directory import Directory
from vosd.trunks.gateways import RoutingGateway

SHARE: Final = 2
"""A connection may take this fraction of ``response_timeout``; the rest is left for UDP."""


class ConnectTimeouts:
    """Time limits by gateway."""

    def __init__(self, vendors_at: Callable[[str], Collection[RoutingGateway]], directory: Directory) -> None:
        """``vendors_at`` returns the gateways that are configured at a host."""
        self._vendors_at = vendors_at
        self._directory = directory

    def connects_within(self, host: str) -> float:
        """Return the time limit in seconds for a connection to a host; infinity if it is no gateway's."""
        gateways = self._vendors_at(host) or self._vendors_at(self._directory.name_at(host) or "")
        return min((each.response_timeout_ms for each in gateways), default=inf) / 1_000 / SHARE
