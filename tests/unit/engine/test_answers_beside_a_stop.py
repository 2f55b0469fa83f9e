"""Answers to questions of calls that come before the switch serves, or after its calls were kept (ADR 67)."""

from pathlib import Path

import pytest
from doubles.asking_steps import Located, ScriptedAsker, looking_up, steps_with
from doubles.data.builders import account, catalogue, mapping_gateway, routing_gateway
from doubles.data.records import answered_call, call_id
from doubles.journals import open_call, opened
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.virtual.clock import ManualClock

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.secret import Secret
from vosd.callcontrol.open_call import UNDESCRIBED
from vosd.cdr.lease import Claimant
from vosd.engine.calls.kept import as_it_was
from vosd.engine.journal import Remains
from vosd.engine.journal.earlier import read_earlier
from vosd.engine.service import SwitchService
from vosd.engine.settings import Settings
from vosd.net.resolve import NameServerResolver
from vosd.sip.flows import Listener
from vosd.sip.settings import SipSettings
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import Address

CUSTOMER, VENDOR = Peer(0, "198.51.100.10", 5060), ("203.0.113.1", 5060)
MOVED = "442071111111"
BODY = "v=0\r\no=- 1 1 IN IP4 198.51.100.10\r\ns=-\r\nc=IN IP4 198.51.100.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
INVITE = (
    "INVITE sip:442079460000@127.0.0.1 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bKone\r\n"
    "From: <sip:4930123456@198.51.100.10>;tag=a\r\nTo: <sip:442079460000@127.0.0.1>\r\n"
    "Call-ID: one@198.51.100.10\r\nCSeq: 1 INVITE\r\nContact: <sip:198.51.100.10:5060>\r\nMax-Forwards: 70\r\n"
    f"Content-Type: application/sdp\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
).encode()


class Stage:
    """A switch on a directory, whose calls ask where their number is, and the switch after it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.lease = MemoryLease(self.store, has_ended=lambda _: True)
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.begin_process()

    def begin_process(self) -> None:
        settings = Settings(
            node="sw1",
            listen=(),
            advertise=None,
            sip=SipSettings(),
            database_url=Secret(""),
            state_dir=self.directory,
            control_socket=self.directory / "unused",
        )
        vendor = routing_gateway("vendor", "44", addresses=(Address(*VENDOR),), account="carriers")
        self.asker = ScriptedAsker()
        self.service = SwitchService(
            settings,
            catalogue(
                [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor],
                accounts=[account("acme", overdraft_limit=None)],
            ),
            self.store,
            MemoryRegistrations(),
            self.lease,
            self.clock,
            [Listener("127.0.0.1", 5060, "udp", "udp:127.0.0.1:5060")],
            NameServerResolver((), 1, 1),
            steps=steps_with(looking_up()),
            asker=self.asker,
        )

    async def start(self) -> None:
        await self.service.database.begin(Claimant("sw1", str(id(self.service)), "host", 1, ""))
        await self.service.learn()
        await self.service.start()

    def serve(self) -> None:
        senders = [lambda data, to: self.sent.append((data, to))]
        self.service.serve(senders, lambda *_who: None, lambda *_who: False)

    def call(self) -> None:
        now = self.clock.now()
        assert self.service.loop.process(INVITE, CUSTOMER, now)
        self.service.loop.flush(now)

    def answer(self) -> None:
        self.service.loop.take_answer(self.asker.asked[0].ticket, Located(MOVED))

    async def stop(self) -> None:
        await self.service.stop()
        await self.service.database.end()

    def placed(self) -> list[bytes]:
        return [data for data, to in self.sent if to == VENDOR and data.startswith(b"INVITE ")]

    def left(self) -> Remains:
        return read_earlier(self.directory / "journal")[1]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_an_answer_after_the_calls_were_kept_is_left_to_the_next_process(stage):
    await stage.start()
    stage.serve()
    stage.call()
    stage.service.keep()
    stage.answer()
    await stage.stop()
    assert stage.placed() == []
    assert as_it_was(stage.left()) is not None

    stage.begin_process()
    await stage.start()
    stage.serve()
    stage.answer()
    await stage.stop()
    assert [data.split(b"@")[0].decode() for data in stage.placed()] == [f"INVITE sip:{MOVED}"]


async def test_an_answer_between_the_start_and_the_first_packet_is_used_and_sent_then(stage):
    await stage.start()
    stage.serve()
    stage.call()
    stage.service.keep()
    await stage.stop()

    stage.begin_process()
    await stage.start()
    stage.answer()
    assert stage.placed() == []
    stage.serve()
    assert len(stage.placed()) == 1
    await stage.stop()


async def test_no_failure_of_a_transport_and_no_order_ends_a_call_that_is_kept(stage):
    await stage.start()
    stage.serve()
    stage.call()
    stage.answer()
    (invite,) = stage.placed()
    stage.service.keep()
    stage.service.loop.transport_failed(0, *VENDOR)
    stage.service.loop.unsent(invite)
    stage.service.loop.undelivered(invite, Peer(0, *VENDOR))
    assert stage.service.end_calls(stage.service.switch.calls(), EndReason.ADMINISTRATIVE) == 0
    await stage.stop()
    assert as_it_was(stage.left()) is not None
    assert len(stage.service.switch.calls()) == 1


def test_behind_the_calls_that_are_kept_only_bookings_are_written(tmp_path):
    journal = opened(tmp_path / "journal")
    journal.answered(open_call(1))
    journal.ended(answered_call(2))
    journal.keep(Instant(9_000, 9_000), {call_id(1): UNDESCRIBED}, {}, b"")
    journal.moved(call_id(1), at_once=True)
    journal.ended(answered_call(1))
    assert not journal.answered(open_call(3))
    journal.left_over.all_released()
    journal.booked([call_id(2)])
    journal.close()
    remains = read_earlier(tmp_path / "journal")[1]
    assert remains.kept is not None
    assert list(remains.open_calls) == [call_id(1)]
    assert remains.unbooked == {}
