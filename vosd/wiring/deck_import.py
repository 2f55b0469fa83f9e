"""Import of a sheet of rates into a deck, and the content of a deck as a file."""

import csv
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from vosd.admin.office.decks import (
    ImportDeck,
    ImportReport,
    ListDeckVersions,
    Prepared,
    list_versions,
    prepare_import,
    put_in_force,
)
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.base.csv_text import CsvWriter
from vosd.base.errors import VosError
from vosd.base.money import EXACT, format_amount, in_places
from vosd.billing.deck_changes import DeckChangeKind, Each, Example, end_of
from vosd.billing.deck_content import Chunk, columns_of
from vosd.billing.deck_rows import COLUMNS_AHEAD, ENDS, DeckRow, cut
from vosd.billing.decks import Mode
from vosd.catalogue.problems import DefinitionProblem
from vosd.cdr.columns import iso_utc
from vosd.config.assembly.rate_groups import compile_rate
from vosd.config.decks.conversion import HEADER, SheetReader
from vosd.config.decks.layouts import difference, layout_for, stored_form
from vosd.config.decks.sheet_map import SheetMapKeys, read_map
from vosd.config.decks.sheets import SheetFile
from vosd.config.decks.sorting import in_order
from vosd.config.decks.workbooks import SheetError
from vosd.config.keys.rates import PricePer, RateKeys
from vosd.config.reader.collector import without_collector
from vosd.config.reader.times import machine_zone
from vosd.processes.whole_file import open_growing, write_parts
from vosd.storage.deck_values import not_taken_back
from vosd.wiring.configured_switch import ConfiguredSwitch
from vosd.wiring.deck_trial import DeckSteps, make_ready, margin_of, milliseconds_of

_OWN = (
    "change", "prefix", "price_before", "price_after", "begins", "price_then", "prefix_then", "planned_price",
    "planned_begins",
)  # fmt: skip


class DeckFileError(VosError):
    """A file has no rates, or cannot be written."""


class ChangesFile:
    """Writes changes to a file, if one is wanted."""

    def __init__(self, path: Path | None, header: str) -> None:
        """``header`` has the names of the columns of a deck."""
        self.each: Each | None = None if path is None else self._add
        self._path = path
        self._others = [ENDS, *header.split(",")[len(COLUMNS_AHEAD) :]]
        self._open = ExitStack()
        self._writer: CsvWriter | None = None

    def __enter__(self) -> "ChangesFile":
        if self._path is not None:
            try:
                opened = self._open.enter_context(open_growing(self._path))
            except OSError as error:
                message = f"{self._path} cannot be written: {(error.strerror or str(error)).lower()}"
                raise DeckFileError(message) from error
            file = self._open.enter_context(TextIOWrapper(opened, encoding="utf-8", newline=""))
            self._writer = CsvWriter(file, for_people=True)
            others = [f"{name}_{when}" for name in self._others for when in ("before", "after")]
            self._writer.row([*_OWN, *others])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _add(self, kind: DeckChangeKind, example: Example, before: DeckRow | None, after: DeckRow | None) -> None:
        assert self._writer is not None
        fallback, planned = example.fallback, example.planned
        own = (
            kind.value, example.prefix, example.before, example.after, example.begins,
            None if fallback is None else fallback.price, None if fallback is None else fallback.prefix,
            None if planned is None else planned.price, None if planned is None else planned.begins,
        )  # fmt: skip
        others = zip(self._cells(before), self._cells(after), strict=True)
        self._writer.row([*own, *(cell for both in others for cell in both)])

    def _cells(self, row: DeckRow | None) -> list[str]:
        if row is None:
            return [""] * len(self._others)
        return [end_of(row), *next(csv.reader([row.others], strict=True))]


class DeckFile(msgspec.Struct, frozen=True, kw_only=True):
    """A sheet of rates, and what is done with it."""

    rate_group: str
    file: Path
    name: str
    """Name of the file as errors and the report have it."""
    is_dry: bool = False
    """Only compare it with the deck."""
    effective: int | None = None
    """UTC milliseconds."""
    mode: Mode = Mode.FULL
    map_file: Path | None = None
    changes_file: Path | None = None
    """Every change is written to it."""
    is_forced: bool = False
    if_version: int | None = None
    """Import only where this is the version in force, 0 = where there is none yet."""
    memo: str | None = None
    traffic: int | None = None
    """Days of calls of which a trial tells the margin."""


async def import_deck(
    switch: ConfiguredSwitch, office: Office, who: Principal, wanted: DeckFile, steps: DeckSteps
) -> tuple[dict[str, Any], ImportReport]:
    """Import a file, or only compare it with the deck; return the result as JSON has it, and the changes.

    Raises:
        DeckFileError: the file has no rates, or the changes cannot be written.
        RatesRefusedError: the switch would refuse the rates.
        SheetError: it cannot be read.
        ConfigError: the map has mistakes, or the configuration.
        VosError: nothing was imported.
    """
    with without_collector():  # it would look through the rates again and again, for a tenth of the time
        return await _imported(switch, office, who, wanted, steps)


