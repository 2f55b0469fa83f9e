"""A deck before it is in force: compiled for the switch, and compared with the present one on stored calls."""

import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from sys import maxsize
from tempfile import TemporaryDirectory
from typing import Protocol

from vosd.admin.deck_margin import Margin, MarginReport
from vosd.admin.office.decks import DAY_MS, Prepared
from vosd.admin.office.office import Office
from vosd.base.errors import VosError
from vosd.billing.deck_content import Chunk
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.decks import DeckVersion
from vosd.catalogue.problems import ConfigError
from vosd.config.assembly.rate_store import is_own
from vosd.config.kept import KeptCatalogue
from vosd.processes.whole_file import open_growing
from vosd.storage.ports import CallFilter
from vosd.wiring.configured_switch import ConfiguredSwitch


class RatesRefusedError(VosError):
    """The switch would refuse the rates; nothing was imported."""


class DeckSteps(Protocol):
    """Takes how far an import is."""

    def begin(self, step: str, whole: int | None = None) -> None:
        """Begin a step; the one before is finished."""

    def at(self, done: int, whole: int | None = None) -> None:
        """Say how far the step is."""


async def make_ready(switch: ConfiguredSwitch, prepared: Prepared, progress: DeckSteps) -> None:
    """Compile the rates of an import where the switch keeps its own, so that it only has to open them.

    Nothing is done where the directory belongs to another user, or the switch runs elsewhere.

    Raises:
        RatesRefusedError: the switch would refuse the rates.
    """
    state_dir = switch.settings.state_dir
    if not prepared.changes_something or not is_own(state_dir):
        return
    progress.begin("compiling")
    rate_group, digest = prepared.order.rate_group, prepared.digest
    kept = KeptCatalogue(state_dir)
    try:
        await kept.fetch(DeckVersion(rate_group, 0, digest, prepared.changes.rows), _content(prepared))
    except OSError as error:
        switch.remark(f"{state_dir} has no room for compiled rates ({error.strerror}): the switch tries it again")
        return
    path = kept.path_of(digest)
    if path is not None:
        _groups_with(switch, rate_group, path)


async def margin_of(
    switch: ConfiguredSwitch, office: Office, prepared: Prepared, days: int | None, last_begin: str, progress: DeckSteps
) -> MarginReport | None:
    """Rate the calls of the last ``days`` by the deck in force and by the new one; None where none are wanted.

    ``last_begin`` is when the last rate of the file comes into force, ISO 8601 UTC: all of its changes count.

    Raises:
        RatesRefusedError: the switch would refuse the rates.
        DroppedPeriod: calls of the days were dropped or masked.
        StoreUnavailable: the calls cannot be read.
    """
    before, order, now = prepared.before, prepared.order, prepared.now
    if days is None or before is None:
        return None
    then = max(now, order.effective or 0, milliseconds_of(last_begin) or 0)
    with TemporaryDirectory() as directory:
        groups = []
        for name, chunks in (("before", await office.stores.decks.chunks(before)), ("after", prepared)):
            path = Path(directory) / f"{name}.csv"
            with open_growing(path) as file:
                file.writelines(zlib.decompress(chunk.compressed) for chunk in chunks)
            groups.append(_groups_with(switch, order.rate_group, path))
        margin = Margin(groups[0], groups[1], now=now, then=then, days=days)
        progress.begin("rating calls")
        wanted = CallFilter(limit=maxsize, since=now - days * DAY_MS, until=now)
        async with aclosing(office.stores.spans.pages(wanted, with_vendor_group=True)) as pages:
            async for calls in pages:
                for call in calls:
                    margin.add(call)
    return margin.report()


def _groups_with(switch: ConfiguredSwitch, rate_group: str, path: Path) -> Sequence[RateGroup]:
    """Return a rate group by the rows of a file, and those that are derived from it."""
    try:
        groups = switch.excerpt.rate_groups_of(rate_group, path)
    except ConfigError as error:
        raise RatesRefusedError(f"the switch would refuse these rates, and nothing was imported:\n{error}") from error
    assert groups, "the group is configured"
    return groups


async def _content(chunks: Iterable[Chunk]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield zlib.decompress(chunk.compressed)


def milliseconds_of(moment: str) -> int | None:
    """Return a time in ISO 8601 UTC as milliseconds; None for an empty text."""
    return round(datetime.fromisoformat(moment).timestamp() * 1_000) if moment else None
