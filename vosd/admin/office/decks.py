"""Use cases of decks of rates: import, roll back, list versions, read, look up.

An import is prepared without a change to anything: the present deck and the file are read side by side, and the result
is kept compressed. Then it is put in force in one transaction.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from vosd.admin.office.office import Office, needs, waits_for_rows
from vosd.admin.office.planned_change import StaleVersionError
from vosd.admin.office.principal import Permission, Principal
from vosd.base.errors import VosError
from vosd.base.money import AmountText, format_amount
from vosd.billing.deck_changes import DeckChanges, Each, Example, counts_by_name
from vosd.billing.deck_content import Chunk, columns_of, header_and_lines, packed, under
from vosd.billing.deck_rows import CLOSED, cut
from vosd.billing.decks import Mode, find, merged, prefixes_of
from vosd.billing.named_areas import area_in
from vosd.billing.ports import RateTable
from vosd.cdr.columns import iso_utc
from vosd.storage.deck_values import StoredDeck, Way

if TYPE_CHECKING:
    from vosd.billing.rate_group import RateGroup
    from vosd.storage.decks import SqlDecks

CLOSED_AT_MOST: Final = 5
"""An import that closes more than one prefix in so many has to be confirmed."""
_AMOUNTS: Final = frozenset({"billing_rate", "connection_fee", "first_rate", "minimum_charge"})
_SECONDS: Final = frozenset({"billing_cycle", "first_duration"})
_IN_MEMORY: Final = 1 << 24
DAY_MS: Final = 86_400_000
_REPORTED_ROWS: Final = 10_000


class NoSuchDeckError(VosError):
    """The group has no deck, or none of that version."""


class ManyClosedError(VosError):
    """An import or a rollback would close more prefixes than is usual."""


class AlreadyRolledBackError(VosError):
    """The latest version is a rollback, and the order does not say to which version the deck goes back."""

    remedy = "say `to` which version it goes back, if that is meant"


class UnreadableDeckError(VosError):
    """A stored deck has columns that this version does not know."""


class ImportDeck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The import of a sheet, whose lines are given apart; times are UTC milliseconds."""

    rate_group: str
    header: str
    """Names of the columns of the lines."""
    mode: Mode = Mode.FULL
    effective: int | None = None
    memo: str | None = None
    absent: tuple[str, ...] = ()
    """Columns that the file does not have."""
    layout: str | None = None
    """The map by which the file is read, as text."""
    is_confirmed: bool = False
    """Import even if more than a fifth of the prefixes is closed or taken out."""
    if_version: int | None = None
    """Only where this is the version in force, 0 = where there is none yet; None = whichever is."""


class ImportReport(msgspec.Struct, frozen=True):
    """Changes of an import, as ``vosd rates import`` prints it."""

    rate_group: str
    version: int | None
    """The version that was made; None = none: it was only tried, or nothing changes."""
    replaced: int | None
    """The version in force until then."""
    mode: str
    effective: str | None
    rates: int
    digest: str
    changes: Mapping[str, int]
    examples: Mapping[str, Sequence[Example]]
    fallen: int
    """Prefixes that are not in the file, and whose numbers have the rate of a shorter prefix then."""
    unrated: int
    """Prefixes that are not in the file, and whose numbers have no rate then."""
    notice_days: int
    """Number of days ahead that the vendor has to announce increases."""
    short_notice: int
    """Increases that begin sooner."""
    short_examples: Sequence[Example]
    early: int
    """Rates that begin before the sheet says: the deck has them already from an earlier time to come."""
    early_examples: Sequence[Example]


