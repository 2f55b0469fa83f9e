"""Gateways as ``vosd status --gateways`` shows them: state, load and figures."""

from collections.abc import Container, Iterator, Mapping, Sequence, Set
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import Final, NamedTuple, TypeAlias

from vosd.base.cause import EndReason
from vosd.base.clock import Clock, Instant
from vosd.base.host import SITE_BITS, source_of
from vosd.base.money import format_amount
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.record import ANNOUNCEMENT, ELSEWHERE, Attempt, CallRecord, is_in_vain
from vosd.control.peers import GatewayRow
from vosd.engine.counting import Counting
from vosd.engine.peers.call_totals import CallTotals
from vosd.routing.figures import Figures, Hour, LatestCalls, Totals
from vosd.routing.routes import Cause
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.scope import LimitScope

Source: TypeAlias = IPv4Network | IPv6Network


class GatewayState(Enum):
    """State of a gateway; of several that apply, the first is shown."""

    DISABLED = "disabled"
    BLOCKED = "blocked"
    """By an operator (``vosd gateway block``), or an address of it is blocked or locked out."""
    UNREGISTERED = "unregistered"
    NOT_LOCATED = "not located"
    DOWN = "down"
    RESTING = "resting"
    REGISTERED = "registered"
    UP = "up"
    """None of the others: a gateway without OPTIONS pings is up until calls fail, a customer at its address always."""


class GatewayLoad(NamedTuple):
    """State, load and counts of one gateway since the start."""

    kind: str
    """``routing`` or ``mapping``."""
    gateway: str
    state: GatewayState
    calls: int
    max_concurrent: int | None
    totals: Totals
    max_cps: int | None = None
    """Limit of calls a second; None = no limit."""
    account: str | None = None
    """Account of the vendor or of the customer; None = the gateway has none."""


GROUP: Final = "group"
ROUTING: Final = "routing"
MAPPING: Final = "mapping"
PHONES_AT_ONCE: Final = 1_000
"""Phones that are passed over before calls may get their turn."""
_CANCELLED: Final = ELSEWHERE | {EndReason.CANCELLED.text}
"""Reasons of attempts that the caller or another telephone has ended."""
_NO_ANSWER: Final = EndReason.NO_ANSWER.text
_BARRED: Final = EndReason.ACCOUNT_DISABLED.text
"""End of calls that are refused because a gateway or an account is blocked or disabled."""
_RESTS_SHOWN: Final = 3
"""Most rests of one gateway that its row names."""


class _Trunks(Container[str]):
    """The mapping gateways that are no phones; a set of them would have to be made anew at each reload."""

    def __init__(self, gateways: Container[str], phones: Container[str]) -> None:
        self._gateways = gateways
        self._phones = phones

    def __contains__(self, name: object) -> bool:
        return name in self._gateways and name not in self._phones


