"""Names of hosts: look-ups of one host are joined, and a name server that is silent concerns no other host."""

import asyncio
import gc
import socket

import pytest
from doubles.silent_names import SilentNames
from doubles.turns import until

from vosd.engine import host_names as module
from vosd.engine.host_names import HostNames

PATIENCE_S = 20


@pytest.fixture
def resolver(monkeypatch):
    resolver = SilentNames(monkeypatch)
    yield resolver
    resolver.released.set()


async def given_up(names, host):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await names.addresses(host)


async def test_those_who_ask_for_a_host_join_its_look_up(resolver):
    names, resolver.dead = HostNames(1, "names"), {"slow.example"}
    waiting = [asyncio.create_task(names.addresses("slow.example")) for _ in range(3)]
    await asyncio.sleep(0)
    assert names.is_open("slow.example")
    resolver.released.set()
    found = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), PATIENCE_S)
    assert [type(each) for each in found] == [socket.gaierror] * 3
    assert resolver.asked == {"slow.example": 1}
    assert not names.is_open("slow.example")


async def test_hosts_that_are_not_found_leave_a_thread_to_another(resolver):
    names = HostNames(4, "names")
    resolver.dead = {f"dead{number}.example" for number in range(3)}
    for host in sorted(resolver.dead) * 3:
        await given_up(names, host)
        assert names.is_open(host)
    assert await asyncio.wait_for(names.addresses("good.example"), PATIENCE_S) == ["127.0.0.1"]
    assert resolver.asked == dict.fromkeys([*resolver.dead, "good.example"], 1)


async def test_no_look_up_waits_for_a_thread(resolver):
    names = HostNames(2, "names")
    resolver.dead = {"a.example", "b.example"}
    for host in sorted(resolver.dead):
        await given_up(names, host)
    with pytest.raises(OSError, match="2 other names are being looked up"):
        await names.addresses("good.example")
    resolver.released.set()
    await until(lambda: not names.is_open("a.example"))
    async with asyncio.timeout(PATIENCE_S):
        assert await names.addresses("good.example") == ["127.0.0.1"]


async def test_an_error_that_comes_when_none_waits_is_no_warning(resolver):
    warnings = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: warnings.append(context["message"]))
    names, resolver.dead = HostNames(1, "names"), {"dead.example"}
    await given_up(names, "dead.example")
    resolver.released.set()
    with pytest.raises(socket.gaierror):
        await asyncio.wait_for(names.addresses("dead.example"), PATIENCE_S)
    await asyncio.sleep(0)
    gc.collect()
    assert warnings == []


async def test_addresses_are_given_again_for_a_while_and_errors_are_not(resolver, monkeypatch):
    monkeypatch.setattr(module, "KEPT_MAX", 2)
    names, at_s = HostNames(1, "names", kept_s=10), [0.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: at_s[0])
    for at_s[0] in (0.0, 9.9, 10.0, 19.9, 20.0):
        assert await names.addresses("good.example") == ["127.0.0.1"]
    assert resolver.asked == {"good.example": 3}
    for host in ("b.example", "c.example"):
        await names.addresses(host)
        assert names.kept(host)
    assert not names.kept("good.example"), "the oldest"
    resolver.dead = {"dead.example"}
    resolver.released.set()
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await names.addresses("dead.example")
    assert resolver.asked["dead.example"] == 2


async def test_no_address_is_given_again_unless_that_is_asked_for(resolver):
    names = HostNames(1, "names")
    for _ in range(2):
        await names.addresses("good.example")
        assert not names.kept("good.example")
    assert resolver.asked == {"good.example": 2}


async def test_text_that_is_no_name_is_an_error_of_the_one_who_asks():
    with pytest.raises(UnicodeError):
        await HostNames(1, "names").addresses("a" * 64 + ".example")
