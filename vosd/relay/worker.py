"""Relay worker: ``vosd.processes.entry vosd.relay.worker LISTENING``, a process with its own epoll loop (ADR 148).

It outlives the switch, so that a restart interrupts no media, and ends when no switch has come back for a minute. It
knows nothing of calls: ports, sources, connections between two ports. It writes no log; the switch does by its reports.
"""

import gc
import mmap
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import count, islice
from pathlib import Path
from time import monotonic_ns
from typing import Final

import msgspec

from vosd.media.destinations import open_ports
from vosd.media.keys import PressedKey
from vosd.media.latch import MOVED_NS, Address
from vosd.media.record import ID, ORDERS_AT
from vosd.media.warning_tone import WarningSound
from vosd.relay.channel import ChannelFullError, MessageChannel, close_all
from vosd.relay.media_port import MediaPort
from vosd.relay.offload import Offload
from vosd.relay.peer_sender import PeerSender
from vosd.relay.protocol import (
    MESSAGE_PARTS,
    PROTOCOL,
    ClosePort,
    ConnectPorts,
    DropSound,
    EndWorker,
    ExpectSource,
    JudgeSource,
    KeyPressed,
    ListingEnded,
    ListPorts,
    LoadSound,
    MarkUnset,
    OffloadFailed,
    OffloadStreams,
    OpenPort,
    PacketFailed,
    PlayRingBack,
    PlaySound,
    PortListed,
    PortOrder,
    PressKey,
    RecordingStopped,
    RecordPorts,
    ReportKeys,
    SoundMissing,
    SourceFound,
    SpareRanges,
    StopPlaying,
    UseRecords,
    WarnPeer,
    WidenSource,
    WorkerOrder,
    WorkerReady,
    WorkerReport,
)
from vosd.relay.recording import Recording, RecordingWriter
from vosd.relay.records import BYTES
from vosd.relay.sockets import KnownReaches, MediaReach, PlainSocket, received_socket
from vosd.relay.source_filter import take_all
from vosd.relay.worker_process import BACKLOG, own_means
from vosd.trunks.media import PortRange

ABANDONED_NS: Final = 60_000_000_000
"""A worker without a switch ends after this time. A switch that is started again by its service manager is back within
seconds, unless it has to wait for its database; calls that have none for a minute are ended by their session
timers, or by their users."""
REPORTS_KEPT: Final = 40_000
"""Messages for a switch that does not read, one for each port that is listed; above it the connection is closed."""
ERRORS_REPORTED: Final = 10
"""Most errors that one worker reports: the same packet may come again and again."""
TRACE_CHARACTERS: Final = 2_000
LISTED_AT_ONCE: Final = 50
"""Ports that are reported in one turn."""
LOOK_NS: Final = 250_000_000
"""Interval at which ports are looked for that are silent."""
ORDERS_S: Final = 0.01
"""Longest time for which orders wait for a turn of a worker that they do not wake, because it has turns without."""
_ORDERS_NS: Final = 10_000_000
_ORDERS_AT_ONCE: Final = 64
"""Orders after which packets get their turn."""
_EVENTS_MAX: Final = 1_024
_TURN_S: Final = 1.0
_SENDING_NS: Final = 5_000_000
"""Packets that are due within this time are sent together."""
_LOOK_S: Final = LOOK_NS / 1e9
_PRIORITY: Final = 1
"""Real-time priority: the lowest, which is above all processes without any."""
_CLASS4: Final = int(socket.IPPROTO_IP), int(socket.IP_TOS)
_CLASS6: Final = int(socket.IPPROTO_IPV6), int(socket.IPV6_TCLASS)

Handler = Callable[[], None]


