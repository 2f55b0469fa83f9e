"""Transactions that the database undoes as a whole: a deadlock, or in a cluster a commit behind another node's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from vosd.storage.database import Database


@contextmanager
def colliding(database: Database, words: str, collides: Callable[[int], bool]) -> Iterator[list[str]]:
    """Undo transactions at statements that have these words; yield all such statements.

    ``collides`` says whether it happens, by the number of such statements before.
    """
    begun = list[str]()

    def collide(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if words in statement:
            begun.append(statement)
            if collides(len(begun) - 1):
                raise database.engine.dialect.loaded_dbapi.OperationalError(1213, "Deadlock found")

    listening = database.engine.sync_engine, "before_cursor_execute", collide
    event.listen(*listening)
    try:
        yield begun
    finally:
        event.remove(*listening)
