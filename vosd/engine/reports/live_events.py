"""Live events of a switch for those who follow: calls, gateways, alarms, balances, overrides, definitions (ADR 126).

Nothing is made, and no part of the switch calls this module, while there is no follower.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol

import msgspec

from vosd.b2bua.stamps import Arrival, Journey
from vosd.base.clock import Clock
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.ports import CallReporter
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import CallRecord
from vosd.control.call_states import CallStateReport
from vosd.control.events import (
    AccountFacts,
    AlarmCleared,
    AlarmRaised,
    BalanceChanged,
    BalanceChangedFacts,
    BalanceLow,
    BalanceLowFacts,
    BalanceRecovered,
    CallAnswered,
    CallEnded,
    CallRinging,
    CallTrying,
    DefinitionsChanged,
    DefinitionsFacts,
    EventBatch,
    GatewayDown,
    GatewayFacts,
    GatewayFree,
    GatewayFull,
    GatewayFullFacts,
    GatewayResting,
    GatewayRestingFacts,
    GatewayUp,
    GatewayWell,
    GatewayWellFacts,
    OverrideEnded,
    OverrideEndedFacts,
    OverrideFacts,
    OverrideSet,
    SwitchEvent,
)  # fmt: skip
from vosd.control.installation import AlarmRow
from vosd.engine.reports.report import of_ended_call, of_lost_call, of_running_call
from vosd.engine.settings import CallReportState
from vosd.obs.events import GONE, Event, log as _log
from vosd.routing.pipeline import RouteChoice

WAITING_MAX: Final = 10_000
"""Most events that wait for one follower; of more the oldest are dropped, and the next batch has their number."""
BATCH_MAX: Final = 500
"""Most events of one batch, which stays well below the longest line of the control socket."""

_OF_LOG: Final[Mapping[str, tuple[Callable[..., SwitchEvent], type[msgspec.Struct]]]] = {
    Event.GATEWAY_DOWN: (GatewayDown, GatewayFacts),
    Event.GATEWAY_UP: (GatewayUp, GatewayFacts),
    Event.GATEWAY_RESTING: (GatewayResting, GatewayRestingFacts),
    Event.GATEWAY_WELL: (GatewayWell, GatewayWellFacts),
    Event.BALANCE_LOW: (BalanceLow, BalanceLowFacts),
    Event.BALANCE_RECOVERED: (BalanceRecovered, AccountFacts),
    Event.OVERRIDE_SET: (OverrideSet, OverrideFacts),
    Event.OVERRIDE_ENDED: (OverrideEnded, OverrideEndedFacts),
    Event.CONFIGURATION_LOADED: (DefinitionsChanged, DefinitionsFacts),
}
"""Events of the log that are live events, too, with their facts."""


StateEvent = CallTrying | CallRinging | CallAnswered | CallEnded


class EventReceiver(Protocol):
    """Receiver of all live events; it never raises, and returns at once."""

    def put(self, event: SwitchEvent, /) -> None:
        """Take an event."""


class EventFollower:
    """Events that wait for one follower."""

    def __init__(self) -> None:
        self._waiting: deque[SwitchEvent] = deque()
        self._left_out = 0
        self._wanted = asyncio.Event()

    def put(self, event: SwitchEvent) -> None:
        """Add an event, in place of the oldest if too many wait."""
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self._left_out += 1
        self._waiting.append(event)
        self._wanted.set()

    async def wait(self, at_most_s: float) -> None:
        """Return when events wait, or after a time."""
        self._wanted.clear()
        if not self._waiting:
            try:
                async with asyncio.timeout(at_most_s):
                    await self._wanted.wait()
            except TimeoutError:
                pass

    @property
    def is_long(self) -> bool:
        """Whether as many events wait as a batch may have."""
        return len(self._waiting) >= BATCH_MAX

    def batch(self) -> EventBatch:
        """Return the events that wait, at most ``BATCH_MAX``."""
        waiting = self._waiting
        taken = EventBatch([waiting.popleft() for _ in range(min(len(waiting), BATCH_MAX))], self._left_out)
        self._left_out = 0
        return taken


class LiveEvents:
    """The events of one switch, for any number of receivers; calls report here while there is one."""

    def __init__(self, node: str, clock: Clock, attach: Callable[[CallReporter | None], None]) -> None:
        """``attach`` has the calls report here, or (None) not at all."""
        self._node = node
        self._clock = clock
        self._attach = attach
        self._receivers: list[EventReceiver] = []
        self._full: frozenset[str] = frozenset()

    @property
    def are_wanted(self) -> bool:
        """Whether anyone follows."""
        return bool(self._receivers)

    def add(self, receiver: EventReceiver) -> None:
        """Pass all events to a receiver from now on."""
        self._receivers.append(receiver)
        if len(self._receivers) == 1:
            self._attach(self)

    def remove(self, receiver: EventReceiver) -> None:
        """Pass a receiver no more."""
        self._receivers.remove(receiver)
        if not self._receivers:
            self._attach(None)

    @contextmanager
    def followed(self) -> Iterator[EventFollower]:
        """Follow the events while the context lasts."""
        follower = EventFollower()
        self.add(follower)
        try:
            yield follower
        finally:
            self.remove(follower)

    # -- what calls report --------------------------------------------------------------------------------------

    def trying(
        self, arrival: Arrival, journey: Journey, request: CallRequest, choice: RouteChoice, mono_ms: int, /
    ) -> None:
        """Tell that a gateway is about to be tried."""
        state = CallReportState.TRYING
        self._call(CallTrying, partial(of_running_call, self._node, arrival, journey, request, choice, state, mono_ms))

    def ringing(self, arrival: Arrival, journey: Journey, request: CallRequest, /) -> None:
        """Tell that a gateway rings."""
        at, choice, state = self._clock.now().mono, journey.choice, CallReportState.RINGING
        self._call(CallRinging, partial(of_running_call, self._node, arrival, journey, request, choice, state, at))

    def answered(self, arrival: Arrival, journey: Journey, request: CallRequest, /) -> None:
        """Tell that the caller gets a 200."""
        if journey.answered_at is not None:
            at, choice, state = journey.answered_at.mono, journey.choice, CallReportState.ANSWERED
            self._call(CallAnswered, partial(of_running_call, self._node, arrival, journey, request, choice, state, at))

    def ended(self, record: CallRecord, /) -> None:
        """Tell that a call has ended, or was refused."""
        self._call(CallEnded, partial(of_ended_call, record))

    def lost(self, call_id: str, /) -> None:
        """Tell that a call has ended with the process that was killed before this one."""
        self._call(CallEnded, partial(of_lost_call, self._node, call_id, self._clock.now().wall))

    def _call(self, kind: type[StateEvent], make: Callable[[], CallStateReport]) -> None:
        try:
            report = make()
        except Exception:  # noqa: BLE001  the boundary: an error in an event ends no call
            _log.exception("live_event_not_made", type=kind.type.value)
            return
        accounts = tuple(name for name in (report.customer_account, report.vendor_account) if name is not None)
        gateways = tuple(name for name in (report.mapping_gateway, report.routing_gateway) if name is not None)
        self._put(kind(report.at, report, accounts, gateways))

    # -- what other parts report --------------------------------------------------------------------------------

    def noted(self, name: str, facts: Mapping[str, object], at: int, /) -> None:
        """Take an event of the log; those about an object that is gone are left out."""
        kind = _OF_LOG.get(name)
        if not self._receivers or kind is None or facts.get("why") == GONE:
            return
        accounts, gateways = _named(facts, "account"), _named(facts, "gateway")
        named = _named(facts, "name")
        if facts.get("target") == "account":
            accounts += named
        elif "target" in facts:
            gateways += named
        make, known = kind
        shown = {key: value if isinstance(value, str | int | None) else str(value) for key, value in facts.items()}
        try:
            data = msgspec.convert(shown, known)
        except msgspec.ValidationError:
            _log.exception("live_event_not_made", type=name)
            return
        self._put(make(iso_utc(at), data, accounts, gateways))

    def alarm(self, alarm: AlarmRow, at: int, /, *, is_raised: bool) -> None:
        """Tell that an alarm was raised or cleared."""
        if self._receivers:
            self._put((AlarmRaised if is_raised else AlarmCleared)(iso_utc(at), alarm))

    def balance_changed(self, account: str, balance: str, currency: str | None) -> None:
        """Tell that another process has booked on an account."""
        if self._receivers:
            self._put(BalanceChanged(self._at(), BalanceChangedFacts(account, balance, currency), (account,)))

    def full_gateways(self, full: Mapping[str, int]) -> None:
        """Compare the gateways that carry as many calls as they may, with that number, with those of the last time."""
        at = self._at()
        for name in sorted(full.keys() - self._full):
            self._put(GatewayFull(at, GatewayFullFacts(name, full[name]), gateways=(name,)))
        for name in sorted(self._full - full.keys()):
            self._put(GatewayFree(at, GatewayFacts(name), gateways=(name,)))
        self._full = frozenset(full)

    # -- inside -------------------------------------------------------------------------------------------------

    def _at(self) -> str:
        return iso_utc(self._clock.now().wall)

    def _put(self, event: SwitchEvent) -> None:
        for receiver in self._receivers:
            receiver.put(event)


def _named(facts: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = facts.get(key)
    return (value,) if isinstance(value, str) else ()
