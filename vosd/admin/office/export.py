"""Use cases of the export of calls: from the books to lines, and to numbered files with manifests (ADR 71)."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from vosd import __version__
from vosd.admin.export_files import ExportBlocked, ExportDirectory, ExportManifest, ExportPart, Position, opened
from vosd.admin.export_lines import ExportLines, columns_wanted
from vosd.admin.export_profile import CORRECTED, PLAIN, Compression, ExportProfile, Format
from vosd.admin.names import check_account
from vosd.admin.office.office import Done, Office, needs
from vosd.admin.office.principal import Permission, Principal
from vosd.base.money import ZERO, format_amount
from vosd.cdr.columns import EXPORT_SEQ, iso_utc

if TYPE_CHECKING:
    from vosd.storage.export import SqlExport

WITNESSES: Final = 20
_COUNTED: Final = (
    EXPORT_SEQ.name, "call_id", CORRECTED.name, "answered_at", "customer_account", "vendor_account",
    "currency", "fee", "tax", "vendor_currency", "cost", "cost_tax",
)  # fmt: skip
"""Columns that manifests and filters need."""

Call = tuple[Any, ...]


class ReadExport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls in the order in which they were booked."""

    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Calls booked after that ``export_seq``."""
    profile: str | None = None
    """File with columns and format on the machine of the switch; None = all columns as CSV."""
    as_json: bool = False
    """As JSON lines, whatever the profile says."""


@needs(Permission.CALLS_EXPORT)
async def read_export(office: Office, who: Principal, order: ReadExport) -> AsyncGenerator[bytes, None]:
    """Yield the wanted calls, as far as they are booked now, in the form of the profile.

    Raises:
        ConfigError: the profile is invalid.
        UnknownNameError: the profile names an account that is neither configured nor recorded.
        StoreUnavailable: the calls yielded so far are correct.
    """
    profile = await _profile(office, order.profile)
    if order.as_json:
        profile = replace(profile, format=Format.JSON_LINES)
    export = Export(office.stores.export, profile)
    yield export.lines.head()
    async with aclosing(export.calls(order.after)) as pages:
        async for page in pages:
            yield export.lines.lines(page)


class WriteExport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls that are written to files in a directory on the machine of the switch, each once."""

    out: str
    after: int | None = None
    """Number after which the first run begins; None = with the first call."""
    profile: str | None = None
    """File with columns and format there; None = all columns as CSV."""


class WrittenExport(msgspec.Struct, frozen=True):
    """Files that were written; ``goes_on``: an earlier run has written to the directory."""

    files: list[ExportManifest]
    goes_on: bool


@needs(Permission.CALLS_EXPORT)
async def write_export(office: Office, who: Principal, order: WriteExport) -> Done[WrittenExport]:
    """Write what was booked since the run before to new files, each with a manifest.

    The audit has a line of it once the first file is there.

    Raises:
        ConfigError: the profile is invalid.
        UnknownNameError: the profile names an account that is neither configured nor recorded.
        ExportBlocked: the state is damaged, another run goes on, or the database has lost calls that were exported.
        StoreUnavailable: the database is away; the next run goes on.
        OSError: the directory cannot be written; the next run goes on.
    """
    profile = await _profile(office, order.profile)
    export = Export(office.stores.export, profile)
    with opened(Path(order.out), profile.name) as directory:
        files, unaudited = list[ExportManifest](), ""
        async with aclosing(export.to_files(directory, order.after or 0, office.now)) as manifests:
            async for manifest in manifests:
                if not files:
                    unaudited = (await office.noted(None, who, order, profile.name)).unaudited
                files.append(manifest)
        return Done(WrittenExport(files, goes_on=not directory.is_new), unaudited)


async def _profile(office: Office, file: str | None) -> ExportProfile:
    """Read a profile, and refuse unknown accounts: a run passes over calls of others, which no later run has."""
    if file is None:
        return PLAIN
    profile = office.definitions.export_profile(Path(file))
    for account in sorted(profile.customers | profile.vendors):
        await check_account(account, office.definitions, office.stores, office.now())
    return profile