class Prepared:
    """An import that can be put in force."""

    def __init__(
        self, order: ImportDeck, before: StoredDeck | None, now: int, notice_days: int, each: Each | None
    ) -> None:
        """``notice_days`` is the number of days ahead that increases have to be known."""
        self.order = order
        self.before = before
        self.now = now
        self._notice_days = notice_days
        notice_until = now + notice_days * DAY_MS if notice_days else 0
        self.changes = DeckChanges(order.header, iso_utc(notice_until) if notice_until else "", each)
        self.digest = ""
        self._file = SpooledTemporaryFile[bytes](_IN_MEMORY)
        self._chunks: list[tuple[str, int]] = []

    @property
    def changes_something(self) -> bool:
        """Whether the deck would not be the same afterwards, byte for byte."""
        return self.before is None or self.before.digest != self.digest

    def put(self, chunk: Chunk) -> None:
        """Keep a chunk."""
        self._file.write(chunk.compressed)
        self._chunks.append((chunk.first_prefix, len(chunk.compressed)))

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the content, each time from its beginning."""
        self._file.seek(0)
        for first_prefix, size in self._chunks:
            yield Chunk(first_prefix, self._file.read(size))

    def close(self) -> None:
        """Free what was kept."""
        self._file.close()

    def report(self, version: int | None = None) -> ImportReport:
        """Return what it changes."""
        order = self.order
        return ImportReport(
            rate_group=order.rate_group,
            version=version,
            replaced=None if self.before is None else self.before.version,
            mode=order.mode.value,
            effective=None if order.effective is None else iso_utc(order.effective),
            rates=self.changes.rows,
            digest=self.digest,
            changes=counts_by_name(self.changes),
            examples={kind.value: named for kind, named in self.changes.examples.items()},
            fallen=self.changes.fallen,
            unrated=self.changes.unrated,
            notice_days=self._notice_days,
            short_notice=self.changes.short,
            short_examples=self.changes.short_examples,
            early=self.changes.early,
            early_examples=self.changes.early_examples,
        )


@needs(Permission.RATES_CHANGE)
async def prepare_import(
    office: Office,
    who: Principal,
    order: ImportDeck,
    lines: Iterable[str],
    progress: Callable[[int], None] = lambda _rows: None,
    each: Each | None = None,
) -> Prepared:
    """Compare the lines of a file, sorted and each rate once, with the deck in force; ``each`` takes every change.

    Raises:
        NoDeckGroupError: the group is unknown, or its rates are in the configuration.
        UnreadableDeckError: the deck in force was made by a newer version.
        StaleVersionError: the version in force is another one than the order says.
    """
    decks, notice_days = office.stores.decks, office.definitions.deck(order.rate_group).notice_days
    before = next(iter(await decks.versions(order.rate_group)), None)
    latest = 0 if before is None else before.version
    if order.if_version not in {None, latest}:
        raise StaleVersionError(f"deck {order.rate_group} has version {latest} by now: compare the sheet again")
    old: Iterator[str] = iter(())
    if before is not None:
        old = _under(order.header, *await _content(decks, before), before)
    prepared = Prepared(order, before, office.now(), notice_days, each)
    effective = "" if order.effective is None else iso_utc(order.effective)
    result = merged(
        old, lines, order.mode, prepared.changes, now=iso_utc(prepared.now), effective=effective, absent=order.absent
    )
    prepared.digest = packed(order.header, _counted(result, progress), prepared.put)
    return prepared


@needs(Permission.RATES_CHANGE)
@waits_for_rows
async def put_in_force(office: Office, who: Principal, prepared: Prepared) -> ImportReport:
    """Put a prepared import in force, unless it changes nothing.

    Raises:
        ManyClosedError: it is not confirmed, and it closes more than a fifth of the prefixes.
        DeckMoved: another version was made meanwhile.
    """
    order, before, changes = prepared.order, prepared.before, prepared.changes
    if not prepared.changes_something:
        return prepared.report()
    if not order.is_confirmed and changes.lost * CLOSED_AT_MOST > changes.prefixes_before:
        raise ManyClosedError(
            f"{changes.lost} of {changes.prefixes_before} prefixes of deck {order.rate_group} would be closed or taken "
            "out, and nothing was imported: see `dry_run`; if that is meant, say `force`"
        )
    version = 1 if before is None else before.version + 1
    deck = StoredDeck(
        rate_group=order.rate_group,
        version=version,
        content=version,
        replaced=None if before is None else before.version,
        made_at=prepared.now,
        operator=who.recorded,
        way=Way(order.mode.value),
        effective=order.effective,
        rates=changes.rows,
        digest=prepared.digest,
        changes=counts_by_name(changes),
        memo=order.memo,
        layout=order.layout,
    )
    line = office.audit_line(who, msgspec.structs.replace(order, absent=(), layout=None), order.rate_group)
    await office.stores.decks.add(deck, prepared, line)
    return prepared.report(version)


class RollBackDeck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The return to the rates of an earlier version."""

    rate_group: str
    to: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Number of the version; None = that before the last change, unless that is a rollback; 0 = no rates, as before the
    first version."""
    memo: str | None = None
    if_version: int | None = None
    """Only where this is the latest version; None = whichever is."""
    force: bool = False
    """Take all rates out, where ``to`` is 0, whichever version is the latest."""


@needs(Permission.RATES_CHANGE)
async def roll_back(office: Office, who: Principal, order: RollBackDeck) -> StoredDeck:
    """Put the rates of an earlier version in force again, as a new version.

    Raises:
        NoDeckGroupError: the group is unknown, or its rates are in the configuration.
        NoSuchDeckError: there is no such version.
        StaleVersionError: the latest version is another one than the order says.
        AlreadyRolledBackError: it is a rollback, and the order names neither it nor the version to go back to: it may
            be the repeat of an order whose answer was lost.
        ManyClosedError: all rates would be taken out, and the order neither names the latest version nor is forced.
        DeckMoved: another version was made meanwhile.
    """
    decks, rate_group = _decks_for(office, order.rate_group), order.rate_group
    versions = await _versions(decks, rate_group)
    newest = versions[0]
    if order.if_version not in {None, newest.version}:
        raise StaleVersionError(f"deck {rate_group} has version {newest.version} by now: look at it before you go back")
    if order.to is None and order.if_version is None and newest.way is Way.ROLLBACK:
        raise AlreadyRolledBackError(
            f"deck {rate_group} was rolled back already, by {newest.operator}:"
            f" version {newest.version} has the rates of {newest.content}"
        )
    number = newest.replaced if order.to is None else order.to
    if number is None:
        raise NoSuchDeckError(f"deck {rate_group} has only one version: there is nothing to go back to")
    if number == 0 and not newest.rates:
        raise NoSuchDeckError(f"deck {rate_group} has no rates: there is nothing to take out")
    # 0 is also what clients send for a field that was never set
    if number == 0 and order.if_version is None and not order.force:
        raise ManyClosedError(
            f"all rates of deck {rate_group} would be taken out, and nothing was done; if that is meant, say `force`"
        )
    wanted, chunks = (
        await _without_rates(decks, newest) if number == 0 else (_numbered(versions, number, rate_group), ())
    )
    if wanted.content == newest.content:
        raise NoSuchDeckError(f"the rates of version {number} of deck {rate_group} are in force already")
    deck = msgspec.structs.replace(
        wanted,
        version=newest.version + 1,
        replaced=newest.version,
        made_at=office.now(),
        operator=who.recorded,
        way=Way.ROLLBACK,
        effective=None,
        changes={},
        memo=order.memo,
    )
    await decks.add(deck, chunks, office.audit_line(who, order, rate_group))
    return deck


async def _without_rates(decks: "SqlDecks", newest: StoredDeck) -> tuple[StoredDeck, Sequence[Chunk]]:
    """Return a version behind the newest one that has no rates, and its content."""
    chunks = list[Chunk]()
    header, _ = await _content(decks, newest)
    digest = packed(header, (), chunks.append)
    return msgspec.structs.replace(newest, content=newest.version + 1, rates=0, digest=digest, layout=None), chunks


class ReadDeck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rates of a version of a deck; None = that in force."""

    rate_group: str
    version: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Number of the version; None = the one in force."""


@needs(Permission.RATES_SEE)
async def read_deck(office: Office, who: Principal, order: ReadDeck) -> tuple[StoredDeck, Sequence[Chunk]]:
    """Return a version and its content.

    Raises:
        NoDeckGroupError: the group is unknown, or its rates are in the configuration.
        NoSuchDeckError: there is no such version.
    """
    decks, version = _decks_for(office, order.rate_group), order.version
    versions = await _versions(decks, order.rate_group)
    deck = versions[0] if version is None else _numbered(versions, version, order.rate_group)
    return deck, await decks.chunks(deck)


class FoundRate(msgspec.Struct, frozen=True):
    """The rate of a number in a deck, as ``vosd rates lookup`` prints it."""

    rate_group: str
    number: str
    """Number that was looked up."""
    at: str
    version: int
    """The version of the deck that was in force then."""
    made_at: str
    """Time at which the version of the deck was made, RFC 3339."""
    closed: bool
    """Whether the prefix is closed: calls to the number are refused."""
    rate: Mapping[str, str | int] | None
    """Columns of the rate, with the area of a call; None = there is none, or the prefix is closed."""
    neighbours: Sequence[Mapping[str, str | int]]
    """Rates of shorter prefixes for the number, the longest first."""


class LookUpRate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number at a moment, UTC milliseconds; None = now."""

    rate_group: str
    number: str
    at: int | None = None
    """Moment; None = now."""


