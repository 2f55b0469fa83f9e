"""``vosd call test``: one test call at a time to each routing gateway."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from vosd.admin.names import unknown
from vosd.base.clock import Clock, Instant
from vosd.base.number import for_matching, without_separators
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.signatures import attested
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.control.calls import MakeTestCall, TrialUpdate
from vosd.control.server import CommandError
from vosd.engine.calls.trial import TrialCall, TrialOrder
from vosd.engine.service import SwitchService
from vosd.obs.events import log as _log
from vosd.routing.pipeline import RouteChoice
from vosd.trunks.dialect import CallerPrivacy

LOOK_S: Final = 0.1
"""Interval at which a call is looked at for its report."""
SILENCE_S: Final = 2.0
"""Longest time between two reports, so that a client that went away is noticed."""


class TrunkUnderTestError(CommandError):
    """A test call by the trunk is under way."""


class StoppingError(CommandError):
    """The switch begins no call any more."""


class Trials:
    """The test calls of a running switch."""

    def __init__(self, service: SwitchService, node: str, clock: Clock) -> None:
        self._service, self._node, self._clock = service, node, clock
        self._running: dict[str, TrialCall] = {}
        """By gateway."""

    def stop(self) -> None:
        """End the test calls: the switch stops, and nothing may be written behind the calls that it keeps."""
        now = self._clock.now()
        for call in self._running.values():
            call.abandon(now)
        if self._running:
            self._service.loop.flush(now)

    async def follow(self, order: MakeTestCall) -> AsyncGenerator[TrialUpdate, None]:
        """Make a call and report its steps, at last its outcome; it ends when the client disconnects.

        Raises:
            UnknownNameError: there is no such gateway.
            TrunkUnderTestError, StoppingError: it takes no test call now.
        """
        if order.via in self._running:
            raise TrunkUnderTestError(f"{order.via} has a test call already: wait for its end")
        service, now = self._service, self._clock.now()
        if not service.switch.takes_calls:
            raise StoppingError("the switch is stopping")
        call = self._prepared(order, now)
        call.begin()
        service.loop.flush(now)
        _log.info("test_call_begun", routing_gateway=order.via, callee=order.callee)
        self._running[order.via] = call
        try:
            shown, silent_s = 0, 0.0
            while not call.is_over:
                if len(call.steps) > shown or silent_s >= SILENCE_S:
                    yield TrialUpdate([*call.steps[shown:]])
                    shown, silent_s = len(call.steps), 0.0
                await asyncio.sleep(LOOK_S)
                silent_s += LOOK_S
            report = call.report()
            _log.info("test_call_ended", routing_gateway=order.via, result=report.result.value, code=report.code)
            yield TrialUpdate([*call.steps[shown:]], report)
        finally:
            del self._running[order.via]
            if not call.is_over:
                now = self._clock.now()
                call.stop(now)
                service.loop.flush(now)

    def _prepared(self, order: MakeTestCall, now: Instant) -> TrialCall:
        service, switch = self._service, self._service.switch
        gateway = switch.catalogue.routing_gateways.get(order.via)
        if gateway is None:
            names = switch.catalogue.routing_gateways
            raise unknown("routing gateway", order.via, names, "vosd status --gateways names them")
        vendors = LiveVendors(switch.catalogue, switch.live)
        callee, caller = without_separators(order.callee), without_separators(order.caller)
        shows_caller = gateway.dialect.shows_number[CallerPrivacy.SHOWN]
        terms = vendors.terms(gateway, callee, now.wall, caller if shows_caller else "")
        wanted = TrialOrder(callee, caller, order.is_ring_only, 1_000 * order.talk_s)
        if gateway.numbers is not None:
            is_emergency = switch.catalogue.parameters.special_numbers.is_emergency(for_matching(callee))
            callee, caller = vendors.numbers_out(gateway, callee, caller, is_emergency=is_emergency)
        choice = RouteChoice(gateway, "*", callee, caller, terms, hides_caller=not shows_caller)
        sink, live = switch.services.sink, switch.live
        signed = attested(CallRequest("", 0, 0, at=now), caller, switch.catalogue)  # of no customer: C
        endpoint, settings = service.node.endpoint, switch.terms.call_settings
        return TrialCall(endpoint, live, sink, self._node, choice, wanted, now, signed, settings)
