"""Snapshots of live calls, and their restoration in a switch without calls."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from vosd.b2bua.call import Call
from vosd.b2bua.snapshot.call import CallPartsSnapshot, Requests, requests_by_call
from vosd.b2bua.snapshot.callee import ChoiceSnapshot
from vosd.b2bua.snapshot.information import LateInformationSnapshot, late_informations
from vosd.b2bua.snapshot.references import NoSnapshotError, RestoredCalls
from vosd.base.errors import Refusal, VosError
from vosd.base.text import as_received, portable
from vosd.base.wheel import Timer
from vosd.billing.holds import AccountCredit
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.open_call import OpenCall
from vosd.callcontrol.setup import Setup
from vosd.engine.calls.known import KnownObjects, logins
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.open_setup import OpenSetup
from vosd.engine.calls.request_snapshot import RequestSnapshot
from vosd.engine.calls.ringing_money import RingingMoney
from vosd.engine.calls.services import CallServices
from vosd.sip.endpoint import Endpoint
from vosd.sip.endpoint_snapshot import EndpointSnapshot

if TYPE_CHECKING:
    from vosd.engine.calls.intake import Intake


class SetupSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Snapshot of a set-up with an open question; the question itself is made again by the step that asks it."""

    steps_left: int
    """Steps behind the one that has asked."""
    number: int
    """Number of the question."""
    closed: Refusal | None = None
    choices: tuple[ChoiceSnapshot, ...] = ()
    step: str = ""
    """Name of the step that has asked."""

    @classmethod
    def of(cls, setup: Setup) -> "SetupSnapshot":
        """Describe a set-up; the gateways that were found are judged now, not when their turn comes."""
        request = setup.call_request
        choices = tuple(request.choices)
        request.choices = iter(choices)
        found = tuple(map(ChoiceSnapshot.of, choices))
        return cls(setup.steps_left, setup.number, request.closed, found, setup.step)

    def restored(self, request: CallRequest, services: CallServices, known: KnownObjects) -> Setup:
        """Return the set-up of a call request that occupies again what it did; gateways that are gone are left out."""
        gateways = known.called
        request.closed = self.closed
        request.choices = iter([each.restored(gateways) for each in self.choices if each.gateway in gateways])
        return Setup.resumed(services.admission, request, services.steps, self.steps_left, self.number, self.step)


class SavedCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One live call."""

    parts: CallPartsSnapshot
    request: RequestSnapshot
    kept: OpenCall | None = None
    """Record of the call in the journal, once it is answered."""
    deadline: tuple[int, int] | None = None
    """The tick of its timer, and its position within the tick."""
    due_ms: int = 0
    """Deadline of the call, which its timer may precede."""
    wanted_ms: int = 0
    """Deadline apart from the money, while the call rings and is charged."""
    setup: SetupSnapshot | None = None
    """While a question of its set-up is open."""
    has_moved: bool = True
    is_portable: bool = True
    """Whether the text is as ``base.text.portable`` returns it. False, if it is as received, is never written."""

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
        """Describe a live call; raises NoSnapshotError where it is over, or occupies something of an unknown kind."""
        timer, call, searched = live_call.timer, live_call.call, live_call.call_request.searched
        if searched is not None:
            searched.looks_ahead = True  # those without room now may have some when their turn comes
        # Both judge the gateways that remain; the request is described after them, for it has those that are left out.
        setup = None if live_call.open_setup is None else SetupSnapshot.of(live_call.open_setup.setup)
        parts = CallPartsSnapshot.of(call, requests)
        is_answered = call.journey.answered_at is not None
        return cls(
            parts,
            portable(RequestSnapshot.of(live_call.call_request, is_answered=is_answered)),
            portable(live_call.kept),
            None if timer is None else services.deadlines.position(timer),
            live_call.due_ms,
            wanted_ms=0 if live_call.money.ringing is None else live_call.money.ringing.wanted_ms,
            setup=setup,
            has_moved=live_call.has_moved,
        )

    @property
    def vendor_rate(self) -> AppliedRate | None:
        """The rate of the route that the call takes, or is tried by; None = it has none."""
        callee = self.parts.callee
        return None if callee is None else callee.choice.terms

    def as_received(self) -> "SavedCall":
        """Return the call with its text as it was received: only so is a name that of the catalogue."""
        if not self.is_portable:
            return self
        request, kept = as_received(self.request), as_received(self.kept)
        return replace(self, parts=self.parts.as_received(), request=request, kept=kept, is_portable=False)

    def missing(self, known: KnownObjects, credits: Mapping[str, AccountCredit]) -> str | None:
        """Return the name of something that the call needs and that is not known; None if all is there."""
        its = self.as_received()
        request, parts, kept = its.request, its.parts, its.kept
        if request.mapping not in known.mapping_gateways:
            return f"mapping gateway {request.mapping}"
        gateways = [each.choice.gateway for each in (parts.callee, *parts.beside) if each is not None]
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
            accounts += [
                name for name in (kept.record.customer_account, kept.record.vendor_account) if name is not None
            ]
        for account in accounts:
            if account not in credits:
                return f"account {account}"
        return None

    def restored(self, services: CallServices, intake: "Intake", calls: RestoredCalls, known: KnownObjects) -> LiveCall:
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
        live_call.call = its.parts.restored(live_call, known.dialect_of, known.called, calls)
        try:
            its.request.occupy(request, services, its.vendor_rate)
            if self.setup is not None:
                setup = self.setup.restored(request, services, known)
                live_call.open_setup = OpenSetup(
                    setup, arrival.call_id, services.asker, services.unused_answers, live_call.set_deadline
                )
        except Exception:
            request.give_back()
            raise
        invited_at, hold = live_call.call.journey.invited_at, request.hold
        if invited_at is not None and hold is not None and live_call.call.journey.answered_at is None:
            live_call.money.ringing = RingingMoney(hold, invited_at, self.wanted_ms)
        live_call.gateways.occupy_again()
        live_call.gateways.recount()
        services.running.add(arrival.call_id, live_call)
        if services.media is not None:
            newcomer = calls.newcomers.get(arrival.call_id)
            services.media.resume(live_call.call, None if newcomer is None else newcomer.leg)
        return live_call


_decode: Final = msgspec.msgpack.Decoder(SavedCall).decode


class NotRestoredError(VosError):
    """Calls cannot be restored; the others can, without them."""

    def __init__(self, errors: Mapping[str, Exception]) -> None:
        """``errors`` says why, by call id."""
        super().__init__("; ".join(f"{call_id}: {error!r}" for call_id, error in errors.items()))
        self.errors = errors


class SavedSwitch(msgspec.Struct, frozen=True, omit_defaults=True):
    """All live calls of a switch, and what its endpoint has beside them; the journal keeps the calls apart."""

    endpoint: EndpointSnapshot
    calls: tuple[SavedCall, ...] = ()
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
        calls, known = RestoredCalls(restoration), KnownObjects.of(services.admission.catalogue)
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
