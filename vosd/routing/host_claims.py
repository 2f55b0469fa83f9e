"""Claims of mapping gateways on one host, in the order in which they are compared with a packet.

Thousands of trunks may share an address, as at a carrier that tells them apart by tech prefix, or at a NAT. Above
``FEW`` claims they are found in tables, since to compare an INVITE with each would take milliseconds.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

import msgspec

from vosd.base.number import EMERGENCY_SERVICE, for_matching, without_separators
from vosd.trunks.dialect import CalleeSource
from vosd.trunks.gateways import MappingGateway

FEW: Final = 8
"""Most claims that are compared one after the other, which takes 2 µs, as a look into the tables does."""


class SourceClaim(NamedTuple):
    """One pattern of one gateway, as it is compared with a packet."""

    port: int | None
    host_bits: int
    tech_prefix: str
    callee_from: CalleeSource
    gateway: MappingGateway


class Identified(msgspec.Struct, frozen=True, gc=False):
    """The mapping gateway of a call, and the called number."""

    gateway: MappingGateway
    callee: str
    """Without visual separators and the gateway's tech prefix."""
    dialled: str
    """As received."""


class HostClaims:
    """The claims on a host, or on all hosts that have the same ones."""

    def __init__(self, claims: Sequence[SourceClaim]) -> None:
        """``claims`` are in no order but that of the configuration."""
        # A port beats the longest mask, that beats the longest tech prefix.
        self.claims: Final = tuple(
            sorted(claims, key=lambda claim: (claim.port is None, claim.host_bits, -len(claim.tech_prefix)))
        )

    @cached_property
    def ports_by_name(self) -> Mapping[str, frozenset[int | None]]:
        """Ports of each gateway; None = any."""
        found: dict[str, set[int | None]] = {}
        for claim in self.claims:
            found.setdefault(claim.gateway.name, set()).add(claim.port)
        return {name: frozenset(ports) for name, ports in found.items()}

    @cached_property
    def gateways(self) -> tuple[MappingGateway, ...]:
        """Gateways that a request may belong to, whatever its port, tech prefix or proof."""
        found: dict[str, MappingGateway] = {}
        taken: int | None = None
        for claim in self.claims:
            if taken is not None and claim.host_bits > taken:
                break  # a more specific pattern without port and tech prefix takes everything
            found[claim.gateway.name] = claim.gateway
            if claim.port is None and not claim.tech_prefix:
                taken = claim.host_bits
        return tuple(found.values())

    @cached_property
    def first(self) -> Mapping[int | None, SourceClaim]:
        """The first claim on packets from each port that a gateway has alone, and on those from any other (None)."""
        first: dict[int | None, SourceClaim] = {}
        for claim in self.claims:
            first.setdefault(claim.port, claim)
        return first

    def identify(self, port: int, called: Callable[[CalleeSource], str]) -> Identified | None:
        """Return the gateway that takes a call from a port by tables: that of the first claim that fits.

        ``called`` reads the called number from a part of the message, and from no further one than where one claim
        after the other is compared.
        """
        for tables in (self._tables.get(port, ()), self._tables.get(None, ())):
            first, taken = len(self.claims), None
            for table in tables:
                if first < table.first:
                    break
                dialled = called(table.callee_from)
                callee = dialled if dialled.isdigit() else without_separators(dialled)
                place = table.place_of(callee)
                if place is not None and place < first:
                    gateway, tech_prefix = self.claims[place].gateway, self.claims[place].tech_prefix
                    first, taken = place, Identified(gateway, without_prefix(callee, tech_prefix) or "", dialled)
            if taken is not None:
                return taken
        return None

    @cached_property
    def _tables(self) -> Mapping[int | None, Sequence["_Table"]]:
        """Tables by port, for each part of a message that the called number is read from, by their first claims."""
        places: dict[int | None, dict[CalleeSource, dict[str, int]]] = {}
        for place, claim in enumerate(self.claims):
            places.setdefault(claim.port, {}).setdefault(claim.callee_from, {}).setdefault(claim.tech_prefix, place)
        return {port: [_Table(*each) for each in found.items()] for port, found in places.items()}


class _Table:
    """Claims by tech prefix, which read the called number from the same part of a message."""

    __slots__ = ("_lengths", "_places", "callee_from", "first")

    def __init__(self, callee_from: CalleeSource, places: Mapping[str, int]) -> None:
        """``places`` are those of the claims in their order."""
        self.callee_from = callee_from
        self.first = min(places.values())
        self._places = places
        self._lengths = sorted({len(prefix) for prefix in places})

    def place_of(self, callee: str) -> int | None:
        """Return the place of the first claim whose tech prefix a number begins with; None = of none."""
        if callee.startswith(EMERGENCY_SERVICE):
            return self.first
        found = self._first_of(callee)
        bare = for_matching(callee)
        if bare == callee:
            return found
        other = self._first_of(bare)
        return other if found is None or (other is not None and other < found) else found

    def _first_of(self, callee: str) -> int | None:
        places = [self._places.get(callee[:length]) for length in self._lengths]
        return min((place for place in places if place is not None), default=None)


def without_prefix(callee: str, tech_prefix: str) -> str | None:
    """Return a number without a gateway's tech prefix; None where it does not begin with it.

    The URN of an emergency service has none, and fits all.
    """
    if callee.startswith(tech_prefix):
        return callee[len(tech_prefix) :]
    if callee.startswith(EMERGENCY_SERVICE):
        return callee
    bare = for_matching(callee)
    return bare[len(tech_prefix) :] if bare.startswith(tech_prefix) else None
