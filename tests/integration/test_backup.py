"""``vosd backup`` and ``vosd restore`` on SQLite and MariaDB, without a daemon: what they contain and refuse."""

import asyncio
import errno
import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from threading import Thread

import pytest
from doubles.data.records import STARTED, answered_call
from doubles.installation import CONFIGURATION, Installation
from doubles.migrated import migrate_on_server
from doubles.unit_filter import confine
from sqlalchemy import insert

from vosd.admin import backup_file, restore
from vosd.cdr.lease import Claimant, DatabaseState
from vosd.cdr.ports import StoreUnavailable
from vosd.cli import progress
from vosd.daemon.claim import StateDirectory
from vosd.engine.booking.database_watch import MEMO, Memo, MemoFile
from vosd.engine.journal.frames import framed
from vosd.storage import migration_lock, schema
from vosd.storage.books import SqlBooks
from vosd.storage.copies import rows, sqlite
from vosd.storage.database import Database
from vosd.storage.driver_errors import SchemaOutdated
from vosd.storage.lease import SqlLease
from vosd.storage.migrate import migrate_async, upgrade
from vosd.storage.migration_lock import alone
from vosd.storage.migrations import newest_revision
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment

SYSTEMD = Path(__file__).parents[2] / "config" / "systemd"
MARIADB = pytest.param("mariadb", marks=pytest.mark.mariadb)
NASTY = "o'clock\\' \"%s\" %(x)s\n\t\x1a;-- \u20ac \U0001f4de"
"""Text of a peer that would be more than a value in a careless statement."""


class Site(Installation):
    """An installation in a directory, on a database of either kind."""

    def __init__(self, directory: Path, url: str) -> None:
        directory.mkdir(exist_ok=True)
        super().__init__(directory)
        self.directory = directory
        self.url = url
        (directory / "decks").mkdir(exist_ok=True)
        (directory / "decks" / "buy.csv").write_text("prefix,billing_rate\n44,0.01\n")
        text = CONFIGURATION.replace("$directory/vosd.db", url.removeprefix("sqlite+aiosqlite:///"))
        if url.startswith("mysql"):
            text = text.replace(f"sqlite+aiosqlite:///{url}", url)
        text = text.replace("$directory", str(directory)) + f"state_dir: {directory}/var\n"
        text = text.replace("rate_groups:\n", "rate_groups:\n  - {name: buy, rates_file: decks/buy.csv}\n")
        self.config.write_text(text)

    def book(self, records) -> None:
        asyncio.run(self._booked(records))

    async def _booked(self, records) -> None:
        database = Database(self.url)
        await SqlBooks(database).book(records)
        payment = {"account": "customer-1", "kind": EntryKind.PAYMENT, "reference": f"{records[0].call_id}"}
        await SqlPayments(database).add(Payment(**payment, made_at=STARTED, amount=Decimal("12.34567891"), memo=NASTY))
        await database.close()

    def content(self):
        return self.document("cdr", "list"), self.document("ledger", "list"), self.document("account", "list")


def calls(*indices: int):
    parties = {"customer_account": "customer-1", "vendor_account": "vendor-1"}
    return [answered_call(index, **parties, reason_text=NASTY[:60], rate_area=None) for index in indices]


on_both = pytest.mark.parametrize("site", ["sqlite", MARIADB], indirect=True)


@pytest.fixture
def site(request, tmp_path, migrated) -> Site:
    if getattr(request, "param", "sqlite") == "sqlite":
        shutil.copy(migrated, tmp_path / "vosd.db")
        return Site(tmp_path, f"sqlite+aiosqlite:///{tmp_path}/vosd.db")
    url = request.getfixturevalue("mariadb_url")
    migrate_on_server(url)
    return Site(tmp_path, url)


@pytest.fixture
def elsewhere(request, site, tmp_path) -> Site:
    """Another machine, with a database that is empty."""
    other = tmp_path / "other"
    if site.url.startswith("sqlite"):
        return Site(other, f"sqlite+aiosqlite:///{other}/vosd.db")
    server = request.getfixturevalue("mariadb_server")
    return Site(other, server.create_database(f"{site.url.rpartition('/')[2]}_restored"))


