"""Explain the routing of a call without making it: it passes the same steps as a real call.

The live state is an argument: that of the running switch, or an idle one with the balances of the database. It is not
changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import UNSET

from vosd.b2bua.identity import ANONYMOUS
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal, VosError
from vosd.base.money import ZERO, format_amount, format_price
from vosd.base.number import for_matching, without_separators
from vosd.billing.holds import AccountCredit
from vosd.billing.parties import Party
from vosd.billing.rates import AppliedRate
from vosd.billing.typical import typical_price
from vosd.callcontrol.admission import route_request
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.explain import Offered, explain_routes
from vosd.callcontrol.invite_numbers import NUMBER_MAX
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.media_outlook import media_outlook
from vosd.callcontrol.questions import Step
from vosd.callcontrol.rehearsal import Rehearsal
from vosd.callcontrol.setup import STEPS
from vosd.callcontrol.signatures import WhichCertificates, attestation_outlook, verifies
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import NO_OVERRIDES, Blocks, Overrides
from vosd.cdr.ports import Standing
from vosd.cdr.shown import shown_as
from vosd.control.routes import (
    CandidateSheet,
    LeftOutSheet,
    LevelSheet,
    MediaStepSheet,
    RateSheet,
    RouteSheet,
    StepSheet,
)
from vosd.routing.access import AccessAction
from vosd.routing.route_table import RouteTable
from vosd.sip.headers import phone_context
from vosd.trunks.dialect import CalleeSource, CallerPrivacy, CallerSource
from vosd.trunks.gateways import Address, MappingGateway, RoutingGateway

OK: Final = "ok"
_HOPS_LEFT: Final = 69
_SOMEWHERE: Final = (Address("0.0.0.0", 5060),)


class UnknownGatewayError(VosError):
    """No mapping gateway with that name is configured."""


class NoNumberError(VosError):
    """The given called number is none for a call."""


def _described(rate: AppliedRate, typical_s: int) -> RateSheet:
    """Return what is shown of a sell rate: which it is, and the others that may price the call."""
    return RateSheet(
        rate_group=rate.group,
        rate_prefix=rate.rate.prefix,
        price_per_minute=format_amount(rate.price_per_minute),
        effective_price=format_price(typical_price(rate, typical_s)),
        currency=rate.paid_in or rate.currency,
        source=rate.source,
        candidates=tuple(_described(each, typical_s) for each in rate.candidates),
    )


def _offered(choice: Offered) -> CandidateSheet:
    sheet = shown_as(CandidateSheet, choice, attestation=choice.attestation or msgspec.UNSET)
    if choice.media is not None:
        sheet = msgspec.structs.replace(sheet, relayed=choice.media.is_relayed, media_step=choice.media.step)
        if choice.media.steps:
            steps = [MediaStepSheet(each.step, each.is_relayed, each.reason) for each in choice.media.steps]
            sheet = msgspec.structs.replace(sheet, media_steps=steps)
        if choice.media.encryption:
            sheet = msgspec.structs.replace(sheet, encryption=choice.media.encryption)
    quality = choice.quality
    if quality is None:
        return sheet
    return msgspec.structs.replace(
        sheet,
        asr=_rounded(quality.asr),
        acd_s=_rounded(quality.acd_s),
        ner=_rounded(quality.ner),
        pdd_ms=_rounded(quality.mean_pdd_ms),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def idle_state(
    catalogue: Catalogue,
    standings: Mapping[str, Standing] | None,
    overrides: Overrides = NO_OVERRIDES,
    expiries: Mapping[str, int] = MappingProxyType({}),
) -> LiveState:
    """Return a live state without calls; with ``standings`` None, money is not checked.

    ``expiries`` are those that the ledger has, UTC milliseconds.

    ``overrides`` are those in force; the catalogue has the values of gateways already.
    """
    credits = {}
    for account in catalogue.accounts.values():
        if standings is None:
            credits[account.id] = AccountCredit(account.id, limit=None)
        else:
            known = standings.get(account.id, Standing(ZERO, 0))
            credits[account.id] = AccountCredit(
                account.id, overrides.overdraft_limit(account), known.balance, known.seq
            )
    for name, expires_at in expiries.items():
        if name in credits:
            credits[name].expires_at = expires_at
    live = LiveState(credits, _as_far_as_known)
    live.blocks.set(overrides, catalogue)
    return live


def _as_far_as_known(gateway: RoutingGateway) -> Sequence[Address]:
    """Return the addresses of a gateway.

    A phone, and a vendor that registers, count as registered: only the running switch knows.
    """
    return _SOMEWHERE if gateway.registers else gateway.addresses


def _family_of(mapping: MappingGateway) -> int:
    """Return the address family of the media of calls: that of the sources, where these are of one alone."""
    families = {each.network.version for each in mapping.hosts}
    return families.pop() if len(families) == 1 and not mapping.named_hosts else 0


def explain_route(
    catalogue: Catalogue,
    live: LiveState,
    *,
    gateway: str,
    caller: str,
    callee: str,
    at: Instant,
    is_live: bool = True,
    is_forwarded: bool = False,
    is_withheld: bool = False,
    is_anonymous: bool = False,
    steps: tuple[Step, ...] = STEPS,
    blocks: Blocks | None = None,
    closed: Refusal | None = None,
    source: str = "",
    agent: str | None = None,
) -> RouteSheet:
    """Pass a call from ``gateway`` through admission and routing, and return the outcome.

    ``callee`` may have the gateway's tech prefix or not, and ``;phone-context=`` behind it. The gateways are listed if
    the steps get as far as the search for routes. ``blocks`` are those of ``at``; None = those of ``live``. ``is_live``
    is False for an idle state, which knows neither registrations nor the quality of gateways. ``is_forwarded``: its
    INVITE has a Diversion, ``is_withheld``: its caller withholds its number. ``is_anonymous``: From is anonymous, and
    another header has the number. ``closed`` is why a switch takes no calls now. ``source`` is the address that it
    comes from, empty = one that may call, and ``agent`` its User-Agent, None = one that is allowed.

    Raises:
        UnknownGatewayError: there is no such mapping gateway.
        NoNumberError: a call to ``callee`` is answered 484 before it is looked at.
    """
    mapping = catalogue.mapping_gateways.get(gateway)
    if mapping is None:
        message = f"no mapping gateway {gateway!r} is configured; there are {', '.join(catalogue.mapping_gateways)}"
        raise UnknownGatewayError(message)
    numbers = _Dialled(mapping.tech_prefix, caller, callee, is_forwarded, agent, is_anonymous=is_anonymous)
    if not callee or len(numbers.called()) > NUMBER_MAX:
        message = f"such a call is answered 484: a called number has 1 to {NUMBER_MAX} characters with its tech prefix"
        raise NoNumberError(message)
    rehearsal = Rehearsal(catalogue, live, mapping.account, steps, blocks)
    call = CallRequest(
        source_host=source,
        source_port=0,
        hops=_HOPS_LEFT,
        at=at,
        numbers=numbers,
        closed=closed,
        user=gateway,  # identified as if the trunk had authenticated
        media_family=_family_of(mapping),
        caller_privacy=_privacy(is_withheld=is_withheld, is_anonymous=is_anonymous),
    )
    refusal = _refused_at(source, catalogue, live) or rehearsal.put_through(call)
    sheet = RouteSheet(
        result=refusal.reason.text if refusal else OK,
        detail=refusal.detail if refusal else "",
        steps=_outcomes(steps, rehearsal.reached, is_refused=refusal is not None),
        callee_billed=call.callee_billing,
        caller_routed=call.caller,
        rate=None,
        candidates=[],
        left=[],
        unfit=0,
        agents=[*map(_level, call.agents)] or UNSET,
        unasked=[
            *(question.asked_of for question in rehearsal.questions),
            *([] if verifies(mapping, catalogue.parameters.stir) is None else [WhichCertificates.asked_of]),
        ]
        or UNSET,
    )
    if call.rate is None:
        return sheet
    table, lengths = _table_of(call, catalogue), live.quality.lengths
    request = route_request(call, table.plan, catalogue, lengths)
    routes = explain_routes(
        request,
        table,
        live.occupancy,
        live.rests,
        rehearsal.vendors(),
        max_attempts=table.plan.max_attempts or catalogue.parameters.max_attempts,
        others=catalogue.routes,
        is_live=is_live,
        outlook=lambda callee: media_outlook(
            catalogue.parameters.media, mapping, source, callee, live.addresses_of(callee)
        ),
        attestation=partial(attestation_outlook, call, catalogue),
    )
    return msgspec.structs.replace(
        sheet,
        rate=_described(call.rate, request.typical_s),
        plan=table.plan.name or None,
        order=[each.value for each in table.plan.order],
        typical_seconds=request.typical_s,
        typical_seconds_measured=call.rate.rate.prefix in lengths,
        candidates=[*map(_offered, routes.candidates)],
        left=[LeftOutSheet(each.routing_gateway, each.reason) for each in routes.left],
        unfit=routes.unfit,
    )


def _outcomes(steps: Sequence[Step], reached: Sequence[str], *, is_refused: bool) -> list[StepSheet]:
    """Return how far a call has come; a source that is refused before the first step reaches none."""
    names = [step.__name__ for step in steps]
    passed = reached[:-1] if is_refused else reached
    return [
        StepSheet(name, "passed" if name in passed else "refused" if name in reached else "not_reached")
        for name in names
    ]


def _privacy(*, is_withheld: bool, is_anonymous: bool) -> CallerPrivacy:
    if is_anonymous:
        return CallerPrivacy.ANONYMOUS
    return CallerPrivacy.WITHHELD if is_withheld else CallerPrivacy.SHOWN


def _refused_at(source: str, catalogue: Catalogue, live: LiveState) -> Refusal | None:
    """Return why the requests of an address are dropped or refused before anything else of them is read."""
    if not source:
        return None
    decision = catalogue.parameters.access.signalling(source, live.country_of)
    if decision.action is AccessAction.ALLOW:
        return None
    gets = "refused with 403" if decision.action is AccessAction.BLOCK else "dropped without an answer"
    return Refusal(EndReason.GEOFENCE_BLOCKED, 403, f"{gets}: {decision.why}")


def _level(party: Party) -> LevelSheet:
    rate = party.applied
    return LevelSheet(party.account, party.level, rate.group, rate.rate.prefix, format_amount(rate.price_per_minute))


def _table_of(call: CallRequest, catalogue: Catalogue) -> RouteTable:
    """Return where the call goes, as ``Admission.find_routes`` does."""
    plan = (call.mapping and call.mapping.routing_plan) or (call.account and call.account.routing_plan)
    return catalogue.plans[plan] if plan else catalogue.routes


class _Dialled:
    """Numbers of an imaginary call; the called one may lack the tech prefix of its gateway."""

    is_withheld = False
    """The question says it, for all headers."""

    def __init__(
        self, tech_prefix: str, caller: str, callee: str, is_forwarded: bool, agent: str | None, *, is_anonymous: bool
    ) -> None:
        self._caller, self._is_forwarded, self._agent = caller, is_forwarded, agent
        self._is_anonymous = is_anonymous
        callee, self.context = phone_context.read(callee)
        number = without_separators(callee)
        has_prefix = number.startswith(tech_prefix) or for_matching(number).startswith(tech_prefix)
        self._callee = callee if has_prefix else tech_prefix + callee

    def called(self, _source: CalleeSource = CalleeSource.REQUEST_URI) -> str:
        return self._callee

    def calling(self, order: Iterable[CallerSource]) -> str:
        return ANONYMOUS if self._is_anonymous and {*order} == {CallerSource.FROM} else self._caller

    def is_forwarded(self) -> bool:
        return self._is_forwarded

    def agent(self) -> str | None:
        return self._agent

    def media_hosts(self) -> tuple[str, ...]:
        return ()
