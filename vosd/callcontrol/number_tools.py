"""Steps of the set-up that look at numbers: the caller, number portability, the external redirect server.

The order of all steps is ``setup.STEPS``; the rules of the blacklist are in ``routing.dynamic_lists``. The other two
ask a question, which ``engine.lookups`` answers; nothing is decided here that depends on how the server is reached.
"""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Final

from vosd.b2bua.ports import SetupAnswer
from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.base.number import for_matching, without_end_signs
from vosd.billing.free_numbers import FREE_NUMBER
from vosd.callcontrol.admission import Admission, StepOutOfOrderError, permitted_caller
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.dids import ring_did
from vosd.callcontrol.invite_numbers import InviteNumbers
from vosd.callcontrol.questions import Ask, Outcome, SetupQuestion
from vosd.routing.dynamic_lists import ListedCaller
from vosd.routing.lookups import PortabilityTerms, RedirectTarget
from vosd.trunks.gateways import RoutingGateway

NO_CALLER: Final = frozenset({"", "anonymous"})
"""Calling numbers that do not say who calls: such calls are not counted together."""
NO_PORTABILITY: Final = Refusal(EndReason.NO_AVAILABLE_ROUTE, 503, "the lookup of the number gave no answer")
NOT_REDIRECTED: Final = Refusal(EndReason.NO_AVAILABLE_ROUTE, 503, "the redirect server named no gateway")
_UNIDENTIFIED: Final = "the call is not identified yet"


class RoutingNumber(SetupAnswer, frozen=True):
    """The number by which calls to another one are routed; empty = it is not ported."""

    number: str


class WhichRoutingNumber(SetupQuestion, frozen=True):
    """By which number are calls to this one routed?"""

    answered_by: ClassVar[type[SetupAnswer]] = RoutingNumber
    asked_of: ClassVar[str] = "number_portability"
    number: str
    """Without leading ``+``."""
    customer: str = ""
    """Account of the call: numbers of one customer that the server fails at do not keep it from those of others."""


class Redirected(SetupAnswer, frozen=True):
    """The gateways that a redirect server has named, in order; none = it has named none that is known."""

    targets: tuple[RedirectTarget, ...]


class WhereTo(SetupQuestion, frozen=True):
    """Through which gateways does a call go?"""

    answered_by: ClassVar[type[SetupAnswer]] = Redirected
    asked_of: ClassVar[str] = "redirect_server"
    callee: str
    caller: str
    hops: int
    """Max-Forwards of the request."""
    timeout_ms: int


def check_caller(admission: Admission, call: CallRequest) -> Refusal | None:
    """Refuse a caller that is on the dynamic blacklist, or count its call, which may put it there.

    The caller is counted by the number that it had before rules rewrote it. Calls to emergency numbers are not counted:
    only behind the rewriting of the called number is it known whether the call is one.
    """
    gateway = call.mapping
    if gateway is None:
        raise StepOutOfOrderError(_UNIDENTIFIED)
    limits = gateway.dynamic_blacklist or admission.catalogue.parameters.dynamic_blacklist
    if limits is None or not limits.enabled:
        return None
    if admission.catalogue.parameters.special_numbers.is_emergency(call.callee_billing):
        return None
    caller = for_matching(permitted_caller(gateway, call.caller_in))
    if caller.lower() in NO_CALLER:
        return None
    counted = admission.live.dynamic_lists.take(gateway.name, caller, for_matching(call.callee), limits, call.at)
    if isinstance(counted, ListedCaller):
        return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, str(counted))
    call.counted = counted
    call.taken.append(counted)
    return None


