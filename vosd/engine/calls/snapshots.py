"""Views of live calls for people. A snapshot is a copy: it does not give access to the call."""

from collections.abc import Iterable

from vosd.base.clock import Instant
from vosd.cdr.columns import iso_utc
from vosd.control.calls import CallSnapshot
from vosd.engine.calls.live_call import LiveCall


def accounts_of(calls: Iterable[LiveCall]) -> set[str]:
    """Return the accounts of the customers, agents and vendors of calls."""
    found: set[str] = set()
    for carried in calls:
        call_request, choice = carried.call_request, carried.call.journey.choice
        if call_request.account is not None:
            found.add(call_request.account.id)
            found.update(agent.account for agent in call_request.agents)
        if choice is not None and choice.gateway.account is not None:
            found.add(choice.gateway.account)
    return found


def snapshot(carried: LiveCall, now: Instant) -> CallSnapshot:
    """Return the view of a call at ``now``."""
    call, call_request = carried.call, carried.call_request
    journey, arrival = call.journey, call.arrival
    gateway = journey.choice.gateway if journey.choice is not None else None
    answered_at = journey.answered_at
    return CallSnapshot(
        call_id=arrival.call_id,
        state=call.state.name.lower(),
        mapping_gateway=call_request.mapping.name if call_request.mapping is not None else None,
        routing_gateway=gateway.name if gateway is not None else None,
        customer_account=call_request.account.id if call_request.account is not None else None,
        vendor_account=gateway.account if gateway is not None else None,
        caller=arrival.caller_in,
        callee=call_request.callee_billing,
        started_at=iso_utc(arrival.at.wall),
        answered_at=None if answered_at is None else iso_utc(arrival.at.wall + answered_at.mono - arrival.at.mono),
        age_s=(now.mono - arrival.at.mono) // 1_000,
        talk_s=(now.mono - answered_at.mono) // 1_000 if answered_at is not None else None,
    )
