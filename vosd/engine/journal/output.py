"""Writing of the journal's present file, also when the disk is full.

A reserve file is allocated beforehand, with room for the end of every running call: a call is answered only if there is
room for its end as well (ADR 82). When a write fails, writing continues in the reserve, whose blocks are already
allocated. From then on ``is_short`` is set and new calls are refused, until a new reserve and a new file are created.
It does not know what the records mean.

A process that may open no more files says nothing about the disk: the reserve is open from the beginning, a sync opens
nothing, and spare descriptors are kept for the next file, its directory, which is also listed, and the next reserve.
"""

import asyncio
import ctypes
import os
from collections.abc import Collection
from contextlib import suppress
from enum import Enum
from typing import Final

from vosd.engine.journal.files import Files, WrittenUpTo
from vosd.engine.journal.frames import kind_of
from vosd.obs.events import Event, log as _log
from vosd.processes.spare_descriptors import advice, is_used_up

RESERVE_BYTES: Final = 16 * 1024 * 1024
"""Least size of the reserve, and by how much it grows: room for the ends of 4,096 calls."""
SYNC_S: Final = 0.05
END_BYTES: Final = 4_096
"""Room in the reserve for the end of each running call."""
AGENT_BYTES: Final = 1_024
"""Room for each agent above its customer, whose charge is in the record of the end."""
DESCRIBED_BYTES: Final = 6_144
"""Room for the description of each running call at the beginning of a file."""

MAKE_ROOM: Final = "make room in state_dir"


_write = ctypes.PyDLL(None, use_errno=True).write
_write.restype = ctypes.c_ssize_t


def system_write(descriptor: int, data: bytes) -> int:
    """Write like ``os.write``, without releasing Python's global lock.

    Beside a thread that computes, as during a reload, it takes up to 20 ms to get the lock back; the write takes 10 µs.
    """
    done: int = _write(descriptor, data, ctypes.c_size_t(len(data)))
    if done < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return done


class _State(Enum):
    NORMAL = "normal"
    RESERVE = "the disk takes no more than the reserve"
    STUCK = "the disk takes nothing"


