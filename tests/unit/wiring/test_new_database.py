"""No empty database takes the place of one that is gone with its money, unless nothing is known to be lost."""

import asyncio
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from doubles.closed import closed

from vosd.cdr.lease import DatabaseState
from vosd.cdr.ports import LastStanding, StoreUnavailable
from vosd.cli.main import main
from vosd.config import places
from vosd.config.places import installation_of, may_be_one_database
from vosd.daemon.claim import StateDirectory
from vosd.engine.booking.database_watch import MEMO, Memo, MemoFile
from vosd.engine.booking.known_database import used_kind, was_used
from vosd.storage.last_known import LAST_KNOWN, LastKnown
from vosd.storage.migrate import migrate_async
from vosd.wiring.new_database import DatabaseMissedError, check_nothing_is_missed

PAID = (
    LastStanding("acme", Decimal("10.995"), 2, None, "USD"),
    LastStanding("north", Decimal(-3), 1, None, "EUR"),
    LastStanding("south", Decimal(4), 1, None, "EUR"),
    LastStanding("spent", Decimal(0), 2, None, "EUR"),
)
UNPAID = (LastStanding("acme", Decimal(0), 0, None, "USD"),)


async def left(state_dir: Path, standings: tuple[LastStanding, ...], commits: int = 7, url: str = "") -> None:
    """Leave what a switch does that has worked on a database."""
    memo = MemoFile(state_dir / MEMO, url)
    memo.note(Memo(DatabaseState("identity", 1, commits, 1, 1), None, complete=True, compare_from_s=0))
    memo.write()
    copy = LastKnown(state_dir / LAST_KNOWN, "sw1")
    await copy.open()
    assert await copy.note(standings)
    await copy.close()


@pytest.mark.parametrize("is_empty", [False, True])
async def test_a_database_that_is_gone_with_its_money_is_missed(tmp_path: Path, is_empty: bool) -> None:
    await left(tmp_path, PAID)
    file = tmp_path / "no" / "vosd.db"
    if is_empty:
        file.parent.mkdir()
        file.touch()
    expected = re.escape("its last balances are 1.00 EUR, 10.995 USD (accounts: 3)")
    with pytest.raises(DatabaseMissedError, match=expected) as missed:
        await check_nothing_is_missed(f"sqlite+aiosqlite:///{file}", tmp_path)
    assert "vosd migrate --anew makes an empty one: all balances begin at 0" in str(missed.value)


async def test_a_database_that_this_user_may_not_see_is_not_taken_for_gone(tmp_path: Path) -> None:
    await left(tmp_path, PAID)
    url = f"sqlite+aiosqlite:///{tmp_path}/lib/vosd.db"
    await migrate_async(url)
    with closed(tmp_path / "lib"):
        await check_nothing_is_missed(url, tmp_path)  # the migration says why


async def test_a_database_of_another_kind_is_not_said_to_be_gone(tmp_path: Path) -> None:
    await left(tmp_path, PAID, url="mysql+aiomysql://vosd@127.0.0.1/vosd")
    url = f"sqlite+aiosqlite:///{tmp_path}/vosd.db"
    assert (used_kind(tmp_path), was_used(tmp_path, url)) == ("mysql", False)
    with pytest.raises(DatabaseMissedError, match="has worked on another database, of mysql; its last") as missed:
        await check_nothing_is_missed(url, tmp_path)
    assert "Put it back" not in str(missed.value)
    assert "name it in database.url again" in str(missed.value)


@pytest.mark.parametrize("url", ["", "sqlite+aiosqlite:///earlier.db"])
async def test_one_of_the_same_kind_or_of_a_kind_that_was_not_written_may_be_the_one(tmp_path: Path, url: str) -> None:
    await left(tmp_path, PAID, url=url)
    assert was_used(tmp_path, "sqlite+aiosqlite:///vosd.db")


async def test_a_copy_of_balances_that_cannot_be_read_is_no_reason_to_begin_anew(tmp_path: Path) -> None:
    await left(tmp_path, PAID)
    (tmp_path / LAST_KNOWN).unlink()
    with pytest.raises(DatabaseMissedError, match=r"has worked on it\. Put it back"):
        await check_nothing_is_missed(f"sqlite+aiosqlite:///{tmp_path}/vosd.db", tmp_path)


async def test_no_switch_has_worked_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "var").touch()
    url = f"sqlite+aiosqlite:///{tmp_path}/var/vosd.db"
    await check_nothing_is_missed(url, tmp_path / "var")
    with pytest.raises(StoreUnavailable, match="there is a file in the place of its directory"):
        await migrate_async(url)


