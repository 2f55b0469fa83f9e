"""Small files of ``state_dir`` that carry live state over a restart: quality, blacklist, turns of number pools.

What is counted of callers that are not on the blacklist is not kept: it counts seconds, and a restart begins anew.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from vosd.base.clock import Clock, KeptTime
from vosd.callcontrol.live_state import LiveState
from vosd.cdr.columns import iso_utc
from vosd.control.peers import BlacklistedCaller
from vosd.engine.kept_file import KeptFile
from vosd.obs.events import log as _log
from vosd.routing.dynamic_lists import ListedCaller, ListingCause
from vosd.routing.pools import PoolTurn
from vosd.routing.quality import SavedQuality

BLACKLIST: Final = "blacklist.json"
ROUND_S: Final = 1.0
"""Interval at which callers whose time is over leave the blacklist, and changed files are written.

A crash repeats the numbers that pools gave in this time.
"""


class KeptListing(msgspec.Struct, frozen=True):
    """A caller on the blacklist; times are UTC milliseconds."""

    gateway: str
    caller: str
    cause: ListingCause
    limit: int
    since: KeptTime
    until: KeptTime

    def left_ms(self, wall_ms: int) -> int:
        """Return for how long it still holds; where the clock was set back, no longer than from its beginning."""
        return self.until - max(wall_ms, self.since)


def blacklist_file(state_dir: Path) -> KeptFile[list[KeptListing]]:
    """Return the file of the callers on the blacklist."""
    return KeptFile(state_dir / BLACKLIST, list[KeptListing], "blacklist")


def blacklisted(listing: ListedCaller | KeptListing, left_ms: int, until: int) -> BlacklistedCaller:
    """Return a caller as ``vosd blacklist list`` shows it; ``until`` is UTC milliseconds."""
    return BlacklistedCaller(
        caller=listing.caller,
        mapping_gateway=listing.gateway,
        cause=listing.cause.value,
        limit=listing.limit,
        since=iso_utc(listing.since),
        until=iso_utc(until),
        remaining_s=-(-left_ms // 1_000),
    )


class StateFiles:
    """The files of one switch: read at the start, replaced after changes; that of quality at the stop only.

    A process that is killed leaves the quality of the stop before it; slices that are too old by then are not used.
    """

    def __init__(self, state_dir: Path, live: LiveState, clock: Clock) -> None:
        self._quality_file = KeptFile(state_dir / "quality.json", SavedQuality, "quality")
        self._blacklist_file = blacklist_file(state_dir)
        self._found_listings = KeptFile(state_dir / BLACKLIST, list[Any], "blacklist")
        self._pool_file = KeptFile(state_dir / "number-pools.json", dict[str, PoolTurn], "pool_turns")
        self._quality, self._lists, self._turns = live.quality, live.dynamic_lists, live.pool_turns
        self._clock = clock
        self._written_list = self._lists.changes
        self._written_turns = self._turns.taken

    def restore(self) -> None:
        """Read all of them; turns of pools that do not exist any more wait for the next reload."""
        now = self._clock.now()
        quality, turns = self._quality_file.read(), self._pool_file.read()
        if quality is not None:
            self._quality.restore(quality, now)
        if turns is not None:
            self._turns.restore(turns)
        for each in self._listings():
            left_ms = each.left_ms(now.wall)
            if left_ms > 0:
                listing = ListedCaller(
                    each.gateway, each.caller, each.cause, each.limit, each.since, each.until, now.mono + left_ms
                )
                self._lists.restore(listing)
        self._written_list = self._lists.changes

    def _listings(self) -> Iterator[KeptListing]:
        """Yield the callers of the file; one that cannot be read is reported and left out, and the others are kept."""
        for number, row in enumerate(self._found_listings.read() or ()):
            try:
                yield msgspec.convert(row, KeptListing)
            except msgspec.ValidationError as error:
                _log.warning(
                    "blacklisted_caller_unreadable",
                    file=str(self._found_listings.path),
                    row=number,
                    error=str(error),
                    means="this caller is left out",
                )

    async def run(self) -> None:
        """Keep blacklist and turns up to date, in memory and on disk; runs until cancelled."""
        while True:
            await asyncio.sleep(ROUND_S)
            self._lists.expire(self._clock.now().mono)
            for write, written in self._changed():
                if await asyncio.to_thread(write):
                    written()

    def write_last(self) -> None:
        """Write what has changed since, and quality: the switch stops."""
        for write, _ in self._changed():
            write()
        self._quality_file.write(self._quality.saved(self._clock.now()))

    def _changed(self) -> Iterator[tuple[Callable[[], bool], Callable[[], None]]]:
        """Yield for each changed file the function that replaces it, and one to call when that was possible."""
        if self._written_list != self._lists.changes:
            listings = tuple(self._lists.listed(self._clock.now().mono))
            yield partial(self._write_blacklist, listings), partial(self._list_is_written, self._lists.changes)
        if self._written_turns != self._turns.taken:
            yield partial(self._pool_file.write, self._turns.all()), partial(self._turns_are_written, self._turns.taken)

    def _list_is_written(self, changes: int) -> None:
        self._written_list = changes

    def _turns_are_written(self, taken: int) -> None:
        self._written_turns = taken

    def _write_blacklist(self, listings: Sequence[ListedCaller]) -> bool:
        return self._blacklist_file.write([KeptListing(*each[:6]) for each in listings])