@pytest.fixture
def tables_at_once(monkeypatch) -> None:
    """Make the tables of a restored database of a server at once, where a test is not about its hundred migrations."""

    async def made(connection, revision):
        assert revision == newest_revision()
        await connection.exec_driver_sql("COMMIT")
        await asyncio.to_thread(migrate_on_server, connection.engine.url.render_as_string(hide_password=False))

    monkeypatch.setattr(restore, "upgrade", made)


@on_both
def test_a_restored_database_has_all_of_it_to_the_last_digit(site, elsewhere, tmp_path):
    site.book(calls(*range(30)))
    made = site.document("backup", str(tmp_path / "one.zip"))
    assert (made["tables"]["cdr"], made["tables"]["ledger_entry"]) == (30, 61)

    restored = elsewhere.document("restore", made["file"], "--verify")

    assert (restored["differences"], restored["replaced"], restored["tables"]) == ([], None, made["tables"])
    assert elsewhere.content() == site.content()
    elsewhere.book(calls(40))
    assert elsewhere.document("ledger", "verify")["differences"] == []


@on_both
@pytest.mark.usefixtures("tables_at_once")
def test_what_is_committed_during_a_backup_is_in_the_journal_or_in_the_copy_and_never_torn(site, elsewhere, tmp_path):
    """A call is booked while rows or pages are being copied: the copy is of the state before it."""
    site.book(calls(*range(300)))
    shown = []

    def book_meanwhile(_self, part, count):
        shown.append((part, count))
        if len(shown) == 1:
            booking = Thread(target=site.book, args=(calls(1_000),))
            booking.start()
            booking.join()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(progress.Meter, "show", book_meanwhile)
        patched.setattr(sqlite, "PAGES_AT_ONCE", 3)
        patched.setattr(rows, "ROWS_AT_ONCE", 3)
        made = site.document("backup", str(tmp_path))
    assert len(shown) > 10
    assert made["tables"]["cdr"] == 300
    restored = elsewhere.document("restore", made["file"], "--verify")
    assert (restored["tables"]["cdr"], restored["differences"]) == (300, [])
    assert len(site.document("cdr", "list", "--limit", "500")) == 301


@on_both
@pytest.mark.usefixtures("tables_at_once")
def test_a_restore_stops_before_its_last_step_where_a_switch_has_begun_to_use_the_database(site, elsewhere, tmp_path):
    site.book(calls(*range(30)))
    made, shown = site.document("backup", str(tmp_path / "one.zip")), []

    async def take_lease():
        database, now = Database(elsewhere.url), time.time_ns() // 1_000_000
        row = {
            "node": f"sw{len(shown)}",
            "holder": "it",
            "host": "",
            "pid": 1,
            "process": "",
            "epoch": 1,
            "renewals": 1,
        }
        with suppress(SchemaOutdated):  # the checksums are compared before there is a table
            async with database.writing() as connection:
                row |= {"taken_at": now, "renewed_at": now, "released": 0}
                await connection.execute(insert(schema.lease).values(row))
        await database.close()

    def begin_meanwhile(_self, part, count):
        if part > 0.9:
            shown.append((part, count))
            begun = Thread(target=lambda: asyncio.run(take_lease()))
            begun.start()
            begun.join()

    if site.url.startswith("sqlite"):
        shutil.copy(site.directory / "vosd.db", elsewhere.directory / "vosd.db")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(progress.Meter, "show", begin_meanwhile)
        patched.setattr(rows, "ROWS_AT_ONCE", 3)
        result = elsewhere.vosd("restore", made["file"], "--replace")
    assert (bool(shown), result.exit_code, "stop it" in result.output) == (True, 1, True)


def test_a_backup_is_for_its_owner_only_and_leaves_nothing_beside_it(site, tmp_path):
    site.book(calls(1))
    kept = tmp_path / "kept"
    kept.mkdir()
    made = site.document("backup", str(kept))
    (file,) = kept.iterdir()
    assert str(file) == made["file"]
    assert file.name.startswith("vosd-vosd-2")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "is there already" in site.vosd("backup", str(file)).output
    before = file.read_bytes()
    result = site.vosd("backup", str(tmp_path / "none" / "file.zip"))
    assert (result.exit_code, "No such file" in result.output) == (1, True)
    assert "there is no directory" in site.vosd("backup", str(tmp_path / "forgotten")).output
    assert (file.read_bytes(), [*kept.iterdir()]) == (before, [file])


