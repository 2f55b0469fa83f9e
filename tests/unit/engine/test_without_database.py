"""By which copy a start may go on without the database, and how old a copy is."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest
from doubles.data.builders import account
from doubles.virtual.clock import ManualClock
from doubles.watched_database import MemoryStandings

from vosd.base.money import ZERO
from vosd.cdr.ports import LastStanding, StoreUnavailable
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.last_standings import NOTED_AT_ONCE, StandingsCopier
from vosd.engine.without_database import WithoutDatabase

HOUR_MS = 3_600_000


class Watch:
    """As much of the watch over the database as says whether calls are taken."""

    refuses_calls = False


class Unreadable(MemoryStandings):
    """A copy on a broken disk."""

    async def known_at(self) -> int | None:
        raise StoreUnavailable("disk error")


class Machine:
    """A machine with a copy, of a switch that ran last at ``at``."""

    def __init__(self, at: int | None = None, max_age_s: int = 3_600, copy: MemoryStandings | None = None) -> None:
        self.clock, self.watch, self.copy = ManualClock(), Watch(), copy or MemoryStandings()
        self.copy.by_account["acme"] = LastStanding("acme", ZERO, 1, None, "USD")
        self.copy.at = at
        unused = cast("Any", None)
        self.balances, self.may_write = Balances(unused), True
        self.copier = StandingsCopier(self.balances, self.copy, lambda: self.may_write)
        self.without = WithoutDatabase(
            unused, unused, unused, cast("Any", self.watch), unused, self.copier, unused, self.clock, max_age_s
        )

    @property
    def wall(self) -> int:
        return self.clock.now().wall


@pytest.mark.parametrize(
    ("ago_ms", "max_age_s", "is_young"),
    [(0, 3_600, True), (HOUR_MS, 3_600, True), (HOUR_MS + 1_000, 3_600, False), (1_000 * HOUR_MS, 0, True),
     (-60_000, 3_600, True)],
)  # fmt: skip
async def test_a_start_goes_on_only_by_a_young_copy(ago_ms: int, max_age_s: int, is_young: bool) -> None:
    machine = Machine(max_age_s=max_age_s)
    machine.copy.at = machine.wall - ago_ms
    found = await machine.without.obstacle()
    assert found is None if is_young else "3601 s ago" in str(found)


async def test_the_age_of_a_copy_is_unknown_where_the_clock_is_behind_it() -> None:
    """A machine that boots with a clock of before its last run may have been off for any time."""
    for max_age_s, why in ((3_600, "the clock is 61 s behind what this switch noted last"), (0, "None")):
        machine = Machine(max_age_s=max_age_s)
        machine.copy.at = machine.wall + 61_000
        assert str(await machine.without.obstacle()).startswith(why)


async def test_what_was_caught_up_with_is_not_caught_up_with_again() -> None:
    """A later step of the start may fail after it: the turn may then be that of the recorder, which books."""
    parts = {name: AsyncMock() for name in ("balances", "overrides", "watch", "terms", "node")}
    for name, plain in (("balances", "adopt_last_known"), ("overrides", "restore"), ("watch", "wait")):
        setattr(parts[name], plain, Mock())
    parts["overrides"].apply_again = parts["watch"].caught_up = Mock()
    machine, turn = Machine(), asyncio.Lock()
    without = WithoutDatabase(
        parts["balances"], parts["overrides"], cast("Any", SimpleNamespace(turn=turn)), parts["watch"],
        parts["terms"], machine.copier, parts["node"], machine.clock, 3_600,
    )  # fmt: skip
    await without.begin()
    assert turn.locked()
    parts["balances"].adopt_anew.side_effect = StoreUnavailable("away again")
    with pytest.raises(StoreUnavailable):
        await without.catch_up()
    assert turn.locked(), "nothing is booked by balances of before"
    parts["balances"].adopt_anew.side_effect = None
    await without.catch_up()
    assert not turn.locked()
    async with turn:
        await without.catch_up()
        assert turn.locked()
    assert parts["balances"].adopt_anew.await_count == 2


async def test_a_copy_without_a_time_or_balances_and_one_that_cannot_be_read_are_no_base() -> None:
    assert "ran last unknown" in str(await Machine(at=None).without.obstacle())
    assert "cannot be read" in str(await Machine(copy=Unreadable()).without.obstacle())
    empty = Machine(at=0, max_age_s=0)
    empty.copy.by_account.clear()
    assert "no earlier run" in str(await empty.without.obstacle())


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_copy_is_as_old_as_the_last_run_that_took_calls(refuses: bool) -> None:
    """A switch that has lost its lease knows nothing of what the other one does."""
    machine = Machine()
    machine.watch.refuses_calls = refuses
    task = asyncio.create_task(machine.without.run())
    await asyncio.sleep(0)
    machine.clock.move_to(machine.clock.now().mono + 30_000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await machine.without.copy_all()
    assert machine.copy.at == (None if refuses else machine.wall), "noted at the stop, too"


@pytest.mark.parametrize("why", ["a comparison is due", "the disk is full"])
async def test_a_copy_that_lacks_changes_is_not_of_now(why: str) -> None:
    machine = Machine()
    machine.balances.adopt_last_known({"acme": account("acme")}, [])
    machine.balances.note_changed(["acme"])
    machine.may_write, machine.copy.is_full = why != "a comparison is due", why == "the disk is full"
    assert not await machine.without.copy_all()
    assert machine.copy.at is None
    machine.may_write, machine.copy.is_full = True, False
    assert await machine.without.copy_all()
    machine.may_write = False  # a comparison with a database that is away: the copy still has all
    machine.clock.move_to(machine.clock.now().mono + 30_000)
    assert await machine.without.copy_all()
    assert machine.copy.at == machine.wall


async def test_a_copy_on_a_disk_that_is_slower_than_bookings_is_of_the_moment_at_which_its_writing_began() -> None:
    """Calls are booked on the account while the copy is written, each time."""
    machine = Machine()
    began, names = machine.wall, [f"a{number}" for number in range(NOTED_AT_ONCE + 1)]
    machine.balances.adopt_last_known({name: account(name) for name in names}, [])
    machine.balances.note_changed(names)
    note, written = machine.copy.note, []

    async def note_slowly(standings: Sequence[LastStanding]) -> bool:
        written.append(len(standings))
        machine.clock.move_to(machine.clock.now().mono + 1_000)
        machine.balances.note_changed(names)
        return await note(standings) and len(written) < 5

    machine.copy.note = note_slowly  # type: ignore[method-assign]
    assert await machine.without.copy_all()
    assert machine.copy.at == began < machine.wall
    assert written == [NOTED_AT_ONCE, 1]
    assert await machine.without.copy_all()
    assert machine.copy.at == began + 2_000
