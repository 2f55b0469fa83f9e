"""Last known state of the database, in an SQLite file of ``state_dir``: for a start without it or after lost commits.

Balances and registrations are written to it beside the database (ADRs 68 and 22). The file is a copy that may be
removed: it is created anew, as it is by a version with other tables. For an SQLite database it has the balances alone.
Changes of registrations that the database has not confirmed are marked in it, and written there by the next start,
unless the database has newer ones: this file may have been full meanwhile.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final
from zlib import crc32

from sqlalchemy import Column, Insert, Integer, MetaData, String, Table, bindparam, delete, select, tuple_
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from vosd.base.errors import VosError
from vosd.cdr.ports import LastStanding, StoreUnavailable
from vosd.obs.events import log as _log
from vosd.sip.ports import BindingKey, BindingStore, StoredBinding
from vosd.storage import schema
from vosd.storage.copies.sqlite import files_of
from vosd.storage.database import Database
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.registrations import GONE_AT_ONCE, SqlRegistrations
from vosd.storage.types import moment_text, money_units

_AT_ONCE: Final = 1_000
"""Bindings in a transaction of a start."""
_READ_AT_ONCE: Final = 500
"""Standings that are read at once, which takes two milliseconds."""
_unconfirmed: Final = Table(
    "unconfirmed",
    MetaData(),
    Column("name", String, primary_key=True),
    Column("slot", Integer, primary_key=True),
    Column("until", schema.registration.c.until.type),
)
"""Bindings that were written, or removed, and may be otherwise in the database.

