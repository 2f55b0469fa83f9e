"""Write registrations to the database in the background, in batches, with each binding's latest state.

Owns when a binding is written. A new or changed one is written within ``FLUSH_S``. A refresh is mostly not: a row has
``until``, two lifetimes ahead of the binding's end, and is written again when less than one is left. So no row ends
before its binding, and a restart loses none. Restored bindings are valid until then, but at most one lifetime from the
start: an endpoint that still exists refreshes within it. Where the clock is set forward, rows that would end too soon
are written again. A stop writes the true ends.

At most one state for each binding is queued, so the queue is bounded however long the database, or its copy, is down.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from vosd.base.clock import Clock
from vosd.base.errors import VosError
from vosd.cdr.ports import StoreUnavailable
from vosd.obs.events import Event, log as _log
from vosd.obs.outage import Outage
from vosd.sip.flows import Flows
from vosd.sip.ports import BindingKey, BindingStore, StoredBinding
from vosd.sip.registration.registrar import Binding, Bindings
from vosd.sip.wire.outgoing import Peer

FLUSH_S: Final = 1.0
"""Time that a new state may wait, and that a crash can lose."""
AT_ONCE: Final = 200
"""Bindings that are restored or written again before packets have their turn."""
BATCH: Final = 100
"""Bindings in a transaction: few enough that encoding them delays packets by at most 5 ms."""
PARTING_BATCH: Final = 1_000
"""Bindings in a transaction at a stop, when no packet waits."""
AHEAD: Final = 2
"""Lifetimes by which a row outlasts its binding."""
_SAME_MS: Final = 1_000
"""Ends that differ by less are one and the same, computed at two moments."""
LAST_WRITING_S: Final = 5.0
"""Longest time of a stop until everything is written."""
_ALIKE: Final = tuple(name for name in StoredBinding._fields if name in Binding.__struct_fields__)


class RegistrationWriter:
    """Queue of states to write, and the task that writes them."""

    def __init__(self, store: BindingStore, flows: Flows, clock: Clock) -> None:
        self._store = store
        self._flows = flows
        self._clock = clock
        self._waiting: dict[BindingKey, StoredBinding | None] = {}
        """None = the binding is removed."""
        self._unnoted: dict[BindingKey, StoredBinding | None] = {}
        """States that the copy of the store lacks: it gets all of them also while the database is away."""
        self._until: dict[BindingKey, int] = {}
        """``until`` of each binding's row, written or queued."""
        self.is_by_copy = False
        """Whether a copy was read instead of the database, which is not written to until all of it is read."""
        self.displaced: list[tuple[str, Binding]] = []
        """Bindings of the database, read by ``load``, whose slot one of another device may have got here meanwhile."""
        self._outage = Outage(Event.DATABASE_AWAY, part="registrations")
        self._looked = clock.now()

    def __len__(self) -> int:
        """Return the number of bindings that wait to be written or removed."""
        return len(self._waiting)

    def put(self, name: str, binding: Binding, before: Binding | None) -> None:
        """Queue a new or renewed binding; ``before`` is its previous state."""
        key = BindingKey(name, binding.slot)
        if before is not None and self._lasts(key, binding) and is_refresh(before, binding):
            return
        self._write(key, binding, self._end_of(binding, ahead=AHEAD))

    def drop(self, name: str, slot: int) -> None:
        """Queue the removal of a binding."""
        key = BindingKey(name, slot)
        self._until.pop(key, None)
        self._queue(key, None)

    async def load(self, without_connection: Callable[[Binding], Peer | None]) -> Iterator[tuple[str, Binding | None]]:
        """Return the stored bindings with the names of their users; None = one is not valid any more.

        ``without_connection`` returns where a binding is reached that was reached over a connection; None = nowhere.

        Bindings that this process has written or removed before their turn are left out: what is stored of them is not
        newer.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """
        rows = await self._store.load()
        self._unnoted.update(self._waiting)  # the copy is now as the database is
        return self._taken(self._read(rows, without_connection))

    async def load_copy(self, without_connection: Callable[[Binding], Peer | None]) -> list[tuple[str, Binding]]:
        """Return the bindings that ``load`` would return, as a copy of the database has them, which may be older.

        Nothing is written for them before they change: the database may have newer ones.

        Raises:
            StoreUnavailable: the copy cannot be read.
        """
        read = self._read(await self._store.load(), without_connection)
        found = [(row.name, binding) for row, binding in read if binding is not None]
        self.is_by_copy = True
        return found

    def is_known(self, name: str, slot: int) -> bool:
        """Return whether a binding was read from the database or has changed since the start: not by the copy alone."""
        return BindingKey(name, slot) in self._until

    def is_waiting(self, name: str, slot: int) -> bool:
        """Return whether a binding waits to be written or removed."""
        return BindingKey(name, slot) in self._waiting

    def is_changed(self, name: str, slot: int) -> bool:
        """Return whether a binding waits to be written: it is new or renewed since a start by a copy."""
        return self._waiting.get(BindingKey(name, slot)) is not None

    async def write_again(self, users: Iterable[tuple[str, Bindings]]) -> None:
        """Write the bindings of all users, and remove the rows of others: the database has lost commits.

        Raises:
            StoreUnavailable: the database cannot be reached; nothing is written.
        """
        stored = await self._store.load()
        async for key, binding in _in_turns(users):
            self._write(key, binding, self._end_of(binding, ahead=AHEAD))
        for number, row in enumerate(stored, 1):
            if BindingKey(row.name, row.slot) not in self._until:
                self.drop(row.name, row.slot)
            if not number % AT_ONCE:
                await asyncio.sleep(0)

    async def follow_clock(self, users: Iterable[tuple[str, Bindings]]) -> None:
        """Write rows of all users anew that would end too soon, where the clock was set forward since the last look."""
        before, self._looked = self._looked, self._clock.now()
        if self._looked.wall - before.wall - (self._looked.mono - before.mono) <= _SAME_MS:
            return
        async for key, binding in _in_turns(users):
            if key in self._until and not self._lasts(key, binding):
                self._write(key, binding, self._end_of(binding, ahead=AHEAD))

    async def flush(self, at_once: int = BATCH) -> None:
        """Write everything queued; keep it queued if the database cannot be reached, or has not been read yet."""
        is_noted = await self._note(at_once)
        while self._waiting and not self.is_by_copy:
            batch = {key: self._waiting[key] for key in islice(self._waiting, at_once)}
            if not await self._save(batch):
                return
            for key, row in batch.items():
                if self._waiting[key] is row:  # else it has changed meanwhile
                    del self._waiting[key]
            await asyncio.sleep(0)
            is_noted = is_noted and await self._note(at_once)  # the copy gets states queued meanwhile first, too

    async def write_all(self, bindings: Iterable[tuple[str, Binding]]) -> None:
        """Write everything with its true end, before a stop; not what the copy alone has, which may have ended."""
        for name, binding in bindings:
            key, end = BindingKey(name, binding.slot), self._end_of(binding)
            if abs(self._until.get(key, end) - end) > _SAME_MS:
                self._write(key, binding, end)
        try:
            async with asyncio.timeout(LAST_WRITING_S):
                await self.flush(PARTING_BATCH)
        except TimeoutError:
            _log.warning("registrations_not_all_written", waiting=len(self))

    async def _note(self, at_once: int) -> bool:
        """Write to the copy all that it lacks; return False where it cannot be written, and keep the rest."""
        while self._unnoted:
            batch = {key: self._unnoted[key] for key in islice(self._unnoted, at_once)}
            if not await self._store.note(*_parted(batch)):
                return False
            for key, row in batch.items():
                if self._unnoted[key] is row:  # else it has changed meanwhile
                    del self._unnoted[key]
            await asyncio.sleep(0)
        return True

    def _taken(self, read: Iterable[tuple[StoredBinding, Binding | None]]) -> Iterator[tuple[str, Binding | None]]:
        for row, binding in read:
            key = BindingKey(row.name, row.slot)
            if key in self._until or key in self._waiting:
                if binding is not None and self.is_by_copy:
                    self.displaced.append((row.name, binding))
                continue
            if binding is None:
                self._queue(key, None)
            else:
                self._until[key] = row.until
            yield row.name, binding
        self.is_by_copy = False  # not before: a removal that is written would be forgotten until its row has its turn

    def _read(
        self, rows: Sequence[StoredBinding], without_connection: Callable[[Binding], Peer | None]
    ) -> Iterator[tuple[StoredBinding, Binding | None]]:
        """Yield each stored binding as it is now; None = it has expired, or cannot be reached any more."""
        now = self._clock.now()
        for row in rows:
            left_ms = min(row.until - now.wall, 1_000 * row.lifetime_s)
            flow = self._flows.named(row.listener)
            if left_ms <= 0 or flow is None:
                yield row, None
                continue
            came_from = Peer(flow, row.host, row.port)
            binding = Binding(peer=came_from, expires_at=now.plus(left_ms), **_as_they_are(row))
            peer = without_connection(binding) if self._flows.reliable[flow] else binding.peer
            yield row, None if peer is None else msgspec.structs.replace(binding, peer=peer)

    def _lasts(self, key: BindingKey, binding: Binding) -> bool:
        """Return whether the row of a binding outlasts it by a lifetime."""
        return self._until.get(key, 0) - self._end_of(binding) >= 1_000 * binding.lifetime_s

    def _end_of(self, binding: Binding, ahead: int = 0) -> int:
        """Return when a binding ends, or so many of its lifetimes later, in UTC milliseconds of now.

        The wall clock may have been set since it was made, as soon after a boot without the time.
        """
        now = self._clock.now()
        return now.wall + binding.expires_at.mono - now.mono + ahead * 1_000 * binding.lifetime_s

    def _write(self, key: BindingKey, binding: Binding, until: int) -> None:
        self._until[key] = until
        listener, host, port = self._flows.name_of(binding.peer.flow), binding.peer.host, binding.peer.port
        row = StoredBinding(
            name=key.name, until=until, listener=listener, host=host, port=port, **_as_they_are(binding)
        )
        self._queue(key, row)

    def _queue(self, key: BindingKey, row: StoredBinding | None) -> None:
        self._waiting[key] = self._unnoted[key] = row

    async def _save(self, batch: dict[BindingKey, StoredBinding | None]) -> bool:
        """Write a batch; return False if the database cannot be reached.

        Rows that it rejects are logged and dropped.
        """
        try:
            await self._store.save(*_parted(batch))
        except StoreUnavailable as error:
            self._outage.found(error, waiting=len(batch))
            return False
        except VosError as error:
            if len(batch) == 1:
                _log.error("registration_not_written", name=next(iter(batch)).name, error=str(error))
                return True
            keys = list(batch)
            middle = len(keys) // 2
            halves = [{key: batch[key] for key in some} for some in (keys[:middle], keys[middle:])]
            return all([await self._save(half) for half in halves])
        self._outage.over()
        return True


