"""Objects of the configuration in MySQL and SQLite: a row for each version."""

from collections.abc import Iterable, Sequence, Set
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Select, String, func, insert, or_, select, text, true, tuple_, type_coerce

from vosd.catalogue.stored_objects import DefinitionsMoved, Objects, ObjectsMoved, ObjectVersion
from vosd.cdr.kinds import NAME_LENGTH
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import SqlStore, repeated
from vosd.storage.definitions import advance, version_in
from vosd.storage.driver_errors import AlreadyThere
from vosd.storage.types import descriptive, identifying, moment_in

if TYPE_CHECKING:
    from vosd.storage.ports import Payment
    from vosd.storage.waiting_values import WaitingPayment

_table: Final = schema.definition
_row: Final = _table.c
_BETWEEN: Final = "\0"
"""Between values that MySQL joins; no text of the table has it (``storage.types.descriptive``)."""
_EPOCH: Final = text("'1970-01-01'")
_HAS_MEMO: Final = "+"
"""In front of a memo, so that an empty one is not taken for none."""
_HEAD: Final = func.concat_ws(
    text("CHAR(0 USING utf8mb4)"),
    _row.kind,
    _row.name,
    _row.version,
    func.timestampdiff(text("MICROSECOND"), _EPOCH, _row.begins_at),
    func.timestampdiff(text("MICROSECOND"), _EPOCH, _row.made_at),
    _row.operator,
    func.concat(_HAS_MEMO, _row.memo),
    type_=String(),
)
"""The values of a row but its body as one text, for MySQL; a memo that is NULL is left out."""
_JOINED: Final = (_HEAD, _row.body)
_PLAIN: Final = (
    _row.kind,
    _row.name,
    _row.version,
    _row.body,
    type_coerce(_row.begins_at, String()),
    type_coerce(_row.made_at, String()),
    _row.operator,
    _row.memo,
)
"""The values of a row as SQLite has them."""
_moment: Final = lru_cache(maxsize=4_096)(moment_in)
"""Objects that were made together have one time."""
_ROWS_AT_ONCE: Final = 2_000
_LAST_CHARACTER: Final = "\U0010ffff"
_MOVED: Final = "an object was changed meanwhile, and nothing was done: do the same again"