def test_a_backup_does_not_fill_the_disk(site, tmp_path, monkeypatch):
    site.book(calls(1))
    monkeypatch.setattr(backup_file, "ROOM_LEFT", 2**60)
    result = site.vosd("backup", str(tmp_path / "one.zip"))
    assert result.exit_code == 1
    assert "MiB free" in result.output
    assert not [*tmp_path.glob("*one.zip*")]


def test_the_configuration_comes_back_with_the_files_that_it_names(site, tmp_path):
    site.book(calls(1))
    (site.directory / "decks" / "gone.txt").write_text("x")
    site.config.write_text(site.config.read_text() + "number_lists: [{name: gone, file: decks/gone.txt}]\n")
    (site.directory / "decks" / "gone.txt").unlink()
    result = site.vosd("backup", str(tmp_path / "one.zip"))
    assert "gone.txt is named in the configuration and cannot be read" in result.stderr
    said = site.document("restore", str(tmp_path / "one.zip"), "--config-to", str(tmp_path / "new"))
    main = Path(said["configuration"])
    assert main.read_text() == site.config.read_text()
    assert (main.parent / "decks" / "buy.csv").read_text() == "prefix,billing_rate\n44,0.01\n"
    assert main.stat().st_mode & 0o777 == 0o600
    again = site.vosd("restore", str(tmp_path / "one.zip"), "--config-to", str(tmp_path / "new"))
    assert (again.exit_code, "is there already" in again.output) == (1, True)


