"""A media port in a worker: receives, judges, counts and forwards packets of one leg.

``receive`` is the path of every packet; everything that is not the usual case is left to the methods behind it.
"""

import socket
import struct
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic_ns
from typing import Final, Protocol

from vosd.base.host import is_private, plain_host
from vosd.media.g711 import PAYLOADS
from vosd.media.keys import EVENT_NAME, KeyReader, PressedKey
from vosd.media.latch import Address, Arrived, Latch
from vosd.media.reception import Reception
from vosd.media.record import ID, NO_REPORT, RECORD_BYTES, SENT, SENT_AT, STATE, STATE_AT
from vosd.media.rtcp import ReceptionReport, read_rtcp
from vosd.media.rtp import (
    FOREIGN,
    HEADER,
    HEADER_BYTES,
    RTCP,
    VERSION,
    VERSION_MASK,
    is_handshake,
    is_whole,
    payload_start,
    units_by_kind,
)
from vosd.media.source import MediaSource
from vosd.media.tones import ToneReader
from vosd.relay.peer_sender import PeerSender, SenderOwner
from vosd.relay.protocol import OpenPort
from vosd.relay.sockets import PlainSocket
from vosd.relay.source_filter import take_all, take_only
from vosd.relay.stream_table import KernelStream
from vosd.trunks.media import MediaTrust

DATAGRAM_BYTES: Final = 2_048
"""Longer datagrams are cut: those of audio and T.38 have 1,500 bytes at most."""
BUDGET: Final = 250
"""Packets of one port in half a second; above it they are dropped. Audio with 5 ms a packet is 100."""
CONTROL_BUDGET: Final = 50
"""Packets of RTCP and DTLS of one port in that time: they take nothing from the budget of RTP."""
_WINDOW_NS: Final = 500_000_000
_REPORTS_KEPT: Final = 8
"""Sender reports of which the time is known when the peer refers to one: they are 5 s apart, or closer in video."""
_PAYLOAD: Final = 0x7F
_MARKER: Final = 0x80
_KEY: Final = -2.0
"""In place of a unit: a telephone event that is read."""
FILTER_AFTER: Final = 50
"""Packets of the believed source after which the kernel drops all others: short streams are not worth a program."""
WAITING_MAX: Final = 1_000
"""Most packets that are read at once when the kernel begins to drop others; a socket's buffer holds fewer."""
FILTER_AFTER_FLOOD: Final = 10 * WAITING_MAX
"""Packets after which it is tried again where there were more."""
_CONTROL_MOVED_NS: Final = 15_000_000_000
"""Silence of RTCP after which another port of the peer may take its place: three usual intervals."""


class PortOwner(SenderOwner, Protocol):
    """The worker, as far as ports need it."""

    def changed(self, port: "MediaPort") -> None:
        """Write the state of a port into its record at the end of this turn."""

    def serve(self, sock: PlainSocket, handler: Callable[[], None]) -> None:
        """Call another function from now on when there is something to receive."""

    def key_pressed(self, port: int, pressed: PressedKey) -> None:
        """Report a key of the peer."""

    def source_found(self, port: int, leg: int, host: str) -> None:
        """Report an address that media of a leg come from, and that is to be judged."""

    def open_ports(self, own_host: str, host: str, ports: Sequence[int]) -> Collection[int]:
        """Return the ports of a host to which media may be sent."""

    def take_back(self, *ports: "MediaPort") -> None:
        """Let the kernel forward nothing from and to ports."""

    def left_over(self, port: "MediaPort") -> None:
        """Take the stream of a port back of which a packet came that the kernel has not forwarded."""


class ForwardedStream:
    """A stream that the kernel forwards."""

    __slots__ = ("begun_ns", "counted", "port", "receiver", "stream")

    def __init__(self, port: "MediaPort", receiver: "MediaPort", stream: KernelStream, begun_ns: int) -> None:
        self.port = port
        """Port at which its packets come in."""
        self.receiver = receiver
        self.stream = stream
        self.begun_ns = begun_ns
        self.counted = 0
        """Packets that the ports know of."""


