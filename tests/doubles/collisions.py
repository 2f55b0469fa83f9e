"""Transactions that the database ends for another one: a deadlock, a commit behind another node's, a locked row."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import event

from vosd.storage.database import Database

UNDONE: Final = 1213, "Deadlock found when trying to get lock; try restarting transaction"
LOCKED: Final = 1205, "Lock wait timeout exceeded; try restarting transaction"


@contextmanager
def colliding(
    database: Database, words: str, collides: Callable[[int], bool], error: tuple[int, str] = UNDONE
) -> Iterator[list[str]]:
    """Undo transactions at statements that have these words; yield all such statements.

    ``collides`` says whether it happens, by the number of such statements before; ``error`` is what the server says.
    """
    begun = list[str]()

    def collide(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if words in statement:
            begun.append(statement)
            if collides(len(begun) - 1):
                raise database.engine.dialect.loaded_dbapi.OperationalError(*error)

    listening = database.engine.sync_engine, "before_cursor_execute", collide
    event.listen(*listening)
    try:
        yield begun
    finally:
        event.remove(*listening)
