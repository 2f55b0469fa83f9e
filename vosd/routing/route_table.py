"""Find the routing gateways that a called number fits by one plan, sorted by the configuration (docs/routing.md).

The number of a phone fits that phone only, whatever prefixes fit as well. Whether a gateway can take the call at this
moment is decided in ``pipeline``, and what order depends on the moment in ``order``.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Final, Generic, TypeVar

import msgspec

from vosd.base.calendar_use import CalendarUse
from vosd.base.number import for_matching, without_end_signs
from vosd.base.prefixes import ANY, PrefixIndex
from vosd.routing.calendar import GatewayCalendar
from vosd.routing.fit import Candidate, Fit, Lines, fitted
from vosd.routing.plan import NO_PLAN, RouteRow, RoutingPlan
from vosd.routing.ports import BuyPrefixes
from vosd.trunks.dialect import CallerPrivacy
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.phone import Phone, called_half
from vosd.trunks.scope import LimitScope, SharedLimit

Binding = tuple[str | None, CalendarUse | None]
"""Name of a calendar, and which part of it counts; None = it does not say."""
Values = Mapping[str, Mapping[str, Any]]
"""Values by gateway, then by field."""

_REMEMBERED_PREFIXES: Final = 10_000
"""Longest prefixes whose complete list is cached: traffic goes to few of them, and all lists would be large."""


_Wild = Sequence[tuple[str, tuple[Candidate, ...]]]
"""Prefixes with wildcards, and the gateways of each."""
_OF_LINES: Final = frozenset({"priority", "weight"})
"""Fields of gateways that a line of a plan's own routes may have as well."""
_NOTHING: Final = Fit(())
_NO_CALENDARS: Final[Mapping[str, GatewayCalendar]] = {}
_NO_BINDINGS: Final[Mapping[Binding, GatewayCalendar]] = {}
_NO_RATES: Final[Mapping[str, BuyPrefixes]] = {}
WILDCARD: Final = "?"
_DIGITS: Final = frozenset("0123456789")
Value = TypeVar("Value")


def has_wildcard(prefix: str) -> bool:
    """Return whether a prefix fits more than one beginning of a number."""
    return WILDCARD in prefix


class WildcardIndex(Generic[Value]):
    """Values by prefix with wildcards; the cost of a look-up grows with the shapes of prefixes, not with their number.

    The shape is the length and the positions of the wildcards.
    """

    def __init__(self, entries: Iterable[tuple[str, Value]]) -> None:
        shapes: dict[tuple[int, ...], dict[str, tuple[str, Value]]] = {}
        for prefix, value in entries:
            places = tuple(place for place, character in enumerate(prefix) if character == WILDCARD)
            plain = prefix.replace(WILDCARD, "")
            shapes.setdefault((len(prefix), *places), {})[plain] = prefix, value
        self._shapes = sorted(shapes.items(), key=lambda each: -each[0][0])
        """The longest prefixes first, then as given."""

    def __bool__(self) -> bool:
        return bool(self._shapes)

    def every(self, number: str) -> Iterator[tuple[str, Value]]:
        """Yield (prefix, value) for every prefix that fits ``number``, the longest first."""
        for (length, *places), values in self._shapes:
            if length > len(number) or any(number[place] not in _DIGITS for place in places):
                continue
            plain, begin = "", 0
            for place in places:
                plain, begin = plain + number[begin:place], place + 1
            found = values.get(plain + number[begin:length])
            if found is not None:
                yield found


