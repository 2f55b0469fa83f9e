"""Whether an SQLite file defines objects of the configuration: asked without SQLAlchemy, an event loop and a thread.

A command asks that before anything else, and mostly there are none: the question takes less than a millisecond in place
of four. Refuses everything else about a database, which is ``Database``'s.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

_BUSY_S: Final = 5.0
"""Longest wait for another connection, as of every other."""


def has_objects_in(file: Path) -> bool:
    """Return whether there is a version of any object in a file, or it cannot be read."""
    try:
        # Not read only: SQLite has to bring in what a killed switch has left in the file beside it. It makes no file.
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", timeout=_BUSY_S, uri=True)) as connection:
            return connection.execute("SELECT version FROM definition LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return True
