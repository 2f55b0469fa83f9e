"""Connections that close: what follows of that is sent at once, and nothing after a stop."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from doubles.data.builders import catalogue, phone, switch_settings
from doubles.data.registering import register_request
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.virtual.clock import ManualClock

from vosd.cdr.lease import Claimant
from vosd.engine.registration import bindings
from vosd.engine.registration.bindings import RegistrantKind
from vosd.engine.service import SwitchService
from vosd.net.resolve import NameServerResolver
from vosd.sip.device import Device
from vosd.sip.flows import Listener
from vosd.sip.transaction.client import InviteClient
from vosd.sip.wire.outgoing import InviteParts, Peer

USER, CONTACT, INSTANCE = "1001", "sip:1001@192.168.1.100:5060;transport=tcp", '"<urn:uuid:7>"'
FLOWS = Peer(0, "198.51.100.99", 40_001), Peer(0, "198.51.100.99", 40_002)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SwitchService]:
    settings = switch_settings(tmp_path)
    store = MemoryStore()
    service = SwitchService(
        settings,
        catalogue([], phones=[phone(USER)]),
        store,
        MemoryRegistrations(),
        MemoryLease(store),
        ManualClock(),
        [Listener("127.0.0.1", 5060, "tcp", "tcp:127.0.0.1:5060")],
        NameServerResolver((), 1, 1),
    )
    await service.database.begin(Claimant("sw1", "this", "host", 1, ""))
    await service.learn()
    await service.start()
    yield service
    await service.stop()
    await service.database.end()


@pytest.mark.parametrize("is_stopped", [False, True], ids=["serving", "stopped"])
async def test_a_phone_is_cancelled_over_its_other_connection_at_once(service: SwitchService, is_stopped: bool) -> None:
    sent: list[tuple[bytes, tuple[str, int]]] = []
    service.serve(
        [lambda data, to: sent.append((data, to))], lambda *_who: None, lambda *_who: True, lambda *_who: True
    )
    now = service._clock.now()
    for number, flow in enumerate(FLOWS, start=1):
        written = f"<{CONTACT}>;reg-id={number};+sip.instance={INSTANCE}"
        request = register_request(written, call_id="registrations@home", cseq=number)
        service.registrations.register(USER, RegistrantKind.PHONE, request, flow, now)
    device = Device(INSTANCE, "registrations@home")
    parts = InviteParts(
        CONTACT, "SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1", "<sip:1>;tag=a", "<sip:2>", "id", 1, FLOWS[0],
        user=USER, device=device,
    )  # fmt: skip
    invite = InviteClient.left_over(service.node.endpoint.store, "z9hG4bK1 INVITE", parts)
    invite.abandon("", now)
    service.loop.flush(now)
    assert [(data[:6], to) for data, to in sent] == [(b"CANCEL", FLOWS[0][1:])]
    if is_stopped:
        service.loop.detach()
    service.connection_closed(*FLOWS[0])
    assert [(data[:6], to) for data, to in sent[1:]] == ([] if is_stopped else [(b"CANCEL", FLOWS[1][1:])])


@pytest.mark.parametrize("connections", [1, 5])
async def test_the_registrations_on_closed_connections_are_removed_between_messages(
    service: SwitchService, monkeypatch: pytest.MonkeyPatch, connections: int
) -> None:
    monkeypatch.setattr(bindings, "AT_ONCE", 2)
    peers = [Peer(0, "198.51.100.99", 40_001 + each) for each in range(connections)]
    for each in range(5):
        request = register_request(f"<sip:u{each}@192.168.1.100:5060;transport=tcp>", call_id=str(each))
        peer = peers[each % connections]
        service.registrations.register(f"u{each}", RegistrantKind.PHONE, request, peer, service._clock.now())
    for peer in peers:
        service.connection_closed(*peer)
    left = [len(service.registrations)]
    while left[-1] and len(left) < 5:
        await asyncio.sleep(0)
        left.append(len(service.registrations))
    assert left == ([3, 1, 0] if connections == 1 else [4, 2, 0])
