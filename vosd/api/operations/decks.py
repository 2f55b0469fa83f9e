"""Operations about rate groups and their decks: import, versions, rates, roll back, look up."""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from contextlib import nullcontext
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from msgspec.structs import replace

from vosd.admin.office.decks import (
    ListDeckVersions,
    ReadDeck,
    find_rates,
    list_versions,
    look_up,
    prepare_import,
    read_deck,
    roll_back,
)
from vosd.admin.office.jobs import JobKind
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OrderError, Principal
from vosd.admin.office.rates import list_areas, list_rate_groups
from vosd.api.http import Answer, HttpRequest
from vosd.api.job import Long, Work, map_file_of
from vosd.api.listing import CSV
from vosd.api.operation import Listing, Operation
from vosd.api.operations.jobs import never
from vosd.billing.deck_content import Chunk
from vosd.billing.decks import Mode
from vosd.cdr.shown import shown_as
from vosd.config.decks.workbooks import SheetError
from vosd.storage.deck_values import StoredDeck

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLSM: Final = "application/vnd.ms-excel.sheet.macroenabled.12"
SHEET_BYTES_MAX: Final = 200 << 20
_UPLOAD_S: Final = 1_800.0
_STEPS: Final = {"reading": (0.0, 0.4), "comparing": (0.4, 0.9), "rating": (0.9, 1.0), "compiling": (0.9, 0.95)}
"""Part of an import at which a step begins and ends, by its first word."""
_WRITING: Final = (0.95, 1.0)


class UploadDeck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sheet of rates; its content is the body of the request."""

    rate_group: str
    file: str = "sheet"
    """Name of the sheet, as the report and its mistakes have it."""
    is_trial: bool = False
    mode: Mode = Mode.FULL
    """``full``: the sheet is the whole deck; ``delta``: prefixes that it does not have stay."""
    effective: int | None = None
    """Time at which the change comes into force; without it: on the dates of the sheet, else at once."""
    map: str | None = None
    """JSON of a map of its columns, with the keys of a map file; without it: as last time with this header."""
    force: bool = False
    """Import even if more than a fifth of the prefixes is closed or taken out."""
    if_version: int | None = None
    """Only where this is the version in force, 0 = where there is none yet; None = whichever is."""
    memo: str | None = None
    traffic: Annotated[int, msgspec.Meta(ge=1, le=366)] | None = None
    """Days of calls of which a trial tells the margin by the old and the new rates."""

    def __post_init__(self) -> None:
        if self.traffic is not None and not self.is_trial:
            raise OrderError("traffic", "is 1 to 366 days, and for a trial", "add dry_run=true")


class DeckSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a deck; times are RFC 3339."""

    rate_group: str
    version: int
    """The highest is in force."""
    content: int
    """The version that brought these rates."""
    replaced: int | None
    """Version that was in force before; None = it was the first."""
    made_at: str
    operator: str
    mode: str
    """``full``, ``delta`` or ``rollback``."""
    effective: str | None
    """Moment from which its rates hold, where they say no other; None = at once."""
    rates: int
    """Number of its rates."""
    digest: str
    """SHA-256 of its content."""
    changes: dict[str, int]
    """Prefixes by kind of change."""
    memo: str | None


class Steps:
    """Tells the process of the job how far an import is."""

    def __init__(self, work: Work) -> None:
        self._progress = work.progress
        self._span = (0.0, 0.4)
        self._whole: int | None = None

    def begin(self, step: str, whole: int | None = None) -> None:
        """Begin a step."""
        self._span, self._whole = _STEPS.get(step.split(maxsplit=1)[0], _WRITING), whole
        self._progress(self._span[0])

    def at(self, done: int, whole: int | None = None) -> None:
        """Say how far it is."""
        most = whole or self._whole
        begins, ends = self._span
        if most:
            self._progress(begins + (ends - begins) * min(done / most, 1.0))


async def import_sheet(office: Office, who: Principal, order: UploadDeck, work: Work) -> dict[str, Any]:
    """Import a sheet, or compare it with the deck; every change is in the file of the result."""
    from vosd.wiring.deck_import import DeckFile, import_deck

    assert work.upload is not None
    with nullcontext() if order.map is None else map_file_of(order.map) as map_file:
        wanted = DeckFile(
            rate_group=order.rate_group,
            file=work.upload,
            name=order.file,
            is_dry=order.is_trial,
            effective=order.effective,
            mode=order.mode,
            map_file=map_file,
            changes_file=work.out,
            is_forced=order.force,
            if_version=order.if_version,
            memo=order.memo,
            traffic=order.traffic,
        )
        try:
            document, _ = await import_deck(work.switch, office, who, wanted, Steps(work))
        except SheetError as error:
            raise SheetError(str(error).replace(str(work.upload), order.file)) from error
    return document