class RouteTable:
    """The gateways of one plan by called prefix, sorted once.

    The complete list of a number depends only on the longest prefix that fits it, because every other prefix that fits
    is a prefix of that one too. So the list is made once for each such prefix. Gateways whose prefixes are those of
    their buy rates are not indexed: one look-up in each table of rates finds the prefix of a number. Where these or
    prefixes with wildcards are in use, the list depends on all of what fits.
    """

    def __init__(
        self,
        gateways: Iterable[RoutingGateway],
        phones: Iterable[Phone] = (),
        plan: RoutingPlan = NO_PLAN,
        calendars: Mapping[str, GatewayCalendar] = _NO_CALENDARS,
        rates: Mapping[str, BuyPrefixes] = _NO_RATES,
        bindings: Mapping[Binding, GatewayCalendar] = _NO_BINDINGS,
    ) -> None:
        """``calendars`` are those of gateways, ``rates`` the buy rates of gateways that take their prefixes from them.

        Both are by name of the gateway. ``bindings`` are all calendars by their own names and by what of them counts,
        for the routes of plans.
        """
        everything = tuple(gateways)
        by_name = {gateway.name: gateway for gateway in everything}
        self._phones = {for_matching(phone.number): _fit_of(phone, by_name, calendars) for phone in phones}
        self._calendars, self._rates, self._bindings = calendars, rates, bindings
        self._overridden: Mapping[str, tuple[RoutingGateway, Mapping[str, Any]]] = {}
        """Gateways with overridden values, and these by field."""
        self._fill(everything, plan)

    def by_plan(self, plan: RoutingPlan) -> "RouteTable":
        """Return a table of the same phones, and of the gateways that a plan uses."""
        table = RouteTable((), (), plan, self._calendars, self._rates, self._bindings)
        table._phones = self._phones
        table._fill(self.gateways, plan)
        return table

    def overlaid(
        self, gateways: Mapping[str, RoutingGateway], values: Values, called: Iterable[RoutingGateway]
    ) -> "RouteTable":
        """Return a table with other values of some gateways and called halves of phones; their prefixes are the same.

        ``values`` are those in which ``gateways`` differ; they win over the plan's own routes, also where they are
        what the gateway is configured with.

        The index of the prefixes is shared; the lists of candidates are made again when a call needs them.
        """
        twin = copy(self)
        twin.gateways = tuple(gateways.get(each.name, each) for each in self.gateways)
        twin._overridden = {name: (gateway, values[name]) for name, gateway in gateways.items()}
        twin._fits = {}
        replaced = {for_matching(each.name): each for each in called}
        if replaced:
            twin._phones = {
                **self._phones,
                **{number: _with_called(self._phones[number], each) for number, each in replaced.items()},
            }
        return twin

    def _fill(self, gateways: tuple[RoutingGateway, ...], plan: RoutingPlan) -> None:
        self._wanted = wanted = plan.names
        self.plan = plan
        self.gateways = gateways if wanted is None else tuple(each for each in gateways if each.name in wanted)
        self.limits: dict[tuple[str, str], SharedLimit] = {}
        """Limits of the lines of the plan's own routes, by prefix and gateway; of several the last."""
        by_prefix: defaultdict[str, list[Candidate]] = defaultdict(list)
        for candidate in self._indexed():
            by_prefix[candidate.prefix].append(candidate)
        indexed = [(prefix, tuple(own)) for prefix, own in by_prefix.items()]
        self._by_prefix = PrefixIndex(each for each in indexed if not has_wildcard(each[0]))
        self._by_wildcards = WildcardIndex(each for each in indexed if has_wildcard(each[0]))
        rated: dict[object, tuple[BuyPrefixes, tuple[bool, bool, bool], list[RoutingGateway]]] = {}
        if plan.routes is None:
            for gateway in self.gateways:
                rates = self._rates.get(gateway.name)
                if rates is not None:
                    shows_number = gateway.dialect.shows_number
                    rated.setdefault((id(rates), shows_number), (rates, shows_number, []))[2].append(gateway)
        self._rated = tuple(rated.values())
        """Tables of buy rates, whether the caller's number counts, and the gateways with their prefixes from each."""
        self._has_more = bool(self._rated or self._by_wildcards)
        """Whether the longest prefix in ``_by_prefix`` does not say everything."""
        self._fits: dict[object, Fit | Lines] = {}

    def fit(
        self,
        callee: str,
        wall_ms: int,
        caller: str = "",
        rated: str = "",
        *,
        caller_privacy: CallerPrivacy = CallerPrivacy.SHOWN,
    ) -> Fit:
        """Return every gateway that ``callee`` fits at ``wall_ms`` (UTC).

        The others count for buy rates alone: ``rated`` is ``callee`` without its routing prefix, empty where it has
        none, and ``caller_privacy`` says to which gateways ``caller`` is known. For a phone: its redirect server, then
        the phone, then its offline gateway.
        """
        number = callee.removeprefix("+")  # ``for_matching``
        phone = self._phones.get(number) if number.isdecimal() else self._phone(number)
        if phone is not None:
            return phone if not self._overridden else Fit(tuple(map(self._current_of_phone, phone.ranked)))
        nearest = self._by_prefix.longest(number)
        if self._has_more:
            return self._fit_by_more(number, nearest, wall_ms, caller, rated or number, caller_privacy=caller_privacy)
        if nearest is None:
            return _NOTHING
        prefix = nearest[0].prefix
        fit = self._fits.get(prefix)
        if fit is None:
            fit = self._remember(prefix, self._gather(number, ()))
        return fit if isinstance(fit, Fit) else fit.fit(wall_ms)

    def named(self, gateway: RoutingGateway, prefix: str = ANY, *, is_given: bool) -> Candidate | None:
        """Return a gateway that was named as a candidate for a number; None = the plan does not use it.

        The plan narrows what a redirect server has named, not what a number was given to, and no phones.
        """
        wanted = self._wanted
        if wanted is not None and gateway.name not in wanted and not (is_given or gateway.is_phone):
            return None
        return _candidate_of(gateway, prefix, self._calendars.get(gateway.name))

    def candidates(self, callee: str, wall_ms: int = 0, caller: str = "") -> Sequence[Candidate]:
        """Return every gateway that ``callee`` fits, sorted as far as the configuration decides it."""
        return self.fit(callee, wall_ms, caller).ranked

    def phone(self, number: str) -> RoutingGateway | None:
        """Return the called half of the phone with that number, or None."""
        fit = self._phone(for_matching(number))
        return None if fit is None else next(each.gateway for each in fit.ranked if each.gateway.is_phone)

    def of_phone(self, number: str) -> Sequence[Candidate]:
        """Return the candidates of the phone with that number (``fit``); none = there is no such phone."""
        return self.fit(number, 0).ranked if for_matching(number) in self._phones else ()

    def _phone(self, number: str) -> Fit | None:
        """Return the candidates of a phone, whose number may have ``*`` and ``#`` behind it."""
        return self._phones.get(number) or self._phones.get(without_end_signs(number))

    def _indexed(self) -> Iterator[Candidate]:
        """Yield the candidates by prefixes that the configuration lists."""
        if self.plan.routes is None:
            for gateway in self.gateways:
                if gateway.name not in self._rates:
                    yield from (self._candidate(gateway, prefix) for prefix in dict.fromkeys(gateway.prefixes))
            return
        by_name = {gateway.name: gateway for gateway in self.gateways}
        for row in self.plan.routes:
            if row.gateway in by_name:
                yield self._candidate(by_name[row.gateway], row.prefix, row)

    def _candidate(self, gateway: RoutingGateway, prefix: str, row: RouteRow | None = None) -> Candidate:
        calendar = self._calendars.get(gateway.name)
        if row is None:
            return _candidate_of(gateway, prefix, calendar)
        if row.calendar is not None:
            calendar = self._bindings.get((row.calendar, row.calendar_use))
        limits = gateway.shared_limits
        if row.max_calls is not None:
            name = f"{self.plan.name}/{row.prefix}/{gateway.name}"
            self.limits[row.prefix, gateway.name] = limit = SharedLimit(LimitScope.ROUTE, name, row.max_calls, None)
            limits = (*limits, limit)
        return Candidate(
            gateway,
            prefix,
            gateway.priority if row.priority is None else row.priority,
            gateway.weight if row.weight is None else row.weight,
            row.percent,
            calendar,
            row.valid_from,
            row.valid_to,
            limits,
            is_conditional=True,
        )

    def _fit_by_more(
        self,
        number: str,
        nearest: tuple[Candidate, ...] | None,
        wall_ms: int,
        caller: str,
        rated: str,
        *,
        caller_privacy: CallerPrivacy,
    ) -> Fit:
        """Return the candidates where buy rates and prefixes with wildcards count as well."""
        found = [
            rates.find(rated, wall_ms, caller if shows_number[caller_privacy] else "")
            for rates, shows_number, _ in self._rated
        ]
        prefixes = tuple(None if rate is None else rate.prefix for rate in found)
        fitting = tuple(self._by_wildcards.every(number))
        key = (None if nearest is None else nearest[0].prefix, prefixes, tuple(prefix for prefix, _ in fitting))
        fit = self._fits.get(key)
        if fit is None:
            more = [
                self._candidate(gateway, prefix)
                for prefix, (_, _, gateways) in zip(prefixes, self._rated, strict=True)
                if prefix is not None
                for gateway in gateways
            ]
            fit = self._remember(key, self._gather(number, more, fitting))
        return fit if isinstance(fit, Fit) else fit.fit(wall_ms)

    def _remember(self, key: object, candidates: Sequence[Candidate]) -> Fit | Lines:
        if len(self._fits) >= _REMEMBERED_PREFIXES:
            self._fits.clear()
        current = tuple(map(self._current, candidates)) if self._overridden else candidates
        fit = self._fits[key] = fitted(current, self.plan.criteria)
        return fit

    def _current(self, candidate: Candidate) -> Candidate:
        """Return a candidate with the overridden values of its gateway."""
        overridden = self._overridden.get(candidate.gateway.name)
        if overridden is None:
            return candidate
        gateway, values = overridden
        own = {name: values[name] for name in _OF_LINES & values.keys()}
        if "weight" in values and candidate.percent is not None:  # which would stand in place of the weight
            candidate = candidate._replace(percent=None, replaced_percent=candidate.percent)
        return candidate._replace(gateway=gateway, **own)

    def _current_of_phone(self, candidate: Candidate) -> Candidate:
        """Do the same for a phone, whose redirect server differs from the gateway of that name (``_fit_of``)."""
        overridden = self._overridden.get(candidate.gateway.name)
        if overridden is None:
            return candidate
        gateway = msgspec.structs.replace(candidate.gateway, **overridden[1])
        return self._current(candidate)._replace(gateway=gateway)

    def _gather(self, number: str, by_rates: Iterable[Candidate], fitting: _Wild = ()) -> Sequence[Candidate]:
        """Return the gateways that a number fits, each once, the longest prefix first, then as defined.

        A gateway that the plan's routes name for several times or calendars is there with the longest prefix of each:
        which of these lines counts depends on the moment (``Lines``).
        ``fitting`` are the prefixes with wildcards that fit; of two of equal length the one without goes before.
        """
        found: dict[tuple[object, ...], Candidate] = {}
        prefixes = [*self._by_prefix.every(number), *fitting]
        if fitting:
            prefixes.sort(key=_longest_first)
        for _, own in prefixes:
            for candidate in own:
                when = candidate.valid_from, candidate.valid_to, id(candidate.calendar)
                found.setdefault((candidate.gateway.name, *when), candidate)
        if not by_rates and not fitting:
            return tuple(found.values())
        defined = {gateway.name: place for place, gateway in enumerate(self.gateways)}
        return sorted((*found.values(), *by_rates), key=lambda each: (-each.length, defined[each.gateway.name]))


