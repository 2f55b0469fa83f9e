"""Requests to RADIUS servers that are well, silent, slow to come back, or not who they say."""

import asyncio
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Any

import pytest
from doubles.radius_server import RadiusServer as FakeServer
from doubles.silent_names import SilentNames
from doubles.turns import until
from structlog.testing import capture_logs

from vosd.base.clock import Instant
from vosd.base.secret import Secret
from vosd.engine.clock import SystemClock
from vosd.engine.radius import client as module
from vosd.engine.radius.client import RadiusClient, RadiusUnreachableError
from vosd.radius.packets import RadiusCode
from vosd.radius.servers import ChosenServer, DeathRules
from vosd.radius.settings import RadiusPurpose, RadiusServer, RadiusSettings

PATIENCE_MS = 20_000
"""Time limit of requests that are answered."""
SOON_MS = 1_500
"""Time limit where one server is silent and another one answers, on a busy machine, too."""


def settings_of(*servers: FakeServer, **others: Any) -> RadiusSettings:
    listed = tuple(RadiusServer("127.0.0.1", Secret("between us"), each.port, each.port) for each in servers)
    return RadiusSettings(listed, "sw1", **{"timeout_ms": PATIENCE_MS, **others})


def client_of(*servers: FakeServer, **others: Any) -> RadiusClient:
    return RadiusClient(SystemClock(), RadiusPurpose.ACCOUNTING, settings_of(*servers, **others))


def stop(_wall_ms: int) -> list[tuple[str, str | int]]:
    return [("Acct-Status-Type", "Stop"), ("Acct-Session-Id", "one")]


async def account(client: RadiusClient, attributes: Callable[[int], Any] = stop) -> RadiusCode:
    return (await client.ask(RadiusCode.ACCOUNTING_REQUEST, attributes)).code


async def test_a_server_is_asked_and_answers():
    with FakeServer() as server:
        client = client_of(server)
        assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        (packet,) = server.packets
        assert (packet.status, packet.text(44), packet.text(32)) == ("Stop", "one", "sw1")
        assert server.faults == []
        client.close()


@pytest.mark.parametrize(("address", "number"), [("192.0.2.1", 4), ("2001:db8::1", 95)])
async def test_a_request_has_the_address_of_the_switch_in_the_attribute_of_its_family(address, number):
    """By RFC 3162 section 2.1 there are two of them."""
    with FakeServer() as server:
        client = client_of(server, nas_address=address)
        assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        (packet,) = server.packets
        assert [(each, value) for each, value in packet.attributes if each in {4, 95}] == [
            (number, ip_address(address).packed)
        ]
        client.close()


async def test_a_repetition_has_the_bytes_of_the_first_transmission():
    with FakeServer() as server:
        server.silent = True
        client = client_of(server, timeout_ms=20, tries=4)
        with pytest.raises(RadiusUnreachableError, match="no answer in time"):
            await account(client)
        await asyncio.to_thread(server.wait_for, 1)
        await until(lambda: server.repeated >= 3)
        assert len(server.packets) == 1
        assert client.failed_total == 1
        client.close()


async def test_the_next_server_is_asked_and_a_dead_one_is_not_asked_again():
    with FakeServer() as first, FakeServer() as second:
        first.silent = True
        client = client_of(first, second, timeout_ms=SOON_MS, tries=1, rules=DeathRules(failures=1))
        with capture_logs() as logs:
            assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
            assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        assert len(first.packets) == 1
        assert len(second.packets) == 2
        assert client.dead == 1
        (line,) = [each for each in logs if each["event"] == "radius_unreachable"]
        assert (line["server"], line["purpose"]) == ("127.0.0.1", "accounting")
        with capture_logs() as logs:
            client.adjust(None)
        assert [each["event"] for each in logs] == ["radius_reached"], "it is none of ours any more"


async def test_a_server_that_is_back_is_taken_into_service_after_two_answers():
    with FakeServer() as server:
        server.silent = True
        client = client_of(server, timeout_ms=SOON_MS, tries=1, rules=DeathRules(failures=1, dead_ms=0))
        with pytest.raises(RadiusUnreachableError):
            await account(client)
        server.silent = False
        client.adjust(settings_of(server, rules=DeathRules(failures=1, dead_ms=0), timeout_ms=SOON_MS, tries=1))
        assert client.dead == 1, "the same settings change nothing"
        with capture_logs() as logs:
            await account(client)
            assert (client.dead, logs) == (1, [])
            await account(client)
        assert client.dead == 0
        assert [each["event"] for each in logs] == ["radius_reached"]
        client.close()


