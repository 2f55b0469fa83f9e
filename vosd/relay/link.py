"""Connection of the switch to one relay worker: orders out, reports in, its end and its next start."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import monotonic_ns
from typing import Final

import msgspec

from vosd.base.undecodable import UNDECODABLE
from vosd.obs.events import Event, log as _log
from vosd.obs.log import LogLimiter
from vosd.processes.spare_descriptors import is_used_up
from vosd.relay.channel import ChannelFullError, MessageChannel, close_all
from vosd.relay.protocol import (
    MESSAGE_BYTES,
    MESSAGE_PARTS,
    PROTOCOL,
    ClosePort,
    EndWorker,
    KeyPressed,
    ListingEnded,
    ListPorts,
    MarkUnset,
    OffloadFailed,
    PacketFailed,
    PortListed,
    RecordingStopped,
    SoundMissing,
    SourceFound,
    UseRecords,
    WorkerOrder,
    WorkerReady,
    WorkerReport,
    descriptors_of,
)
from vosd.relay.records import FigureRecords, new_memory
from vosd.relay.sockets import PlainSocket
from vosd.relay.worker_process import WorkerConnection, connect_worker, kill, own_means, reap, start_worker

ORDERS_KEPT: Final = 2_000
"""Messages of up to a hundred orders that wait for a worker that does not read; above it the worker is ended, and
started again."""
LATER_S: Final = 0.02
"""Longest time for which orders wait for others to go with them: each message wakes the worker, which costs more than
what it says."""
RESTART_S: Final = 0.5
"""Pause before a worker is started again when two have ended soon after their start, doubled up to
``_RESTART_MAX_S``."""
_RESTART_MAX_S: Final = 30.0
_LASTING_NS: Final = 10_000_000_000
_TURN_NS: Final = 2_000_000_000
"""A worker that has had no turn for so long receives no packets: it has several a second."""
_AWAY_MS: Final = 1_000
"""Shortest time until a worker that receives none will."""
STUCK_NS: Final = 5_000_000_000
"""A worker that has had no turn for so long is ended, and started again; it has one each second."""
START_NS: Final = 60_000_000_000
"""Longest time until the first turn of a new worker. It starts without priority, beside all other processes."""
_END_S: Final = 5.0
_END_STEP_S: Final = 0.02


class WorkerLink:
    """One worker, and the next one when it has ended.

    ``pressed`` gets port, key and duration of keys, ``adopt`` the ports that it serves for a switch before, with their
    descriptors. ``died`` is called when another worker was started, to which all ports are to be given,
    ``stopped`` when a recording has stopped, ``missing`` with a port whose sound the worker could not have,
    ``not_offloaded`` when the kernel forwards no streams, ``found`` with a source that is to be judged.
    """

    def __init__(
        self,
        path: Path,
        pressed: Callable[[int, str, int], None],
        adopt: Callable[["WorkerLink", PortListed, list[int]], None],
        died: Callable[["WorkerLink"], None],
        stopped: Callable[[RecordingStopped], None],
        missing: Callable[[int], None],
        not_offloaded: Callable[[OffloadFailed], None],
        found: Callable[[SourceFound], None],
    ) -> None:
        """Raises OSError if there is no memory for figures."""
        self.path = path
        self.pid = 0
        self.records = FigureRecords(new_memory())
        self.listed = asyncio.Event()
        """Set when all ports of an earlier switch were adopted."""
        self.is_outdated = False
        """Whether a switch before has left the worker, and one that is started now would have more, or run another
        program."""
        self.warns = False
        """Whether the worker can warn by a tone: one that a release before has left may not."""
        self._pressed = pressed
        self._adopt = adopt
        self._died = died
        self._stopped = stopped
        self._missing = missing
        self._not_offloaded = not_offloaded
        self._found = found
        self._channel: MessageChannel | None = None
        self._orders: list[WorkerOrder] = []
        self._descriptors: list[int] = []
        self._closing: list[PlainSocket] = []
        """Sockets that are closed when the orders have left, with which they may have to go."""
        self._dead: list[int] = []
        """Workers that have ended, and may not be reaped yet."""
        self._is_quiet = False
        self._is_flush_due = False
        self._later: asyncio.TimerHandle | None = None
        """The timer that sends the orders that may wait; None = none waits."""
        self._is_stopped = False
        self._begun_ns = 0
        self._is_starting = False
        """Whether the worker is new, and has had no turn yet."""
        self._is_slow = False
        """Whether the log says that it starts slowly."""
        self._receiving_since_ms = 0
        """Start of the worker if it was started in the place of one that had ended, or the last moment at which it was
        seen to start still."""
        self._log_limiter = LogLimiter()
        self._failures = 0
        """Starts in a row that did not last."""
        self._restart: asyncio.TimerHandle | None = None
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[WorkerReport]).decode
        self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        """Connect to the worker that a switch before has left, or start one.

        Raises:
            OSError: it cannot be started.
        """
        left = connect_worker(self.path)
        if left is not None:
            self._attach(left, is_new=not left.pid)
            return
        self._begin_new()

    def order(self, order: WorkerOrder, descriptors: Iterable[int] = (), *, may_wait: bool = False) -> None:
        """Give an order; all that wait go as one message before those of SIP leave, behind those that ``may_wait``.

        These go with the next one that may not, or after ``LATER_S``.
        """
        self._orders.append(order)
        self._descriptors += descriptors
        if len(self._orders) >= MESSAGE_PARTS:
            self.flush()
        elif self._is_flush_due:
            return
        elif not may_wait:
            self._is_flush_due = True
            self._loop.call_soon(self.flush_due)
        elif self._later is None:
            self._later = self._loop.call_later(LATER_S, self._flush_later)

    def keep_together(self, count: int) -> None:
        """Let the next ``count`` orders go as one message: send those before that would leave no room for them."""
        if len(self._orders) + count > MESSAGE_PARTS:
            self.flush()

    def close(self, order: ClosePort, sockets: Sequence[PlainSocket]) -> None:
        """Let the worker close a port, and then close its sockets here: the order to open it may still wait."""
        self._closing += sockets
        self.order(order, may_wait=True)

    def flush_due(self) -> None:
        """Send the orders that were given, unless all of them may wait."""
        if self._is_flush_due:
            self.flush()

    def _flush_later(self) -> None:
        self._later = None
        self.flush()

    def flush(self) -> None:
        """Send the orders that were given."""
        self._is_flush_due = False
        orders, descriptors = self._orders, self._descriptors
        if not orders:
            return
        closing = self._closing
        self._orders, self._descriptors, self._closing = [], [], []
        channel = self._channel
        try:
            if channel is None:
                return  # the ports are given to the next worker as they are by then
            self._send(channel, orders, descriptors)
        except ChannelFullError:
            self.replace()
            return
        except OSError as error:
            if is_used_up(error):  # no later order can make up for these
                self._log_lost(error)
            return  # else it has ended: the reader learns of it
        finally:
            for sock in closing:
                sock.close()
        if channel.is_waiting:
            self._loop.add_writer(channel.sock.fileno(), self._write)

    def _log_lost(self, error: OSError) -> None:
        if self._log_limiter.admits("lost", monotonic_ns() // 1_000_000):
            _log.error(
                "media_orders_lost", pid=self.pid, error=str(error), do="let the service open more files (LimitNOFILE)"
            )

    def _send(self, channel: MessageChannel, orders: Sequence[WorkerOrder], descriptors: Sequence[int]) -> None:
        """Send orders as one message, or as several where they are too long for one: peers write descriptions."""
        content = self._encode(orders)
        if len(content) <= MESSAGE_BYTES or len(orders) == 1:
            channel.send(content, descriptors)
            self.records.note_orders()
            return
        middle = len(orders) // 2
        taken = sum(map(descriptors_of, orders[:middle]))
        self._send(channel, orders[:middle], descriptors[:taken])
        self._send(channel, orders[middle:], descriptors[taken:])

    def is_stuck(self) -> bool:
        """Return whether the worker has had no turn for too long; to be asked in even intervals.

        Twice in a row: where the whole machine stood still, the worker has had a turn by the second time.
        """
        self._is_rid_of_dead()
        now_ns, turn_ns = monotonic_ns(), self.records.turn_at_ns()
        quiet_ns = now_ns - max(turn_ns, self._begun_ns)
        is_quiet = self._channel is not None and quiet_ns >= STUCK_NS
        self._is_starting = self._is_starting and turn_ns < self._begun_ns
        # A worker that is ended while it starts begins from nothing: on a busy machine no worker would ever be ready.
        if self._is_starting:
            self._receiving_since_ms = now_ns // 1_000_000
            if is_quiet and not self._is_slow:
                self._is_slow = True
                _log.warning("media_worker_slow", pid=self.pid)
            is_quiet = is_quiet and quiet_ns >= START_NS
        was_quiet, self._is_quiet = self._is_quiet, is_quiet
        return was_quiet and self._is_quiet

    async def ports_freed(self) -> None:
        """Wait until the workers that were ended here have none of the ports of a switch before any more."""
        deadline_s = self._loop.time() + _END_S
        while not self._is_rid_of_dead():
            if self._loop.time() >= deadline_s:
                return
            await asyncio.sleep(_END_STEP_S)

    def _is_rid_of_dead(self) -> bool:
        self._dead = [pid for pid in self._dead if not reap(pid)]
        return not self._dead

    def is_receiving(self) -> bool:
        """Return whether the worker takes packets: there is one, and it has had a turn lately, or has just begun."""
        turn_ns = max(self.records.turn_at_ns(), self._begun_ns)
        return self._channel is not None and monotonic_ns() - turn_ns < _TURN_NS

    def receiving_since_ms(self) -> int:
        """Return from when on packets to its ports were received; a later moment than now while none are."""
        return self._receiving_since_ms if self.is_receiving() else monotonic_ns() // 1_000_000 + _AWAY_MS

    def move(self, path: Path) -> None:
        """Let the worker listen at another path; its own becomes free for another one."""
        self.path = self.path.rename(path)

    def replace(self) -> None:
        """End a worker that does not answer; another one is started."""
        _log.warning("media_worker_stuck", pid=self.pid)
        self._lose()

    async def stop(self, *, keep: bool) -> None:
        """Leave the worker, which goes on if ``keep``, or end it."""
        self._is_stopped = True
        for timer in (self._restart, self._later):
            if timer is not None:
                timer.cancel()
        if not keep:
            self.order(EndWorker())
        self.flush()
        self._detach()
        self.records.close()
        if keep or not self.pid:
            return
        if not await self._has_ended():
            kill(self.pid)
            if not await self._has_ended():  # a thread of it is in the kernel: no signal ends that
                _log.warning(
                    "media_worker_not_ended",
                    pid=self.pid,
                    do="look at the disk of recordings, or wait for the program that loads rules of nftables",
                )
        self.path.unlink(missing_ok=True)

    async def _has_ended(self) -> bool:
        """Return whether the worker ends within a while."""
        deadline_s = self._loop.time() + _END_S
        while not reap(self.pid):
            if self._loop.time() >= deadline_s:
                return False
            await asyncio.sleep(_END_STEP_S)
        return True

    def _begin_new(self) -> None:
        """Start a worker; raises OSError if that is not possible."""
        self._attach(start_worker(self.path), is_new=True)
        self.warns = True
        self.order(UseRecords(), [self.records.descriptor])
        self.listed.set()

    def _attach(self, connection: WorkerConnection, *, is_new: bool) -> None:
        self.pid = connection.pid
        self._begun_ns = monotonic_ns()
        self._is_starting, self._is_slow = is_new, False
        self._channel = MessageChannel(connection.sock, ORDERS_KEPT)
        self._loop.add_reader(connection.sock.fileno(), self._read)

    def _detach(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            self._loop.remove_reader(channel.sock.fileno())
            self._loop.remove_writer(channel.sock.fileno())
            channel.close()

    def _write(self) -> None:
        channel = self._channel
        if channel is None:
            return
        try:
            is_sent = channel.flush()
        except OSError:
            return
        self.records.note_orders()
        if is_sent:
            self._loop.remove_writer(channel.sock.fileno())

    def _read(self) -> None:
        channel = self._channel
        if channel is None:
            return
        try:
            message = channel.receive()
        except (EOFError, OSError):
            self._lose()
            return
        if message is None:
            return
        content, descriptors = message
        try:
            reports = self._decode(content)
        except UNDECODABLE:
            close_all(descriptors)
            self._end_other_version()
            return
        for report in reports:
            self._take(report, descriptors)
        close_all(descriptors)

    def _take(self, report: WorkerReport, descriptors: list[int]) -> None:
        """Take a report; descriptors that go with it are taken out of the list."""
        match report:
            case WorkerReady() if report.protocol != PROTOCOL:
                self.pid = report.pid
                self._end_other_version()
            case WorkerReady():
                self._begin(report, descriptors)
            case PortListed():
                count = 1 if report.port.rtcp is None else 2
                self._adopt(self, report, descriptors[:count])
                del descriptors[:count]
            case ListingEnded():
                self.listed.set()
            case KeyPressed():
                self._pressed(report.id, report.key, report.duration_ms)
            case PacketFailed():
                _log.error("media_packet_failed", pid=self.pid, trace=report.trace)
            case RecordingStopped():
                self._stopped(report)
            case SoundMissing():
                self._missing(report.id)
            case MarkUnset():
                _log.warning("media_mark_unset", pid=self.pid, tos=f"{report.tos:#04x}", error=report.error)
            case OffloadFailed():
                self._not_offloaded(report)
            case SourceFound():
                self._found(report)

    def _begin(self, ready: WorkerReady, descriptors: list[int]) -> None:
        """Ask a worker that a switch before has left for its ports."""
        self.pid, self.warns = ready.pid, ready.warns
        is_left = not self.listed.is_set()
        self.is_outdated = is_left and (ready.means is None or ready.means.lacks(own_means()))
        if not (ready.is_real_time or self.is_outdated):
            _log.warning("media_worker_without_priority", pid=self.pid)
        if not is_left:
            return
        if ready.has_records:
            self.records.close()
            self.records = FigureRecords(descriptors.pop(0))
        else:
            self.order(UseRecords(), [self.records.descriptor])
        self.order(ListPorts())

    def _end_other_version(self) -> None:
        _log.warning("media_worker_of_another_version", pid=self.pid)
        self._lose(is_fault=False)

    def _lose(self, *, is_fault: bool = True) -> None:
        """Start another worker in the place of one that has ended, or is ended here."""
        self._detach()
        kill(self.pid)
        self._dead.append(self.pid)
        if self._is_stopped:
            return
        self._failures = 0 if monotonic_ns() - self._begun_ns >= _LASTING_NS else self._failures + 1
        pause_s = self._pause_s()
        if is_fault:
            _log.error(Event.MEDIA_WORKER_ENDED, pid=self.pid, again_in_s=pause_s)
        self._restart = self._loop.call_later(pause_s, self._start_again)

    def _pause_s(self) -> float:
        return min(RESTART_S * 2 ** (self._failures - 2), _RESTART_MAX_S) if self._failures > 1 else 0.0

    def _start_again(self) -> None:
        self._restart = None
        self.flush()  # to none: the next worker gets the ports as they are
        try:
            self._begin_new()
        except OSError as error:
            self._failures += 2
            pause_s = self._pause_s()
            _log.error(Event.MEDIA_WORKER_NOT_STARTED, error=str(error), again_in_s=pause_s)
            self._restart = self._loop.call_later(pause_s, self._start_again)
            return
        self._receiving_since_ms = self._begun_ns // 1_000_000
        self._died(self)