class SqlObjects(SqlStore):
    """Objects of the configuration in the database. A version is never changed and never deleted.

    Every change advances the version of all definitions in the same transaction (``storage.definitions.advance``).
    """

    async def current(self, at: int, since: tuple[int, int] | None = None) -> Objects:
        """Return the objects in force at a moment; ``since`` a version and a moment only those that have changed.

        Versions that were ordered to hold at once, and begin later, count: a clock that was ahead has dated them.
        """
        wanted = true() if since is None else tuple_(_row.kind, _row.name).in_(_changed(since, at))
        begun = select(_table).where(_row.begins_at <= at, wanted)
        planned = select(func.min(_row.begins_at)).where(_row.begins_at > at)
        # The drivers of MySQL read each value of a row by itself, in Python: most of the time for 200,000 rows. Of
        # SQLite each time is a text, which two functions would read.
        columns, object_of = (_PLAIN, _object_of_plain) if self._database.is_sqlite else (_JOINED, _object_of_head)
        query = begun.with_only_columns(*columns).order_by(_row.kind, _row.name)
        async with self._database.reading(unhurried=True) as connection:
            version = await version_in(connection)
            rows = (await connection.execute(query)).all()
            next_at = (await connection.execute(planned)).scalar()
            ahead = [] if next_at is None else (await connection.execute(_ahead_of(at).where(wanted))).all()
        found = _in_force(map(object_of, rows))
        if ahead:
            found = _later_ones(found, map(_object_of, ahead))
        return Objects(version=version, at=at, next_at=next_at, found=found)

    async def last_change(self, until: int) -> tuple[int, int] | None:
        """Return the last version of all definitions, up to one, that a change of objects made, and the time of it.

        Rows are never changed, so it stays the same as long as the database is. None = there was no change.
        """
        last = select(_row.changed, _row.made_at).where(_row.changed <= until).order_by(_row.changed.desc()).limit(1)
        found = await self._database.row(last)
        return None if found is None else (found.changed, found.made_at)

    async def first(
        self, at: int, most: int, kind: str | None = None, after: str | None = None, beginning: str = ""
    ) -> list[ObjectVersion]:
        """Return the first objects in force at a moment, of one kind or of all, without those that have ended.

        ``after``: of a kind only those after a name; ``beginning``: only those whose names begin with it.
        """
        wanted: ColumnElement[bool] = true()
        if kind is not None:
            wanted &= _row.kind == kind
        if after is not None:
            wanted &= _row.name > after
        if beginning:  # LIKE of SQLite takes small letters for capital ones
            wanted &= (_row.name >= beginning) & (_row.name < f"{beginning}{_LAST_CHARACTER}")
        # The primary key has the names in order. For a moment, or a kind in ORDER BY that is given, MariaDB sorts all.
        columns = (_row.kind, _row.name) if kind is None else (_row.name,)
        name = select(*columns).distinct().order_by(*columns)
        found: list[ObjectVersion] = []
        following, at_once = wanted, most
        async with self._database.reading(unhurried=True) as connection:
            while page := (await connection.execute(name.where(following).limit(at_once))).all():
                last = page[-1] if kind is None else (kind, *page[-1])
                part = following & _up_to(*last) & (_row.begins_at <= at)
                rows = await connection.execute(select(_table).where(part).order_by(_row.kind, _row.name))
                found += (each for each in _in_force(map(_object_of, rows.all())) if each.body is not None)
                if len(found) >= most or len(page) < at_once:
                    break
                following = wanted & _follows(*last)
                at_once = max(most, _ROWS_AT_ONCE)  # thousands may have ended: few statements pass them
        return found[:most]

    async def named(self, at: int, kind: str, names: Sequence[str]) -> list[ObjectVersion]:
        """Return those of some objects of a kind that are in force at a moment, by name."""
        found: list[ObjectVersion] = []
        async with self._database.reading() as connection:
            for begin in range(0, len(names), _ROWS_AT_ONCE):
                own = (_row.kind == kind) & _row.name.in_(names[begin : begin + _ROWS_AT_ONCE]) & (_row.begins_at <= at)
                rows = await connection.execute(select(_table).where(own).order_by(_row.name))
                found += (each for each in _in_force(map(_object_of, rows.all())) if each.body is not None)
        return found

    async def of_kind(self, at: int, kind: str, texts: Sequence[str] = ()) -> list[ObjectVersion]:
        """Return the objects of a kind that are in force at a moment, by name.

        ``texts``: only those of which a version has one of these in its keys.
        """
        wanted: ColumnElement[bool] = (_row.kind == kind) & (_row.begins_at <= at)
        if texts:
            having = or_(*(_row.body.contains(each, autoescape=True) for each in texts))
            wanted &= _row.name.in_(select(_row.name).where(_row.kind == kind, having))
        found = await self._select(select(_table).where(wanted).order_by(_row.name))
        return [each for each in _in_force(found) if each.body is not None]

    async def planned(self, after: int) -> Sequence[ObjectVersion]:
        """Return the versions that begin after a moment, the first to begin first."""
        order = (_row.begins_at, _row.kind, _row.name, _row.version)
        return await self._select(select(_table).where(_row.begins_at > after).order_by(*order))

    async def has_any(self) -> bool:
        """Return whether there is a version of any object."""
        return await self._database.row(select(_row.version).limit(1)) is not None

    async def all_versions(self, kinds: Set[str]) -> Sequence[ObjectVersion]:
        """Return all versions of the objects of some kinds."""
        return await self._select(select(_table).where(_row.kind.in_(sorted(kinds))))

    async def history(self, kind: str, name: str) -> Sequence[ObjectVersion]:
        """Return all versions of an object, newest first."""
        own = (_row.kind == kind) & (_row.name == name)
        return await self._select(select(_table).where(own).order_by(_row.version.desc()))

    @repeated
    async def add(
        self,
        versions: Sequence[ObjectVersion],
        audit: AuditLine | None = None,
        payments: "Sequence[Payment]" = (),
        waiting: "Sequence[WaitingPayment]" = (),
        *,
        checked: int | None = None,
    ) -> None:
        """Add versions in one transaction, with their line of the audit, payments and payments that wait.

        ``checked`` is the version of all definitions that they were checked with; None = whatever there is.

        Raises:
            ObjectsMoved: the number of one is taken; nothing was changed.
            DefinitionsMoved: anything has changed since the check; nothing was changed.
            ContentRefused: a name is too long; nothing was changed.
            ReferenceTaken, OtherCurrency, NotWaiting: a payment cannot be booked, or was refused; nothing was changed.
        """
        try:
            async with self._database.writing(unhurried=True) as connection:
                if versions:
                    await _insert(connection, versions, checked)
                await note(connection, audit)
                if payments or waiting:  # last: their lock keeps other bookings away
                    from vosd.storage.payments import book_openings  # most verbs that read objects book nothing

                    await book_openings(self._database, connection, payments, waiting)
        except AlreadyThere as error:
            raise ObjectsMoved(_MOVED) from error

    async def _select(self, query: Select[Any]) -> Sequence[ObjectVersion]:
        return [*map(_object_of, await self._database.rows(query, unhurried=True))]


