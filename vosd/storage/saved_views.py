"""Views of pages of the console that people keep by name, in MySQL and SQLite.

It does not know who may see or change one.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import delete, insert, or_, select, update

from vosd.base.errors import VosError
from vosd.cdr.kinds import NAME_LENGTH
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import SqlStore, repeated
from vosd.storage.driver_errors import AlreadyThere
from vosd.storage.types import descriptive, identifying

_table: Final = schema.saved_view
_row: Final = _table.c
_adding: Final = select(schema.counter.c.value).where(schema.counter.c.name == schema.SAVED_VIEWS).with_for_update()


class ViewExistsError(VosError):
    """The owner has a view of the page by this name already."""


class TooManyViewsError(VosError):
    """The owner has as many views as one may have."""


class StoredView(msgspec.Struct, frozen=True, kw_only=True):
    """A view of a page."""

    id: int = 0
    """Number of the view; 0 = it is not stored yet."""
    owner: str
    """Person, or token and its id."""
    page: str
    name: str
    query: str
    """Query of the address of the page."""
    shared: bool
    """Whether all operators see it."""
    version: int = 1
    changed_at: int
    """UTC milliseconds."""
    changed_by: str


class SqlSavedViews(SqlStore):
    """Reads and writes them."""

    async def of(self, owner: str, *, with_shared: bool) -> Sequence[StoredView]:
        """Return the views of an owner by page and name; ``with_shared``: those that others share, too."""
        own = _row.owner == owner
        query = select(_table).where(or_(own, _row.shared == 1) if with_shared else own)
        rows = await self._database.rows(query.order_by(_row.page, _row.name, _row.id))
        return [_view_of(row) for row in rows]

    async def find(self, number: int) -> StoredView | None:
        """Return a view; None = there is none."""
        row = await self._database.row(select(_table).where(_row.id == number))
        return None if row is None else _view_of(row)

    @repeated
    async def add(self, view: StoredView, most: int, audit: AuditLine) -> StoredView:
        """Write a new view and return it with its number; ``most`` = views that one owner may have.

        Raises ViewExistsError and TooManyViewsError, too.
        """
        values = _values(view)
        own = select(_row.page, _row.name).where(_row.owner == view.owner)
        try:
            async with self._database.writing() as connection:
                # One after the other: of an owner without views there is no other row that could be locked.
                await connection.execute(_adding)
                there = [tuple(row) for row in await connection.execute(own)]
                if (view.page, view.name) in there:
                    raise _exists(view)
                if len(there) >= most:
                    raise TooManyViewsError(f"{most} views are kept by name already: delete one of them first")
                await connection.execute(insert(_table).values(values))
                same = select(_row.id).where(*_same(view))
                number = (await connection.execute(same)).scalar_one()
                await note(connection, audit)
        except AlreadyThere as error:  # another process was faster
            raise _exists(view) from error
        return msgspec.structs.replace(view, id=number)

    @repeated
    async def change(self, before: StoredView, after: StoredView, audit: AuditLine) -> bool:
        """Write a changed view; return False, without a change, where it has another version by now.

        Raises ViewExistsError, too.
        """
        own = update(_table).where(_row.id == before.id, _row.version == before.version)
        try:
            async with self._database.writing() as connection:
                written = await connection.execute(own.values(_values(after)))
                if written.rowcount == 1:
                    await note(connection, audit)
        except AlreadyThere as error:
            raise _exists(after) from error
        return written.rowcount == 1

    @repeated
    async def remove(self, view: StoredView, audit: AuditLine) -> bool:
        """Delete a view; return False, without a change, where it has another version by now."""
        own = delete(_table).where(_row.id == view.id, _row.version == view.version)
        async with self._database.writing() as connection:
            written = await connection.execute(own)
            if written.rowcount == 1:
                await note(connection, audit)
        return written.rowcount == 1


async def unshare(connection: AsyncConnection, owner: str) -> None:
    """End the sharing of the views of an owner."""
    shared = update(_table).where(_row.owner == owner, _row.shared == 1)
    await connection.execute(shared.values(shared=0, version=_row.version + 1))


def _same(view: StoredView) -> tuple[Any, ...]:
    return _row.owner == view.owner, _row.page == view.page, _row.name == view.name


def _exists(view: StoredView) -> ViewExistsError:
    return ViewExistsError(f"a view {view.name} of this page is kept already: choose another name, or change that one")


def _values(view: StoredView) -> dict[str, Any]:
    values = msgspec.structs.asdict(view)
    del values["id"]
    return values | {
        "owner": identifying(view.owner, NAME_LENGTH),
        "name": identifying(view.name, NAME_LENGTH),
        "shared": int(view.shared),
        "changed_by": descriptive(view.changed_by, NAME_LENGTH),
    }


def _view_of(row: Any) -> StoredView:
    values = dict(row._mapping)
    return StoredView(**values | {"shared": bool(values["shared"])})