``until`` is that of the row that the database has confirmed last; NULL = it had none.
"""
_time: Final = Table("time", MetaData(), Column("id", Integer, primary_key=True), Column("at", Integer, nullable=False))
"""One row: the time at which the switch ran last."""
_TABLES: Final = (schema.account, schema.registration, _unconfirmed, _time)
_CREATE: Final = tuple(str(CreateTable(table).compile(dialect=sqlite.dialect())) for table in _TABLES)
_FORMAT: Final = crc32("".join(_CREATE).encode()) & 0x7FFF_FFFF
"""Changes whenever the tables do."""

LAST_KNOWN: Final = "last-known.db"
"""Name of the file in ``state_dir``."""

_NOTE_STANDING: Final = (
    "INSERT INTO account (id, balance, seq, changed, currency, expires_at) VALUES (?, ?, ?, 0, ?, ?) ON CONFLICT (id)"
    " DO UPDATE SET balance = excluded.balance, seq = excluded.seq, currency = excluded.currency,"
    " expires_at = excluded.expires_at"
)
"""A statement of text: a start writes the standings of all accounts, and each value of it is encoded once."""
_INTO_TIME: Final = sqlite.insert(_time)
_NOTE_TIME: Final = _INTO_TIME.on_conflict_do_update(index_elements=["id"], set_={"at": _INTO_TIME.excluded.at})


_Batch = Mapping[BindingKey, StoredBinding | None]
"""States of bindings; None = it is removed."""


class LastKnown:
    """The copy of one switch; implements ``vosd.engine.booking.last_standings.LastStandings``."""

    def __init__(self, path: Path, node: str) -> None:
        self._path = path
        self._database = Database(f"sqlite+aiosqlite:///{path}")
        self.registrations: Final = SqlRegistrations(self._database, node)
        self._failed = False
        self._is_read = False
        self._confirmed: dict[BindingKey, StoredBinding | None] = {}
        """States whose marks the next writing removes, so that a confirmation is no writing of its own."""
        self._mark = _mark_of(node)

    async def open(self) -> None:
        """Create the file where it is missing or cannot be used."""
        try:
            if not _is_usable(self._path):
                _create(self._path)
        except (OSError, sqlite3.Error) as error:
            _log.error("last_known_unusable", file=str(self._path), error=str(error), do="mend state_dir")

    async def close(self) -> None:
        """Close the file."""
        if self._confirmed:
            await self.note_bindings((), ())
        await self._database.close()

    async def standings(self) -> Sequence[LastStanding]:
        """Return the last known standing of every account; raises StoreUnavailable where the file cannot be read."""
        table = schema.account.c
        query = select(table.id, table.balance, table.seq, table.expires_at, table.currency).order_by(table.id)
        found: list[LastStanding] = []
        async with self._database.reading() as connection:
            while True:
                after = found[-1].account if found else ""
                rows = (await connection.execute(query.where(table.id > after).limit(_READ_AT_ONCE))).all()
                found += [LastStanding(*row) for row in rows]
                if len(rows) < _READ_AT_ONCE:
                    return found
                await asyncio.sleep(0)  # let calls run

    async def note(self, standings: Sequence[LastStanding]) -> bool:
        """Write the standings of accounts that have changed; return whether that was possible.

        A failure is logged once.
        """
        try:
            rows = [_row_of(each) for each in standings]
            async with self._database.writing() as connection:
                await connection.exec_driver_sql(_NOTE_STANDING, rows)
        except VosError as error:
            self._report(error)
            return False
        self._failed = False
        return True

    async def known_at(self) -> int | None:
        """Return when the switch ran last, UTC milliseconds; None = it is not known.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        return await self._database.value(select(_time.c.at))

    async def note_time(self, at: int) -> None:
        """Write that the switch runs at this time, UTC milliseconds; a failure is logged once."""
        try:
            async with self._database.writing() as connection:
                await connection.execute(_NOTE_TIME, [{"id": 1, "at": at}])
            self._failed = False
        except VosError as error:
            self._report(error)

    def beside(self, store: BindingStore, is_newest: Callable[[], bool]) -> "CopiedBindings":
        """Return a store that writes to this copy, too.

        ``is_newest`` returns False where another switch may have written to the database since this copy was written.
        """
        return CopiedBindings(store, self, is_newest)

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Have registrations read from the copy meanwhile: the database does not answer."""
        self._is_read = True
        try:
            yield
        finally:
            self._is_read = False

    @property
    def is_read_instead(self) -> bool:
        """Whether registrations are read from the copy."""
        return self._is_read

    async def note_bindings(self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]) -> bool:
        """Write bindings, and remove others; mark them unless the database has them so. Return whether it was possible.

        A failure is logged once; one that can never be stored is left out.
        """
        try:
            refused = await _write_fitting(self._write_bindings, _batch_of(bindings, gone))
        except VosError as error:
            self._report(error)
            return False
        self._failed = False
        for refusal in refused.values():
            self._report(refusal)
        return True

    async def _write_bindings(self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]) -> None:
        confirmed = list(self._confirmed)
        marked = [
            {"of_name": key.name, "of_slot": key.slot}
            for key, row in _batch_of(bindings, gone).items()
            if key not in self._confirmed or self._confirmed[key] != row
        ]
        async with self._database.writing() as connection:
            for start in range(0, len(confirmed), GONE_AT_ONCE):
                some = confirmed[start : start + GONE_AT_ONCE]
                fitting = tuple_(_unconfirmed.c.name, _unconfirmed.c.slot).in_(some)
                await connection.execute(delete(_unconfirmed).where(fitting))
            if marked:
                await connection.execute(self._mark, marked)
            await self.registrations.write(connection, bindings, gone)
        for key in confirmed:
            self._confirmed.pop(key, None)

    def confirm(self, states: _Batch) -> None:
        """Have the next writing remove the marks of these bindings: the database has these states."""
        self._confirmed.update(states)

    async def unconfirmed(self) -> Mapping[BindingKey, int | None]:
        """Return the bindings that may be otherwise in the database, with ``until`` of the row confirmed last.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        rows = await self._database.rows(select(_unconfirmed))
        marks = {BindingKey(row.name, row.slot): row.until for row in rows}
        return {key: until for key, until in marks.items() if key not in self._confirmed}

    def _report(self, error: VosError) -> None:
        if not self._failed:
            said = str(error)
            with suppress(OSError):  # its directory is closed, as the error says
                if not self._path.exists():
                    said = f"{self._path} is missing: a start makes it anew, vosd restart while the database answers"
            _log.error("last_known_not_written", error=said, means="a start without the database knows less")
        self._failed = True