class Units:
    """The shipped units of backup and restore test, run as systemd runs them, with their files at other places.

    They have the system calls that their units leave them.
    """

    def __init__(self, site: Site, elsewhere: Site) -> None:
        self.backups, self._state = site.directory / "backups", elsewhere.directory / "var"
        self.backups.mkdir()
        self._state.mkdir()
        self._places = {
            "/opt/vosd/bin/vosd": Path(sys.executable).with_name("vosd"),
            "/etc/vosd/vosd.yaml": site.config,
            "/etc/vosd/restore-test.yaml": elsewhere.config,
            "/srv/vosd-backups": self.backups,
            "/var/lib/vosd-restore-test": self._state,
        }

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run the commands of a service one after the other until one fails; return the last one.

        Those that begin with a minus may fail.
        """
        for line in (SYSTEMD / f"{name}.service").read_text().replace("\\\n", " ").splitlines():
            key, _, command = line.partition("=")
            if key in {"ExecStartPre", "ExecStart", "ExecStartPost"}:
                for place, other in self._places.items():
                    command = command.replace(place, str(other))
                words = shlex.split(command.removeprefix("-").replace("$$", "$").replace("%%", "%"))
                done = subprocess.run(
                    words, cwd=self._state, capture_output=True, text=True, check=False, timeout=120, preexec_fn=confine
                )
                if done.returncode and not command.startswith("-"):
                    break
        return done

    def backup_of(self, days: float, place: str = ".", node: str = "vosd") -> Path:
        """Leave an empty file as a backup of so many days ago."""
        at = time.time() - 86_400 * days  # noqa: TID251 - compared with times of the file system
        file = self.backups / place / time.strftime(f"vosd-{node}-%Y%m%dT%H%M%SZ.zip", time.gmtime(at))
        file.touch()
        os.utime(file, (at, at))
        return file


def test_the_shipped_units_restore_the_latest_backup_and_remove_what_is_older_than_two_weeks(site, elsewhere):
    units = Units(site, elsewhere)
    old, *newer = [units.backup_of(days) for days in (15.5, *range(13, 6, -1))]
    site.book(calls(*range(10)))
    assert units.run("vosd-backup").returncode == 0
    assert ([each for each in newer if not each.exists()], old.exists()) == ([], False)
    for _ in range(2):  # what the week before has left is not in the way
        restored = units.run("vosd-restore-test")
        assert (restored.returncode, restored.stderr) == (0, "")
        assert elsewhere.content() == site.content()


def age(backup, days):
    at = backup.stat().st_mtime - 86_400 * days
    os.utime(backup, (at, at))


def test_old_backups_make_room_for_one_that_fails_and_the_latest_seven_of_each_node_stay_however_old(site, elsewhere):
    units = Units(site, elsewhere)
    mine = [units.backup_of(days) for days in range(30, 20, -1)]
    (units.backups / "other").mkdir()
    others = [
        units.backup_of(40, node="vosd-2"),
        units.backup_of(40, place="other"),
        *(units.backup_of(days, node="vosd-2") for days in range(7)),
        units.backups / "vosd-by-hand.zip",
    ]
    others[-1].touch()
    age(others[-1], 50)
    site.config.unlink()
    for _ in range(2):
        assert units.run("vosd-backup").returncode != 0
        assert [each.exists() for each in mine] == [False] * 3 + [True] * 7
        assert [each.exists() for each in others] == [False] + [True] * 9


def test_a_backup_is_made_where_old_ones_cannot_be_removed(site, elsewhere, tmp_path, monkeypatch):
    """The command find fails at the first file that it may not remove, or at ``lost+found`` of a disk."""
    units = Units(site, elsewhere)
    for days in range(14, 24):
        units.backup_of(days)
    failing = tmp_path / "failing" / "find"
    failing.parent.mkdir()
    failing.write_text(f'#!/bin/sh\n{shutil.which("find")} "$@"\nexit 1\n')
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{failing.parent}:{os.environ['PATH']}")
    assert units.run("vosd-backup").returncode == 0
    assert [each for each in units.backups.iterdir() if each.stat().st_size]


def test_a_restore_test_fails_where_the_latest_backup_is_older_than_two_days(site, elsewhere):
    units = Units(site, elsewhere)
    made = Path(site.document("backup", str(units.backups))["file"])
    age(made, 1.5)
    assert units.run("vosd-restore-test").returncode == 0
    age(made, 1)
    failed = units.run("vosd-restore-test")
    assert (failed.returncode, "no backup of the last two days" in failed.stderr) == (1, True)


def test_a_restore_test_fails_without_a_backup_and_with_one_that_is_damaged(site, elsewhere):
    units = Units(site, elsewhere)
    assert units.run("vosd-restore-test").returncode != 0
    made = Path(site.document("backup", str(units.backups))["file"])
    made.write_bytes(made.read_bytes()[:-100])
    assert units.run("vosd-restore-test").returncode == 1


@on_both
@pytest.mark.usefixtures("tables_at_once")
def test_a_database_with_content_is_only_replaced_when_that_is_said(site, tmp_path):
    site.book(calls(1, 2))
    made = site.document("backup", str(tmp_path / "one.zip"))
    before = site.content()
    site.book(calls(3))
    refused = site.vosd("restore", made["file"])
    assert refused.exit_code == 1
    assert "is not empty" in refused.output
    assert len(site.content()[0]) == 3
    restored = site.document("restore", made["file"], "--replace", "--verify")
    assert (restored["differences"], site.content()) == ([], before)
    if site.url.startswith("sqlite"):
        connection = sqlite3.connect(restored["replaced"])
        assert connection.execute("SELECT count(*) FROM cdr").fetchone() == (3,)
        connection.close()


@on_both
def test_nothing_is_restored_while_a_switch_has_the_database_or_the_state(site, tmp_path):
    site.book(calls(1))
    made = site.document("backup", str(tmp_path / "one.zip"))
    asyncio.run(_take_lease(site.url))
    held = site.vosd("restore", made["file"], "--replace")
    assert held.exit_code == 1
    assert "node sw1 on host box, pid 7 runs on" in held.output
    claim = StateDirectory(site.directory / "var")
    claim.claim()
    locked = site.vosd("restore", made["file"], "--replace")
    claim.release()
    assert (locked.exit_code, "another switch" in locked.output) == (1, True)
    assert len(site.content()[0]) == 1


async def _take_lease(url):
    database = Database(url)
    await SqlLease(database, lambda _: False).hold(Claimant("sw1", "h", "box", 7, "p"))
    await database.close()


RECORD = framed(1, b"c" * 16, 5, b"{}")
OF_THE_SWITCH = DatabaseState("its-database", 1, 100, 1, 1)


def write_memo(state_dir: Path, state: DatabaseState) -> None:
    file = MemoFile(state_dir / MEMO)
    file.note(Memo(state, None, complete=True, compare_from_s=0))
    file.write()


@pytest.fixture
def state_dir(site) -> Path:
    """The files of a switch with a call that is not booked, and what is not in its database."""
    directory = site.directory / "var"
    (directory / "journal").mkdir(parents=True)
    (directory / "journal" / "journal-00000001.unbooked").write_bytes(RECORD)
    (directory / "journal" / "reserve").write_bytes(b"\0" * 100)
    for document in ("quarantine/one.json", "archive/payments-20260101.csv.gz", "months/2026-10/summary.pdf"):
        (directory / document).parent.mkdir(parents=True)
        (directory / document).write_text(document)
    (directory / "quality.json").write_text("{}")
    (directory / "people.key").write_text("key")
    write_memo(directory, OF_THE_SWITCH)
    return directory


SMALL = {"quarantine/one.json", "archive/payments-20260101.csv.gz", "months/2026-10/summary.pdf", "quality.json"}


def files_of(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_a_later_journal_stays_and_the_files_beside_it_that_are_missing_are_restored(site, state_dir, tmp_path):
    site.book(calls(1))
    made = site.document("backup", str(tmp_path / "one.zip"))
    with zipfile.ZipFile(made["file"]) as archive:
        names = {name.removeprefix("state/") for name in archive.namelist() if name.startswith("state/")}
    assert names == {"journal/journal-00000001.unbooked", MEMO, *SMALL}
    for name in ("quarantine/one.json", "months/2026-10/summary.pdf"):
        (state_dir / name).unlink()
    (state_dir / "quality.json").write_text("[]")
    (state_dir / "journal" / "journal-00000001.unbooked").rename(state_dir / "journal" / "journal-00000001.kept")
    write_memo(state_dir, OF_THE_SWITCH._replace(commits=150))
    memo = (state_dir / MEMO).read_bytes()

    restored = site.document("restore", made["file"], "--replace")

    assert (restored["state"], restored["left_out"]) == ("kept", ["quality.json"])
    assert SMALL | {"journal/journal-00000001.kept"} <= files_of(state_dir)
    assert "journal/journal-00000001.unbooked" not in files_of(state_dir)
    assert ((state_dir / "quality.json").read_text(), (state_dir / MEMO).read_bytes()) == ("[]", memo)
    assert "quality.json" in site.vosd("restore", made["file"], "--replace").output


@pytest.mark.parametrize("content", [None, b"", b"\0" * 100])
def test_a_journal_without_a_record_gives_way_to_that_of_the_backup(site, state_dir, tmp_path, content):
    """A switch that was started once on a new machine has left one."""
    made = site.document("backup", str(tmp_path / "one.zip"))
    shutil.rmtree(state_dir)
    if content is not None:
        (state_dir / "journal").mkdir(parents=True)
        (state_dir / "journal" / "journal-00000001.kept").write_bytes(content)
        write_memo(state_dir, DatabaseState("of-the-new-machine", 2, 3, 1, 1))

    assert site.document("restore", made["file"], "--replace")["state"] == "restored"

    assert files_of(state_dir) - {"lock"} == {"journal/journal-00000001.unbooked", MEMO, *SMALL}
    assert MemoFile(state_dir / MEMO).read().state == OF_THE_SWITCH
    assert (state_dir / "journal" / "journal-00000001.unbooked").read_bytes() == RECORD


@pytest.mark.parametrize(
    "state",
    [
        None,
        OF_THE_SWITCH._replace(identity="of-the-new-machine"),
        OF_THE_SWITCH._replace(commits=99),  # a machine that ran on the database before
    ],
)
def test_a_journal_that_may_be_older_is_kept_or_replaced_by_an_order_only(site, state_dir, tmp_path, state):
    site.book(calls(1))
    made = site.document("backup", str(tmp_path / "one.zip"))
    site.book(calls(2))
    journal, here = state_dir / "journal", framed(1, b"d" * 16, 5, b"{}")
    shutil.rmtree(state_dir)
    journal.mkdir(parents=True)
    (journal / "journal-00000001.kept").write_bytes(here)
    if state is not None:
        write_memo(state_dir, state)

    refused = site.vosd("restore", made["file"], "--replace")
    assert (refused.exit_code, "--state replace" in refused.output) == (1, True)
    assert len(site.content()[0]) == 2, "nothing was changed"

    kept = site.document("restore", made["file"], "--replace", "--state", "keep")
    assert (kept["state"], kept["replaced_journal"]) == ("kept", None)
    assert [path.name for path in journal.iterdir()] == ["journal-00000001.kept"]
    assert files_of(state_dir) >= SMALL

    replaced = site.document("restore", made["file"], "--replace", "--state", "replace")
    assert replaced["state"] == "restored"
    assert (Path(replaced["replaced_journal"]) / "journal-00000001.kept").read_bytes() == here
    assert (journal / "journal-00000001.unbooked").read_bytes() == RECORD
    assert MemoFile(state_dir / MEMO).read().state == OF_THE_SWITCH


@pytest.mark.parametrize(("suffix", "is_whole"), [("log", False), ("unbooked", False), ("kept", True)])
def test_a_backup_fails_where_calls_were_booked_behind_it_and_their_file_is_gone(site, tmp_path, suffix, is_whole):
    """With ``journal.keep_minutes: 0`` a file is removed when its calls are booked, also while it is being copied."""
    journal = site.directory / "var" / "journal"
    journal.mkdir(parents=True)
    gone = journal / f"journal-00000002.{suffix}"
    for file in (journal / "journal-00000001.log", gone):
        file.write_bytes(b"")
    add = backup_file.BackupWriter.add

    def adds(self, name, source, *show):
        gone.unlink(missing_ok=True)
        add(self, name, source, *show)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(backup_file.BackupWriter, "add", adds)
        result = site.vosd("backup", str(tmp_path / "one.zip"))
    assert (result.exit_code == 0, (tmp_path / "one.zip").exists()) == (is_whole, is_whole), result.output
    assert is_whole or "journal.keep_minutes" in result.output


def test_a_restore_of_the_journal_that_has_failed_is_begun_again(site, tmp_path, monkeypatch):
    """A part of a journal is not taken for one that is newer than the backup's: calls that are not booked are in it."""
    site.book(calls(1))
    journal = site.directory / "var" / "journal"
    journal.mkdir(parents=True)
    files = [journal / f"journal-{number:08d}.log" for number in (1, 2, 3)]
    for file in files:
        file.write_bytes(framed(1, b"c" * 16, 5, file.name.encode()))
    write_memo(journal.parent, OF_THE_SWITCH)
    made = site.document("backup", str(tmp_path / "one.zip"))
    shutil.rmtree(journal)
    extract = backup_file.BackupReader.extract

    def fails_at(name: str):
        def extracted(self, member, target, *show):
            if member.endswith(name):
                raise OSError(errno.ENOSPC, "No space left on device", str(target))
            extract(self, member, target, *show)

        return extracted

    for file in files[1:]:
        monkeypatch.setattr(backup_file.BackupReader, "extract", fails_at(file.name))
        assert "No space left" in site.vosd("restore", made["file"], "--replace").output
        assert not [*journal.glob("journal-*")]
    monkeypatch.undo()
    files[2].write_bytes(framed(1, b"c" * 16, 5, files[2].name.encode()))  # killed while the files got their names

    assert site.document("restore", made["file"], "--replace")["state"] == "restored"
    assert [file.name.encode() in file.read_bytes() for file in files] == [True, True, True]
    assert site.document("restore", made["file"], "--replace")["state"] == "kept"