async def _in_turns(users: Iterable[tuple[str, Bindings]]) -> AsyncIterator[tuple[BindingKey, Binding]]:
    """Yield the bindings of users; calls go on meanwhile: a turn has ``AT_ONCE`` users, with what they have by then."""
    for number, (name, bindings) in enumerate(users, 1):
        for binding in bindings:
            yield BindingKey(name, binding.slot), binding
        if not number % AT_ONCE:
            await asyncio.sleep(0)


def _parted(batch: dict[BindingKey, StoredBinding | None]) -> tuple[list[StoredBinding], list[BindingKey]]:
    """Return the bindings to write, and those to remove."""
    return (
        [binding for binding in batch.values() if binding is not None],
        [key for key, binding in batch.items() if binding is None],
    )


def is_refresh(before: Binding, after: Binding) -> bool:
    """Return whether only fields differ that change with every REGISTER."""
    return (
        before.peer == after.peer
        and before.contact == after.contact
        and before.lifetime_s == after.lifetime_s
        and before.call_id == after.call_id
        and before.q == after.q
        and before.path == after.path
        and before.instance == after.instance
        and before.reg_id == after.reg_id
        and before.user_agent == after.user_agent
    )


def _as_they_are(binding: Binding | StoredBinding) -> dict[str, Any]:
    """Return by name the fields that a binding and its row have alike."""
    return {name: getattr(binding, name) for name in _ALIKE}
