"""Operational overrides in MySQL and SQLite: a row for each, and one for each change of any."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.engine import Row

from vosd.catalogue.overrides import Key, Override, Overrides, Setting, Target
from vosd.catalogue.ports import NOT_KNOWN, LaterOverride, OverrideAction, OverrideRecord, SetByOthersError
from vosd.cdr.columns import iso_utc
from vosd.cdr.kinds import NAME_LENGTH
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note as note_audit
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import SqlStore, repeated
from vosd.storage.database_clock import APART_MS, database_clock
from vosd.storage.types import descriptive, identifying
from vosd.storage.writers import no_counter

_table: Final = schema.operational_override
_change: Final = schema.override_change
_MADE_AT_ONCE: Final = 500
"""Overrides that are made of rows before calls get their turn, some 5 ms: the switch reads all after each change."""
_version: Final = select(schema.counter.c.value).where(schema.counter.c.name == schema.OVERRIDES)


def _require_set_by(overrides: Collection[Override], operators: Collection[str] | None, by: str) -> None:
    """Raise SetByOthersError where one was set by none of these operators; None = by any."""
    for each in overrides:
        if operators is not None and each.operator not in operators:
            raise SetByOthersError(f"{each.setting.value} of {each.name} was not set by {by}, nor by one below it")


def require_seen(overrides: Collection[Override], seen_at: int | None) -> None:
    """Raise LaterOverride where one was set after a moment, UTC milliseconds; None = any may be."""
    for each in overrides:
        if seen_at is not None and each.since > seen_at:
            since = iso_utc(each.since)
            message = f"{each.setting.value} of {each.name} was set anew at {since}: look at it before you end it"
            raise LaterOverride(message)


class SqlOverrides(SqlStore):
    """The overrides and the record of their changes, as people change them. Times are UTC milliseconds.

    Every method that changes something notes first what has expired by then, and writes its line of the audit.
    """

    async def version(self) -> int:
        """Return the version of the overrides."""
        async with self._database.reading() as connection:
            return await _version_in(connection)

    async def load(self, name: str | None = None) -> Overrides:
        """Return all overrides by target, name and setting, or those of a name alone."""
        named = () if name is None else _named([name])
        async with self._database.reading() as connection:
            version = await _version_in(connection)
            return Overrides((await _rows(connection, *named)).values(), version)

    async def at(self, wall_ms: int) -> Overrides:
        """Return the overrides that were in force at a moment of the past (UTC milliseconds), by their changes."""
        query = select(_change).where(_change.c.changed_at <= wall_ms).order_by(_change.c.id)
        found: dict[Key, Override] = {}
        async with self._database.reading() as connection:
            for row in (await connection.execute(query)).all():
                override = _override_of(row)
                found.pop(override.key, None)
                if OverrideAction(row.action) is OverrideAction.SET:
                    found[override.key] = override
        return Overrides(found.values()).at(wall_ms)

    @repeated
    async def put(
        self,
        overrides: Sequence[Override],
        now: int,
        configured: Mapping[Key, str] = NOT_KNOWN,
        audit: AuditLine | None = None,
        set_by: Collection[str] | None = None,
    ) -> None:
        """Set overrides; one of the same key is replaced.

        ``configured``: values of the configuration, which are noted as those before where nothing was overridden.
        ``set_by``: only if each that is replaced was set by one of these operators.

        Raises:
            SetByOthersError: another one has set one; nothing was changed.
            ContentRefused: a name is too long; nothing was changed.
        """
        async with self._database.writing() as connection:
            await _advance(connection)
            present = await self._expired(connection, now, [each.key for each in overrides])
            for each in overrides:
                row = _row_of(each)
                _require_set_by([present[each.key]] if each.key in present else (), set_by, each.operator)
                replaced = present.get(each.key)
                if replaced is not None:
                    await connection.execute(delete(_table).where(*_is(each.key)))
                await connection.execute(insert(_table).values(row))
                present[each.key] = each
                before = configured.get(each.key) if replaced is None else replaced.value
                await note(connection, OverrideRecord(now, OverrideAction.SET, each, each.operator, before))
            await note_audit(connection, audit)

    @repeated
    async def clear(
        self,
        keys: Collection[Key],
        operator: str,
        now: int,
        audit: AuditLine | None = None,
        seen_at: int | None = None,
        set_by: Collection[str] | None = None,
    ) -> Sequence[Override]:
        """Remove overrides, and return those that there were; where there were none, nothing is written.

        ``seen_at``: only if each was set at that moment or before; ``set_by``: only if by one of these operators.

        Raises:
            LaterOverride: one was set later; nothing was removed.
            SetByOthersError: another one has set one; nothing was removed.
        """
        async with self._database.writing() as connection:
            await _advance(connection)
            present = await self._expired(connection, now, keys)
            found = [present[key] for key in dict.fromkeys(keys) if key in present]
            _require_set_by(found, set_by, operator)
            require_seen(found, seen_at)
            for each in found:
                await connection.execute(delete(_table).where(*_is(each.key)))
                await note(connection, OverrideRecord(now, OverrideAction.CLEARED, each, operator))
            if found:
                await note_audit(connection, audit)
        return found

    @repeated
    async def expire(self, now: int) -> None:
        """Remove what has expired."""
        async with self._database.writing() as connection:
            await _advance(connection)
            await self._expired(connection, now, ())

    async def changes(
        self,
        limit: int,
        name: str | None = None,
        target: Target | None = None,
        after: int | None = None,
        *,
        oldest_first: bool = False,
    ) -> Sequence[OverrideRecord]:
        """Return the latest changes, newest first, or the first ones; ``after``: those behind that number."""
        query = select(_change).order_by(_change.c.id.asc() if oldest_first else _change.c.id.desc()).limit(limit)
        if name is not None:
            query = query.where(_change.c.name == name)
        if target is not None:
            query = query.where(_change.c.target == _target_of(target))
        if after is not None:
            query = query.where(_change.c.id > after if oldest_first else _change.c.id < after)
        rows = await self._database.rows(query)
        return [
            OverrideRecord(
                row.changed_at, OverrideAction(row.action), _override_of(row), row.changed_by, row.value_before, row.id
            )
            for row in rows
        ]

    async def _expired(self, connection: AsyncConnection, now: int, keys: Collection[Key]) -> dict[Key, Override]:
        """Remove and note what has expired; return the overrides of some keys that have not.

        What has not by the clock of a database server stays: the clock of the switch may be ahead for a while. The
        others are not read: where thousands of accounts are blocked one by one, each would read those before it.
        """
        if not self._database.is_sqlite:
            there = (await connection.execute(select(database_clock(is_sqlite=self._database.is_sqlite)))).scalar_one()
            now = min(now, there + APART_MS)
        for key, each in (await _rows(connection, _table.c.expires_at <= now)).items():
            await connection.execute(delete(_table).where(*_is(key)))
            at = now if each.until is None else each.until
            await note(connection, OverrideRecord(at, OverrideAction.EXPIRED, each, None))
        return await _rows(connection, *_named(sorted({key.name for key in keys}))) if keys else {}


async def _version_in(connection: AsyncConnection) -> int:
    version = (await connection.execute(_version)).scalar()
    if version is None:
        raise no_counter(schema.OVERRIDES)
    return int(version)


async def _advance(connection: AsyncConnection) -> None:
    """Advance the version; the lock on its row keeps other changes away until the transaction ends."""
    own = update(schema.counter).where(schema.counter.c.name == schema.OVERRIDES)
    changed = await connection.execute(own.values(value=schema.counter.c.value + 1))
    if changed.rowcount != 1:
        raise no_counter(schema.OVERRIDES)


async def _rows(connection: AsyncConnection, *wanted: ColumnElement[bool]) -> dict[Key, Override]:
    columns = _table.c
    query = select(_table).where(*wanted).order_by(columns.target, columns.name, columns.setting)
    found: dict[Key, Override] = {}
    for part in (await connection.execute(query)).partitions(_MADE_AT_ONCE):
        if found:
            await asyncio.sleep(0)
        found |= {each.key: each for each in map(_override_of, part)}
    return found


async def note(connection: AsyncConnection, change: OverrideRecord) -> None:
    """Add a line to the record of changes."""
    by = None if change.operator is None else descriptive(change.operator, NAME_LENGTH)
    await connection.execute(
        insert(_change).values(
            _row_of(change.override)
            | {"changed_at": change.at, "action": change.action.value, "changed_by": by, "value_before": change.before}
        )
    )


def _is(key: Key) -> tuple[Any, ...]:
    columns = _table.c
    return columns.target == _target_of(key.target), columns.name == key.name, columns.setting == key.setting.value


def _named(names: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    # the key begins with the target: with all of them, the database finds a name without reading the others
    return _table.c.target.in_(_STORED_TARGETS), _table.c.name.in_(names)


def _target_of(target: Target) -> str:
    """Return the stored target.

    A class of destinations is stored as an account of that name with a value, because earlier versions refuse to start
    with a target that they do not know; a block of an account that is not configured means nothing to them.
    """
    return Target.ACCOUNT.value if target is Target.DESTINATION else target.value


_STORED_TARGETS: Final = sorted({_target_of(each) for each in Target})


def _row_of(each: Override) -> dict[str, Any]:
    value = Target.DESTINATION.value if each.target is Target.DESTINATION else each.value
    return {
        "target": _target_of(each.target),
        "name": identifying(each.name, NAME_LENGTH),
        "setting": each.setting.value,
        "value": identifying(value, schema.VALUE_LENGTH),
        "operator": descriptive(each.operator, NAME_LENGTH),
        "set_at": each.since,
        "expires_at": each.until,
        "memo": None if each.memo is None else descriptive(each.memo, schema.MEMO_LENGTH),
    }


def _override_of(row: Row[Any]) -> Override:
    is_class = row.setting == Setting.BLOCKED.value and row.value == Target.DESTINATION.value
    return Override(
        target=Target.DESTINATION if is_class else Target(row.target),
        name=row.name,
        setting=Setting(row.setting),
        value="" if is_class else row.value,
        operator=row.operator,
        since=row.set_at,
        until=row.expires_at,
        memo=row.memo,
    )
