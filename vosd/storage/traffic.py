"""Sums of calls for reports, made behind the bookings and complete up to a number of commit (ADR 133).

A job adds the calls behind that number, and moves it on in the same transaction: whatever is killed, each call is in
the sums once. A correction takes its call out of the sums, in its own transaction, and gives it a new number of commit
(``SqlCorrections``): so the job adds the call again as it is now.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    LargeBinary,
    Row,
    Select,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    type_coerce,
    union_all,
    update,
)

from vosd.cdr.masking import MASK, without_phone
from vosd.cdr.record import AGENT
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database, repeated
from vosd.storage.dropped import check_sums_there, check_there, dropped_before, sums_dropped_before
from vosd.storage.sums import added, fitting_sum
from vosd.storage.types import money_text, sum_units
from vosd.storage.writers import no_counter
from vosd.traffic.counted import (
    AMOUNTS,
    COUNTS,
    DIGITS_SUMMED,
    KIND_NUMBERS,
    MEASURES,
    RECOUNTED,
    SLOT_MS,
    SLOTS_OF_DAY,
    SLOTS_OF_HOUR,
    YEAR_SLOTS,
    TrafficAttempt,
    TrafficCall,
    TrafficCharge,
    TrafficKey,
    TrafficKind,
    TrafficSums,
    common_prefix,
    digest_of,
)
from vosd.traffic.live_counts import LiveCounts, TrafficPeak
from vosd.traffic.spans import days_of

AT_ONCE: Final = 1_000
"""Calls of one transaction: no booking waits longer than a tenth of a second for it."""
COUNTED_NUMBERS: Final = 10_000
"""Most numbers of commits among which a report counts the calls that it lacks."""
DAY_CLOSED_MS: Final = 2 * 3_600_000
"""Time from the end of a day to its sums: most calls of the day are booked then."""
ZONE_DAYS_MS: Final = 70 * 86_400_000
"""Past of which days of zones get sums of their own: two months. No sums so young are dropped."""
_DAYS_BEHIND: Final = 3
"""The day of a slot, the end of that day in any zone, and the rest of the next one."""
_OF_HOURS: Final = 0.5
"""Part of the time of a comparison of all sums after which those of hours are compared, and those of days follow."""
_NO_SLOT: Final = 2**62
_KEYS_KNOWN: Final = 200_000
_ROWS_AT_ONCE: Final = 500
_MONEY: Final = 3 + len(COUNTS)
"""Place of the first amount in a row of sums."""
_INTO: Final = f"INSERT INTO {{table}} (kind, slot, key_id, {', '.join(MEASURES)})"
_MARKS: Final = ", ".join("?" for _ in range(3 + len(MEASURES)))
_ADDED_IN_SQLITE: Final = "ON CONFLICT (kind, slot, key_id) DO UPDATE SET " + ", ".join(
    f"{name} = {added(name, f'excluded.{name}') if name in AMOUNTS else f'{name} + excluded.{name}'}"
    for name in MEASURES
)
_ADDED_IN_MYSQL: Final = "ON DUPLICATE KEY UPDATE " + ", ".join(
    f"{name} = {name} + VALUES({name})" for name in MEASURES
)
_PEAK: Final = (
    "INSERT INTO traffic_peak (slot, side, name, concurrent, per_second)"
    " VALUES (:slot, :side, :name, :concurrent, :per_second)"
)
_HIGHER_IN_SQLITE: Final = text(
    f"{_PEAK} ON CONFLICT (slot, side, name) DO UPDATE SET concurrent = MAX(concurrent, excluded.concurrent),"
    " per_second = MAX(per_second, excluded.per_second)"
)
_HIGHER_IN_MYSQL: Final = text(
    f"{_PEAK} ON DUPLICATE KEY UPDATE concurrent = GREATEST(concurrent, VALUES(concurrent)),"
    " per_second = GREATEST(per_second, VALUES(per_second))"
)
_cdr: Final = schema.cdr.c
_attempt: Final = schema.cdr_attempt.c
_charge: Final = schema.cdr_charge.c
_key: Final = schema.traffic_key
_counter: Final = schema.counter
Sums = Mapping[tuple[int, TrafficKey], Sequence[Any]]
"""Values in the order of ``MEASURES``, whole numbers and amounts, by slot and key."""
_SumsById = Mapping[tuple[int, tuple[int, int]], Sequence[Any]]
"""Values by slot, and by number of the kind and id of the key."""
_KeyOfYear = tuple[int, TrafficKey]
_Common = TypeVar("_Common")


class MissingCalls(NamedTuple):
    """Numbers of calls that are booked and not in some sums."""

    calls: int
    in_replica: int
    """Calls among them that the database has added up: the replica, which the sums are from, is behind."""


class SumMarks(NamedTuple):
    """Commits up to which calls are in sums that were read of the database, or of its replica."""

    mark: int
    """Number of the latest commit that is in them."""
    added_up: int
    """Number of the latest commit in the sums of the database before: a replica whose mark is lower is behind."""


class TrafficDifference(NamedTuple):
    """A sum that is not that of its calls."""

    slot: int
    """Quarters since 1970."""
    key: TrafficKey
    measure: str
    stored: int | Decimal
    counted: int | Decimal


class SqlTraffic:
    """Adds calls to the sums, checks them, and makes them anew."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[_KeyOfYear, int] = {}
        """Ids of keys that are committed."""
        self._newest: tuple[int, _KeyOfYear] | None = None
        """The key with the greatest id that was committed; a database that has lost commits has lost it first."""
        self._prefixes: dict[str, str] = {}
        """Prefixes of areas that are committed."""

    async def advance(self) -> int:
        """Add the next calls, at most ``AT_ONCE``; return how many were added, 0 = all are.

        Raises:
            StoreUnavailable: probably nothing was added; try again.
        """
        async with self._database.writing() as connection:
            mark = await locked_mark(connection)
            query = _CALLS.where(_cdr.export_seq > mark).order_by(_cdr.export_seq).limit(AT_ONCE)
            rows = (await connection.execute(query)).all()
            if not rows:
                return 0
            added = (_cdr.export_seq > mark) & (_cdr.export_seq <= rows[-1].export_seq)
            sums = await _summed(connection, rows, added)
            known = await self._add(connection, sums.rows)
            prefixes = await self._note_areas(connection, sums.prefixes)
            await _set(connection, schema.TRAFFIC, rows[-1].export_seq)
        if len(self._known) > _KEYS_KNOWN:
            self._known.clear()
        self._note_known(known)
        self._prefixes |= prefixes
        return len(rows)

    async def close_day(self, now: int) -> bool:
        """Make the sums of the first day that is over and has none; return whether there was one.

        ``now`` is UTC milliseconds.
        """
        async with self._database.writing(unhurried=True) as connection:
            await locked_mark(connection)
            first = await _first_slot(connection, await _value(connection, schema.TRAFFIC_DAYS))
            if first is None:
                return False
            begin = first // SLOTS_OF_DAY * SLOTS_OF_DAY
            end = begin + SLOTS_OF_DAY
            if end * SLOT_MS + DAY_CLOSED_MS > now:
                return False
            await _make_day(connection, begin, schema.traffic_day)
            await _set(connection, schema.TRAFFIC_DAYS, end)
        return True

    async def close_zone_day(self, now: int, zones: Iterable[ZoneInfo]) -> bool:
        """Make the sums of the first day of these zones that is over and has none; return whether there was one.

        ``now`` is UTC milliseconds. Days that were over ``ZONE_DAYS_MS`` before are left to the quarters, and none is
        made of which sums were dropped, by a clock that was ahead.
        """
        async with self._database.writing(unhurried=True) as connection:
            await locked_mark(connection)
            since = max(now - ZONE_DAYS_MS, await sums_dropped_before(connection))
            first = await _first_slot(connection, since // SLOT_MS)
            if first is None:
                return False
            since, until = max(since, first * SLOT_MS - SLOTS_OF_DAY * SLOT_MS), now - DAY_CLOSED_MS
            made = {*await _zone_days(connection, since // SLOT_MS, until // SLOT_MS)}
            begin = min({day for zone in zones for day in days_of(zone, since, until)} - made, default=None)
            if begin is None:
                return False
            await _make_day(connection, begin, schema.traffic_zone)
            await connection.execute(insert(schema.traffic_zone_day).values(slot=begin))
        return True

    async def take_out(self, connection: AsyncConnection, mark: int, call_ids: Iterable[str]) -> None:
        """Take calls out of the sums, as they are stored now; the caller has ``locked_mark`` and numbers them anew."""
        wanted = list(call_ids)
        for start in range(0, len(wanted), _ROWS_AT_ONCE):
            some = _cdr.call_id.in_(wanted[start : start + _ROWS_AT_ONCE]) & (_cdr.export_seq <= mark)
            rows = (await connection.execute(_CALLS.where(some))).all()
            if rows:
                sums = (await _summed(connection, rows, some)).rows
                await self._add(connection, {place: [-value for value in values] for place, values in sums.items()})

    async def add_live(self, counts: LiveCounts) -> None:
        """Add what the running switch has counted; the same counts again, whose commit was lost, change nothing.

        Raises:
            StoreUnavailable: probably nothing was added; give the same counts again.
        """
        sums = TrafficSums()
        for each in counts.attempts:
            sums.add_counted(each.slot, each.key, each.calls, each.answered, each.rang)
        async with self._database.writing() as connection:
            await locked_mark(connection)
            if await _value(connection, schema.TRAFFIC_LIVE) == counts.number:
                return
            known = await self._add(connection, sums.rows)
            await self._raise_peaks(connection, counts.peaks)
            await _set(connection, schema.TRAFFIC_LIVE, counts.number)
        self._note_known(known)

    async def _raise_peaks(self, connection: AsyncConnection, peaks: Sequence[TrafficPeak]) -> None:
        rows = sorted((each.slot, each.side.value, each.name, each.concurrent, each.per_second) for each in peaks)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            await connection.execute(
                _HIGHER_IN_SQLITE if self._database.is_sqlite else _HIGHER_IN_MYSQL,
                [
                    dict(zip(schema.traffic_peak.c.keys(), row, strict=True))
                    for row in rows[start : start + _ROWS_AT_ONCE]
                ],
            )

    async def newest(self) -> int:
        """Return the number of the latest commit of a call in the database itself, 0 = there is none."""
        async with self._database.reading() as connection:
            return await connection.scalar(select(func.max(_cdr.export_seq))) or 0

    async def added_up(self) -> int:
        """Return the number of the latest commit that is in the sums of the database itself, 0 = there is none."""
        async with self._database.reading() as connection:
            return await _value(connection, schema.TRAFFIC)

    async def behind(self, read: SumMarks | None = None, since: int = 0, until: int | None = None) -> MissingCalls:
        """Return how many calls that began in a span are not in sums; UTC milliseconds. None = those of the database.

        Of more than ``COUNTED_NUMBERS`` numbers of commits it is these numbers, of any time; nearly as many calls.
        """
        async with self._database.reading() as connection:
            newest = await connection.scalar(select(func.max(_cdr.export_seq))) or 0
            mark, added_up = read or await _in_database(connection)
            if newest - mark > COUNTED_NUMBERS:
                return MissingCalls(newest - mark, max(0, min(newest, added_up) - mark))
            # no condition on the time: a database could read all calls of the span for it
            began = _cdr.started_at >= since
            if until is not None:
                began &= _cdr.started_at < until
            late = func.count(case((began & (_cdr.export_seq <= added_up), 1)))
            found = select(func.count(case((began, 1))), late).where(_cdr.export_seq > mark)
            return MissingCalls(*(await connection.execute(found)).one())

    async def missing(self, since: int, until: int, read: SumMarks | None = None) -> MissingCalls:
        """Return how many calls that began in a span are booked and not in sums; UTC milliseconds.

        None = the sums of the database.
        """
        async with self._database.reading(unhurried=True) as connection:
            mark, added_up = read or await _in_database(connection)
            began = (_cdr.started_at >= since) & (_cdr.started_at < until)
            late = func.count(case((_cdr.export_seq <= added_up, 1)))
            found = await connection.execute(select(func.count(), late).where(_cdr.export_seq > mark, began))
            return MissingCalls(*found.one())

    async def first_open_day(self, until: int) -> int | None:
        """Return when the first day with calls began that has no sums of its own, of those that end by ``until``.

        None = every day has; UTC milliseconds.
        """
        end = until // SLOT_MS // SLOTS_OF_DAY * SLOTS_OF_DAY
        async with self._database.reading() as connection:
            first = await _first_slot(connection, await _value(connection, schema.TRAFFIC_DAYS))
            return None if first is None or first >= end else first // SLOTS_OF_DAY * SLOTS_OF_DAY * SLOT_MS

    async def reach(self, until: int) -> int:
        """Return until when calls are counted again at most, UTC milliseconds: the days of the last ones, and of sums.

        People write 9999-12-31 for ever, which is 70 million hours. A time whose records were dropped is within it, so
        that it is refused.
        """
        async with self._database.reading(unhurried=True) as connection:
            began = await connection.scalar(select(func.max(_cdr.started_at)))
            sums = (await connection.scalars(_last_sums())).all()
            dropped = await dropped_before(connection)
        last = max((began or 0) // SLOT_MS, *(each or 0 for each in sums), max(dropped.calls, dropped.sums) // SLOT_MS)
        return min(until, (last // SLOTS_OF_DAY + _DAYS_BEHIND) * SLOTS_OF_DAY * SLOT_MS)

    async def differences(
        self, since: int, until: int, report: Callable[[float, int], None] = lambda *_: None
    ) -> AsyncGenerator[TrafficDifference, None]:
        """Count the calls again that began in a span, and yield each sum that differs; whole hours, UTC milliseconds.

        ``report`` receives a part of 1 and the hours whose calls are counted; sums of days are compared behind them.

        Raises:
            DroppedPeriod: calls or sums of then were dropped.
        """
        begin, hours, (earliest, latest) = 0, 0, _slots(since, until)
        for hours, (first, end) in enumerate(_hours(since, until), 1):
            if end > begin:
                async with self._database.reading(unhurried=True) as connection:
                    kinds = await _counted_again(connection, first)
                    mark = await _value(connection, schema.TRAFFIC)
                    counted = _of_kinds((await _counted(connection, first, end, mark)).rows, kinds)
                    stored = _of_kinds(await _stored(connection, schema.traffic, first, end), kinds)
                    begin = end if stored or counted else await _next_slot(connection, end)
                if len(kinds) < len(RECOUNTED):
                    stored, counted = _without_phones(stored), _without_phones(counted)
                for found in _compared(stored, counted):
                    yield found
            report(_OF_HOURS * (end - earliest) / (latest - earliest), hours)
        for day in await self._days_of_zones(since, until):
            async with self._database.reading(unhurried=True) as connection:
                stored = await _stored(connection, schema.traffic_zone, day, day + 1)
                of_day = await _stored(connection, schema.traffic, day, day + SLOTS_OF_DAY)
            for found in _compared(stored, _together(of_day, day)):
                yield found
        begin = 0
        for first, end in _days(since, until):
            report(_OF_HOURS + (1 - _OF_HOURS) * (first - earliest) / (latest - earliest), hours)
            if end <= begin:
                continue
            async with self._database.reading(unhurried=True) as connection:
                if end > await _value(connection, schema.TRAFFIC_DAYS):
                    break
                stored = await _stored(connection, schema.traffic_day, first, end)
                of_day = await _stored(connection, schema.traffic, first, end)
                if not stored and not of_day:
                    begin = await _next_sums(connection, end, schema.traffic, schema.traffic_day)
            for found in _compared(stored, _together(of_day, first)):
                yield found
        report(1, hours)

    async def _days_of_zones(self, since: int, until: int) -> Sequence[int]:
        first, end = _slots(since, until)
        async with self._database.reading() as connection:
            return await _zone_days(connection, first, end - SLOTS_OF_DAY + 1)

    async def rebuild(self, since: int, until: int) -> AsyncGenerator[int, None]:
        """Make the sums of a span anew, hour by hour; yield after each the end of what is done, UTC milliseconds.

        It may be interrupted at any time, and be repeated.

        Raises:
            DroppedPeriod: calls of then were dropped, and their sums are all that is left of them, or sums were.
        """
        for first, end in _hours(since, until):
            with self._database.waiting_for_rows():
                await self._rebuild_hour(first, end)
            yield end * SLOT_MS

    @repeated
    async def _rebuild_hour(self, first: int, end: int) -> None:
        async with self._database.writing(unhurried=True) as connection:
            mark = await locked_mark(connection)
            kinds = await _counted_again(connection, first)
            before = _of_kinds(await _stored(connection, schema.traffic, first, end), kinds)
            sums = await _counted(connection, first, end, mark)
            await self._note_areas(connection, sums.prefixes)
            counted, table = _of_kinds(sums.rows, kinds), schema.traffic
            await connection.execute(delete(table).where(_within(table, first, end, kinds)))
            changed = _difference(counted, before)
            ids = await self._ids(connection, changed)
            await self._write(connection, table, _by_id(counted, ids))
            await self._add_to_days(connection, _by_id(changed, ids))
            if end % SLOTS_OF_DAY == 0 and end <= await _value(connection, schema.TRAFFIC_DAYS):
                days = schema.traffic_day
                await connection.execute(delete(days).where(_within(days, end - SLOTS_OF_DAY, end)))
                await _make_day(connection, end - SLOTS_OF_DAY, days)
            for day in await _zone_days(connection, first - SLOTS_OF_DAY + 1, end - SLOTS_OF_DAY + 1):
                of_zone = schema.traffic_zone
                await connection.execute(delete(of_zone).where(_within(of_zone, day, day + 1)))
                await _make_day(connection, day, of_zone)

    async def _add(self, connection: AsyncConnection, sums: Sums) -> Mapping[_KeyOfYear, int]:
        """Add sums to those that are stored, the days included; return the ids of their keys.

        Those of a time whose sums were dropped are left out: a call of then was booked or corrected late.
        """
        first = -(-await sums_dropped_before(connection) // SLOT_MS)
        sums = {place: values for place, values in sums.items() if place[0] >= first}
        ids = await self._ids(connection, sums)
        rows = _by_id(sums, ids)
        await self._write(connection, schema.traffic, rows)
        await self._add_to_days(connection, rows)
        return ids

    async def _add_to_days(self, connection: AsyncConnection, rows: _SumsById) -> None:
        closed = await _value(connection, schema.TRAFFIC_DAYS)
        late = {place: values for place, values in rows.items() if place[0] < closed}
        await self._write(connection, schema.traffic_day, _together(late))
        slots = [slot for slot, _ in rows]
        days = await _zone_days(connection, min(slots) - SLOTS_OF_DAY + 1, max(slots) + 1) if slots else ()
        if days:
            await self._write(connection, schema.traffic_zone, _in_days(rows, days))

    async def _note_areas(self, connection: AsyncConnection, prefixes: Mapping[str, str]) -> Mapping[str, str]:
        """Store the prefixes of areas that are new or shorter than before; return those that are stored now."""
        area, noted = schema.traffic_area, dict[str, str]()
        for name, prefix in prefixes.items():
            if (before := self._prefixes.get(name)) is not None and prefix.startswith(before):
                continue
            stored = await connection.scalar(select(area.c.prefix).where(area.c.area == name))
            noted[name] = prefix if stored is None else common_prefix(stored, prefix)
            if stored is None:
                await connection.execute(insert(area).values(area=name, prefix=prefix))
            elif stored != noted[name]:
                await connection.execute(update(area).where(area.c.area == name).values(prefix=noted[name]))
        return noted

    async def _ids(self, connection: AsyncConnection, sums: Sums) -> dict[_KeyOfYear, int]:
        """Return the id of each key in its year; one that is new gets its row."""
        if self._newest is not None:
            number, newest = self._newest
            if (await _ids_of(connection, [newest])).get(newest) != number:
                # commits are lost, and the ids of their keys may be those of others now
                self._newest = None
                self._known.clear()
                self._prefixes.clear()
        wanted = {(slot // YEAR_SLOTS, key) for slot, key in sums}
        ids = {place: self._known[place] for place in wanted if place in self._known}
        ids |= await _ids_of(connection, wanted - ids.keys())
        if new := wanted - ids.keys():
            rows = [{"digest": digest_of(year, key.digest), **key._asdict()} for year, key in sorted(new)]
            await connection.execute(insert(_key), rows)
            ids |= await _ids_of(connection, new)
        return ids

    def _note_known(self, committed: Mapping[_KeyOfYear, int]) -> None:
        self._known |= committed
        for place, number in committed.items():
            if self._newest is None or number > self._newest[0]:
                self._newest = number, place

    async def _write(self, connection: AsyncConnection, table: Table, sums: _SumsById) -> None:
        """Add sums to the rows of a table; a row that is missing is made."""
        rows = sorted((kind, slot, key_id, *values) for (slot, (kind, key_id)), values in sums.items())
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            if self._database.is_sqlite:
                native = [(*row[:_MONEY], *map(sum_units, row[_MONEY:])) for row in some]
                await connection.exec_driver_sql(_adding_to_sqlite(table), native)
            else:
                values = ",".join(
                    [f"({','.join([*map(str, row[:_MONEY]), *map(money_text, row[_MONEY:])])})" for row in some]
                )
                statement = f"{_INTO.format(table=table.name)} VALUES {values} {_ADDED_IN_MYSQL}"
                await connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


async def locked_mark(connection: AsyncConnection) -> int:
    """Return the number of commit up to which calls are in the sums; its row stays locked until the transaction ends.

    Taken before the counter of commits, so that no booking waits for a transaction that waits for this.
    """
    query = select(_counter.c.value).where(_counter.c.name == schema.TRAFFIC).with_for_update()
    value = await connection.scalar(query)
    if value is None:
        raise no_counter(schema.TRAFFIC)
    return int(value)


async def _zone_days(connection: AsyncConnection, first: int, end: int) -> Sequence[int]:
    """Return the days of zones that have sums of their own and begin in a span of slots."""
    slot = schema.traffic_zone_day.c.slot
    return list(await connection.scalars(select(slot).where(slot >= first, slot < end).order_by(slot)))


def _by_id(sums: Sums, ids: Mapping[_KeyOfYear, int]) -> _SumsById:
    return {
        (slot, (KIND_NUMBERS[key.kind], ids[slot // YEAR_SLOTS, key])): values for (slot, key), values in sums.items()
    }


def _in_days(sums: _SumsById, days: Sequence[int]) -> _SumsById:
    """Add slots up to sorted days that begin at other times than those of UTC, and may overlap."""
    found: dict[tuple[int, tuple[int, int]], list[int | Decimal]] = {}
    for (slot, key), values in sums.items():
        for day in days[bisect_right(days, slot - SLOTS_OF_DAY) : bisect_right(days, slot)]:
            before = found.get((day, key))
            found[day, key] = list(values) if before is None else [a + b for a, b in zip(before, values, strict=True)]
    return found


async def _make_day(connection: AsyncConnection, begin: int, days: Table) -> None:
    """Make the sums of a day, which has none, of those of its quarters."""
    table = schema.traffic
    sums = [fitting_sum(table.c[name]) if name in AMOUNTS else func.sum(table.c[name]) for name in MEASURES]
    columns = [table.c.kind, literal(begin), table.c.key_id, *sums]
    of_day = select(*columns).where(_within(table, begin, begin + SLOTS_OF_DAY))
    names = ["kind", "slot", "key_id", *MEASURES]
    await connection.execute(insert(days).from_select(names, of_day.group_by(table.c.kind, table.c.key_id)))


def _key_of(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a call id as the database has it; to write it as text takes longer than to count the call."""
    return type_coerce(column, LargeBinary)


_CALLS: Final[Select[Any]] = select(
    _key_of(_cdr.call_id), *(_cdr[name] for name in TrafficCall._fields), _cdr.export_seq
)
"""Calls: the key, the columns that are counted, the number of the commit."""


async def _summed(connection: AsyncConnection, calls: Sequence[Row[Any]], chosen: ColumnElement[bool]) -> TrafficSums:
    """Add calls up, rows of ``_CALLS`` that were ``chosen``, with their attempts and the charges of their agents."""
    if not calls:
        return TrafficSums()
    attempts: dict[bytes, list[TrafficAttempt]] = defaultdict(list)
    tried = select(_key_of(_attempt.call_id), *(_attempt[name] for name in TrafficAttempt._fields))
    tried = tried.join(schema.cdr, _cdr.call_id == _attempt.call_id).where(chosen)
    for row in await connection.execute(tried.order_by(_attempt.call_id, _attempt.position)):
        attempts[row[0]].append(TrafficAttempt(*row[1:]))
    agents: dict[bytes, list[TrafficCharge]] = defaultdict(list)
    charged = select(_key_of(_charge.call_id), *(_charge[name] for name in TrafficCharge._fields))
    charged = charged.join(schema.cdr, _cdr.call_id == _charge.call_id).where(chosen, _charge.role == AGENT)
    for row in await connection.execute(charged):
        agents[row[0]].append(TrafficCharge(*row[1:]))
    sums = TrafficSums()
    for row in calls:
        sums.add(TrafficCall(*row[1:-1]), attempts.get(row[0], ()), agents.get(row[0], ()))
    return sums


async def _counted(connection: AsyncConnection, first: int, end: int, mark: int) -> TrafficSums:
    """Add up the calls of a span of slots that are in the sums."""
    began = (_cdr.started_at >= first * SLOT_MS) & (_cdr.started_at < end * SLOT_MS)
    counted = began & (_cdr.export_seq <= mark)
    rows = (await connection.execute(_CALLS.where(counted))).all()
    return await _summed(connection, rows, counted)


async def _stored(connection: AsyncConnection, table: Table, first: int, end: int) -> Sums:
    count = len(MEASURES) + 1
    found: dict[tuple[int, TrafficKey], Sequence[Any]] = {}
    for row in await connection.execute(_sums_of(table), {"first": first, "end": end}):
        place, values = (row[0], TrafficKey(*row[count:])), row[1:count]
        before = found.get(place)  # a day of a zone may be of two years, each with a key
        found[place] = values if before is None else [a + b for a, b in zip(before, values, strict=True)]
    return found


@cache
def _sums_of(table: Table) -> Select[Any]:
    """Select the sums of a span of slots that are counted again, and their keys; a recount asks for every hour."""
    columns = [_key.c[name] for name in TrafficKey._fields]
    query = select(table.c.slot, *(table.c[name] for name in MEASURES), *columns)
    within = _within(table, bindparam("first"), bindparam("end"), RECOUNTED)
    return query.join(_key, _key.c.id == table.c.key_id).where(within)


async def _first_slot(connection: AsyncConnection, closed: int) -> int | None:
    """Return the first slot from one on in which calls or attempts without CDR began; None = there is none."""
    table = schema.traffic
    found = [
        await connection.scalar(
            select(func.min(table.c.slot)).where(table.c.kind == KIND_NUMBERS[kind.value], table.c.slot >= closed)
        )
        for kind in (TrafficKind.CALL, TrafficKind.NO_CDR, TrafficKind.UNKNOWN)
    ]
    return min((int(slot) for slot in found if slot is not None), default=None)


async def _next_slot(connection: AsyncConnection, slot: int) -> int:
    """Return the first slot, from one on, that calls began in or that has sums; without any, a number above all."""
    began = await connection.scalar(select(func.min(_cdr.started_at)).where(_cdr.started_at >= slot * SLOT_MS))
    summed = await _next_sums(connection, slot, schema.traffic)
    return summed if began is None else min(began // SLOT_MS, summed)


async def _next_sums(connection: AsyncConnection, slot: int, *tables: Table) -> int:
    """Return the first slot, from one on, of which a table has sums; without any, a number above all."""
    found = await connection.scalars(_first_sums(*tables), {"begin": slot})
    return min((each for each in found if each is not None), default=_NO_SLOT)


@cache
def _last_sums() -> CompoundSelect[Any]:
    """Select the last slots with sums that are counted again, by table and kind."""
    return union_all(
        *(
            select(func.max(table.c.slot)).where(table.c.kind == KIND_NUMBERS[kind.value])
            for table in (schema.traffic, schema.traffic_day, schema.traffic_zone)
            for kind in RECOUNTED
        )
    )


@cache
def _first_sums(*tables: Table) -> CompoundSelect[Any]:
    """Select the first slots with sums that are counted again, by table and kind: each is one look into an index."""
    begin: BindParameter[int] = bindparam("begin")
    return union_all(
        *(
            select(func.min(table.c.slot)).where(table.c.kind == KIND_NUMBERS[kind.value], table.c.slot >= begin)
            for table in tables
            for kind in RECOUNTED
        )
    )


def _within(
    table: Table,
    first: int | BindParameter[int],
    end: int | BindParameter[int],
    kinds: Iterable[TrafficKind] = TrafficKind,
) -> ColumnElement[bool]:
    """Select the sums of a span of slots."""
    numbers = [KIND_NUMBERS[kind.value] for kind in kinds]
    return table.c.kind.in_(numbers) & (table.c.slot >= first) & (table.c.slot < end)


def _compared(stored: Sums, counted: Sums) -> list[TrafficDifference]:
    nothing = (0,) * len(MEASURES)
    return [
        TrafficDifference(slot, key, name, held, made)
        for slot, key in sorted({*stored, *counted})
        for name, held, made in zip(
            MEASURES, stored.get((slot, key), nothing), counted.get((slot, key), nothing), strict=True
        )
        if held != made
    ]


def _without_phones(sums: Sums) -> Sums:
    """Add up what differs by the numbers of phones alone: calls whose numbers are masked do not have them."""
    found: dict[tuple[int, TrafficKey], Sequence[Any]] = {}
    for (slot, key), values in sums.items():
        mapping, routing = without_phone(key.mapping_gateway), without_phone(key.routing_gateway)
        if key.kind == TrafficKind.FIVE_OUT and mapping == routing == MASK:
            mapping = ""  # said of a gateway that called itself: of two masked phones it is not known
        place = slot, key._replace(mapping_gateway=mapping, routing_gateway=routing)
        before = found.get(place)
        found[place] = values if before is None else [a + b for a, b in zip(before, values, strict=True)]
    return found


def _difference(after: Sums, before: Sums) -> Sums:
    nothing = (0,) * len(MEASURES)
    return {
        place: [a - b for a, b in zip(after.get(place, nothing), before.get(place, nothing), strict=True)]
        for place in {*after, *before}
    }


def _together(
    sums: Mapping[tuple[int, _Common], Sequence[Any]], day: int | None = None
) -> dict[tuple[int, _Common], list[Any]]:
    """Add slots up to the days that they are in; ``day`` is the first slot of the only one, where it is known."""
    found: dict[tuple[int, _Common], list[Any]] = {}
    for (slot, key), values in sums.items():
        place = slot // SLOTS_OF_DAY * SLOTS_OF_DAY if day is None else day, key
        before = found.get(place)
        found[place] = list(values) if before is None else [a + b for a, b in zip(before, values, strict=True)]
    return found


def _hours(since: int, until: int) -> Iterable[tuple[int, int]]:
    first, end = _slots(since, until)
    return ((slot, min(slot + SLOTS_OF_HOUR, end)) for slot in range(first, end, SLOTS_OF_HOUR))


def _days(since: int, until: int) -> Iterable[tuple[int, int]]:
    first, end = _slots(since, until)
    begin = -(-first // SLOTS_OF_DAY) * SLOTS_OF_DAY
    return ((slot, slot + SLOTS_OF_DAY) for slot in range(begin, end - SLOTS_OF_DAY + 1, SLOTS_OF_DAY))


def _slots(since: int, until: int) -> tuple[int, int]:
    """Return the slots of a span of UTC milliseconds: those in which it begins and ends are whole."""
    return since // SLOT_MS, -(-until // SLOT_MS)


async def _counted_again(connection: AsyncConnection, slot: int) -> Sequence[TrafficKind]:
    """Return the kinds whose sums of calls from a slot on can be made of them again: masked numbers give none.

    Raises:
        DroppedPeriod: calls or sums of then were dropped.
    """
    dropped = await dropped_before(connection)
    check_there(dropped.calls, slot * SLOT_MS, "calls")
    await check_sums_there(connection, slot * SLOT_MS)
    are_masked = slot * SLOT_MS < dropped.numbers
    return [kind for kind in RECOUNTED if not are_masked or kind not in DIGITS_SUMMED]


def _of_kinds(sums: Sums, kinds: Collection[TrafficKind]) -> Sums:
    return {place: values for place, values in sums.items() if place[1].kind in kinds}


async def _ids_of(connection: AsyncConnection, wanted: Collection[_KeyOfYear]) -> dict[_KeyOfYear, int]:
    """Return the ids of those keys that are stored."""
    places = {digest_of(year, key.digest): (year, key) for year, key in wanted}
    digests = sorted(places)
    found: dict[_KeyOfYear, int] = {}
    for start in range(0, len(digests), _ROWS_AT_ONCE):
        query = select(_key.c.digest, _key.c.id).where(_key.c.digest.in_(digests[start : start + _ROWS_AT_ONCE]))
        found |= {places[row.digest]: row.id for row in await connection.execute(query)}
    return found


async def _in_database(connection: AsyncConnection) -> SumMarks:
    mark = await _value(connection, schema.TRAFFIC)
    return SumMarks(mark, mark)


async def _value(connection: AsyncConnection, name: str) -> int:
    return int(await connection.scalar(select(_counter.c.value).where(_counter.c.name == name)) or 0)


async def _set(connection: AsyncConnection, name: str, value: int) -> None:
    await connection.execute(update(_counter).where(_counter.c.name == name).values(value=value))


def _adding_to_sqlite(table: Table) -> str:
    return f"{_INTO.format(table=table.name)} VALUES ({_MARKS}) {_ADDED_IN_SQLITE}"