@needs(Permission.RATES_SEE)
async def look_up(
    office: Office, who: Principal, order: LookUpRate, *, tables: dict[str, RateTable] | None = None
) -> FoundRate:
    """Return the rate that a call to a number had at a moment, or will have: by the version in force then.

    ``tables`` are those that name areas, as far as they were read: see ``ConfiguredDeck``.

    Raises:
        NoDeckGroupError: the group is unknown, or its rates are in the configuration.
        NoSuchDeckError: there was no deck yet.
    """
    decks, rate_group, number = _decks_for(office, order.rate_group), order.rate_group, order.number
    at = office.now() if order.at is None else order.at
    digits = number.removeprefix("+")
    deck = await _deck_at(decks, rate_group, at)
    found = await _rows(decks, deck, digits, at)
    rows = [*map(_shown, found)]
    if found and (area := await _area_of_call(office, deck, found[0], digits, at, {} if tables is None else tables)):
        rows[0]["area"] = area
    is_closed = bool(rows) and CLOSED in rows[0]
    return FoundRate(
        rate_group=rate_group,
        number=number,
        at=iso_utc(at),
        version=deck.version,
        made_at=iso_utc(deck.made_at),
        closed=is_closed,
        rate=rows[0] if rows and not is_closed else None,
        neighbours=rows if is_closed else rows[1:],
    )


