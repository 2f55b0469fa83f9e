"""Watch over what accounts use by class of destinations: alarms, blocks, hang-ups (ADR 75).

``tick`` compares, once a second and without the database; ``learn`` reads the past and ``store_blocks`` writes blocks,
beside it, so that a slow database delays no block.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from vosd.base.clock import Clock, Instant
from vosd.billing.accounts import Account
from vosd.billing.destination_past import DestinationPast, Span, by_class, highest, past_of, same_hours
from vosd.billing.destinations import DAY_MS, NOTHING, DestinationLimit, DestinationUse, excess
from vosd.billing.spending import SpendAction
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import Override, Setting, Target, destination_name
from vosd.catalogue.ports import OverrideAction, OverrideRecord
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.steady_clock import SteadyClock
from vosd.obs.events import BACK, GONE, Event, log as _log
from vosd.obs.outage import Outage

TICK_S: Final = 1.0
USES_AT_ONCE: Final = 500
"""Uses that are looked at in one turn of the event loop: each takes 4 µs."""
LEARN_S: Final = 1.0
REREAD_MS: Final = 60_000
"""In the hour in which counting began, what ended before is read again so long after that, and then after twice the
time each: it may still wait for its booking."""
OPERATOR: Final = "the fraud watch"
"""Operator of the blocks of this watch. No person is recorded by such a name: ``vosd`` may be one who is logged in."""


class WatchedSwitch(Protocol):
    """Interface of the switch that the watch needs."""

    @property
    def live(self) -> LiveState:
        """The counters and blocks."""

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force."""

    async def attach(self, now: Instant) -> None:
        """Count running calls that are not counted: of an earlier run, or of accounts watched from now on."""

    def hang_up(self, use: DestinationUse) -> int:
        """End the answered calls that a use counts; return how many there were."""

    async def blocks_changed(self) -> None:
        """Read the blocks of the database again; raises StoreUnavailable."""


class BlockStore(Protocol):
    """Storage of blocks (``daemon.fraud.WatchBlocks``)."""

    async def block(self, block: Override, now: int) -> None:
        """Set a block; raises StoreUnavailable and ContentRefused."""

    async def changes(
        self, limit: int, name: str | None = None, target: Target | None = None
    ) -> Sequence[OverrideRecord]:
        """Return the latest changes, newest first; raises StoreUnavailable."""


