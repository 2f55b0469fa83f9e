"""Limit of requests outside calls for each gateway, over all its addresses (``max_requests``)."""

from collections import defaultdict
from collections.abc import Callable

from vosd.base.bucket import Allowance
from vosd.base.host import is_address
from vosd.catalogue.catalogue import Catalogue
from vosd.engine.counting import Counting

Limits = dict[str, int | None]
"""Limit of each gateway by name; None = no limit."""


class SignallingLimits(Counting):
    """Limits of a catalogue, by source address."""

    def __init__(self, catalogue: Catalogue, name_at: Callable[[str], str | None]) -> None:
        """``name_at`` returns the domain name that resolved to an address of a vendor."""
        self._name_at = name_at
        self.adopt(catalogue)

    def adopt(self, catalogue: Catalogue) -> None:
        """Apply another catalogue."""
        self._sources = catalogue.sources
        self._vendors: dict[str, Limits] = defaultdict(dict)
        for name, gateway in catalogue.routing_gateways.items():
            for address in gateway.places:
                self._vendors[address.host][name] = gateway.max_requests
        self._has_names = any(not is_address(host) for host in self._vendors)

    def allowance_at(self, host: str) -> Allowance | None:
        """Return the limit for an address; None if no gateway there has one.

        Mapping gateways come first, as incoming requests belong to them. Gateways that share an address have the sum of
        their limits: which one sent a request is known only after parsing.
        """
        limits: Limits = {each.name: each.max_requests for each in self._sources.gateways_at(host)}
        if not limits:
            limits = self._vendors.get(host, {})
        if not limits and self._has_names:
            limits = self._vendors.get(self._name_at(host) or "", {})
        rates = [rate for rate in limits.values() if rate is not None]
        return Allowance(" ".join(limits), sum(rates)) if rates and len(rates) == len(limits) else None
