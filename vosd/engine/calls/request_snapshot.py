"""Snapshot of what the set-up of a call has found out, and of what the call occupies."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Never, NoReturn

from vosd.b2bua.snapshot.facts import facts_of
from vosd.b2bua.snapshot.references import NoSnapshotError
from vosd.base.clock import Instant
from vosd.billing.call_hold import CallHold
from vosd.billing.holds import HoldSnapshot
from vosd.callcontrol.call_request import CallRequest, SetupFacts
from vosd.callcontrol.destinations import WatchedCall
from vosd.callcontrol.taken import PlaceTaken, Taken
from vosd.engine.calls.established import limits_of
from vosd.engine.calls.known import Known
from vosd.engine.calls.services import CallServices
from vosd.routing.dynamic_lists import CountedCall
from vosd.routing.routes import Cause, LeftOut
from vosd.trunks.caller_limits import CallerLimits
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.scope import Scope


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
    hold: HoldSnapshot | None = None
    """Of the customer: all that versions with one hold a call write and read."""
    places: tuple[tuple[Scope, str, int], ...] = ()
    """Capacity taken of the mapping gateway and the account, and when it was taken."""
    counted: tuple[str, str, str, int] | None = None
    """Gateway, caller and target as the dynamic blacklist counts the call, and when it did."""
    holds_above: tuple[tuple[str, HoldSnapshot], ...] = ()
    """Of its agents, by account, from the nearest up."""
    holds_of_vendors: tuple[tuple[str, HoldSnapshot], ...] = ()
    """Of vendors that are paid in advance, by account."""
    overdraft_limits: tuple[Decimal | None, ...] = ()
    """Overdraft limits of the accounts of all these holds, in their order."""
    left: tuple[tuple[str, Cause, str], ...] = ()
    """Gateways that were left out, why, and in detail; none where the call is answered: its record has them."""

    @classmethod
    def of(cls, request: CallRequest, *, is_answered: bool = False) -> "RequestSnapshot":
        """Describe an admitted call.

        Raises:
            NoSnapshotError: it occupies something of an unknown kind.
        """
        hold, above, vendors = _held(request.hold)
        return cls(
            source_host=request.source_host,
            source_port=request.source_port,
            hops=request.hops,
            at=request.at,
            user=request.user,
            caller_in=request.caller_in,
            caller=request.caller,
            callee_in=request.callee_in,
            callee=request.callee,
            callee_billing=request.callee_billing,
            mapping=None if request.mapping is None else request.mapping.name,
            account=None if request.account is None else request.account.id,
            hold=hold,
            places=_places(request.taken),
            counted=_described(request.counted),
            holds_above=above,
            holds_of_vendors=vendors,
            overdraft_limits=() if request.hold is None else limits_of(request.hold),
            left=() if is_answered else tuple((each.gateway.name, each.cause, each.detail) for each in request.left),
            **facts_of(request, SetupFacts),
        )

    def restored(self, known: Known) -> CallRequest:
        """Return the call request, which occupies nothing yet."""
        return CallRequest(
            source_host=self.source_host,
            source_port=self.source_port,
            hops=self.hops,
            looped=False,
            at=self.at,
            user=self.user,
            caller_in=self.caller_in,
            caller=self.caller,
            callee_in=self.callee_in,
            callee=self.callee,
            callee_billing=self.callee_billing,
            mapping=None if self.mapping is None else known.mapping_gateways[self.mapping],
            account=None if self.account is None else known.accounts[self.account],
            left=[LeftOut(_named(name, known), cause, detail) for name, cause, detail in self.left],
            taken=[],
            **facts_of(self, SetupFacts),
        )

    def occupy(self, request: CallRequest, services: CallServices) -> None:
        """Reserve again what the call occupied, without applying limits a second time."""
        live = services.live
        for scope, name, mono_ms in self.places:
            live.occupancy.take_again(scope, name, None)
            request.taken.append(PlaceTaken(live.occupancy, scope, name, mono_ms))
        if self.counted is not None:
            gateway, caller, target, mono_ms = self.counted
            limits = _limits_of(request, services)
            request.counted = live.dynamic_lists.take_again((gateway, caller), target, limits, mono_ms)
            request.taken.append(request.counted)
        if self.hold is not None and request.account is not None:
            hold = live.credits[request.account.id].resume(self.hold)
            hold.advance_s = hold.advance_s or request.account.advance_s
            request.hold = CallHold([hold], hold.granted_s - hold.lead_s, self.hold.ceiling_s)
            request.taken.append(request.hold)
            for account, each in self.holds_above:
                request.hold.add(live.credits[account].resume(each))
            for account, each in self.holds_of_vendors:
                request.hold.add_vendor(live.credits[account].resume(each))


def _named(gateway: str, known: Known) -> RoutingGateway:
    """Return a gateway that was left out; it is only named any more, also where it is not configured."""
    if gateway in known.called:
        return known.called[gateway]
    return RoutingGateway(gateway, None, (), (), enabled=False)


def _places(taken: Sequence[Taken]) -> tuple[tuple[Scope, str, int], ...]:
    """Return the capacity among what a call occupies; the other kinds have fields of their own, or none."""
    places = []
    for each in taken:
        if isinstance(each, PlaceTaken):
            places.append((each.scope, each.name, each.mono_ms))
        elif isinstance(each, CallHold | CountedCall):
            pass  # ``hold`` and ``counted``
        elif isinstance(each, WatchedCall):
            pass  # the watch counts the calls of an earlier process when it begins (``SwitchUnderWatch.attach``)
        else:
            _refuse(each)
    return tuple(places)


def _refuse(unknown: Never) -> NoReturn:
    """Refuse a kind that is not described above; a type check does so already."""
    raise NoSnapshotError(f"a call occupies what cannot be written down: {unknown!r}")


_Held = tuple[tuple[str, HoldSnapshot], ...]


def _held(hold: CallHold | None) -> tuple[HoldSnapshot | None, _Held, _Held]:
    """Describe what a call holds: of its customer, of agents, of vendors."""
    if hold is None:
        return None, (), ()
    described = [(each.credit.account, HoldSnapshot.of(each, hold.ceiling_s)) for each in hold.holds]
    vendors = len(described) - len(hold.vendors)
    return described[0][1], tuple(described[1:vendors]), tuple(described[vendors:])


def _described(counted: CountedCall | None) -> tuple[str, str, str, int] | None:
    if counted is None or counted.is_over:
        return None
    return *counted.caller, counted.target, counted.mono_ms


def _limits_of(request: CallRequest, services: CallServices) -> CallerLimits:
    """Return the limits by which the end of a restored call counts."""
    own = None if request.mapping is None else request.mapping.dynamic_blacklist
    return own or services.admission.catalogue.parameters.dynamic_blacklist or CallerLimits()
