"""Booking of ended calls in batches, repeated until the database accepts them (ADR 4 and 5).

The path is the same in normal operation, while the database is away and after a crash. Reports committed balances to
the credits.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice, takewhile
from typing import Final

from vosd.base.clock import Clock
from vosd.billing.holds import AccountCredit
from vosd.cdr.ports import BookedBatch, Books, RejectedRecords, RowsLocked, Standing, StoreDamaged, StoreUnavailable
from vosd.cdr.record import CallRecord, charged_by
from vosd.engine.booking.late_media import LateMedia
from vosd.engine.clock import SystemClock
from vosd.engine.counting import Counting
from vosd.engine.journal import Journal
from vosd.engine.journal.entries import id_bytes
from vosd.engine.settings import CdrSettings
from vosd.obs.events import Event, log as _log
from vosd.obs.figures import Figure
from vosd.obs.outage import Outage

WINDOW: Final = 5_000
"""Most calls that wait in memory, some 40 MB of them; the others wait in the journal's files and are read back."""
DRAIN_ROWS: Final = 2_000
"""Size of a batch while more than so many calls wait: a slow database does as much for it as for a small one."""
_RETRY_FIRST_S: Final = 0.2
_RETRY_MOST_S: Final = 5.0
_LOCKED_AGAIN_S: Final = 0.5
"""Wait before accounts that are locked are looked at again, where no other call waits."""


class WaitingCalls:
    """The calls that wait for the database; one that is booked meanwhile stays in it."""

    def __init__(self, ids: set[bytes], views: "list[WaitingCalls]") -> None:
        self._ids = ids
        self._views = views

    def __contains__(self, call_id: str) -> bool:
        return id_bytes(call_id) in self._ids

    def add(self, call_id: str) -> None:
        """Add a call that has ended."""
        self._ids.add(id_bytes(call_id))

    def close(self) -> None:
        """Add no more calls."""
        self._views.remove(self)


