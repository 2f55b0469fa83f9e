"""Lists: filters, sorting, cursors and sparse fields, as a page of JSON or as a stream of all items."""

import asyncio
import csv
import io
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from itertools import count
from operator import gt, itemgetter, lt
from typing import Any, Final, NamedTuple, TypeVar
from weakref import WeakValueDictionary

import msgspec
from msgspec.structs import FieldInfo, asdict

from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.api.http import Answer, HttpRequest, RequestError, preferred
from vosd.api.operation import Listing
from vosd.api.workbook import ROWS_MAX, XLSX, too_many_rows, workbook_parts
from vosd.base import base64url
from vosd.base.csv_text import neutralised
from vosd.base.parts import in_parts
from vosd.catalogue.overrides import UNLIMITED

LIMIT: Final = 100
LIMIT_MAX: Final = 1_000
NDJSON: Final = "application/x-ndjson"
_Part = TypeVar("_Part")
AnswerPart = TypeVar("AnswerPart", str, bytes)
CSV: Final = "text/csv"
_WITH_PLUS: Final = re.compile(r"\+\d+(?:\.\d+)?\Z", re.ASCII)
_CHUNK: Final = 64
"""Items that a stream sends at once."""
READ_AT_ONCE: Final = 8
"""Streams of lists that read at the same time: fewer than the database has connections for, so that log-ins have some.

One that waits for its client reads nothing, and keeps no other from its turn.
"""
READ_BY_ONE_ACCOUNT: Final = 2
"""Turns that the streams of one account may have, with all its tokens and log-ins: any number may be open."""


class ReadingTurns:
    """Turns at reading lists whole."""

    def __init__(self) -> None:
        self._of_all = asyncio.Semaphore(READ_AT_ONCE)
        self._of_accounts: WeakValueDictionary[str, AccountTurns] = WeakValueDictionary()

    def of(self, account: str | None) -> "Turns":
        """Return the turns of an account; None = of the installation itself, which may have all."""
        if account is None:
            return self._of_all
        turns = self._of_accounts.get(account)
        if turns is None:
            turns = self._of_accounts[account] = AccountTurns(self._of_all)
        return turns


class AccountTurns:
    """Turns of one account, each of which is one of all as well."""

    def __init__(self, of_all: asyncio.Semaphore) -> None:
        self._of_all = of_all
        self._own = asyncio.Semaphore(READ_BY_ONE_ACCOUNT)

    async def __aenter__(self) -> None:
        await self._own.acquire()
        try:
            await self._of_all.acquire()
        except BaseException:
            self._own.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._of_all.release()
        self._own.release()


Turns = asyncio.Semaphore | AccountTurns


class PageWanted(NamedTuple):
    """A part of a list, and its form."""

    limit: int | None
    """None = all."""
    after: Any
    """Place of the last item that the client has; None = from the beginning."""
    order: str | None
    """As the parameter ``sort`` says it, with - before it for backwards; cursors hold for one order."""
    fields: tuple[str, ...]
    """Empty = all."""
    filters: Mapping[str, str]
    form: str
    amounts: frozenset[str]
    """Fields of items that are amounts as text."""

    @property
    def sort(self) -> str | None:
        """The field to sort by."""
        return None if self.order is None else self.order.removeprefix("-")

    @property
    def is_reversed(self) -> bool:
        """Whether the greatest comes first."""
        return self.order is not None and self.order.startswith("-")


