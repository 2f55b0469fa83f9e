"""Commands of the control socket.

One method for each verb: arguments as JSON in, a value that fits into JSON out. Has no rules of its own: it calls the
engine, the configuration in force and the use cases of ``admin``.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog

from vosd.admin.differences import describe
from vosd.admin.names import check_gateway, check_selection
from vosd.admin.overrides import shown
from vosd.admin.routing import explain_route
from vosd.base.cause import EndReason
from vosd.base.clock import Clock, Instant
from vosd.base.number import for_matching, without_separators
from vosd.catalogue.problems import ConfigError
from vosd.cdr.columns import iso_utc
from vosd.daemon.money_commands import MoneyCommands
from vosd.daemon.reload import REFUSED
from vosd.daemon.status import Status
from vosd.daemon.trials import Trials
from vosd.engine.calls.selection import CallSelection, CallSnapshot
from vosd.engine.calls.snapshots import snapshot
from vosd.engine.control import Arguments, CommandError, Following, Verb
from vosd.engine.registration.bindings import inbound
from vosd.engine.trace.followers import CallSought, RunningCall, TraceUpdate
from vosd.routing.dynamic_lists import Listing

UPDATE_S: Final = 0.25
"""Interval of reports to a follower."""
CANDIDATES_MAX: Final = 5
"""Most calls listed if the beginning of an id matches several."""
ROWS_AT_ONCE: Final = 500
"""Rows of a long list that are made before calls get their turn."""
TRACE_S_MAX: Final = 86_400
"""Longest duration of a trace: a day."""

_log = structlog.get_logger()


class HangupOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls to end; if more than ``at_most`` match, none is ended."""

    selection: CallSelection
    at_most: int | None = None


class ReloadOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Load the configuration; ``is_confirmed``: also if it removes much."""

    is_confirmed: bool = False


class RouteQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An imaginary call; ``at_ms`` is UTC milliseconds, None = now."""

    gateway: str
    caller: str
    callee: str
    at_ms: int | None = None
    is_forwarded: bool = False


class LadderQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ended call, by the Call-IDs of any of its legs."""

    sip_call_ids: tuple[str, ...]


class RunningCallQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A running call, by the beginning of its id."""

    beginning: str


class RetryOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rejected records to book again; none = all."""

    call_ids: tuple[str, ...] = ()


class SalvageOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Absolute path of a journal file whose ended calls are to be booked."""

    file: str


class UnblockOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An IP address to unblock."""

    address: str


class ClearOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A calling number to take off the dynamic blacklist; None = all."""

    number: str | None = None


class TraceOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """New calls to follow, and for how long at most."""

    sought: CallSought
    seconds: Annotated[int, msgspec.Meta(ge=1, le=TRACE_S_MAX)]


