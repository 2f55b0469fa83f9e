"""The cost of an answer behind a kill is owed by its account until it is booked, and not after."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.data.builders import account, applied_rate, catalogue, switch_settings
from doubles.data.records import call_id
from doubles.journals import opened
from doubles.left_legs import INVITE, PEER
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.virtual.clock import ManualClock

from vosd.cdr.lease import Claimant
from vosd.cdr.record import CallRecord
from vosd.engine.journal.entries import PlacedCall
from vosd.engine.service import SwitchService
from vosd.net.resolve import NameServerResolver
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer

ANSWER = (
    f"SIP/2.0 200 OK\r\nVia: {INVITE.via.decode()}\r\nFrom: {INVITE.from_.decode()}\r\n"
    f"To: {INVITE.to.decode()};tag=theirs\r\nCall-ID: {INVITE.call_id.decode()}\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:2@198.51.100.7>\r\nContent-Length: 0\r\n\r\n"
).encode()


@pytest.mark.parametrize("is_configured", [True, False])
async def test_it_is_owed_until_it_is_booked(tmp_path: Path, *, is_configured: bool) -> None:
    """The booking made the account richer than it is: what had not been owed was taken off what is owed."""
    clock, store = ManualClock(), MemoryStore()
    now = clock.now()
    record = CallRecord(
        call_id=call_id(1), node="sw1", routing_gateway="carrier", vendor_account="carriers", vendor_currency="USD",
        sip_call_id_out=INVITE.call_id.decode(), started_at=now.wall - 5_000, ended_at=now.wall - 5_000,
        hangup_source="switch", end_reason="Lost", sip_code=503,
    )  # fmt: skip
    journal = opened(tmp_path / "journal")
    journal.placed(PlacedCall(call_id(1), INVITE, None, record, applied_rate("0.06", billing_cycle=60)))
    journal.mark(now)
    journal.flush()
    settings = switch_settings(tmp_path)
    names = ["acme", *(["carriers"] if is_configured else [])]
    service = SwitchService(
        settings, catalogue([], accounts=[account(name) for name in names]), store, MemoryRegistrations(),
        MemoryLease(store, has_ended=lambda _: True), clock,
        [Listener("192.0.2.1", 5060, "udp", "udp:192.0.2.1:5060")], NameServerResolver((), 1, 1),
    )  # fmt: skip
    await service.database.begin(Claimant("sw1", "this", "host", 1, ""))
    await service.learn()
    await service.start()
    service.serve([lambda _data, _to: None], lambda *_who: None, lambda *_who: False, lambda *_who: False)
    service.loop.process(ANSWER, Peer(0, PEER.host, PEER.port), now)
    owed = service.balances.credits["carriers"].unbooked
    async with asyncio.timeout(60):
        await service.recorder.drained()
    assert (owed, service.balances.credits["carriers"].unbooked) == (Decimal("-0.06"), 0)
    await service.stop()
    await service.database.end()