def page_wanted(
    listing: Listing, columns: Mapping[str, bool], query: dict[str, str], accept: str, *, is_operator: bool = True
) -> PageWanted:
    """Take the parameters of a list out of a query; ``columns`` are those of its operation.

    Raises:
        RequestError: one makes no sense.
    """
    form = preferred(accept, (NDJSON, CSV, XLSX))
    text = query.pop("limit", None)
    limit = (None if form else LIMIT) if text is None else _limit(text)
    order = query.pop("sort", None)
    if order is not None:
        _check_order(listing, order, query)
    fields = tuple(filter(None, query.pop("fields", "").split(",")))
    for each in fields:
        if each not in columns:
            raise _bad("fields", f"has {each!r}", _choice(columns))
    if form in {CSV, XLSX}:  # the first item may lack some
        fields = fields or tuple(name for name in columns if is_operator or name not in listing.for_operators)
    cursor = query.pop("cursor", None)
    if cursor is not None and listing.ends_first and limit is None and order is None:
        raise _bad("cursor", "needs `limit` here: it leads to the last items before it", "add `limit`")
    for name, field in listing.other_names.items():
        if name in query and field in query:
            raise _bad(name, f"and `{field}` are the same filter")
        if name in query:
            query[field] = query.pop(name)
    filters = {name: query.pop(name) for name in listing.filters if name in query}
    amounts = frozenset(name for name, is_amount in columns.items() if is_amount)
    return PageWanted(limit, None if cursor is None else _opened(cursor, order), order, fields, filters, form, amounts)


def _check_order(listing: Listing, order: str, query: Mapping[str, str]) -> None:
    if order.removeprefix("-") not in listing.sorts:
        remedy = _choice(ways_to_sort(listing)) if listing.sorts else "nothing sorts this list"
        raise _bad("sort", f"is {order!r}", remedy)
    if listing.backwards in query:
        raise _bad("sort", f"and `{listing.backwards}` both say an order")


def ways_to_sort(listing: Listing) -> list[str]:
    """Return the values that the parameter ``sort`` of a list may have."""
    return [f"{sign}{name}" for name in listing.sorts for sign in ("", "-")]


def check_indexed(listing: Listing, asked: Iterable[str], *, is_operator: bool) -> None:
    """Refuse filters for which the database would read everything; agents and customers have few accounts.

    Raises:
        RequestError: one has none of those beside it that an index serves.
    """
    names = {*asked}
    for name, served in listing.unindexed.items():
        if is_operator and name in names and names.isdisjoint(served):
            raise RequestError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "no_index",
                f"`{name}` alone would have the database read the whole list",
                field=name,
                remedy=f"add `{'` or `'.join(served)}`",
            )


async def check_length(listing: Listing, office: Office, who: Principal, order: Any, wanted: PageWanted) -> None:
    """Refuse a spreadsheet of too many items before they are read: many calls take longer than a request may.

    Raises:
        RequestError: it has more rows than it may.
    """
    is_whole = wanted.form == XLSX and wanted.limit is None
    if is_whole and listing.are_more is not None and await listing.are_more(office, who, order, ROWS_MAX):
        raise too_many_rows()


def is_read_in_parts(listing: Listing, wanted: PageWanted) -> bool:
    """Return whether the office reads a page alone: by a filter of items, or in another order, it needs the whole."""
    is_by_order = wanted.sort in {None, listing.by or listing.key}
    is_readable = listing.backwards is not None or wanted.order is None or wanted.is_reversed == listing.descends
    return listing.in_parts and is_by_order and is_readable and not wanted.filters


def check_cursor(wanted: PageWanted, field: FieldInfo) -> None:
    """Raise RequestError where a cursor is of another list than that which takes it in a field of its order."""
    try:
        msgspec.convert(wanted.after, field.type)
    except msgspec.ValidationError as error:
        raise _bad("cursor", "is of another list") from error


