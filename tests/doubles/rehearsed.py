"""What every start of a switch does in the same way, done when this is imported: by the process that forks them all.

Modules are imported, and the schemas of the configuration are made, which happens when it is first read: also those of
objects that the example has none of. Questions of a start to its database, and the statements that book a call, are
asked of an empty one: SQLAlchemy makes its text of a statement when it is first asked. What all of that has left is put
into large pages, which a fork copies faster.
"""

import asyncio
import gc
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import aiomysql
import aiosqlite

import vosd.cli.daemon
import vosd.storage.bookkeeper
import vosd.storage.sqlite_driver
from doubles import api, forked_api, forked_child, forked_switch, moved_clock, unit_filter
from doubles.data.records import answered_call
from doubles.large_pages import take_large_pages
from doubles.migrated import migrated
from vosd.cdr.lease import Claimant
from vosd.config.load import load
from vosd.config.reader.fields import Keys
from vosd.config.stored import Wanted
from vosd.daemon.bootstrap import DEFINITIONS
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.database_clock import latest_call
from vosd.storage.last_known import LastKnown
from vosd.storage.lease import SqlLease, last_holder
from vosd.storage.overrides import SqlOverrides
from vosd.storage.registrations import SqlRegistrations

IMPORTED: Final = (
    aiomysql,
    aiosqlite,
    api,
    forked_api,
    forked_child,
    forked_switch,
    moved_clock,
    unit_filter,
    vosd.cli.daemon,
    vosd.storage.bookkeeper,
    vosd.storage.sqlite_driver,
)
_EXAMPLE: Final = Path(__file__).parents[2] / "config" / "vosd.yaml"
_SWITCH: Final = Claimant("sw1", "rehearsal", "host", 1, "1")


def _make_schemas(keys: type[Keys]) -> None:
    keys.model_rebuild()
    for each in keys.__subclasses__():
        _make_schemas(each)


def _ask_a_database(directory: Path) -> None:
    url = migrated(directory / "vosd.db")
    DEFINITIONS.read(Wanted(directory, url, frozenset()))
    asyncio.run(_work_as_a_switch(url, directory / "last.db"))
    for each in threading.enumerate():  # a process that forks has no other thread: those of connections end now
        if each is not threading.main_thread():
            each.join()


async def _work_as_a_switch(url: str, copy: Path) -> None:
    async with Database(url) as database:
        await database.check_schema()
        await last_holder(database, _SWITCH.node)
        lease = SqlLease(database, lambda _: False)
        for _ in ("taken", "renewed"):
            await lease.hold(_SWITCH)
        books = SqlBooks(database)
        record = answered_call(1)
        await books.open_accounts([charge.account for charge in record.charges])
        await books.standings()
        await SqlOverrides(database).load()
        await SqlRegistrations(database, _SWITCH.node).load()
        await latest_call(database)
        await books.book([record])
        await lease.release(_SWITCH)
    last = LastKnown(copy, _SWITCH.node)
    await last.open()
    await last.standings()
    await last.note_time(1)
    await last.close()


load(_EXAMPLE, environ={})
_make_schemas(Keys)
with TemporaryDirectory(prefix="vosd-rehearsed-") as _name:
    _ask_a_database(Path(_name))
gc.collect()
take_large_pages()
