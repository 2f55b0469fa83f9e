"""Last known state of the database, in an SQLite file of ``state_dir``: for a start without it or after lost commits.

Balances and registrations are written to it beside the database (ADRs 68 and 22). The file is a copy that may be
removed: it is created anew, as it is by a version with other tables. For an SQLite database it has the balances alone.
Changes of registrations that the database has not confirmed are marked in it, and written there by the next start.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from zlib import crc32

import structlog
from sqlalchemy import Column, Integer, MetaData, String, Table, delete, select, tuple_
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from vosd.base.errors import VosError
from vosd.cdr.ports import LastStanding, StoreUnavailable
from vosd.sip.ports import BindingKey, BindingStore, StoredBinding
from vosd.storage import schema
from vosd.storage.copies.sqlite import files_of
from vosd.storage.database import ContentRefused, Database
from vosd.storage.registrations import GONE_AT_ONCE, SqlRegistrations

_AT_ONCE: Final = 1_000
"""Bindings in a transaction of a start."""
_unconfirmed: Final = Table(
    "unconfirmed",
    MetaData(),
    Column("name", String, primary_key=True),
    Column("slot", Integer, primary_key=True),
)
"""Bindings that were written, or removed, and may be otherwise in the database."""
_time: Final = Table("time", MetaData(), Column("id", Integer, primary_key=True), Column("at", Integer, nullable=False))
"""When the switch ran last: one row."""
_TABLES: Final = (schema.account, schema.registration, _unconfirmed, _time)
_CREATE: Final = tuple(str(CreateTable(table).compile(dialect=sqlite.dialect())) for table in _TABLES)
_FORMAT: Final = crc32("".join(_CREATE).encode()) & 0x7FFF_FFFF
"""Changes whenever the tables do."""

_INTO_TIME: Final = sqlite.insert(_time)
_NOTE_TIME: Final = _INTO_TIME.on_conflict_do_update(index_elements=["id"], set_={"at": _INTO_TIME.excluded.at})
_MARK: Final = sqlite.insert(_unconfirmed).on_conflict_do_nothing()

_log = structlog.get_logger()


class LastKnown:
    """The copy of one switch; implements ``vosd.engine.booking.last_standings.LastStandings``."""

    def __init__(self, path: Path, node: str) -> None:
        self._path = path
        self._database = Database(f"sqlite+aiosqlite:///{path}")
        self.registrations: Final = SqlRegistrations(self._database, node)
        self._failed = False
        self._is_read = False
        self._confirmed: set[BindingKey] = set()
        """Bindings whose marks the next writing removes, so that a confirmation is no writing of its own."""
        account = sqlite.insert(schema.account)
        changing = ("balance", "seq", "currency", "expires_at")
        self._upsert = account.on_conflict_do_update(
            index_elements=["id"], set_={name: account.excluded[name] for name in changing}
        )

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
            await self.note_bindings((), (), are_confirmed=True)
        await self._database.close()

    async def standings(self) -> Sequence[LastStanding]:
        """Return the last known standing of every account.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        table = schema.account.c
        query = select(table.id, table.balance, table.seq, table.expires_at, table.currency)
        async with self._database.reading() as connection:
            return [LastStanding(*row) for row in (await connection.execute(query)).all()]

    async def note(self, standings: Sequence[LastStanding]) -> bool:
        """Write the standings of accounts that have changed; return whether that was possible.

        A failure is logged once.
        """
        rows = [
            {
                "id": each.account,
                "balance": each.balance,
                "seq": each.seq,
                "changed": 0,
                "currency": each.currency,
                "expires_at": each.expires_at,
            }
            for each in standings
        ]
        try:
            async with self._database.writing() as connection:
                await connection.execute(self._upsert, rows)
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
        async with self._database.reading() as connection:
            return (await connection.execute(select(_time.c.at))).scalar()

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

    async def note_bindings(
        self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey], *, are_confirmed: bool = False
    ) -> None:
        """Write bindings, and remove others; mark them unless the database has them so. A failure is logged once."""
        marked = [] if are_confirmed else [BindingKey(row.name, row.slot) for row in bindings] + list(gone)
        confirmed = list(self._confirmed)
        try:
            async with self._database.writing() as connection:
                for start in range(0, len(confirmed), GONE_AT_ONCE):
                    some = confirmed[start : start + GONE_AT_ONCE]
                    fitting = tuple_(_unconfirmed.c.name, _unconfirmed.c.slot).in_(some)
                    await connection.execute(delete(_unconfirmed).where(fitting))
                await self.registrations.write(connection, bindings, gone)
                if marked:
                    await connection.execute(_MARK, [each._asdict() for each in marked])
            self._confirmed.difference_update(confirmed)
            self._failed = False
        except VosError as error:
            self._report(error)

    def confirm(self, bindings: Collection[BindingKey]) -> None:
        """Have the next writing remove the marks of these bindings: the database has them as they are here."""
        self._confirmed.update(bindings)

    async def unconfirmed(self) -> Sequence[BindingKey]:
        """Return the bindings that may be otherwise in the database.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(_unconfirmed.c.name, _unconfirmed.c.slot))).all()
        return [key for key in (BindingKey(*row) for row in rows) if key not in self._confirmed]

    def _report(self, error: VosError) -> None:
        if not self._failed:
            _log.error("last_known_not_written", error=str(error), means="a start without the database knows less")
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
        """Return all stored bindings, after changes that an earlier process could write to the copy alone.

        Raises:
            StoreUnavailable: try again.
        """
        if self._copy.is_read_instead:
            return await self._copy.registrations.load()
        async with self._turn:
            known = {BindingKey(row.name, row.slot): row for row in await self._known()}
            await self._write_late(known)
            found = await self._store.load()
            keys = {BindingKey(row.name, row.slot): row for row in found}
            changed = [row for key, row in keys.items() if known.get(key) != row]
            gone = known.keys() - keys.keys()
            if changed or gone:
                await self._copy.note_bindings(changed, gone, are_confirmed=True)
        return found

    async def note(self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]) -> None:
        """Write bindings and remove others in the copy, before ``save``: so it has all that the database has."""
        async with self._turn:
            await self._copy.note_bindings(bindings, gone)

    async def save(self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]) -> None:
        """Write bindings and remove others.

        Raises:
            StoreUnavailable: probably nothing was written to the database; try the same again.
            ContentRefused: a binding can never be stored; nothing was written.
        """
        keys = [*(BindingKey(row.name, row.slot) for row in bindings), *gone]
        async with self._turn:
            try:
                await self._store.save(bindings, gone)
            except ContentRefused:
                self._copy.confirm(keys)  # else each start would try it again
                raise
            self._copy.confirm(keys)

    async def _write_late(self, known: Mapping[BindingKey, StoredBinding]) -> None:
        """Write to the database what it has not confirmed, unless another switch may have newer registrations there."""
        try:
            late = await self._copy.unconfirmed()
        except StoreUnavailable:
            return
        for start in range(0, len(late), _AT_ONCE) if self._is_newest() else ():
            some = late[start : start + _AT_ONCE]
            rows, gone = [known[key] for key in some if key in known], [key for key in some if key not in known]
            try:
                await self._store.save(rows, gone)
            except ContentRefused as error:
                _log.error("registration_not_written", name=some[0].name, error=str(error))
        self._copy.confirm(late)

    async def _known(self) -> Sequence[StoredBinding]:
        try:
            return await self._copy.registrations.load()
        except StoreUnavailable:
            return ()


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