def test_a_damaged_backup_changes_nothing(site, elsewhere, tmp_path):
    site.book(calls(*range(5)))
    made = Path(site.document("backup", str(tmp_path / "one.zip"))["file"])
    assert site.document("restore", str(made), "--check")["tables"]["cdr"] == 5
    whole = made.read_bytes()
    for place in range(100, len(whole), max(len(whole) // 12, 1)):
        made.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        result = elsewhere.vosd("restore", str(made), "--check")
        if result.exit_code:  # 0: a byte of the archive that has no meaning
            assert (result.exit_code, type(result.exception)) == (1, SystemExit), result.output
            assert result.output.startswith("Error: "), result.output
        made.write_bytes(whole[:place])
        result = elsewhere.vosd("restore", str(made))
        assert result.exit_code == 1
        assert "is no backup" in result.output
    _rewrite(made, whole, _more_than_values)
    result = elsewhere.vosd("restore", str(made))
    assert (result.exit_code, type(result.exception)) == (1, SystemExit), result.output
    assert not (elsewhere.directory / "vosd.db").exists()


def _more_than_values(name: str, content: bytes) -> bytes:
    return content[:-30] if name.startswith("database/") and len(content) > 100 else content


def _rewrite(path: Path, whole: bytes, change) -> None:
    """Write a backup anew with other members and the manifest as it was."""
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))