class Recorder(Counting):
    """The queue of ended calls, and the one task that books it."""

    def __init__(
        self,
        books: Books,
        journal: Journal,
        credits: dict[str, AccountCredit],
        settings: CdrSettings,
        *,
        clock: Clock | None = None,
        window: int = WINDOW,
    ) -> None:
        """``window`` is how many calls wait in memory at most; ``clock`` None = that of the machine."""
        self._clock = clock or SystemClock()
        self._window = window
        self._is_long = False
        self._books = books
        self._journal = journal
        self._credits = credits
        self._settings = settings
        self._queue: deque[CallRecord] = deque()
        self._queued: Final[dict[str, int]] = {}
        """Monotonic milliseconds at which calls of the queue were added, those from disk left out: the wall clock may
        be another one than at the begin of the call, whose times go by it."""
        journal.in_memory = lambda: self._queue
        self.ended = 0
        """Number of calls that were given to it, those included that it found on disk."""
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._full_batch = asyncio.Event()
        self._most = settings.batch_rows
        """Size of the next batch: smaller after a failure."""
        self._suspect: CallRecord | None = None
        """A call that failed while the database could be written to."""
        self._left: Final[set[str]] = set()
        """Calls of the queue that the database refuses and whose files in quarantine could not be written."""
        self._locked: frozenset[str] = frozenset()
        """Accounts whose rows another program holds: their calls wait behind the others."""
        self._views: list[WaitingCalls] = []
        self._wait_s = _RETRY_FIRST_S
        self.behind: Final[set[str]] = set()
        """Accounts with fewer entries in the database than were committed; read by ``DatabaseWatch``."""
        self.expected: Final[dict[str, Decimal]] = {}
        """Balances as they would be without a loss, of accounts on which a batch was booked behind fewer entries than
        were known. Later batches are added, until the database is found to be well or is mended."""
        self.booked_elsewhere: Callable[[str, Standing], None] = _untold
        """Called for each account of a batch on which another process had booked before; the standing has both."""
        self.booked_on: Callable[[Iterable[str]], None] = _unnoted
        """Called with the accounts whose balance a batch has changed."""
        self.turn: Final = asyncio.Lock()
        """Held while a batch is booked, so that only one task books."""
        self.late: Final = LateMedia()
        """Figures of media that records get before they are booked."""
        self._awaited: deque[tuple[int, Callable[[], None]]] = deque()
        """Functions to call once so many of the calls that ended are booked."""
        self._outage = Outage(Event.DATABASE_AWAY, part="booking")
        self._damage = Outage(Event.DATABASE_DAMAGED, is_error=True, part="booking")

    def __len__(self) -> int:
        """Return how many calls wait, in memory and on disk."""
        return len(self._queue) + self._journal.waiting.on_disk

    @property
    def confirmed(self) -> int:
        """Number of them, from the oldest on, that are booked or in quarantine."""
        return self.ended - len(self)

    def census(self) -> Mapping[Figure, int]:
        """Count what waits, for ``vosd status``."""
        oldest_s = 0
        if self._queue:  # the oldest is not always the first: those that cannot be booked yet wait behind the others
            now, queued = self._clock.now(), self._queued.get
            boot_wall = now.wall - now.mono
            oldest = min(queued(record.call_id, record.ended_at - boot_wall) for record in self._queue)
            oldest_s = max(0, now.mono - oldest) // 1_000
        return {Figure.CDR_QUEUE: len(self._queue), Figure.SPOOL_OLDEST_S: oldest_s}

    def watch_length(self, most: int) -> None:
        """Log when 80 % of ``most`` calls wait, and when half of that do."""
        waiting = len(self)
        if waiting * 5 >= most * 4 and not self._is_long:
            self._is_long = True
            _log.error(
                Event.CDR_QUEUE_LONG.value,
                waiting=waiting,
                most=most,
                means="calls wait in the journal; none is lost or refused while its disk has room",
                do="mend the database; vosd status says how much waits",
            )
        elif waiting * 5 < most * 2 and self._is_long:
            self._is_long = False
            _log.info(Event.CDR_QUEUE_SHORT.value, waiting=waiting)

    def waiting(self) -> WaitingCalls:
        """Return the calls that wait now, and those that end until ``WaitingCalls.close``."""
        here = {id_bytes(record.call_id) for record in self._queue}
        view = WaitingCalls(here | self._journal.waiting.ids_on_disk(), self._views)
        self._views.append(view)
        return view

    async def owed_of(self, since: int, until: int) -> dict[str, Decimal]:
        """Return what accounts owe of calls that ended from ``since`` to before ``until`` (UTC ms) and are not booked.

        Calls in quarantine count. Calls on disk ended after those in memory and are not read: where they may have ended
        before ``until``, everything that accounts owe counts.
        """
        queued = list(self._queue)
        on_disk = self._journal.waiting.on_disk
        # Read last: a call that is put there meanwhile is in the queue until its file is written.
        refused = await asyncio.get_running_loop().run_in_executor(None, self._journal.quarantine.read)
        if on_disk and min((each.ended_at for each in queued), default=0) < until:
            return {name: -each.unbooked for name, each in self._credits.items() if each.unbooked}
        records = {each.call_id: each for each in (*queued, *(one.record for one in refused.records))}.values()
        charged = charged_by(record for record in records if since <= record.ended_at < until)
        return {name: -amount for name, amount in charged.items() if amount}

    def begun_before(self, moment: int) -> int:
        """Return how many calls that wait began before a time, UTC milliseconds; all on disk count, unread."""
        return self._journal.waiting.on_disk + sum(each.started_at < moment for each in self._queue)

    def add(self, record: CallRecord) -> None:
        """Queue a call that is in the journal already."""
        waiting = self._journal.waiting
        if len(self._queue) >= self._window or waiting.on_disk:
            waiting.leave_on_disk(record.call_id)
        else:
            self._queue.append(record)
            self._queued[record.call_id] = self._clock.now().mono
        self._noted(record)

    def when_booked(self, do: Callable[[], None]) -> None:
        """Book at once what waits, and ``do`` something when that is done, or the database is away."""
        if not len(self) or self._outage.goes_on or self._damage.goes_on:
            do()
            return
        self._awaited.append((self.ended, do))
        self._full_batch.set()

    def add_oldest(self, record: CallRecord) -> None:
        """Queue a call of an earlier run in memory, before those that were left on disk."""
        self._queue.append(record)
        self._noted(record)

    def wake(self) -> None:
        """Book calls of an earlier run that were left on disk."""
        if self._journal.waiting.on_disk:
            self.ended += self._journal.waiting.on_disk
            self._idle.clear()
            self._arrived.set()

    async def run(self) -> None:
        """Book batches until cancelled."""
        while True:
            await self._arrived.wait()
            await self._gather()
            if self._queue:
                await self.late.settled(self._queue[0].call_id)
            # Both end before an error of one is raised: who begins again must not meet a file that is being read.
            for failure in await asyncio.gather(self._book_one_batch(), self._read_back(), return_exceptions=True):
                if failure is not None:
                    raise failure
            if not len(self):
                self._arrived.clear()
                self._idle.set()

    async def drained(self) -> None:
        """Wait until all calls are booked."""
        await self._idle.wait()

    async def _gather(self) -> None:
        """Wait for a full batch, at most ``batch_ms``."""
        self._full_batch.clear()
        if len(self) >= self._most or self._awaited:
            return
        try:
            async with asyncio.timeout(self._settings.batch_ms / 1000):
                await self._full_batch.wait()
        except TimeoutError:
            return

    def _noted(self, record: CallRecord) -> None:
        self.ended += 1
        for view in self._views:
            view.add(record.call_id)
        self._idle.clear()
        self._arrived.set()
        if len(self._queue) >= self._most:
            self._full_batch.set()

    async def _read_back(self) -> None:
        """Fill the half of the window that is empty from the disk, while a batch is booked."""
        waiting = self._journal.waiting
        if not waiting.on_disk or len(self._queue) > self._window // 2:
            return
        try:
            self._queue += await waiting.read_back(self._window - len(self._queue))
        except OSError as error:
            _log.error("journal_not_read_back", error=str(error), means="calls on disk are not booked yet")
            await asyncio.sleep(_RETRY_MOST_S)

    async def _book_one_batch(self) -> None:
        if not self._queue:
            return
        failure: StoreUnavailable | None = None
        async with self.turn:
            batch = [*takewhile(self._is_complete, await self._next_batch())]
            if batch:
                for index, record in enumerate(batch):
                    batch[index] = self._queue[index] = self.late.completed(record)
                known = self._standings_of(batch)
                try:
                    done, refused, left = await self._book(batch)
                except StoreUnavailable as error:
                    failure = error
                else:
                    read = done.repeated - self._queued.keys()
                    for record in batch:
                        self._queue.popleft()
                        self._queued.pop(record.call_id, None)
                    self._queue.extend(left)
                    self._left.difference_update(record.call_id for record in batch)
                    self._left.update(record.call_id for record in left)
                    booked = [record for record in batch if record.call_id not in refused]
                    self._expect(booked, known, done, read)
                    self._commit(booked, done.standings)
                    self._succeeded()
                    await self._release_refused_before(booked)
        self._tell_those_who_wait(self.confirmed + len(self._left) if failure is None else self.ended)
        if failure is not None:
            await self._failed(failure, batch)
        elif not batch:
            await asyncio.sleep(_LOCKED_AGAIN_S)
        elif len(self) == len(self._left) > 0:
            await asyncio.sleep(_RETRY_MOST_S)

    async def _next_batch(self) -> list[CallRecord]:
        """Return the calls at the head of the queue; none where all are of accounts that are locked.

        Calls of locked accounts go behind the others first: a batch with one of them would hold all accounts up for as
        long as the database lets it wait.
        """
        if not self._locked:
            return list(islice(self._queue, self._most))
        try:
            self._locked = await self._books.locked_accounts(self._locked)
        except StoreUnavailable:
            return list(islice(self._queue, self._most))  # the batch itself fails, and says why
        locked = [record for record in self._queue if self._is_of_locked(record)]
        others = [record for record in self._queue if not self._is_of_locked(record)]
        self._queue.clear()
        self._queue.extend((*others, *locked))
        return others[: self._most]

    def _is_complete(self, record: CallRecord) -> bool:
        return not self.late.is_awaited(record.call_id)

    def _is_of_locked(self, record: CallRecord) -> bool:
        return any(posting.account in self._locked for posting in record.postings)

    def _tell_those_who_wait(self, confirmed: int) -> None:
        while self._awaited and self._awaited[0][0] <= confirmed:
            self._awaited.popleft()[1]()

    async def _book(self, batch: list[CallRecord]) -> tuple[BookedBatch, set[str], list[CallRecord]]:
        """Return the result, the ids of the calls that the database refuses, and those that are not in quarantine.

        Such a call waits again, since its file could not be written.
        """
        try:
            return await self._books.book(batch), set(), []
        except RejectedRecords as rejected:
            kept = await self._journal.refused(rejected.rejected)
            refused = {record.call_id: record for record, _ in rejected.rejected}
            return rejected.booked, set(refused), [record for name, record in refused.items() if name not in kept]

    async def _release_refused_before(self, booked: list[CallRecord]) -> None:
        """Remove booked calls from quarantine: an earlier run put them there and was killed before it noted that."""
        quarantine = self._journal.quarantine
        if not len(quarantine):
            return
        both = [record.call_id for record in booked if record.call_id in quarantine]
        if both:
            quarantine.owed.difference_update(both)
            await asyncio.get_running_loop().run_in_executor(None, quarantine.remove, both)

    def _succeeded(self) -> None:
        rows = self._settings.batch_rows
        self._most = min(2 * self._most, max(rows, DRAIN_ROWS) if len(self) > DRAIN_ROWS else rows)
        self._wait_s = _RETRY_FIRST_S
        if not self._locked:
            self._outage.over()
            self._damage.over()  # ``database_back`` is the end of both

    async def _failed(self, error: StoreUnavailable, batch: Sequence[CallRecord]) -> None:
        """Wait, and halve the next batch: its size, or one call of it, may be the cause.

        A single call that fails twice while the database can be written to goes to the end of the queue, so that the
        others are booked. While the database takes nothing at all, calls keep their order.
        """
        if isinstance(error, RowsLocked) and await self._found_locked(batch):
            names = ", ".join(sorted(self._locked))
            self._outage.found(
                f"{error}; the rows of accounts {names} are locked",
                waiting=len(self),
                means="the calls of these accounts wait in the journal, those of others are booked",
                do="SHOW ENGINE INNODB STATUS names the connection that holds them: end its transaction, unless its"
                " user is `system user`: that is the server itself, which applies what another one has committed",
            )
            return
        self._log_failure(error)
        self._most = max(1, len(batch) // 2)
        if len(batch) > 1 and isinstance(error, StoreDamaged):
            return
        if len(batch) == 1 and await self._takes_others(batch[0]):
            if self._suspect is batch[0]:
                self._queue.rotate(-1)
            self._suspect = batch[0]
        await asyncio.sleep(self._wait_s)
        self._wait_s = min(2 * self._wait_s, _RETRY_MOST_S)

    async def _found_locked(self, batch: Sequence[CallRecord]) -> bool:
        """Note the accounts of a batch that are locked, beside those known; return whether there are any."""
        try:
            found = await self._books.locked_accounts(
                {posting.account for record in batch for posting in record.postings}
            )
        except StoreUnavailable:
            return False
        self._locked |= found
        return bool(found)

    async def _takes_others(self, record: CallRecord) -> bool:
        """Return whether the database can be written to."""
        try:
            await self._books.open_accounts({posting.account for posting in record.postings})
        except StoreUnavailable:
            return False
        return True

    def _log_failure(self, error: StoreUnavailable) -> None:
        """Log each cause once, until a batch is booked."""
        outage = self._damage if isinstance(error, StoreDamaged) else self._outage
        outage.found(error, waiting=len(self), means="calls wait in the journal")

    def _standings_of(self, batch: Iterable[CallRecord]) -> dict[str, Standing]:
        """Return the committed standings of the accounts of a batch, as far as they were read."""
        found = ((name, self._credits.get(name)) for name in {each.account for one in batch for each in one.postings})
        return {name: Standing(each.balance, each.seq) for name, each in found if each is not None and each.is_read}

    def _expect(
        self, batch: Iterable[CallRecord], known: Mapping[str, Standing], done: BookedBatch, read: Collection[str]
    ) -> None:
        """Note the balances that a batch would have led to, where the database has lost entries of the account.

        ``known`` are the standings of before the batch: while it was booked, they may have been read with it. ``read``
        are the calls that they have: an earlier run has booked them. Those that this run repeats had no answer.
        """
        new: dict[str, list[Decimal]] = {}
        added: dict[str, list[Decimal]] = {}
        for record in batch:
            for account, amount in ((each.account, each.amount) for each in record.postings if each.amount):
                new.setdefault(account, []).extend([] if record.call_id in done.repeated else [amount])
                added.setdefault(account, []).extend([] if record.call_id in read else [amount])
        for account, amounts in new.items():
            if account in self.expected:
                self.expected[account] += sum(added[account])
            elif account in known and account in done.standings:
                before, after = known[account], done.standings[account]
                well = Standing(before.balance + sum(amounts), before.seq + len(amounts))
                if after.seq < well.seq or (after.seq == well.seq and after.balance != well.balance):
                    self.expected[account] = before.balance + sum(added[account])

    def _commit(self, batch: list[CallRecord], standings: Mapping[str, Standing]) -> None:
        """Set the committed balances and subtract the booked postings from the unbooked ones, in one step (ADR 3)."""
        own = Counter(posting.account for record in batch for posting in record.postings if posting.amount)
        known = self._credits.keys() & standings
        for account in known:
            credit, standing = self._credits[account], standings[account]
            if standing.seq < credit.seq:
                self.behind.add(account)
            elif credit.is_read and standing.seq - credit.seq > own[account]:
                self.booked_elsewhere(account, standing)
            credit.committed(standing.balance, standing.seq)
        self.booked_on(known)
        for account, amount in charged_by(batch).items():
            if account in self._credits:
                self._credits[account].booked(amount)
        self._journal.booked(record.call_id for record in batch)


def _untold(_account: str, _standing: Standing) -> None:
    """Tell no one."""


def _unnoted(_accounts: Iterable[str]) -> None:
    """Note nothing."""