class Worker:
    """Ports, and the connection to the switch."""

    def __init__(self, listening: socket.socket) -> None:
        listening.setblocking(False)
        listening.listen(BACKLOG)  # once more: from now on the kernel names this process to those that connect
        self._listening = listening
        self._poll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._channel: MessageChannel | None = None
        self._read_ns: int | None = None
        """Time at which orders are read in any case, 0 = at once; None = it does not look for them, they wake it."""
        self._orders_seen = 0
        """Messages that the switch had sent when orders were read last (``ORDERS_AT``)."""
        self._ports: dict[int, MediaPort] = {}
        self._reports: list[WorkerReport] = []
        self._changed: set[MediaPort] = set()
        """Ports whose state is to be written at the end of this turn."""
        self._sending: dict[PeerSender, int] = {}
        """Senders that send keys, or play, with the time at which each has to send next."""
        self._due: list[tuple[int, int, PeerSender]] = []
        """A heap of these times; those that ``_sending`` does not have any more are skipped."""
        self._turns = count()
        self._sent_ns = 0
        """Time at which packets that were due were sent last."""
        self._sounds: dict[str, mmap.mmap] = {}
        """Sounds by their digests."""
        self._writer: RecordingWriter | None = None
        self._recordings: dict[str, Recording] = {}
        """Recordings by their files."""
        self._closing: list[Recording] = []
        """Recordings without ports, whose last packets are not written yet."""
        self._descriptor = -1
        """Memory shared with the switch."""
        self._record = memoryview(bytearray(ORDERS_AT + ID.size))
        self._spared: tuple[tuple[str, PortRange], ...] = ()
        self._reaches = KnownReaches()
        self._unlisted: Iterator[int] | None = None
        """Ports that are still to be reported; None = no list was asked for."""
        self._offload: Offload | None = None
        """Streams that the kernel forwards; None = it does not."""
        self._is_unmarked = False
        """Whether it was reported that packets leave without their mark."""
        self._errors = 0
        """Errors about packets that were reported."""
        self._look_ns = 0
        self._alone_since_ns = monotonic_ns()
        self._is_real_time = _take_real_time()
        self._is_ending = False
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[WorkerOrder]).decode
        self._add(listening.fileno(), self._accept)

    def run(self) -> None:
        """Serve until the switch says so, or until it has been away for too long."""
        poll, handlers, now_ns = self._poll.poll, self._handlers, monotonic_ns()
        while not self._is_ending:
            timeout_s = _LOOK_S if self._ports else _TURN_S
            read_ns = self._read_ns
            if read_ns is not None:
                timeout_s = ORDERS_S if read_ns else 0
            if self._due:
                timeout_s = min(timeout_s, max(0, self._send_at_ns() - monotonic_ns()) / 1e9)
            if self._unlisted is not None:
                timeout_s = 0
                self._list_some(self._unlisted)
            events = poll(timeout_s, _EVENTS_MAX)
            if read_ns is not None and (
                not events or now_ns >= read_ns or ID.unpack_from(self._record, ORDERS_AT)[0] != self._orders_seen
            ):
                self._look_for_orders(now_ns, is_idle=read_ns > 0 and not events)
            for descriptor, _ in events:
                handler = handlers.get(descriptor)
                if handler is not None:  # else it was closed in this turn
                    try:
                        handler()
                    except Exception:  # noqa: BLE001 - the boundary: an error costs one packet, not the media of all
                        self._note_error(descriptor)
            now_ns = monotonic_ns()
            self._end_turn(now_ns)
            if self._channel is None and now_ns - self._alone_since_ns >= ABANDONED_NS:
                break
        self._finish()

    def _finish(self) -> None:
        """Close all ports, and write what is recorded."""
        if self._offload is not None:
            self._offload.close(monotonic_ns())
        for port in self._ports.values():
            port.close()
        for recording in self._recordings.values():
            recording.close()
        if self._writer is not None:
            self._writer.finish()

    def end_if_left(self) -> None:
        """End within a second, unless a switch is connected."""
        if self._channel is None:
            self._is_ending = True

    def _note_error(self, descriptor: int) -> None:
        """Report an error about a packet; one about the switch ends the worker: the next one gets all anew."""
        channel = self._channel
        if descriptor == self._listening.fileno() or (channel is not None and descriptor == channel.sock.fileno()):
            raise  # noqa: PLE0704 - the error that is being handled
        self._report_error()

    def _report_error(self) -> None:
        """Report the error that is being handled."""
        if self._errors < ERRORS_REPORTED:
            self._errors += 1
            self._report(PacketFailed(traceback.format_exc()[-TRACE_CHARACTERS:]))

    def _end_turn(self, now_ns: int) -> None:
        """Write what has changed, and send what is due."""
        if self._changed:
            for port in self._changed:
                port.write_state()
            self._changed.clear()
        if self._reports:
            self._send_reports()
        ID.pack_into(self._record, 0, now_ns)
        if self._due and now_ns >= self._send_at_ns():
            self._sent_ns = now_ns
            self._send_due(now_ns)
        if now_ns >= self._look_ns:
            self._look_for_silence(now_ns)

    def _send_at_ns(self) -> int:
        """Return when the next packet is to be sent; never sooner than some milliseconds after the last ones."""
        return max(self._due[0][0], self._sent_ns + _SENDING_NS)

    def _send_due(self, now_ns: int) -> None:
        """Let senders send what they have to send now by themselves; the others are not looked at."""
        while self._due and self._due[0][0] <= now_ns:
            due_ns, _, sender = heappop(self._due)
            if self._sending.get(sender) != due_ns:
                continue
            del self._sending[sender]
            try:
                next_ns = sender.send_due(now_ns)
            except Exception:  # noqa: BLE001 - the boundary: an error costs what one port plays, not the media of all
                next_ns = None
                self._report_error()
            if next_ns is not None:
                self.sends_itself(sender, next_ns)

    # ---- ports ----

    def changed(self, port: MediaPort) -> None:
        """Write the state of a port into its record at the end of this turn."""
        self._changed.add(port)

    def serve(self, sock: PlainSocket, handler: Handler) -> None:
        """Call another function from now on when there is something to receive."""
        self._handlers[sock.fileno()] = handler

    def key_pressed(self, port: int, pressed: PressedKey) -> None:
        """Report a key of a peer."""
        self._report(KeyPressed(port, pressed.key, pressed.duration_ms))

    def source_found(self, port: int, leg: int, host: str) -> None:
        """Report an address that media of a leg come from, and that is to be judged."""
        self._report(SourceFound(port, leg, host))

    def sends_itself(self, sender: PeerSender, due_ns: int) -> None:
        """Call ``send_due`` at a moment, and then as long as it says when."""
        known_ns = self._sending.get(sender)
        if known_ns is None or due_ns < known_ns:
            self._sending[sender] = due_ns
            heappush(self._due, (due_ns, next(self._turns), sender))

    def open_ports(self, own_host: str, host: str, ports: Sequence[int]) -> Collection[int]:
        """Return the ports of a host to which media may be sent."""
        found = open_ports(own_host, host, ports, self._spared)
        reach = self._reaches.of(host) if found else MediaReach.REFUSED
        if reach is MediaReach.HERE:  # one of many addresses that this machine may have, and sockets be bound to
            return open_ports(own_host, host, ports, self._spared, is_here=True)
        return () if reach is MediaReach.REFUSED else found

    def _look_for_silence(self, now_ns: int) -> None:
        """Let the kernel take all sources at ports whose source may have moved."""
        self._look_ns = now_ns + LOOK_NS
        if self._recordings or self._closing:
            self._look_at_recordings()
        for port in self._ports.values():
            if port.is_filtered and now_ns - port.reception.last_ns >= MOVED_NS:
                port.take_all_sources()
            port.end_keys(now_ns - LOOK_NS)
        if self._offload is not None:
            self._offloading(self._offload.look, self._ports.values())

    # ---- what the kernel forwards ----

    def take_back(self, *ports: MediaPort) -> None:
        """Let the kernel forward nothing from and to ports."""
        if self._offload is not None:
            self._offloading(self._offload.take_back, ports)

    def left_over(self, port: MediaPort) -> None:
        """Take the stream of a port back of which a packet came that the kernel has not forwarded."""
        if self._offload is not None:
            self._offloading(self._offload.left_over, port)

    def _begin_offload(self, *, is_wanted: bool) -> None:
        if not is_wanted:
            self._end_offload()
        elif self._offload is None:
            try:
                self._offload = offload = Offload()
            except OSError as error:
                self._report_no_offload(error)
                return
            for descriptor, handler in offload.handlers().items():
                self._add(descriptor, partial(self._offloading, handler))

    def _end_offload(self) -> None:
        """Forward everything here."""
        offload, self._offload = self._offload, None
        if offload is not None:
            for descriptor in offload.handlers():
                self._remove(descriptor)
            offload.close(monotonic_ns())

    def _offloading(self, act: Callable[..., None], *arguments: object) -> None:
        """Do something with the streams of the kernel, at this time; where it refuses, forward everything here."""
        try:
            act(*arguments, monotonic_ns())
        except OSError as error:
            self._end_offload()
            self._report_no_offload(error)
        except Exception:  # noqa: BLE001 - the boundary: an error costs what the kernel forwards, not the media of all
            self._report_error()
            self._end_offload()

    def _report_no_offload(self, error: OSError) -> None:
        self._report(OffloadFailed(error.errno or 0, error.strerror or str(error)))

    # ---- the switch ----

    def _accept(self) -> None:
        try:
            sock, _ = self._listening.accept()
        except OSError:
            return
        while self._orders_taken():
            pass  # a switch that was killed may have given orders that are not read yet
        self._leave_switch()
        self._sounds.clear()  # the next switch gives those that it has; what is being played is held by its port
        self._channel = MessageChannel(sock, REPORTS_KEPT)
        self._add(sock.fileno(), self._take_orders)
        self._read_ns = None
        has_records = self._descriptor >= 0
        ready = WorkerReady(PROTOCOL, os.getpid(), self._is_real_time, has_records, own_means(), warns=True)
        self._send([ready], [self._descriptor] if has_records else None)

    def _leave_switch(self) -> None:
        """Close the connection, whether the switch has ended or another one has come."""
        channel, self._channel = self._channel, None
        if channel is not None:
            self._remove(channel.sock.fileno())
            channel.close()
            self._alone_since_ns = monotonic_ns()
        self._reports.clear()
        self._unlisted = None

    def _take_orders(self) -> None:
        """Carry out the orders of a message that has woken the worker: it looks for the next ones in its turns.

        They come by the hundred while calls are set up, and each would wake it, which costs more than to carry it out.
        """
        if self._orders_taken() and self._read_ns is None:
            self._read_ns = 0
            self._set_events()

    def _look_for_orders(self, now_ns: int, *, is_idle: bool) -> None:
        """Carry out orders before the packets of a turn: a peer may send as soon as the switch has ordered to take it.

        Where there is nothing to do, neither orders nor packets, the next orders wake the worker.
        """
        self._orders_seen = ID.unpack_from(self._record, ORDERS_AT)[0]
        taken, count = 0, -1
        while taken < _ORDERS_AT_ONCE and count:
            count = self._orders_taken()
            taken += count
        if is_idle and not taken:
            self._read_ns = None
            self._set_events()
        else:
            self._read_ns = 0 if count else now_ns + _ORDERS_NS

    def _set_events(self) -> None:
        """Set what of the connection wakes the worker: orders, and room for reports that wait; its end always does."""
        channel = self._channel
        if channel is not None:
            events = select.EPOLLIN if self._read_ns is None else 0
            self._poll.modify(channel.sock.fileno(), events | select.EPOLLOUT if channel.is_waiting else events)

    def _orders_taken(self) -> int:
        """Carry out the orders of one message; return how many there were, 0 = there was none."""
        channel = self._channel
        if channel is None:
            return 0
        try:
            if channel.is_waiting and channel.flush():
                self._set_events()
            message = channel.receive()
        except (EOFError, OSError):
            self._leave_switch()
            return 0
        if message is None:
            return 0
        content, descriptors = message
        try:
            orders = self._decode(content)
            for order in orders:
                self._carry_out(order, descriptors)
        finally:
            close_all(descriptors)
        return len(orders)

    def _carry_out(self, order: WorkerOrder, descriptors: list[int]) -> None:
        match order:
            case OpenPort():  # those of every call are first
                self._open(order, descriptors)
            case ExpectSource():
                self._order_port(order)
            case ConnectPorts():
                self._connect(order)
            case ClosePort():
                self._close(order.id)
            case UseRecords():
                self._use_records(descriptors.pop(0))
            case RecordPorts():
                self._record_ports(order)
            case SpareRanges():
                self._spared = order.ranges
            case LoadSound() | DropSound():
                self._note_sound(order, descriptors)
            case ListPorts():
                self._unlisted = iter(tuple(self._ports))
            case OffloadStreams(are_offloaded=are_offloaded):
                self._begin_offload(is_wanted=are_offloaded)
            case EndWorker():
                self._is_ending = True
            case _:
                self._order_port(order)

    def _order_port(self, order: PortOrder) -> None:
        port = self._ports.get(order.id)
        if port is not None:
            if self._offload is not None:
                self.take_back(port)
            self._change(port, order)

    def _change(self, port: MediaPort, order: PortOrder) -> None:
        if isinstance(order, PlaySound) and order.digest not in self._sounds:
            self._report(SoundMissing(order.id))
            return
        try:
            _change(port, order, self._sounds)
        except Exception:  # noqa: BLE001 - the boundary: the next worker would be given the same order
            self._report_error()

    def _note_sound(self, order: LoadSound | DropSound, descriptors: list[int]) -> None:
        if isinstance(order, DropSound):
            self._sounds.pop(order.digest, None)
            return
        descriptor = descriptors.pop(0)
        try:
            self._sounds[order.digest] = mmap.mmap(descriptor, order.size, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            self._report_error()  # ports that are to play it are reported
        finally:
            os.close(descriptor)

    def _open(self, order: OpenPort, descriptors: list[int]) -> None:
        port = order.port
        sockets = [received_socket(port.host, descriptors.pop(0)) for _ in range(1 if port.rtcp is None else 2)]
        self._mark(sockets, port.host, order.tos)
        if order.had_worker:
            for each in sockets:
                take_all(each)
        served = MediaPort(order, sockets[0], None if port.rtcp is None else sockets[1], self._record, self)
        self._ports[port.id] = served
        self._add(sockets[0].fileno(), served.receive)
        if port.rtcp is not None:
            self._add(sockets[1].fileno(), served.receive_control)

    def _connect(self, order: ConnectPorts) -> None:
        one, other = self._ports.get(order.one), self._ports.get(order.other)
        if one is not None and other is not None:
            if self._offload is not None:
                self.take_back(one, other)
            one.connect(other)

    def _close(self, number: int) -> None:
        port = self._ports.pop(number, None)
        if port is not None:
            if self._offload is not None:
                self.take_back(port)
            self._changed.discard(port)
            self._sending.pop(port.sender, None)
            if port.sender.recording is not None:
                self._end_recording(port)
            for sock in port.sockets():
                self._remove(sock.fileno())
            port.close()

    def _record_ports(self, order: RecordPorts) -> None:
        ports = [self._ports[number] for number in order.ids if number in self._ports]
        if not ports:
            return
        self.take_back(*ports)
        if not order.path:
            for port in ports:
                self._end_recording(port)
            return
        if self._writer is None:
            self._writer = RecordingWriter()
        recording = self._recordings.get(order.path)
        if recording is None or recording.is_over:
            recording = self._recordings[order.path] = Recording(Path(order.path), self._writer)
        for port in ports:
            if port.sender.recording is not recording:
                self._end_recording(port)
                port.sender.record(recording)
                recording.ports += 1

    def _end_recording(self, port: MediaPort, *, is_reported: bool = False) -> None:
        recording = port.sender.recording
        if recording is None:
            return
        port.sender.record(None)
        recording.ports -= 1
        if not recording.ports:
            if self._recordings.get(str(recording.path)) is recording:
                del self._recordings[str(recording.path)]
            if not is_reported:
                self._closing.append(recording)
            recording.close()

    def _mark(self, sockets: Sequence[PlainSocket], host: str, tos: int) -> None:
        """Mark the packets of a port; where that is not permitted, report it once, and media flows unmarked."""
        level, option = _CLASS6 if ":" in host else _CLASS4
        try:
            for sock in sockets:
                sock.setsockopt(level, option, tos)
        except OSError as error:
            if not self._is_unmarked:
                self._is_unmarked = True
                self._report(MarkUnset(tos, str(error)))

    def _look_at_recordings(self) -> None:
        """Let packets be written, and report recordings that have stopped."""
        for recording in self._recordings.values():
            recording.flush()
        for port in self._ports.values():
            stopped = port.sender.recording
            if stopped is not None and stopped.is_over:
                self._end_recording(port, is_reported=True)
                self._report(RecordingStopped(port.port.id, stopped.error, stopped.has_begun))
        for closed in [each for each in self._closing if each.is_closed]:
            self._closing.remove(closed)
            if closed.is_over:
                self._report(RecordingStopped(0, closed.error, closed.has_begun, str(closed.path)))

    def _use_records(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._record = memoryview(mmap.mmap(descriptor, BYTES))

    def _list_some(self, unlisted: Iterator[int]) -> None:
        """Report some of the ports; packets get their turn in between."""
        chosen = tuple(islice(unlisted, LISTED_AT_ONCE))
        for port in (self._ports[number] for number in chosen if number in self._ports):
            believed = port.latch.believed
            listed = PortListed(
                port.port,
                port.tos,
                port.record_number,
                port.source,
                None if believed is None else believed[:2],
                None if port.other is None else port.other.port.id,
                None if port.sender.recording is None else str(port.sender.recording.path),
                port.sender.playing,
            )
            self._send([listed], [sock.fileno() for sock in port.sockets()])
        if not chosen:
            self._unlisted = None
            self._report(ListingEnded())

    def _report(self, report: WorkerReport) -> None:
        if self._channel is not None:
            self._reports.append(report)

    def _send_reports(self) -> None:
        reports, self._reports = self._reports, []
        for start in range(0, len(reports), MESSAGE_PARTS):
            self._send(reports[start : start + MESSAGE_PARTS])

    def _send(self, reports: list[WorkerReport], descriptors: list[int] | None = None) -> None:
        channel = self._channel
        if channel is None or not reports:
            return
        try:
            channel.send(self._encode(reports), descriptors or ())
        except ChannelFullError:
            self._leave_switch()
            return
        except OSError:
            return  # the switch has ended: the orders that it gave before are read first
        if channel.is_waiting:
            self._set_events()

    def _add(self, descriptor: int, handler: Handler) -> None:
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.EPOLLIN)

    def _remove(self, descriptor: int) -> None:
        del self._handlers[descriptor]
        self._poll.unregister(descriptor)


def _change(port: MediaPort, order: PortOrder, sounds: Mapping[str, mmap.mmap]) -> None:
    """Carry out an order to one port."""
    match order:
        case ExpectSource():  # those of every call are first
            believed: Address | None = order.believed
            if believed is not None and ":" in believed[0]:
                believed = (*believed[:2], 0, 0)
            port.expect(order.source, believed, is_ours=order.is_ours)
        case WidenSource():
            port.widen(order.source)
        case JudgeSource():
            port.latch.judge(order.host, may_send=order.may_send)
        case ReportKeys():
            port.report_keys(are_reported=order.are_reported, are_taken=order.are_taken, in_tones=order.in_tones)
        case PressKey():
            port.sender.press(order.key, order.duration_ms, as_tone=order.as_tone)
        case PlayRingBack():
            port.sender.play_ring_back(order.delay_ms, order.payload)
        case PlaySound():
            port.sender.play(order, sounds[order.digest])
        case StopPlaying():
            port.sender.stop_playing()
        case WarnPeer():
            found = {
                payload: WarningSound(codec, sounds[digest])
                for payload, digest, codec in order.sounds
                if digest in sounds
            }
            port.sender.warn(order.payload, found)


def _take_real_time() -> bool:
    """Ask for real-time priority, unless the switch needs the only processor; return whether it was granted."""
    if len(os.sched_getaffinity(0)) == 1:
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))
    except OSError:
        return False
    return True


def main() -> None:
    """Serve until the switch ends this worker; signals of a terminal or a service are for the switch.

    A machine that goes down stops the switch, then waits for all that SIGTERM does not end.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.disable()  # nothing here makes cycles, and a collection would stop all media for milliseconds
    worker = Worker(socket.socket(fileno=int(sys.argv[1])))
    signal.signal(signal.SIGTERM, lambda *_: worker.end_if_left())
    worker.run()