def test_a_backup_that_names_files_outside_of_it_is_refused(site, tmp_path):
    made = Path(site.document("backup", str(tmp_path / "one.zip"))["file"])

    def outside(name, content):
        if name != "manifest.json":
            return content
        manifest = json.loads(content)
        manifest["members"][0]["name"] = "configuration/../../etc/cron.d/x"
        return json.dumps(manifest).encode()

    _rewrite(made, made.read_bytes(), outside)
    result = site.vosd("restore", str(made), "--config-to", str(tmp_path / "new"))
    assert (result.exit_code, "outside of it" in result.output) == (1, True)


@pytest.mark.parametrize(
    "row", [b"'1'), ('2'", b"benchmark(9)", b"'a' OR '1'", b"'a'/**/", b"x'0g'", b"'a", b"'\\'", b"", b"'1',"]
)
def test_a_row_that_is_more_than_values_is_never_part_of_a_statement(row):
    assert rows.are_values(row) is False
    assert rows.are_values(b"'1','a\\'b\\\\',NULL,x'00FF','\n'")


@pytest.mark.parametrize("site", [MARIADB], indirect=True)
def test_the_columns_of_one_table_are_read_without_those_of_the_others(site):
    """A restore asks for them before it fills a table, and a server opens each table that it is asked about."""

    async def read():
        async with Database(site.url) as database, database.reading() as connection:
            return await rows.columns_of(connection), await rows.columns_of(connection, "cdr")

    every, one = asyncio.run(read())
    assert every.keys() > {"cdr", "ledger_entry"}
    assert one == {"cdr": every["cdr"]}


