"""The gateways of one live call: places and money of attempts, addresses, and what is learnt of vendors."""

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

import msgspec

from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.boards import NextHop
from vosd.b2bua.call import Call
from vosd.b2bua.outgoing.signatures import CallerAttestation
from vosd.b2bua.states import RINGING, TALKING
from vosd.base.clock import Instant
from vosd.billing.holds import AccountCredit
from vosd.callcontrol.media_outlook import out_of_reach
from vosd.callcontrol.signatures import attested
from vosd.callcontrol.taken import PlaceTaken
from vosd.callcontrol.vendor_terms import LiveVendors, buy_rate
from vosd.engine.calls.attempts import name_of
from vosd.engine.calls.services import SentTo
from vosd.routing.breaker import place_of
from vosd.routing.conditions import CAUSE_OF_FULL, OF_ROOM, without_room
from vosd.routing.failover import AttemptOutcome
from vosd.routing.pipeline import Cause, LeftOut, RouteChoice
from vosd.sip.wire.message import Response
from vosd.trunks.gateways import Address, MappingGateway, RoutingGateway
from vosd.trunks.scope import LimitScope, SharedLimit

if TYPE_CHECKING:
    from vosd.engine.calls.live_call import LiveCall

_COMPARED_MAX: Final = 50
"""Unanswered calls with the same numbers that a call is compared with, the latest first."""
REMAINING_NAMED: Final = 10
"""Gateways that a call names of those that it does not come to: to find the next one of many takes its time."""