class KernelPart:
    """Part of the kernel in forwarding what comes in at a port."""

    __slots__ = ("after_ns", "packets", "pause_ns", "spell_ns", "stream", "unfolded")

    def __init__(self) -> None:
        self.stream: ForwardedStream | None = None
        """Stream of the peer that it forwards now."""
        self.after_ns = 0
        """Time from which on it may."""
        self.pause_ns = 0
        """Length of the latest pause because of packets that it did not forward."""
        self.spell_ns = 0
        """Time for which it forwards the stream before the next sample; 0 = there was none yet."""
        self.packets = 0
        """Packets that it has forwarded."""
        self.unfolded = 0
        """Packets of them that are no part of the statistics yet."""


class MediaPort:
    """The sockets of one leg with what is known of its peer."""

    __slots__ = (
        "_announced_control", "_broken", "_budget", "_clock_ms", "_control", "_control_believed", "_control_budget",
        "_control_ns", "_control_window_ns", "_excess", "_foreign_payload", "_handshake_from", "_is_ours",
        "_key_reader", "_key_units", "_out", "_owner", "_peer_jitter_ms", "_peer_lost", "_peer_lost_percent",
        "_receive", "_record", "_reports_sent", "_round_trip_ns", "_rtp", "_units", "_unknown", "_unread",
        "_until_filter", "_version", "_window_ns", "alive_ns", "are_keys_reported", "are_keys_taken", "is_filtered",
        "is_unread", "kernel", "latch", "other", "port", "reception", "record_number", "sender", "source",
        "tone_reader", "tos",
    )  # fmt: skip

    def __init__(
        self, order: OpenPort, rtp: PlainSocket, control: PlainSocket | None, record: memoryview, owner: PortOwner
    ) -> None:
        self.port = order.port
        self.tos = order.tos
        self.record_number = order.record
        self._record = record
        at = order.record * RECORD_BYTES
        self._rtp = rtp
        self._control = control
        self._owner = owner
        self._receive = rtp.recv
        self.is_filtered = False
        """Whether the kernel lets through packets of the believed source alone."""
        self._until_filter = FILTER_AFTER
        self.kernel = KernelPart()
        self.sender = PeerSender(rtp, record, at + SENT_AT, owner)
        self._units: tuple[float, ...] = units_by_kind((), (), is_multiplexed=False)
        self._clock_ms = 0.0
        """Milliseconds of a unit of the time stamps of the first codec of the peer's description."""
        self.is_unread = False
        """Whether the peer sends no RTP that could be read: fax."""
        self.are_keys_reported = self.are_keys_taken = False
        self.source: MediaSource | None = None
        self._is_ours = False
        """Whether the peer is a port of ours, of another call."""
        self._announced_control: Address | None = None
        self._handshake_from: Address | None = None
        """Source of the last DTLS, which answers to it are sent to before one is believed: it may be behind NAT."""
        self._control_believed: Address | None = None
        self._control_ns = 0
        self.latch = Latch(partial(owner.source_found, order.port.id))
        self.reception = Reception(record, at)
        self._unread = 0
        self._unknown = self._broken = self._foreign_payload = self._excess = 0
        self._budget = self._control_budget = self._window_ns = self._control_window_ns = 0
        self.alive_ns = 0
        """Time of the last packet of RTCP, of one that is no RTP, or of a payload type that was not agreed."""
        self.other: MediaPort | None = None
        self._out: PeerSender | None = None
        """Sender of the other port: packets are forwarded by it."""
        self._key_reader: KeyReader | None = None
        self._key_units: dict[int, float] = {}
        """Nanoseconds of a unit of the time stamp of events, by payload type."""
        self.tone_reader: ToneReader | None = None
        """Reads the tones of the peer; None = they are audio."""
        self._reports_sent: dict[int, int] = {}
        self._round_trip_ns = -1
        self._peer_lost_percent, self._peer_lost = 0.0, 0
        self._peer_jitter_ms = NO_REPORT
        self._version = 0
        self.write_state()
        ID.pack_into(record, at, order.port.id)

    # ---- the path of a packet ----

    def receive_filtered(self) -> None:
        """Receive a packet and forward it; the kernel lets through those of the believed source alone."""
        try:
            data = self._receive(DATAGRAM_BYTES)
        except OSError:  # none is there, or an error of the network, which changes nothing
            return
        try:
            first, kind, sequence, stamp, ssrc = HEADER.unpack_from(data)
        except struct.error:
            self._receive_odd(data, monotonic_ns())
            return
        unit_ns = self._units[kind]
        if unit_ns <= 0.0 or (first != VERSION and not is_whole(data)):
            self._receive_odd(data, monotonic_ns())
            return
        now_ns = monotonic_ns()
        self._budget -= 1
        if self._budget < 0 and not self._has_new_budget(now_ns):
            return
        reception = self.reception
        reception.add(sequence, stamp, ssrc, kind & _PAYLOAD, unit_ns, now_ns)
        if reception.is_changed:  # not at the end of the turn: both parts are read together
            self.write_state()
        out = self._out
        if out is not None and out.target is not None:  # no function of its own: it is the path of every packet
            try:
                out.send(data, out.target)
            except OSError:
                out.unsent += 1
            else:
                out.packets_out += 1
            SENT.pack_into(out.memory, out.sent_at, out.packets_out, out.unsent)

    def receive(self) -> None:
        """Receive a packet of any source, and forward it if its source is believed."""
        try:
            data, address = self._rtp.recvfrom(DATAGRAM_BYTES)
        except OSError:
            return
        self._take(data, address)

    def _take(self, data: bytes, address: Address) -> None:
        self._owner.changed(self)
        now_ns = monotonic_ns()
        if address == self.latch.believed:
            self._receive_believed(data, now_ns)
            if self._until_filter <= 0 and not self.is_filtered:
                self._filter()
        else:
            self._receive_other(data, address, now_ns)

    def _filter(self) -> None:
        """Let the kernel drop packets of other sources."""
        believed = self.latch.believed
        self._until_filter = FILTER_AFTER
        if believed is None or not take_only(self._rtp, believed[0], believed[1]):
            return
        self.is_filtered = True
        if self._control is not None:
            take_only(self._control, believed[0])  # RTCP has a port of its own, and comes from the same host
        for _ in range(WAITING_MAX):  # what was received before: its source has to be looked at
            try:
                data, address = self._rtp.recvfrom(DATAGRAM_BYTES)
            except OSError:
                self._owner.serve(self._rtp, self.receive_filtered)
                return
            self._take(data, address)
            if not self.is_filtered:
                return
        self.take_all_sources()  # a flood of the source itself: other ports have their turn
        self._until_filter = FILTER_AFTER_FLOOD

    def take_all_sources(self) -> None:
        """Let the kernel drop nothing: the source is not known, or is silent and may have moved."""
        self._until_filter = FILTER_AFTER
        if self.is_filtered:
            self._owner.take_back(self)
            self.is_filtered = False
            take_all(self._rtp)
            if self._control is not None:
                take_all(self._control)
            self._owner.serve(self._rtp, self.receive)

    def _has_new_budget(self, now_ns: int) -> bool:
        if now_ns - self._window_ns < _WINDOW_NS:
            self._excess += 1
            self._owner.changed(self)
            return False
        self._window_ns = now_ns
        self._budget = BUDGET - 1
        return True

    def _receive_other(self, data: bytes, address: Address, now_ns: int) -> None:
        """Receive a packet of a source that is not believed."""
        if self.is_unread and self._is_of_stream(data):
            self._receive_before_fax(data, address, now_ns)
            return
        if self.is_unread:
            last_ns = max(self.alive_ns, self.reception.last_ns)
            packets = self.latch.consider_unread(address, data, last_ns, now_ns)
        elif not is_whole(data):
            if self._is_control(data) and self._may_share(address):
                self._take_control(data, now_ns)
            elif not self.latch.may_be(address):
                self._unknown += 1
            elif not self._is_handshake_taken(data, address, now_ns):
                self._broken += 1
            return
        else:
            _, kind, sequence, _, ssrc = HEADER.unpack_from(data)
            unit_ns = self._units[kind]
            if unit_ns == RTCP and self._may_share(address):
                self._take_control(data, now_ns)
                return
            if unit_ns <= 0.0 and unit_ns != _KEY:  # a side that is silent between its keys sends nothing else
                self._count_foreign(address)
                return
            if self.latch.is_left(address, now_ns):
                self._receive_believed(data, now_ns)
                return
            packets = self.latch.consider(address, sequence, ssrc, data, self.reception.last_ns, now_ns)
        if packets is None:
            self._unknown += 1
        elif packets:
            self._believe(packets)

    def _receive_before_fax(self, data: bytes, address: Address, now_ns: int) -> None:
        """Receive audio that goes on until the offer of a fax is answered: it comes from where no fax will."""
        source = self.source
        if self.latch.believed is not None or not self.latch.may_shake_hands(address) or not self._may_send(address):
            self._unknown += 1
            return
        if self.latch.is_translated(address) and source is not None and not source.takes_nothing:
            self.sender.target = address
        self._receive_unread(data, now_ns)

    def _is_control(self, data: bytes) -> bool:
        return len(data) > 1 and self._units[data[1]] == RTCP

    def _may_share(self, address: Address) -> bool:
        """Return whether RTCP at the port of RTP is the peer's: a believed source sends both from one port."""
        return self.latch.believed is None and self.latch.is_of_peer(address[0])

    def _count_foreign(self, address: Address) -> None:
        if self.latch.may_be(address):
            self._foreign_payload += 1
        else:
            self._unknown += 1

    def _believe(self, packets: list[Arrived]) -> None:
        """Believe the source of packets that were held, and forward them; jitter is that of their arrival."""
        address = self.latch.believed
        assert address is not None
        if not self._may_send(address):
            self.latch.believed = None  # our own port: it would be a loop
            self._unknown += len(packets)
            return
        self._owner.take_back(self)  # what is sent to it goes to another address from now on
        if self.source is None or not self.source.takes_nothing:
            self.sender.target = address
        for data, arrived_ns in packets:
            self._receive_believed(data, arrived_ns)

    def _receive_believed(self, data: bytes, now_ns: int) -> None:
        """Receive a packet of the believed source while the kernel lets through all sources."""
        if self.is_unread:
            self._receive_unread(data, now_ns)
            return
        if not is_whole(data):
            self._receive_odd(data, now_ns)
            return
        _, kind, sequence, stamp, ssrc = HEADER.unpack_from(data)
        unit_ns = self._units[kind]
        if unit_ns <= 0.0:
            self._receive_odd(data, now_ns)
            return
        self._budget -= 1
        if self._budget >= 0 or self._has_new_budget(now_ns):
            self.reception.add(sequence, stamp, ssrc, kind & _PAYLOAD, unit_ns, now_ns)
            self._until_filter -= 1
            self._forward(data)

    def _receive_unread(self, data: bytes, now_ns: int) -> None:
        self._budget -= 1
        if self._budget >= 0 or self._has_new_budget(now_ns):
            self.alive_ns = now_ns
            if self._is_of_stream(data):  # audio that goes on until the offer of a fax is answered is not lost
                self.reception.skip(1)
            else:
                self._unread += 1
            self._forward(data)

    def _is_of_stream(self, data: bytes) -> bool:
        """Return whether a packet is RTP of the stream that was received last."""
        return is_whole(data) and HEADER.unpack_from(data)[-1] == self.reception.ssrc

    def _forward(self, data: bytes) -> None:
        if self._out is not None:
            self._out.forward(data)

    def _receive_odd(self, data: bytes, now_ns: int) -> None:
        """Receive a packet of the believed source that is no RTP of an agreed payload type."""
        self._owner.changed(self)
        if self._is_control(data):
            self._take_control(data, now_ns)
        elif not is_whole(data):
            if self.latch.believed is None or not self._is_handshake_taken(data, self.latch.believed, now_ns):
                self._broken += 1
        elif self._units[data[1]] == _KEY and self._key_reader is not None:
            self._receive_key(data, self._key_reader, now_ns)
        else:
            self.alive_ns = now_ns  # comfort noise that was not agreed on says that the peer is there
            self._foreign_payload += 1
            if self._is_of_stream(data):
                self.reception.pass_over()

    # ---- what the kernel forwards ----

    def plain_stream(self) -> tuple[int, int] | None:
        """Return payload type and SSRC of the peer's stream if its packets are only forwarded, to a believed source."""
        other, reception = self.other, self.reception
        target = None if other is None else other.sender.target
        if other is None or target is None or target != other.latch.believed or self.is_unread:
            return None
        is_read = self.tone_reader is not None
        if not self.is_filtered or not other.sender.is_plain or is_read or not reception.has_sequence:
            return None
        return (reception.payload, reception.ssrc) if self._units[reception.payload] > 0.0 else None

    def forward_by_kernel(self, stream: ForwardedStream) -> None:
        """Note that the kernel forwards the stream of the peer; packets that it leaves still come here."""
        for _ in range(WAITING_MAX):  # those that came before
            try:
                self._rtp.recv(1, socket.MSG_PEEK)
            except OSError:
                break
            self.receive_filtered()
        self.kernel.stream = stream
        self._owner.serve(self._rtp, self._receive_beside)

    def _receive_beside(self) -> None:
        """Receive a packet of the peer that the kernel has not forwarded: another stream, a key, or RTCP."""
        try:
            data = self._rtp.recv(HEADER_BYTES, socket.MSG_PEEK)
        except OSError:
            return
        is_rtp = len(data) == HEADER_BYTES and data[0] & VERSION_MASK == VERSION  # a NAT is kept open by other packets
        if is_rtp and self._units[data[1]] not in {FOREIGN, RTCP}:
            self._owner.left_over(self)
        self.receive_filtered()

    def note_forwarded(self, packets: int, now_ns: int) -> None:
        """Count packets that the kernel has forwarded from the peer."""
        self.kernel.packets += packets
        self.kernel.unfolded += packets
        self.reception.note_time(now_ns)
        self._owner.changed(self)

    def note_forwarded_still(self, packets: int, now_ns: int) -> None:
        """Count packets of a stream that was taken back, and that the kernel forwards for a while still."""
        self.kernel.packets += packets
        self.reception.skip(packets)
        self.reception.note_time(now_ns)
        self._owner.changed(self)

    def return_stream(self, after_ns: int, *, are_all_counted: bool = True) -> None:
        """Forward the stream of the peer again; not before that time is it one for the kernel."""
        kernel = self.kernel
        kernel.stream, kernel.after_ns = None, after_ns
        self.reception.skip(kernel.unfolded)
        kernel.unfolded = 0
        if not are_all_counted:
            self.reception.lose_track()
        self.write_state()
        self._owner.serve(self._rtp, self.receive_filtered)

    # ---- keys ----

    def report_keys(self, *, are_reported: bool, are_taken: bool, in_tones: bool = False) -> None:
        """Report the keys of the peer; ``are_taken`` = their packets are not forwarded, ``in_tones`` = also tones.

        Where they are not reported, the parties may have begun to encrypt: nothing is put among packets that come, and
        their numbers stay.
        """
        self.are_keys_reported, self.are_keys_taken = are_reported, are_taken
        self.tone_reader = (self.tone_reader or ToneReader()) if in_tones else None
        self._note_payloads()
        if self._out is not None:
            if not are_reported:
                self._out.key_sender = None
            self._out.choose_send()

    def _note_payloads(self) -> None:
        source = self.source
        if source is None:
            return
        is_multiplexed = source.rtcp is None or self._control is None
        self._units = units_by_kind(source.payloads, source.clocks, is_multiplexed=is_multiplexed)
        reader, self._key_reader, self._key_units = self._key_reader, None, {}
        if not self.are_keys_reported:
            return
        units = list(self._units)
        # Of a number that both sides have named the later entry holds, as for the units.
        formats = dict(zip(source.payloads, zip(source.clocks, source.codecs, strict=False), strict=False))
        for payload, (clock, codec) in formats.items():
            if codec.lower() == EVENT_NAME:
                self._key_reader = reader = reader or KeyReader()
                self._key_units[payload] = 1e9 / clock
                units[payload] = units[payload | _MARKER] = _KEY
        self._units = tuple(units)

    def _receive_key(self, data: bytes, reader: KeyReader, now_ns: int) -> None:
        self._budget -= 1
        if self._budget < 0 and not self._has_new_budget(now_ns):
            return
        _, kind, sequence, stamp, ssrc = HEADER.unpack_from(data)
        payload = kind & _PAYLOAD
        unit_ns = self._key_units[payload]
        if self.are_keys_taken and self._out is not None and self._out.key_sender is None:
            # The kernel would forward what follows by its old numbers; what it has forwarded counts before this one.
            self._owner.take_back(self)
        self.reception.add(sequence, stamp, ssrc, payload, unit_ns, now_ns)
        if self.tone_reader is not None:
            self.tone_reader = None  # it sends no tones: what sounds like one is its audio
            if self._out is not None:
                self._out.choose_send()
        out = None if self.are_keys_taken else self._out
        sender = None if out is None else out.key_sender
        is_held = sender is not None and sender.holds(stamp)
        for pressed in reader.read(data, unit_ns, now_ns, is_held=is_held):
            self._owner.key_pressed(self.port.id, pressed)
        self._send_unsent(reader)
        if self.are_keys_taken:
            if self._out is not None:
                self._out.leave_out(sequence)
            return
        if reader.is_left_out(stamp):
            if sender is not None:
                sender.leave_out(sequence)
            return
        sent_before = 0 if out is None else out.packets_out
        self._forward(data)
        if out is not None and out.packets_out != sent_before:
            reader.note_forwarded(stamp)

    def _send_unsent(self, reader: KeyReader) -> None:
        """Send keys whose events began while another one was being sent, and are over."""
        for pressed in reader.take_unsent():
            if self._out is not None and not self.are_keys_taken:
                self._out.send_key(pressed, as_tone=False)

    def has_forwarded_key(self, key: str, now_ns: int) -> bool:
        """Return whether a key arrives by its event, which is being forwarded, or was a moment ago."""
        return self._key_reader is not None and not self.are_keys_taken and self._key_reader.has_forwarded(key, now_ns)

    def send_waiting_key(self, before: str) -> None:
        """Send the key of an event that waits before another key, which is sent now."""
        if self._key_reader is not None:
            self._key_reader.end_wait(before)
            self._send_unsent(self._key_reader)

    def note_sent_key(self, key: str, now_ns: int) -> None:
        """Note a key that is sent in place of the event of the peer, which may still come: that is not forwarded."""
        if self._key_reader is not None and not self.are_keys_taken:
            self._key_reader.note_sent(key, now_ns)

    def reads_key(self, data: bytes) -> bool:
        """Read tones in a packet that is about to be forwarded; return whether it is not."""
        reader = self.tone_reader
        if reader is None or self.is_unread or not is_whole(data):
            return False
        codec = PAYLOADS.get(data[1] & _PAYLOAD)
        if codec is None:
            return False
        sequence = int.from_bytes(data[2:4], "big")
        if sequence != reader.sequence:  # some networks deliver each packet twice
            reader.sequence = sequence
            for pressed in reader.read(data[payload_start(data) :], codec, monotonic_ns()):
                self._owner.key_pressed(self.port.id, pressed)
        return self.are_keys_taken and reader.is_tone

    def end_keys(self, moment_ns: int) -> None:
        """Report a key whose last packets were lost, or after which the peer is silent."""
        if self._key_reader is not None:
            for pressed in self._key_reader.ended_before(moment_ns):
                self._owner.key_pressed(self.port.id, pressed)
            self._send_unsent(self._key_reader)
        if self.tone_reader is not None:
            for pressed in self.tone_reader.ended_before(moment_ns):
                self._owner.key_pressed(self.port.id, pressed)

    # ---- handshakes ----

    def _is_handshake_taken(self, data: bytes, address: Address, now_ns: int) -> bool:
        """Forward DTLS by which the parties agree on keys, no more often than RTCP; False = it is none, or not taken.

        So are checks by STUN, which show where the side is that waits for DTLS behind NAT. It comes before the RTP by
        which a source is believed. Its parties know each other by the fingerprints in their descriptions, so that
        others can disturb it, but not take part.
        """
        source, other = self.source, self.other
        if source is None or not source.has_handshake or other is None or not is_handshake(data):
            return False
        if not self.latch.may_shake_hands(address) or not self._may_send(address):
            return False
        if self._has_control_budget(now_ns):
            self._handshake_from = address
            other._send_handshake(data)
        return True

    def _is_control_handshake_taken(self, data: bytes, now_ns: int) -> bool:
        """Forward DTLS for RTCP where that has ports of its own; False = it is none."""
        source, other = self.source, self.other
        if source is None or not source.has_handshake or other is None or not is_handshake(data):
            return False
        target = None if other._control is None else other._control_destination()
        if other._control is not None and target is not None and self._has_control_budget(now_ns):
            with suppress(OSError):
                other._control.sendto(data, target)
        return True

    def _send_handshake(self, data: bytes) -> None:
        """Send DTLS of the other port to the peer of this one."""
        target = self.latch.believed or self._handshake_from or self.sender.target
        if target is not None and self.source is not None and not self.source.takes_nothing:
            with suppress(OSError):
                self._rtp.sendto(data, target)

    # ---- RTCP ----

    def receive_control(self) -> None:
        """Receive a packet at the port of RTCP."""
        assert self._control is not None
        try:
            data, address = self._control.recvfrom(DATAGRAM_BYTES)
        except OSError:
            return
        now_ns = monotonic_ns()
        self._owner.changed(self)
        if not self.latch.is_of_peer(address[0]) or not self._may_control(address, now_ns):
            self._unknown += 1
        elif self._is_control_handshake_taken(data, now_ns) or self._take_control(data, now_ns):
            self._control_believed = address
            self._control_ns = now_ns

    def _may_control(self, address: Address, now_ns: int) -> bool:
        """Return whether RTCP of the peer's host is taken: a port that is not announced must be the only one."""
        believed = self._control_believed
        if address == believed:
            return True
        is_free = believed is None or now_ns - self._control_ns >= _CONTROL_MOVED_NS
        is_other = is_free or address == self._announced_control
        return is_other and self._may_send(address)

    def _take_control(self, data: bytes, now_ns: int) -> bool:
        """Take RTCP of the peer, and forward it; return whether it is RTCP."""
        if not self._has_control_budget(now_ns):  # before it is read, which may take longer than to forward ten packets
            return False
        packet = read_rtcp(data)
        if packet is None:
            self._broken += 1
            return False
        self.alive_ns = now_ns
        for report in packet.receptions:
            self._note_report(report, now_ns)
        other = self.other
        if other is not None:
            other._send_control(data, packet.sent_report, now_ns)
        return True

    def _has_control_budget(self, now_ns: int) -> bool:
        if now_ns - self._control_window_ns >= _WINDOW_NS:
            self._control_window_ns, self._control_budget = now_ns, CONTROL_BUDGET
        self._control_budget -= 1
        if self._control_budget >= 0:
            return True
        self._excess += 1
        return False

    def _send_control(self, data: bytes, sent_report: int | None, now_ns: int) -> None:
        """Send RTCP of the other port to the peer of this one."""
        target = self._control_destination()
        if target is None:
            return
        try:
            (self._control or self._rtp).sendto(data, target)
        except OSError:
            return
        if sent_report is not None:
            if len(self._reports_sent) >= _REPORTS_KEPT:
                del self._reports_sent[next(iter(self._reports_sent))]
            self._reports_sent[sent_report] = now_ns

    def _note_report(self, report: ReceptionReport, now_ns: int) -> None:
        other = self.other
        if other is None or report.ssrc != other.reception.ssrc:
            return  # about no stream that was sent from here
        self._peer_lost_percent = round(report.lost_percent, 1)
        self._peer_lost = report.lost
        unit_ns = other._units[other.reception.payload]
        unit_ms = unit_ns / 1e6 if unit_ns > 0.0 else other._clock_ms
        self._peer_jitter_ms = round(report.jitter * unit_ms, 1)
        sent_ns = self._reports_sent.get(report.last_report)
        if sent_ns is not None:
            self._round_trip_ns = max(0, now_ns - sent_ns - report.delay_ns)

    # ---- what the switch orders ----

    def expect(self, source: MediaSource, believed: Address | None, *, is_ours: bool = False) -> None:
        """Note a new session description; ``is_ours``: that of a port of ours, with that very address alone."""
        self.source, self._is_ours = source, is_ours
        self._note_payloads()
        self.sender.describe(source)
        self._clock_ms = 1e3 / source.clocks[0] if source.clocks else 0.0
        self.is_unread = not source.payloads
        self.latch.expect(source, believed)
        if self.latch.believed is None:
            self._control_believed = self._handshake_from = None
        self.take_all_sources()
        host, control_host = plain_host(source.host), plain_host(source.rtcp_host)
        if source.rtcp is not None and control_host == host:
            announced, self._announced_control = self._announced(source, host, source.rtp, source.rtcp)
        else:
            (announced,) = self._announced(source, host, source.rtp)
            (self._announced_control,) = self._announced(source, control_host, source.rtcp or 0)
        self.sender.target = None if source.takes_nothing else self.latch.believed or announced
        self._owner.changed(self)

    def widen(self, source: MediaSource) -> None:
        """Take more payload types from the peer; who is believed does not change."""
        self.source = source
        self._note_payloads()

    def connect(self, other: "MediaPort") -> None:
        """Forward to another port, and from it."""
        for each in (self, other):
            if each.other is not None:
                each.disconnect()
        self._send_by(other)
        other._send_by(self)

    def _send_by(self, other: "MediaPort") -> None:
        """Forward what comes to the peer of another port."""
        self.other, self._out = other, other.sender
        self._out.upstream = self
        self._out.choose_send()

    def disconnect(self) -> None:
        """Forward nothing any more."""
        other = self.other
        if other is not None:
            self.other = other.other = self._out = other._out = None
            self.sender.upstream = other.sender.upstream = None

    def close(self) -> None:
        """Close the sockets."""
        self.disconnect()
        self.sender.close()
        self._rtp.close()
        if self._control is not None:
            self._control.close()

    # ---- destinations ----

    def _control_destination(self) -> Address | None:
        if self.source is None or self.source.takes_nothing:
            return None
        if self.source.rtcp is None:
            return self.sender.target
        return self._control_believed or self._announced_control

    def _may_send(self, address: Address) -> bool:
        return address[1] in self._open_ports(address[0], address[1:2])

    def _open_ports(self, host: str, ports: Sequence[int]) -> Collection[int]:
        """Return the ports of a host to which media may be sent: of ours those of the peer alone."""
        if self._is_ours and self.source is not None:
            return [each for each in ports if each in {self.source.rtp, self.source.rtcp}]
        return self._owner.open_ports(self.port.host, host, ports)

    def _announced(self, source: MediaSource, host: str, *ports: int) -> list[Address | None]:
        """Return announced addresses of a host, None in place of those to which no media may be sent, or can be.

        A private one of a peer that is seen at a public one is not its own from here: it may be a program of ours.
        """
        is_hidden = is_private(host) and not is_private(plain_host(source.sip_host))
        is_other_family = (":" in host) is not (":" in self.port.host)
        if is_other_family or not any(ports) or (is_hidden and source.trust is MediaTrust.LEARN):
            return [None for _ in ports]
        found = self._open_ports(host, ports)
        if ":" in host:
            return [(host, port, 0, 0) if port in found else None for port in ports]
        return [(host, port) if port in found else None for port in ports]

    # ---- figures ----

    def write_state(self) -> None:
        """Write all figures into the record that are not written for each packet."""
        reception, believed = self.reception, self.latch.believed
        reception.is_changed = False
        self._version += 1
        STATE.pack_into(
            self._record,
            self.record_number * RECORD_BYTES + STATE_AT,
            self._version,
            reception.base,
            reception.received_start,
            reception.expected_before,
            reception.lost_before,
            reception.has_sequence,
            reception.first_ns,
            self.alive_ns,
            reception.payload,
            reception.payload_since,
            reception.common_payload,
            reception.common_count,
            self._unknown,
            self._broken,
            self._foreign_payload,
            self._excess,
            self._unread + self.kernel.unfolded,
            self.kernel.packets,
            self._peer_lost_percent,
            self._peer_lost,
            self._peer_jitter_ms,
            self._round_trip_ns,
            believed[1] if believed else 0,
            believed[0].encode() if believed else b"",
            self._version,
        )

    @property
    def is_closed(self) -> bool:
        """Whether its sockets are closed: its record may be that of another port by now."""
        return self._rtp.fileno() < 0

    def sockets(self) -> list[PlainSocket]:
        """Return the sockets, that of RTP first."""
        return [self._rtp] if self._control is None else [self._rtp, self._control]