async def whole_list(listing: Listing, items: Iterable[Any], wanted: PageWanted, beside: Any = None) -> Answer:
    """Return the part of a list that the office has returned whole; other requests are answered meanwhile.

    ``beside``: the object that the items are in; a page has its fields, too.
    """
    is_amount = wanted.sort in wanted.amounts
    comparable = _amount if is_amount else _comparable
    by = None if wanted.sort is None else listing.still.get(wanted.sort, wanted.sort)
    is_reversed = wanted.is_reversed != (by is not None and by.startswith("-"))
    field = None if by is None else by.removeprefix("-")

    def place(number: int, row: Mapping[str, Any]) -> list[Any]:
        value = None if field is None else row.get(field)
        # items without a value are the last in either order
        return [(value is None) != is_reversed, comparable(value), *(identity(listing, row) or [number])]

    is_behind = lt if is_reversed else gt
    placed: list[tuple[list[Any], Any]] = []
    numbers = count()
    for part in in_parts(items):
        rows = [msgspec.to_builtins(item) for item in part]
        for name, value in wanted.filters.items():
            rows = [row for row in rows if _text(row.get(name)) == value]
        found = [(place(number, row), row) for row, number in zip(rows, numbers, strict=False)]
        if wanted.after is not None:
            try:
                there, value, *rest = wanted.after
                after = [there, _amount(value) if is_amount else value, *rest]
                found = [each for each in found if is_behind(each[0], after)]
            except (TypeError, ValueError, InvalidOperation) as error:
                raise _bad("cursor", "is of another list") from error
        placed += found
        if wanted.limit is not None:  # of a long list no more than a page and the next one are sorted and kept
            placed.sort(key=itemgetter(0), reverse=is_reversed)
            del placed[wanted.limit + 1 :]
        await asyncio.sleep(0)
    placed.sort(key=itemgetter(0), reverse=is_reversed)
    shown = placed if wanted.limit is None else placed[: wanted.limit]
    following = shown[-1][0] if shown and len(shown) < len(placed) else None
    if wanted.form:
        return await _streamed(each_of([row for _, row in shown]), wanted)
    return _page([_sparse(row, wanted.fields) for _, row in shown], following, wanted, beside)


async def read_list(
    listing: Listing, items: AsyncIterator[Any], wanted: PageWanted, turns: Turns | None = None
) -> Answer:
    """Return the part of a list that the office yields from the cursor on; it yields one more than the limit.

    ``turns``: a whole list is read while it has one of them; None = the items are there already.
    """
    if wanted.limit is None:
        return await _streamed((msgspec.to_builtins(item) async for item in items), wanted, turns)
    rows = [msgspec.to_builtins(item) async for item in items]
    shown = rows[: wanted.limit]
    following = shown[-1][listing.key] if len(rows) > wanted.limit else None
    if listing.ends_first and wanted.sort is None:
        shown.reverse()
    if wanted.form:
        return await _streamed(each_of(shown), wanted)
    return _page([_sparse(row, wanted.fields) for row in shown], following, wanted)


def identity(listing: Listing, row: Mapping[str, Any]) -> list[float | str]:
    """Return the values that tell an item from others, in their order; empty = its place does."""
    if listing.order is not None:
        return [*listing.order(row)]
    return [_comparable(row.get(key)) for key in listing.key.split(",")] if listing.key else []


def _comparable(value: Any) -> int | float | str:
    return value if isinstance(value, int | float) else _text(value)


def _amount(value: str | None) -> Decimal:
    """Return an amount of an item as a number; one that is not known is compared with none that is."""
    return Decimal("Infinity") if value == UNLIMITED else Decimal(value or 0)


def _page(rows: list[Any], following: Any, wanted: PageWanted, beside: Any = None) -> Answer:
    page = {"items": rows, "next": None if following is None else closed_cursor(wanted.order, following)}
    return Answer(content=msgspec.json.encode(page if beside is None else page | asdict(beside)))


async def _streamed(
    rows: AsyncGenerator[Mapping[str, Any], None], wanted: PageWanted, turns: Turns | None = None
) -> Answer:
    if wanted.form == XLSX:
        if turns is not None:  # its first part comes when all its rows were read
            rows = (row async for part in _in_turns(_by_parts(rows), turns) for row in part)
        columns = {name: name in wanted.amounts for name in wanted.fields}
        parts, content_type = workbook_parts(rows, columns, _text), XLSX
    elif wanted.form == NDJSON:
        parts, content_type = _lines(rows, wanted), NDJSON
    else:
        parts, content_type = _table(rows, wanted), f"{CSV}; charset=utf-8"
    if turns is not None and wanted.form != XLSX:
        parts = _in_turns(parts, turns)
    # What the office refuses, it refuses when its first item is read.
    return Answer(stream=await begun(parts), content_type=content_type)


