"""Comparison of the journal with the database: which booked calls are missing, and booking them again (ADR 22).

It does not know when to compare.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from decimal import Decimal
from itertools import islice
from typing import Final, NamedTuple

from vosd.base.money import EXACT, ZERO, format_amount
from vosd.base.parts import in_parts
from vosd.cdr.ports import Books, LastStanding, RejectedRecords, Standing, StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.engine.booking.balances import ACCOUNTS_AT_ONCE, Balances
from vosd.engine.booking.last_standings import NOTED_AT_ONCE, LastStandings
from vosd.engine.booking.recorder import Recorder
from vosd.engine.journal import Journal
from vosd.engine.journal.kept import JournalPlace, KeptJournal
from vosd.obs.events import log as _log

COMPARED_AT_ONCE: Final = 500
PAUSE_S: Final = 0.02
"""Pause between two readings, for the calls."""
_NOTHING: Final = Standing(ZERO, 0)


class BalanceChange(NamedTuple):
    """A committed balance as the switch knew it before the loss, and as it is in the database now."""

    account: str
    known: Decimal
    now: Decimal
    currency: str = ""
    """Empty = it is not known."""


class Mended(NamedTuple):
    """Result of a comparison: calls booked again, calls refused, balances that changed, the largest change first."""

    booked: int
    refused: int
    changed: Sequence[BalanceChange]
    is_known: bool
    """Whether the balances before the loss are known, so that ``changed`` names every account that lost a payment."""
    left: Sequence[LastStanding]
    """Standings of accounts that have left the configuration: only ``note_left`` writes them to the copy."""


class JournalComparison:
    """Compares the journal and the books of one switch."""

    def __init__(
        self, books: Books, balances: Balances, recorder: Recorder, journal: Journal, copy: LastStandings
    ) -> None:
        """``copy`` has the balances of before the loss: it is not written to until the comparison is over."""
        self._books = books
        self._balances = balances
        self._recorder = recorder
        self._journal = journal
        self._copy = copy
        self._is_recalled = False

    @property
    def is_wanted(self) -> bool:
        """Whether an account has fewer entries than were committed, by a loss or a concurrent booking."""
        return bool(self._recorder.behind or self._balances.behind)

    async def recall(self, *, is_left: bool) -> None:
        """Expect the balances of the copy where they have more entries than those that this process has read.

        This is done once, before anything is booked. ``is_left``: the earlier run knew of the loss, and may have
        booked as many calls again; then those of the copy hold for all accounts.
        """
        if self._is_recalled:
            return
        async with self._recorder.turn:
            # Before the copy is read: payments that are read meanwhile raise the number of entries.
            read: dict[str, int] = {}
            for part in in_parts([*self._balances.credits.items()], ACCOUNTS_AT_ONCE):
                read |= {name: credit.seq for name, credit in part if credit.is_read}
                await asyncio.sleep(0)  # let calls run
            for some in in_parts((await self._earlier()).items(), ACCOUNTS_AT_ONCE):
                found = {name: known for name, known in some if name in read}
                self._recorder.expected.update(
                    (name, each.balance) for name, each in found.items() if is_left or each.seq > read[name]
                )
                await asyncio.sleep(0)
            self._is_recalled = True

    def accounts_in_doubt(self) -> Collection[str]:
        """Return the accounts on which was booked as if they had lost entries."""
        return [*self._recorder.expected]

    def trust(self, accounts: Collection[str]) -> None:
        """Forget which balances were expected of these: the database has been found to be well since."""
        for name in accounts:
            self._recorder.expected.pop(name, None)

    async def account_behind(self) -> str | None:
        """Return an account that has lost entries; None = there is none.

        Raises:
            StoreUnavailable: try again.
        """
        if not self.is_wanted:
            return None
        account = await self._balances.account_behind()
        self._forget_behind()
        return account

    async def missing_call(self, since_s: float = 0.0) -> CallRecord | None:
        """Return a call that was booked and is not in the database; None = there is none.

        Only files of the journal that were written to after ``since_s`` (seconds since 1970) are read, slowly, so that
        running calls are not delayed.

        Raises:
            StoreUnavailable: try again.
        """
        async with aclosing(self._lacking(self._journal.kept(since_s))) as parts:
            async for lacking in parts:
                if lacking:
                    return lacking[0]
                await asyncio.sleep(PAUSE_S)
        return None

    async def _lacking(self, kept: KeptJournal) -> AsyncGenerator[Sequence[CallRecord], None]:
        """Yield the ended calls in files that the database lacks, a few at a time; some parts have none."""
        records = kept.ended()
        waiting = self._recorder.waiting()  # the recorder books these when the comparison is done
        try:
            while some := await _next_of(records):
                # Before the query: a call that is in the files and does not wait has been committed.
                aside = self._journal.quarantine.ids()
                done = [each for each in some if each.call_id not in waiting and each.call_id not in aside]
                yield await self._books.lacking(done) if done else ()
        finally:
            waiting.close()

    async def mend(self, place: JournalPlace, note: Callable[[JournalPlace], Awaitable[None]]) -> Mended:
        """Book missing calls again and read all balances again, while nothing else is booked.

        It begins at ``place`` of the journal; ``note`` is called with how far it has come, so that a process that is
        killed meanwhile need not begin again.

        Raises:
            StoreUnavailable: some are booked, no balance was read; try again.
        """
        async with self._recorder.turn:
            before = self._balances.committed()
            expected = self._recorder.expected
            before |= {name: each._replace(balance=expected[name]) for name, each in before.items() if name in expected}
            earlier = await self._earlier()
            # An account that has left the configuration may have more entries by now than its standing in the copy.
            there = {**(await self._books.standings()).standings, **before}
            before |= {
                name: Standing(known.balance, known.seq)
                for name, known in earlier.items()
                if name not in expected and known.seq > there.get(name, _NOTHING).seq
            }
            await self._note_before(before)
            booked, refused = await self._book_again(place, note)
            after = await self._balances.read_anew()
            self._forget_behind()
            self._recorder.expected.clear()
            gone = [name for name in earlier if name in after and name not in self._balances.credits]
            left = [earlier[name]._replace(**after[name]._asdict()) for name in gone]
        currencies = self._balances.currencies | {
            name: each.currency for name, each in earlier.items() if each.currency
        }
        compared = (
            (name, known.balance, after.get(name, _NOTHING).balance, currencies.get(name, ""))
            for name, known in before.items()
        )
        changed = [BalanceChange(*each) for each in compared if each[1] != each[2]]
        changed.sort(key=lambda each: abs(each.known - each.now), reverse=True)
        # Until they are in the log; the copy has those of accounts that have left the configuration.
        expected |= {each.account: each.known for each in changed if each.account in self._balances.credits}
        return Mended(booked, refused, changed, bool(earlier), left)

    async def note_reported(self, done: Mended) -> None:
        """Note what the next comparison must not name again, when the log has it."""
        expected = self._recorder.expected
        for each in done.changed:
            if each.account in expected:
                expected[each.account] += each.now - each.known
        if done.left:
            await self._copy.note(done.left)

    async def _note_before(self, before: Mapping[str, Standing]) -> None:
        """Write the balances of before the loss to the copy: a process that is killed leaves them to the next one."""
        self._balances.note_changed(self._recorder.expected)
        is_noted = True
        while is_noted and (changed := self._balances.take_changed(NOTED_AT_ONCE)):
            known = [each._replace(balance=before.get(each.account, each).balance) for each in changed]
            is_noted = await self._copy.note(known)
        if not is_noted:
            self._balances.note_changed(each.account for each in changed)

    async def _earlier(self) -> dict[str, LastStanding]:
        """Return what the copy has: this process may have read no balance before the loss."""
        found: dict[str, LastStanding] = {}
        try:
            standings = await self._copy.standings()
        except StoreUnavailable as error:
            _log.error("last_known_unreadable", error=str(error), means="accounts with lost payments are not named")
            return found
        for part in in_parts(standings, ACCOUNTS_AT_ONCE):
            found |= {each.account: each for each in part}
            await asyncio.sleep(0)  # let calls run
        return found

    async def _book_again(
        self, place: JournalPlace, note: Callable[[JournalPlace], Awaitable[None]]
    ) -> tuple[int, int]:
        """Return how many calls were booked, and how many the database refuses."""
        booked = refused = 0
        kept = self._journal.kept(place=place)
        async with aclosing(self._lacking(kept)) as parts:
            async for lacking in parts:
                if not lacking:
                    await note(kept.place)
                    continue
                booked += len(lacking)
                try:
                    await self._books.book(lacking)
                except RejectedRecords as rejected:
                    booked -= len(rejected.rejected)
                    refused += len(rejected.rejected)
                    for each in rejected.rejected:
                        self._balances.add_owed(each.record.postings, each.record.ended_at)
                    quarantined = await self._journal.refused(rejected.rejected)
                    for record, _ in rejected.rejected:
                        if record.call_id not in quarantined:  # it is lost, and owed, in no later comparison
                            self._journal.ended(record)  # for the journal it was booked
                            self._recorder.add(record)
                    self._journal.flush()  # before the place behind it is noted: a kill must not lose it
                await note(kept.place)
        return booked, refused

    def _forget_behind(self) -> None:
        self._recorder.behind.clear()
        self._balances.behind.clear()


def shown_sums(amounts: Iterable[tuple[str, Decimal]]) -> str:
    """Return the sums of amounts by currency, as text; currencies are in the order of their names."""
    sums: dict[str, Decimal] = {}
    for currency, amount in amounts:
        sums[currency] = EXACT.add(sums.get(currency, ZERO), amount)
    return ", ".join(f"{format_amount(sums[name])} {name}".rstrip() for name in sorted(sums))


async def _next_of(records: Iterator[CallRecord]) -> list[CallRecord]:
    """Read the next records in a thread: the files are large."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, lambda: [*islice(records, COMPARED_AT_ONCE)])