class GatewaysOfCall(msgspec.Struct, eq=False):
    """The ``GatewayBoard`` of one call, until the call is over."""

    _live_call: "LiveCall"
    vendors: LiveVendors
    """Vendors of the catalogue that admitted the call, until it talks: a reload may have removed an account."""
    is_of_earlier_catalogue: bool = False
    """The call was set up by another catalogue than the one in force, and may not be answered yet."""
    sent_to: list[SentTo] = []
    """Keys of its attempts in ``RunningCalls.sent``."""

    def occupy(self, next_hop: NextHop, now: Instant, *, is_counted: bool = True) -> NextHop | None:
        """Reserve capacity of a gateway; return the next hop, with its number of a pool; None = it cannot be called.

        Of several attempts at one phone, or at a trunk where it is registered, only the first counts for rate limits.
        """
        choice, address = next_hop
        live_call, gateway = self._live_call, choice.gateway
        services, call_request = live_call.services, live_call.call_request
        live = services.live
        wall_ms, caller_at = call_request.at.wall, call_request.caller_at
        if (call_request.sent_back_from or address.host == call_request.source_host) and self._comes_back(next_hop):
            self._leave_out(LeftOut(gateway, Cause.LOOP))
            return None
        if choice.is_redirected and not self.vendors.charges_alike(choice, wall_ms, caller_at(gateway)):
            return None  # a 3xx must not make the call more expensive than the dialled number
        # The block, the Retry-After, or another catalogue may have come since the route was found.
        is_barred = self.is_of_earlier_catalogue and self._has_other_currency(choice)
        may_be_paused = live.rests.until or gateway.name in live.breakers.resting
        if is_barred or gateway.name in live.blocks.called or (may_be_paused and self.is_paused(next_hop, now)):
            return None
        if self.is_of_earlier_catalogue:
            choice = self._with_limits_in_force(choice)
        is_again = gateway.is_phone and any(each.gateway == gateway.name for each in live_call.call.journey.attempts)
        full = None
        if is_counted and is_again:
            full = live.occupancy.take_again(gateway.scope, gateway.name, gateway.max_concurrent)
        elif is_counted:
            full = live.occupancy.take(gateway.scope, gateway.name, gateway.max_concurrent, gateway.max_cps, now.mono)
        if full is not None:
            self._leave_out(LeftOut(gateway, CAUSE_OF_FULL[full]))
            return None
        if choice.limits and not self._take_shared(choice, now, is_again=is_again):
            return None
        credit = None if gateway.account is None else live.credits.get(gateway.account)
        if credit is not None and credit.limit is not None and not self._hold_vendor(credit, choice, now):
            self._undo_places(choice, len(choice.limits), now)
            return None
        if call_request.left:
            self._forget_room(gateway)
        if gateway.name in live.breakers.resting:
            live.breakers.begin(place_of(gateway, address, name_of(call_request.account)), now.mono)
        if choice.awaits_number:
            choice = self.vendors.with_number(choice)
        self._begins(choice, address, now)
        return choice, address

    def is_paused(self, next_hop: NextHop, now: Instant) -> bool:
        """Return whether a gateway, or its address, has asked for a pause; a call to an emergency number goes there."""
        return self._has_asked_for_pause(next_hop, now) and not self._live_call.is_emergency

    def _has_asked_for_pause(self, next_hop: NextHop, now: Instant) -> bool:
        (choice, address), live = next_hop, self._live_call.services.live
        name, mono_ms = choice.gateway.name, now.mono
        if live.rests.until and live.rests.remaining_ms(name, mono_ms):
            return True
        resting = live.breakers.resting
        return name in resting and live.breakers.paused_ms(place_of(choice.gateway, address), mono_ms) > 0

    def _begins(self, choice: RouteChoice, address: Address, now: Instant) -> None:
        """Report an attempt that is about to be sent, and note its host and numbers, for the call may come back."""
        live_call, gateway = self._live_call, choice.gateway
        services, call_request = live_call.services, live_call.call_request
        if address.host != call_request.source_host and not gateway.is_phone:
            sent_to = address.host, address.port, choice.callee_out, choice.caller_out
            services.running.sent.setdefault(sent_to, {})[live_call] = None
            self.sent_to.append(sent_to)
        if services.observer.are_present:
            services.observer.attempted(live_call.call, call_request, gateway.name)
        if services.reporter is not None:
            services.reporter.trying(live_call.call.arrival, live_call.call.journey, call_request, choice, now.mono)

    def would_occupy(self, next_hop: NextHop, now: Instant, leaving: RouteChoice) -> bool:
        """Return whether ``occupy`` would once the attempt in progress is over: what it holds counts as free."""
        choice, address = next_hop
        if self.is_of_earlier_catalogue:
            choice = self._with_limits_in_force(choice)
        gateway, call_request = choice.gateway, self._live_call.call_request
        if (call_request.sent_back_from or address.host == call_request.source_host) and self._comes_back(next_hop):
            return False
        caller = call_request.caller_at(gateway)
        if choice.is_redirected and not self.vendors.charges_alike(choice, call_request.at.wall, caller):
            return False
        is_barred = self.is_of_earlier_catalogue and self._has_other_currency(choice)
        if is_barred or gateway.name in self._live_call.services.live.blocks.called or self.is_paused(next_hop, now):
            return False
        is_at_rest = choice.is_at_rest or self._has_asked_for_pause(next_hop, now)
        if is_at_rest and self._live_call.is_emergency and not leaving.is_at_rest:
            return False  # it is better than none, but not better than one that may still ring
        return self._would_have_room(choice, leaving, now) and self._would_be_funded(choice, leaving)

    def _would_have_room(self, choice: RouteChoice, leaving: RouteChoice, now: Instant) -> bool:
        occupancy = self._live_call.services.live.occupancy
        freed = {(each.scope, each.name) for each in _limits_of(leaving)}
        for scope, name, max_concurrent, max_cps in _limits_of(choice):
            most = max_concurrent
            if most is not None and (scope, name) in freed:
                most += 1
            if occupancy.would_refuse(scope, name, most, max_cps, now.mono) is not None:
                return False
        return True

    def _would_be_funded(self, choice: RouteChoice, leaving: RouteChoice) -> bool:
        """Return whether the account of a vendor has the money of the first seconds, as ``_hold_vendor``."""
        gateway, hold, rate = choice.gateway, self._live_call.call_request.hold, buy_rate(choice)
        credit = None if gateway.account is None else self._live_call.services.live.credits.get(gateway.account)
        if credit is None or credit.limit is None or hold is None or rate is None or gateway.earns:
            return True
        left = leaving.gateway.account, buy_rate(leaving)
        return hold.could_join(credit, rate, self.vendors.first_period_s(gateway), left)

    @property
    def has_looped(self) -> bool:
        """Whether a gateway was left out because the call has come back from there, and none for want of room."""
        causes = {each.cause for each in self._live_call.call_request.left}
        return Cause.LOOP in causes and causes.isdisjoint(OF_ROOM)

    def examine_at(self, now: Instant, *, looks_ahead: bool) -> None:
        """Judge limits and rests of the gateways that remain by ``now``; ``looks_ahead``: not yet their room."""
        searched = self._live_call.call_request.searched
        if searched is not None:
            searched.examine_at(now, looks_ahead=looks_ahead)

    def search_over(self, remaining: Iterable[RouteChoice], now: Instant, *, is_late: bool) -> None:
        """Note the next gateways that are not tried because a limit of the search is reached: time, or attempts."""
        call_request, settings = self._live_call.call_request, self._live_call.call.settings
        left = call_request.left
        if call_request.searched is not None:
            call_request.searched.is_over = True
            call_request.searched.examine_at(now, looks_ahead=True)
        next_ones = islice(remaining, REMAINING_NAMED)
        for gateway in {choice.gateway.name: choice.gateway for choice in next_ones}.values():
            if is_late:
                left.append(
                    LeftOut(gateway, Cause.SEARCH_OVER, f"{settings.search_ms / 1_000:g} s had passed since the INVITE")
                )
            else:
                most = settings.max_attempts
                left.append(
                    LeftOut(gateway, Cause.SEARCH_OVER, f"the call had made as many attempts as it may: {most}")
                )

    def _comes_back(self, next_hop: NextHop) -> bool:
        """Return whether the next hop has got the call from us and would get it again (ADRs 211 and 247).

        A proxy that has sent it back had it with that number before. Where the call comes from a B2BUA, an unanswered
        call from elsewhere is there with the same numbers, and Max-Forwards has become less on the way; a call to an
        emergency number is never taken for one that comes back so.
        """
        choice, address = next_hop
        live_call, call_request = self._live_call, self._live_call.call_request
        passed = live_call.services.running.passed(call_request.sent_back_from)
        if any(each.gateways.is_trying_at(address, choice.callee_out) for each in passed):
            return True
        if address.host != call_request.source_host:
            return False
        caller = _digits(choice.caller_out)
        if not caller or caller != _digits(call_request.caller_in) or self._live_call.is_emergency:
            return False
        sent = live_call.services.running.sent.get((address.host, address.port, choice.callee_out, choice.caller_out))
        received = call_request.hops + 1  # the INVITE that goes on has one less
        return sent is not None and any(
            received < each.call_request.hops and each.gateways.is_trying_at(address)
            for each in islice(reversed(sent), _COMPARED_MAX)
        )

    def is_trying_at(self, address: Address, callee: str | None = None) -> bool:
        """Return whether an attempt at an address is in progress; ``callee``: with that called number."""
        search = self._live_call.call.search
        return search is not None and any(
            (each.address.host, each.address.port) == (address.host, address.port)
            and callee in {None, each.choice.callee_out}
            for each in search.in_progress
        )

    def _take_shared(self, choice: RouteChoice, now: Instant, *, is_again: bool) -> bool:
        """Take the places that a gateway shares; where there is none, undo those before and that of the gateway."""
        occupancy = self._live_call.services.live.occupancy
        for taken, limit in enumerate(choice.limits):
            if is_again:
                full = occupancy.take_again(limit.scope, limit.name, limit.max_concurrent)
            else:
                full = occupancy.take(*limit, now.mono)
            if full is not None:
                self._undo_places(choice, taken, now)
                self._leave_out(without_room(choice.gateway, limit, full))
                return False
        return True

    def _leave_out(self, found: LeftOut) -> None:
        """Note a gateway that has no room or funds when its turn comes, in place of what was noted before its turn."""
        self._forget_room(found.gateway)
        self._live_call.call_request.left.append(found)

    def _forget_room(self, gateway: RoutingGateway) -> None:
        left = self._live_call.call_request.left
        left[:] = [each for each in left if each.cause not in OF_ROOM or each.gateway.name != gateway.name]

    def _hold_vendor(self, credit: AccountCredit, choice: RouteChoice, now: Instant) -> bool:
        """Hold the first seconds of an attempt on the account of its vendor (ADR 56); False = it has too little.

        The gateway is noted then among those that were left out. A vendor of a call that is charged already charges
        from the INVITE of its own attempt.
        """
        live_call = self._live_call
        hold, rate, gateway = live_call.call_request.hold, buy_rate(choice), choice.gateway
        if hold is None or rate is None or gateway.earns:
            return True
        elapsed_s = 0 if live_call.money.ringing is None else live_call.money.ringing.elapsed_s(now)
        refusal = hold.join(credit, rate, self.vendors.first_period_s(gateway), elapsed_s)
        if refusal is None:
            return True
        self._leave_out(LeftOut(gateway, Cause.NO_FUNDS, refusal.detail))
        return False

    def _undo_places(self, choice: RouteChoice, taken: int, now: Instant) -> None:
        """Take places back for an attempt that is not made: that of its gateway, and ``taken`` of those it shares."""
        occupancy = self._live_call.services.live.occupancy
        for limit in choice.limits[:taken]:
            occupancy.undo(limit.scope, limit.name, now.mono)
        occupancy.undo(choice.gateway.scope, choice.gateway.name, now.mono)

    @property
    def occupied(self) -> Sequence[RouteChoice]:
        """The routes whose capacity is taken."""
        call = self._live_call.call
        if call.search is not None:
            return call.search.occupied
        return [] if call.callee is None or call.callee.progress.has_left else [call.callee.choice]

    def occupy_again(self) -> None:
        """Take the places of a restored call again; its money is among what it holds."""
        occupancy = self._live_call.services.live.occupancy
        for choice in self.occupied:
            occupancy.take_again(choice.gateway.scope, choice.gateway.name, None)
            for limit in choice.limits:
                occupancy.take_again(limit.scope, limit.name, None)

    def recount(self) -> None:
        """Occupy the shared limits of the catalogue in force, in place of those of the one before (ADR 209)."""
        call, call_request = self._live_call.call, self._live_call.call_request
        self.is_of_earlier_catalogue = call.search is not None or self._live_call.open_setup is not None
        if call.state is TALKING:  # it needs none any more, and would keep a whole catalogue
            self.vendors = self._live_call.services.admission.vendors
        for choice in self.occupied:
            limits = self._with_limits_in_force(choice).limits
            if limits != choice.limits:
                self._exchange_places(choice.limits, limits)
                _note_limits(call, choice.gateway.name, limits)
        mapping = call_request.mapping
        if mapping is None:
            return
        in_force = self._live_call.services.admission.catalogue.mapping_gateways.get(mapping.name)
        if in_force is not None:
            self._recount_caller(in_force)

    def _recount_caller(self, mapping: MappingGateway) -> None:
        """Occupy the limits of the groups of a mapping gateway, if the call occupies a place of that already."""
        taken, occupancy = self._live_call.call_request.taken, self._live_call.services.live.occupancy
        places = [each for each in taken if type(each) is PlaceTaken]
        own = [each for each in places if each.scope is LimitScope.MAPPING and each.name == mapping.name]
        names = {each.name for each in mapping.shared_limits} if own else set()
        for place in places:
            if place.scope is LimitScope.GROUP and place.name not in names:
                taken.remove(place)
                place.give_back()
            elif place.scope is LimitScope.GROUP:
                names.remove(place.name)
        for name in names:
            occupancy.take_again(LimitScope.GROUP, name, None)
            taken.append(PlaceTaken(occupancy, LimitScope.GROUP, name, own[0].mono_ms))

    def _with_limits_in_force(self, choice: RouteChoice) -> RouteChoice:
        """Return a route with the shared limits of the catalogue in force, where these are others.

        A line of a plan whose place an attempt occupies stays that line, as long as the attempt lasts.
        """
        admission, call_request = self._live_call.services.admission, self._live_call.call_request
        catalogue, name = admission.catalogue, choice.gateway.name
        gateways = catalogue.called_trunks if choice.gateway.is_phone else catalogue.routing_gateways
        gateway = gateways.get(name)
        if gateway is None:
            return choice
        lines = tuple(each for each in choice.limits if each.scope is LimitScope.ROUTE)
        if not (lines or call_request.targets):
            lines = admission.limits_of_line(call_request, choice.prefix, name)
        limits = (*gateway.shared_limits, *lines)
        return choice if limits == choice.limits else msgspec.structs.replace(choice, limits=limits)

    def _has_other_currency(self, choice: RouteChoice) -> bool:
        """Return whether a reload has given the account of a vendor another currency than that of the call's price.

        The account takes no entry of the call then. One that is gone keeps its currency.
        """
        rate, accounts = buy_rate(choice), self._live_call.services.admission.catalogue.accounts
        account = accounts.get(choice.gateway.account or "")
        return rate is not None and account is not None and account.currency != (rate.paid_in or rate.currency)

    def _exchange_places(self, before: Iterable[SharedLimit], after: Iterable[SharedLimit]) -> None:
        """Release the places of limits that do not hold any more, and take those of others whatever they say."""
        occupancy = self._live_call.services.live.occupancy
        left = {(each.scope, each.name) for each in before}
        for each in after:
            if (each.scope, each.name) in left:
                left.remove((each.scope, each.name))
            else:
                occupancy.take_again(each.scope, each.name, None)
        for scope, name in left:
            occupancy.release(scope, name)

    def attested(self, choice: RouteChoice) -> CallerAttestation:
        """Return what we attest of the call that is sent to a gateway, and by the key of now."""
        return attested(self._live_call.call_request, choice.caller_out, self._live_call.services.admission.catalogue)

    def vacate(self, choice: RouteChoice) -> None:
        """Release capacity and money of an attempt."""
        hold = self._live_call.call_request.hold
        if hold is not None and hold.vendors:
            hold.leave(choice.gateway.account, buy_rate(choice))
        occupancy = self._live_call.services.live.occupancy
        occupancy.release(choice.gateway.scope, choice.gateway.name)
        for limit in choice.limits:
            occupancy.release(limit.scope, limit.name)

    def attempt_rings(self, attempt: GatewayAttempt) -> None:
        """Note that a gateway rings."""
        services, call, call_request = self._live_call.services, self._live_call.call, self._live_call.call_request
        services.attempts.rings(attempt, call_request.account)
        if services.reporter is not None and call.state is not RINGING:
            services.reporter.ringing(call.arrival, call.journey, call_request)

    def attempt_over(
        self, attempt: GatewayAttempt, outcome: AttemptOutcome | None, now: Instant, *, frees_place: bool
    ) -> None:
        """Note the outcome of an unanswered attempt; ``frees_place``: release its capacity and money."""
        live_call = self._live_call
        if live_call.money.ringing is not None:
            live_call.money.ringing.attempt_over(now)
        if frees_place:
            self.vacate(attempt.choice)
        live_call.services.attempts.over(attempt, live_call.call_request.account, outcome, now)

    def addresses_of(self, gateway: RoutingGateway, now: Instant) -> Sequence[Address]:
        """Return the present addresses of a gateway that may be called, in the order to try."""
        services = self._live_call.services
        live = services.live
        addresses = gateway.fixed_addresses or live.addresses_of(gateway)
        is_resting = gateway.name in live.breakers.resting
        if is_resting:
            addresses = live.open_addresses(gateway, addresses, now.mono, is_emergency=self._live_call.is_emergency)
        if len(addresses) > 1:
            if gateway.spread:
                addresses = live.address_turns.rotated(gateway.name, addresses)
            if is_resting:
                return services.attempts.resting_last(addresses, self._live_call.call_request.account, gateway, now)
        return addresses

    def redirected_to(
        self, choice: RouteChoice, place: Address, callee: str, ported: str, now: Instant, *, only_known: bool
    ) -> NextHop | None:
        """Return the next hop for a place that a 3xx names: on the account, and within the limits, of who has named it.

        A place of another account's gateway is left out: that vendor trusts our address, and its call would be paid to
        the one that has named it. The redirect server of a phone is the operator's: what it names there is that
        gateway, with its own account, limits and blocks, also where both have the same account. What else listens on
        this machine trusts it, or is no business of a vendor: ``only_known``.
        """
        admission, call_request = self._live_call.services.admission, self._live_call.call_request
        if call_request.media_family and not place.name and self._is_out_of_reach(choice.gateway, place):
            return None  # it would be answered, and paid, without sound; a name may lead to addresses of both families
        there = self._vendors_at(place, only_known=only_known)
        if only_known and not there:
            return None
        if there and choice.gateway.name not in [each.name for each in there]:
            phone = admission.catalogue.phones.get(choice.prefix)
            if phone is not None and phone.redirect_server == choice.gateway.name:
                return self._hop_of_gateway(there[0], place, callee, now)
            if all(each.account != choice.gateway.account for each in there):
                return None
        terms = admission.catalogue.parameters.number_portability
        is_rated_by_it = terms is not None and terms.rate_by_routing_number
        is_other_number = callee != choice.callee_out or (is_rated_by_it and ported != choice.routing_number)
        found = msgspec.structs.replace(
            choice, callee_out=callee, routing_number=ported, is_redirected=choice.is_redirected or is_other_number
        )
        return found, place

    def _hop_of_gateway(self, gateway: RoutingGateway, place: Address, callee: str, now: Instant) -> NextHop | None:
        """Return a gateway at its address on the host of a place, else its first one; None = it cannot be called."""
        route = self._live_call.services.admission.route_to(self._live_call.call_request, gateway, callee, now)
        addresses = () if route is None else self.addresses_of(route.gateway, now)
        if route is None or not addresses:
            return None
        return route, next((each for each in addresses if each.host == place.host), addresses[0])

    def _is_out_of_reach(self, gateway: RoutingGateway, place: Address) -> bool:
        """Return whether a place has another IP family than the media of the caller, and these are not relayed."""
        admission, call_request = self._live_call.services.admission, self._live_call.call_request
        media, mapping, family = admission.catalogue.parameters.media, call_request.mapping, call_request.media_family
        return mapping is not None and out_of_reach(media, mapping, family, gateway, (place.host,)) is not None

    def _vendors_at(self, place: Address, *, only_known: bool) -> Sequence[RoutingGateway]:
        """Return the gateways at the host of a place; where there are any, those at its port alone.

        ``only_known``: at its port alone in any case, where a name without port is at those that it resolves to.
        """
        services, hosts = self._live_call.services, (place.host, place.name.lower())
        live, gateways = services.live, services.admission.catalogue.routing_gateways
        configured = (services.notices.vendors.get(each, ()) for each in (*hosts, *live.names_at(place.host)))
        found, fitting = [], []
        for name in dict.fromkeys(chain(*configured, services.registering_vendors)):
            gateway = gateways.get(name)
            if gateway is None:
                continue
            addresses = [each for each in (*gateway.places, *live.addresses_of(gateway)) if each.host in hosts]
            if addresses:
                found.append(gateway)
            if any(each.port == place.port or (each.port is None and not only_known) for each in addresses):
                fitting.append(gateway)
        return fitting if only_known else fitting or found

    def refused(self, attempt: GatewayAttempt, response: Response, now: Instant) -> None:
        """Note the refusal for the health of the vendor."""
        self._live_call.services.attempts.refused(attempt, self._live_call.call_request.account, response, now)


def _digits(number: str) -> str:
    """Return the digits of a number without a plus sign or zeros in front of an international one."""
    return "".join(each for each in number if each.isdigit()).lstrip("0")


def _note_limits(call: Call, gateway: str, limits: tuple[SharedLimit, ...]) -> None:
    """Note that the attempts in progress at a gateway, or its callee, occupy other shared limits than before."""
    beside = () if call.search is None else call.search.beside
    for attempt in (call.callee, *beside):
        if attempt is not None and attempt.choice.gateway.name == gateway:
            attempt.choice = msgspec.structs.replace(attempt.choice, limits=limits)
    choice = call.journey.choice
    if choice is not None and choice.gateway.name == gateway:
        call.journey.choice = msgspec.structs.replace(choice, limits=limits)


def _limits_of(choice: RouteChoice) -> tuple[SharedLimit, ...]:
    """Return all limits of an attempt: its gateway's own, and those that it shares."""
    return (choice.gateway.limits[0], *choice.limits)