class Gateways(Counting):
    """Figures of all gateways of one switch, and their rows."""

    def __init__(self, clock: Clock, catalogue: Catalogue) -> None:
        self._clock = clock
        self._figures = Figures()
        self.call_totals = CallTotals()
        self.adopt(catalogue)

    def adopt(self, catalogue: Catalogue) -> None:
        """Count the gateways of a catalogue; phones have no figures."""
        self._catalogue = catalogue
        self._figures.adopt(LimitScope.ROUTING, catalogue.routing_gateways)
        customers = catalogue.mapping_gateways
        self._figures.adopt(LimitScope.MAPPING, _Trunks(customers, catalogue.phones) if catalogue.phones else customers)

    def override(self, catalogue: Catalogue) -> None:
        """Show the gateways of the catalogue in force with other overridden values."""
        self._catalogue = catalogue

    def has(self, name: str) -> bool:
        """Return whether it is a gateway that is configured, and no phone."""
        return self._figures.counts(LimitScope.ROUTING, name) or self._figures.counts(LimitScope.MAPPING, name)

    def note(self, record: CallRecord) -> None:
        """Count an ended call: for the gateway it came from, and for each that was tried."""
        note_call(self._figures, record, self._clock.now().mono)
        self.call_totals.note(record)

    def customers(self) -> Iterator[str]:
        """Yield the mapping gateways that are no phones and have had calls."""
        return self._figures.names(LimitScope.MAPPING)

    def latest_calls(self, customer: str, at_least: int) -> LatestCalls:
        """Return the latest calls of a mapping gateway, of an hour at most where they are too few."""
        return self._figures.latest(LimitScope.MAPPING, customer, self._clock.now().mono, at_least)

    def rows(
        self,
        live: LiveState,
        registered: Set[str],
        departed: Container[str],
        silenced: Container[str],
        containing: str = "",
    ) -> Iterator[GatewayRow | None]:
        """Yield every gateway except phones, routing ones first, then the groups that have limits.

        ``registered`` holds names that are registered with us, ``departed`` those that were, ``silenced`` the blocked
        sources as ``base.host.source_of`` names them. ``containing``: only those with this in their names. None stands
        for what was passed over: calls may get their turn there, too.
        """
        catalogue, figures, now, part = self._catalogue, self._figures, self._clock.now(), containing.lower()
        vendors = LiveVendors(catalogue, live)
        arriving = dict(live.occupancy.lately(LimitScope.MAPPING, now.mono))
        leaving = dict(live.occupancy.lately(LimitScope.ROUTING, now.mono))
        for load in self.loads(live, registered, departed, silenced):
            if load is None or part not in load.gateway.lower():
                yield None
                continue
            if load.kind == MAPPING:
                hour = figures.last_hour(LimitScope.MAPPING, load.gateway, now.mono)
                addresses = catalogue.sources.addresses_by_name(load.gateway)
                groups, cps = sorted(catalogue.mapping_gateways[load.gateway].groups), arriving.get(load.gateway, 0)
                yield _row(load, hour, live.blocks.callers, cps, addresses=addresses, groups=groups)
                continue
            gateway = catalogue.routing_gateways[load.gateway]
            hour = figures.last_hour(LimitScope.ROUTING, gateway.name, now.mono)
            down_ms = vendors.down_ms(gateway, now.mono) if load.state is GatewayState.DOWN else None
            rests = load.state is GatewayState.RESTING
            rest_ms = _rest_ms(gateway, vendors, live, now) if rests else None
            rest = _why_resting(gateway, vendors, live, now) if rests else _rests_in_part(gateway, live, now)
            account = catalogue.accounts.get(gateway.account or "")
            currency = None if account is None else account.currency
            cps, ner = leaving.get(gateway.name, 0), live.quality.figures(gateway.name, now.mono).ner
            groups = sorted(gateway.groups)
            yield _row(load, hour, live.blocks.called, cps, down_ms, rest_ms, rest, currency, ner, groups=groups)
        together = dict(live.occupancy.lately(LimitScope.GROUP, now.mono))
        for load in self.group_loads(live):
            if part in load.gateway.lower():
                yield _row(load, Hour(), {}, together.get(load.gateway, 0))

    def group_loads(self, live: LiveState) -> Iterator[GatewayLoad]:
        """Yield the gateway groups with limits; calls of others are not counted."""
        for group in self._catalogue.gateway_groups.values():
            if group.limit is not None:
                calls = live.occupancy.active(LimitScope.GROUP, group.name)
                yield GatewayLoad(
                    GROUP, group.name, GatewayState.UP, calls, group.max_concurrent, Totals(), group.max_cps
                )

    def loads(
        self, live: LiveState, registered: Set[str], departed: Container[str], silenced: Container[str]
    ) -> Iterator[GatewayLoad | None]:
        """Yield the same gateways with their counts since the start; a reload meanwhile changes nothing here.

        None stands for some phones that were passed over: calls may get their turn there, too.
        """
        catalogue, now, figures, active = self._catalogue, self._clock.now(), self._figures, live.occupancy.active
        vendors = LiveVendors(catalogue, live)
        for gateway in catalogue.routing_gateways.values():
            name, state = gateway.name, _routing_state(gateway, vendors, live, now)
            calls, totals = active(gateway.scope, name), figures.totals(LimitScope.ROUTING, name)
            yield GatewayLoad(
                ROUTING, name, state, calls, gateway.max_concurrent, totals, gateway.max_cps, gateway.account
            )
        phones = catalogue.phones
        for count, (name, configured) in enumerate(catalogue.mapping_gateways.items(), 1):
            if name in phones:
                if count % PHONES_AT_ONCE == 0:
                    yield None
            else:
                customer = catalogue.overridden.get(name, configured)
                is_blocked = _has_silenced(customer, silenced)
                is_lost = bool(customer.named_hosts) and not (
                    customer.hosts or catalogue.sources.addresses_by_name(name)
                )
                state = _mapping_state(
                    customer, live.blocks.callers, registered, departed, is_blocked=is_blocked, is_located=not is_lost
                )
                calls, totals = active(LimitScope.MAPPING, name), figures.totals(LimitScope.MAPPING, name)
                yield GatewayLoad(
                    MAPPING, name, state, calls, customer.max_concurrent, totals, customer.max_cps, customer.account
                )


