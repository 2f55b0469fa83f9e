"""Declaration of an operation, and its order as a request has it: requests and the OpenAPI document follow from it."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache, reduce
from http import HTTPStatus
from operator import or_
from types import NoneType
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin

import msgspec

from vosd.admin.office.office import BY_ACCOUNT, INSTEAD, NEEDED, WITHOUT_DATABASE, Office
from vosd.admin.office.principal import Permission, Principal
from vosd.admin.office.sessions import LogIns
from vosd.api.http import Answer, HttpRequest, RequestError
from vosd.api.job import Long
from vosd.base.money import AmountText, parse_amount

TIMES: Final = frozenset({"at", "effective", "ended_since", "ended_until", "expires_at", "since", "until"})
"""Fields of orders that are times: text in a request, UTC milliseconds in the order."""
SWITCHES: Final = {"clears_many": "confirm", "is_trial": "dry_run", "is_confirmed": "confirm"}
"""Fields of orders that are parameters of the query, with their names there, whatever the method."""
VERSION: Final = "if_version"
"""Field of orders that the header If-Match sets."""
EXISTS: Final = "if_exists"
"""Field of orders that ``*`` sets: True in If-Match, False in If-None-Match (RFC 9110, 13.1)."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE_MAX: Final = 2**53
"""Larger whole numbers are not the same in every JSON parser."""
_FIELD: Final = re.compile(r"(?:unknown field `|required field `|^Invalid enum value '(?=.*at `key` in))([^`']+)[`']")
_COMMA: Final = re.compile(r"\\([\\,])|,")
_PLACE: Final = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`$")

_fields_of: Final = cache(msgspec.structs.fields)
"""It reads annotations, which takes longer than many an order."""

_OF_RUN: Final[Any] = msgspec.UNSET
"""In the place of what follows from the use case."""

Run = Callable[[Office, Principal, Any], Awaitable[Any] | AsyncIterator[Any]]


class AskNothing(msgspec.Struct, frozen=True):
    """An order without fields."""


class Listing(NamedTuple):
    """A list: the office returns it whole or in parts."""

    key: str = ""
    """Field that tells items apart, or several with commas; the cursor is made of it.

    Empty = of ``order``; without that too, of its place: the list grows at its end alone, and keeps all items.
    """
    order: Callable[[Mapping[str, Any]], Sequence[float | str]] | None = None
    """Values of an item by which a list without ``key`` is in order, and which tell items apart."""
    filters: Sequence[str] = ()
    """Fields of items that are compared with parameters of the same names."""
    sorts: Sequence[str] = ()
    """Fields by which the list is sorted, in either direction; of a list that the database reads in parts those of its
    order alone, where it may be long."""
    still: Mapping[str, str] = {}
    """Fields of ``sorts`` that change with the time, each with one that does not and puts items in the same order.

    A minus before it: in the opposite order. Cursors are made of it, so that no item passes them between two pages.
    """
    in_parts: bool = False
    """Whether the office returns as many items as ``limit`` of its order says, behind the one of the key ``after``."""
    by: str | None = None
    """Field of items that a list which is read in parts is in the order of; None = ``key``."""
    descends: bool = False
    """Whether the list begins with the greatest, unless ``sort`` says otherwise."""
    backwards: str | None = None
    """Field of the order that has the office read the list from its end."""
    ends_first: bool = False
    """Whether a page without ``sort`` has the last items, in order, and ``next`` leads to those before them."""
    columns: Mapping[str, bool] = {}
    """Fields of items whose type does not declare them, with whether each is an amount as text."""
    for_operators: frozenset[str] = frozenset()
    """Fields that items have for operators alone: tables of agents and customers have them only where they ask."""
    inside: tuple[type[msgspec.Struct], str] | None = None
    """The result where it is an object, and its field that has the items; the page has all its fields, too."""
    other_names: Mapping[str, str] = {}
    """Fields of items by whose names filters of the order are known, too, with the names of these."""
    unindexed: Mapping[str, Sequence[str]] = {}
    """Filters that no index serves, with those of which one must stand beside."""
    are_more: Callable[[Office, Principal, Any, int], Awaitable[bool]] | None = None
    """Returns whether a list has more items than a number, faster than by reading them; None = reading is as quick."""


class FieldPlace(Enum):
    """Place of a field in a request."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"
    HEADER = "header"


class Field(NamedTuple):
    """A field of the order as the request has it."""

    name: str
    """Name in the request."""
    field: str
    """Name in the order."""
    place: FieldPlace
    type: Any
    is_required: bool


class Given(NamedTuple):
    """Fields of an order by where a request has them."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    header: Mapping[str, Any]
    body: Any
    fixed: Mapping[str, Any]
    """Fields that follow from other parts of the request."""


class Operation(msgspec.Struct, frozen=True):
    """One route: what it takes, what it needs, what it does and returns."""

    route: str
    """Method and path below ``/api/v1``; ``{field}`` is a field of the order."""
    meaning: str
    run: Run
    """The use case, or what calls ``use_case`` for requests."""
    use_case: Callable[..., Any] = _OF_RUN
    """The use case, which says who may do it and what it needs: ``run``, where none is given."""
    permission: Permission | None = _OF_RUN
    """That of the use case, where none is given. None = no token is needed, unless ``is_for_everyone``."""
    takes: type[msgspec.Struct] = _OF_RUN
    """The order: that of ``run``, where none is given."""
    result: Any = _OF_RUN
    """Type of the result, or of the items of a list: that of ``run``, where none is given."""
    fixed: Mapping[str, Any] = {}
    """Fields of the order that no request sets."""
    listing: Listing | None = None
    status: HTTPStatus = HTTPStatus.OK
    needs_database: bool = _OF_RUN
    """Whether the database is opened before it: as the use case says, where nothing is given."""
    etag: Callable[[Any], str | None] | None = None
    location: Callable[[Any], str] | None = None
    session: Callable[[Office, LogIns, HttpRequest, Any], Awaitable[Any]] | None = None
    """In the place of ``run``, of an operation that makes, shows or ends the session of a person."""
    is_live: bool = False
    """Whether it answers with the stream of live events that ``run`` returns a view of."""
    is_of_all: bool = False
    """Whether its answer follows from the state of the switch alone: all who may have it get the same."""
    forms: Mapping[str, Callable[[Any], bytes]] = {}
    """Content types other than JSON that ``Accept`` may ask for, and the functions that write the result so."""
    shown: Callable[[Any], Any] | None = None
    """Function that makes the JSON of the result; None = the result is it."""
    takes_any_query: bool = False
    """Whether parameters of the query that are unknown are left out: others than we have written the link."""
    patience_s: float = 30.0
    """Time for the whole request, until its answer begins."""
    asks_switch: bool = False
    """Whether an operation without a token needs the office all the same."""
    merges: bool = False
    """Whether the body may be ``application/merge-patch+json``, too."""
    long: Long | None = None
    """The operation as a job."""
    answer: Callable[[Office, HttpRequest, Any], Awaitable[Answer]] | None = None
    """Makes the answer of the result, where that is more than JSON."""
    streams_max: int | None = None
    """Answers of it that may be under way at once, for streams that last; None = any."""
    reference: str | None = None
    """Field of the order that an Idempotency-Key fills where the request leaves it out; a repeat then does nothing."""

    problems: Sequence[str] = ()
    """Codes of errors of its own; ``documented_problems`` has those that follow from the rest."""
    is_for_everyone: bool = False
    """Whether every token and every session may do it, whatever its permissions."""
    makes_secret: bool = False
    """Whether its answer has a secret, which is shown once: it is not kept for repeats."""

    def __post_init__(self) -> None:
        """Take order, result and permission from the use case, where they are not given.

        Raises:
            AttributeError: the use case declares no permission.
        """
        if self.takes is _OF_RUN:
            _, _, order, *_ = self.run.__annotations__.values()
            msgspec.structs.force_setattr(self, "takes", order)
        if self.result is _OF_RUN:
            returned = self.run.__annotations__["return"]
            result = get_args(returned)[0] if self.listing is not None else returned
            msgspec.structs.force_setattr(self, "result", NoneType if result is None else result)
        if self.use_case is _OF_RUN:
            msgspec.structs.force_setattr(self, "use_case", self.run)
        if self.permission is _OF_RUN:
            msgspec.structs.force_setattr(self, "permission", getattr(self.use_case, NEEDED))
        if self.needs_database is _OF_RUN:
            msgspec.structs.force_setattr(self, "needs_database", not getattr(self.use_case, WITHOUT_DATABASE, False))

    @property
    def method(self) -> str:
        """Method of the request."""
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        """Path below ``/api/v1``."""
        return self.route.partition(" ")[2]

    @property
    def is_write(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET" and self.permission is not None and not self.is_question

    @property
    def is_for_accounts(self) -> bool:
        """Whether agents and customers may do it about accounts of theirs, where they have the permission."""
        return bool(getattr(self.use_case, BY_ACCOUNT, True))

    def is_open_to(self, permissions: Collection[Permission]) -> bool:
        """Return whether permissions are enough, for some objects at least; each is, where none is needed."""
        instead: frozenset[Permission] = getattr(self.use_case, INSTEAD, frozenset())
        return self.permission is None or self.permission in permissions or not instead.isdisjoint(permissions)

    is_question: bool = False
    """A POST that changes nothing."""

    def fields(self) -> list[Field]:
        """Return the fields of the order that a request sets."""
        in_path = set(re.findall(r"{(\w+)}", self.path))
        inside = FieldPlace.BODY if self.method in {"POST", "PUT", "PATCH"} else FieldPlace.QUERY
        if self.long is not None and self.long.uploads and self.long.is_always:  # then the body is a file
            inside = FieldPlace.QUERY
        listing = self.listing
        apart = {*self.fixed, *(("limit", "after") if listing is not None and listing.in_parts else ())}
        found = []
        for each in _fields_of(self.takes):
            if each.name in apart:
                continue
            place = inside
            if each.name in in_path:
                place = FieldPlace.PATH
            elif each.name in SWITCHES:
                place = FieldPlace.QUERY
            elif each.name in {VERSION, EXISTS}:
                place = FieldPlace.HEADER
            name = SWITCHES.get(each.name, each.encode_name)
            found.append(Field(name, each.name, place, each.type, each.required))
        return found

    @property
    def has_body(self) -> bool:
        """Whether a request has JSON."""
        return any(each.place is FieldPlace.BODY for each in self.fields())

    @property
    def refuses_body(self) -> bool:
        """Whether a body that says something is refused: what it says would not be done."""
        return self.is_write and not self.has_body and self.long is None

    def columns(self) -> dict[str, bool]:
        """Return the fields of an item of the list, with whether each is an amount as text; empty = not declared."""
        if self.listing is not None and self.listing.columns:
            return dict(self.listing.columns)
        found: dict[str, bool] = {}
        for each in get_args(self.result) or (self.result,):
            if issubclass(each, msgspec.Struct):
                tag = each.__struct_config__.tag_field
                found |= {} if tag is None else {tag: False}
                found |= {field.encode_name: _is_amount(field.type) for field in _fields_of(each)}
        return found

    def order(self, given: "Given") -> Any:
        """Return the order of a request.

        Raises:
            RequestError: the request does not say one.
            OrderError: it makes no sense.
        """
        fields = self.fields()
        values: dict[str, Any] = {**self.fixed, **given.fixed}
        sources: dict[FieldPlace, Mapping[str, Any]] = {
            FieldPlace.PATH: given.path,
            FieldPlace.QUERY: given.query,
            FieldPlace.HEADER: given.header,
            FieldPlace.BODY: given.body if isinstance(given.body, dict) else {},
        }
        if self.has_body and not isinstance(given.body, dict):
            raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_field", "the body is no JSON object")
        for place, where in ((FieldPlace.BODY, "the body"), (FieldPlace.QUERY, "the query")):
            _refuse_unknown(sources[place], {each.name for each in fields if each.place is place}, where)
        for each in fields:
            source = sources[each.place]
            if each.name in source:
                read = _from_text if each.place in {FieldPlace.PATH, FieldPlace.QUERY} else _from_json
                values[each.field] = read(each, source[each.name])
            if each.is_required and each.field not in values:
                raise RequestError(
                    HTTPStatus.UNPROCESSABLE_ENTITY, "bad_field", f"`{each.name}` is missing", field=each.name
                )
        try:
            return msgspec.convert(values, self.takes)
        except msgspec.ValidationError as error:
            raise _unfit(error) from error

    def check_query(self, query: Mapping[str, str]) -> None:
        """Raise RequestError where a parameter is unknown or cannot have its value; the body is read later."""
        known = {each.name: each for each in self.fields() if each.place is FieldPlace.QUERY}
        _refuse_unknown(query, {*known}, "the query")
        for name, text in query.items():
            _from_text(known[name], text)


def _is_amount(kind: Any) -> bool:
    return AmountText in (kind, *get_args(kind))


def _refuse_unknown(given: Mapping[str, Any], known: set[str], where: str) -> None:
    for name in given:
        if name not in known:
            raise RequestError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "unknown_field",
                f"`{name}` is no field of {where}",
                field=name,
                remedy=f"there are {', '.join(sorted(known))}" if known else "there are none",
            )


def _from_json(field: Field, value: Any) -> Any:
    if field.name in TIMES and value is not None:
        return _time(field, value)
    return _bounded(field, _with_amounts(field, field.type, value))


def _with_amounts(field: Field, kind: Any, value: Any) -> Any:
    """Return a value with the amounts in it as such, whatever structs and tuples they are in."""
    kinds = (kind, *get_args(kind))
    if isinstance(value, list):
        return [_with_amounts(field, next(iter(get_args(kind)), None), each) for each in value]
    if isinstance(value, dict):
        struct = next((each for each in kinds if isinstance(each, type) and issubclass(each, msgspec.Struct)), None)
        if struct is None:
            return value
        inner = {each.encode_name: each.type for each in msgspec.structs.fields(struct)}
        return {name: _with_amounts(field._replace(name=name), inner.get(name), each) for name, each in value.items()}
    return _amount(field, value) if Decimal in kinds and value is not None else value


def _amount(field: Field, value: Any) -> Decimal:
    if not isinstance(value, str):
        raise _bad(field, f"is {value}: expected an amount as text", 'write "10.50"')
    try:
        return parse_amount(value)
    except ValueError as error:
        said = f"is {value}: expected an amount of at most 12 digits, then at most 8 decimals"
        raise _bad(field, said, 'write "10.50"') from error


def _from_text(field: Field, text: str) -> Any:
    if field.name in TIMES:
        return _time(field, text)
    if not text:
        raise _bad(field, "has no value")
    try:
        given = _listed(text) if get_origin(field.type) is tuple else text
        return _bounded(field, msgspec.convert(given, _said_kind(field.type), strict=False))
    except msgspec.ValidationError as error:
        raise _bad(field, f"is {text!r}: {_said(error)}") from error


def _listed(text: str) -> list[str]:
    r"""Return what stands between commas; ``\,`` and ``\\`` are a comma and a backslash of a value."""
    return _COMMA.sub(lambda found: found[1] or "\0", text).split("\0")


@cache
def _said_kind(kind: Any) -> Any:
    """Return a type without None: text that says null is text."""
    kinds = get_args(kind)
    return reduce(or_, (each for each in kinds if each is not NoneType)) if NoneType in kinds else kind


def _time(field: Field, value: Any) -> int:
    try:
        moment = msgspec.convert(value, Annotated[datetime, msgspec.Meta(tz=True)])
        since: int = (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    except (msgspec.ValidationError, OverflowError) as error:
        raise _bad(field, f"is {value!r}: no time of RFC 3339", "write 2026-03-01T12:00:00Z") from error
    return since


def _bounded(field: Field, value: Any) -> Any:
    if isinstance(value, int) and abs(value) > _WHOLE_MAX:
        raise _bad(field, f"is {value}: too large")
    return value


def _bad(field: Field, said: str, remedy: str | None = None) -> RequestError:
    return RequestError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "bad_field", f"`{field.name}` {said}", field=field.name, remedy=remedy
    )


def _said(error: msgspec.ValidationError) -> str:
    text = _PLACE.sub("", str(error))
    return text[:1].lower() + text[1:]


def _unfit(error: msgspec.ValidationError) -> RequestError:
    """Return the error of a value that does not fit, with its field."""
    place, named = _PLACE.search(str(error)), _FIELD.search(str(error))
    parts = (place and place[1].replace("[...]", ""), named and named[1])  # ... is the value of some key
    field = ".".join(filter(None, parts)) or None
    return RequestError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "bad_field", f"`{field or 'the body'}`: {_said(error)}", field=field
    )
