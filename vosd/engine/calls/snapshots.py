"""Views of live calls for people, and the selection of calls by a command.

A snapshot is a copy: it does not give access to the call.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from vosd.base.clock import Instant
from vosd.base.ids import BEGINNING_DIGITS_MIN
from vosd.base.number import for_matching
from vosd.engine.calls.live_call import LiveCall


class CallSnapshot(msgspec.Struct, frozen=True):
    """One running call; times are UTC milliseconds, durations whole seconds."""

    call_id: str
    state: str
    mapping_gateway: str | None
    routing_gateway: str | None
    """The gateway that is tried or has answered."""
    customer_account: str | None
    vendor_account: str | None
    caller: str
    callee: str
    started_at: int
    answered_at: int | None
    age_s: int
    """Since the INVITE arrived."""
    talk_s: int | None
    """Since the answer."""


class CallSelection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Live calls that a command selects: those that match every field given; an empty selection matches none."""

    call_id: Annotated[str, msgspec.Meta(min_length=BEGINNING_DIGITS_MIN)] | None = None
    """The whole id or its beginning."""
    account: str | None = None
    """Of the customer or of the vendor."""
    gateway: str | None = None
    """Mapping or routing."""
    prefix: str | None = None
    """Of the called number as it is rated; a leading plus sign is dropped from both."""
    older_than_s: int | None = None
    """Seconds since the INVITE arrived."""

    def fits(self, call: CallSnapshot) -> bool:
        """Return whether ``call`` is meant."""
        if self == _NOTHING_GIVEN:
            return False
        return (
            (self.call_id is None or call.call_id.startswith(self.call_id))
            and (self.account is None or self.account in {call.customer_account, call.vendor_account})
            and (self.gateway is None or self.gateway in {call.mapping_gateway, call.routing_gateway})
            and (self.prefix is None or call.callee.startswith(for_matching(self.prefix)))
            and (self.older_than_s is None or call.age_s > self.older_than_s)
        )


_NOTHING_GIVEN = CallSelection()


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
        started_at=arrival.at.wall,
        answered_at=arrival.at.wall + answered_at.mono - arrival.at.mono if answered_at is not None else None,
        age_s=(now.mono - arrival.at.mono) // 1_000,
        talk_s=(now.mono - answered_at.mono) // 1_000 if answered_at is not None else None,
    )
