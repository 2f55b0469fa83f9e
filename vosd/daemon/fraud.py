"""The watch over destinations in the daemon: begun behind the switch, so that it counts the calls of an earlier run."""

import asyncio
from typing import Final

from vosd.admin.office.overrides import BlockAccount
from vosd.admin.office.principal import Means, Permission, Principal, Role
from vosd.base.clock import Clock, Instant
from vosd.billing.destinations import DestinationUse
from vosd.billing.free_numbers import FREE_NUMBER
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.destinations import is_watched, watched_call
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.taken import PlaceTaken
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import Override
from vosd.engine.alarms.fraud import OPERATOR, FraudWatch
from vosd.engine.background import BackgroundTasks
from vosd.engine.service import SwitchService
from vosd.engine.settings import AlarmSettings
from vosd.storage.database import Database
from vosd.storage.destination_past import SqlDestinationPast
from vosd.storage.overrides import SqlOverrides
from vosd.trunks.scope import LimitScope

THE_WATCH: Final = Principal(
    role=Role.PROGRAM, name=OPERATOR, login=OPERATOR, means=Means.SWITCH, permissions=frozenset({Permission.BLOCK})
)
CALLS_AT_ONCE: Final = 500
"""Calls that are looked at before others get their turn."""


class FraudPart:
    """The tasks of the watch."""

    def __init__(self, service: SwitchService, database: Database, settings: AlarmSettings, clock: Clock) -> None:
        self._watch: Final = FraudWatch(
            SwitchUnderWatch(service), clock, SqlDestinationPast(database), WatchBlocks(database), settings.past_days
        )
        self._tasks = BackgroundTasks()

    async def begin(self) -> None:
        """Begin to watch."""
        self._tasks.run("watch over destinations", self._watch.run)
        self._tasks.run("past of destinations", self._watch.keep_learning)

    async def end(self) -> None:
        """End the tasks; a block that the database does not have is lost."""
        await self._tasks.stop()

    def adjust(self, settings: AlarmSettings) -> None:
        """Apply other settings."""
        self._watch.past_days = settings.past_days


class WatchBlocks(SqlOverrides):
    """The overrides, with a line of the audit for each block of the watch (implements ``BlockStore``)."""

    async def block(self, block: Override, now: int) -> None:
        """Set a block, unless it is there: the answer of a commit may have been lost.

        Raises:
            StoreUnavailable: try the same again.
            ContentRefused: the database will never take it.
        """
        stored = (await self.load(block.name)).by_key.get(block.key)
        if stored is not None and (stored.operator, stored.since) == (block.operator, block.since):
            return
        account, _, destination = block.name.rpartition("/")
        order = BlockAccount(account=account, destination=destination, until=block.until, memo=block.memo)
        await self.put([block], now, audit=THE_WATCH.audit_line(order, block.name, block.since))


class SwitchUnderWatch:
    """Implements ``vosd.engine.alarms.fraud.WatchedSwitch`` over the service."""

    def __init__(self, service: SwitchService) -> None:
        self._service = service

    @property
    def live(self) -> LiveState:
        """The counters and blocks."""
        return self._service.switch.live

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force."""
        return self._service.switch.catalogue

    async def attach(self, now: Instant) -> None:
        """Count running calls that are not counted: of an earlier run, or of accounts watched from now on."""
        catalogue, live = self.catalogue, self.live
        if not catalogue.destinations.names:
            return
        for count, each in enumerate(self._service.switch.calls(), 1):
            if count % CALLS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run
            if each.is_over:
                continue
            request, answered_at = each.call_request, each.call.journey.answered_at
            account = None if request.account is None else catalogue.accounts.get(request.account.id)
            hold, rate = request.hold, request.rate
            if account is None or request.watched is not None or not _has_come_to(account.id, request):
                continue
            if not is_watched(account) or (rate is not None and rate.group == FREE_NUMBER):
                continue
            watched = request.watched = watched_call(account, request.callee_billing, now.wall, catalogue, live)
            if watched is not None:
                request.taken.append(watched)
                if answered_at is not None and hold is not None:
                    watched.answered(answered_at.mono, hold.holds[0])

    def hang_up(self, use: DestinationUse) -> int:
        """End the answered calls that a use counts; return how many there were."""
        calls = [each for each in self._service.switch.calls() if _is_counted(each.call_request, use)]
        return self._service.hang_up(calls)

    async def blocks_changed(self) -> None:
        """Read the blocks of the database again; raises StoreUnavailable."""
        await self._service.overrides.refresh()


def _has_come_to(account: str, request: CallRequest) -> bool:
    """Return whether a call is past the step that counts calls itself."""
    return any(
        isinstance(each, PlaceTaken) and each.scope is LimitScope.ACCOUNT and each.name == account
        for each in request.taken
    )


def _is_counted(request: CallRequest, use: DestinationUse) -> bool:
    watched = request.watched
    return watched is not None and watched.use is use and watched.answered_mono is not None
