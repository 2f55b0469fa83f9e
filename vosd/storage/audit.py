"""The audit in MySQL and SQLite. Lines are added in the transaction of their change; nothing changes or removes one."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, func, insert, select

from vosd.cdr.kinds import NAME_LENGTH
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import SqlStore, repeated
from vosd.storage.job_commit import keep_commit
from vosd.storage.requests import keep_request
from vosd.storage.types import descriptive

_table: Final = schema.audit
_OUT_OF_ORDER_MS: Final = 3_600_000
"""Lines are numbered in the order of their times, except within such a span, such as after a change of the clock."""
_NUMBER_MAX: Final = 2**63 - 1
_LENGTHS: Final = {
    "principal": NAME_LENGTH,
    "role": schema.KIND_LENGTH,
    "login": NAME_LENGTH,
    "means": schema.KIND_LENGTH,
    "source": NAME_LENGTH,
    "action": NAME_LENGTH,
    "subject": NAME_LENGTH,
}


async def note(connection: AsyncConnection, line: AuditLine | None) -> None:
    """Add a line to the open transaction; None = the change has none, because no person has ordered it."""
    await note_all(connection, [] if line is None else [line])


async def note_all(connection: AsyncConnection, lines: Sequence[AuditLine]) -> None:
    """Add lines to the open transaction by one statement."""
    rows = []
    for line in lines:
        values = line._asdict()
        del values["request"], values["job"], values["number"]
        if line.request is not None:
            await keep_request(connection, line.request, line.at)
        if line.job is not None:
            await keep_commit(connection, line.job, line.at)
        rows.append(values | {name: descriptive(values[name], length) for name, length in _LENGTHS.items()})
    if rows:
        await connection.execute(insert(_table), rows)


class SqlAudit(SqlStore):
    """Reads the audit, and adds lines about changes that were made outside of the database."""

    @repeated
    async def add(self, line: AuditLine) -> None:
        """Write a line in a transaction of its own.

        Raises:
            StoreUnavailable: nothing is known to be written.
        """
        async with self._database.writing() as connection:
            await note(connection, line)

    async def newest(
        self,
        limit: int,
        *,
        principal: str | None = None,
        login: str | None = None,
        subject: str | None = None,
        action: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: int | None = None,
        oldest_first: bool = False,
        number: int | None = None,
    ) -> Sequence[AuditLine]:
        """Return the newest lines, the newest first, or the oldest ones; all given criteria hold.

        ``after`` is the number of a line: those that are listed after it follow; ``number`` is that of one line.
        """
        columns = [_table.c[name] for name in AuditLine._fields if name not in {"request", "job", "number"}]
        order = _table.c.id.asc() if oldest_first else _table.c.id.desc()
        query = select(*columns, _table.c.id).order_by(order).limit(limit)
        wanted = {"principal": principal, "login": login, "subject": subject, "action": action}
        for name, value in wanted.items():
            if value is not None:
                query = query.where(_table.c[name] == value)
        if since is not None:
            query = query.where(_table.c.at >= since, _table.c.id > _earlier(since - _OUT_OF_ORDER_MS))
        if until is not None:
            query = query.where(_table.c.at < until, _table.c.id < _later(until + _OUT_OF_ORDER_MS))
        if after is not None:
            query = query.where(_table.c.id > after if oldest_first else _table.c.id < after)
        if number is not None:
            query = query.where(_table.c.id == number)
        rows = await self._database.rows(query)
        return [AuditLine(*row[:-1])._replace(number=row[-1]) for row in rows]


def _earlier(moment: int) -> ColumnElement[int]:
    """Return the number of the last line before a moment: by an index of the time the list would have to be sorted."""
    at, number = _table.c.at, _table.c.id
    return func.coalesce(
        select(number).where(at < moment).order_by(at.desc(), number.desc()).limit(1).scalar_subquery(), 0
    )


def _later(moment: int) -> ColumnElement[int]:
    """Return the number of the first line from a moment on."""
    at, number = _table.c.at, _table.c.id
    return func.coalesce(
        select(number).where(at >= moment).order_by(at, number).limit(1).scalar_subquery(), _NUMBER_MAX
    )
