"""Whether an SQLite file defines objects: what SQLAlchemy would say, and yes where the file cannot be read."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from doubles.migrated import migrated

from vosd.catalogue.stored_objects import ObjectVersion
from vosd.storage.database import Database
from vosd.storage.objects_in_file import has_objects_in
from vosd.storage.stored_objects import SqlObjects


@pytest.mark.parametrize("body", ['{"rate_group": "sell"}', None])
async def test_a_version_of_an_object_is_found_also_one_that_ends_it(tmp_path: Path, body: str | None) -> None:
    file = tmp_path / "a #site" / "vosd.db"
    url = migrated(file)
    assert not has_objects_in(file)
    async with Database(url) as database:
        await SqlObjects(database).add(
            [ObjectVersion(kind="accounts", name="shop", version=1, body=body, begins_at=0, made_at=0, operator="ann")]
        )
        assert has_objects_in(file) is await SqlObjects(database).has_any() is True


def test_what_cannot_be_read_may_have_objects_and_no_file_is_made(tmp_path: Path) -> None:
    missing, empty, other = tmp_path / "missing.db", tmp_path / "empty.db", tmp_path / "other.db"
    empty.touch()
    other.write_text("no database " * 100)
    assert [has_objects_in(file) for file in (missing, empty, other)] == [True] * 3
    assert {*tmp_path.iterdir()} == {empty, other}


def test_what_a_killed_switch_has_left_beside_the_file_is_read(tmp_path: Path) -> None:
    file, killed = tmp_path / "vosd.db", tmp_path / "killed.db"
    migrated(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as switch:
        switch.execute("PRAGMA journal_mode = WAL")
        switch.execute("INSERT INTO definition VALUES ('accounts', 'shop', 1, NULL, 0, 0, 'ann', NULL, 1)")
        for suffix in ("", "-wal"):
            killed.with_name(killed.name + suffix).write_bytes(file.with_name(file.name + suffix).read_bytes())
    assert has_objects_in(killed)
