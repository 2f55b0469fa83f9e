"""What a restored call needs of the configuration in force: its trunk, its gateway and all accounts that pay."""

from vosd.engine.calls.saved import SavedCall
from vosd.engine.calls.services import CallServices


def missing_for(saved: SavedCall, services: CallServices) -> str | None:
    """Return the name of something that a call needs and that is not configured any more; None if all is there."""
    catalogue, credits = services.admission.catalogue, services.live.credits
    request, parts, kept = saved.request, saved.parts, saved.kept
    if request.mapping not in catalogue.mapping_gateways:
        return f"mapping gateway {request.mapping}"
    gateways = [] if parts.callee is None else [parts.callee.choice.gateway]
    if parts.journey.choice is not None:
        gateways.append(parts.journey.choice.gateway)
    for gateway in gateways:
        if gateway not in catalogue.routing_gateways:
            return f"routing gateway {gateway}"
    if request.account not in catalogue.accounts:
        return f"account {request.account}"
    accounts = [name for name, _ in (*request.holds_above, *request.holds_of_vendors)]
    accounts += [party.account for party in request.agents]
    if kept is not None:
        accounts += [name for name in (kept.record.customer_account, kept.record.vendor_account) if name is not None]
    for account in accounts:
        if account not in credits:
            return f"account {account}"
    return None