async def _imported(
    switch: ConfiguredSwitch, office: Office, who: Principal, wanted: DeckFile, steps: DeckSteps
) -> tuple[dict[str, Any], ImportReport]:
    rate_group, file, map_file = wanted.rate_group, wanted.file, wanted.map_file
    group = switch.excerpt.deck_group(rate_group)
    given = None if map_file is None else read_map(map_file)
    map_text = "" if map_file is None else map_file.read_text(encoding="utf-8")
    begins = "" if wanted.effective is None else iso_utc(wanted.effective)
    zone = machine_zone(os.environ.get("TZ", ""))
    order = ImportDeck(
        rate_group=rate_group,
        header=HEADER,
        mode=wanted.mode,
        effective=wanted.effective,
        memo=wanted.memo,
        is_confirmed=wanted.is_forced,
        if_version=wanted.if_version,
    )
    example = PriceExample(group.price_per, switch.excerpt.billing_unit(group))
    earlier = await list_versions(office, who, ListDeckVersions(rate_group))
    layouts = [deck.layout for deck in not_taken_back(earlier)] if given is None else []
    margin = None
    with ChangesFile(wanted.changes_file, HEADER) as changes, closing(SheetFile(file, steps.at)) as sheet:
        steps.begin(f"reading {wanted.name}")
        found = layout_for(sheet, layouts)
        keys = given if found is None else found.keys
        names = (map_file.name, map_text) if map_file else None
        named = names if found is None else (found.layout.name, found.layout.text)
        layout = None if found is None else found.layout.name
        reader = SheetReader(wanted.name, group.price_per, keys, begins, zone, group.currency)
        lines = _sorted(sheet, keys, reader)
        try:
            prepared = await _prepared(office, who, order, reader, example.noted(lines), named, steps, changes.each)
        except SheetError as error:
            raise _explained(error, sheet, layouts if found is None else []) from error
        try:
            if wanted.is_dry or reader.bad_rows:
                margin = await margin_of(switch, office, prepared, wanted.traffic, reader.last_begin, steps)
                report = prepared.report()
            else:
                await make_ready(switch, prepared, steps)
                steps.begin("writing")
                report = await put_in_force(office, who, prepared)
        finally:
            prepared.close()
    document = {
        **msgspec.structs.asdict(report),
        "dry_run": wanted.is_dry,
        "file": wanted.name,
        "layout": layout,
        "price_per": group.price_per.value,
        "example": example.price(),
        "assumed": [each._asdict() for each in reader.assumed.in_order()],
        "unread_columns": reader.unread,
        "dialled_prefixes": reader.dialled,
        "dialled_examples": reader.dialled_examples,
        "free_rates": reader.free,
        "free_examples": reader.free_examples,
        "invalid_rows": reader.bad_rows,
        "invalid": [*map(_mistake, reader.problems)],
        **({} if margin is None else {"margin": margin}),
    }
    return document, report


class PriceExample:
    """The price of a minute by the first rate of a file: shows what its prices are taken to be of."""

    def __init__(self, price_per: PricePer, billing_unit: int) -> None:
        self._price_per = price_per
        self._unit = billing_unit
        self._line = ""

    def noted(self, lines: Iterator[str]) -> Iterator[str]:
        """Yield lines of a deck, and note the first one with a price above zero."""
        for line in lines:
            yield line
            row = cut(line)
            if not row.closed and Decimal(row.price):
                self._line = line
                break
        yield from lines

    def price(self) -> dict[str, Any] | None:
        """Return a rate and the price of a minute; None where no rate has a price."""
        if not self._line:
            return None
        row = RateKeys.model_validate(columns_of(HEADER, self._line))
        rate = compile_rate(row, self._price_per, self._unit)
        minute = EXACT.divide(EXACT.multiply(rate.billing_rate, Decimal(60)), Decimal(rate.billing_cycle))
        return {
            "prefix": rate.prefix,
            "billing_rate": f"{rate.billing_rate:f}",
            "billing_cycle": rate.billing_cycle,
            "minute": format_amount(in_places(minute if rate.per_cycle else rate.billing_rate)),
        }


def write_content(file: Path, chunks: Iterable[Chunk]) -> None:
    """Write a content; the file exists as a whole or not at all.

    Raises:
        DeckFileError: it cannot be written.
    """
    try:
        write_parts(file, (zlib.decompress(chunk.compressed) for chunk in chunks), 0o644 & ~_umask())
    except OSError as error:
        raise DeckFileError(f"{file} cannot be written: {(error.strerror or str(error)).lower()}") from error


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sorted(sheet: SheetFile, keys: SheetMapKeys | None, reader: SheetReader) -> Iterator[str]:
    where = (1, None, None) if keys is None else (keys.header_line, keys.sheet, keys.encoding)
    lines = sheet.lines(*where, reader.assumed)
    return reader.each_once(in_order(reader.lines(lines)))


def _explained(error: SheetError, file: SheetFile, layouts: Sequence[str | None]) -> SheetError:
    """Return the error of a sheet that was read by our names, with how it differs from the last one."""
    differs = difference(file, layouts)
    return SheetError(f"{error}\n{file.path}: {differs}") if differs else error


async def _prepared(
    office: Office,
    who: Principal,
    order: ImportDeck,
    reader: SheetReader,
    lines: Iterator[str],
    named: tuple[str, str] | None,
    steps: DeckSteps,
    each: Each | None,
) -> Prepared:
    first = next(lines, None)  # everything is read and sorted now
    if first is None and not reader.bad_rows:
        raise DeckFileError("expected at least one rate behind the header: nothing was imported")
    steps.begin("comparing", reader.rows)
    layout = None if named is None else stored_form(reader.header, *named)
    effective = order.effective
    if effective is None:  # then what the file does not have ends on the date of the sheet
        begins = milliseconds_of(reader.first_begin) or 0
        effective = begins if begins > office.now() else None
    order = msgspec.structs.replace(order, absent=tuple(reader.absent), layout=layout, effective=effective)
    return await prepare_import(office, who, order, _with_first(first, lines), steps.at, each)


def _with_first(first: str | None, lines: Iterator[str]) -> Iterator[str]:
    if first is not None:
        yield first
        yield from lines


def _mistake(problem: DefinitionProblem) -> dict[str, Any]:
    return {"line": problem.line, "column": problem.key, "value": problem.value, "expected": problem.expected}