def note_call(figures: Figures, record: CallRecord, mono_ms: int) -> None:
    """Count an ended call: for the gateway it came from, and for each that was tried; a test call is not counted.

    The record of an answer in vain has a cost alone: the call and its attempts are counted by the record of the call.
    """
    if record.is_test:
        return
    if record.customer_account is None and record.is_cost_of_another:
        [attempt] = record.attempts
        figures.note_cost(attempt.gateway, mono_ms, record.cost, record.vendor_billed_seconds)
        return
    talk_ms = None if record.answered_at is None else record.hold_time_ms
    if record.mapping_gateway is not None:
        figures.note(
            LimitScope.MAPPING,
            record.mapping_gateway,
            mono_ms,
            talk_ms=talk_ms,
            pdd_ms=record.pdd_ms,
            code=record.sip_code or 0,
            is_barred=record.end_reason == _BARRED,
        )
    for attempt in record.attempts:
        if not attempt.was_sent or is_in_vain(attempt.reason, record.end_reason, record.answered_at):
            continue
        has_won = attempt.gateway == record.routing_gateway and 200 <= attempt.code < 300
        figures.note(
            LimitScope.ROUTING,
            attempt.gateway,
            mono_ms,
            talk_ms=talk_ms if has_won else None,
            pdd_ms=attempt.pdd_ms,
            cost=record.cost,
            billed_s=record.vendor_billed_seconds if has_won else 0,
            code=attempt.code or _status_in_place(attempt, record.end_reason),
        )


def _status_in_place(attempt: Attempt, end_reason: str) -> int:
    """Return the status that an attempt without a final one has for the caller; 0 where the vendor is the reason.

    A sound that was not played to its end has the reason for which its call has ended.
    """
    if (end_reason if attempt.reason == ANNOUNCEMENT else attempt.reason) in _CANCELLED:
        return 487
    return 480 if attempt.pdd_ms is not None and attempt.reason == _NO_ANSWER else 0