@pytest.mark.parametrize("site", [MARIADB], indirect=True)
def test_views_of_others_stay_where_a_database_is_replaced(site, tmp_path):
    site.book(calls(1))
    made = site.document("backup", str(tmp_path / "one.zip"))
    asyncio.run(_execute(site.url, "CREATE VIEW cdr_of_billing AS SELECT call_id FROM cdr"))
    site.document("restore", made["file"], "--replace")
    assert asyncio.run(_execute(site.url, "SELECT COUNT(*) FROM cdr_of_billing")) == 1
    assert asyncio.run(_execute(site.url, "SELECT COUNT(*) FROM cdr_report")) == 1


@pytest.mark.parametrize("site", [MARIADB], indirect=True)
@pytest.mark.usefixtures("tables_at_once")
def test_no_database_is_replaced_while_its_tables_are_changed(site, tmp_path):
    site.book(calls(1))
    made = site.document("backup", str(tmp_path / "one.zip"))
    before = site.content()
    refused = asyncio.run(_while_migrated(site.url, lambda: site.vosd("restore", made["file"], "--replace")))
    assert (refused.exit_code, "another vosd migrate or restore works on" in refused.output) == (1, True)
    assert site.content() == before
    site.document("restore", made["file"], "--replace", "--verify")


async def _while_migrated(url, act):
    database = Database(url)
    async with database.writing(unhurried=True) as connection, alone(connection, database.place):
        done = await asyncio.to_thread(act)
    await database.close()
    return done


@pytest.mark.parametrize("site", [MARIADB], indirect=True)
def test_no_migration_comes_between_the_steps_of_a_restore(site, tmp_path, monkeypatch):
    site.book(calls(1))
    made = site.document("backup", str(tmp_path / "one.zip"))
    asked = []

    async def upgraded(connection, revision):
        with pytest.raises(StoreUnavailable, match="another vosd migrate or restore works on"):
            await migrate_async(site.url)
        asked.append(revision)
        await upgrade(connection, revision)

    monkeypatch.setattr(restore, "upgrade", upgraded)
    site.document("restore", made["file"], "--replace", "--verify")
    assert asked == [newest_revision()]


@pytest.mark.parametrize("site", [MARIADB], indirect=True)
@pytest.mark.usefixtures("tables_at_once")
def test_a_restore_is_refused_while_another_one_writes_its_rows(site, tmp_path, monkeypatch):
    site.book(calls(*range(3)))
    made, refused = site.document("backup", str(tmp_path / "one.zip")), []
    other = Site(tmp_path / "other", site.url)

    async def another(table):
        if table == schema.cdr.name:
            refused.append(await asyncio.to_thread(other.vosd, "restore", made["file"], "--replace"))

    _after_table(monkeypatch, another)
    site.document("restore", made["file"], "--replace", "--verify")
    (result,) = refused
    assert (result.exit_code, "another vosd migrate or restore works on" in result.output) == (1, True)


