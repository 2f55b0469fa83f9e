"""Conclusions about a vendor from the outcome of an attempt.

A vendor may not answer, refuse everything, send Retry-After, or reject our credentials. The consequences for other
calls are in ``routing.health``, ``routing.rest`` and ``routing.breaker``; those for the call itself are in ``b2bua``.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from vosd.b2bua.attempt import GatewayAttempt
from vosd.base.clock import Instant
from vosd.billing.accounts import Account
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import buy_rate, destination_of
from vosd.obs.events import GONE, Event, log as _log
from vosd.routing.breaker import BreakerPlace, Circuit, counts_as_failure, place_of
from vosd.routing.failover import AttemptEnd, AttemptOutcome
from vosd.routing.health import NOT_THERE
from vosd.routing.quality import is_effective
from vosd.routing.rest import REST_MAX_S
from vosd.sip.headers.retry_after import retry_after_s
from vosd.sip.wire.message import Response
from vosd.trunks.dialect import Redirects
from vosd.trunks.gateways import Address, RoutingGateway

LARGE_SESSION: Final = 1_000
"""Bytes of a session description with which an INVITE is cut into fragments, which many networks drop."""

_CERTAIN: Final = (AttemptEnd.SILENT, AttemptEnd.UNREACHABLE)
"""Ends that concern the gateway whatever number was called."""


class Attempts:
    """Health of vendors by the attempts of all calls; ``payer`` is the account of the caller."""

    def __init__(self, live: LiveState) -> None:
        self._live = live
        live.breakers.on_change = _log_change
        self._paused: dict[str, BreakerPlace] = {}
        """By gateway, the address with which its Retry-After pause was reported."""
        self._gateways: Mapping[str, RoutingGateway] = {}
        """Routing gateways of the catalogue in force."""

    def keep(self, gateways: Mapping[str, RoutingGateway]) -> None:
        """Forget what was noted of gateways, and of their addresses, to which no call goes any more."""
        self._gateways = gateways
        called = {name for name, gateway in gateways.items() if gateway.enabled}

        def is_called(place: BreakerPlace) -> bool:
            gateway = gateways[place.gateway] if place.gateway in called else None
            if gateway is None:
                return False
            if self._live.breakers.is_named(place):
                return gateway.dialect.redirects is Redirects.FOLLOW
            addresses = gateway.fixed_addresses or self._live.addresses_of(gateway)
            return not addresses or any(place_of(gateway, each, place.payer) == place for each in addresses)

        self._live.breakers.keep(is_called)
        moved = {name for name, place in self._paused.items() if not is_called(place)}
        self._live.rests.keep(called - moved)
        for name in moved:
            _log_change(self._paused.pop(name), Circuit.GONE, 0)

    def resting_last(
        self, addresses: Sequence[Address], payer: Account | None, gateway: RoutingGateway, now: Instant
    ) -> Sequence[Address]:
        """Return the addresses of a gateway, those last that rest after failures."""
        breakers, name = self._live.breakers, name_of(payer)
        return sorted(addresses, key=lambda each: breakers.remaining_ms(place_of(gateway, each, name), now.mono) > 0)

    def rings(self, attempt: GatewayAttempt, payer: Account | None) -> None:
        """Note that an attempt rings or was answered."""
        live = self._live
        if live.breakers.failing:
            live.breakers.succeeded(_place(attempt, payer), attempt.progress.started_at.mono)
        if live.rests.asked:
            self._well_after_rest(attempt)

    def refused(self, attempt: GatewayAttempt, payer: Account | None, response: Response, now: Instant) -> None:
        """Note that a vendor responds, and pause it after 503 with Retry-After (RFC 3261 section 21.5.4).

        Of several addresses only the one that responded is paused, and of the places that a 3xx of the vendor has named
        that one: the vendor itself has not asked for a pause. A phone never is.
        """
        gateway, live = attempt.choice.gateway, self._live
        if gateway.is_phone or not self._is_called(attempt):
            return
        if response.status not in NOT_THERE:
            live.health.answered(gateway.name, now.mono)
        if response.status != 503:
            return
        wait_s = retry_after_s(response)
        if not wait_s:
            return
        if attempt.address.is_redirected or len(live.addresses_of(gateway)) > 1:
            place, is_named = _place(attempt, payer)._replace(payer=""), attempt.address.is_redirected
            live.breakers.ask_for_rest(place, 1_000 * min(wait_s, REST_MAX_S), now.mono, is_named=is_named)
        elif live.rests.begin(gateway.name, wait_s, now.mono):
            place = self._paused[gateway.name] = _place(attempt, payer)._replace(payer="")
            _log_change(place, Circuit.RESTING, 1_000 * min(wait_s, REST_MAX_S))

    def over(
        self, attempt: GatewayAttempt, payer: Account | None, outcome: AttemptOutcome | None, now: Instant
    ) -> None:
        """Note what the outcome of an unanswered attempt says about the vendor."""
        gateway, breakers = attempt.choice.gateway, self._live.breakers
        if gateway.is_phone or not self._is_called(attempt):
            return
        if not attempt.transaction.is_unsent:
            destination = destination_of(buy_rate(attempt.choice), attempt.choice.prefix)
            reached = is_effective(outcome, rang=attempt.progress.rang)
            self._live.quality.failed(
                gateway.name, destination, attempt.progress.pdd_ms, now.mono, is_effective=reached
            )
        if outcome is None:
            if breakers.failing:
                breakers.cancelled(_place(attempt, payer), attempt.progress.started_at.mono)
            return
        is_silent = outcome.end is not AttemptEnd.FINAL
        if (is_silent and not outcome.rang) or counts_as_failure(outcome.code, outcome.q850):
            breakers.failed(
                _place(attempt, payer),
                is_silent=is_silent,
                began_ms=attempt.progress.started_at.mono,
                mono_ms=now.mono,
                is_undelivered=outcome.end is AttemptEnd.UNREACHABLE,
                is_doubtful=outcome.end not in _CERTAIN or len(attempt.leg.sessions.said) > LARGE_SESSION,
                is_named=attempt.address.is_redirected,
            )
        else:
            if breakers.failing:
                breakers.succeeded(_place(attempt, payer), attempt.progress.started_at.mono)
            if self._live.rests.asked:
                self._well_after_rest(attempt)

    def _is_called(self, attempt: GatewayAttempt) -> bool:
        """Return whether calls still go where an attempt went, which may have begun before a reload.

        What it says of another address, or of a gateway that is gone, would hold until the next reload.
        """
        gateway = self._gateways.get(attempt.choice.gateway.name)
        if gateway is None or not gateway.enabled:
            return False
        if gateway is attempt.choice.gateway or attempt.address.is_redirected or not gateway.fixed_addresses:
            return True
        there = attempt.address
        return any((each.host, each.port) == (there.host, there.port) for each in gateway.fixed_addresses)

    def _well_after_rest(self, attempt: GatewayAttempt) -> None:
        name = attempt.choice.gateway.name
        if self._live.rests.succeeded(name, attempt.progress.started_at.mono):
            _log_change(self._paused.pop(name), Circuit.WELL, 0)


def _place(attempt: GatewayAttempt, payer: Account | None) -> BreakerPlace:
    return BreakerPlace(attempt.choice.gateway.name, attempt.peer.host, attempt.peer.port, name_of(payer))


def name_of(payer: Account | None) -> str:
    """Return the account that pays for a call as breakers know it."""
    return "" if payer is None else payer.id


def _log_change(place: BreakerPlace, state: Circuit, rest_ms: int) -> None:
    whose = {"customer": place.payer} if place.payer else {}
    if state is Circuit.GONE:
        _log.info(Event.GATEWAY_WELL, gateway=place.gateway, address=str(place), **whose, why=GONE)
    elif state is Circuit.WELL:
        _log.info(Event.GATEWAY_WELL, gateway=place.gateway, address=str(place), **whose)
    else:
        _log.warning(Event.GATEWAY_RESTING, gateway=place.gateway, address=str(place), rest_s=rest_ms // 1_000, **whose)
