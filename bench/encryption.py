"""What encryption costs an rtpengine: processor time for a packet, and the delay that it adds, against plain RTP.

``python -m bench.encryption [--calls 100] [--seconds 10] [--runs 3]``: parties that talk G.711, 50 packets a second
each, through a real rtpengine without its kernel module; nothing of the switch is measured. By turns both sides are
plain, one is encrypted by SDES (AES_CM_128_HMAC_SHA1_80), and both are, by the same suite: then rtpengine lets packets
pass as they are. Each packet has the time at which it was sent, and the kernel notes when it arrives.
"""

import argparse
import socket
import statistics
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from doubles.sockets.loopback import Endpoint
from doubles.sockets.rtp import RtpPeer
from doubles.sockets.secure_rtp import SecureRtpPeer
from interop.rtpengine import Rtpengine

from vosd.media.rtp import HEADER
from vosd.media.rtpengine_orders import (
    BEHIND_COOKIE,
    OK,
    RtpAnswer,
    RtpOffer,
    RtpReply,
    datagram_of,
    reply_of,
    session_order,
)
from vosd.media.termination import BY_SDES, PLAIN, MediaForm
from vosd.sdp.media import media_of
from vosd.sdp.security import Protection

from .process import cpu_of

HOST: Final = "127.78.0.1"
CALLER, CALLEE = "127.78.0.2", "127.78.0.3"
PACKETS_A_SECOND: Final = 50
SLOTS: Final = 20
STAMP: Final = struct.Struct("=q")
TIMESPEC: Final = struct.Struct("=qq")
SO_TIMESTAMPNS: Final = 35
BODY: Final = bytes(152)
WARM_UP: Final = 50
"""Packets of each party before anything is measured."""
KINDS: Final = {"plain": (False, False), "one side": (True, False), "both sides": (True, True)}


def main() -> None:
    """Measure, and print the median of the runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    results: dict[str, list[tuple[float, ...]]] = {kind: [] for kind in KINDS}
    for _ in range(arguments.runs):
        for kind, encrypts in KINDS.items():
            results[kind].append(_measure(arguments.calls, arguments.seconds, encrypts))
    for kind, found in results.items():
        us, lost, median, high = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{kind}: {us:.1f} µs a packet, {lost:.0f} lost, {median:.2f} ms delay, 99 of 100 below {high:.2f}")


class _Call:
    """A call at the rtpengine: who sends, where to, and who listens."""

    def __init__(self, control: socket.socket, number: int, encrypts: tuple[bool, bool]) -> None:
        self.caller, self.callee = (
            SecureRtpPeer(host, 2 * number + index) if sealed else RtpPeer(host, ssrc=2 * number + index)
            for index, (host, sealed) in enumerate(zip((CALLER, CALLEE), encrypts, strict=True))
        )
        sealed, other = (Protection.SDES if each else Protection.NONE for each in encrypts)
        offer = MediaForm(BY_SDES if encrypts[1] else PLAIN, other, author_ice=False, reader_ice=False)
        answer = MediaForm(None, sealed, author_ice=False, reader_ice=False)
        is_plain = not any(encrypts)
        self.of_callee = self._asks(control, RtpOffer, number, self.caller, self.callee, None if is_plain else offer)
        self.of_caller = self._asks(control, RtpAnswer, number, self.callee, self.caller, None if is_plain else answer)

    def _asks(
        self,
        control: socket.socket,
        kind: type[RtpOffer] | type[RtpAnswer],
        number: int,
        author: RtpPeer,
        reader: RtpPeer,
        form: MediaForm | None,
    ) -> tuple[str, int]:
        session = _described(author).encode()
        order = session_order(kind, f"call-{number}", session, "1", "2", form=form)
        control.send(datagram_of(f"{number}-{kind.__name__}".encode(), order))
        reply = _reply(control)
        if isinstance(reader, SecureRtpPeer):
            reader.takes(reply.session.decode())
        (medium,) = media_of(reply.session)
        return medium.host, medium.port

    def sides(self) -> Iterator[tuple[RtpPeer, tuple[str, int], RtpPeer]]:
        """Yield who sends, where to, and who hears it."""
        yield self.caller, self.of_caller, self.callee
        yield self.callee, self.of_callee, self.caller


def _described(party: RtpPeer) -> str:
    if isinstance(party, SecureRtpPeer):
        return party.described()
    return (
        f"v=0\r\no=- 1 1 IN IP4 {party.host}\r\ns=-\r\nc=IN IP4 {party.host}\r\nt=0 0\r\n"
        f"m=audio {party.port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )


def _reply(control: socket.socket) -> RtpReply:
    found = reply_of(control.recv(65_535).partition(BEHIND_COOKIE)[2])
    if found is None or found.result != OK:
        raise RuntimeError(f"the rtpengine refuses: {found}")
    return found


def _measure(calls: int, seconds: int, encrypts: tuple[bool, bool]) -> tuple[float, ...]:
    """Return µs a packet, lost packets, and the median and the 99th percentile of the delay in milliseconds."""
    with (
        tempfile.TemporaryDirectory(prefix="vosd-bench-") as directory,
        socket.socket(type=socket.SOCK_DGRAM) as control,
        Rtpengine(Path(directory), "one", Endpoint(HOST, 2_223), (20_000, 29_999)) as engine,
    ):
        control.settimeout(5)
        control.connect((HOST, 2_223))
        made = [_Call(control, number, encrypts) for number in range(calls)]
        ways = [way for call in made for way in call.sides()]
        for _, _, listener in ways:
            listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000_000)
            listener.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        _talk(ways, WARM_UP)
        before = cpu_of(engine.pid)
        sent, delays = _talk(ways, seconds * PACKETS_A_SECOND)
        cpu = cpu_of(engine.pid).since(before).total
        for call in made:
            call.caller.close()
            call.callee.close()
    delays.sort()
    return cpu / sent * 1e6, sent - len(delays), delays[len(delays) // 2], delays[len(delays) * 99 // 100]


def _talk(ways: list[tuple[RtpPeer, tuple[str, int], RtpPeer]], rounds: int) -> tuple[int, list[float]]:
    """Let every party send so many packets, and return how many were sent, and the delays of those that came."""
    delays: list[float] = []
    pause, at = 1 / PACKETS_A_SECOND / SLOTS, time.monotonic()
    for _ in range(rounds):
        for slot in range(SLOTS):
            for sender, port, _ in ways[slot::SLOTS]:
                sender.body = STAMP.pack(time.time_ns()) + BODY
                sender.send(port)
            for _, _, listener in ways[(slot + SLOTS // 2) % SLOTS :: SLOTS]:
                _listen(listener, delays)
            at += pause
            time.sleep(max(0.0, at - time.monotonic()))
    time.sleep(0.3)
    for _, _, listener in ways:
        _listen(listener, delays)
    return rounds * len(ways), delays


def _listen(listener: RtpPeer, delays: list[float]) -> None:
    while True:
        try:
            data, ancillary, _, _ = listener.sock.recvmsg(2_048, 64)
        except BlockingIOError:
            return
        packet = listener.received(data)
        if packet is not None:
            seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2])
            (sent_ns,) = STAMP.unpack_from(packet, HEADER.size)
            delays.append((seconds * 1_000_000_000 + nanoseconds - sent_ns) / 1e6)


if __name__ == "__main__":
    main()
