"""Orders of the control socket, carried out: one method for each.

Has no rules of its own: it calls the engine, the configuration in force and the use cases of ``admin``.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.differences import Description, describe
from vosd.admin.names import check_gateway, check_selection
from vosd.admin.office.overrides import shown
from vosd.admin.routing import explain_route
from vosd.base.cause import EndReason
from vosd.base.clock import Clock, Instant
from vosd.base.money import format_amount
from vosd.base.number import for_matching, without_separators
from vosd.base.parts import in_parts
from vosd.catalogue.problems import ConfigError
from vosd.control.calls import (
    AccountCalls,
    CallSnapshot,
    CountCalls,
    DescribeCall,
    FoundCall,
    Hangup,
    HangupOutcome,
    ListCalls,
    MakeTestCall,
)
from vosd.control.installation import (
    CountApiAnswers,
    FindObjectsInUse,
    GetConfiguration,
    GetStatus,
    ListOverrides,
    ObjectsInUse,
    OverrideRow,
    RefreshOverrides,
    Reload,
    ReloadOutcome,
    SwitchStatus,
    TryReload,
)
from vosd.control.money import (
    BeginWithdrawal,
    BookingOutcome,
    Commitments,
    CountRefused,
    CountUnbooked,
    EndWithdrawal,
    ListCommitments,
    ListUnbooked,
    RefreshBalances,
    RetryRefused,
    SalvageJournal,
    Withdrawal,
)
from vosd.control.order import Handler, OrderDone
from vosd.control.peers import (
    BlacklistedCaller,
    ClearBlacklist,
    ClearedCallers,
    ForgetRegistration,
    ForgottenRegistrations,
    GatewayRow,
    InboundRow,
    ListBlacklist,
    ListGateways,
    ListLockedOut,
    ListRegistrations,
    ListRegistrationsOf,
    OutboundRow,
    RetryRegistration,
    SilencedSource,
    Unblock,
    UnblockOutcome,
)
from vosd.control.routes import ExplainRoute, RouteSheet
from vosd.control.server import CommandError
from vosd.control.traces import EndedCallMessages, FindMessages, FindRunningCall, FollowCalls, RunningCall, TraceUpdate
from vosd.daemon.reload import REFUSED, SoundFile
from vosd.daemon.status import Status
from vosd.daemon.trials import Trials
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.snapshots import CallCounts, accounts_of, description, gateways_of, is_paid_by, snapshot
from vosd.engine.registration.bindings import ListedBinding, has_part, inbound
from vosd.engine.service import SwitchService
from vosd.engine.state_files import blacklisted
from vosd.obs.events import log as _log
from vosd.routing.dynamic_lists import ListedCaller

UPDATE_S: Final = 0.25
"""Interval of reports to a follower."""
CANDIDATES_MAX: Final = 5
"""Most calls listed if the beginning of an id matches several."""
ROWS_AT_ONCE: Final = 500
"""Rows of a long list that are made before calls get their turn."""


class ConfigurationInvalidError(CommandError):
    """The configuration was not loaded; the former one holds."""


class ConfigurationNotReadError(CommandError):
    """The user of the switch may not read the file."""

    code = "configuration_not_read"


class UnreadableJournalError(CommandError):
    """A journal file cannot be read."""


class NoAddressError(CommandError):
    """The text is no address."""


class Commands:
    """The verbs of one running switch."""

    def __init__(self, status: Status, clock: Clock) -> None:
        self._service = status.service
        self._silenced = status.silenced
        self._configuration = status.configuration
        self._clock = clock
        self._status = status
        self.trials: Final = Trials(self._service, self._configuration.loaded.settings.node, clock)

    def handlers(self) -> Iterator[Handler]:
        """Yield what carries out each order."""
        yield GetStatus.answered_by(self.status)
        yield ListCalls.answered_by(self.calls)
        yield CountCalls.answered_by(self.count_calls)
        yield ListRegistrations.answered_by(self.registrations)
        yield ListRegistrationsOf.answered_by(self.registrations_of)
        yield RetryRegistration.answered_by(self.retry_registration)
        yield ForgetRegistration.answered_by(self.forget_registration)
        yield Hangup.answered_by(self.hangup)
        yield Reload.answered_by(self.reload)
        yield TryReload.answered_by(self.try_reload)
        yield FindObjectsInUse.answered_by(self.objects_in_use)
        yield GetConfiguration.answered_by(self.configuration)
        yield RefreshOverrides.answered_by(self.refresh_overrides)
        yield CountApiAnswers.answered_by(self.count_api_answers)
        yield ListOverrides.answered_by(self.overrides)
        yield ExplainRoute.answered_by(self.explain_route)
        yield FindMessages.answered_by(self.messages)
        yield DescribeCall.answered_by(self.describe_call)
        yield FindRunningCall.answered_by(self.running_call)
        yield RetryRefused.answered_by(self.retry_refused)
        yield SalvageJournal.answered_by(self.salvage_journal)
        yield Unblock.answered_by(self.unblock)
        yield ListLockedOut.answered_by(self.locked_out)
        yield ListGateways.answered_by(self.gateways)
        yield ListBlacklist.answered_by(self.blacklist)
        yield ClearBlacklist.answered_by(self.clear_blacklist)
        yield FollowCalls.followed_by(self.trace)
        yield MakeTestCall.followed_by(self.trials.follow)
        yield from MoneyCommands(self._service, self._clock).handlers()

    async def status(self, _order: GetStatus) -> SwitchStatus:
        """Return process, start time, live objects, counters and catalogue, for ``vosd status``."""
        return self._status.report()

    async def calls(self, order: ListCalls) -> list[CallSnapshot]:
        """List the running calls, the oldest first."""
        return [shown async for _, shown in self._running(order.customers)]

    async def _running(
        self, customers: frozenset[str] | None = None
    ) -> AsyncGenerator[tuple[LiveCall, CallSnapshot], None]:
        """Yield the running calls, or those of some customers, with what is shown of each."""
        for count, each in enumerate(self._service.switch.calls(), start=1):
            if not each.is_over and (customers is None or is_paid_by(each, customers)):
                yield each, snapshot(each, self._clock.now())
            if count % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run

    async def count_calls(self, order: CountCalls) -> dict[str, AccountCalls]:
        """Count the running calls of each account."""
        counts = CallCounts(order.accounts)
        for part in in_parts(self._service.switch.calls(), ROWS_AT_ONCE):
            counts.add(part)
            await asyncio.sleep(0)  # let calls run
        return counts.by_account()

    async def registrations(self, order: ListRegistrations) -> list[InboundRow | OutboundRow]:
        """List registrations in both directions."""
        part = order.containing.lower()
        ours = self._service.node.vendors.registrations.rows()
        return [
            *await self._registered_with_us(self._service.registrations.listed(), part),
            *(each for each in ours if part in f"{each.name}\n{each.contact}\n{each.server}".lower()),
        ]

    async def registrations_of(self, order: ListRegistrationsOf) -> list[InboundRow]:
        """List registrations of some phones and gateways; the others are not looked at."""
        listed = self._service.registrations.listed(order.names)
        return await self._registered_with_us(listed, order.containing.lower())

    async def _registered_with_us(self, listed: Iterable[ListedBinding], part: str) -> list[InboundRow]:
        listeners = self._service.listeners
        rows: list[InboundRow] = []
        for count, each in enumerate(listed, start=1):
            if not part or has_part(each, part):
                rows.append(inbound(each, listeners))
            if count % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run
        return rows

    async def forget_registration(self, order: ForgetRegistration) -> ForgottenRegistrations:
        """Remove the bindings of a phone or gateway; return how many there were."""
        return ForgottenRegistrations(order.name, self._service.registrations.forget(order.name))

    async def retry_registration(self, order: RetryRegistration) -> OutboundRow | None:
        """Have our registration with a vendor asked for at once; return it."""
        return self._service.retry_registration(order.name)

    async def hangup(self, order: Hangup) -> HangupOutcome:
        """End the selected calls; return how many matched and how many were ended."""
        running = [each async for each in self._running()]
        meant = [each for each, shown in running if order.selection.fits(shown) and not each.is_over]
        if order.at_most is not None and len(meant) > order.at_most:
            return HangupOutcome(len(meant), 0)
        if not meant:
            check_selection(order.selection, self._service.switch.catalogue, [shown for _, shown in running])
        ended = await self._service.end_in_turns(meant, EndReason.ADMINISTRATIVE)
        _log.info("calls_hung_up", count=ended, selection=msgspec.to_builtins(order.selection))
        return HangupOutcome(ended, ended)

    async def reload(self, order: Reload) -> ReloadOutcome:
        """Load the configuration file again; registrations that back off ask at once if an operator orders it."""
        reload = self._configuration.reload
        outcome = await _outcome(reload(is_confirmed=order.is_confirmed, follows_order=order.follows_order))
        if order.is_by_operator:
            self._service.retry_registrations()
        return outcome

    async def objects_in_use(self, question: FindObjectsInUse) -> ObjectsInUse:
        """Return those of some objects that running calls use."""
        calls = self._service.switch.calls()
        accounts = accounts_of(calls)
        gateways = gateways_of(calls) if question.gateways else frozenset()
        return ObjectsInUse(
            [name for name in question.accounts if name in accounts],
            [name for name in question.gateways if name in gateways],
            self._service.balances.in_use(question.accounts, accounts),
        )

    async def try_reload(self, order: TryReload) -> ReloadOutcome:
        """Say what a reload of a file would say, for ``vosd check --diff``."""
        path = Path(order.configuration)
        if not os.access(path, os.R_OK):
            message = f"the switch may not read {path}, so that it cannot say whether a reload would be refused"
            raise ConfigurationNotReadError(message)
        return await _outcome(self._configuration.tried(path))

    async def configuration(self, _order: GetConfiguration) -> Description:
        """Describe the configuration in force, for ``vosd check --diff``."""
        loaded = self._configuration.loaded
        return describe(loaded.settings, loaded.transports, loaded.catalogue)

    async def refresh_overrides(self, _order: RefreshOverrides) -> OrderDone:
        """Read what has changed of the overrides; answer when it is in force."""
        await self._service.overrides.refresh()
        return OrderDone()

    async def count_api_answers(self, order: CountApiAnswers) -> OrderDone:
        """Count answers of the management API."""
        counted = self._status.api_answers
        for each in counted.keys() & order.answers.keys():
            counted[each] += order.answers[each]
        return OrderDone()

    async def overrides(self, _order: ListOverrides) -> list[OverrideRow]:
        """List the overrides in force, for ``vosd check --diff``."""
        return [shown(each) for each in self._service.overrides.in_force.by_key.values()]

    async def explain_route(self, question: ExplainRoute) -> RouteSheet:
        """Return the outcome of an imaginary call, with the current live calls."""
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
            is_withheld=question.is_withheld,
            is_anonymous=question.is_anonymous,
            source=question.source,
            agent=question.agent,
            steps=switch.services.steps,
            blocks=blocks,
            closed=switch.closed(),
        )
        vendors, routes = catalogue.routing_gateways, catalogue.routes
        found = {}
        for name in (each.routing_gateway for each in explanation.candidates):
            gateway = vendors.get(name) or routes.phone(name)
            found[name] = [] if gateway is None else [*map(str, self._service.node.addresses_of(gateway))]
        return msgspec.structs.replace(explanation, addresses=found)

    async def messages(self, question: FindMessages) -> EndedCallMessages:
        """Return the remaining messages of an ended call."""
        return await self._service.node.followers.call_of(question.sip_call_ids)

    async def running_call(self, question: FindRunningCall) -> RunningCall:
        """Return the messages of a running call so far, or the ids of the matching calls."""
        switch = self._service.switch
        fitting = [each for each in switch.calls() if each.call_id.startswith(question.beginning)]
        update = None
        if len(fitting) == 1:
            update = await self._service.node.followers.running(fitting[0].call)
        return RunningCall([each.call_id for each in fitting[:CANDIDATES_MAX]], update)

    async def describe_call(self, question: DescribeCall) -> FoundCall:
        """Return everything about a running call, or the ids of the matching calls."""
        fitting = [each for each in self._service.switch.calls() if each.call_id.startswith(question.beginning)]
        found = description(fitting[0], self._clock.now()) if len(fitting) == 1 else None
        return FoundCall([each.call_id for each in fitting[:CANDIDATES_MAX]], found)

    async def retry_refused(self, order: RetryRefused) -> BookingOutcome:
        """Offer quarantined records to the database again."""
        outcome = await self._service.spool.retry(order.call_ids)
        for call_id in outcome.booked:
            _log.info("quarantined_record_booked", call_id=call_id)
        return outcome

    async def salvage_journal(self, order: SalvageJournal) -> BookingOutcome:
        """Book the readable calls of a journal file."""
        try:
            outcome = await self._service.spool.salvage(Path(order.file))
        except OSError as error:
            raise UnreadableJournalError(f"the switch cannot read {order.file}: {error.strerror or error}") from error
        _log.info("journal_file_salvaged", file=order.file, booked=len(outcome.booked), refused=len(outcome.refused))
        return outcome

    async def unblock(self, order: Unblock) -> UnblockOutcome:
        """Unblock an address; return whether it was locked out or blocked."""
        try:
            unblocked = self._silenced.unblock(order.address)
        except ValueError as error:
            raise NoAddressError(f"{order.address} is no IP address") from error
        return UnblockOutcome(order.address, unblocked)

    async def locked_out(self, _order: ListLockedOut) -> list[SilencedSource]:
        """List the locked-out and blocked sources with cause and remaining time."""
        return self._silenced.rows()

    async def blacklist(self, _order: ListBlacklist) -> list[BlacklistedCaller]:
        """List the callers on the dynamic blacklist."""
        now = self._clock.now()
        rows: list[BlacklistedCaller] = []
        for listing in tuple(self._service.switch.live.dynamic_lists.listed(now.mono)):
            rows.append(_row_of(listing, now))
            if len(rows) % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run
        return rows

    async def clear_blacklist(self, order: ClearBlacklist) -> ClearedCallers:
        """Take a calling number, or all, off the dynamic blacklist; return how many there were."""
        number = None if order.number is None else for_matching(without_separators(order.number))
        cleared = self._service.switch.live.dynamic_lists.clear(number, self._clock.now().mono)
        _log.info("blacklist_cleared", caller=number or "all", cleared=cleared)
        return ClearedCallers(number, cleared)

    async def gateways(self, order: ListGateways) -> list[GatewayRow]:
        """List every gateway with its state, its calls and its figures of the last hour."""
        shown: list[GatewayRow] = []
        registrations, silenced = self._service.registrations, self._silenced.sources()
        rows = self._service.gateways.rows(
            self._service.switch.live, registrations.names(), registrations.departed(), silenced, order.containing
        )
        for count, row in enumerate(rows, 1):
            if row is not None:
                shown.append(row)
            if count % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run
        return shown

    async def trace(self, order: FollowCalls) -> AsyncGenerator[TraceUpdate, None]:
        """Report the messages of new calls until the time is up or the client disconnects."""
        check_gateway(order.sought.gateway, self._service.switch.catalogue)
        until = self._clock.now().plus(1_000 * order.seconds)
        with self._service.node.followers.follow_calls(order.sought) as follower:
            while (now := self._clock.now()).mono < until.mono:
                yield TraceUpdate(follower.updates(now), follower.left_out, is_over=False)
                await asyncio.sleep(0 if follower.has_more else UPDATE_S)
            yield TraceUpdate(follower.updates(now), follower.left_out, is_over=True)


def _row_of(listing: ListedCaller, now: Instant) -> BlacklistedCaller:
    """Return a caller as ``vosd blacklist list`` shows it; its times follow the monotonic clock."""
    left_ms = listing.until_mono - now.mono
    return blacklisted(listing, left_ms, now.wall + left_ms)


class MoneyCommands:
    """The orders about the money of one running switch."""

    def __init__(self, service: SwitchService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    def handlers(self) -> Iterator[Handler]:
        """Yield what carries out each order."""
        yield ListCommitments.answered_by(self.commitments)
        yield ListUnbooked.answered_by(self.unbooked)
        yield CountUnbooked.answered_by(self.count_unbooked)
        yield CountRefused.answered_by(self.count_refused)
        yield RefreshBalances.answered_by(self.refresh_balances)
        yield BeginWithdrawal.answered_by(self.begin_withdrawal)
        yield EndWithdrawal.answered_by(self.end_withdrawal)

    async def commitments(self, order: ListCommitments) -> dict[str, Commitments]:
        """Return the reserved and unbooked amounts of each account that has any."""
        found: dict[str, Commitments] = {}
        credits = self._service.switch.live.credits
        for count, account in enumerate([*credits] if order.accounts is None else order.accounts, 1):
            credit = credits.get(account)
            if credit is not None and (credit.reserved or credit.unbooked or credit.withheld):
                reserved = format_amount(credit.reserved + credit.withheld)
                found[account] = Commitments(reserved, format_amount(credit.unbooked))
            if count % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run
        return found

    async def unbooked(self, question: ListUnbooked) -> dict[str, str]:
        """Return what each account owes of calls that ended in a time and are not booked."""
        owed = await self._service.recorder.owed_of(question.since_ms, question.until_ms)
        return {account: format_amount(amount) for account, amount in owed.items()}

    async def count_unbooked(self, question: CountUnbooked) -> int:
        """Return how many calls that began before a time wait for the database."""
        return self._service.recorder.begun_before(question.before_ms)

    async def count_refused(self, question: CountRefused) -> int:
        """Return how many refused records may be of calls of a vendor that began in a span."""
        return await self._service.spool.count_of(question.vendor, question.since_ms, question.until_ms)

    async def refresh_balances(self, _order: RefreshBalances) -> OrderDone:
        """Read bookings of other processes; answer when done."""
        await self._service.balances.refresh()
        return OrderDone()

    async def begin_withdrawal(self, order: BeginWithdrawal) -> Withdrawal:
        """Keep from calls what is about to be booked; return its id, or what is available where that is less."""
        await self._service.balances.refresh()  # another command may have booked since
        begun = self._service.balances.withdrawals.begin(order.account, order.amount, self._clock.now().mono)
        return Withdrawal(id=begun) if isinstance(begun, str) else Withdrawal(available=begun)

    async def end_withdrawal(self, order: EndWithdrawal) -> OrderDone:
        """Read the booked balances, then release what was kept from calls; answer when done."""
        self._service.balances.withdrawals.report(order.id)
        await self._service.balances.refresh()
        return OrderDone()


async def _outcome(loading: Awaitable[SoundFile]) -> ReloadOutcome:
    try:
        sound = await loading
    except ConfigError as error:
        raise ConfigurationInvalidError(REFUSED, [str(problem) for problem in error.problems]) from error
    return ReloadOutcome(sound.version, [str(problem) for problem in sound.problems])