async def test_a_server_that_answers_meanwhile_is_in_service():
    """Two delayed rejects in a row are no outage."""
    with FakeServer() as server:
        client = client_of(server, timeout_ms=SOON_MS, tries=1)
        server.works = True
        slow = [asyncio.create_task(account(client)) for _ in range(2)]
        await asyncio.to_thread(server.wait_for, 2)
        server.works = False
        assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        for each in slow:
            with pytest.raises(RadiusUnreachableError, match="no answer in time"):
                await each
        assert client.dead == 0
        client.close()


async def test_a_late_answer_ends_the_rest_of_a_server():
    with FakeServer() as first, FakeServer() as second:
        rules = DeathRules(failures=1, dead_ms=600_000)
        client = client_of(first, second, timeout_ms=SOON_MS, tries=1, rules=rules)
        first.works = True
        for _ in range(2):
            assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        assert (client.dead, len(first.packets)) == (1, 1)
        first.answer()
        await until(lambda: not client._choice._servers[0].rests_until)
        assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        await asyncio.to_thread(first.wait_for, 2)
        assert (len(first.packets), len(second.packets)) == (2, 3)
        client.close()


async def test_late_answers_to_trials_bring_a_server_back():
    with FakeServer() as server, capture_logs() as logs:
        client = client_of(server, timeout_ms=50, tries=1, rules=DeathRules(failures=1, dead_ms=0))
        server.works = True
        for _ in range(3):
            with pytest.raises(RadiusUnreachableError, match="no answer in time"):
                await account(client)
        assert client.dead == 1
        server.answer()
        await until(lambda: client.dead == 0)
        client.close()
    assert [each["event"] for each in logs] == ["radius_unreachable", "radius_reached"]


async def test_a_record_that_no_server_takes_ends_the_service_of_none():
    """The first one lives, for it answers others; the next one is asked of nothing else, and could not come back."""

    class Picky(FakeServer):
        def _take(self, data: bytes, source: Any) -> None:
            if b"unwanted" not in data:
                super()._take(data, source)

    def unwanted(_wall_ms: int) -> list[tuple[str, str | int]]:
        return [("Acct-Status-Type", "Stop"), ("Acct-Session-Id", "unwanted")]

    with Picky() as first, Picky() as second:
        client = client_of(first, second, timeout_ms=SOON_MS, tries=1, rules=DeathRules(failures=1))
        asked = asyncio.ensure_future(account(client, unwanted))
        await asyncio.sleep(0)
        assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        with pytest.raises(RadiusUnreachableError):
            await asked
        assert client.dead == 0
        client.close()


async def test_a_server_behind_one_that_is_well_comes_back():
    """Nothing but its trials is ever sent to it, and no request waits for them."""
    with FakeServer() as first, FakeServer() as second, capture_logs() as logs:
        second.works = True
        client = client_of(first, second, rules=DeathRules(failures=1, dead_ms=0))
        client._choice.failed(ChosenServer(1, is_trial=False), 0)
        for _ in range(3):
            assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        await asyncio.to_thread(second.wait_for, 1)
        second.answer()
        await until(lambda: not client._trials)
        assert (client.dead, len(first.packets), len(second.packets)) == (1, 3, 1)
        assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        await until(lambda: client.dead == 0)
        assert (len(first.packets), len(second.packets), logs) == (4, 2, [])
        client.close()


async def test_a_trial_that_is_under_way_ends_with_its_client():
    with FakeServer() as first, FakeServer() as second:
        second.silent = True
        client = client_of(first, second, rules=DeathRules(failures=1, dead_ms=0))
        client._choice.failed(ChosenServer(1, is_trial=False), 0)
        assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        await asyncio.to_thread(second.wait_for, 1)
        client.close()
        await until(lambda: not client._trials)


