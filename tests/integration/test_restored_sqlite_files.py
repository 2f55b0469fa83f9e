"""``vosd restore`` on SQLite, where files that belong to another database lie beside the name of the database."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from doubles.data.records import answered_call
from doubles.dying import Steps, is_killed
from doubles.installation import Installation

from vosd.storage.copies import sqlite


@pytest.fixture
def site(tmp_path, migrated) -> Installation:
    found = Installation(tmp_path)
    found.config.write_text(f"{found.config.read_text()}state_dir: {tmp_path}/var\n")
    shutil.copy(migrated, found.database)
    found.book([answered_call(1, customer_account="customer-1", vendor_account="vendor-1")])
    return found


@pytest.fixture
def backup(site, tmp_path) -> str:
    return site.document("backup", str(tmp_path / "one.zip"))["file"]


def beside(database: Path, ending: str) -> Path:
    return database.with_name(database.name + ending)


def leave_wal(database: Path) -> None:
    """Leave a database as a switch does that is killed: the latest commits are in the -wal alone."""
    kept = [(beside(database, ending), beside(database, f".kept{ending}")) for ending in ("-wal", "-shm")]
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("UPDATE account SET balance = balance + 777")
    connection.execute("CREATE TABLE of_the_other (text)")
    connection.commit()
    for path, copy in kept:
        shutil.copy(path, copy)
    shutil.copy(database, beside(database, ".kept"))
    connection.close()
    for path, copy in [*kept, (database, beside(database, ".kept"))]:
        copy.replace(path)


def test_the_wal_of_a_database_that_was_moved_aside_is_not_replayed(site, backup):
    before = site.document("account", "list"), site.document("ledger", "list")
    leave_wal(site.database)
    wal = beside(site.database, "-wal").read_bytes()
    site.database.rename(beside(site.database, ".bad"))
    restored = site.document("restore", backup, "--verify")
    assert (site.document("account", "list"), site.document("ledger", "list")) == before
    assert restored["differences"] == []
    assert Path(restored["replaced"]).read_bytes() == wal, "it has commits of the database that was moved"
    assert restored["replaced"].endswith("-wal")


def test_a_journal_of_another_database_is_not_rolled_back_into_the_restored_one(site, backup):
    """SQLite takes it for that of a transaction that was interrupted."""
    before = site.document("account", "list")
    connection = sqlite3.connect(site.database)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("CREATE TABLE of_the_other (text)")
    connection.execute("UPDATE account SET balance = balance + 777")
    connection.commit()
    connection.execute("UPDATE account SET balance = 0")
    connection.executemany("INSERT INTO of_the_other VALUES (?)", [("x" * 4_000,)] * 50)
    journal = beside(site.database, "-journal")
    shutil.copy(journal, beside(site.database, ".kept"))
    connection.rollback()
    connection.close()
    beside(site.database, ".kept").replace(journal)
    site.database.rename(beside(site.database, ".bad"))
    site.document("restore", backup, "--verify")
    assert site.document("account", "list") == before
    assert not journal.exists()


@pytest.mark.parametrize("killed_at", [1, 2])
def test_a_restore_that_is_killed_leaves_the_old_database_until_the_new_one_is_whole(tmp_path, killed_at):
    """What its -wal has is in it."""
    database = a_database(tmp_path / "vosd.db", "old")
    leave_wal(database)
    assert is_killed(lambda: killed(database, killed_at))
    assert {path.name for path in tmp_path.glob("vosd.db*") if ".replaced-" not in path.name} == {"vosd.db"}
    assert balance_in(database) == 777
    (tmp_path / "copy").unlink()
    put(database, 2)
    assert balance_in(database) == "new"
    assert balance_in(beside(database, ".replaced-2")) == 777, "nothing that was there is lost"


@pytest.mark.parametrize("killed_at", range(1, 5))
def test_names_that_were_given_in_part_are_given_again(tmp_path, killed_at, monkeypatch):
    """A database that SQLite cannot read: until the last of them there is none, or it with all that belongs to it."""
    database = a_database(tmp_path / "vosd.db", "old")
    leave_wal(database)
    monkeypatch.setattr(sqlite, "_is_one_file", lambda _database: False)
    old = {path.name.removeprefix("vosd.db"): path.read_bytes() for path in tmp_path.glob("vosd.db*")}
    assert sorted(old) == ["", "-shm", "-wal"]
    assert is_killed(lambda: killed(database, killed_at))
    there = {path.name.removeprefix("vosd.db"): path.read_bytes() for path in tmp_path.glob("vosd.db*")}
    assert "" not in there or there == old
    (tmp_path / "copy").unlink()
    put(database, 2)
    assert {path.name for path in tmp_path.glob("vosd.db*") if ".replaced-" not in path.name} == {"vosd.db"}
    kept = {path.name[len("vosd.db.replaced-1") :]: path.read_bytes() for path in tmp_path.glob("vosd.db.replaced-*")}
    assert kept == old, "nothing that was there is lost"
    assert balance_in(database) == "new"


def put(database: Path, at: int) -> int:
    copy = a_database(database.with_name("copy"), "new")
    sqlite.put_in_place(copy, database, beside(database, f".replaced-{at}"))
    return 0


def killed(database: Path, at: int) -> int:
    """Put a copy in place, and be killed before a name is given."""
    steps = Steps(at)
    replace, link = Path.replace, Path.hardlink_to

    def dying_replace(path, target):
        steps.step()
        return replace(path, target)

    def dying_link(path, target):
        steps.step()
        return link(path, target)

    Path.replace, Path.hardlink_to = dying_replace, dying_link
    return put(database, 1)


def balance_in(database: Path) -> object:
    connection = sqlite3.connect(database)
    [(balance,)] = connection.execute("SELECT balance FROM account").fetchall()
    connection.close()
    return balance


def a_database(path: Path, balance: str) -> Path:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE account (balance)")
    connection.execute("INSERT INTO account VALUES (?)", (balance,))
    connection.commit()
    connection.close()
    return path