async def _insert(connection: AsyncConnection, versions: Iterable[ObjectVersion], checked: int | None) -> None:
    await advance(connection)  # first: it keeps other writers away
    changed = await version_in(connection)
    if checked is not None and changed != checked + 1:
        raise DefinitionsMoved(_MOVED)
    rows = [_row_of(each, changed) for each in versions]
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        await connection.execute(insert(_table), rows[begin : begin + _ROWS_AT_ONCE])


def _follows(kind: str, name: str) -> ColumnElement[bool]:
    """Select what comes after an object by kind and name."""
    return (_row.kind > kind) | ((_row.kind == kind) & (_row.name > name))


def _up_to(kind: str, name: str) -> ColumnElement[bool]:
    """Select an object and what comes before it by kind and name; of a negated condition MySQL makes no range."""
    return (_row.kind < kind) | ((_row.kind == kind) & (_row.name <= name))


def _changed(since: tuple[int, int], at: int) -> Select[Any]:
    """Select the objects that have a version written after a version of all, or begun after a moment."""
    known, until = since
    begun = (_row.begins_at > until) & (_row.begins_at <= at)
    return select(_row.kind, _row.name).where(or_(_row.changed > known, begun))


def _ahead_of(at: int) -> Select[Any]:
    """Select the versions that begin after a moment and were ordered to hold at once, the first versions first."""
    is_ahead = (_row.begins_at > at) & (_row.begins_at <= _row.made_at)
    return select(_table).where(is_ahead).order_by(_row.kind, _row.name, _row.version)


def _later_ones(found: Iterable[ObjectVersion], ahead: Iterable[ObjectVersion]) -> list[ObjectVersion]:
    """Return objects with the versions of ``ahead`` that are later by number, whatever time they have."""
    later = {(each.kind, each.name): each for each in found}
    for each in ahead:
        known = later.get((each.kind, each.name))
        if known is None or known.version < each.version:
            later[each.kind, each.name] = each
    return sorted(later.values(), key=lambda each: (each.kind, each.name))


def _in_force(versions: Iterable[ObjectVersion]) -> list[ObjectVersion]:
    """Return of each object the version that began last, those that end the object included.

    The versions of an object come one after the other.
    """
    found: list[ObjectVersion] = []
    last: ObjectVersion | None = None
    for each in versions:
        if last is None or last.name != each.name or last.kind != each.kind:
            found.append(each)
        elif last.place < each.place:
            found[-1] = each
        else:
            continue
        last = each
    return found


def _row_of(each: ObjectVersion, changed: int) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "name": identifying(each.name, NAME_LENGTH),
        "version": each.version,
        "body": each.body,
        "begins_at": each.begins_at,
        "made_at": each.made_at,
        "operator": descriptive(each.operator, NAME_LENGTH),
        "memo": None if each.memo is None else descriptive(each.memo, schema.MEMO_LENGTH),
        "changed": changed,
    }


def _object_of_head(row: Sequence[Any]) -> ObjectVersion:
    head, body = row
    kind, name, version, begins_us, made_us, operator, *memo = head.split(_BETWEEN)
    return ObjectVersion(
        kind=kind,
        name=name,
        version=int(version),
        body=body,
        begins_at=int(begins_us) // 1_000,
        made_at=int(made_us) // 1_000,
        operator=operator,
        memo=memo[0].removeprefix(_HAS_MEMO) if memo else None,
    )


def _object_of_plain(row: Sequence[Any]) -> ObjectVersion:
    kind, name, version, body, begins, made, operator, memo = row
    return ObjectVersion.of_row((kind, name, version, body, _moment(begins), _moment(made), operator, memo))


def _object_of(row: Sequence[Any]) -> ObjectVersion:
    """Return the object of a whole row, which ends with ``changed``."""
    return ObjectVersion.of_row(row[:-1])