@pytest.mark.parametrize(("is_doubtful", "dead"), [(False, [0]), (True, [])])
async def test_a_request_that_no_server_answers_counts_once_against_the_first(is_doubtful: bool, dead: list[int]):
    with FakeServer() as first, FakeServer() as second:
        first.silent = second.silent = True
        client = client_of(first, second, timeout_ms=20, tries=1, rules=DeathRules(failures=1))
        with pytest.raises(RadiusUnreachableError):
            await client.ask(RadiusCode.ACCOUNTING_REQUEST, stop, is_doubtful=is_doubtful)
        await asyncio.to_thread(second.wait_for, 1)
        assert client._choice.dead == dead
        client.close()


@pytest.mark.parametrize(("tries", "trial_s"), [(1, 0.05), (2, 0.1), (3, 0.1)])
async def test_a_trial_takes_no_longer_than_a_question(monkeypatch: pytest.MonkeyPatch, tries: int, trial_s: float):
    """The deadline of a call is longer than a question: a trial beyond it would refuse the call, and begin again."""
    ask, waited = module._Socket.ask, []

    async def noted(asked: Any, made: Any, timeout_s: float, sendings: int, *others: Any) -> Any:
        waited.append((timeout_s, sendings))
        return await ask(asked, made, timeout_s, sendings, *others)

    monkeypatch.setattr(module._Socket, "ask", noted)
    with FakeServer() as server:
        server.silent = True
        client = client_of(server, timeout_ms=50, tries=tries, rules=DeathRules(failures=1, dead_ms=0))
        for _ in range(2):
            with pytest.raises(RadiusUnreachableError):
                await account(client)
        assert waited == [(0.05, tries), (trial_s, 1)]
        client.close()


async def test_a_server_that_works_for_long_gets_a_record_once():
    with FakeServer() as server, capture_logs() as logs:
        client = client_of(server, timeout_ms=50, tries=100)
        server.works = True
        asked = asyncio.create_task(account(client))
        await until(lambda: server.repeated >= 2)
        server.answer()
        assert await asked is RadiusCode.ACCOUNTING_RESPONSE
        assert (len(server.packets), logs) == (1, [])
        client.close()


async def test_an_answer_that_comes_again_says_nothing_of_the_server():
    with FakeServer() as server:
        client = client_of(server)
        assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        (link,) = client._links
        (made,) = link._sockets
        ((request, _),) = made._sent.values()
        (answer,) = server._answers.values()
        with capture_logs() as logs:
            made._match(answer)
        assert (link.replies, logs) == (1, [])
        assert request.reply(answer).code is RadiusCode.ACCOUNTING_RESPONSE
        client.close()


async def test_where_nothing_listens_the_next_server_is_asked_at_once():
    with FakeServer() as gone:
        pass
    with FakeServer() as server:
        client = client_of(gone, server)  # with the patience of these tests it would be waited for
        async with asyncio.timeout(PATIENCE_MS / 2_000):
            assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        client.close()


class LaterClock(SystemClock):
    """The system's clock, moved by the test."""

    later_ms = 0

    def now(self) -> Instant:
        return super().now().plus(self.later_ms)