def _row(
    load: GatewayLoad,
    hour: Hour,
    blocked: Mapping[str, object],
    cps: int,
    down_ms: int | None = None,
    rest_ms: int | None = None,
    rest: str | None = None,
    currency: str | None = None,
    ner: float | None = None,
    addresses: Sequence[str] = (),
    groups: Sequence[str] = (),
) -> GatewayRow:
    cost = hour.cost_per_minute
    return GatewayRow(
        gateway=load.gateway,
        kind=load.kind,
        state=load.state.value,
        blocked=str(blocked[load.gateway]) if load.gateway in blocked else None,
        since_s=None if down_ms is None else down_ms // 1_000,
        rest_s=None if rest_ms is None else -(-rest_ms // 1_000),
        calls=load.calls,
        max_concurrent=load.max_concurrent,
        attempts=hour.attempts,
        answered=hour.answered,
        asr=hour.asr,
        acd_s=hour.acd_s,
        pdd_ms=hour.mean_pdd_ms,
        cost=None if cost is None else format_amount(cost),
        currency=None if cost is None else currency,
        cps=cps,
        ner=None if ner is None else round(ner, 1),
        addresses=[*addresses],
        groups=[*groups],
        rest=rest,
        account=load.account,
        max_cps=load.max_cps,
    )


def _routing_state(gateway: RoutingGateway, vendors: LiveVendors, live: LiveState, now: Instant) -> GatewayState:
    if not gateway.enabled:
        return GatewayState.DISABLED
    if gateway.name in vendors.blocked:
        return GatewayState.BLOCKED
    if gateway.name in vendors.unregistered:
        return GatewayState.UNREGISTERED
    if not vendors.located(gateway):
        return GatewayState.UNREGISTERED if gateway.registers else GatewayState.NOT_LOCATED
    if vendors.down_ms(gateway, now.mono) is not None:
        return GatewayState.DOWN
    if _rest_ms(gateway, vendors, live, now):
        return GatewayState.RESTING
    return GatewayState.UP if gateway.registration is None else GatewayState.REGISTERED


def _rest_ms(gateway: RoutingGateway, vendors: LiveVendors, live: LiveState, now: Instant) -> int:
    """Return how much longer a vendor is skipped, after Retry-After or failed calls."""
    return max(live.rests.remaining_ms(gateway.name, now.mono), vendors.resting_ms(gateway, now.mono))


def _why_resting(gateway: RoutingGateway, vendors: LiveVendors, live: LiveState, now: Instant) -> str:
    """Return why a vendor is skipped, for the longer of its two rests."""
    paused_ms = live.rests.remaining_ms(gateway.name, now.mono)
    if paused_ms > vendors.resting_ms(gateway, now.mono):
        return Cause.RESTING.detail
    return vendors.why_resting(gateway, now.mono)


def _rests_in_part(gateway: RoutingGateway, live: LiveState, now: Instant) -> str | None:
    """Return which addresses of a gateway rest that takes calls, or for whose calls, and why; None = none."""
    breakers = live.breakers
    rests = [
        f"for calls of {each.payer} at {each}: {breakers.reason(each)}"
        if each.payer
        else f"at {each}: {breakers.reason(each)}"
        for each in breakers.resting_of(gateway.name, now.mono)
    ]
    more = len(rests) - _RESTS_SHOWN
    shown = rests[:_RESTS_SHOWN] + ([f"and {more} more rests"] if more > 0 else [])
    return "; ".join(shown) or None


def _mapping_state(
    gateway: MappingGateway,
    by_operators: Container[str],
    registered: Set[str],
    departed: Container[str],
    *,
    is_blocked: bool,
    is_located: bool,
) -> GatewayState:
    if not gateway.enabled:
        return GatewayState.DISABLED
    if gateway.name in by_operators or is_blocked:
        return GatewayState.BLOCKED
    is_registered = gateway.name in registered
    is_at_home = gateway.credentials is None or not gateway.may_be_anywhere
    if gateway.name in departed or not (is_registered or is_at_home):
        return GatewayState.UNREGISTERED
    if not is_located:
        return GatewayState.NOT_LOCATED
    return GatewayState.REGISTERED if is_registered else GatewayState.UP


def _has_silenced(gateway: MappingGateway, silenced: Container[str]) -> bool:
    """Return whether a whole network of a gateway is silenced, of very many sources perhaps."""
    return bool(silenced) and any(_is_silenced(each.network, silenced) for each in gateway.hosts)


def _is_silenced(network: Source, silenced: Container[str]) -> bool:
    """Return whether one source covers a whole network; one address of many does not block a gateway."""
    if isinstance(network, IPv4Network):
        return network.prefixlen == network.max_prefixlen and str(network.network_address) in silenced
    return network.prefixlen >= SITE_BITS and source_of(str(network.network_address)) in silenced
