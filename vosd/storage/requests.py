"""Requests of the management API that may be repeated: a row for each key, made in the transaction of its change."""

from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, delete, insert, select, update

from vosd.cdr.kinds import NAME_LENGTH
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit_line import RequestKey
from vosd.storage.database import SqlStore, repeated
from vosd.storage.types import descriptive

_table: Final = schema.api_request


class KeptRequest(NamedTuple):
    """A request that has changed something."""

    fingerprint: str
    status: int | None
    """None = the answer was not kept: the process ended before."""
    answer: str | None
    headers: str | None
    """JSON: names and values; None = an earlier version kept none."""


async def keep_request(connection: AsyncConnection, request: RequestKey, at: int) -> None:
    """Add a request to the open transaction, which fails with AlreadyThere where its key was used meanwhile."""
    values = {"request_key": request.key, "fingerprint": request.fingerprint, "made_at": at}
    await connection.execute(insert(_table).values(principal=_name(request.principal), **values))


class SqlRequests(SqlStore):
    """Reads and ends what ``keep_request`` has kept."""

    async def find(self, request: RequestKey) -> KeptRequest | None:
        """Return the request that has the key; None = there is none."""
        columns = _table.c.fingerprint, _table.c.status, _table.c.answer, _table.c.headers
        found = await self._database.row(select(*columns).where(_is(request)))
        return None if found is None else KeptRequest._make(found)

    @repeated
    async def answered(self, request: RequestKey, status: int, answer: str, headers: str) -> None:
        """Keep the answer of a request that has changed something."""
        async with self._database.writing() as connection:
            values = {"status": status, "answer": answer, "headers": headers}
            await connection.execute(update(_table).where(_is(request)).values(values))

    async def forget(self, before: int) -> None:
        """Remove requests that were made before a moment (UTC milliseconds)."""
        await self._database.write(delete(_table).where(_table.c.made_at < before))


def _is(request: RequestKey) -> ColumnElement[bool]:
    return (_table.c.principal == _name(request.principal)) & (_table.c.request_key == request.key)


def _name(principal: str) -> str:
    return descriptive(principal, NAME_LENGTH)
