"""Snapshots of live calls, and their restoration in a switch without calls."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Never, NoReturn

import msgspec
from msgspec.structs import replace

from vosd.b2bua.call import Call
from vosd.b2bua.snapshot.call import CallPartsSnapshot, Requests, requests_by_call
from vosd.b2bua.snapshot.callee import ChoiceSnapshot
from vosd.b2bua.snapshot.information import LateInformationSnapshot, late_informations
from vosd.b2bua.snapshot.references import NoSnapshotError, RestoredCalls
from vosd.base.clock import Instant
from vosd.base.errors import Refusal, VosError
from vosd.base.text import as_received, portable
from vosd.base.wheel import Timer
from vosd.billing.call_hold import CallHold
from vosd.billing.holds import HoldSnapshot
from vosd.billing.parties import Party
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.destinations import WatchedCall
from vosd.callcontrol.open_call import OpenCall
from vosd.callcontrol.setup import Setup
from vosd.callcontrol.taken import PlaceTaken, Taken
from vosd.engine.calls.established import limits_of
from vosd.engine.calls.known import Known
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.logins import logins
from vosd.engine.calls.ringing_money import RingingMoney
from vosd.engine.calls.services import CallServices
from vosd.routing.dynamic_lists import CountedCall
from vosd.routing.lookups import Target
from vosd.sip.endpoint import Endpoint
from vosd.sip.endpoint_snapshot import EndpointSnapshot
from vosd.trunks.caller_limits import CallerLimits
from vosd.trunks.scope import Scope

if TYPE_CHECKING:
    from vosd.engine.calls.intake import Intake


class RequestSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
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
    rate: AppliedRate | None = None
    hold: HoldSnapshot | None = None
    """Of the customer: all that versions with one hold a call write and read."""
    places: tuple[tuple[Scope, str, int], ...] = ()
    """Capacity taken of the mapping gateway and the account, and when it was taken."""
    routing_number: str = ""
    callee_rated: str = ""
    targets: tuple[Target, ...] = ()
    counted: tuple[str, str, str, int] | None = None
    """Gateway, caller and target as the dynamic blacklist counts the call, and when it did."""
    holds_above: tuple[tuple[str, HoldSnapshot], ...] = ()
    """Of its agents, by account, from the nearest up."""
    holds_of_vendors: tuple[tuple[str, HoldSnapshot], ...] = ()
    """Of vendors that are paid in advance, by account."""
    leaves_no_cdr: bool = False
    agents: tuple[Party, ...] = ()
    overdraft_limits: tuple[Decimal | None, ...] = ()
    """Overdraft limits of the accounts of all these holds, in their order."""
    forward_prefix: str = ""

    @classmethod
    def of(cls, request: CallRequest) -> "RequestSnapshot":
        """Describe an admitted call.

        Raises:
            NoSnapshotError: it occupies something of an unknown kind.
        """
        places = _places(request.taken)
        hold, above, vendors = _held(request.hold)
        return cls(
            request.source_host,
            request.source_port,
            request.hops,
            request.at,
            request.user,
            request.caller_in,
            request.caller,
            request.callee_in,
            request.callee,
            request.callee_billing,
            None if request.mapping is None else request.mapping.name,
            None if request.account is None else request.account.id,
            request.rate,
            hold,
            places,
            request.routing_number,
            request.callee_rated,
            request.targets,
            _described(request.counted),
            above,
            vendors,
            request.leaves_no_cdr,
            request.agents,
            () if request.hold is None else limits_of(request.hold),
            request.forward_prefix,
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
            routing_number=self.routing_number,
            callee_rated=self.callee_rated,
            targets=self.targets,
            mapping=None if self.mapping is None else known.mapping_gateways[self.mapping],
            account=None if self.account is None else known.accounts[self.account],
            rate=self.rate,
            leaves_no_cdr=self.leaves_no_cdr,
            agents=self.agents,
            forward_prefix=self.forward_prefix,
            taken=[],
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


class SetupSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Snapshot of a set-up with an open question; the question itself is made again by the step that asks it."""

    steps_left: int
    """Steps behind the one that has asked."""
    number: int
    """Of the question."""
    looped: bool = False
    closed: Refusal | None = None
    choices: tuple[ChoiceSnapshot, ...] = ()

    @classmethod
    def of(cls, setup: Setup) -> "SetupSnapshot":
        """Describe a set-up; the gateways that were found are judged now, not when their turn comes."""
        request = setup.call_request
        choices = tuple(request.choices)
        request.choices = iter(choices)
        found = tuple(map(ChoiceSnapshot.of, choices))
        return cls(setup.steps_left, setup.number, request.looped, request.closed, found)

    def restored(self, request: CallRequest, services: CallServices, known: Known) -> Setup:
        """Return the set-up of a call request that occupies again what it did; gateways that are gone are left out."""
        gateways = known.called
        request.looped, request.closed = self.looped, self.closed
        request.choices = iter([each.restored(gateways) for each in self.choices if each.gateway in gateways])
        return Setup.resumed(services.admission, request, services.steps, self.steps_left, self.number)


class SavedCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One live call."""

    parts: CallPartsSnapshot
    request: RequestSnapshot
    kept: OpenCall | None = None
    """What the journal has of it, once it is answered."""
    deadline: tuple[int, int] | None = None
    """The tick of its timer, and its position within the tick."""
    due_ms: int = 0
    """Its deadline, which its timer may precede."""
    wanted_ms: int = 0
    """Its deadline apart from its money, while it rings and is charged."""
    setup: SetupSnapshot | None = None
    """While a question of its set-up is open."""
    has_moved: bool = True
    """``LiveCall.has_moved``"""
    is_portable: bool = True
    """Its text is as ``base.text.portable`` returns it. False, if it is as received, is never written."""

    @classmethod
    def read(cls, written: bytes) -> "SavedCall":
        """Return the call that was written, with its text as it was received.

        Raises:
            msgspec.DecodeError: it was written by another version, and is not readable.
        """
        saved: SavedCall = _decode(written)
        try:
            return saved.as_received()
        except UnicodeEncodeError as error:
            raise msgspec.DecodeError(str(error)) from error

    @classmethod
    def of(cls, live_call: LiveCall, services: CallServices, requests: Requests) -> "SavedCall":
        """Describe a live call.

        Raises:
            NoSnapshotError: it is over, or occupies something of an unknown kind.
        """
        timer, setup = live_call.timer, live_call.setup
        return cls(
            CallPartsSnapshot.of(live_call.call, requests),
            portable(RequestSnapshot.of(live_call.call_request)),
            portable(live_call.kept),
            None if timer is None else services.deadlines.position(timer),
            live_call.due_ms,
            wanted_ms=0 if live_call.ringing is None else live_call.ringing.wanted_ms,
            setup=None if setup is None else SetupSnapshot.of(setup),
            has_moved=live_call.has_moved,
        )

    def as_received(self) -> "SavedCall":
        """Return the call with its text as it was received: only so is a name that of the catalogue."""
        if not self.is_portable:
            return self
        request, kept = as_received(self.request), as_received(self.kept)
        return replace(self, parts=self.parts.as_received(), request=request, kept=kept, is_portable=False)

    def restored(self, services: CallServices, intake: "Intake", calls: RestoredCalls, known: Known) -> LiveCall:
        """Return the live call, which is among the running calls again; its deadline is not set yet.

        Where that fails it occupies nothing; what the endpoint has of it is left to who restores.

        Raises:
            KeyError: a gateway or an account that it needs is not known.
            StepOutOfOrderError: the step of its set-up that has asked is not there any more.
        """
        its = self.as_received()
        request = its.request.restored(known)
        if request.mapping is None:
            raise ValueError("a call without a mapping gateway")
        arrival = its.parts.arrival
        live_call = LiveCall(
            services, intake, arrival.call_id, request, services.admission.vendors, kept=its.kept, due_ms=self.due_ms,
            has_moved=self.has_moved,
        )  # fmt: skip
        dialect, gateways = request.mapping.dialect, known.called
        live_call.call = its.parts.restored(live_call, dialect, gateways, calls)
        try:
            its.request.occupy(request, services)
            if self.setup is not None:
                live_call.setup = self.setup.restored(request, services, known)
        except Exception:
            request.give_back()
            raise
        invited_at, hold = live_call.call.journey.invited_at, request.hold
        if invited_at is not None and hold is not None and live_call.call.journey.answered_at is None:
            live_call.ringing = RingingMoney(hold, invited_at, self.wanted_ms)
        if live_call.call.callee is not None:
            choice = live_call.call.callee.choice
            services.live.occupancy.take_again(choice.gateway.scope, choice.gateway.name, None)
            for limit in choice.limits:
                services.live.occupancy.take_again(limit.scope, limit.name, None)
        services.running.add(arrival.call_id, live_call)
        return live_call


_decode: Final = msgspec.msgpack.Decoder(SavedCall).decode


class NotRestoredError(VosError):
    """Calls cannot be restored; the others can, without them."""

    def __init__(self, errors: Mapping[str, Exception]) -> None:
        """``errors`` says why, by call id."""
        super().__init__("; ".join(f"{call_id}: {error!r}" for call_id, error in errors.items()))
        self.errors = errors


class SavedSwitch(msgspec.Struct, frozen=True):
    """All live calls of a switch, and what its endpoint has beside them."""

    endpoint: EndpointSnapshot
    calls: tuple[SavedCall, ...]
    late_informations: tuple[LateInformationSnapshot, ...] = ()

    @classmethod
    def of(cls, endpoint: Endpoint, services: CallServices) -> "tuple[SavedSwitch, Sequence[Call]]":
        """Describe a switch; return the calls beside that cannot be described."""
        requests, saved, left = requests_by_call(endpoint), [], []
        for live_call in services.running.all():
            try:
                saved.append(SavedCall.of(live_call, services, requests.get(live_call.call, ())))
            except NoSnapshotError:
                left.append(live_call.call)
        return cls(EndpointSnapshot.of(endpoint), tuple(saved), late_informations(endpoint)), left

    def restored(self, endpoint: Endpoint, services: CallServices, intake: "Intake") -> None:
        """Go on with all of it; the credits of the accounts are there already, without holds.

        Raises:
            NotRestoredError: some calls cannot be restored; the others are in part.
        """
        restoration = self.endpoint.restored(endpoint, logins(services.admission.catalogue))
        calls, known = RestoredCalls(restoration), Known.of(services.admission.catalogue)
        deadlines: list[tuple[tuple[int, int], LiveCall]] = []
        errors: dict[str, Exception] = {}
        for each in self.calls:
            try:
                live_call = each.restored(services, intake, calls, known)
            except Exception as error:  # noqa: BLE001  the boundary: one odd call is left out, and stops no start
                errors[each.parts.arrival.call_id] = error
                continue
            if each.deadline is not None:
                deadlines.append((each.deadline, live_call))
        for each in () if errors else self.calls:
            try:
                each.parts.connect(calls)
            except Exception as error:  # noqa: BLE001  the same boundary
                errors[each.parts.arrival.call_id] = error
        if errors:
            raise NotRestoredError(errors)
        for late in self.late_informations:
            late.restored(calls)
        for (tick, _), live_call in sorted(deadlines, key=lambda pair: pair[0]):
            live_call.timer = Timer(tick)
            services.deadlines.add(live_call.timer, live_call)
        restoration.finish()