class JournalOutput:
    """The present file, and the records that wait to be written."""

    def __init__(self, files: Files, reserve_bytes: int) -> None:
        self._files = files
        self._reserve_bytes = reserve_bytes
        self._sync_wanted = asyncio.Event()
        self._state = _State.NORMAL
        self._reserved = 0
        """Size of the reserve; 0 = there is none."""
        self._reserve = -1
        """Descriptor of the reserve; -1 = it is not open."""
        self._spare = files.spare
        self._being_synced = -1
        """Descriptor that a thread syncs; -1 = there is none."""
        self._sync_began: float | None = None
        """Time at which that sync began, on the clock of the event loop; None = no thread syncs."""
        self._slowest_sync_s = 0.0
        self._room = 0
        """Size of the present file if it was the reserve; 0 = it was not."""
        self.is_sealed = False
        """Whether all calls are written for the next process, and only records of some kinds may follow."""
        self._allowed: Collection[int] = ()
        self.is_crowded = False
        """Whether the reserve has hardly room for the end of one more call, and the disk none for a larger one."""
        self._dirty = False
        self._missing = -1
        """Number of the file that was found to be removed; -1 = none was."""
        self._buffer: list[bytes] = []
        self._end = 0
        """End of the last complete record in the file."""
        self.descriptor = -1
        self.number = 0
        self.backlog = 0
        """Bytes of the waiting records."""

    @property
    def is_short(self) -> bool:
        """Whether a write has failed and the disk has not recovered."""
        return self._state is not _State.NORMAL

    @property
    def written(self) -> WrittenUpTo:
        """Place up to which the journal is written."""
        return WrittenUpTo(self.number, self._end, not self.backlog)

    def has_room_for_answer(self, ends: int) -> bool:
        """Return whether one more answered call may be written: there must be room for the ends of all.

        ``ends`` is the room in bytes for those of the running calls, and for the agents of this one; here and below.
        """
        needed = ends + 2 * END_BYTES
        if self.is_sealed:
            return False
        if self._state is _State.NORMAL:
            return needed <= self._reserved or self._grow(needed)
        return self._state is _State.RESERVE and self._left() >= needed

    def keep_room(self, ends: int) -> None:
        """Enlarge the reserve before it is too small; done every second, so that no call has to wait for it."""
        self._spare.obtain()
        needed = ends + 2 * END_BYTES
        if self._state is _State.NORMAL and (self.is_crowded or 4 * needed > 3 * self._reserved):
            self._grow(needed)

    # -- records ------------------------------------------------------------------------------------------------

    def append(self, frame: bytes) -> None:
        """Queue a record for the next ``write``; once sealed, only of some kinds."""
        if self.is_sealed and kind_of(frame) not in self._allowed:
            return
        self._buffer.append(frame)
        self.backlog += len(frame)

    def is_tight(self, ends: int) -> bool:
        """Return whether what is left of the reserve is needed for the ends of running calls."""
        return self._state is not _State.NORMAL and self._left() < ends + 2 * END_BYTES

    def append_spare(self, frame: bytes, ends: int) -> None:
        """Queue a record without which no call is lost; where the ends of running calls need the room, drop it."""
        if self._state is _State.NORMAL or not self.is_tight(ends):
            self.append(frame)

    def seal(self, allowed: Collection[int]) -> None:
        """Drop records from now on unless they are of one of these kinds; there is room for no more calls."""
        self.is_sealed, self._allowed = True, allowed

    def withdraw(self) -> None:
        """Drop the record that was appended last and not written."""
        self.backlog -= len(self._buffer.pop())

    def write(self) -> bool:
        """Write the waiting records; return False if some still wait. None is dropped."""
        while self._buffer and self._state is not _State.STUCK:
            data = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
            done = 0
            try:
                while done < len(data):
                    done += system_write(self.descriptor, data[done:] if done else data)
            except OSError as error:
                self._keep_whole_records(done)
                self._fall_back(error)
            else:
                self._buffer.clear()
                self.backlog = 0
                self._end += done
            if done and not self._dirty:
                self._dirty = True
                self._sync_wanted.set()
        return not self._buffer

    def begin_sync(self) -> int:
        """Return the descriptor to sync: it covers what was written until now, and stays open until ``end_sync``."""
        self._dirty = False
        self._being_synced = self.descriptor
        return self.descriptor

    def end_sync(self) -> None:
        """Close the descriptor that was synced if another file is written by now."""
        synced, self._being_synced = self._being_synced, -1
        if synced != self.descriptor:
            os.close(synced)

    async def keep_synced(self) -> None:
        """Sync in a thread what was written, every ``SYNC_S`` while there is something; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._sync_wanted.wait()
            await asyncio.sleep(SYNC_S)
            self._sync_wanted.clear()
            descriptor = self.begin_sync()
            self._sync_began = began = loop.time()
            try:
                await loop.run_in_executor(None, os.fdatasync, descriptor)
            except OSError as error:
                self.sync_failed(error)
            finally:
                self._sync_began = None
                self._slowest_sync_s = max(self._slowest_sync_s, loop.time() - began)
                self.end_sync()

    def take_slowest_sync(self) -> float:
        """Return how many seconds the slowest sync took since this was asked last; one that goes on, up to now."""
        slowest, self._slowest_sync_s = self._slowest_sync_s, 0.0
        if self._sync_began is None:
            return slowest
        return max(slowest, asyncio.get_running_loop().time() - self._sync_began)

    def sync(self) -> bool:
        """Sync what was written; return whether that succeeded."""
        try:
            os.fdatasync(self.descriptor)
        except OSError as error:
            self.sync_failed(error)
            return False
        return True

    def sync_failed(self, error: OSError) -> None:
        """Continue in the reserve: what was written and not synced may be lost in a power failure."""
        _log.error("journal_not_synced", means="a power loss may lose calls", error=str(error))
        if self._state is _State.NORMAL:
            self._fall_back(error)

    # -- files --------------------------------------------------------------------------------------------------

    def open(self, number: int, ends: int = 0, open_calls: int = 0) -> None:
        """Begin with the file of this number, and allocate the reserve, removing booked files if room is needed.

        The calls of the earlier run go on: without the reserve, their ends would wait in memory for room. Where the
        disk has not enough for it, it is as large as the disk allows.

        Raises:
            OSError: the file cannot be made.
        """
        self._spare.obtain()
        self._follow(*self._create(number))
        wanted = self._size_for(ends + 2 * END_BYTES)
        error = self._obtain_reserve(wanted)
        if error is None:
            return
        self._state = _State.RESERVE
        while not self._reserved and (wanted := wanted // 2) >= 2 * END_BYTES:
            with suppress(OSError):
                self._allocate_reserve(wanted)
        _log.error(
            Event.JOURNAL_RESERVE_MISSING,
            error=str(error),
            means="no call is taken",
            running_calls=open_calls,
            room_for_ends=self._reserved // END_BYTES,
            do=advice(error, MAKE_ROOM),
        )

    def begin_next(self, open_calls: int) -> bool:
        """Begin a new file with so many running calls.

        Return False if the disk has no room for it, or if the present one cannot be synced, a failure of the disk.

        Raises:
            OSError: it cannot be created; the present one is continued.
        """
        if not self.has_room_for_file(open_calls):
            _log.error(
                "journal_file_not_created",
                means="the old one is continued",
                error="the disk has no room for it",
                do=MAKE_ROOM,
            )
            return False
        if not self.sync():
            return False
        self._change_to(*self._create(self.number + 1))
        return True

    def has_room_for_file(self, open_calls: int) -> bool:
        """Return whether the disk has room for a new file, which begins with all running calls.

        Else it would be full at once, and what it begins with would take the room of the ends in the reserve.

        Raises:
            OSError: that is not known.
        """
        disk = os.statvfs(self.descriptor)
        return disk.f_bavail * disk.f_frsize >= max(self._reserve_bytes // 16, DESCRIBED_BYTES * open_calls)

    def look_for_file(self) -> None:
        """Note that the present file was removed, or its directory moved: ``recover`` makes all of it anew."""
        try:
            if os.path.samestat(self._files.path(self.number).stat(), os.fstat(self.descriptor)):
                return
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:  # of a disk that fails: writing will say so
            return
        if self._missing != self.number:
            self._missing = self.number
            _log.error(
                Event.JOURNAL_REMOVED,
                file=self._files.path(self.number).name,
                means="calls that memory has are written to a new file; a kill before that would have lost them",
            )
        self._state = _State.STUCK
        self._close_reserve()
        self._reserved = self._room = 0
        with suppress(OSError):
            self._files.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def recover(self, ends: int = 0, open_calls: int = 0) -> bool:
        """Allocate a new reserve and begin a new file, removing booked files if room is needed; return success."""
        try:
            if self._obtain_reserve(self._size_for(ends + 2 * END_BYTES)) is not None:
                return False
            if not self.has_room_for_file(open_calls):
                return False
            os.fdatasync(self.descriptor)
            self._change_to(*self._create(self.number + 1))
        except OSError:
            return False
        self._state = _State.NORMAL
        _log.info(Event.JOURNAL_RECOVERED, waiting_bytes=self.backlog)
        return True

    def close(self) -> None:
        """Sync and close the file."""
        self.sync()
        self._leave_file()
        self.descriptor = -1
        self._close_reserve()
        self._spare.release()

    # -- inside -------------------------------------------------------------------------------------------------

    def _create(self, number: int) -> tuple[int, int]:
        with self._spare.lent():
            return self._files.create(number)

    def _change_to(self, descriptor: int, number: int, room: int = 0) -> None:
        self._leave_file()
        self._follow(descriptor, number, room)
        self._spare.obtain()

    def _leave_file(self) -> None:
        if self.descriptor != self._being_synced:  # else it is closed by ``end_sync``
            os.close(self.descriptor)

    def _follow(self, descriptor: int, number: int, room: int = 0) -> None:
        self.descriptor, self.number, self._end, self._room = descriptor, number, 0, room

    def _left(self) -> int:
        """Return how many bytes can be written to what is allocated."""
        return max(self._room - self._end, 0) + self._reserved - self.backlog

    def _size_for(self, needed: int) -> int:
        """Return the size of a reserve for so many bytes, of which a quarter should stay free."""
        return self._reserve_bytes * max(1, -(-4 * needed // (3 * self._reserve_bytes)))

    def _grow(self, needed: int) -> bool:
        """Enlarge the reserve; return whether it has room for ``needed`` bytes.

        The last eighth is for calls that ring: new ones are refused before, and booked files removed before that.
        """
        size, error = self._size_for(needed), None
        try:
            self._allocate_reserve(size)
        except OSError as failed:
            error = self._obtain_reserve(size) if 8 * needed > 7 * self._reserved else failed
        is_full = error is not None and 8 * needed > 7 * self._reserved
        stays_crowded = self.is_crowded and 4 * needed > 3 * self._reserved  # else it would come and go with each call
        if is_full and not self.is_crowded:
            _log.error(
                Event.JOURNAL_RESERVE_MISSING,
                error=str(error),
                means="no more calls are taken than have room for their ends",
                room_for_ends=self._reserved // END_BYTES,
                do=MAKE_ROOM if error is None else advice(error, MAKE_ROOM),
            )
        elif self.is_crowded and not (is_full or stays_crowded):
            _log.info(Event.JOURNAL_RECOVERED, room_for_ends=self._reserved // END_BYTES)
        self.is_crowded = is_full or stays_crowded
        return needed <= self._reserved

    def _obtain_reserve(self, size: int) -> OSError | None:
        """Allocate a reserve of that size, removing what may be removed for it; return what prevents it."""
        while self._reserved < size:
            try:
                self._allocate_reserve(size)
            except OSError as error:
                if is_used_up(error):
                    return error
                try:
                    if self._release_rest(size) or self._files.cut_unused(self.number) or self._files.give_up_oldest():
                        continue
                except OSError as failed:  # no file may be opened; else the disk is not full, but takes nothing
                    return failed if is_used_up(failed) else error
                return error
        return None

    def _allocate_reserve(self, size: int) -> None:
        """Allocate the reserve, or enlarge it; where that fails, it is as it was, also that of an earlier process."""
        descriptor = self._opened_reserve()
        before = os.fstat(descriptor).st_size
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            if before:  # another program must not get these blocks
                os.ftruncate(descriptor, before)
            else:
                self._close_reserve()
                self._files.reserve.unlink()
            raise
        self._reserved = size

    def _opened_reserve(self) -> int:
        if self._reserve >= 0 and os.fstat(self._reserve).st_nlink == 0:  # the operator has removed it
            self._close_reserve()
            self._reserved = 0
        if self._reserve < 0:
            with self._spare.lent():
                self._reserve = os.open(self._files.reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._reserve

    def _close_reserve(self) -> None:
        if self._reserve >= 0:
            os.close(self._reserve)
        self._reserve = -1

    def _release_rest(self, size: int) -> bool:
        """Release the unused rest of the reserve in use, to make room for a new one; return whether it did."""
        rest = os.fstat(self.descriptor).st_size - self._end
        disk = os.statvfs(self.descriptor)
        if rest <= 0 or disk.f_bavail * disk.f_frsize + rest < size - self._reserved + END_BYTES:
            return False
        os.ftruncate(self.descriptor, self._end)
        self._room = 0
        return True

    def _keep_whole_records(self, done: int) -> None:
        """After a write of only ``done`` bytes, drop the complete records and cut off a part of one."""
        whole = 0
        while whole + len(self._buffer[0]) <= done:
            whole += len(self._buffer.pop(0))
        self.backlog -= whole
        self._end += whole
        if done > whole:
            try:
                os.ftruncate(self.descriptor, self._end)
                os.lseek(self.descriptor, self._end, os.SEEK_SET)
            except OSError as error:  # the part stays in the file; reading continues after it
                self._end += done - whole
                _log.warning("journal_record_not_removed", error=str(error), at=self._end)

    def _fall_back(self, error: OSError) -> None:
        """Continue in the reserve; keep records in memory if that is used up."""
        if self._state is _State.NORMAL:
            _log.error(
                Event.JOURNAL_WRITE_FAILED,
                error=str(error),
                means="no new call is taken, running calls go on and can be ended",
                do="make room on the disk of state_dir, or mend it; the switch tries again every second",
            )
        self._state = _State.STUCK
        if not self._reserved:
            return
        try:
            os.fdatasync(self.descriptor)
        except OSError as failed:
            _log.error("journal_not_synced", means="a power loss may lose calls", error=str(failed))
        room, self._reserved = self._reserved, 0
        number = self.number + 1
        try:
            self._files.reserve.rename(self._files.path(number))
        except OSError as failed:
            self._close_reserve()
            _log.error("journal_reserve_unusable", error=str(failed))
            return
        descriptor, self._reserve = self._reserve, -1
        self._change_to(descriptor, number, room)
        self._state = _State.RESERVE
