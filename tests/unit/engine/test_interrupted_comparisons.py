"""A comparison of the journal with a database that has lost commits, by a switch that is killed in the middle."""

import copy

import pytest
from doubles.data.builders import account
from doubles.data.records import answered_call
from doubles.memory import MemoryStore
from doubles.watched_database import ONE, OTHER, Installation, Server, booking_installation

from vosd.engine.booking import comparison
from vosd.engine.booking.database_watch import MemoFile
from vosd.engine.journal.kept import JournalPlace


@pytest.fixture
def server():
    return Server()


@pytest.fixture
async def switch(tmp_path, server):
    async with booking_installation(tmp_path, server) as switch:
        yield switch


async def test_a_switch_that_is_killed_again_and_again_gets_through_a_long_comparison(
    tmp_path, switch, server, monkeypatch
):
    """Each process lives long enough for one step, and the next goes on behind it."""
    monkeypatch.setattr(comparison, "COMPARED_AT_ONCE", 4)
    calls = [answered_call(index) for index in range(1, 11)]
    for each in calls:
        await switch.end_calls(each)
    asked = []

    class ProcessEndsError(Exception):
        """What a kill does to the process."""

    async def lacking(records):
        if len(asked) % 2:  # the first question of each process is answered
            asked.append(())
            raise ProcessEndsError
        asked.append(tuple(each.call_id for each in records))
        return await server.store.lacking(records)

    server.replace_by(MemoryStore())
    for lives in range(1, 10):
        server.now_ms += 60_000
        after = Installation(tmp_path, server)
        await after.watch.begin(ONE._replace(holder=f"holder-{lives}"))
        assert after.watch.refuses_calls
        monkeypatch.setattr(server, "lacking", lacking, raising=False)
        try:
            await after.compared()
        except ProcessEndsError:
            monkeypatch.delattr(server, "lacking", raising=False)
            continue
        break
    assert not after.watch.refuses_calls
    assert lives <= 4
    assert await server.store.lacking(calls) == []
    steps = [each for each in asked if each]
    assert len(set(steps)) == len(steps), "no step is done twice"
    assert MemoFile(tmp_path / "database.json").read().regressed is None


async def test_a_second_loss_begins_the_comparison_anew(tmp_path, switch, server, monkeypatch):
    monkeypatch.setattr(comparison, "COMPARED_AT_ONCE", 2)
    calls = [answered_call(index) for index in range(1, 9)]
    await switch.end_calls(*calls)
    server.replace_by(MemoryStore())
    await switch.watch.look()
    await switch.watch._note_mended(JournalPlace(1_000, 0))
    switch.watch._comparison_wanted.clear()
    await switch.watch._note_mended(JournalPlace(1_000, 0))
    assert switch.memo.read().mended_to == (1_000, 0)
    server.replace_by(MemoryStore())
    after = Installation(tmp_path, server)
    await after.watch.begin(OTHER)
    await after.compared()
    assert await server.store.lacking(calls) == []


async def test_a_comparison_that_is_longer_than_a_renewal_of_the_lease_ends(switch, server, monkeypatch):
    """Accounts have fewer entries than were committed until it is done: that is no reason to begin again."""
    calls = [answered_call(index) for index in range(1, 9)]
    await switch.end_calls(*calls)
    server.replace_by(MemoryStore())
    await switch.balances.adopt({name: account(name) for name in ("acme", "carrier")})
    await switch.watch.look()
    assert switch.watch.refuses_calls
    switch.recorder.behind.add("acme")

    async def lacking(records):
        await switch.watch.look()
        return await server.store.lacking(records)

    monkeypatch.setattr(server, "lacking", lacking, raising=False)
    switch.watch._comparison_wanted.clear()
    await switch.watch._compare_once()
    assert not switch.watch.refuses_calls
    assert await server.store.lacking(calls) == []


async def test_a_loss_of_what_a_comparison_had_booked_begins_it_anew(tmp_path, switch, server, monkeypatch):
    """Switch and database end at once: the memo counts what was booked up to the place that it names."""
    monkeypatch.setattr(comparison, "COMPARED_AT_ONCE", 2)
    calls = [answered_call(index) for index in range(1, 9)]
    await switch.end_calls(*calls)
    server.replace_by(MemoryStore())
    await switch.watch.look()
    before = copy.deepcopy(server.store)

    class ProcessEndsError(Exception):
        """What a kill does to the process."""

    async def lacking(records):
        if calls[-1].call_id in {each.call_id for each in records}:
            raise ProcessEndsError
        return await server.store.lacking(records)

    monkeypatch.setattr(server, "lacking", lacking, raising=False)
    switch.watch._comparison_wanted.clear()
    with pytest.raises(ProcessEndsError):
        await switch.watch._compare_once()
    monkeypatch.delattr(server, "lacking")
    assert await server.store.lacking(calls[:6]) == []
    lease = server.lease
    server.replace_by(before)
    server.lease._renewals, server.lease._epochs = lease._renewals, lease._epochs
    server.now_ms += 60_000
    after = Installation(tmp_path, server)
    await after.watch.begin(OTHER)
    await after.compared()
    assert await server.store.lacking(calls) == []


async def test_another_server_is_compared_from_the_beginning(switch, server, monkeypatch):
    """One that has taken over may lack what the other one had, though no counter shows it."""
    calls = [answered_call(index) for index in range(1, 9)]
    await switch.end_calls(*calls)
    server.replace_by(MemoryStore())
    await switch.watch.look()
    switch.watch._comparison_wanted.clear()
    await switch.watch._note_mended(JournalPlace(1_000, 0))
    hold = server.lease.hold

    async def elsewhere(claimant):
        return (await hold(claimant))._replace(server=77)

    monkeypatch.setattr(server.lease, "hold", elsewhere)
    await switch.watch.look()
    await switch.compared()
    assert await server.store.lacking(calls) == []
