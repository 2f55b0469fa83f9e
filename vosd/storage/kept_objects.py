"""Objects of the configuration as the switch read them last: a SQLite file, so that one is found without the others.

The database may be away when a switch starts, and a command about one account needs one of a hundred thousand.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from vosd.base.errors import VosError
from vosd.base.parts import in_parts
from vosd.base.search_text import Searched
from vosd.catalogue.stored_objects import ObjectVersion, SearchedObjects
from vosd.processes.whole_file import DRAFT

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS state (version INTEGER NOT NULL, at INTEGER NOT NULL, next_at INTEGER);
CREATE TABLE IF NOT EXISTS object (
    kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL, begins_at INTEGER NOT NULL,
    made_at INTEGER NOT NULL, operator TEXT NOT NULL, memo TEXT, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
"""
_COLUMNS: Final = "kind, name, version, body, begins_at, made_at, operator, memo"
_ENDED: Final = "DELETE FROM object WHERE kind = ? AND name = ?"
_SET: Final = f"INSERT OR REPLACE INTO object ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants
_ALONE: Final = 20
"""Objects of a kind that are read one by one: each opens the file, and all of 50,000 cost as much as some hundred."""
_PAGE: Final = 1_000
"""Objects of a kind that are read at once while one after the other is asked for."""
_WRITTEN_AT_ONCE: Final = 100
_Row = tuple[Any, ...]


class MissingObjectsError(VosError):
    """The objects that the database defined when it was read last are not on the disk any more."""


class KeptState(NamedTuple):
    """The moment of which the objects are."""

    version: int
    """Version of all definitions in the database."""
    at: int
    next_at: int | None


