"""Views of live calls for people. A snapshot is a copy: it does not give access to the call."""

from collections import Counter
from collections.abc import Container, Iterable

from vosd.b2bua.attempt import leg_of
from vosd.b2bua.leg import Leg
from vosd.b2bua.stamps import Ending
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.base.money import format_amount
from vosd.callcontrol.bookkeeping import conclude, draft
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import CallRecord
from vosd.control.calls import AccountCalls, CallDescription, CallSnapshot, LegRow
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.money_of_call import opened_now
from vosd.sip.dialog.session_wish import Side


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


class CallCounts:
    """Numbers of calls of accounts, as customers and as vendors; a call of an account to itself is its customer's."""

    def __init__(self, accounts: Container[str] | None = None) -> None:
        """``accounts``: only calls of these are counted; None = those of all."""
        self._accounts = accounts
        self._paid: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()

    def add(self, calls: Iterable[LiveCall]) -> None:
        """Count calls, but those that have ended."""
        accounts = self._accounts
        for carried in calls:
            if carried.is_over:
                continue
            account, choice = carried.call_request.account, carried.call.journey.choice
            customer = None if account is None else account.id
            vendor = None if choice is None else choice.gateway.account
            if customer is not None and (accounts is None or customer in accounts):
                self._paid[customer] += 1
            if vendor is not None and vendor != customer and (accounts is None or vendor in accounts):
                self._taken[vendor] += 1

    def by_account(self) -> dict[str, AccountCalls]:
        """Return the numbers of each account that has calls."""
        return {name: AccountCalls(self._paid[name], self._taken[name]) for name in self._paid | self._taken}


def gateways_of(calls: Iterable[LiveCall]) -> set[str]:
    """Return the gateways and phones of calls."""
    found: set[str] = set()
    for carried in calls:
        mapping, choice = carried.call_request.mapping, carried.call.journey.choice
        if mapping is not None:
            found.add(mapping.name)
        if choice is not None:
            found.add(choice.gateway.name)
    return found


def is_paid_by(carried: LiveCall, customers: Container[str]) -> bool:
    """Return whether one of some accounts pays for a call."""
    account = carried.call_request.account
    return account is not None and account.id in customers


def description(carried: LiveCall, now: Instant) -> CallDescription:
    """Return everything about a call at ``now``."""
    call, hold = carried.call, carried.call_request.hold
    journey, arrival = call.journey, call.arrival
    view = snapshot(carried, now)
    legs = [
        _leg(
            "caller",
            call.caller.leg,
            view.mapping_gateway,
            arrival.sip_call_id_in,
            arrival.source_address,
            journey.codec,
        )
    ]
    if journey.sip_call_ids_out:
        sip_call_id, address = journey.foremost_call_id or journey.sip_call_ids_out[-1], journey.destination_address
        legs.append(
            _leg("callee", leg_of(call.callee), view.routing_gateway, sip_call_id, address, journey.vendor_codec)
        )
    for each in () if call.search is None else call.search.beside:
        name, sip_call_id = each.choice.gateway.name, each.transaction.parts.call_id
        legs.append(_leg("callee", each.leg, name, sip_call_id, str(each.peer), None))
    return CallDescription(
        call=view,
        legs=legs,
        record=_record_so_far(carried, now),
        granted_s=None if hold is None else hold.granted_s,
        ceiling_s=None if hold is None else hold.ceiling_s,
        deadline_s=None if carried.timer is None else max(0, carried.due_ms - now.mono) // 1_000,
    )


def _record_so_far(carried: LiveCall, now: Instant) -> CallRecord:
    """Return the record that a call would leave if it ended now; nothing is changed."""
    call, journey, reason = carried.call, carried.call.journey, EndReason.ADMINISTRATIVE
    ending = Ending(reason, HangupSource.SWITCH, now, None, reason.q850_cause)
    kept = (carried.kept if journey.vendor_answered_at is not None else None) or opened_now(carried, call)
    if kept is None:
        return draft(carried.services.node, call.arrival, carried.call_request, journey, ending, has_verdicts=False)
    codecs = journey.codec, journey.vendor_codec
    return conclude(kept, ending, *codecs, recorded=True, acknowledged=journey.acknowledged_at)


def _leg(
    side: str, leg: Leg | None, gateway: str | None, sip_call_id: str, address: str | None, codec: str | None
) -> LegRow:
    agreed = None if leg is None else leg.timer.agreed
    return LegRow(
        side=side,
        gateway=gateway,
        sip_call_id=sip_call_id,
        address=address,
        codec=codec,
        session_interval_s=None if agreed is None else agreed.interval_s,
        refreshed_by_us=None if agreed is None else agreed.refresher is Side.US,
    )


def snapshot(carried: LiveCall, now: Instant) -> CallSnapshot:
    """Return the view of a call at ``now``."""
    call, call_request = carried.call, carried.call_request
    journey, arrival = call.journey, call.arrival
    gateway = journey.choice.gateway if journey.choice is not None else None
    answered_at, rate = journey.answered_at, call_request.rate
    return CallSnapshot(
        call_id=arrival.call_id,
        state=call.state.name.lower(),
        mapping_gateway=call_request.mapping.name if call_request.mapping is not None else None,
        routing_gateway=gateway.name if gateway is not None else None,
        rings_beside=[] if call.search is None else [each.choice.gateway.name for each in call.search.beside],
        customer_account=call_request.account.id if call_request.account is not None else None,
        vendor_account=gateway.account if gateway is not None else None,
        caller=arrival.caller_in,
        callee=call_request.callee_billing,
        started_at=iso_utc(arrival.at.wall),
        answered_at=None if answered_at is None else iso_utc(arrival.at.wall + answered_at.mono - arrival.at.mono),
        age_s=(now.mono - arrival.at.mono) // 1_000,
        talk_s=(now.mono - answered_at.mono) // 1_000 if answered_at is not None else None,
        codec=journey.codec,
        price_per_minute=None if rate is None else format_amount(rate.price_per_minute),
        currency=None if rate is None else rate.paid_in or rate.currency,
    )
