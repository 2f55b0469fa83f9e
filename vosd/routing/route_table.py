"""Which routing gateways a called number fits, and in which order they are tried (docs/routing.md).

The number of a phone fits that phone only, whatever prefixes fit as well. Whether a gateway can take the call at this
moment is decided in ``pipeline``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from vosd.base.number import for_matching
from vosd.base.prefixes import PrefixIndex
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.phone import Phone, called_half

_REMEMBERED_PREFIXES: Final = 10_000
"""Longest prefixes whose complete list is cached: traffic goes to few of them, and all lists would be large."""


_THEN_THE_PHONE: Final = frozenset(range(300, 700)) - {486, 600, 603}
"""Answers of a redirect server after which the phone is called all the same: all but refusals of the user."""


class Candidate(NamedTuple):
    """A gateway that the number fits, with its longest fitting prefix (``*`` = any number)."""

    gateway: RoutingGateway
    prefix: str


class RouteTable:
    """The gateways by called prefix, sorted once.

    The complete list of a number depends only on the longest prefix that fits it, because every other prefix that fits
    is a prefix of that one too. So the list is made once for each such prefix.
    """

    __slots__ = ("_by_prefix", "_complete", "_phones", "gateways")

    def __init__(self, gateways: Iterable[RoutingGateway], phones: Iterable[Phone] = ()) -> None:
        self.gateways = tuple(gateways)
        by_name = {gateway.name: gateway for gateway in self.gateways}
        self._phones = {for_matching(phone.number): _candidates_of(phone, by_name) for phone in phones}
        by_prefix: defaultdict[str, list[Candidate]] = defaultdict(list)
        for gateway in sorted(self.gateways, key=attrgetter("priority")):
            for prefix in dict.fromkeys(gateway.prefixes):
                by_prefix[prefix].append(Candidate(gateway, prefix))
        self._by_prefix = PrefixIndex((prefix, tuple(own)) for prefix, own in by_prefix.items())
        self._complete: dict[str, tuple[Candidate, ...]] = {}

    def candidates(self, callee: str) -> Sequence[Candidate]:
        """Return every gateway that ``callee`` fits, each once, in the order in which they are tried.

        Longer prefix first, then smaller priority number, then order of definition. For a phone: its redirect server,
        then the phone, then its offline gateway.
        """
        number = callee.removeprefix("+")  # ``for_matching``
        phone = self._phones.get(number)
        if phone is not None:
            return phone
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

    def phone(self, number: str) -> RoutingGateway | None:
        """Return the called half of the phone with that number, or None."""
        candidates = self._phones.get(for_matching(number))
        return None if candidates is None else next(each.gateway for each in candidates if each.gateway.is_phone)


def _candidates_of(phone: Phone, gateways: Mapping[str, RoutingGateway]) -> tuple[Candidate, ...]:
    """Return a phone's redirect server, its called half, and the gateway that takes its calls while it is offline."""
    called = called_half(phone)
    redirecting = gateways.get(phone.redirect_server or "") if phone.enabled else None
    if redirecting is not None:
        redirecting = msgspec.structs.replace(redirecting, failover_codes=_THEN_THE_PHONE)
    offline = gateways.get(phone.offline_gateway or "")
    return tuple(Candidate(gateway, phone.number) for gateway in (redirecting, called, offline) if gateway is not None)
