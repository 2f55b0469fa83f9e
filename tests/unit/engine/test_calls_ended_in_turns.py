"""Many calls that the switch ends at once by order, or by a stop: others have their turn between them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway, routing_gateway, switch_settings
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.base.cause import EndReason
from vosd.cdr.lease import Claimant
from vosd.engine import service as module
from vosd.engine.service import SwitchService
from vosd.net.resolve import NameServerResolver
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import Address

CALLS = 5
CUSTOMER = Peer(0, "198.51.100.10", 5060)


def invite(number: int) -> bytes:
    return (
        "INVITE sip:442079460000@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK{number}\r\n"
        f"From: <sip:4930123456@198.51.100.10>;tag={number}\r\nTo: <sip:442079460000@127.0.0.1>\r\n"
        f"Call-ID: {number}@198.51.100.10\r\nCSeq: 1 INVITE\r\nContact: <sip:198.51.100.10:5060>\r\n"
        "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SwitchService]:
    """A switch with calls that ring, which ends two at once."""
    monkeypatch.setattr(module, "ENDED_AT_ONCE", 2)
    store, clock = MemoryStore(), ManualClock()
    service = SwitchService(
        switch_settings(tmp_path),
        catalogue(
            [
                mapping_gateway("acme", f"{CUSTOMER.host}/32"),
                routing_gateway("vendor", "44", addresses=(Address("203.0.113.1", 5060),), account="carriers"),
            ],
            accounts=[account("acme", overdraft_limit=None)],
        ),
        store,
        MemoryRegistrations(),
        MemoryLease(store, has_ended=lambda _: True),
        clock,
        [Listener("127.0.0.1", 5060, "udp", "udp:127.0.0.1:5060")],
        NameServerResolver((), 1, 1),
    )
    await service.database.begin(Claimant("sw1", "this", "host", 1, ""))
    await service.learn()
    await service.start()
    service.serve([lambda *_sent: None], lambda *_who: None, lambda *_who: False, lambda *_who: False)
    for number in range(CALLS):
        assert service.loop.process(invite(number), CUSTOMER, clock.now())
    service.loop.flush(clock.now())
    assert len(service.switch.calls()) == CALLS
    yield service
    await service.stop()
    await service.database.end()


def watched(service: SwitchService) -> list[int]:
    """Return the numbers of running calls that the turns of others see."""
    seen: list[int] = []

    def look() -> None:
        seen.append(len(service.switch.calls()))
        if seen[-1]:
            asyncio.get_running_loop().call_soon(look)

    asyncio.get_running_loop().call_soon(look)
    return seen


async def test_an_order_has_ended_its_calls_when_it_says_so(service: SwitchService) -> None:
    seen = watched(service)
    assert await service.end_in_turns(service.switch.calls(), EndReason.ADMINISTRATIVE) == CALLS
    assert seen == [3, 1, 0]


async def test_a_stop_ends_the_calls_that_are_left_in_turns(service: SwitchService, monkeypatch) -> None:
    """Their peers answer our BYEs meanwhile: the sockets hold the answers to some hundreds alone."""
    monkeypatch.setattr(module, "LAST_ANSWERS_S", 0)
    seen = watched(service)
    with capture_logs() as logs:
        await service.drain(0)
    (stop,) = [each for each in logs if each["event"] == "calls_ended_by_stop"]
    assert (stop["calls"], seen[-3:]) == (CALLS, [3, 1, 0])


async def test_calls_that_were_written_for_the_next_process_are_ended_no_more(service: SwitchService) -> None:
    calls = service.switch.calls()
    await service.keep()
    assert await service.end_in_turns(calls, EndReason.ADMINISTRATIVE) == 0