@pytest.mark.parametrize("site", [MARIADB], indirect=True)
@pytest.mark.usefixtures("tables_at_once")
def test_a_database_that_another_restore_has_filled_meanwhile_is_not_replaced_unasked(
    site, elsewhere, tmp_path, monkeypatch
):
    site.book(calls(*range(3)))
    made, fits, ended = site.document("backup", str(tmp_path / "one.zip")), rows.check_rows_fit, []
    third = Site(tmp_path / "third", elsewhere.url)

    async def other_first(*arguments):
        if not ended:
            ended.append(None)
            ended.append(await asyncio.to_thread(third.vosd, "restore", made["file"]))
        await fits(*arguments)

    monkeypatch.setattr(rows, "check_rows_fit", other_first)
    refused = elsewhere.vosd("restore", made["file"])
    assert (ended[1].exit_code, refused.exit_code, "is not empty" in refused.output) == (0, 1, True)
    assert elsewhere.content() == site.content()


@pytest.mark.parametrize("site", [MARIADB], indirect=True)
@pytest.mark.usefixtures("tables_at_once")
def test_a_restored_database_lets_no_switch_start_where_rows_have_gone_meanwhile(site, tmp_path, monkeypatch):
    site.book(calls(*range(3)))
    made = site.document("backup", str(tmp_path / "one.zip"))

    async def deletes(table):
        if table == schema.cdr.name:
            await _execute(site.url, "DELETE FROM cdr LIMIT 1")

    _after_table(monkeypatch, deletes)
    result = site.vosd("restore", made["file"], "--replace")
    assert (result.exit_code, "table cdr has 2 rows, 3 in the manifest" in result.output) == (1, True)
    assert asyncio.run(_execute(site.url, "SELECT version_num FROM alembic_version")) == rows.UNFINISHED


@pytest.mark.parametrize("site", [MARIADB], indirect=True)
@pytest.mark.usefixtures("tables_at_once")
def test_a_restore_ends_where_the_server_has_taken_back_its_lock(site, tmp_path, monkeypatch):
    site.book(calls(*range(3)))
    made, written = site.document("backup", str(tmp_path / "one.zip")), []

    async def unlocks(table):
        if not written:
            lock = f"IS_USED_LOCK({migration_lock.NAME})"
            await _execute(site.url, f"KILL {await _execute(site.url, f'SELECT {lock}')}")
        written.append(table)

    _after_table(monkeypatch, unlocks)
    assert site.vosd("restore", made["file"], "--replace").exit_code == 1
    assert len(written) == 1
    assert asyncio.run(_execute(site.url, "SELECT version_num FROM alembic_version")) == rows.UNFINISHED


def _after_table(monkeypatch, act) -> None:
    """Act after the rows of each table are written."""
    put_rows = rows.put_rows

    async def put(database, table, *arguments):
        count = await put_rows(database, table, *arguments)
        await act(table)
        return count

    monkeypatch.setattr(rows, "put_rows", put)


@pytest.mark.parametrize("site", [MARIADB], indirect=True)
@pytest.mark.usefixtures("tables_at_once")
def test_a_server_that_does_not_accept_a_row_keeps_its_database(site, tmp_path, mariadb_server):
    site.book(calls(1))
    content = "INSERT INTO invoice_template (digest, content) VALUES (REPEAT('a', 64), REPEAT('x', 100000))"
    asyncio.run(_execute(site.url, content))
    made = site.document("backup", str(tmp_path / "one.zip"))
    before = site.content()
    with mariadb_server.connection(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        usual = cursor.fetchone()[0]
        cursor.execute("SET GLOBAL max_allowed_packet = 131072")
        try:
            refused = site.vosd("restore", made["file"], "--replace")
        finally:
            cursor.execute(f"SET GLOBAL max_allowed_packet = {usual}")
    assert (refused.exit_code, "max_allowed_packet of the server (131072 bytes)" in refused.output) == (1, True)
    assert site.content() == before


async def _execute(url, statement):
    database = Database(url)
    async with database.writing() as connection:
        result = await connection.exec_driver_sql(statement)
        found = result.scalar() if result.returns_rows else None
    await database.close()
    return found
