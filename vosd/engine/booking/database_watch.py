"""Supervision of the database: whether this switch may use it, and whether it has lost commits.

Renews the lease every second. Lost commits (by a failover, a restore, a power loss) are detected by the identity and
the counters; no new call is taken until the journal has been compared with the database (ADR 22 and 23).
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from vosd.base.clock import Clock
from vosd.base.money import format_amount
from vosd.cdr.columns import iso_utc
from vosd.cdr.lease import RENEW_S, Claimant, DatabaseState, Lease, LeaseHeld
from vosd.cdr.ports import Books, StoreUnavailable
from vosd.control.installation import DatabaseReport
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.comparison import JournalComparison, Mended, shown_sums
from vosd.engine.booking.standstill import Standstill
from vosd.engine.clock import machine_ms
from vosd.engine.counting import Counting
from vosd.engine.journal.kept import BEGINNING, JournalPlace
from vosd.engine.kept_file import KeptFile
from vosd.obs.events import Event, log as _log
from vosd.obs.outage import Outage

RETRY_S: Final = 1.0
"""Pause before a failed comparison is tried again."""
RETRY_IN_DOUBT_S: Final = 0.2
"""Pause before a lease that is in doubt is asked for again."""
RELEASE_S: Final = 2.0
"""Time limit for releasing the lease at a stop; after that it runs out."""
MEMO_AGE_S: Final = 300
"""Greatest age of the memo at the end of the earlier run; a power loss takes the latest writes."""
MEMO: Final = "database.json"
"""Name of the memo in ``state_dir``."""
NAMED_AT_MOST: Final = 20
"""Most accounts that the log names after a comparison."""
SHOWN_IN_ALARM: Final = 5
"""Most accounts that the alarm names, those that differ most."""


class Memo(msgspec.Struct, frozen=True):
    """The last known state of the database, in a small file beside the journal.

    It is compared with the database at the next start, to detect one that was restored from an older state meanwhile.
    """

    state: DatabaseState
    regressed: str | None
    """Evidence of lost commits that are not all booked again."""
    complete: bool
    """Whether the switch was stopped in order; after a crash more may have been booked than ``state`` says."""
    compare_from_s: int
    """After a crash, calls booked since then are compared; seconds since 1970."""
    mended_to: tuple[int, int] = BEGINNING
    """Place of the journal up to which all calls are booked again, if ``regressed``."""
    kind: str = ""
    """Kind of the database, as ``database.url`` begins: sqlite or mysql; empty = an earlier version has written it."""
    node: str = ""
    """The node whose renewals ``state`` counts; empty = an earlier version has written it."""


def kind_of(url: str) -> str:
    """Return the kind of the database of a URL: sqlite or mysql."""
    return url.partition("+")[0]


class MemoFile:
    """The file, replaced atomically.

    To be written in a thread: what removes the file before may wait for the disk, for 40 ms beside a large import.
    """

    def __init__(self, path: Path, url: str = "") -> None:
        """``url`` is that of the database."""
        # Not synced: it is written each second, and without it all is compared.
        self._file = KeptFile(path, Memo, "database_memo", synced=False)
        self._kind = kind_of(url)
        self._lock = Lock()
        self._latest: Memo | None = None
        self._written: Memo | None = None

    def read(self) -> Memo | None:
        """Return the memo; None if there is none or it cannot be read."""
        return self._file.read()

    def note(self, memo: Memo) -> None:
        """Have the next ``write`` write this memo, also one that has begun and waits for another."""
        self._latest = msgspec.structs.replace(memo, kind=self._kind)

    def write(self) -> None:
        """Replace the memo by the one that was noted last; a failure is logged once."""
        with self._lock:
            memo = self._latest
            if memo is not None and memo != self._written and self._file.write(memo):
                self._written = memo


class Condition(Enum):
    """Condition of the database for this switch."""

    WELL = "well"
    AWAY = "away"
    REGRESSED = "regressed"
    LEASE_LOST = "lease_lost"


def regression(known: DatabaseState, seen: DatabaseState) -> str | None:
    """Return the evidence that the database has lost commits since ``known``, if there is any."""
    if seen.identity != known.identity:
        return f"it is another database ({seen.identity}, was {known.identity})"
    if seen.commits < known.commits:
        return f"its counter of commits went back from {known.commits} to {seen.commits}"
    if seen.renewals <= known.renewals:
        return f"its count of lease renewals went back from {known.renewals} to {seen.renewals - 1}"
    return None


async def _no_terms(_is_away: bool) -> None:
    """Do nothing: no calls are taken."""


async def _nothing_used() -> None:
    """Do nothing: no calls are taken."""


class DatabaseWatch(Counting):
    """Keeps the lease of one switch and the last known state of the database."""

    def __init__(
        self,
        lease: Lease,
        books: Books,
        balances: Balances,
        comparison: JournalComparison,
        memo: MemoFile,
        clock: Clock,
        mended: Callable[[], Awaitable[None]],
        elapsed_ms: Callable[[], int] = machine_ms,
    ) -> None:
        """``mended`` is called when lost calls are booked again, to write other lost data again.

        ``elapsed_ms`` is as for ``Standstill``.
        """
        self._lease = lease
        self._claimant: Claimant | None = None
        self._books = books
        self._balances = balances
        self._comparison = comparison
        self._memo = memo
        self._clock = clock
        self._mended = mended
        self.set_away: Callable[[bool], Awaitable[None]] = _no_terms
        """Called with True when the database goes away, with False when it is back and the balances are read."""
        self.note_used: Callable[[], Awaitable[None]] = _nothing_used
        """Called before these balances are read."""
        self.standstill: Final = Standstill(elapsed_ms, self._settle_grants)
        self._is_away: bool | None = False
        """Whether the terms of an outage hold; None = in part, where a start has cancelled a look."""
        self._waits = False
        """Whether the switch has started without the database and uses what was known last."""
        self._known: DatabaseState | None = None
        self._lost: LeaseHeld | None = None
        self._outage = Outage(Event.DATABASE_AWAY, part="lease")
        self._regressed: str | None = None
        """Evidence of lost commits, until the comparison is done."""
        self._regressed_at: int | None = None
        self._mended_to = BEGINNING
        """Up to where the journal has been compared since then."""
        self._mended_commits = 0
        """The newest commit that was booked up to there."""
        self._booked_again = 0
        self._is_left = False
        """Whether the earlier run has left lost commits that are not all booked again."""
        self._comparison_wanted = asyncio.Event()
        self._is_comparing = False
        self._was_held_elsewhere = True
        self._since_s = 0
        """Journal files that were last written before then have been compared."""

    @property
    def refuses_calls(self) -> bool:
        """Whether no new call may be taken: another switch has the lease, or balances may be wrong."""
        return self._lost is not None or self._regressed is not None

    @property
    def condition(self) -> Condition:
        """Condition of the database for this switch."""
        if self._lost is not None:
            return Condition.LEASE_LOST
        if self._regressed is not None:
            return Condition.REGRESSED
        # It has answered again, but calls are taken as in the outage until the balances are read.
        return Condition.AWAY if self._outage.goes_on or self._is_away is not False or self._waits else Condition.WELL

    @property
    def was_held_elsewhere(self) -> bool:
        """Whether another switch may have had the lease since the earlier run on this ``state_dir``."""
        return self._was_held_elsewhere

    @property
    def is_compared(self) -> bool:
        """Whether no comparison with the journal is due, so that the balances that were read are right."""
        return not (self._is_comparing or self._comparison_wanted.is_set() or self._regressed is not None)

    def report(self) -> DatabaseReport:
        """Return the part of ``vosd status`` about the database."""
        return DatabaseReport(
            state=self.condition.value,
            lease=str(self._lost.holder if self._lost is not None else self._claimant or ""),
            regressed_at=None if self._regressed_at is None else iso_utc(self._regressed_at),
            booked_again=self._booked_again,
        )

    # -- life ---------------------------------------------------------------------------------------------------

    async def begin(self, claimant: Claimant) -> None:
        """Take the lease for this process, and compare the database with the memo of the earlier run.

        Nothing is done where it was taken: ``keep`` renews it.

        Raises:
            LeaseHeld: another switch runs on this database.
            StoreUnavailable: the database is away.
        """
        if self._claimant is not None:
            return
        earlier, asked_ms = self._memo.read(), self.standstill.now_ms()
        seen = self._known = await self._lease.hold(claimant)
        self._claimant = claimant
        self._note_held(seen, asked_ms)
        is_renamed = earlier is not None and earlier.node not in {"", claimant.node}
        self._was_held_elsewhere = earlier is None or is_renamed or seen.epoch > earlier.state.epoch + 1
        self._since_s = self._clock.now().wall // 1_000
        if earlier is None or not earlier.complete:
            # More may have been booked than the memo says, and the memo on disk may be older than the last one
            self._since_s = 0 if earlier is None else earlier.compare_from_s
            self._comparison_wanted.set()
        if earlier is not None:
            known = (
                earlier.state._replace(renewals=0) if is_renamed else earlier.state
            )  # each node has a count of its own
            again = regression(known, seen)
            self._is_left = earlier.regressed is not None
            self._notice(earlier.regressed or again, known, seen)
            if earlier.regressed is not None and again is None and seen.server == earlier.state.server:
                self._mended_to = JournalPlace(*earlier.mended_to)
        await self._remember()

    def wait(self) -> None:
        """Let calls be taken without the lease: the database does not answer at the start, ``begin`` comes later."""
        self._waits = True

    def caught_up(self) -> None:
        """Go on as with any database: what was known last is replaced by what it has."""
        self._waits = False

    def note_held(self, held: LeaseHeld) -> None:
        """Refuse new calls, and grant the others nothing more: another switch runs on the database."""
        if self._lost is None:
            _log.error(Event.LEASE_LOST, why=str(held), do="stop one of the two; no new call is taken here")
        self._lost = held
        self._settle_grants()

    async def keep(self) -> None:
        """Renew the lease every second, and at once after a standstill; runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.standstill.keep())
            tasks.create_task(self._renew())

    async def compare(self) -> None:
        """Compare journal and database whenever it is needed; runs until cancelled."""
        while True:
            await self._comparison_wanted.wait()
            self._comparison_wanted.clear()
            self._is_comparing = True
            try:
                await self._compare_once()
                self._is_comparing = False
            except StoreUnavailable as error:
                _log.warning("database_comparison_interrupted", error=str(error))
                self._comparison_wanted.set()
                await asyncio.sleep(RETRY_S)
            except Exception:
                self._comparison_wanted.set()  # no call is taken until it is done
                raise

    async def end(self) -> None:
        """Release the lease, so that another switch need not wait for it to run out."""
        if self._claimant is None:  # the database did not answer
            return
        try:
            async with asyncio.timeout(RELEASE_S):
                await self.look()  # the memo then includes the latest bookings
                await self._remember(complete=self.is_compared and not self._outage.goes_on)
                await self._lease.release(self._claimant)
        except (StoreUnavailable, TimeoutError) as error:
            why = str(error) or "no answer in time"
            _log.warning("lease_not_released", error=why, do="nothing, it runs out by itself")

    async def look(self) -> None:
        """Renew the lease, and compare the state of the database with the last one."""
        if self._waits_for_lease:
            return
        assert self._known is not None, "begin() comes first"
        assert self._claimant is not None, "begin() comes first"
        commits = max(self._known.commits, self._mended_commits, self._books.newest_commit(), self._balances.mark)
        self._known = self._known._replace(commits=commits)
        asked_ms, in_doubt = self.standstill.now_ms(), self._comparison.accounts_in_doubt()
        try:
            seen = await self._lease.hold(self._claimant)
            if self._lost is not None or self.standstill.is_in_doubt:
                await self._balances.refresh()  # another switch may have spent meanwhile
        except StoreUnavailable as error:
            self._outage.found(error)
            await self._note_away(is_away=True)
            return
        except LeaseHeld as held:
            self.note_held(held)
            self._outage.over()
            self.standstill.refused(asked_ms)
            return
        self._note_held(seen, asked_ms)
        self._outage.over()
        await self._come_back()
        known, self._known = self._known, seen
        self._notice(regression(known, seen), known, seen)
        if self._comparison.is_wanted and self._regressed is None:  # else that is why, and it is compared already
            self._comparison_wanted.set()
        if self.is_compared:
            self._comparison.trust(in_doubt)
        await self._remember()

    # -- inside -------------------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        wanted = self.standstill.wanted
        while True:
            try:
                async with asyncio.timeout(RETRY_IN_DOUBT_S if self.standstill.is_in_doubt else RENEW_S):
                    await wanted.wait()
            except TimeoutError:
                pass
            wanted.clear()
            await self.look()

    @property
    def _waits_for_lease(self) -> bool:
        return self._waits and self._claimant is None

    def _note_held(self, seen: DatabaseState, asked_ms: int) -> None:
        if self._lost is not None:
            _log.warning(Event.LEASE_REGAINED, epoch=seen.epoch)
            self._lost = None
            self._settle_grants()
        self.standstill.held(asked_ms)

    def _settle_grants(self) -> None:
        """Grant running calls more only while the money is certainly this switch's to spend."""
        self._balances.freeze(is_frozen=self._lost is not None or self.standstill.is_in_doubt)

    async def _come_back(self) -> None:
        """Read what was booked elsewhere during an outage, then end what held during it."""
        if self._is_away is not False:
            await self.note_used()
            try:
                await self._balances.refresh()
            except StoreUnavailable:
                return  # it is away again: the next look says so
            await self._note_away(is_away=False)

    async def _note_away(self, *, is_away: bool) -> None:
        if self._is_away is not is_away:
            self._is_away = None  # where a start cancels this, the next look does it again, or the opposite
            await self.set_away(is_away)
            self._is_away = is_away

    def _notice(self, why: str | None, known: DatabaseState, seen: DatabaseState) -> None:
        if why is not None:
            self._regress(why)
        elif seen.server != known.server:
            self._since_s, self._mended_to = 0, BEGINNING
            _log.warning("database_changed", server=seen.server, before=known.server)
            self._comparison_wanted.set()

    def _regress(self, why: str) -> None:
        _log.error(Event.DATABASE_REGRESSED, why=why, do="wait: the journal is compared with it, no new call is taken")
        self._regressed, self._regressed_at = why, self._clock.now().wall
        self._mended_to, self._mended_commits = BEGINNING, 0
        self._comparison_wanted.set()

    async def _compare_once(self) -> None:
        await self._comparison.recall(is_left=self._is_left)
        if self._regressed is None:
            why = await self._evidence()
            if why is None:
                return
            self._regress(why)
            self._comparison_wanted.clear()
            await self._remember()
        done = await self._comparison.mend(self._mended_to, self._note_mended)
        await self._mended()
        self._booked_again += done.booked
        named = {
            each.account: f"was {format_amount(each.known)}, is {format_amount(each.now)}, "
            f"{format_amount(abs(each.known - each.now))} {'less' if each.now < each.known else 'more'}"
            for each in done.changed[:NAMED_AT_MOST]
        }
        do = "book payments again that were lost" if done.changed else "nothing"
        if not done.is_known:
            do = "look for payments since the backup: the balances of before are not known here"
        _log.warning(
            Event.DATABASE_MENDED,
            booked_again=done.booked,
            refused=done.refused,
            balances_changed=len(done.changed),
            balances=named,
            do=do,
        )
        self._report_lost(done)
        await self._comparison.note_reported(done)
        if not self._comparison_wanted.is_set():  # else commits were lost again meanwhile
            self._regressed = None
            await self._remember()

    def _report_lost(self, done: Mended) -> None:
        """Raise an alarm where money is missing, or may be; the sums are by currency."""
        if done.is_known and not done.changed:
            return
        less = [(each.currency, each.known - each.now) for each in done.changed if each.now < each.known]
        more = [(each.currency, each.now - each.known) for each in done.changed if each.now > each.known]
        facts = {
            "accounts": len(done.changed),
            "less": shown_sums(less),
            "more": shown_sums(more),
            "greatest": ", ".join(
                f"{each.account} {format_amount(each.now - each.known)}" for each in done.changed[:SHOWN_IN_ALARM]
            ),
            "why": "" if done.is_known else "the balances of before are unknown: look for payments since the backup",
        }
        lost_at = "" if self._regressed_at is None else iso_utc(self._regressed_at)
        _log.error(Event.PAYMENTS_LOST, lost_at=lost_at, **{name: value for name, value in facts.items() if value})

    async def _note_mended(self, place: JournalPlace) -> None:
        """Write down how far the journal has been compared: a switch that is killed goes on there.

        The memo counts what was booked up to there, so that the next start sees if the database has lost it as well.
        """
        if not self._comparison_wanted.is_set():  # else commits were lost again, of calls before this place as well
            self._mended_to = place
            self._mended_commits = max(self._mended_commits, self._books.newest_commit())
            await self._remember()

    async def _evidence(self) -> str | None:
        """Return the evidence of a loss that no counter shows, if there is any."""
        account = await self._comparison.account_behind()
        if account is not None:
            return f"account {account} has fewer entries than were committed"
        begun_s = self._clock.now().wall // 1_000
        missing = await self._comparison.missing_call(self._since_s)
        if missing is not None:
            return f"call {missing.call_id} was booked and is missing"
        if not self._comparison_wanted.is_set():
            self._since_s = begun_s
        return None

    async def _remember(self, *, complete: bool = False) -> None:
        assert self._known is not None, "begin() comes first"
        assert self._claimant is not None, "begin() comes first"
        since_s = self._clock.now().wall // 1_000 - MEMO_AGE_S
        if self._is_comparing or self._comparison_wanted.is_set():
            since_s = min(since_s, self._since_s)
        state = self._known._replace(commits=max(self._known.commits, self._mended_commits))
        memo = Memo(state, self._regressed, complete, since_s, self._mended_to, node=self._claimant.node)
        self._memo.note(memo)
        await asyncio.to_thread(self._memo.write)