def _longest_first(entry: tuple[str, object]) -> int:
    return 0 if entry[0] == ANY else -len(entry[0])


def _fit_of(phone: Phone, gateways: Mapping[str, RoutingGateway], calendars: Mapping[str, GatewayCalendar]) -> Fit:
    """Return a phone's redirect server, its called half, and the gateway that takes its calls while it is offline."""
    called = called_half(phone)
    redirecting = gateways.get(phone.redirect_server or "") if phone.enabled else None
    if redirecting is not None:
        redirecting = redirecting.before_phone
    offline = gateways.get(phone.offline_gateway or "")
    found = ((each, calendars.get(each.name)) for each in (redirecting, called, offline) if each is not None)
    candidates = (_candidate_of(each, phone.number, calendar) for each, calendar in found)
    return Fit(tuple(each._replace(is_of_phone=True) for each in candidates))


def _with_called(fit: Fit, called: RoutingGateway) -> Fit:
    """Return the candidates of a phone with another called half."""
    found = (each._replace(gateway=called) if each.gateway.is_phone else each for each in fit.ranked)
    return fit._replace(ranked=tuple(found))


def _candidate_of(gateway: RoutingGateway, prefix: str, calendar: GatewayCalendar | None) -> Candidate:
    """Return a gateway with its own priority and weight as a candidate."""
    limits = gateway.shared_limits
    conditional = gateway.is_conditional or calendar is not None or bool(limits)
    return Candidate(
        gateway, prefix, gateway.priority, gateway.weight, calendar=calendar, limits=limits, is_conditional=conditional
    )
