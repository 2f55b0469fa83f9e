"""Groups of addresses that customers' trunks share, and groups of trunks with limits of their own."""

import msgspec

from vosd.trunks.gateways import HostName, HostPattern
from vosd.trunks.scope import LimitScope, SharedLimit


class AddressGroup(msgspec.Struct, frozen=True):
    """Sources of packets that several mapping gateways name together."""

    name: str
    hosts: tuple[HostPattern, ...] = ()
    named_hosts: tuple[HostName, ...] = ()


class GatewayGroup(msgspec.Struct, frozen=True):
    """Routing gateways that plans and customers' trunks name together; a gateway may be in several groups.

    Customers' trunks that share its limits name it.
    """

    name: str
    gateways: frozenset[str]
    max_concurrent: int | None = None
    """Calls of all its gateways at the same time, also of customers."""
    max_cps: int | None = None
    """Attempts at all its gateways, and calls of customers, in the preceding 1000 ms."""

    @property
    def limit(self) -> SharedLimit | None:
        """The limit that its gateways share; None = there is none."""
        if self.max_concurrent is None and self.max_cps is None:
            return None
        return SharedLimit(LimitScope.GROUP, self.name, self.max_concurrent, self.max_cps)
