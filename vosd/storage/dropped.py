"""Before when records were dropped, and numbers masked: in the counters, read by bookings and audits (ADR 73, ADR 83).

What is older than them is not missing, and is never booked again: the references that would make a repeat harmless are
gone with it.
"""

from typing import Final, NamedTuple

from sqlalchemy import insert, select, update

from vosd.base.ids import bounds
from vosd.cdr.columns import iso_utc
from vosd.cdr.retention import DroppedPeriod, DroppedSums, RecordKind
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection

_NAMES: Final = {
    RecordKind.CALLS: "dropped_calls",
    RecordKind.LEDGER: "dropped_entries",
    RecordKind.NUMBERS: "masked_calls",
    RecordKind.PAYMENTS: "dropped_payments",
    RecordKind.SUMS: "dropped_sums",
}
"""Names of the counters; their value is UTC milliseconds."""
_CALLS_DROPPED: Final = f"SELECT value FROM counter WHERE name = '{_NAMES[RecordKind.CALLS]}'"  # noqa: S608 - a name of ours
_counter: Final = schema.counter


class Dropped(NamedTuple):
    """Before when records were dropped, or numbers masked, UTC milliseconds; 0 = none were."""

    calls: int = 0
    ledger: int = 0
    numbers: int = 0
    payments: int = 0
    sums: int = 0

    @property
    def entries(self) -> int:
        """Before when the ledger lacks entries, of whatever kind."""
        return max(self.ledger, self.payments)

    @property
    def first_call(self) -> str:
        """The least id that a call may have that was not dropped; empty if none were."""
        return first_id(self.calls) if self.calls else ""


def first_id(moment: int) -> str:
    """Return the least id of a call that begins then, UTC milliseconds."""
    return bounds(f"{moment:012x}")[0]


def began(call_id: str) -> int:
    """Return when a call began by its id, UTC milliseconds."""
    return int(call_id.replace("-", "")[:12], 16)


async def first_call_left(connection: AsyncConnection) -> str:
    """Return the least id that a call may have that was not dropped, as ``Dropped.first_call``; for every booking."""
    until = (await connection.exec_driver_sql(_CALLS_DROPPED)).scalar()
    return Dropped(until or 0).first_call


async def dropped_before(connection: AsyncConnection) -> Dropped:
    """Return before when records were dropped."""
    query = select(_counter.c.name, _counter.c.value).where(_counter.c.name.in_(_NAMES.values()))
    values = {row.name: row.value for row in await connection.execute(query)}
    order = (RecordKind.CALLS, RecordKind.LEDGER, RecordKind.NUMBERS, RecordKind.PAYMENTS, RecordKind.SUMS)
    return Dropped(*(values.get(_NAMES[kind], 0) for kind in order))


def check_there(dropped: int, since: int, what: str) -> None:
    """Check that records since a time are there; UTC milliseconds.

    Raises:
        DroppedPeriod: older ones than ``dropped`` were dropped.
    """
    if since < dropped:
        raise DroppedPeriod(f"{what} from before {iso_utc(dropped)} were dropped, because their time was over")


async def check_sums_there(connection: AsyncConnection, since: int) -> None:
    """Check that the sums for reports of a time are there; UTC milliseconds.

    Raises:
        DroppedSums: older ones were dropped.
    """
    dropped = await sums_dropped_before(connection)
    if since < dropped:
        raise DroppedSums(f"sums for reports from before {iso_utc(dropped)} were dropped, because their time was over")


async def sums_dropped_before(connection: AsyncConnection) -> int:
    """Return before when sums for reports were dropped; 0 = none were."""
    query = select(_counter.c.value).where(_counter.c.name == _NAMES[RecordKind.SUMS])
    return await connection.scalar(query) or 0


def check_unmasked(masked: int, since: int | None) -> None:
    """Check that calls since a time have their numbers; UTC milliseconds, None = from the first on.

    Raises:
        DroppedPeriod: those before ``masked`` have lost them.
    """
    if masked and (since or 0) < masked:
        date = iso_utc(masked)[:10]
        raise DroppedPeriod(
            f"numbers of calls from before {date} are masked, because their time was over: say `since` {date}"
        )


async def hold_off_drops(connection: AsyncConnection, kind: RecordKind) -> None:
    """Let no other run drop records of a kind before this transaction ends, which drops some."""
    await connection.execute(select(_counter.c.value).where(_counter.c.name == _NAMES[kind]).with_for_update())


async def note_dropped(connection: AsyncConnection, kind: RecordKind, until: int) -> None:
    """Note that records from before a time are dropped from now on; it never goes back."""
    own = _counter.c.name == _NAMES[kind]
    value = (await connection.execute(select(_counter.c.value).where(own))).scalar()
    if value is None:
        await connection.execute(insert(_counter).values(name=_NAMES[kind], value=until))
    elif value < until:
        await connection.execute(update(_counter).where(own).values(value=until))