class Commands:
    """The verbs of one running switch."""

    def __init__(self, status: Status, clock: Clock) -> None:
        self._service = status.service
        self._silenced = status.silenced
        self._configuration = status.configuration
        self._clock = clock
        self._status = status
        self.trials: Final = Trials(self._service, self._configuration.loaded.settings.node, clock)

    def verbs(self) -> Mapping[str, Verb]:
        """Return the table of verbs for the control socket."""
        return {
            "status": self.status,
            "calls": self.calls,
            "registrations": self.registrations,
            "hangup": self.hangup,
            "reload": self.reload,
            "configuration": self.configuration,
            "refresh_overrides": self.refresh_overrides,
            "overrides": self.overrides,
            "explain_route": self.explain_route,
            "messages": self.messages,
            "running_call": self.running_call,
            "spool_retry": self.spool_retry,
            "spool_salvage": self.spool_salvage,
            "unblock": self.unblock,
            "locked_out": self.locked_out,
            "gateways": self.gateways,
            "blacklist": self.blacklist,
            "clear_blacklist": self.clear_blacklist,
            **MoneyCommands(self._service, self._clock).verbs(),
        }

    def followings(self) -> Mapping[str, Following]:
        """Return the verbs with a series of answers."""
        return {"trace": self.trace, "test_call": self.trials.follow}

    async def status(self, _arguments: Arguments) -> object:
        """Return process, start time, live objects, counters and catalogue, for ``vosd status``."""
        return self._status.report()

    async def calls(self, _arguments: Arguments) -> object:
        """List the running calls, the oldest first."""
        now = self._clock.now()
        return [_for_people(snapshot(each, now)) for each in self._service.switch.calls()]

    async def registrations(self, _arguments: Arguments) -> object:
        """List registrations in both directions."""
        return [*await self._registered_with_us(), *self._service.node.vendors.registrations.rows()]

    async def _registered_with_us(self) -> list[dict[str, object]]:
        listeners = self._service.listeners
        rows: list[dict[str, object]] = []
        for registration in self._service.registrations.listed():
            rows.append(inbound(registration, listeners))
            if len(rows) % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run
        return rows

    async def hangup(self, arguments: Arguments) -> object:
        """End the selected calls; return how many matched and how many were ended."""
        order = msgspec.convert(dict(arguments), HangupOrder)
        now = self._clock.now()
        running = self._service.switch.calls()
        meant = [each for each in running if order.selection.fits(snapshot(each, now))]
        if order.at_most is not None and len(meant) > order.at_most:
            return {"fitting": len(meant), "ended": 0}
        if not meant:
            check_selection(order.selection, self._service.switch.catalogue, [snapshot(each, now) for each in running])
        ended = self._service.end_calls(meant, EndReason.ADMINISTRATIVE)
        _log.info("calls_hung_up", count=ended, selection=msgspec.to_builtins(order.selection))
        return {"fitting": ended, "ended": ended}

    async def reload(self, arguments: Arguments) -> object:
        """Load the configuration file again."""
        order = msgspec.convert(dict(arguments), ReloadOrder)
        try:
            reloaded = await self._configuration.reload(is_confirmed=order.is_confirmed)
        except ConfigError as error:
            raise CommandError(REFUSED, [str(problem) for problem in error.problems]) from error
        return {
            "version": reloaded.in_force.catalogue.version,
            "problems": [str(problem) for problem in reloaded.problems],
        }

    async def configuration(self, _arguments: Arguments) -> object:
        """Describe the configuration in force, for ``vosd check --diff``."""
        loaded = self._configuration.loaded
        return describe(loaded.settings, loaded.transports, loaded.catalogue)

    async def refresh_overrides(self, _arguments: Arguments) -> object:
        """Read what has changed of the overrides; answer when it is in force."""
        await self._service.overrides.refresh()
        return {}

    async def overrides(self, _arguments: Arguments) -> object:
        """List the overrides in force, for ``vosd check --diff``."""
        return [shown(each) for each in self._service.overrides.in_force.by_key.values()]

    async def explain_route(self, arguments: Arguments) -> object:
        """Return the outcome of an imaginary call, with the current live calls."""
        question = msgspec.convert(dict(arguments), RouteQuestion)
        now = self._clock.now()
        at = now if question.at_ms is None else Instant(now.mono, question.at_ms)
        switch = self._service.switch
        catalogue, blocks = self._service.overridden_at(at.wall)
        explanation = explain_route(
            catalogue,
            switch.live,
            gateway=question.gateway,
            caller=question.caller,
            callee=question.callee,
            at=at,
            is_forwarded=question.is_forwarded,
            steps=switch.services.steps,
            blocks=blocks,
            closed=switch.closed(),
        )
        vendors, routes = catalogue.routing_gateways, catalogue.routes
        found = {}
        for name in (each.routing_gateway for each in explanation.candidates):
            gateway = vendors.get(name) or routes.phone(name)
            found[name] = [] if gateway is None else [*map(str, self._service.node.addresses_of(gateway))]
        return {**explanation.to_json(), "addresses": found}

    async def messages(self, arguments: Arguments) -> object:
        """Return the remaining messages of an ended call."""
        question = msgspec.convert(dict(arguments), LadderQuestion)
        return await self._service.node.followers.call_of(question.sip_call_ids)

    async def running_call(self, arguments: Arguments) -> object:
        """Return the messages of a running call so far, or the ids of the matching calls."""
        question = msgspec.convert(dict(arguments), RunningCallQuestion)
        switch = self._service.switch
        fitting = [each for each in switch.calls() if each.call_id.startswith(question.beginning)]
        update = None
        if len(fitting) == 1:
            update = await self._service.node.followers.running(fitting[0].call, fitting[0].customer)
        return RunningCall([each.call_id for each in fitting[:CANDIDATES_MAX]], update)

    async def spool_retry(self, arguments: Arguments) -> object:
        """Offer quarantined records to the database again."""
        order = msgspec.convert(dict(arguments), RetryOrder)
        outcome = await self._service.spool.retry(order.call_ids)
        for call_id in outcome.booked:
            _log.info("quarantined_record_booked", call_id=call_id)
        return outcome

    async def spool_salvage(self, arguments: Arguments) -> object:
        """Book the readable calls of a journal file."""
        order = msgspec.convert(dict(arguments), SalvageOrder)
        try:
            outcome = await self._service.spool.salvage(Path(order.file))
        except OSError as error:
            message = f"the switch cannot read {order.file}: {error.strerror or error}"
            raise CommandError(message) from error
        _log.info("journal_file_salvaged", file=order.file, booked=len(outcome.booked), refused=len(outcome.refused))
        return outcome

    async def unblock(self, arguments: Arguments) -> object:
        """Unblock an address; return whether it was locked out or blocked."""
        order = msgspec.convert(dict(arguments), UnblockOrder)
        try:
            unblocked = self._silenced.unblock(order.address)
        except ValueError as error:
            raise CommandError(str(error)) from error
        return {"address": order.address, "unblocked": unblocked}

    async def locked_out(self, _arguments: Arguments) -> object:
        """List the locked-out and blocked sources with cause and remaining time."""
        return self._silenced.rows()

    async def blacklist(self, _arguments: Arguments) -> object:
        """List the callers on the dynamic blacklist."""
        now, rows = self._clock.now(), []
        for listing in tuple(self._service.switch.live.dynamic_lists.listed(now.mono)):
            rows.append(_row_of(listing, now))
            if len(rows) % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run
        return rows

    async def clear_blacklist(self, arguments: Arguments) -> object:
        """Take a calling number, or all, off the dynamic blacklist; return how many there were."""
        order = msgspec.convert(dict(arguments), ClearOrder)
        number = None if order.number is None else for_matching(without_separators(order.number))
        cleared = self._service.switch.live.dynamic_lists.clear(number, self._clock.now().mono)
        _log.info("blacklist_cleared", caller=number or "all", cleared=cleared)
        return {"number": number, "cleared": cleared}

    async def gateways(self, _arguments: Arguments) -> object:
        """List every gateway with its state, its calls and its figures of the last hour."""
        shown = []
        registered, silenced = self._service.registrations.names(), self._silenced.sources()
        for row in self._service.gateways.rows(self._service.switch.live, registered, silenced):
            shown.append(row)
            if len(shown) % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run
        return shown

    async def trace(self, arguments: Arguments) -> AsyncGenerator[object, None]:
        """Report the messages of new calls until the time is up or the client disconnects."""
        order = msgspec.convert(dict(arguments), TraceOrder)
        check_gateway(order.sought.gateway, self._service.switch.catalogue)
        until = self._clock.now().plus(1_000 * order.seconds)
        with self._service.node.followers.follow_calls(order.sought) as follower:
            while (now := self._clock.now()).mono < until.mono:
                yield TraceUpdate(follower.updates(now), follower.left_out, is_over=False)
                await asyncio.sleep(0 if follower.has_more else UPDATE_S)
            yield TraceUpdate(follower.updates(now), follower.left_out, is_over=True)


def _row_of(listing: Listing, now: Instant) -> dict[str, object]:
    """Return a caller as ``vosd blacklist list`` shows it; its times follow the monotonic clock."""
    left_ms = listing.until_mono - now.mono
    return {
        "caller": listing.caller,
        "mapping_gateway": listing.gateway,
        "cause": listing.cause.value,
        "limit": listing.limit,
        "since": iso_utc(listing.since),
        "until": iso_utc(now.wall + left_ms),
        "remaining_s": -(-left_ms // 1_000),
    }


def _for_people(call: CallSnapshot) -> dict[str, object]:
    """Return a snapshot with its times as text."""
    shown = msgspec.structs.asdict(call)
    shown["started_at"] = iso_utc(call.started_at)
    shown["answered_at"] = None if call.answered_at is None else iso_utc(call.answered_at)
    return shown
