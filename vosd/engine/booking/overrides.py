"""Operational overrides in the running switch: read from the database, in force until they are cleared or expire.

While the database is away, those that were read last stay in force, and they expire at their time all the same. What
an override changes is decided in ``catalogue.overrides``.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec

from vosd.base.clock import Clock
from vosd.catalogue.overrides import Override, Overrides, Setting
from vosd.catalogue.ports import SwitchOverrides
from vosd.cdr.columns import iso_utc
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.counting import Counting
from vosd.engine.kept_file import KeptFile
from vosd.engine.steady_clock import SteadyClock
from vosd.obs.events import Event, log as _log
from vosd.obs.figures import Figure
from vosd.obs.outage import Outage

POLL_S: Final = 1.0
"""Interval at which the version of the overrides is read."""
NAMED_AT_MOST: Final = 20
"""Most overrides that the log names of those that were lost."""


class KeptOverrides(msgspec.Struct, frozen=True):
    """Content of the file: the overrides as they were read last."""

    version: int
    rows: list[Any]
    """Each is an ``Override``; people may edit the file, and a mistake in one row costs that row alone."""


_FORMS: Final = cast("type[KeptOverrides | list[Any]]", KeptOverrides | list[Any])
"""A file of an earlier version has the overrides alone."""
_BLOCKS: Final = frozenset({Setting.BLOCKED, Setting.CLOSED})


class OverrideWatch(Counting):
    """The overrides of one switch."""

    def __init__(
        self, store: SwitchOverrides, clock: Clock, changed: Callable[[Overrides], None], copy: Path | None = None
    ) -> None:
        """``changed`` is called with those that are in force from now on; ``copy`` is a file that keeps those read."""
        self._copy = None if copy is None else KeptFile(copy, _FORMS, "overrides")
        self._store = store
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._changed = changed
        self._stored: Overrides | None = None
        """As read last; None = not read yet."""
        self._known: Overrides | None = None
        """As read last, also by the run before; None = it is not known, or not whole."""
        self._kept: Overrides | None = None
        """Content of the file; None = it is not known."""
        self.in_force = Overrides()
        self._reading = asyncio.Lock()

    def census(self) -> Mapping[Figure, int]:
        """Count the overrides in force, for ``vosd status``."""
        return {Figure.OVERRIDES: len(self.in_force.by_key)}

    async def refresh(self) -> None:
        """Read the overrides if they have changed.

        Raises:
            StoreUnavailable: those in force stay in force.
        """
        async with self._reading:
            known = self._stored  # what is read meanwhile may be forgotten meanwhile
            if known is None or await self._store.version() != known.version:
                read = await self._store.load()
                is_lost = self._note_lost(self._known or (await asyncio.to_thread(self._read_copy)).whole, read)
                self._stored = self._known = read
                self._settle(self._held(read), "lost" if is_lost else "cleared")
            await self._keep_copy()

    async def _keep_copy(self) -> None:
        """Write what was read last into the file, again and again until there is room for it."""
        stored = self._stored
        if self._copy is None or stored is None or stored is self._kept:
            return
        if await asyncio.to_thread(self._copy.write, KeptOverrides(stored.version, list(stored.by_key.values()))):
            self._kept = stored

    def _read_copy(self) -> "_Copy":
        """Return what the file keeps; it is reported what cannot be read of it."""
        found = None if self._copy is None else self._copy.read()
        if found is None or self._copy is None:
            return _Copy(None, is_whole=False)
        rows, version = (found, 0) if isinstance(found, list) else (found.rows, found.version)
        overrides, is_whole = list[Override](), True
        for number, row in enumerate(rows):
            try:
                overrides.append(msgspec.convert(row, Override))
            except msgspec.ValidationError as error:
                held, is_whole = _held_block(row), False
                means = "it is left out until the database is read"
                if held is not None:
                    overrides.append(held)
                    means = f"{held.key} holds until the database is read, whatever its time"
                _log.error("override_unreadable", file=str(self._copy.path), row=number, error=str(error), means=means)
        return _Copy(Overrides(overrides, version), is_whole=is_whole)

    def restore(self) -> None:
        """Put in force what the file keeps, until the database is read."""
        copy = self._read_copy()
        self._known = copy.whole
        if copy.overrides is not None:
            self._settle(self._held(copy.overrides))

    def apply_again(self) -> None:
        """Report those in force once more: what they changed was read anew from the configuration."""
        self._changed(self.in_force)

    def forget_version(self) -> None:
        """Read the overrides again even if they have the same version: the database has lost commits."""
        self._stored = None

    def end_expired(self) -> None:
        """End the overrides whose time is over."""
        self._settle(self._held(self.in_force))

    def _held(self, overrides: Overrides) -> Overrides:
        """Return those whose time is not over; all, while a clock that was set is not believed."""
        expiry, now = overrides.next_expiry, self._steady.now()
        return overrides if expiry is None or now is None or expiry > now else overrides.at(now)

    async def keep_time(self) -> None:
        """End each override at its time; runs until cancelled."""
        while True:
            expiry, now = self.in_force.next_expiry, self._steady.now()
            left_s = POLL_S if expiry is None or now is None else (expiry - now) / 1_000
            await asyncio.sleep(min(POLL_S, max(left_s, 0)))  # the wall clock may be set meanwhile
            self.end_expired()

    async def run(self) -> None:
        """Read what has changed every second, and note what has expired; runs until cancelled."""
        outage = Outage(Event.DATABASE_AWAY, part="overrides")
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self._note_expired()
                await self.refresh()
                outage.over()
            except StoreUnavailable as error:
                outage.found(error, means="the last known overrides hold")

    async def _note_expired(self) -> None:
        expiry, now = None if self._stored is None else self._stored.next_expiry, self._steady.now()
        if expiry is not None and now is not None and expiry <= now:
            await self._store.expire(now)

    def _note_lost(self, known: Overrides | None, read: Overrides) -> bool:
        """Return whether the database has an earlier state of the overrides than it had, and report it."""
        if known is None or read.version > known.version:
            return False
        now = self._clock.now().wall
        before, after = known.at(now).by_key, read.at(now).by_key
        differences = {
            "lost": [f"{key} {each}" for key, each in before.items() if after.get(key) != each],
            "returned": [f"{key} {each}" for key, each in after.items() if key not in before],
        }
        is_lost = any(differences.values())
        if is_lost:
            facts = {kind: "; ".join(named[:NAMED_AT_MOST]) for kind, named in differences.items() if named}
            number = sum(map(len, differences.values()))
            _log.error(Event.OVERRIDES_LOST, lost_at=iso_utc(now), overrides=number, **facts)
        return is_lost

    def _settle(self, wanted: Overrides, ended: str = "cleared") -> None:
        before, self.in_force = self.in_force, wanted
        if before.by_key == wanted.by_key:
            return
        self._changed(wanted)
        now = self._clock.now().wall
        for key, each in before.by_key.items():
            if key not in wanted.by_key:
                why = ended if each.holds_at(now) else "expired"
                _log.warning(Event.OVERRIDE_ENDED.value, **_facts(each), why=why)
        for key, each in wanted.by_key.items():
            if before.by_key.get(key) != each:
                _log.warning(Event.OVERRIDE_SET.value, **_facts(each))


class _Copy(NamedTuple):
    """Overrides as the file keeps them."""

    overrides: Overrides | None
    """None = they are not known."""
    is_whole: bool

    @property
    def whole(self) -> Overrides | None:
        """The overrides, with which those of the database are compared; None = some are not known."""
        return self.overrides if self.is_whole else None


def _held_block(row: Any) -> Override | None:
    """Return a block whose times cannot be read, without its end: left out it would let calls pass; None = no block."""
    try:
        found = msgspec.convert({**row, "since": 0, "until": None}, Override)
    except (TypeError, msgspec.ValidationError):
        return None
    return found if found.setting in _BLOCKS else None


def _facts(override: Override) -> dict[str, object]:
    return {
        "target": override.target.value,
        "name": override.name,
        "setting": override.setting.value,
        "value": override.value,
        "operator": override.operator,
        "until": None if override.until is None else iso_utc(override.until),
        "memo": override.memo,
    }