class KeptObjects:
    """The file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def size(self) -> int:
        """Bytes of the file; 0 where there is none."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def state(self) -> KeptState | None:
        """Return the moment of which the objects are; None where there is no file, or it cannot be read."""
        try:
            found = self._rows("SELECT version, at, next_at FROM state")
        except MissingObjectsError:
            return None
        return KeptState(*found[0]) if found else None

    def by_kind(self) -> dict[str, "KeptKind"]:
        """Return the objects of each kind that has any; raises MissingObjectsError where the file cannot be read."""
        return {kind: KeptKind(self, kind) for (kind,) in self._rows("SELECT DISTINCT kind FROM object")}

    def of_kind(self, kind: str) -> dict[str, ObjectVersion]:
        """Return all objects of a kind by name."""
        query = f"SELECT {_COLUMNS} FROM object WHERE kind = ?"  # noqa: S608 - constants
        return {row[1]: ObjectVersion.of_row(row) for row in self._rows(query, kind)}

    def following(self, kind: str, name: str) -> list[ObjectVersion]:
        """Return the next objects of a kind after a name, the first ones after the empty one."""
        query = f"SELECT {_COLUMNS} FROM object WHERE kind = ? AND name > ? ORDER BY name LIMIT {_PAGE}"  # noqa: S608 - constants
        return [*map(ObjectVersion.of_row, self._rows(query, kind, name))]

    def texts(self, kind: str, *keys: str) -> list[tuple[str, list[str] | None]]:
        """Return ``SearchedObjects.texts`` of a kind."""
        wanted = ", json_extract(body, ?)" * len(keys)
        found = " OR ".join(["instr(body, ?)"] * len(keys))
        query = f"SELECT name, instr(body, '$'){wanted} FROM object WHERE kind = ? AND ({found})"  # noqa: S608 - constants
        rows = self._rows(query, *(f'$."{key}"' for key in keys), kind, *keys)
        return [
            (name, None if has_variable else ["" if text is None else str(text) for text in texts])
            for name, has_variable, *texts in rows
        ]

    def searched(self, kind: str, shown: Sequence[str], inner: Sequence[str]) -> list[Searched]:
        """Return ``SearchedObjects.searched`` of a kind."""
        text = "coalesce(json_extract(body, ?), '') || ' '"
        texts = (" || ".join([text] * len(keys)) or "''" for keys in (shown, inner))
        query = f"SELECT name, {next(texts)}, {next(texts)} || coalesce(memo, '') FROM object WHERE kind = ?"  # noqa: S608 - constants
        return [*map(Searched._make, self._rows(query, *map(_path_of, (*shown, *inner)), kind))]

    def one(self, kind: str, name: str) -> ObjectVersion | None:
        """Return one object; None where there is none."""
        query = f"SELECT {_COLUMNS} FROM object WHERE kind = ? AND name = ?"  # noqa: S608 - constants
        return next(map(ObjectVersion.of_row, self._rows(query, kind, name)), None)

    def write(self, state: KeptState, changes: Iterable[ObjectVersion], *, everything: bool) -> None:
        """Keep changes, or everything anew, in one transaction; raises OSError where it cannot be written."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if everything:
            draft = KeptObjects(self._path.with_suffix(DRAFT))
            draft.remove()
            draft.write(state, changes, everything=False)
            self._end_journal()
            draft._path.replace(self._path)
            return
        os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
        try:
            with closing(sqlite3.connect(self._path)) as connection, connection:
                connection.executescript(_TABLES)
                connection.execute("DELETE FROM state")
                connection.execute("INSERT INTO state (version, at, next_at) VALUES (?, ?, ?)", state)
                ended: list[tuple[str, str]] = []
                connection.executemany(_SET, _rows_of(changes, ended))
                connection.executemany(_ENDED, ended)
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {error}") from error

    def remove(self) -> None:
        """Remove the file, and then the journal of a write that a kill has ended."""
        self._path.unlink(missing_ok=True)
        self._journal.unlink(missing_ok=True)

    @property
    def _journal(self) -> Path:
        return self._path.with_name(f"{self._path.name}-journal")

    def _end_journal(self) -> None:
        """Undo a write that a kill has ended: its journal would be applied to the file that comes in its place."""
        if self._journal.exists() and self.state() is None:
            self.remove()

    def _rows(self, query: str, *values: str) -> list[_Row]:
        # Not read only: SQLite has to undo a write that a kill has ended before it can read.
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
                found: list[_Row] = connection.execute(query, values).fetchall()
                return found
        except sqlite3.Error as error:
            message = f"{self._path}: objects that the database defines are not there any more: {error}"
            raise MissingObjectsError(message) from error


class KeptKind(SearchedObjects):
    """The objects of one kind by name; the first that are asked for are read one by one, then all together."""

    def __init__(self, kept: KeptObjects, kind: str) -> None:
        self._kept = kept
        self._kind = kind
        self._read: dict[str, ObjectVersion] = {}
        self._has_all = False
        self._read_alone = 0

    def __getitem__(self, name: str) -> ObjectVersion:
        """Return an object; raises KeyError where there is none of that name."""
        found = self._read.get(name)
        if found is None and not self._has_all:
            if self._read_alone < _ALONE:
                self._read_alone += 1
                found = self._kept.one(self._kind, name)
            else:
                found = self._loaded().get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        """Yield the names in their order; who stops after a few has not read the others."""
        if self._has_all:
            yield from self._read
            return
        everything: dict[str, ObjectVersion] = {}
        page = self._kept.following(self._kind, "")
        while page:
            part = {each.name: each for each in page}
            everything |= part
            if not self._has_all:  # else another one goes through them, with turns of others in between
                self._read |= part
            yield from part
            page = self._kept.following(self._kind, page[-1].name)
        if not self._has_all:
            self._read, self._has_all = everything, True

    def __len__(self) -> int:
        return len(self._loaded())

    def texts(self, *keys: str) -> list[tuple[str, list[str] | None]]:
        """Return the names of the objects that may have one of some keys, and the texts of these keys."""
        return self._kept.texts(self._kind, *keys)

    def searched(self, shown: Sequence[str], inner: Sequence[str]) -> list[Searched]:
        """Return the texts of some keys of each object, the memo of its version among the inner ones."""
        return self._kept.searched(self._kind, shown, inner)

    def _loaded(self) -> dict[str, ObjectVersion]:
        if not self._has_all:
            self._read, self._has_all = self._kept.of_kind(self._kind), True
        return self._read


def _path_of(key: str) -> str:
    """Return the path in the body of a key, or of one within another (``auth.username``)."""
    return ".".join(("$", *(f'"{each}"' for each in key.split("."))))


def _rows_of(changes: Iterable[ObjectVersion], ended: list[tuple[str, str]]) -> Iterator[_Row]:
    """Yield the rows of objects; kind and name of those that have ended are added to ``ended``."""
    for each in chain.from_iterable(in_parts(changes, _WRITTEN_AT_ONCE)):
        if each.body is None:
            ended.append((each.kind, each.name))
        else:
            yield (
                each.kind, each.name, each.version, each.body, each.begins_at, each.made_at, each.operator, each.memo,
            )  # fmt: skip