async def _deck_at(decks: "SqlDecks", rate_group: str, at: int) -> StoredDeck:
    versions = await _versions(decks, rate_group)
    for each in versions:
        if each.made_at <= at:
            return each
    raise NoSuchDeckError(f"deck {rate_group} was first imported at {iso_utc(versions[-1].made_at)}")


async def _rows(decks: "SqlDecks", deck: StoredDeck, number: str, at: int) -> Sequence[Mapping[str, str]]:
    """Return the columns of the rates in force of the prefixes that fit a number, the longest first."""
    header, lines = await _content(decks, deck, prefixes_of(number))
    return [columns_of(header, row.line) for row in find(lines, number, iso_utc(at))]


async def _area_of_call(
    office: Office, deck: StoredDeck, row: Mapping[str, str], number: str, at: int, tables: dict[str, RateTable]
) -> str:
    """Return the area of a call by a row of a deck, as ``NamedTable`` has it, by the decks of that moment."""
    area = await _area_of(office.stores.decks, deck, row)
    names = await asyncio.to_thread(office.definitions.deck(deck.rate_group).area_names, tables)
    if names is None or (area and not area.isdecimal()):
        return area
    if isinstance(names, str):
        return await _area_in_deck(office.stores.decks, names, area or number, at) or area
    return area_in(names, area or number, at) or area


async def _area_in_deck(decks: "SqlDecks", rate_group: str, number: str, at: int) -> str:
    """Return the area of the longest prefix of a number that has one; empty = none has, or there was no deck yet."""
    try:
        deck = await _deck_at(decks, rate_group, at)
    except NoSuchDeckError:
        return ""
    for row in await _rows(decks, deck, number, at):
        if area := await _area_of(decks, deck, row):
            return area
    return ""


async def _area_of(decks: "SqlDecks", deck: StoredDeck, row: Mapping[str, str]) -> str:
    """Return the area of a row: its own, or that of the prefix that it names, or the digits of that."""
    area, prefix = row.get("area", ""), row.get("area_prefix", "")
    if area or not prefix:
        return area
    header, lines = await _content(decks, deck, {prefix})
    named = (columns_of(header, line).get("area") for line in lines if cut(line).prefix == prefix)
    return next(filter(None, named), prefix)


def _shown(row: Mapping[str, str]) -> dict[str, str | int]:
    """Return the columns of a rate as explanations of calls have them: amounts in their form, seconds as numbers."""
    shown: dict[str, str | int] = {**row}
    for name in _AMOUNTS & row.keys():
        shown[name] = format_amount(Decimal(row[name]))
    for name in _SECONDS & row.keys():
        shown[name] = int(row[name])
    return shown


class FindRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number at a moment, UTC milliseconds, in every rate group."""

    number: str
    at: int | None = None
    """Moment; None = now."""


class FoundPrice(msgspec.Struct, frozen=True, kw_only=True):
    """The rate of a number in one rate group; all but the names are None where the group has none."""

    rate_group: str
    rates_from: str
    """The key that says where its rates are: ``derive``, ``deck``, ``rates_file`` or ``rates``."""
    currency: str | None
    prefix: str | None = None
    """Longest prefix that fits the number; ``*`` = any number."""
    area: str | None = None
    """Area of the rate."""
    billing_rate: AmountText | None = None
    """Price of a minute or of a cycle, as text."""
    price_per: str
    """The unit of its prices: ``minute``, ``cycle`` and so on."""
    interval: str | None = None
    """Seconds of the first period and of each further cycle, such as `30/6`."""
    closed: bool = False
    """Whether the prefix is closed: calls to the number are refused."""
    version: int | None = None
    """The version of its deck that was in force then; None = it has none."""


@needs(Permission.RATES_SEE)
async def find_rates(office: Office, who: Principal, order: FindRates) -> list[FoundPrice]:
    """Return the rate of a number in every rate group at a moment: of decks by the version in force then.

    Raises:
        ConfigError: a rate group has mistakes.
    """
    at, number = office.now() if order.at is None else order.at, order.number.removeprefix("+")
    tables: dict[str, RateTable] = {}  # of a million rates one takes a second to read: many decks may name it
    found = []
    for group in await office.definitions.rate_groups():
        names: dict[str, Any] = {
            "rate_group": group.name,
            "rates_from": group.rates_from,
            "currency": group.currency,
            "price_per": group.price_per,
        }
        if group.rates_from == "deck":
            found.append(FoundPrice(**names | await _in_deck(office, who, LookUpRate(group.name, number, at), tables)))
        else:
            rates = await asyncio.to_thread(office.definitions.rate_group, group.name)
            found.append(FoundPrice(**names | _in_table(rates, number, at)))
    return found


async def _in_deck(office: Office, who: Principal, order: LookUpRate, tables: dict[str, RateTable]) -> dict[str, Any]:
    try:
        looked_up = await look_up(office, who, order, tables=tables)
    except NoSuchDeckError:
        return {}
    rate = looked_up.rate if looked_up.rate is not None or not looked_up.closed else looked_up.neighbours[0]
    if rate is None:
        return {"version": looked_up.version}
    return {
        **{name: rate.get(name) or None for name in ("prefix", "area")},
        "billing_rate": None if looked_up.closed else rate["billing_rate"],
        "interval": await _interval_of(office, order.rate_group, rate),
        "closed": looked_up.closed,
        "version": looked_up.version,
    }


async def _interval_of(office: Office, rate_group: str, rate: Mapping[str, str | int]) -> str:
    """Return the interval of a row of a deck, as the rate has it that is made of it."""
    if "interval" in rate:
        return str(rate["interval"])
    cycle = rate.get("billing_cycle") or await asyncio.to_thread(office.definitions.deck(rate_group).billing_unit)
    return f"{rate.get('first_duration') or cycle}/{cycle}"


def _in_table(group: "RateGroup | None", number: str, at: int) -> dict[str, Any]:
    rate = None if group is None else group.table.find(number, at)
    if rate is None:
        return {}
    return {
        "prefix": rate.prefix,
        "area": rate.area or None,
        "billing_rate": None if rate.locked else format_amount(rate.billing_rate),
        "interval": f"{rate.first_duration or rate.billing_cycle}/{rate.billing_cycle}",
        "closed": rate.locked,
    }


class ListDeckVersions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The versions of a deck."""

    rate_group: str


@needs(Permission.RATES_SEE)
async def list_versions(office: Office, who: Principal, order: ListDeckVersions) -> Sequence[StoredDeck]:
    """Return the versions of a deck, newest first; none where nothing was imported yet.

    Raises:
        NoDeckGroupError: the group is unknown, or its rates are in the configuration.
    """
    return await _decks_for(office, order.rate_group).versions(order.rate_group)


def _decks_for(office: Office, rate_group: str) -> "SqlDecks":
    office.definitions.deck(rate_group)
    return office.stores.decks


async def _versions(decks: "SqlDecks", rate_group: str) -> Sequence[StoredDeck]:
    versions = await decks.versions(rate_group)
    if not versions:
        raise NoSuchDeckError(f"rate group {rate_group} has no deck yet: vosd rates import {rate_group} FILE")
    return versions


def _numbered(versions: Sequence[StoredDeck], number: int, rate_group: str) -> StoredDeck:
    for each in versions:
        if each.version == number:
            return each
    raise NoSuchDeckError(f"deck {rate_group} has no version {number}; the newest is {versions[0].version}")


async def _content(
    decks: "SqlDecks", deck: StoredDeck, prefixes: Collection[str] | None = None
) -> tuple[str, Iterator[str]]:
    """Return the header and the lines of a version, or those lines of which some have ``prefixes``."""
    chunks = await decks.chunks(deck, prefixes)
    return header_and_lines(chunk.compressed for chunk in chunks)


def _under(header: str, own: str, lines: Iterator[str], deck: StoredDeck) -> Iterator[str]:
    try:
        return under(header, own, lines)
    except ValueError as error:
        message = f"version {deck.version} of deck {deck.rate_group}: {error}: install the newer vosd again"
        raise UnreadableDeckError(message) from error


def _counted(lines: Iterable[str], progress: Callable[[int], None]) -> Iterator[str]:
    for rows, line in enumerate(lines):
        if not rows % _REPORTED_ROWS:
            progress(rows)
        yield line
