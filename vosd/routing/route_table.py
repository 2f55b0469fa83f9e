"""Which routing gateways a called number fits by one plan, sorted by what the configuration says (docs/routing.md).

The number of a phone fits that phone only, whatever prefixes fit as well. Whether a gateway can take the call at this
moment is decided in ``pipeline``, and what order depends on the moment in ``order``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from itertools import groupby, takewhile
from typing import Final, NamedTuple

import msgspec

from vosd.base.number import for_matching
from vosd.base.prefixes import ANY, PrefixIndex
from vosd.routing.plan import NO_PLAN, STATIC, Criterion, RoutingPlan
from vosd.routing.ports import Calendar
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
    priority: int
    weight: int
    calendar: Calendar | None = None
    is_conditional: bool = False
    """Whether it makes conditions of ``pipeline`` beyond the state of the gateway."""
    protect_times: tuple[int, ...] = ()
    """When protected gateways of this number join, in ms since the arrival of a call without any 18x; mostly none."""

    @property
    def length(self) -> int:
        """The digits of the prefix."""
        return 0 if self.prefix == ANY else len(self.prefix)


class Fit(NamedTuple):
    """The candidates for all numbers that the same longest prefix fits."""

    ranked: tuple[Candidate, ...]
    """In the order in which they are tried, as far as the configuration decides it."""
    groups: tuple[tuple[Candidate, ...], ...] = ()
    """Those of equal rank together."""
    criteria: tuple[Criterion, ...] = ()
    """What decides within a group; none = ``ranked`` is the order."""


_NOTHING: Final = Fit(())
_NO_CALENDARS: Final[Mapping[str, Calendar]] = {}


class RouteTable:
    """The gateways of one plan by called prefix, sorted once.

    The complete list of a number depends only on the longest prefix that fits it, because every other prefix that fits
    is a prefix of that one too. So the list is made once for each such prefix.
    """

    __slots__ = ("_by_prefix", "_calendars", "_fits", "_overridden", "_phones", "gateways", "plan")

    def __init__(
        self,
        gateways: Iterable[RoutingGateway],
        phones: Iterable[Phone] = (),
        plan: RoutingPlan = NO_PLAN,
        calendars: Mapping[str, Calendar] = _NO_CALENDARS,
    ) -> None:
        """``calendars`` are those of gateways, by name of the gateway."""
        self.gateways = tuple(gateways)
        self.plan = plan
        self._calendars = calendars
        by_name = {gateway.name: gateway for gateway in self.gateways}
        self._phones = {for_matching(phone.number): _fit_of(phone, by_name, calendars) for phone in phones}
        by_prefix: defaultdict[str, list[Candidate]] = defaultdict(list)
        for gateway in self.gateways:
            calendar = calendars.get(gateway.name)
            of_gateway = gateway.priority, gateway.weight, calendar, calendar is not None
            for prefix in dict.fromkeys(gateway.prefixes):
                by_prefix[prefix].append(Candidate(gateway, prefix, *of_gateway))
        self._calendars = calendars
        self._by_prefix = PrefixIndex((prefix, tuple(own)) for prefix, own in by_prefix.items())
        self._fits: dict[str, Fit] = {}
        self._overridden: Mapping[str, RoutingGateway] = {}

    def overlaid(self, gateways: Mapping[str, RoutingGateway], phones: Iterable[Phone]) -> "RouteTable":
        """Return a table with other values of some gateways and phones; their prefixes are the same.

        The index of the prefixes is shared; the lists of candidates are made again when a call needs them.
        """
        twin = copy(self)
        twin.gateways = tuple(gateways.get(each.name, each) for each in self.gateways)
        twin._overridden, twin._fits = gateways, {}
        by_name = {gateway.name: gateway for gateway in twin.gateways}
        replaced = {for_matching(phone.number): _fit_of(phone, by_name, self._calendars) for phone in phones}
        if replaced:
            twin._phones = {**self._phones, **replaced}
        return twin

    def fit(self, callee: str) -> Fit:
        """Return every gateway that ``callee`` fits.

        For a phone: its redirect server, then the phone, then its offline gateway.
        """
        number = callee.removeprefix("+")  # ``for_matching``
        phone = self._phones.get(number)
        if phone is not None:
            return phone if not self._overridden else Fit(tuple(map(self._current_of_phone, phone.ranked)))
        nearest = self._by_prefix.longest(number)
        if nearest is None:
            return _NOTHING
        prefix = nearest[0].prefix
        fit = self._fits.get(prefix)
        if fit is None:
            if len(self._fits) >= _REMEMBERED_PREFIXES:
                self._fits.clear()
            fit = self._fits[prefix] = _sorted(self._gather(number), self.plan.order)
        return fit

    def named(self, gateway: RoutingGateway) -> Candidate:
        """Return a gateway that a redirect server has named as a candidate for any number."""
        calendar = self._calendars.get(gateway.name)
        return Candidate(gateway, ANY, gateway.priority, gateway.weight, calendar, calendar is not None)

    def candidates(self, callee: str) -> Sequence[Candidate]:
        """Return every gateway that ``callee`` fits, sorted as far as the configuration decides it."""
        return self.fit(callee).ranked

    def _gather(self, number: str) -> tuple[Candidate, ...]:
        """Return the gateways that a number fits, each once, the longest prefix first, then as defined."""
        by_gateway: dict[str, Candidate] = {}
        for _, own in self._by_prefix.every(number):
            for candidate in own:
                by_gateway.setdefault(candidate.gateway.name, candidate)
        return tuple(map(self._current, by_gateway.values()) if self._overridden else by_gateway.values())

    def _current(self, candidate: Candidate) -> Candidate:
        """Return a candidate with the overridden values of its gateway."""
        before = candidate.gateway
        now = self._overridden.get(before.name)
        if now is None:
            return candidate
        candidate = candidate._replace(gateway=now)
        if now.priority != before.priority:
            candidate = candidate._replace(priority=now.priority)
        return candidate if now.weight == before.weight else candidate._replace(weight=now.weight)

    def _current_of_phone(self, candidate: Candidate) -> Candidate:
        current, codes = self._current(candidate), candidate.gateway.failover_codes
        return current._replace(gateway=msgspec.structs.replace(current.gateway, failover_codes=codes))

    def phone(self, number: str) -> RoutingGateway | None:
        """Return the called half of the phone with that number, or None."""
        fit = self._phones.get(for_matching(number))
        return None if fit is None else next(each.gateway for each in fit.ranked if each.gateway.is_phone)


def _sorted(candidates: Iterable[Candidate], order: Sequence[Criterion]) -> Fit:
    """Sort candidates by the first criteria of an order, as far as these depend on the configuration alone."""
    found = list(candidates)
    if not any(each.calendar for each in found):
        order = [criterion for criterion in order if criterion is not Criterion.CALENDAR]
    first = list(takewhile(STATIC.__contains__, order))
    times = tuple(sorted({each.gateway.protect_ms for each in found if each.gateway.protect_ms is not None}))
    if times:
        found = [each._replace(protect_times=times) for each in found]

    def rank(candidate: Candidate) -> tuple[int, ...]:
        in_order = (-candidate.length if each is Criterion.PREFIX else candidate.priority for each in first)
        return candidate.gateway.protect_ms is not None, *in_order

    ranked = tuple(sorted(found, key=rank))
    groups = tuple(tuple(equal) for _, equal in groupby(ranked, key=rank))
    return Fit(ranked) if len(groups) == len(ranked) else Fit(ranked, groups, tuple(order[len(first) :]))


def _fit_of(phone: Phone, gateways: Mapping[str, RoutingGateway], calendars: Mapping[str, Calendar]) -> Fit:
    """Return a phone's redirect server, its called half, and the gateway that takes its calls while it is offline."""
    called = called_half(phone)
    redirecting = gateways.get(phone.redirect_server or "") if phone.enabled else None
    if redirecting is not None:
        redirecting = msgspec.structs.replace(redirecting, failover_codes=_THEN_THE_PHONE, stop_causes=frozenset[int]())
    offline = gateways.get(phone.offline_gateway or "")
    found = ((each, calendars.get(each.name)) for each in (redirecting, called, offline) if each is not None)
    return Fit(
        tuple(
            Candidate(each, phone.number, each.priority, each.weight, calendar, calendar is not None)
            for each, calendar in found
        )
    )
