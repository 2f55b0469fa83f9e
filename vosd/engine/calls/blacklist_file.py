"""The dynamic blacklist in a small file of ``state_dir``, so that a restart does not let listed callers in.

What is counted of callers that are not on the list is not kept: it counts seconds, and a restart begins anew.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from vosd.base.clock import Clock
from vosd.engine.kept_file import KeptFile
from vosd.routing.dynamic_lists import DynamicLists, Listing, ListingCause

ROUND_S: Final = 1.0
"""Interval at which callers whose time is over leave the list, and a changed list is written."""


class Kept(msgspec.Struct, frozen=True):
    """A caller on the list; times are UTC milliseconds."""

    gateway: str
    caller: str
    cause: ListingCause
    limit: int
    since: int
    until: int


class BlacklistFile:
    """Reads the file at the start and replaces it after changes."""

    def __init__(self, path: Path, lists: DynamicLists, clock: Clock) -> None:
        self._file = KeptFile(path, list[Kept], "blacklist")
        self._lists = lists
        self._clock = clock
        self._written = lists.changes

    def restore(self) -> None:
        """Put the callers of the file back on the list, without those whose time is over."""
        now = self._clock.now()
        for each in self._file.read() or ():
            if each.until > now.wall:
                until_mono = now.mono + each.until - now.wall
                listing = Listing(each.gateway, each.caller, each.cause, each.limit, each.since, each.until, until_mono)
                self._lists.restore(listing)
        self._written = self._lists.changes

    async def run(self) -> None:
        """Keep list and file up to date; runs until cancelled."""
        while True:
            await asyncio.sleep(ROUND_S)
            self._lists.expire(self._clock.now().mono)
            if self._written != self._lists.changes:
                self._written = self._lists.changes
                await asyncio.to_thread(self._write, tuple(self._lists.listed(self._clock.now().mono)))

    def write_last(self) -> None:
        """Write what has changed since: the switch stops."""
        if self._written != self._lists.changes:
            self._write(tuple(self._lists.listed(self._clock.now().mono)))

    def _write(self, listings: Sequence[Listing]) -> None:
        self._file.write([Kept(*each[:6]) for each in listings])
