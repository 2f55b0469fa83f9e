"""Use cases of call records that the database refused: list and show them, and book them again."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.office.office import Done, Office, needs
from vosd.admin.office.principal import Permission, Principal
from vosd.base.errors import VosError
from vosd.control.money import BookingOutcome, RetryRefused, SalvageJournal
from vosd.control.order import Order
from vosd.engine.booking.spool import Spool
from vosd.engine.journal.quarantine import DIRECTORY, Quarantine, Refused

BOOKING_S: Final = 600.0
"""Longest time for an order: there may be thousands of records. That the database is away is said in seconds."""
_NAMED: Final = 10


class NoRefusedRecordError(VosError):
    """No record of the call was refused, or several calls are meant."""

    code = "not_refused"


class ListRefused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records that the database refused."""


class RefusedRecords(msgspec.Struct, frozen=True):
    """Refused records, and files that cannot be read with the reason."""

    records: Sequence[Refused]
    unreadable: Sequence[str]


@needs(Permission.INSTALLATION_RUN, without_database=True)
async def list_refused(office: Office, who: Principal, _order: ListRefused) -> RefusedRecords:
    """Return them, in the order of their refusal; raises QuarantineError where they cannot be read."""
    content = _quarantine(office).read()
    return RefusedRecords(content.records, [f"{each.path} cannot be read: {each.why}" for each in content.unreadable])


class ShowRefused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One refused record; the beginning of its call's id is enough."""

    call_id: str


@needs(Permission.INSTALLATION_RUN, without_database=True)
async def show_refused(office: Office, who: Principal, order: ShowRefused) -> Refused:
    """Return the record.

    Raises:
        NoRefusedRecordError: no such record was refused, or several were.
        QuarantineError: it cannot be read.
    """
    quarantine = _quarantine(office)
    refused = quarantine.get(_whole_id(quarantine, order.call_id))
    if refused is None:
        raise _not_refused(order.call_id)
    return refused


class BookRefused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Refused records to be booked again; none named = all."""

    call_ids: tuple[str, ...] = ()


@needs(Permission.INSTALLATION_RUN, without_database=True)
async def book_refused(office: Office, who: Principal, order: BookRefused) -> Done[BookingOutcome]:
    """Have the running switch book them; they are booked here if none runs.

    Raises:
        NoRefusedRecordError: a named record was not refused.
        StateDirectoryError: no switch answers, and one starts.
        AnswerLostError: it is not known whether they were booked; the audit has the line.
        StoreUnavailable: some may be booked; try again.
    """
    quarantine = _quarantine(office)
    wanted = tuple(_whole_id(quarantine, each) for each in order.call_ids)
    return await _booked(office, who, order, RetryRefused(wanted), lambda spool: spool.retry(wanted))


class BookJournalFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A journal file on the machine of the switch whose ended calls are booked; an absolute path."""

    file: str


@needs(Permission.INSTALLATION_RUN, without_database=True)
async def book_journal_file(office: Office, who: Principal, order: BookJournalFile) -> Done[BookingOutcome]:
    """Book every ended call that can be read; refused ones go to the quarantine. It raises as ``book_refused`` does."""
    return await _booked(office, who, order, SalvageJournal(order.file), lambda spool: spool.salvage(Path(order.file)))


async def _booked(
    office: Office,
    who: Principal,
    order: msgspec.Struct,
    to_switch: Order[BookingOutcome],
    work: Callable[[Spool], Awaitable[BookingOutcome]],
) -> Done[BookingOutcome]:
    booking = office.switch.patient(BOOKING_S).ask_if_running(to_switch)
    outcome = await office.carried_out(booking, who, order, "spool")
    if outcome is None:
        with office.definitions.claimed():  # a switch that starts meanwhile would not know of the bookings
            await office.stores.check_schema()
            here = work(Spool(office.stores.books, _quarantine(office), {}))
            outcome = await office.carried_out(here, who, order, "spool")
    return await office.noted(outcome, who, order, "spool") if outcome.booked else Done(outcome)


def _quarantine(office: Office) -> Quarantine:
    return Quarantine(office.definitions.settings.state_dir / DIRECTORY)


def _whole_id(quarantine: Quarantine, beginning: str) -> str:
    found = [call_id for call_id in sorted(quarantine.ids()) if call_id.startswith(beginning)]
    if not found:
        raise _not_refused(beginning)
    if len(found) > 1:
        raise NoRefusedRecordError(f"{len(found)} refused records begin with {beginning}: {', '.join(found[:_NAMED])}")
    return found[0]


def _not_refused(call_id: str) -> NoRefusedRecordError:
    return NoRefusedRecordError(f"no record of call {call_id} was refused; vosd spool list shows those that were")
