"""Answers to questions of calls, and of rtpengines, beside a start and a stop that keeps the calls (ADR 67)."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from doubles.asking_steps import Located, ScriptedAsker, looking_up, steps_with
from doubles.data.builders import account, catalogue, mapping_gateway, routing_gateway, switch_settings
from doubles.data.records import answered_call, call_id
from doubles.journals import open_call, opened
from doubles.memory.lease import MemoryLease
from doubles.memory.registrations import MemoryRegistrations
from doubles.memory.store import MemoryStore
from doubles.virtual.clock import ManualClock
from doubles.virtual.rtpengines import HOSTS, VirtualRtpEngines

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.callcontrol.open_call import UNDESCRIBED
from vosd.cdr.lease import Claimant
from vosd.engine.calls.kept import as_it_was
from vosd.engine.journal import Remains
from vosd.engine.journal.earlier import read_earlier
from vosd.engine.media.rtpengine_calls import RtpEngineCalls
from vosd.engine.service import SwitchService
from vosd.net.resolve import NameServerResolver
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import Address
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

CUSTOMER, VENDOR = Peer(0, "198.51.100.10", 5060), ("203.0.113.1", 5060)
AT_CUSTOMER = (CUSTOMER.host, CUSTOMER.port)
MOVED = "442071111111"
BODY = "v=0\r\no=- 1 1 IN IP4 198.51.100.10\r\ns=-\r\nc=IN IP4 198.51.100.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
OTHER_BODY = BODY.replace("4000", "4002")
INVITE = (
    "INVITE sip:442079460000@127.0.0.1 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bKone\r\n"
    "From: <sip:4930123456@198.51.100.10>;tag=a\r\nTo: <sip:442079460000@127.0.0.1>\r\n"
    "Call-ID: one@198.51.100.10\r\nCSeq: 1 INVITE\r\nContact: <sip:198.51.100.10:5060>\r\nMax-Forwards: 70\r\n"
    f"Content-Type: application/sdp\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
).encode()


def response(request: bytes, status: str, body: str = "") -> bytes:
    """Return a response of the vendor to a request that it was sent."""
    head = request.decode().split("\r\n\r\n")[0].split("\r\n")[1:]
    kept = [each for each in head if each.split(":")[0].lower() in {"via", "from", "to", "call-id", "cseq"}]
    kept = [f"{each};tag=v" if each.lower().startswith("to:") and ";tag=" not in each else each for each in kept]
    lines = [f"SIP/2.0 {status}", *kept, f"Contact: <sip:{VENDOR[0]}:{VENDOR[1]}>"]
    lines += ["Content-Type: application/sdp"] if body else []
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()


class Stage:
    """A switch on a directory, whose calls ask where their number is, and the switch after it."""

    def __init__(self, directory: Path, *, has_rtpengine: bool = False) -> None:
        self.directory, self.has_rtpengine = directory, has_rtpengine
        self.due: list[Callable[[], None]] = []
        """Answers of the rtpengine, which come when a test wants them."""
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.lease = MemoryLease(self.store, has_ended=lambda _: True)
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.begin_process()

    def begin_process(self) -> None:
        engines = VirtualRtpEngines()
        engines.later = lambda _ms, act: self.due.append(act)
        settings = switch_settings(self.directory)
        vendor = routing_gateway("vendor", "44", addresses=(Address(*VENDOR),), account="carriers")
        self.asker = ScriptedAsker()
        self.service = SwitchService(
            settings,
            catalogue(
                [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor],
                accounts=[account("acme", overdraft_limit=None)],
                media=MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON),
            ),
            self.store,
            MemoryRegistrations(),
            self.lease,
            self.clock,
            [Listener("127.0.0.1", 5060, "udp", "udp:127.0.0.1:5060")],
            NameServerResolver((), 1, 1),
            steps=steps_with(looking_up()),
            asker=self.asker,
            rtpengines=RtpEngineCalls(engines, "vosd-test-", self.clock) if self.has_rtpengine else None,
        )

    async def start(self) -> None:
        await self.service.database.begin(Claimant("sw1", str(id(self.service)), "host", 1, ""))
        await self.service.learn()
        await self.service.start()

    def serve(self) -> None:
        senders = [lambda data, to: self.sent.append((data, to))]
        self.service.serve(senders, lambda *_who: None, lambda *_who: False, lambda *_who: False)

    def call(self) -> None:
        now = self.clock.now()
        assert self.service.loop.process(INVITE, CUSTOMER, now)
        self.service.loop.flush(now)

    def receive(self, data: bytes, source: Peer) -> None:
        now = self.clock.now()
        self.service.loop.process(data, source, now)
        self.service.loop.flush(now)

    def let_rtpengine_answer(self) -> None:
        while self.due:
            self.due.pop(0)()

    def last(self, to: tuple[str, int], begin: bytes) -> bytes:
        return next(data for data, target in reversed(self.sent) if target == to and data.startswith(begin))

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
    await stage.service.keep()
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
    await stage.service.keep()
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
    await stage.service.keep()
    stage.service.loop.transport_failed(0, *VENDOR)
    stage.service.loop.unsent(invite)
    stage.service.loop.undelivered(invite, Peer(0, *VENDOR))
    assert stage.service.end_calls(stage.service.switch.calls(), EndReason.ADMINISTRATIVE) == 0
    await stage.stop()
    assert as_it_was(stage.left()) is not None
    assert len(stage.service.switch.calls()) == 1


def within(method: str, sequence: int, to: bytes, body: str = "") -> bytes:
    """Return a request of the caller in the dialog that a 200 has made."""
    tag = to.partition(b";tag=")[2].split(b"\r\n")[0].decode()
    return (
        f"{method} sip:127.0.0.1:5060 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK{method}{sequence}\r\n"
        f"From: <sip:4930123456@198.51.100.10>;tag=a\r\nTo: <sip:442079460000@127.0.0.1>;tag={tag}\r\n"
        f"Call-ID: one@198.51.100.10\r\nCSeq: {sequence} {method}\r\nContact: <sip:198.51.100.10:5060>\r\n"
        f"Max-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def changing(directory: Path, method: str) -> Stage:
    """Return a switch in which the answer to a change, which the vendor has taken, waits for the rtpengine."""
    stage, vendor = Stage(directory, has_rtpengine=True), Peer(0, *VENDOR)
    await stage.start()
    stage.serve()
    stage.call()
    stage.answer()
    stage.let_rtpengine_answer()
    stage.receive(response(stage.last(VENDOR, b"INVITE "), "200 OK", BODY), vendor)
    stage.let_rtpengine_answer()
    answer = stage.last(AT_CUSTOMER, b"SIP/2.0 200 ").partition(b"\r\nTo: ")[2]
    stage.receive(within("ACK", 1, answer), CUSTOMER)
    stage.receive(within(method, 2, answer, OTHER_BODY), CUSTOMER)
    stage.let_rtpengine_answer()
    stage.receive(response(stage.last(VENDOR, b"INVITE "), "200 OK", OTHER_BODY), vendor)
    return stage


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_the_answer_to_a_change_that_waits_for_the_rtpengine_leaves_before_the_calls_are_kept(tmp_path, method):
    """Without it the caller would have to be hung up on."""
    stage = await changing(tmp_path, method)
    stop = asyncio.create_task(stage.service.keep())
    await asyncio.sleep(0)
    assert not stop.done()
    stage.receive(INVITE.replace(b"one@", b"two@").replace(b"bKone", b"bKtwo"), CUSTOMER)  # over an open connection
    stage.let_rtpengine_answer()
    await stop
    await stage.stop()
    sent = stage.last(AT_CUSTOMER, b"SIP/2.0 ")
    assert sent.startswith(b"SIP/2.0 200 ")
    assert f"CSeq: 2 {method}\r\n".encode() in sent
    assert f"c=IN IP4 {HOSTS['one']}".encode() in sent
    assert not [data for data, _ in stage.sent if data.startswith((b"BYE ", b"SIP/2.0 503 "))]
    kept = as_it_was(stage.left())
    assert kept is not None
    assert len(kept.calls) == 2


async def test_what_has_waited_for_the_longest_time_is_sent_without_the_rtpengine(tmp_path, monkeypatch):
    monkeypatch.setattr("vosd.engine.service.WAIT_MAX_MS", 20)
    stage = await changing(tmp_path, "UPDATE")
    await stage.service.keep()
    await stage.stop()
    sent = stage.last(AT_CUSTOMER, b"SIP/2.0 ")
    assert sent.startswith(b"SIP/2.0 200 ")
    assert b"CSeq: 2 UPDATE\r\n" in sent
    assert as_it_was(stage.left()) is not None


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
