"""No empty database takes the place of one that is gone with its money, unless nothing is known to be lost."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from vosd.cdr.lease import DatabaseState
from vosd.cdr.ports import LastStanding
from vosd.engine.booking.database_watch import MEMO, Memo, MemoFile
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


async def left(state_dir: Path, standings: tuple[LastStanding, ...], commits: int = 7) -> None:
    """Leave what a switch does that has worked on a database."""
    memo = MemoFile(state_dir / MEMO)
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


async def test_a_copy_of_balances_that_cannot_be_read_is_no_reason_to_begin_anew(tmp_path: Path) -> None:
    await left(tmp_path, PAID)
    (tmp_path / LAST_KNOWN).unlink()
    with pytest.raises(DatabaseMissedError, match=r"has worked on it\. Put it back"):
        await check_nothing_is_missed(f"sqlite+aiosqlite:///{tmp_path}/vosd.db", tmp_path)


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
