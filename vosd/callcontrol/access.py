"""Checks of the origin of a call: countries and agents of its account, and the addresses of its media."""

from collections.abc import Iterable

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.billing.accounts import Account
from vosd.callcontrol.call_request import CallRequest, Numbers
from vosd.catalogue.parameters import CallParameters
from vosd.routing.access import AccessAction, AccessRules, AccessScope, CountryOf, agent_objection, country_objection
from vosd.trunks.gateways import MappingGateway


def access_objection(
    call: CallRequest,
    gateway: MappingGateway,
    account: Account,
    numbers: Numbers,
    parameters: CallParameters,
    country_of: CountryOf,
) -> Refusal | None:
    """Return why a call is refused for where it comes from, or for its agent.

    Calls to emergency numbers are judged by it, too: who asks lets them pass (``Admission.is_emergency``).
    """
    refusal = origin_objection(call.source_host, gateway, account, numbers, country_of)
    if refusal is not None or not parameters.access.judges_sdp:
        return refusal
    why = media_objection(numbers.media_hosts(), parameters.access, country_of)
    return Refusal(EndReason.GEOFENCE_BLOCKED, 403, why) if why else None


def origin_objection(
    host: str, gateway: MappingGateway, account: Account, numbers: Numbers, country_of: CountryOf
) -> Refusal | None:
    """Return why an INVITE from ``host`` is refused for its country, or for its agent; an empty host has no country."""
    countries = gateway.countries or account.countries
    if countries and host:
        why = country_objection(host, countries, country_of)
        if why:
            return Refusal(EndReason.GEOFENCE_BLOCKED, 403, f"{gateway.name}: {why}")
    if account.user_agents:
        agent = numbers.agent()
        why = "" if agent is None else agent_objection(agent, account.user_agents)
        if why:
            return Refusal(EndReason.USER_AGENT_NOT_ALLOWED, 403, f"account {account.id}: {why}")
    return None


def media_objection(hosts: Iterable[str], access: AccessRules, country_of: CountryOf) -> str:
    """Return why one of these addresses may have no media of a caller; empty = they all may."""
    for host in sorted(hosts):
        decision = access.by_rules(AccessScope.SDP, host, country_of)
        if decision is not None and decision.action is AccessAction.BLOCK:
            return f"media at {host}: {decision.why}"
    return ""