def find_routing_number(admission: Admission, call: CallRequest) -> Outcome:
    """Find the number by which a ported number is routed: the INVITE has it, or it is looked up.

    A number of the inventory is not looked up: the inventory says what it rings. An emergency number is not ported.
    """
    gateway, parameters = call.mapping, admission.catalogue.parameters
    terms = parameters.number_portability
    if gateway is None:
        raise StepOutOfOrderError(_UNIDENTIFIED)
    if admission.catalogue.dids is not None:
        refusal = ring_did(admission.catalogue.dids, admission, call)
        if refusal is not None:
            return refusal
    is_emergency = call.callee_billing in parameters.special_numbers.emergency
    if gateway.accept_routing_number and not is_emergency:
        sent = call.numbers.portability() if isinstance(call.numbers, InviteNumbers) else call.portability
        if sent.is_looked_up and not sent.is_unusable:
            route_by(sent.routing_number, terms, call)
            return None
    if terms is None or not terms.asks or not gateway.ask_number_portability or call.did:
        return None
    number = without_end_signs(for_matching(call.callee))
    if is_emergency or not _may_be_ported(number, terms, admission):
        return None
    if not terms.rate_by_routing_number:
        # The rate is that of the dialled number, so a call without rate or money causes no query, which may be paid.
        refusal = admission.find_sell_rate(call)
        if refusal is not None or not _can_pay(admission, call):
            return refusal
    otherwise = None if terms.fail_open else NO_PORTABILITY
    question = WhichRoutingNumber(number, gateway.account)
    return Ask(question, terms.timeout_ms, otherwise, partial(_looked_up, terms, call))


def _may_be_ported(number: str, terms: PortabilityTerms, admission: Admission) -> bool:
    """Return whether a number is looked up: no name, which servers refuse, and no number of ours."""
    if not (number.isascii() and number.isdigit()) or admission.catalogue.routes.phone(number) is not None:
        return False
    return not terms.prefixes or number.startswith(terms.prefixes)


def ask_redirect_server(admission: Admission, call: CallRequest) -> Outcome:
    """Ask the external redirect server which gateways may be tried; numbers of the inventory say it themselves.

    Without an answer, the switch routes calls to emergency numbers itself, whatever ``fail_open`` says.
    """
    parameters, gateway = admission.catalogue.parameters, call.mapping
    terms = parameters.redirect_server
    if terms is None or call.did:
        return None
    if gateway is None:
        raise StepOutOfOrderError(_UNIDENTIFIED)
    if not gateway.ask_redirect_server or admission.catalogue.routes.phone(call.callee) is not None:
        return None
    question = WhereTo(call.callee, call.caller, call.hops, terms.timeout_ms)
    is_open = terms.fail_open or parameters.special_numbers.is_emergency(call.callee_billing)
    otherwise = None if is_open else NOT_REDIRECTED
    known = admission.catalogue.routing_gateways
    return Ask(question, terms.timeout_ms, otherwise, partial(_redirected, known, otherwise, call))


def _can_pay(admission: Admission, call: CallRequest) -> bool:
    """Return whether the customer has the money that ``Admission.take_hold`` will hold."""
    gateway, account, rate = call.mapping, call.account, call.rate
    if gateway is None or account is None or rate is None:
        raise StepOutOfOrderError(_UNIDENTIFIED)
    if rate.group == FREE_NUMBER:
        return True
    catalogue = admission.catalogue
    limits = [catalogue.parameters.max_call_seconds, account.max_call_seconds, gateway.max_call_seconds, call.longest_s]
    agents = (catalogue.accounts.get(party.account) for party in call.agents)  # one may be gone behind a restart
    limits += [agent.max_call_seconds for agent in agents if agent is not None]
    longest_s = min(limit_s for limit_s in limits if limit_s is not None)
    trial = admission.live.credits[account.id].copied()
    return not isinstance(trial.hold(rate, account.advance_s, longest_s), Refusal)


def _looked_up(terms: PortabilityTerms, call: CallRequest, answer: SetupAnswer) -> None:
    if isinstance(answer, RoutingNumber):
        route_by(answer.number, terms, call)


def route_by(number: str, terms: PortabilityTerms | None, call: CallRequest) -> None:
    """Route a call by another number, and rate it by that number where the terms say so; empty = it is not ported."""
    call.routing_number = number
    if number and terms is not None and terms.rate_by_routing_number:
        call.callee_billing = call.callee_rated = for_matching(number)


def _redirected(
    known: Mapping[str, RoutingGateway], otherwise: Refusal | None, call: CallRequest, answer: SetupAnswer
) -> Refusal | None:
    """Take the gateways that were named, without those that a reload has added since the question."""
    targets = answer.targets if isinstance(answer, Redirected) else ()
    call.targets = tuple(each for each in targets if each.gateway in known)
    return None if call.targets else otherwise