async def _by_parts(rows: AsyncIterator[Mapping[str, Any]]) -> AsyncGenerator[list[Mapping[str, Any]], None]:
    """Yield as many rows at once as other streams read in one turn: a turn for each row would be 64 times slower."""
    part: list[Mapping[str, Any]] = []
    async for row in rows:
        part.append(row)
        if len(part) == _CHUNK:
            yield part
            part = []
    yield part


async def _in_turns(parts: AsyncGenerator[_Part, None], turns: Turns) -> AsyncGenerator[_Part, None]:
    async with aclosing(parts):
        while True:
            async with turns:
                part = await anext(parts, None)
            if part is None:
                return
            yield part


async def each_of(rows: Iterable[Any]) -> AsyncGenerator[Any, None]:
    """Yield the items of a list that was returned whole."""
    for row in rows:
        yield row


async def _lines(rows: AsyncIterator[Mapping[str, Any]], wanted: PageWanted) -> AsyncGenerator[bytes, None]:
    waiting: list[bytes] = []
    number = 0
    async for row in rows:
        number += 1
        waiting.append(msgspec.json.encode(_sparse(row, wanted.fields)) + b"\n")
        if number % _CHUNK == 1:  # the answer begins when the first item is there
            yield b"".join(waiting)
            waiting.clear()
    yield b"".join(waiting)


async def _table(rows: AsyncIterator[Mapping[str, Any]], wanted: PageWanted) -> AsyncGenerator[bytes, None]:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(wanted.fields)
    number = 0
    async for row in rows:
        number += 1
        writer.writerow([_cell(row.get(column)) for column in wanted.fields])
        if number % _CHUNK == 1:
            yield _taken(written)
    yield _taken(written)


def _taken(written: io.StringIO) -> bytes:
    text = written.getvalue()
    written.seek(0)
    written.truncate()
    return text.encode()


def _cell(value: Any) -> str:
    text = _text(value)
    # Programs read these tables, too: a number with a plus is harmless, and stays as it is.
    return text if _WITH_PLUS.match(text) else str(neutralised(text))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _sparse(row: Mapping[str, Any], fields: tuple[str, ...]) -> Mapping[str, Any]:
    return {name: row[name] for name in fields if name in row} if fields else row


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= LIMIT_MAX or len(text) > 6:
        raise _bad("limit", f"is {text!r}", f"1 to {LIMIT_MAX}")
    return int(text)


def closed_cursor(order: str | None, place: Any) -> str:
    """Return the place of an item in a list of that order as the text that a client gets."""
    return base64url.encoded(msgspec.json.encode((order, place)))


def _opened(cursor: str, order: str | None) -> Any:
    try:
        found, place = msgspec.json.decode(base64url.decoded(cursor), type=tuple[str | None, Any])
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise _bad("cursor", "is none that this API gave", "leave it out for the first page") from error
    if found != order:
        raise _bad("cursor", "is of another `sort`", "leave it out for the first page")
    return place


def _choice(names: Iterable[str]) -> str:
    return f"one of {', '.join(names)}"


def _bad(field: str, said: str, remedy: str | None = None) -> RequestError:
    return RequestError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "bad_parameter", f"`{field}` {said}", field=field, remedy=remedy
    )


async def begun(parts: AsyncGenerator[AnswerPart, None]) -> AsyncGenerator[AnswerPart, None]:
    """Return the parts of an answer, once the first one is there; raises what keeps that from being there.

    So an error before it is a problem, and not a broken answer.
    """

    async def whole() -> AsyncGenerator[AnswerPart, None]:
        async with aclosing(parts):
            first = await anext(parts)
            yield first  # taken below: a generator that has not begun would not close the parts
            yield first
            async for part in parts:
                yield part

    answer = whole()
    await anext(answer)
    return answer


async def csv_answer(_office: Office, _request: HttpRequest, text: AsyncGenerator[str, None]) -> Answer:
    """Return a text as CSV."""

    async def parts() -> AsyncGenerator[bytes, None]:
        async for part in text:
            yield part.encode()

    return Answer(stream=parts(), content_type=f"{CSV}; charset=utf-8")
