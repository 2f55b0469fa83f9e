"""Lease in MySQL and SQLite: a row for each node, changed only while one row of ``counter`` is locked."""

from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import ColumnElement, insert, literal_column, select, true, update
from sqlalchemy.engine import Row

from vosd.cdr.lease import Claimant, DatabaseState, is_free, refusal
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database
from vosd.storage.database_clock import database_clock
from vosd.storage.types import descriptive
from vosd.storage.writers import no_counter

_lease: Final = schema.lease
_leases: Final = schema.counter.c
_of_takings: Final = _leases.name == schema.LEASES
# Versions before migration 0105 lock the row of the identity, and may run beside this one: both are locked.
_both: Final = schema.counter.outerjoin(schema.identity, true())
_locked: Final = select(schema.identity.c.id).select_from(_both).where(_of_takings).limit(1).with_for_update()
_MISSING: Final = {
    "sqlite": "INSERT OR IGNORE INTO counter (name, value) VALUES ('lease', 0)",
    "mysql": "INSERT INTO counter (name, value) VALUES ('lease', 0) ON DUPLICATE KEY UPDATE value = value",
}
# A lock holds on one server. Nodes of a Galera cluster compare what was changed: of two that take the lease at once,
# one fails by this row. So does one that goes on with its own lease after that has run out.
_taken: Final = update(schema.counter).where(_of_takings).values({_leases.value: _leases.value + 1})


class SqlLease:
    """Implements ``vosd.cdr.lease.Lease``.

    ``has_ended`` returns whether a process is known to have ended; it is called for holders whose lease is not renewed.
    """

    def __init__(self, database: Database, has_ended: Callable[[Claimant], bool]) -> None:
        self._database = database
        self._has_ended = has_ended
        server: ColumnElement[Any] = literal_column("0" if database.is_sqlite else "@@server_id")
        commits = select(schema.counter.c.value).where(schema.counter.c.name == schema.COMMITS).scalar_subquery()
        clock = database_clock(is_sqlite=database.is_sqlite)
        self._about = select(clock.label("now"), server.label("server"), commits.label("commits"))

    async def hold(self, claimant: Claimant) -> DatabaseState:
        """Take or renew the lease.

        Raises:
            LeaseHeld: another switch has it.
            StoreUnavailable: the holder is not known; try again.
        """
        async with self._database.writing() as connection:
            identity = await _locked_identity(connection)
            about = (await connection.execute(self._about)).one()
            if about.commits is None:
                raise no_counter()
            mine: Row[Any] | None = None
            for row in (await connection.execute(select(_lease))).all():
                if row.node == claimant.node:
                    mine = row
                if row.holder != claimant.holder:
                    self._refuse_while_held(row, claimant, about.now)
            if mine is None or mine.holder != claimant.holder or _is_free(mine, about.now):
                await connection.execute(_taken)
            epoch, renewals = await _write(connection, claimant, mine, about.now)
        server = self._database.file_number() if self._database.is_sqlite else int(about.server)
        return DatabaseState(identity, server, int(about.commits), epoch, renewals)

    async def release(self, claimant: Claimant) -> None:
        """Release the lease for other switches.

        Raises:
            StoreUnavailable: the lease is probably not released.
        """
        async with self._database.writing() as connection:
            own = update(_lease).where(_lease.c.node == claimant.node, _lease.c.holder == claimant.holder)
            await connection.execute(own.values(released=1))

    def _refuse_while_held(self, row: Row[Any], claimant: Claimant, now: int) -> None:
        holder = Claimant(row.node, row.holder, row.host, row.pid, row.process)
        if not _is_free(row, now) and not self._has_ended(holder):
            raise refusal(claimant, holder, now - row.renewed_at)


async def last_holder(database: Database, node: str) -> Claimant | None:
    """Return the process that had the lease of a node last, or has it; None = no switch of that name was here.

    Raises:
        StoreUnavailable: not known; try again.
    """
    columns = (_lease.c.node, _lease.c.holder, _lease.c.host, _lease.c.pid, _lease.c.process)
    rows = await database.rows(select(*columns).where(_lease.c.node == node))
    return Claimant(*rows[0]) if rows else None


async def is_held(connection: AsyncConnection) -> bool:
    """Return whether a switch runs on the database: for so long after one was killed, too, as a lease holds."""
    clock = database_clock(is_sqlite=connection.dialect.name == "sqlite")
    rows = (await connection.execute(select(_lease.c.renewed_at, _lease.c.released, clock.label("now")))).all()
    return any(not _is_free(row, row.now) for row in rows)


def _is_free(row: Row[Any], now: int) -> bool:
    return is_free(now - row.renewed_at, released=bool(row.released))


async def _locked_identity(connection: AsyncConnection) -> str:
    """Lock the row of takings and return the database's identity: no other lease is changed until the end.

    That row is made where it is missing, as no command does: only that it changes says anything. Another switch may
    make it at the same moment: UPDATE locks the row as the reading of it does, and needs no right to delete.
    """
    row = (await connection.execute(_locked)).one_or_none()
    if row is None:
        await connection.exec_driver_sql(_MISSING[connection.dialect.name])
        row = (await connection.execute(_locked)).one()
    if row.id is not None:
        return str(row.id)
    identity = str(uuid4())
    await connection.execute(insert(schema.identity).values(id=identity))
    return identity


async def _write(connection: AsyncConnection, claimant: Claimant, mine: Row[Any] | None, now: int) -> tuple[int, int]:
    """Write the node's row and return its epoch and count of renewals."""
    if mine is not None and mine.holder == claimant.holder:
        values: dict[str, Any] = {"renewals": mine.renewals + 1, "renewed_at": now, "released": 0}
        await connection.execute(update(_lease).where(_lease.c.node == claimant.node).values(values))
        return mine.epoch, mine.renewals + 1
    epoch, renewals = (1, 1) if mine is None else (mine.epoch + 1, mine.renewals + 1)
    values = {
        **claimant._asdict(),
        "host": descriptive(claimant.host, schema.HOST_LENGTH),
        "process": descriptive(claimant.process, schema.PROCESS_LENGTH),
        "epoch": epoch,
        "renewals": renewals,
        "taken_at": now,
        "renewed_at": now,
        "released": 0,
    }
    if mine is None:
        await connection.execute(insert(_lease).values(values))
    else:
        await connection.execute(update(_lease).where(_lease.c.node == claimant.node).values(values))
    return epoch, renewals