async def list_deck_versions(office: Office, who: Principal, order: ListDeckVersions) -> list[DeckSheet]:
    """Return the versions of a deck, newest first."""
    return [_sheet(each) for each in await list_versions(office, who, order)]


async def read_chunks(office: Office, who: Principal, order: ReadDeck) -> list[Chunk]:
    """Return the content of a version."""
    return [*(await read_deck(office, who, order))[1]]


async def rates_answer(_office: Office, _request: HttpRequest, chunks: list[Chunk]) -> Answer:
    """Return rates as CSV; an import of it changes nothing."""

    async def parts() -> AsyncGenerator[bytes, None]:
        for chunk in chunks:
            yield await asyncio.to_thread(zlib.decompress, chunk.compressed)

    return Answer(stream=parts(), content_type=f"{CSV}; charset=utf-8")


def _sheet(deck: StoredDeck) -> DeckSheet:
    return shown_as(DeckSheet, deck, mode=deck.way.value, changes=dict(deck.changes))


_OPERATIONS: Final = (
    Operation(
        "POST /decks/{rate_group}/imports",
        "Job: import a sheet of rates, CSV or XLSX of up to 200 MiB, or try it; the result has every change.",
        never,
        use_case=prepare_import,
        takes=UploadDeck,
        problems=("no_deck_group",),
        status=HTTPStatus.ACCEPTED,
        patience_s=_UPLOAD_S,
        long=Long(
            JobKind.DECK_IMPORT,
            import_sheet,
            is_always=True,
            subject="rate_group",
            check=lambda office, _who, order: office.definitions.deck(order.rate_group),
            uploads={CSV: ".csv", XLSX: ".xlsx", XLSM: ".xlsm"},
            upload_max=SHEET_BYTES_MAX,
        ),
    ),
    Operation(
        "GET /decks/{rate_group}/versions",
        "The versions of a deck, and what each has changed.",
        list_deck_versions,
        use_case=list_versions,
        problems=("no_deck_group",),
        listing=Listing("version", filters=("operator", "mode", "memo"), sorts=("version", "made_at")),
    ),
    Operation(
        "GET /decks/{rate_group}/rates",
        "All rates of a version of a deck as CSV; an import of it changes nothing.",
        read_chunks,
        use_case=read_deck,
        result=bytes,
        problems=("no_deck_group", "no_such_deck"),
        answer=rates_answer,
        forms={CSV: bytes},
    ),
    Operation(
        "POST /decks/{rate_group}/rollback",
        "Put the rates of an earlier version of a deck in force again, as a new version.",
        roll_back,
        result=DeckSheet,
        shown=_sheet,
        problems=("already_rolled_back", "daemon_refused", "many_closed", "no_deck_group", "no_such_deck"),
    ),
    Operation(
        "GET /decks/{rate_group}/lookup",
        "The rate of a number in a deck now or at a time, with those of shorter prefixes.",
        look_up,
        problems=("no_deck_group", "no_such_deck"),
    ),
    Operation(
        "GET /rates/groups",
        "All rate groups, of files and database: rates, currency, users.",
        list_rate_groups,
        listing=Listing("name", filters=("name", "currency"), sorts=("name", "rates")),
    ),
    Operation(
        "GET /rates/lookup",
        "The rate of a number in every rate group now or at a time; of decks by the version in force then.",
        find_rates,
        listing=Listing("rate_group", sorts=("rate_group", "billing_rate")),
    ),
    Operation(
        "GET /rates/groups/{rate_group}/areas",
        "The destinations of a rate group with their lowest and highest price.",
        list_areas,
        needs_database=True,
        problems=("unknown_name",),
    ),
)
_SHORT: Final = {"POST /decks/{rate_group}/imports", "GET /decks/{rate_group}/rates"}
"""Operations that have the path of their deck, too."""
OPERATIONS: Final = (
    *(replace(each, route=f"{each.method} /decks/{{rate_group}}") for each in _OPERATIONS if each.route in _SHORT),
    *_OPERATIONS,
)