class Export:
    """Calls of the books in the form of a profile."""

    def __init__(self, reader: "SqlExport", profile: ExportProfile) -> None:
        self._reader = reader
        self._profile = profile
        self._columns = list(dict.fromkeys([*_COUNTED, *columns_wanted(profile.columns)]))
        self.lines: Final = ExportLines(profile, self._columns)

    async def calls(self, after: int) -> AsyncGenerator[Sequence[Call], None]:
        """Yield the wanted calls behind a number, as far as they are booked now, a page at a time."""
        until = await self._reader.newest()
        async with aclosing(self._reader.pages(after, until, self._columns)) as pages:
            async for page in pages:
                yield [call for call in page if self._is_wanted(call)]

    async def to_files(
        self, directory: ExportDirectory, after: int, now: Callable[[], int]
    ) -> AsyncGenerator[ExportManifest, None]:
        """Write the wanted calls behind those that were exported to files, and yield the manifest of each.

        ``after`` is where a directory begins to which nothing was exported yet. ``now`` gives UTC milliseconds.

        Raises:
            ExportBlocked: the state is damaged, or the database has lost calls that were exported.
            StoreUnavailable: the database is away; the next run goes on.
            OSError: the directory cannot be written.
        """
        completed = directory.recover()
        if completed is not None:
            yield completed
        if directory.is_new:
            directory.begin_after(after)
        until = await self._reader.newest()
        await self._check(directory, until)
        file: _File | None = None
        position = directory.state.position()
        async with aclosing(self._reader.pages(position.last, until, self._columns)) as pages:
            async for page in pages:
                wanted = [call for call in page if self._is_wanted(call)]
                while wanted:
                    file = file or _File(self._profile, self.lines, directory)
                    room = self._profile.max_rows - file.rows
                    file.add(wanted[:room])
                    wanted = wanted[room:]
                    if file.rows == self._profile.max_rows:
                        yield file.publish(_further(position, page, file.last), now())
                        file = None
                position = _further(position, page, page[-1][0])
        position = _further(position, (), until)
        if file is not None:
            yield file.publish(position, now())
        else:
            directory.advance(position)

    def _is_wanted(self, call: Call) -> bool:
        profile = self._profile
        return (
            (not profile.answered_only or call[3] is not None)
            and (not profile.customers or call[4] in profile.customers)
            and (not profile.vendors or call[5] in profile.vendors)
        )

    async def _check(self, directory: ExportDirectory, until: int) -> None:
        """Refuse a database that was restored to an earlier state: its numbers are given to other calls.

        A call between the newest witnesses that is none of them shows it as well: numbers that no call had, those of
        payments for example, may be given to calls.
        """
        state = directory.state
        replaced = await self._reader.replaced(state.witnesses, state.witnessed_after, state.last)
        if until >= state.last and replaced is None:
            return
        found = f"number {replaced} is another call's now" if replaced else f"its newest number is {until}"
        raise ExportBlocked(
            f"calls up to number {state.last} were exported, but {found}: the database has lost commits or is another"
            " one. Export to another directory with `after` and a number from before the loss; call_id says which calls"
            " were exported twice (docs/operations/exports.md)"
        )


def _further(position: Position, page: Sequence[Call], last: int) -> Position:
    """Return the position behind the calls of a page up to a number; all of them are witnesses, wanted or not."""
    calls = [*position.witnesses.items(), *((call[0], call[1]) for call in page if call[0] <= last)]
    forgotten = [number for number, _ in calls[:-WITNESSES]]
    after = max([position.witnessed_after, *forgotten])
    return Position(last=last, witnesses=dict(calls[-WITNESSES:]), witnessed_after=after)


class _File:
    """A file while it is written, with its sums."""

    def __init__(self, profile: ExportProfile, lines: ExportLines, directory: ExportDirectory) -> None:
        self._profile = profile
        self._lines = lines
        self._directory = directory
        self._part = ExportPart(directory.part, is_compressed=profile.compression is Compression.GZIP)
        self._part.write(lines.head())
        self._first = 0
        self.last = 0
        self._sums, self._corrected_sums = _Sums(), _Sums()
        self._corrected = 0
        self.rows = 0

    def add(self, calls: Sequence[Call]) -> None:
        """Append calls."""
        self._part.write(self._lines.lines(calls))
        self._first = self._first or calls[0][0]
        self.last = calls[-1][0]
        self.rows += len(calls)
        for call in calls:
            self._sums.add(call)
            if call[2]:
                self._corrected += 1
                self._corrected_sums.add(call)

    def publish(self, position: Position, now: int) -> ExportManifest:
        """Let the file appear; calls up to the position need not be looked at again."""
        size, digest = self._part.finish()
        profile = self._profile
        manifest = ExportManifest(
            name=profile.name,
            number=self._directory.state.number + 1,
            file=f"{profile.name}-{self._first:012d}-{self.last:012d}{profile.ending}",
            first=self._first,
            last=self.last,
            rows=self.rows,
            sums=self._sums.to_json(),
            corrected_rows=self._corrected,
            corrected_sums=self._corrected_sums.to_json(),
            bytes=size,
            sha256=digest,
            format=profile.format.value,
            compression=profile.compression.value,
            profile_sha256=profile.digest,
            made_at=iso_utc(now),
            version=__version__,
        )
        self._directory.publish(manifest, position)
        return manifest


class _Sums:
    """Fee, tax, cost and cost_tax by currency; exact."""

    def __init__(self) -> None:
        self._fees: dict[str, tuple[Decimal, Decimal]] = {}
        self._costs: dict[str, tuple[Decimal, Decimal]] = {}

    def add(self, call: Call) -> None:
        """Add a call's."""
        currency, fee, tax, vendor_currency, cost, cost_tax = call[6:12]
        for sums, key, net, gross in (
            (self._fees, currency, fee, tax),
            (self._costs, vendor_currency or currency, cost, cost_tax),
        ):
            if net or gross:
                before = sums.get(key or "", (ZERO, ZERO))
                sums[key or ""] = (before[0] + net, before[1] + gross)

    def to_json(self) -> dict[str, dict[str, str]]:
        """Return the sums as text; nothing of a currency in which no call cost anything."""
        none = (ZERO, ZERO)
        return {
            currency: {
                "fee": format_amount(self._fees.get(currency, none)[0]),
                "tax": format_amount(self._fees.get(currency, none)[1]),
                "cost": format_amount(self._costs.get(currency, none)[0]),
                "cost_tax": format_amount(self._costs.get(currency, none)[1]),
            }
            for currency in sorted({*self._fees, *self._costs})
        }