class FraudWatch:
    """Watches the calls of one switch."""

    def __init__(
        self, switch: WatchedSwitch, clock: Clock, past: DestinationPast, blocks: BlockStore, past_days: int
    ) -> None:
        """``past_days`` is how far back the past goes."""
        self._switch = switch
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._past = past
        self._store = blocks
        self.past_days = past_days
        self._version = ""
        """Version of the catalogue whose calls were attached; to hold it would free a large one here, in one turn."""
        self._raised: dict[DestinationUse, int] = {}
        """Uses with an alarm and no block, and the hour in which it was raised."""
        self._blocked: dict[str, Override] = {}
        """Blocks of this watch that are in force, by their names."""
        self._alarmed: set[str] = set()
        """Names of those that are an alarm: others are of accounts that are not configured or disabled, and wait."""
        self._hung_up: set[DestinationUse] = set()
        """Uses that it has blocked with ``hang up``, while the block is in force."""
        self._first_calls: dict[str, int] = {}
        self._began_at: dict[DestinationUse, int] = {}
        """When the past of a use was read first, monotonic milliseconds."""
        self._reread_at: dict[DestinationUse, int] = {}
        """When it is read again in the same hour."""
        self._idle_since: dict[DestinationUse, int] = {}
        """Uses without a call in the hour that ended then, monotonic milliseconds, the earliest first."""
        self._judged_new: set[DestinationUse] = set()
        """Uses of which is known whether the class is new for the account."""

    # -- every second -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tick every second; runs until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            await self.tick()

    async def tick(self) -> None:
        """Compare what is used with what is allowed; calls have their turns in between."""
        now = self._clock.now()
        if self._version != self._switch.catalogue.version:
            self._version = self._switch.catalogue.version
            await self._switch.attach(now)
            now = self._clock.now()
        self._follow_blocks(now)
        uses = self._switch.live.destinations
        for count, (key, use) in enumerate([*uses.active.items()], start=1):
            if use.roll(now.wall) and use.is_idle:
                del uses.active[key]
                self._idle_since.pop(use, None)  # it may stand there from an earlier time
                self._idle_since[use] = now.mono
            if self._judge(use, now) or count % USES_AT_ONCE == 0:
                await asyncio.sleep(0)
                now = self._clock.now()
        if self._idle_since:
            self._forget_idle(now.mono)

    def _forget_idle(self, mono_ms: int) -> None:
        """Forget uses that had no call for ``past_days``: a call from then on is the first one again."""
        use = next(iter(self._idle_since))
        uses = self._switch.live.destinations
        if (use.account, use.destination) in uses.active:
            del self._idle_since[use]
        elif mono_ms - self._idle_since[use] >= self.past_days * DAY_MS:
            del self._idle_since[use]
            uses.all.pop((use.account, use.destination), None)
            self._judged_new.discard(use)
            self._began_at.pop(use, None)
            self._reread_at.pop(use, None)

    def _judge(self, use: DestinationUse, now: Instant) -> bool:
        """Raise and end the alarm of a use, or block it; return whether it was blocked or calls of it were ended."""
        limit, name = self._limit_of(use), destination_name(use.account, use.destination)
        is_blocked = name in self._blocks()
        is_hung_up = is_blocked and use.running > 0 and use in self._hung_up
        if is_hung_up:
            self._hang_up(use, "answered after the block")  # it rang then
        found = None if limit is None else excess(limit, use.past, use.used(now.mono))
        raised_in = self._raised.get(use)
        if limit is None or found is None:
            if raised_in is not None and (limit is None or raised_in != use.hour):
                del self._raised[use]
                why = GONE if limit is None else "within the limit again"
                _log.info(BACK[Event.FRAUD_SUSPECTED].value, **_facts(use), why=why)
            return is_hung_up
        if is_blocked or name in self._blocked:  # one that was lifted since ``_follow_blocks`` is forgiven by that
            return is_hung_up
        if limit.action is SpendAction.EVENT:
            if raised_in is None:
                self._raised[use] = use.hour
                _log.warning(Event.FRAUD_SUSPECTED.value, **_facts(use), action=limit.action.value, found=str(found))
            return is_hung_up
        self._raised.pop(use, None)  # the limit may have been an event before a reload; the alarm is the block's now
        self._block(use, limit, str(found), now)
        return True

    def _block(self, use: DestinationUse, limit: DestinationLimit, found: str, now: Instant) -> None:
        name = destination_name(use.account, use.destination)
        until = now.wall + 1_000 * limit.block_for_s if limit.block_for_s else None
        block = Override(Target.DESTINATION, name, Setting.BLOCKED, "", OPERATOR, now.wall, until, found)
        self._switch.live.blocks.block(block)
        self._blocked[name] = block
        if self._concerns_calls(name):
            self._alarmed.add(name)
            _report(block)
        if limit.action is SpendAction.HANG_UP:
            self._hung_up.add(use)
            self._hang_up(use, found)

    def _hang_up(self, use: DestinationUse, why: str) -> None:
        _log.warning("calls_hung_up", **_facts(use), count=self._switch.hang_up(use), why=why)

    def _follow_blocks(self, now: Instant) -> None:
        """Report blocks of this watch that are new, as after a start, and those that have ended."""
        wall_ms = self._steady.now()
        if not self._blocks() and not self._blocked:
            return
        pending = self._switch.live.blocks.pending
        for name in [name for name, each in pending.items() if _has_expired(each, wall_ms)]:
            del pending[name]
            self._blocks().pop(name, None)
        present = {name: each for name, each in self._blocks().items() if each.operator == OPERATOR}
        for name in self._blocked.keys() - present.keys():
            block = self._blocked.pop(name)
            account, _, destination = name.rpartition("/")
            why = "the block has expired" if _has_expired(block, wall_ms) else "the block was cleared"
            use = self._switch.live.destinations.all.get((account, destination))
            if use is not None:
                use.forgive(now.mono)
                self._hung_up.discard(use)
            if name in self._alarmed:
                self._alarmed.discard(name)
                _log.info(BACK[Event.FRAUD_SUSPECTED].value, account=account, destination=destination, why=why)
        self._blocked.update(present)
        alarmed = set(filter(self._concerns_calls, present))
        for name in self._alarmed - alarmed:
            account, _, destination = name.rpartition("/")
            _log.info(BACK[Event.FRAUD_SUSPECTED].value, account=account, destination=destination, why=GONE)
        for name in alarmed - self._alarmed:
            _report(present[name])
        self._alarmed = alarmed

    # -- with the database --------------------------------------------------------------------------------------

    async def keep_learning(self) -> None:
        """Read the past where it is not known, and write blocks; runs until cancelled."""
        outage = Outage(Event.DATABASE_AWAY, part="past of destinations")
        while True:
            await asyncio.sleep(LEARN_S)
            try:
                await self.store_blocks()
                await self.learn()
                outage.over()
            except StoreUnavailable as error:
                outage.found(error, means="only max_minutes and max_spend hold, and blocks are not stored yet")

    async def store_blocks(self) -> None:
        """Write blocks that are in force here alone.

        Raises:
            StoreUnavailable: they stay in force here; try again.
        """
        pending = self._switch.live.blocks.pending
        for name, block in (written := [*pending.items()]):
            await self._store.block(block, self._clock.now().wall)
            pending.pop(name, None)  # from here on the database decides: it may be cleared before it is read
        if written:
            await self._switch.blocks_changed()

    async def learn(self) -> None:
        """Read the past of active uses where it is not known for the present hour.

        Raises:
            StoreUnavailable: try again.
        """
        by_account: dict[str, list[DestinationUse]] = defaultdict(list)
        for use in self._switch.live.destinations.active.values():
            by_account[use.account].append(use)
        for account, uses in by_account.items():
            if any(map(self._is_outdated, uses)):
                await self._learn(account, uses)

    def _is_outdated(self, use: DestinationUse) -> bool:
        if not use.is_learned or use not in self._judged_new:
            return True
        now = self._clock.now()
        return use.since >= use.hour and now.mono >= self._reread_at[use]

    async def _learn(self, account: str, uses: Collection[DestinationUse]) -> None:
        destinations, past, now = self._switch.catalogue.destinations, self._past, self._clock.now()
        hour = max(use.hour for use in uses)
        if account not in self._first_calls:
            first = await past.first_call(account)
            if first is not None:
                self._first_calls[account] = first
        spans = same_hours(hour, self.past_days)
        usual = highest(by_class(await past.begun_in(account, spans, destinations.digits), destinations))
        longest_ms = 1_000 * self._switch.catalogue.parameters.max_call_seconds
        for use in uses:
            if use.since >= hour:
                lifted_at = await self._lifted_at(use)
                # What ended before a block that was lifted since then is forgiven in memory.
                span = Span(max(hour, lifted_at) if lifted_at <= use.since else hour, use.since)
                ended = by_class(await past.ended_in(account, span, destinations.digits, longest_ms), destinations)
                use.before = ended.get((0, use.destination), NOTHING)
        for use in uses:
            if use.hour == hour:
                use.past = past_of(self._first_calls.get(account), hour, usual.get(use.destination, NOTHING))
                use.is_learned = True
                began_at = self._began_at.setdefault(use, now.mono)
                self._reread_at[use] = now.mono + max(REREAD_MS, now.mono - began_at)
        await self._judge_new(account, [use for use in uses if use not in self._judged_new])

    async def _lifted_at(self, use: DestinationUse) -> int:
        """Return when the last block of a class ended, UTC milliseconds; 0 = there was none."""
        name = destination_name(use.account, use.destination)
        latest = await self._store.changes(1, name, Target.DESTINATION)
        return latest[0].at if latest and latest[0].action is not OverrideAction.SET else 0

    async def _judge_new(self, account: str, uses: Collection[DestinationUse]) -> None:
        """Report classes that an account calls and has not called in the past days, which are read one by one."""
        configured = self._switch.catalogue.accounts.get(account)
        first = self._first_calls.get(account)
        begin = min((use.since for use in uses), default=0)
        if configured is None or not configured.new_destination_alarm or first is None or first > begin - DAY_MS:
            self._judged_new.update(uses)
            return
        destinations = self._switch.catalogue.destinations
        unseen = {use.destination: use for use in uses}
        for day in range(self.past_days):
            end = begin - day * DAY_MS
            found = await self._past.begun_in(account, [Span(end - DAY_MS, end)], destinations.digits)
            for _, destination in by_class(found, destinations):
                unseen.pop(destination, None)
            if not unseen or end <= first:
                break
        self._judged_new.update(uses)
        for destination, use in unseen.items():
            _log.warning(
                Event.DESTINATION_NEW.value,
                account=account,
                destination=destination,
                callee=use.first_number,
                days=self.past_days,
            )

    # -- inside -------------------------------------------------------------------------------------------------

    def _blocks(self) -> dict[str, Override]:
        return self._switch.live.blocks.destinations

    def _concerns_calls(self, name: str) -> bool:
        """Return whether the account of a block may call, and its class is configured."""
        account, _, destination = name.rpartition("/")
        configured = self._switch.catalogue.accounts.get(account)
        return (
            configured is not None and configured.enabled and destination in self._switch.catalogue.destinations.names
        )

    def _limit_of(self, use: DestinationUse) -> DestinationLimit | None:
        account: Account | None = self._switch.catalogue.accounts.get(use.account)
        limits = () if account is None else account.destination_limits
        return next((each for each in limits if each.destination == use.destination), None)


def _report(block: Override) -> None:
    account, _, destination = block.name.rpartition("/")
    do = f"vosd account unblock {account} --destination {destination}, once the customer is asked"
    facts = {"account": account, "destination": destination, "found": block.memo, "do": do}
    _log.warning(Event.FRAUD_SUSPECTED.value, action=SpendAction.BLOCK.value, **facts)


def _has_expired(block: Override, wall_ms: int | None) -> bool:
    """Return whether the time of a block is over; None = the wall clock was set and is not believed."""
    return wall_ms is not None and not block.holds_at(wall_ms)


def _facts(use: DestinationUse) -> dict[str, object]:
    return {"account": use.account, "destination": use.destination}