async def test_a_server_may_have_a_name_whose_address_moves(monkeypatch: pytest.MonkeyPatch):
    with FakeServer() as server:
        clock = LaterClock()
        found: list[str] = []
        asked: list[str] = []

        def look_up(name: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
            asked.append(name)
            if not found:
                raise OSError("no such name")
            return [(2, 2, 17, "", (each, port)) for each in found]

        monkeypatch.setattr(module.socket, "getaddrinfo", look_up)
        named = RadiusServer("aaa.example.net", Secret("between us"), server.port, server.port)
        settings = RadiusSettings((named,), "sw1", timeout_ms=PATIENCE_MS, rules=DeathRules(failures=9))
        client = RadiusClient(clock, RadiusPurpose.ACCOUNTING, settings)
        with capture_logs() as logs, pytest.raises(RadiusUnreachableError, match=r"aaa\.example\.net has no address"):
            await account(client)
        assert [each["event"] for each in logs] == ["radius_name_not_found"]
        found[:] = ["127.0.0.1"]
        for _ in range(3):
            assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        assert asked == ["aaa.example.net"] * 2, "once in a minute"
        (link,) = client._links
        (before,) = link._sockets
        clock.later_ms += module.NAME_MS
        found[:] = ["127.0.0.9", "127.0.0.1"]
        await account(client)
        assert link._lookup is None or await link._lookup is None
        assert link._sockets == [before], "the address in use is still one of the name"
        clock.later_ms += module.NAME_MS
        found[:] = ["127.0.0.9"]
        await account(client)  # by the address that was known; the next request has the new one
        await until(lambda: link._lookup is None)
        assert (link.address, link._sockets) == ("127.0.0.9", [])
        assert before._socket.fileno() == -1, "nothing is open on it any more"
        client.close()


async def test_the_next_address_of_a_name_is_asked_where_one_does_not_answer(monkeypatch: pytest.MonkeyPatch):
    def look_up(_name: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(2, 2, 17, "", (each, port)) for each in ("127.0.0.8", "127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr(module.socket, "getaddrinfo", look_up)
    with FakeServer() as server:
        named = RadiusServer("aaa.example.net", Secret("between us"), server.port, server.port)
        rules = DeathRules(failures=2, dead_ms=0)
        settings = RadiusSettings((named,), "sw1", timeout_ms=PATIENCE_MS, rules=rules)
        client = RadiusClient(SystemClock(), RadiusPurpose.ACCOUNTING, settings)
        for _ in range(3):  # two take it out of service, the third is a trial at the second address
            with pytest.raises(RadiusUnreachableError):
                await account(client)
        for _ in range(2):
            assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        assert client.dead == 0
        assert len(server.packets) == 2
        client.close()


async def test_a_record_that_is_never_answered_moves_no_name_from_an_address_that_answers(
    monkeypatch: pytest.MonkeyPatch,
):
    def look_up(_name: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(2, 2, 17, "", (each, port)) for each in ("127.0.0.1", "127.0.0.9")]

    monkeypatch.setattr(module.socket, "getaddrinfo", look_up)
    with FakeServer() as server:
        named = RadiusServer("aaa.example.net", Secret("between us"), server.port, server.port)
        settings = RadiusSettings((named,), "sw1", timeout_ms=SOON_MS, tries=1)
        client = RadiusClient(SystemClock(), RadiusPurpose.ACCOUNTING, settings)
        await account(client)
        server.silent = True
        with pytest.raises(RadiusUnreachableError):
            await client.ask(RadiusCode.ACCOUNTING_REQUEST, stop, is_doubtful=True)
        server.silent = False
        assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        client.close()


async def test_a_record_that_fails_again_is_put_to_all_addresses_of_a_name(monkeypatch: pytest.MonkeyPatch):
    def look_up(_name: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(2, 2, 17, "", (each, port)) for each in ("127.0.0.1", "127.0.0.9")]

    monkeypatch.setattr(module.socket, "getaddrinfo", look_up)
    with FakeServer() as first, FakeServer(at=("127.0.0.9", first.port)) as second:
        named = RadiusServer("aaa.example.net", Secret("between us"), first.port, first.port)
        settings = RadiusSettings((named,), "sw1", timeout_ms=SOON_MS, tries=1)
        client = RadiusClient(SystemClock(), RadiusPurpose.ACCOUNTING, settings)
        await account(client)
        first.silent = True
        with pytest.raises(RadiusUnreachableError):
            await account(client)
        await client.ask(RadiusCode.ACCOUNTING_REQUEST, stop, is_doubtful=True)
        assert (len(first.packets), len(second.packets)) == (3, 1)
        await account(client)
        assert (len(first.packets), len(second.packets)) == (3, 2), "the address that has answered is in use"
        client.close()


async def test_an_address_that_answers_is_asked_though_the_name_has_moved_to_a_dead_one(
    monkeypatch: pytest.MonkeyPatch,
):
    def look_up(_name: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(2, 2, 17, "", (each, port)) for each in ("127.0.0.1", "127.0.0.8", "127.0.0.9")]

    monkeypatch.setattr(module.socket, "getaddrinfo", look_up)
    with FakeServer() as first, FakeServer(at=("127.0.0.9", first.port)) as third:
        named = RadiusServer("aaa.example.net", Secret("between us"), first.port, first.port)
        settings = RadiusSettings((named,), "sw1", timeout_ms=SOON_MS, tries=1)
        client = RadiusClient(SystemClock(), RadiusPurpose.ACCOUNTING, settings)
        first.silent = True
        asked = asyncio.create_task(client.ask(RadiusCode.ACCOUNTING_REQUEST, stop, is_doubtful=True))
        await until(lambda: len(first.packets) == 1)
        client._links[0].try_next_address()  # as others do that were asked meanwhile
        assert (await asked).code is RadiusCode.ACCOUNTING_RESPONSE
        assert (client._links[0].address, len(third.packets)) == ("127.0.0.9", 1)
        client.close()


async def test_an_address_that_answers_others_stays_in_use_where_another_one_answers_a_record(
    monkeypatch: pytest.MonkeyPatch,
):
    def look_up(_name: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(2, 2, 17, "", (each, port)) for each in ("127.0.0.1", "127.0.0.9")]

    monkeypatch.setattr(module.socket, "getaddrinfo", look_up)
    with FakeServer() as first, FakeServer(at=("127.0.0.9", first.port)) as second:
        named = RadiusServer("aaa.example.net", Secret("between us"), first.port, first.port)
        settings = RadiusSettings((named,), "sw1", timeout_ms=SOON_MS, tries=1)
        client = RadiusClient(SystemClock(), RadiusPurpose.ACCOUNTING, settings)
        first.unwritable = "one"
        asked = asyncio.create_task(client.ask(RadiusCode.ACCOUNTING_REQUEST, stop, is_doubtful=True))
        await until(lambda: len(first.packets) == 1)
        await account(client, lambda _: [("Acct-Status-Type", "Stop"), ("Acct-Session-Id", "another")])
        assert (await asked).code is RadiusCode.ACCOUNTING_RESPONSE
        assert (client._links[0].address, len(second.packets)) == ("127.0.0.1", 1)
        client.close()


async def test_a_late_answer_from_an_address_of_before_counts_for_the_record_alone(monkeypatch: pytest.MonkeyPatch):
    def look_up(_name: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(2, 2, 17, "", (each, port)) for each in ("127.0.0.1", "127.0.0.9")]

    monkeypatch.setattr(module.socket, "getaddrinfo", look_up)
    with FakeServer() as first, FakeServer() as other:
        named = RadiusServer("aaa.example.net", Secret("between us"), first.port, first.port)
        listed = (named, RadiusServer("127.0.0.1", Secret("between us"), other.port, other.port))
        settings = RadiusSettings(listed, "sw1", timeout_ms=SOON_MS, tries=1, rules=DeathRules(failures=1))
        client = RadiusClient(SystemClock(), RadiusPurpose.ACCOUNTING, settings)
        link, came = client._links[0], []
        make = partial(client._made, settings, RadiusCode.ACCOUNTING_REQUEST, stop, link.secret)
        first.works = True
        ask = asyncio.create_task(link.ask("127.0.0.1", make, PATIENCE_MS, 1, came.append, is_repeated=False))
        await client.ask(RadiusCode.ACCOUNTING_REQUEST, stop, lambda: came.append("late"))
        assert (link.address, client.dead) == ("127.0.0.9", 1)
        first.answer()
        assert (await ask)[1] == "127.0.0.1"
        await until(lambda: came == ["late"])
        assert link.replies == 0
        assert client._choice.trials(set(), SystemClock().now().mono) == [], "it rests all the same"
        client.close()


async def test_an_answer_from_an_address_of_before_brings_no_server_back():
    with FakeServer() as server:
        rules = DeathRules(failures=1, dead_ms=0, successes=1)
        client = client_of(server, timeout_ms=SOON_MS, tries=1, rules=rules)
        server.silent = True
        with pytest.raises(RadiusUnreachableError):
            await account(client)
        server.silent, server.works = False, True
        trial = asyncio.create_task(account(client))
        await until(lambda: len(server.packets) == 2)
        client._links[0]._move("127.0.0.9")
        server.answer()
        assert await trial is RadiusCode.ACCOUNTING_RESPONSE
        assert client.dead == 1
        client.close()


async def test_the_silence_of_an_address_of_before_takes_no_server_out_of_service():
    with FakeServer() as server:
        client = client_of(server, timeout_ms=SOON_MS, tries=1, rules=DeathRules(failures=1))
        server.silent = True
        asked = asyncio.create_task(account(client))
        await until(lambda: bool(server.packets))
        client._links[0]._move("127.0.0.9")
        with pytest.raises(RadiusUnreachableError):
            await asked
        assert client.dead == 0
        client.close()


async def test_names_that_are_not_found_hold_up_no_other_server(monkeypatch: pytest.MonkeyPatch):
    resolver = SilentNames(monkeypatch)
    resolver.dead = {f"dead{number}.example" for number in range(3)}
    with FakeServer() as server:
        listed = [RadiusServer(each, Secret("x"), server.port, server.port) for each in sorted(resolver.dead)]
        others = RadiusClient(
            SystemClock(), RadiusPurpose.ACCOUNTING, RadiusSettings(tuple(listed), "sw1", timeout_ms=20)
        )
        good = RadiusServer("good.example", Secret("between us"), server.port, server.port)
        client = RadiusClient(
            SystemClock(), RadiusPurpose.ACCOUNTING, RadiusSettings((good,), "sw1", timeout_ms=PATIENCE_MS)
        )
        try:
            with pytest.raises(RadiusUnreachableError, match="has no address"):
                await account(others)
            assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
            assert resolver.asked == dict.fromkeys([*resolver.dead, "good.example"], 1)
        finally:
            resolver.released.set()
            others.close()
            client.close()


async def test_text_that_is_no_name_leads_to_no_server():
    wrong = RadiusServer("a" * 64 + ".example", Secret("x"), 1, 1)
    client = RadiusClient(SystemClock(), RadiusPurpose.ACCOUNTING, RadiusSettings((wrong,), "sw1"))
    with capture_logs() as logs:
        with pytest.raises(RadiusUnreachableError, match="has no address"):
            await account(client)
        await until(lambda: bool(logs))  # a busy machine may take longer for the name than the request waits
    assert [each["event"] for each in logs] == ["radius_name_not_found"]
    client.close()


async def test_a_forged_answer_is_dropped_and_the_right_one_taken():
    with FakeServer(users={"2001": "x"}) as server:
        server.forged = b"guessed"
        client = RadiusClient(SystemClock(), RadiusPurpose.AUTHENTICATION, settings_of(server))
        with capture_logs() as logs:
            reply = await client.ask(RadiusCode.ACCESS_REQUEST, lambda _: [("User-Name", "2001")])
        assert reply.code is RadiusCode.ACCESS_REJECT
        assert [each["event"] for each in logs] == ["radius_reply_rejected"]
        assert server.faults == []
        client.close()


async def test_more_requests_than_identifiers_are_open_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "IDENTIFIERS", 4)
    with FakeServer() as server:
        client = client_of(server)

        async def ask(number: int) -> RadiusCode:
            return await account(client, lambda _: [("Acct-Status-Type", "Stop"), ("Acct-Session-Id", str(number))])

        assert set(await asyncio.gather(*map(ask, range(32)))) == {RadiusCode.ACCOUNTING_RESPONSE}
        assert {packet.text(44) for packet in server.packets} == set(map(str, range(32)))
        server.silent = True
        asking = [asyncio.ensure_future(ask(number)) for number in range(40)]
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_EXCEPTION)
        assert "too many" in str(next(iter(done)).exception())
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        client.close()


async def test_without_servers_there_is_no_answer():
    client = RadiusClient(SystemClock(), RadiusPurpose.ACCOUNTING, None)
    with pytest.raises(RadiusUnreachableError):
        await account(client)


async def test_a_request_that_is_open_at_a_reload_goes_to_no_server_from_before():
    with FakeServer() as first, FakeServer() as second, FakeServer() as new:
        first.silent = True
        client = client_of(first, second)
        asked = asyncio.create_task(account(client))
        await asyncio.to_thread(first.wait_for, 1)
        client.adjust(settings_of(new))
        with pytest.raises(RadiusUnreachableError, match="the servers have changed"):
            await asked
        assert (second.packets, new.packets) == ([], [])
        assert await account(client) is RadiusCode.ACCOUNTING_RESPONSE
        client.close()