class CopiedBindings:
    """The registrations of the database, each also in the copy; implements ``vosd.sip.ports.BindingStore``."""

    def __init__(self, store: BindingStore, copy: LastKnown, is_newest: Callable[[], bool]) -> None:
        self._store = store
        self._copy = copy
        self._is_newest = is_newest
        self._turn = asyncio.Lock()
        """Held while all are read: a binding that is written meanwhile would be taken for a difference."""

    async def load(self) -> Sequence[StoredBinding]:
        """Return all stored bindings, after changes that an earlier process could write to the copy alone."""
        if self._copy.is_read_instead:
            return await self._copy.registrations.load()
        async with self._turn:
            found = await self._store.load()
            try:
                known = _batch_of(await self._copy.registrations.load())
                marks = await self._copy.unconfirmed()
            except StoreUnavailable as error:
                _log.error("last_known_unreadable", error=str(error), means="registrations of an outage are missing")
                return found
            if self._is_newest() and await self._write_late(marks, known, _batch_of(found)):
                found = await self._store.load()
            there = _batch_of(found)
            changed = [row for row in found if known.get(BindingKey(row.name, row.slot)) != row]
            gone = known.keys() - there.keys()
            if marks or changed or gone:
                self._copy.confirm({key: there.get(key) for key in {*marks, *_batch_of(changed, gone)}})
                await self._copy.note_bindings(changed, gone)
        return found

    async def note(self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]) -> bool:
        """Write to the copy, before ``save``, so that it has all that the database has; return whether it could be."""
        async with self._turn:
            return await self._copy.note_bindings(bindings, gone)

    async def save(self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]) -> None:
        """Write bindings and remove others.

        Raises:
            StoreUnavailable: probably nothing was written to the database; try the same again.
            ContentRefused: a binding can never be stored; nothing was written.
        """
        batch = _batch_of(bindings, gone)
        async with self._turn:
            try:
                await self._store.save(bindings, gone)
            except ContentRefused:
                if len(batch) == 1:
                    self._copy.confirm(batch)  # else each start would try it again
                raise
            self._copy.confirm(batch)

    async def _write_late(self, marks: Mapping[BindingKey, int | None], known: _Batch, there: _Batch) -> bool:
        """Write to the database what it has not confirmed and has no newer state of; return whether there was any."""
        late = {
            key: known.get(key)
            for key, until in marks.items()
            if there.get(key) != known.get(key) and not _is_newer(there.get(key), known.get(key), until)
        }
        for start in range(0, len(late), _AT_ONCE):
            some = dict(islice(late.items(), start, start + _AT_ONCE))
            for key, error in (await _write_fitting(self._store.save, some)).items():
                _log.error("registration_not_written", name=key.name, error=str(error))
        return bool(late)


def _is_newer(there: StoredBinding | None, late: StoredBinding | None, until: int | None) -> bool:
    """Return whether the state in the database is newer than a late one, which could not be replaced in the copy.

    A later ``until`` alone does not say so, for a stop writes earlier ones: the row that the database had when the late
    state came, of which ``until`` is given, is always older.
    """
    return there is not None and there.until != until and (late is None or there.until >= late.until)


def _batch_of(
    bindings: Iterable[StoredBinding], gone: Iterable[BindingKey] = ()
) -> dict[BindingKey, StoredBinding | None]:
    return {**{BindingKey(row.name, row.slot): row for row in bindings}, **dict.fromkeys(gone)}


async def _write_fitting(
    write: Callable[[Sequence[StoredBinding], Collection[BindingKey]], Awaitable[None]], batch: _Batch
) -> dict[BindingKey, ContentRefused]:
    """Write a batch, halved as long as something of it is refused; return what can never be stored."""
    bindings = [row for row in batch.values() if row is not None]
    try:
        await write(bindings, [key for key, row in batch.items() if row is None])
    except ContentRefused as error:
        keys = list(batch)
        if len(keys) == 1:
            return {keys[0]: error}
        middle = len(keys) // 2
        halves = [{key: batch[key] for key in some} for some in (keys[:middle], keys[middle:])]
        return {key: error for half in halves for key, error in (await _write_fitting(write, half)).items()}
    return {}


def _row_of(each: LastStanding) -> tuple[str, int, int, str | None, str | None]:
    """Return the values of ``_NOTE_STANDING``."""
    expires_at = None if each.expires_at is None else moment_text(each.expires_at)
    return each.account, money_units(each.balance), each.seq, each.currency, expires_at


def _mark_of(node: str) -> Insert:
    """Return the statement that marks a binding, unless it is marked: ``until`` is that of its row in the copy."""
    row, name, slot = schema.registration.c, bindparam("of_name", type_=String), bindparam("of_slot", type_=Integer)
    until = select(row.until).where(row.node == node, row.name == name, row.slot == slot).scalar_subquery()
    return sqlite.insert(_unconfirmed).values(name=name, slot=slot, until=until).on_conflict_do_nothing()


def _is_usable(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        connection = sqlite3.connect(path)
        try:
            return bool(connection.execute("PRAGMA user_version").fetchone()[0] == _FORMAT)
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return False


def _create(path: Path) -> None:
    for each in files_of(path):
        each.unlink(missing_ok=True)
    path.touch(mode=0o600)
    connection = sqlite3.connect(path)
    try:
        for statement in _CREATE:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_FORMAT}")
        connection.commit()
    finally:
        connection.close()