@pytest.mark.parametrize(("standings", "commits"), [(UNPAID, 7), (PAID, 0)])
async def test_where_no_money_is_known_a_new_one_may_be_made(
    tmp_path: Path, standings: tuple[LastStanding, ...], commits: int
) -> None:
    await left(tmp_path, standings, commits)
    await check_nothing_is_missed(f"sqlite+aiosqlite:///{tmp_path}/vosd.db", tmp_path)


async def test_a_first_database_and_one_that_is_there_are_migrated_as_ever(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/vosd.db"
    await check_nothing_is_missed(url, tmp_path)
    await migrate_async(url)
    await left(tmp_path, PAID)
    await check_nothing_is_missed(url, tmp_path)


class TestBesideTheSwitchOfAnotherConfiguration:
    @pytest.fixture
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """The directory of a running switch whose database, with its money, is gone."""
        home = tmp_path / "home"
        (home / "var" / "journal").mkdir(parents=True)
        (home / "var" / "journal" / "1").touch()
        monkeypatch.chdir(home)
        self.write(home / "vosd.yaml", home / "db" / "vosd.db")
        switch = StateDirectory(home / "var", installation_of(home / "vosd.yaml", "sw1"))
        switch.claim()
        asyncio.run(left(home / "var", PAID))
        yield home
        switch.release()

    def write(self, config: Path, database: Path | str, more: str = "") -> Path:
        config.write_text(f"node: sw1\ndatabase: {{url: 'sqlite+aiosqlite:///{database}'}}\n{more}")
        return config

    def migrate(self, config: Path, *options: str) -> Result:
        return CliRunner().invoke(main, ["migrate", "-c", str(config), *options])

    def test_the_owner_of_its_tables_makes_no_empty_database_in_its_place(self, home: Path) -> None:
        file = home / "db" / "vosd.db"
        owner = self.write(home / "owner.yaml", file)
        missed = self.migrate(owner)
        assert (missed.exit_code, file.exists()) == (1, False)
        assert f"the switch of {home}/var has worked on it; its last balances are 1.00 EUR" in missed.stderr
        assert self.migrate(owner, "--anew").exit_code == 0
        assert self.migrate(owner).stdout == "the database is at this version\n", "it is there"

    def test_nor_by_the_state_directory_that_its_file_names(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As docs/database-rights.md says, from any directory."""
        monkeypatch.chdir(tmp_path)
        owner = self.write(tmp_path / "owner.yaml", home / "db" / "vosd.db", f"state_dir: {home}/var\n")
        missed = self.migrate(owner)
        assert (missed.exit_code, (home / "db" / "vosd.db").exists()) == (1, False)
        assert f"the switch of {home}/var has worked on it" in missed.stderr

    def test_nor_where_the_file_of_the_switch_cannot_be_read_here(self, home: Path) -> None:
        self.write(home / "vosd.yaml", "${NO_SUCH_VARIABLE_OF_VOSD}/vosd.db")
        missed = self.migrate(self.write(home / "owner.yaml", home / "db" / "vosd.db"))
        assert (missed.exit_code, "has worked on it" in missed.stderr) == (1, True)

    def test_a_new_installation_gets_a_database_of_its_own(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As by ``make run`` on the machine of the service."""
        monkeypatch.setattr(places, "_SERVICE", home)
        self.write(home / "vosd.yaml", "var/vosd.db")
        new = tmp_path / "new"
        new.mkdir()
        monkeypatch.chdir(new)
        assert self.migrate(self.write(new / "vosd.yaml", "var/vosd.db")).stdout == "the database is at this version\n"
        assert ((new / "var" / "vosd.db").exists(), (home / "var" / "vosd.db").exists()) == (True, False)


@pytest.mark.parametrize(
    ("url", "other", "may_be"),
    [
        ("mysql+aiomysql://vosd_owner:a@127.0.0.1/vosd?ssl=1", "mysql+aiomysql://vosd:b@localhost:3306/vosd", True),
        ("mysql+aiomysql://vosd_owner:a@127.0.0.1/vosd", "mysql+aiomysql://vosd:b@127.0.0.1/vosd_test", False),
        ("mysql+aiomysql://vosd_owner:a@127.0.0.1/vosd", "sqlite+aiosqlite:///vosd", False),
        ("sqlite+aiosqlite:////srv/var/vosd.db", "sqlite+aiosqlite:///var/vosd.db", True),
        ("sqlite+aiosqlite:///var/vosd.db", "sqlite+aiosqlite:///var/vosd.db", False),
    ],
)
def test_two_urls_may_name_one_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, other: str, may_be: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    assert may_be_one_database(url, other, Path("/srv")) is may_be
