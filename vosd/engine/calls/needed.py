"""Needs of a restored call: its trunk, its gateway and all accounts that pay."""

from collections.abc import Mapping

from vosd.billing.holds import AccountCredit
from vosd.engine.calls.known import Known
from vosd.engine.calls.saved import SavedCall


def missing_for(saved: SavedCall, known: Known, credits: Mapping[str, AccountCredit]) -> str | None:
    """Return the name of something that a call needs and that is not known; None if all is there."""
    its = saved.as_received()
    request, parts, kept = its.request, its.parts, its.kept
    if request.mapping not in known.mapping_gateways:
        return f"mapping gateway {request.mapping}"
    gateways = [] if parts.callee is None else [parts.callee.choice.gateway]
    if parts.journey.choice is not None:
        gateways.append(parts.journey.choice.gateway)
    for gateway in gateways:
        if gateway not in known.called:
            return f"routing gateway {gateway}"
    if request.account not in known.accounts:
        return f"account {request.account}"
    accounts = [each.account for each in request.money]
    accounts += [party.account for party in request.agents]
    if kept is not None:
        accounts += [name for name in (kept.record.customer_account, kept.record.vendor_account) if name is not None]
    for account in accounts:
        if account not in credits:
            return f"account {account}"
    return None
