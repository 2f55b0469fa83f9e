"""Snapshot of what the set-up of a call has found out, and of what the call occupies."""

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Final

import msgspec

from vosd.b2bua.snapshot.references import NoSnapshotError
from vosd.base.clock import Instant
from vosd.billing.call_hold import CallHold
from vosd.billing.rater import total_at
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.call_request import CallRequest, SetupFacts
from vosd.callcontrol.taken import CallerHeld, Held, MoneyHeld, PlaceHeld, PlaceTaken, described_taken
from vosd.engine.calls.known import KnownObjects
from vosd.engine.calls.services import CallServices
from vosd.routing.routes import Cause, LeftOut
from vosd.trunks.gateways import CallerLimits, RoutingGateway

_AS_THEY_ARE: Final = (
    "source_host", "source_port", "hops", "at", "user", "caller_in", "caller", "callee_in", "callee", "callee_billing",
    *SetupFacts.__struct_fields__,
)  # fmt: skip
"""Fields that a call request and its snapshot have alike."""


class RequestSnapshot(SetupFacts, kw_only=True, omit_defaults=True):
    """Snapshot of an admitted call request; trunk and account are stored by name."""

    source_host: str
    source_port: int
    hops: int
    at: Instant
    user: str
    caller_in: str
    caller: str
    callee_in: str
    callee: str
    callee_billing: str
    mapping: str | None = None
    account: str | None = None
    taken: tuple[Held, ...] = ()
    """Limits and money that the call occupies, but for the places of the vendor's leg, which its route names."""
    ceiling_s: int = 0
    """The longest that the call may last (``CallHold``)."""
    left: tuple[tuple[str, Cause, str], ...] = ()
    """Gateways that were left out, why, and in detail; none where the call is answered: its record has them."""
    places: tuple[()] = ()
    """Versions before ADR 118 have described here what the call occupies: such a description is not readable."""

    @property
    def money(self) -> tuple[MoneyHeld, ...]:
        """Money that is held of accounts: the customer's first, then those of its agents, then the vendor's."""
        return tuple(each for each in self.taken if isinstance(each, MoneyHeld))

    @classmethod
    def of(cls, request: CallRequest, *, is_answered: bool = False) -> "RequestSnapshot":
        """Describe an admitted call; raises NoSnapshotError where it occupies something of an unknown kind."""
        return cls(
            mapping=None if request.mapping is None else request.mapping.name,
            account=None if request.account is None else request.account.id,
            taken=described_taken(request.taken),
            ceiling_s=0 if request.hold is None else request.hold.ceiling_s,
            left=() if is_answered else tuple((each.gateway.name, each.cause, each.detail) for each in request.left),
            **{name: getattr(request, name) for name in _AS_THEY_ARE},
        )

    def restored(self, known: KnownObjects) -> CallRequest:
        """Return the call request, which occupies nothing yet."""
        return CallRequest(
            mapping=None if self.mapping is None else known.mapping_gateways[self.mapping],
            account=None if self.account is None else known.accounts[self.account],
            left=[LeftOut(_named(name, known), cause, detail) for name, cause, detail in self.left],
            taken=[],
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
        )

    def occupy(self, request: CallRequest, services: CallServices, vendor_rate: AppliedRate | None) -> None:
        """Take again what the call occupied, whatever the limits are now; ``vendor_rate`` as in ``priced``."""
        live, mapping = services.live, request.mapping
        ahead_s = 0 if mapping is None else mapping.dialect.end_warning_ms // 1_000
        for each in self.taken:
            if isinstance(each, PlaceHeld):
                live.occupancy.take_again(each.scope, each.name, None)
                request.taken.append(PlaceTaken(live.occupancy, each.scope, each.name, each.mono_ms))
            elif isinstance(each, CallerHeld):
                limits, caller = _limits_of(request, services), (each.gateway, each.caller)
                request.counted = live.dynamic_lists.take_again(caller, each.target, limits, each.mono_ms)
                request.taken.append(request.counted)
        for each, applied in self.priced(vendor_rate):
            credit = live.credits[each.account]
            hold = credit.resume(applied, each.amount, each.granted_s, each.advance_s, each.lead_s, ahead_s)
            if request.hold is None:
                hold.advance_s = hold.advance_s or (0 if request.account is None else request.account.advance_s)
                request.hold = CallHold([hold], hold.granted_s - hold.lead_s, self.ceiling_s)
                request.taken.append(request.hold)
            elif len(request.hold.holds) <= len(self.agents):
                request.hold.add(hold)
            else:
                request.hold.add_vendor(hold)

    def priced(self, vendor_rate: AppliedRate | None) -> Iterator[tuple[MoneyHeld, AppliedRate]]:
        """Yield the money with its rates; ``vendor_rate`` is that of the route, if its vendor is paid in advance."""
        rates = chain([self.rate, *(each.applied for each in self.agents)], repeat(vendor_rate))
        for each, applied in zip(self.money, rates, strict=False):
            if applied is None:
                raise NoSnapshotError(f"account {each.account} holds money without a rate")
            yield each, applied

    def paid_for(self, talked_s: int, vendor_rate: AppliedRate | None) -> "RequestSnapshot":
        """Return the request with money for what the call has talked: it had as much when it was last seen."""
        others = [each for each in self.taken if not isinstance(each, MoneyHeld)]
        money = [_covering(each, applied, min(talked_s, self.ceiling_s)) for each, applied in self.priced(vendor_rate)]
        return msgspec.structs.replace(self, taken=(*others, *money))


def _covering(held: MoneyHeld, applied: AppliedRate, talked_s: int) -> MoneyHeld:
    granted_s = talked_s + held.lead_s
    if granted_s <= held.granted_s:
        return held
    return msgspec.structs.replace(held, granted_s=granted_s, amount=total_at(applied, granted_s))


def _named(gateway: str, known: KnownObjects) -> RoutingGateway:
    """Return a gateway that was left out; it is only named any more, also where it is not configured."""
    if gateway in known.called:
        return known.called[gateway]
    return RoutingGateway(gateway, None, (), (), enabled=False)


def _limits_of(request: CallRequest, services: CallServices) -> CallerLimits:
    """Return the limits by which the end of a restored call counts."""
    own = None if request.mapping is None else request.mapping.dynamic_blacklist
    return own or services.admission.catalogue.parameters.dynamic_blacklist or CallerLimits()
