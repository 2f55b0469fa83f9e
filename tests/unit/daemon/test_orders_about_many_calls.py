"""Orders about running calls that many fit: others get their turn between them."""

import asyncio
from types import SimpleNamespace

import pytest
from doubles.data import builders
from doubles.virtual.scene import Scene

from vosd.base.cause import EndReason
from vosd.control.calls import AccountCalls, CallSelection, CountCalls, Hangup, ListCalls
from vosd.daemon import commands as module
from vosd.daemon.commands import Commands
from vosd.engine.calls.snapshots import snapshot

CALLS = 5


@pytest.fixture
def scene() -> Scene:
    scene = Scene(balance="1000")
    for _ in range(CALLS):
        scene.begun_call()
    scene.wire.run_for(2_000)
    return scene


@pytest.fixture
def commands(scene: Scene) -> Commands:
    """Return the commands of a switch that ends calls at once."""

    async def end_in_turns(chosen, reason):
        await asyncio.sleep(0)
        return scene.exchange.switch.end_calls(chosen, reason, scene.exchange.clock.now())

    settings = SimpleNamespace(node="sw1")
    configuration = SimpleNamespace(loaded=SimpleNamespace(settings=settings))
    service = SimpleNamespace(switch=scene.exchange.switch, end_in_turns=end_in_turns)
    status = SimpleNamespace(service=service, silenced=None, configuration=configuration)
    return Commands(status, scene.exchange.clock)


def end(scene: Scene, chosen) -> None:
    scene.exchange.switch.end_calls(chosen, EndReason.ADMINISTRATIVE, scene.exchange.clock.now())


async def test_others_have_their_turn_while_many_calls_are_listed(scene, commands, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 2)
    first, *_, last = scene.exchange.switch.calls()

    asyncio.get_running_loop().call_soon(end, scene, [first, last])
    listed = await commands.calls(ListCalls())
    assert [each.call_id for each in listed] == [each.call_id for each in (first, *scene.exchange.switch.calls())]
    assert len(listed) == CALLS - 1


async def test_calls_of_some_customers_are_listed_and_counted_without_a_look_at_the_others(
    scene, commands, monkeypatch
):
    _, mine, gone, *_ = scene.exchange.switch.calls()
    for each in (mine, gone):
        each.call_request.account = builders.account("mine")
    end(scene, [gone])
    shown = []
    monkeypatch.setattr(module, "snapshot", lambda each, now: shown.append(each) or snapshot(each, now))
    (listed,) = await commands.calls(ListCalls(frozenset({"mine", "other"})))
    assert (listed.call_id, shown) == (mine.call_id, [mine])
    assert await commands.calls(ListCalls(frozenset())) == []
    assert len(await commands.calls(ListCalls())) == CALLS - 1

    assert await commands.count_calls(CountCalls(frozenset({"mine", "other"}))) == {"mine": AccountCalls(1, 0)}
    (vendor,) = {each.vendor_account for each in await commands.calls(ListCalls())}
    assert await commands.count_calls(CountCalls(frozenset({vendor}))) == {vendor: AccountCalls(0, CALLS - 1)}
    assert (await commands.count_calls(CountCalls())).keys() == {"mine", "acme", vendor}


async def test_others_have_their_turn_while_many_calls_are_counted(scene, commands, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 2)
    first, *_, last = scene.exchange.switch.calls()
    asyncio.get_running_loop().call_soon(end, scene, [last])
    counted = await commands.count_calls(CountCalls())
    assert counted["acme"] == AccountCalls(CALLS - 1, 0), "the last one has ended in between"
    assert not first.is_over


async def test_calls_that_end_while_those_that_fit_are_looked_for_are_not_counted(scene, commands, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 2)
    first = scene.exchange.switch.calls()[0]
    asyncio.get_running_loop().call_soon(end, scene, [first])
    outcome = await commands.hangup(Hangup(CallSelection(account="acme")))
    assert outcome.ended == outcome.fitting == CALLS - 1
    assert not scene.exchange.switch.calls()
