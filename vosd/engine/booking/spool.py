"""Booking on an operator's order: records of the quarantine, and of a journal file that was set aside.

Used with a running switch, which then also corrects what accounts owe, and without one. Records that are booked already
change nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.billing.holds import AccountCredit
from vosd.cdr.ports import Books, RejectedRecord, RejectedRecords, StoreUnavailable
from vosd.cdr.record import CallRecord, Posting, charged_by
from vosd.control.money import BookingOutcome
from vosd.engine.counting import Counting
from vosd.engine.journal.quarantine import Quarantine
from vosd.engine.journal.salvage import ended_in
from vosd.obs.figures import Figure

if TYPE_CHECKING:
    from vosd.engine.booking.recorder import WaitingCalls

BATCH: Final = 500
TURN_S: Final = 10.0
"""Time that an order waits for bookings of the switch, which hold on for as long as a late database does not answer."""


class Owing(NamedTuple):
    """Functions of the running switch for what accounts owe."""

    waiting: "Callable[[], WaitingCalls]"
    """Returns the ended calls that wait for the database: their cost is owed already."""
    add: Callable[[Sequence[Posting], int], None]
    """Counts what a call will book, with the time of its end, UTC milliseconds."""


class Spool(Counting):
    """Books records again."""

    def __init__(
        self,
        books: Books,
        quarantine: Quarantine,
        credits: Mapping[str, AccountCredit],
        turn: asyncio.Lock | None = None,
        owing: Owing | None = None,
    ) -> None:
        """``credits``, ``turn`` (the lock of booking) and ``owing`` are those of the running switch, if one runs."""
        self._books = books
        self._quarantine = quarantine
        self._credits = credits
        self._one_at_a_time = turn or asyncio.Lock()
        self._owing = owing

    def census(self) -> Mapping[Figure, int]:
        """Count what is in quarantine, for ``vosd status``."""
        return {Figure.QUARANTINED: len(self._quarantine)}

    async def count_of(self, vendor: str, since: int, until: int) -> int:
        """Return how many records of the quarantine may be calls of a vendor that began in a span; UTC milliseconds.

        Raises:
            QuarantineError: it cannot be read.
        """
        content = await asyncio.to_thread(self._quarantine.read)
        return content.count_of(vendor, since, until)

    async def retry(self, call_ids: Sequence[str] = ()) -> BookingOutcome:
        """Book the named records of the quarantine, or all; booked ones are removed from it.

        A file that cannot be read counts as refused.

        Raises:
            StoreUnavailable: the database is away or other bookings do not end; earlier batches stay booked.
        """
        outcome = BookingOutcome()
        async with self._turn():
            content = await asyncio.to_thread(self._quarantine.read)
            wanted = set(call_ids)
            for path, why in content.unreadable:
                if not wanted or path.stem in wanted:
                    outcome.refused[path.stem] = f"{path} cannot be read: {why}"
            refused = [each for each in content.records if not wanted or each.record.call_id in wanted]
            for batch in _batches(each.record for each in refused):
                await self._release(await self._book(batch, outcome))
        return outcome

    async def salvage(self, file: Path) -> BookingOutcome:
        """Book every ended call that can be read in a journal file; refused ones go to quarantine, and are owed.

        Calls that were refused before and are booked now are removed from quarantine.

        Raises:
            OSError: the file cannot be read.
            StoreUnavailable: the database is away or other bookings do not end; earlier batches stay booked.
        """
        outcome = BookingOutcome()
        async with self._turn():
            records = _batches(ended_in(file))
            while batch := await asyncio.to_thread(next, records, None):
                booked = {record.call_id: record for record in await self._book(batch, outcome)}
                refused_before = [record for name, record in booked.items() if name in self._quarantine]
                if refused_before:
                    await self._release(refused_before)
                refused = [
                    RejectedRecord(record, outcome.refused[record.call_id])
                    for record in batch
                    if record.call_id not in booked
                ]
                if refused:
                    await asyncio.to_thread(self._quarantine.put, refused)
                    self._owe(refused)
        return outcome

    async def _release(self, booked: Sequence[CallRecord]) -> None:
        """Remove booked calls from quarantine, and from what accounts owe."""
        owed = [each for each in booked if each.call_id in self._quarantine.owed]
        self._quarantine.owed.difference_update(each.call_id for each in owed)
        for account, amount in charged_by(owed).items():
            if account in self._credits:
                self._credits[account].booked(amount)
        await asyncio.to_thread(self._quarantine.remove, [record.call_id for record in booked])

    def _owe(self, refused: Iterable[RejectedRecord]) -> None:
        """Count the cost of calls in quarantine as owed where it is not counted yet."""
        if self._owing is None:
            return
        waiting = self._owing.waiting()
        for record, _ in refused:
            if record.call_id not in waiting and record.call_id not in self._quarantine.owed:
                self._owing.add(record.postings, record.ended_at)
                self._quarantine.owed.add(record.call_id)
        waiting.close()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Let nothing else be booked meanwhile.

        Raises:
            StoreUnavailable: other bookings have not ended in time, since the database is away or slow.
        """
        try:
            async with asyncio.timeout(TURN_S):
                await self._one_at_a_time.acquire()
        except TimeoutError as error:
            raise StoreUnavailable(
                f"nothing was booked: the switch has waited for its database for {TURN_S:g} s;"
                " try again when vosd status says that it is well"
            ) from error
        try:
            yield
        finally:
            self._one_at_a_time.release()

    async def _book(self, batch: Sequence[CallRecord], outcome: BookingOutcome) -> list[CallRecord]:
        """Book a batch and return the records that are booked."""
        why: dict[str, str] = {}
        try:
            standings = (await self._books.book(batch)).standings
        except RejectedRecords as rejected:
            standings = rejected.booked.standings
            why = {record.call_id: reason for record, reason in rejected.rejected}
        outcome.refused.update(why)
        booked = [record for record in batch if record.call_id not in why]
        outcome.booked += [record.call_id for record in booked]
        for account, standing in standings.items():
            if account in self._credits:
                self._credits[account].committed(standing.balance, standing.seq)
        return booked


def _batches(records: Iterable[CallRecord]) -> Iterator[list[CallRecord]]:
    source = iter(records)
    while batch := list(islice(source, BATCH)):
        yield batch
