"""Turns of log-ins: each source in its turn, whatever others have waiting; time is counted in hashes."""

import asyncio

import pytest
from doubles.turns import turns

from vosd.admin.office.log_in_turns import ROOM, LogInSource, LogInStanding, LogInTurns, TooManyLogInsError

OFFICE = "192.0.2.7"
PLACES, PLACES_OF_SOURCE = ROOM[LogInStanding.NEW]
SUSPECT_PLACES, PLACES_OF_SUSPECT = ROOM[LogInStanding.FAILED]


class Door:
    """Log-ins by their sources; a hash ends when the test says so."""

    def __init__(self) -> None:
        self.turns = LogInTurns()
        self.looked_at: list[str] = []
        self._end = asyncio.Event()

    def come(
        self, source: str, network: str | None = None, *, standing: LogInStanding = LogInStanding.NEW
    ) -> asyncio.Task[None]:
        """Log in from a source that is a network of its own, or in the one that is given."""
        return asyncio.create_task(self._log_in(LogInSource(source, network or source), standing), name=source)

    async def _log_in(self, source: LogInSource, standing: LogInStanding) -> None:
        async with self.turns.turn(source, standing):
            self.looked_at.append(source.address)
            await self._end.wait()
            self._end.clear()

    async def hash(self, count: int = 1) -> None:
        for _ in range(count):
            self._end.set()
            await settled()


async def settled() -> None:
    """Let each task come as far as it can."""
    await turns(6)


async def refused(*log_ins: asyncio.Task[None]) -> list[str]:
    await settled()
    ended = [each for each in log_ins if each.done()]
    return [each.get_name() for each in ended if isinstance(each.exception(), TooManyLogInsError)]


async def test_a_source_with_many_log_ins_makes_another_one_wait_for_one_of_them():
    door = Door()
    flood = [door.come("a") for _ in range(PLACES_OF_SOURCE)]
    mine = door.come(OFFICE)
    await settled()
    await door.hash(3)
    assert OFFICE in door.looked_at[:3]
    assert mine.done()
    await door.hash(PLACES_OF_SOURCE)
    assert await refused(*flood, mine) == []


@pytest.mark.parametrize("sources", [1, 2, 3, 15, PLACES - 1])
async def test_a_person_gets_in_while_any_number_of_sources_log_in_all_the_time(sources):
    """Each of them has as many waiting as it may, and fills a place as soon as it is free."""
    door = Door()
    names = [f"a{number}" for number in range(sources)]

    async def fill() -> None:
        for _ in range(PLACES_OF_SOURCE):
            log_ins = [door.come(name) for name in names]
            await refused(*log_ins)

    await fill()
    for _ in range(3):
        mine = door.come(OFFICE)
        for _ in range(sources + 2):  # the one that is looked at, one of each, and its own
            assert await refused(mine) == []
            await fill()
            await door.hash()
        assert mine.done()


async def test_all_people_of_an_office_get_in_beside_one_source_that_logs_in_all_the_time():
    door = Door()
    flood = [door.come("a") for _ in range(PLACES_OF_SOURCE)]
    office = [door.come(OFFICE) for _ in range(PLACES_OF_SOURCE)]
    assert await refused(*flood, *office) == []
    for _ in range(2 * PLACES_OF_SOURCE + 1):
        door.come("a")
        await settled()
        await door.hash()
    assert all(each.done() for each in office)
    assert await refused(*office) == []


@pytest.mark.parametrize("standing", [LogInStanding.NEW, LogInStanding.BESIDE_FAILED, LogInStanding.FAILED])
async def test_a_person_gets_in_while_a_network_logs_in_from_a_new_source_each_time(standing):
    door = Door()
    numbers = iter(range(1_000_000))

    async def fill() -> None:
        log_ins = [door.come(f"s{next(numbers)}", "2001:db8:1::/48", standing=standing) for _ in range(60)]
        await refused(*log_ins)

    await fill()
    for count in (1, ROOM[standing].of_source):
        mine = [door.come(OFFICE, standing=standing) for _ in range(count)]
        for _ in range(2 * len(mine) + 2):
            assert await refused(*mine) == []
            await fill()
            await door.hash()
        assert all(each.done() for each in mine)


@pytest.mark.parametrize("standing", [LogInStanding.NEW, LogInStanding.BESIDE_FAILED, LogInStanding.FAILED])
async def test_a_source_with_a_success_lately_gets_in_while_any_number_of_networks_log_in_all_the_time(standing):
    door = Door()
    numbers = iter(range(1_000_000))

    async def fill() -> None:
        await refused(*(door.come(f"s{next(numbers)}", standing=standing) for _ in range(60)))

    await fill()
    assert await refused(door.come(OFFICE, standing=standing)) == [OFFICE]
    mine = [door.come(OFFICE, standing=LogInStanding.PROVEN) for _ in range(3)]
    for _ in range(2 * len(mine) + 2):
        assert await refused(*mine) == []
        await fill()
        await door.hash()
    assert all(each.done() for each in mine)


async def test_sources_of_a_network_do_not_take_the_places_of_another_one():
    """An office with three log-ins loses none to a network with 29, whichever source of that comes."""
    door = Door()
    office = [door.come(OFFICE) for _ in range(3)]
    others = [door.come(f"s{number}", "203.0.113.0/24") for number in range(PLACES - 3)]
    late = [door.come(f"t{number}", "203.0.113.0/24") for number in range(10)]
    assert await refused(*office, *others, *late) == [f"t{number}" for number in range(10)]
    one = door.come(OFFICE)
    assert await refused(one) == []
    assert len(await refused(*others)) == 1


async def test_sources_that_have_failed_lately_take_no_place_and_every_second_turn_of_others():
    door = Door()
    suspects = [door.come(f"s{number}", standing=LogInStanding.FAILED) for number in range(100)]
    office = [door.come(OFFICE) for _ in range(PLACES_OF_SOURCE)]
    assert len(await refused(*suspects)) == 100 - SUSPECT_PLACES
    assert await refused(*office) == []
    await door.hash(2 * PLACES_OF_SOURCE)
    assert door.looked_at[: 2 * PLACES_OF_SOURCE].count(OFFICE) >= PLACES_OF_SOURCE - 1
    await door.hash()
    assert all(each.done() for each in office)
    twice = [door.come("s", standing=LogInStanding.FAILED) for _ in range(PLACES_OF_SUSPECT + 1)]
    assert await refused(*twice) == ["s"]


async def test_the_latest_of_the_source_with_most_places_is_refused_for_one_that_has_none():
    door = Door()
    sources = ["a", "b", "c"]
    flood = [door.come(source) for source in sources for _ in range(PLACES_OF_SOURCE)]
    gone = await refused(*flood)
    assert len(gone) == len(sources) * PLACES_OF_SOURCE - PLACES
    mine = door.come(OFFICE)
    again = await refused(*flood)
    assert len(again) == len(gone) + 1
    assert await refused(mine) == []
    left = {source: PLACES_OF_SOURCE - again.count(source) for source in sources}
    assert max(left.values()) - min(left.values()) <= 1


async def test_clients_that_go_away_give_their_places_and_turns_back():
    door = Door()
    for _ in range(3):
        log_ins = [door.come("a") for _ in range(PLACES_OF_SOURCE)]
        await settled()
        for each in log_ins:
            each.cancel()
        await settled()
    going, mine = door.come("a"), door.come(OFFICE)
    await settled()
    door._end.set()
    await asyncio.sleep(0)  # the first one ends, and the second one is given its turn
    going.cancel()
    await settled()
    await door.hash()
    assert mine.done()
    assert await refused(mine) == []
