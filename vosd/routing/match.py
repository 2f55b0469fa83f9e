"""Which routing gateways a called number fits, and in which order they are tried (RTE-02, RTE-03, RTE-05).

Owns matching and the static order. Whether a gateway can take the call at this moment is for ``pipeline``.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from vosd.base.number import for_matching
from vosd.base.prefixes import PrefixIndex
from vosd.routing.tables import RoutingGateway

_REMEMBERED_PREFIXES: Final = 10_000
"""Longest prefixes whose complete list is kept: traffic goes to few of them, and all lists would be large."""


class Candidate(NamedTuple):
    """A gateway that the number fits, with its longest fitting prefix (``*`` = any number)."""

    gateway: RoutingGateway
    prefix: str


class RouteTable:
    """The gateways by called prefix, sorted once.

    The complete list of a number depends on nothing but the longest prefix that fits it, because every other
    prefix that fits is a prefix of that one too. So it is put together once for each such prefix.
    """

    __slots__ = ("_by_prefix", "_complete", "gateways")

    def __init__(self, gateways: Iterable[RoutingGateway]) -> None:
        self.gateways = tuple(gateways)
        by_prefix: defaultdict[str, list[Candidate]] = defaultdict(list)
        for gateway in sorted(self.gateways, key=attrgetter("priority")):
            for prefix in dict.fromkeys(gateway.prefixes):
                by_prefix[prefix].append(Candidate(gateway, prefix))
        self._by_prefix = PrefixIndex((prefix, tuple(own)) for prefix, own in by_prefix.items())
        self._complete: dict[str, tuple[Candidate, ...]] = {}

    def candidates(self, callee: str) -> Sequence[Candidate]:
        """Return every gateway that ``callee`` fits, each once, in the order in which they are tried.

        Longer prefix first, then smaller priority number, then order of definition.
        """
        number = for_matching(callee)
        nearest = self._by_prefix.longest(number)
        if nearest is None:
            return ()
        prefix = nearest[0].prefix
        complete = self._complete.get(prefix)
        if complete is None:
            if len(self._complete) >= _REMEMBERED_PREFIXES:
                self._complete.clear()
            complete = self._complete[prefix] = self._gather(number)
        return complete

    def _gather(self, number: str) -> tuple[Candidate, ...]:
        by_gateway: dict[str, Candidate] = {}
        for _, own in self._by_prefix.every(number):
            for candidate in own:
                by_gateway.setdefault(candidate.gateway.name, candidate)
        return tuple(by_gateway.values())
