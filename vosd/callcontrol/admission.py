"""Steps of admission: each checks a call request, and reserves what the call occupies while it lasts.

Their order is ``setup.STEPS``. What the steps reserve (capacity, money) is listed in ``CallRequest.taken``, so that a
later refusal releases all of it. The only state is the live counters.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal, VosError
from vosd.base.host import bracketed
from vosd.base.margin import LossGuard
from vosd.base.money import ZERO
from vosd.base.number import for_matching, is_unambiguous, without_separators
from vosd.billing.call_hold import CallHold
from vosd.billing.free_numbers import FREE_NUMBER
from vosd.billing.holds import AccountHold
from vosd.billing.ports import Rates
from vosd.callcontrol.access import access_objection
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.destinations import watched_call
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.payers import hold_agents, occupy_payers, payers_objection
from vosd.callcontrol.sell_rate import no_rate, of_allowed_type, rated_agents
from vosd.callcontrol.taken import PlaceTaken
from vosd.callcontrol.vendor_terms import LiveVendors, price_in
from vosd.catalogue.catalogue import Catalogue
from vosd.routing.identify import identified_by_proof
from vosd.routing.lookups import RedirectTarget
from vosd.routing.pipeline import Destination, RouteChoice, RouteRequest, find_routes
from vosd.routing.plan import RoutingPlan
from vosd.routing.ports import Full
from vosd.routing.ring_groups import in_group
from vosd.routing.route_table import RouteTable
from vosd.sip.headers.phone_context import global_beginning
from vosd.stir.terms import Verstat
from vosd.trunks.dialect import CallerPrivacy
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.number_rules import IncomingNumbers
from vosd.trunks.scope import SharedLimit

VERIFIED: Final = Verstat.PASSED.value
_UNIDENTIFIED: Final = "the call is not identified yet"
_NO_GUARD: Final = LossGuard(min_margin=None, max_price_per_second=None)


class StepOutOfOrderError(VosError):
    """A step needs the result of a later one: the list of the steps is wrong."""


def route_request(
    call: CallRequest, plan: RoutingPlan, catalogue: Catalogue, lengths: Mapping[str, int]
) -> RouteRequest:
    """Return what the search for routes needs to know of a call that has passed the steps before.

    ``lengths`` has how long calls lasted lately, by prefix of the customer's rate (``Quality.lengths``).
    """
    mapping, account, rate = call.mapping, call.account, call.rate
    if mapping is None or account is None or rate is None:
        raise StepOutOfOrderError("the call has no rate yet")
    sold = call.agents[-1].applied if call.agents else rate  # what agents charge below the last one is not ours
    currency, currencies, prices = sold.paid_in or sold.currency, catalogue.currencies, catalogue.typical_prices
    guard = mapping.loss_guard or account.loss_guard or plan.loss_guard
    if rate.group == FREE_NUMBER and guard.min_margin is not None:
        guard = msgspec.structs.replace(guard, min_margin=None)  # it is sold for nothing on purpose
    parameters = catalogue.parameters
    is_emergency = parameters.special_numbers.is_emergency(call.callee_billing)
    if is_emergency:
        guard = _NO_GUARD
    typical_s = lengths.get(rate.rate.prefix) or parameters.typical_seconds
    request = RouteRequest(
        call.callee,
        call.caller,
        call.at,
        account.id,
        mapping.name,
        prices[0 if guard.by_price else typical_s][sold],
        currency,
        guard,
        account.partner,
        mapping.gateways_allow,
        mapping.gateways_deny,
        mapping.is_selective,
        sell=sold,
        typical_s=typical_s,
        price_of=prices.price  # type: ignore[arg-type]  # terms are rates: ``LiveVendors`` gave them out
        if currencies.is_empty
        else partial(price_in, prices, currencies, currency, call.at.wall),
        meets_currencies=not currencies.is_empty,
        caller_privacy=call.caller_privacy,
        is_emergency=is_emergency,
    )
    if call.media_family:
        request = msgspec.structs.replace(request, media_family=call.media_family)
    if call.verstat == VERIFIED:
        request = msgspec.structs.replace(request, is_verified=True)
    if call.required_types:
        request = msgspec.structs.replace(request, required_types=frozenset(call.required_types), is_selective=True)
    if call.routing_number or call.targets or call.callee_rated:
        return _answered(request, call, catalogue)
    return request


def _answered(request: RouteRequest, call: CallRequest, catalogue: Catalogue) -> RouteRequest:
    """Return a request with the rated number and what was named; a gateway or phone that is gone is left out."""
    return msgspec.structs.replace(
        request,
        routing_number=call.routing_number,
        callee_rated=call.callee_rated,
        is_given=bool(call.did),
        targets=tuple(_destinations(call.targets, catalogue)),
    )


def _destinations(targets: Sequence[RedirectTarget], catalogue: Catalogue) -> Iterator[Destination]:
    """Yield the gateways that were named, and called halves of phones and of trunks that register.

    A phone is called as by its own number: its redirect server is asked first, and its offline gateway comes last. Of
    several phones none has its redirect server asked, and the offline gateway of the last one comes last. These
    gateways are sent the number of the phone: a vendor would return a call to the one of the inventory to us.
    """
    for place, target in enumerate(targets, start=1):
        gateway = catalogue.routing_gateways.get(target.gateway) or catalogue.called_trunks.get(target.gateway)
        if gateway is not None:
            yield Destination(gateway, target.callee)
            continue
        is_rung = False
        for candidate in catalogue.routes.of_phone(target.gateway):
            gateway, callee = candidate.gateway, candidate.prefix
            if gateway.is_phone:
                is_rung, callee = True, target.callee
                gateway = gateway if target.group is None else in_group(gateway, target.group)
            elif len(targets) > 1 and (place < len(targets) or not is_rung):
                continue
            yield Destination(gateway, callee, candidate.prefix)


def permitted_caller(gateway: MappingGateway, received: str) -> str:
    """Return the calling number that may be presented, without visual separators; no rule has rewritten it."""
    caller = without_separators(received)
    return caller if gateway.caller_numbers is None else gateway.caller_numbers.permitted(caller)


class Admission:
    """The steps, over one catalogue and the live state."""

    def __init__(self, catalogue: Catalogue, live: LiveState) -> None:
        self.catalogue = catalogue
        self.live = live
        self.vendors = LiveVendors(catalogue, live)

    def identify(self, call: CallRequest) -> Refusal | None:
        """Find the mapping gateway by its login, else by source address; remove its tech prefix."""
        numbers = call.numbers
        if numbers is None:
            raise StepOutOfOrderError("the call is identified already")
        if call.user:
            gateway = self.catalogue.mapping_gateways.get(call.user)
            found = None if gateway is None else identified_by_proof(gateway, numbers.called)
        else:
            found = self.catalogue.sources.identify(call.source_host, call.source_port, numbers.called)
        if found is None:
            who = call.user or f"{bracketed(call.source_host)}:{call.source_port}"
            return Refusal(EndReason.UNKNOWN_SOURCE, 403, f"no mapping gateway for {who}")
        gateway, callee = found.gateway, found.callee
        if self.catalogue.overridden:
            gateway = self.catalogue.overridden.get(gateway.name, gateway)
        call.mapping, call.callee_in, call.callee = gateway, found.dialled, callee
        call.callee_billing = for_matching(callee)
        caller = call.caller_in = numbers.calling(gateway.dialect.caller_from)
        if numbers.is_withheld and not call.caller_privacy:
            call.caller_privacy = CallerPrivacy.WITHHELD
        is_plain = gateway.caller_numbers is None and caller.isdigit()
        call.caller = caller if is_plain else permitted_caller(gateway, caller)
        call.account = self.catalogue.accounts[gateway.account]
        if gateway.credentials is not None and not call.user:
            return Refusal(EndReason.AUTHENTICATION_FAILED, 401, f"{gateway.name} has proven nothing")
        if gateway.certificate_names and not call.user:
            return Refusal(EndReason.AUTHENTICATION_FAILED, 403, f"{gateway.name} has shown no certificate")
        if callee[:4] == "urn:":
            return self._dial_service(call)
        parameters, account = self.catalogue.parameters, call.account
        if gateway.countries or account.countries or account.user_agents or parameters.access.judges_sdp:
            refusal = access_objection(call, gateway, account, numbers, parameters, self.live.country_of)
            if refusal is not None and not self.is_emergency(call):
                return refusal
        return self._put_in_context(call, numbers.context) if numbers.context else None

    def is_emergency(self, call: CallRequest) -> bool:
        """Return whether a call is one to an emergency number, as dialled or as its gateway's rules will rewrite it.

        For the steps before ``bill_number``; behind it the billed number says it.
        """
        numbers, gateway = self.catalogue.parameters.special_numbers, call.mapping
        if gateway is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
        if numbers.is_emergency(call.callee_billing):
            return True
        callee, digits = call.callee, gateway.billing_strip_digits
        if digits is None:
            digits = numbers.strip_digits
        if gateway.numbers is not None:
            callee = self.catalogue.incoming[gateway.name].callee(callee, self.live.draw)
        return numbers.is_emergency(numbers.billed(for_matching(callee), digits))

    def _dial_service(self, call: CallRequest) -> Refusal | None:
        """Call the number that is configured for an emergency service, or refuse it.

        416 lets the phone dial a number instead (RFC 3261 section 8.1.3.5).
        """
        number = self.catalogue.parameters.special_numbers.number_of_service(call.callee)
        if number is None:
            why = f"{call.callee} is none of routing.emergency_services"
            return Refusal(EndReason.NUMBER_NOT_ALLOWED, 416, why)
        call.callee = call.callee_billing = number
        return None

    def _put_in_context(self, call: CallRequest, context: str) -> Refusal | None:
        """Make a local number global by its phone-context, or refuse it in a domain that is not ours.

        Global numbers and emergency numbers are the same in every context.
        """
        number, parameters, gateway = call.callee, self.catalogue.parameters, call.mapping
        if not number or number[0] == "+" or number in parameters.special_numbers.emergency or gateway is None:
            return None
        beginning = global_beginning(context)
        if beginning is None:
            name = context.lower().removesuffix(".")
            if name in parameters.local_domains or name in self.catalogue.domains:
                return None
            why = f"phone-context {context} is none of routing.local_domains"
            return Refusal(EndReason.NO_AVAILABLE_ROUTE, 404, why)
        if not beginning:
            return Refusal(EndReason.NO_AVAILABLE_ROUTE, 404, f"phone-context {context} is no number")
        call.callee = beginning + number
        call.callee_in = gateway.tech_prefix + call.callee
        call.callee_billing = for_matching(call.callee)
        return None

    def check_open(self, call: CallRequest) -> Refusal | None:
        """Refuse the calls of a disabled or blocked gateway, and all calls while the switch accepts none.

        Both are known sources, which get an answer and a record; unknown ones were refused by ``identify``.
        """
        gateway = call.mapping
        if gateway is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
        if not gateway.enabled:
            return Refusal(EndReason.ACCOUNT_DISABLED, 403, f"mapping gateway {gateway.name} is disabled")
        if gateway.name in self.live.blocks.callers:
            why = f"mapping gateway {gateway.name} is blocked {self.live.blocks.callers[gateway.name]}"
            return Refusal(EndReason.ACCOUNT_DISABLED, 403, why)
        return call.closed

    def check_loop(self, call: CallRequest) -> Refusal | None:
        """Refuse a call that goes in a circle (482), or has passed too many hops (483)."""
        if call.looped is None and call.hops < 0:
            return Refusal(EndReason.LOOP, 483, "Max-Forwards is used up")
        return call.looped

    def check_gateway(self, call: CallRequest) -> Refusal | None:
        """Reserve capacity of the mapping gateway and its groups."""
        gateway = call.mapping
        if gateway is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
        occupancy, mono_ms = self.live.occupancy, call.at.mono
        for scope, name, max_concurrent, max_cps in gateway.limits:
            full = occupancy.take(scope, name, max_concurrent, max_cps, mono_ms)
            if full is Full.CONCURRENCY:
                return Refusal(EndReason.GATEWAY_CAPACITY, 503, f"{name} has its {max_concurrent} calls")
            if full is Full.RATE:
                return Refusal(EndReason.GATEWAY_RATE_LIMIT, 503, f"{name}: {max_cps} calls a second")
            call.taken.append(PlaceTaken(occupancy, scope, name, mono_ms))
        return None

    def check_number(self, call: CallRequest) -> Refusal | None:
        """Refuse a call without a number behind the tech prefix, or without the tech prefix that is required.

        Where the mapping gateway has rules for numbers, those received are checked by its length and lists, and then
        rewritten: the call is rated and routed by the new ones. Text that prefixes and a vendor may read as different
        numbers is refused: the call would be sold, limited and blocked as another one than is made. Signs that the
        rules have written are not the caller's choice, and pass.
        """
        if not call.callee_billing:
            return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, "no number is left behind tech prefix and plus sign")
        gateway, dialled = call.mapping, call.callee
        if gateway is not None and gateway.numbers is not None:
            refusal = self._rewrite(call, gateway, gateway.numbers)
            if refusal is not None:
                return refusal
        number = call.callee_billing
        if (number.isdecimal() and number.isascii()) or is_unambiguous(number):
            return None
        if self.catalogue.routes.phone(number) is not None:
            return None
        if gateway is not None and gateway.numbers is not None:
            left = self.catalogue.incoming[gateway.name].callee_without_own_signs(dialled)
            if is_unambiguous(for_matching(without_separators(left))):
                return None  # the operator's rules have written the signs, such as one behind the prefix of a vendor
        return Refusal(EndReason.NUMBER_NOT_ALLOWED, 484, f"{number} begins like a number and is none")

    def _rewrite(self, call: CallRequest, gateway: MappingGateway, numbers: IncomingNumbers) -> Refusal | None:
        """Apply the length, the lists and the rules of a mapping gateway."""
        live, rules = self.live, self.catalogue.incoming[gateway.name]
        form = numbers.caller_format
        if form is not None and not form.fits(call.caller) and not self.is_emergency(call):
            if not form.replacement:
                why = f"{gateway.name}: calling number {call.caller or 'none'} has not the form of caller_format"
                return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, why)
            call.caller = form.replacement
        objection = rules.objection(call.callee, call.caller)
        if objection is not None and self.is_emergency(call):
            objection = rules.emergency_objection(call.callee)
        if objection is None:
            callee, call.caller = rules.applied(
                call.callee,
                call.caller,
                live.draw,
                lambda pool: None if self.is_emergency(call) else live.take_number(pool),
            )
            call.callee = without_separators(callee)
            call.callee_billing = for_matching(call.callee)
            objection = None if call.callee_billing else "callee_rewrite leaves no number"
        return None if objection is None else Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, f"{gateway.name}: {objection}")

    def check_account(self, call: CallRequest) -> Refusal | None:
        """Refuse what may not be charged to the account and the agents above it; reserve capacity of them."""
        account, catalogue, live = call.account, self.catalogue, self.live
        if account is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
        objection = payers_objection(call, account, catalogue, live)
        if objection is not None:
            return objection
        if (account.destination_limits or account.new_destination_alarm) and call.rate is None:
            call.watched = watched_call(account, call.callee_billing, call.at.wall, catalogue, live)
            if call.watched is not None:
                call.taken.append(call.watched)
        return occupy_payers((account, *catalogue.agents.get(account.id, ())), call.at, live, call.taken)

    def find_sell_rate(self, call: CallRequest) -> Refusal | None:
        """Find the customer's rate; a call without one is refused, and one of a type that the account may not call."""
        gateway, account = call.mapping, call.account
        if gateway is None or account is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
        if call.rate is not None:
            return None  # a free number
        choices = self.catalogue.customer_rates
        group: Rates | None = choices.get(gateway.name) if choices else None
        if group is None:
            name = gateway.rate_group or account.rate_group
            group = None if name is None else self.catalogue.rate_groups[name]
        number, in_front = call.callee_rated or call.callee, call.forward_prefix
        if in_front:
            number = in_front + for_matching(number)
        caller = "" if call.caller_privacy else call.caller
        call.rate = None if group is None else group.find(number, call.at.wall, caller, in_front)
        if call.rate is None:
            return no_rate(group, number, call.at.wall, in_front + call.callee_billing)
        if account.rate_types:
            allowed = of_allowed_type(account, call.rate)
            if isinstance(allowed, Refusal):
                return allowed
            call.rate = allowed
        if account.id in self.catalogue.agents:
            agents = self.catalogue.agents[account.id]
            found = rated_agents(agents, self.catalogue.rates_of, number, call.at.wall, caller, in_front)
            if isinstance(found, Refusal):
                return found
            call.agents = found
        return None

    def find_routes(self, call: CallRequest) -> Refusal | None:
        """Find the routing gateways that may be tried."""
        mapping, account, live = call.mapping, call.account, self.live
        if mapping is None or account is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
        plan = mapping.routing_plan or account.routing_plan
        table = self.catalogue.routes if plan is None else self.catalogue.plans[plan]
        request = route_request(call, table.plan, self.catalogue, live.quality.lengths)
        routes = find_routes(request, table, live.occupancy, live.rests, self.vendors, call.left)
        if isinstance(routes, Refusal):
            return routes
        call.choices, call.searched = routes, request
        one_in = self.catalogue.parameters.verdicts_one_in
        call.is_sampled = one_in > 0 and call.at.mono % one_in == 0
        return None

    def route_to(self, call: CallRequest, gateway: RoutingGateway, callee: str, now: Instant) -> RouteChoice | None:
        """Return the route of a call that has been routed to another gateway; None = that does not take it now."""
        table, live = self.table_of(call), self.live
        request = msgspec.structs.replace(
            route_request(call, table.plan, self.catalogue, live.quality.lengths),
            targets=(Destination(gateway, callee),),
            is_given=True,
        )
        request.examine_at(now, looks_ahead=True)
        routes = find_routes(request, table, live.occupancy, live.rests, self.vendors, call.left)
        return None if isinstance(routes, Refusal) else next(routes)

    def table_of(self, call: CallRequest) -> RouteTable:
        """Return the gateways that calls of its trunk, or else of its account, may use.

        All may be used where a reload has removed the plan of a call that is in progress.
        """
        mapping, account = call.mapping, call.account
        if mapping is None or account is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
        return self.catalogue.plans.get(mapping.routing_plan or account.routing_plan or "", self.catalogue.routes)

    def limits_of_line(self, call: CallRequest, prefix: str, gateway: str) -> tuple[SharedLimit, ...]:
        """Return the limit of the line of its plan that leads calls of a prefix to a gateway; none = it has none."""
        mapping, account = call.mapping, call.account
        plan = "" if mapping is None or account is None else mapping.routing_plan or account.routing_plan or ""
        table = self.catalogue.plans.get(plan)
        limit = None if table is None else table.limits.get((prefix, gateway))
        return () if limit is None else (limit,)

    def take_hold(self, call: CallRequest) -> Refusal | None:
        """Hold the money of the first seconds."""
        gateway, account, rate = call.mapping, call.account, call.rate
        if gateway is None or account is None or rate is None:
            raise StepOutOfOrderError("the call has no rate yet")
        ceiling_s = self.catalogue.parameters.max_call_seconds
        for limit_s in (account.max_call_seconds, gateway.max_call_seconds, call.longest_s):
            if limit_s is not None and limit_s < ceiling_s:
                ceiling_s = limit_s
        for party in call.agents:
            agent = self.catalogue.accounts.get(party.account)
            if agent is not None and agent.max_call_seconds is not None:
                ceiling_s = min(ceiling_s, agent.max_call_seconds)
        credit = self.live.credits[account.id]
        if rate.group == FREE_NUMBER:  # whatever the account has
            hold: AccountHold | Refusal = credit.resume(rate, ZERO, ceiling_s)
        else:
            hold = credit.hold(rate, account.advance_s, ceiling_s)
        if isinstance(hold, Refusal):
            return hold
        call.hold = CallHold([hold], hold.granted_s, ceiling_s)
        call.taken.append(call.hold)
        return hold_agents(call.hold, call.agents, self.catalogue.accounts, self.live) if call.agents else None
