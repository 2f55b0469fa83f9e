"""Entries of the ledger, as a list, and its checkpoints."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from vosd.storage.checkpoints import Checkpoint, checkpoints_of
from vosd.storage.database import Database
from vosd.storage.ledger import SqlLedger
from vosd.storage.ledger_values import EntryFilter, LedgerEntry


async def entries_of(database: Database, **criteria: Any) -> list[LedgerEntry]:
    """Return the entries that fit the criteria of ``EntryFilter``."""
    async with aclosing(SqlLedger(database).pages(EntryFilter(**criteria))) as pages:
        return [entry async for page in pages for entry in page]


async def closed_of(database: Database, account: str) -> Sequence[Checkpoint]:
    """Return the checkpoints of an account, the oldest first."""
    async with database.reading() as connection:
        return await checkpoints_of(connection, account)
