"""Statements that a database gets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import event

from vosd.storage.database import Database


class Statement(NamedTuple):
    """One statement as the driver gets it."""

    text: str
    parameters: Any


@contextmanager
def statements_of(database: Database, part: str = "") -> Iterator[list[Statement]]:
    """Note the statements that a database gets, or those alone that have a part of their text."""
    asked: list[Statement] = []

    def note(_connection: object, _cursor: object, text: str, parameters: Any, *_more: object) -> None:
        if part in text:
            asked.append(Statement(text, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
