"""Base of the models of all sections: convert the text of each value, and describe in messages what was expected.

One ``FromText`` serves three readers: the model that converts, the problem that says what was expected, and the
generated reference. Amounts of money, telephone numbers, addresses, files and the forms of VOS3000's parameters have
modules of their own.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from vosd.catalogue.problems import suggestion
from vosd.config.reader.renamed import Renamed

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9-]+"
_ADDRESS: Final = re.compile(rf"(?=[^@]{{1,64}}@.{{1,190}}\Z){_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*\Z")

WHOLE: Final = re.compile(r"\d{1,12}\Z", re.ASCII)
DECIMAL: Final = re.compile(r"\d{1,12}(\.(\d+))?\Z", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_DAY_OR_TIME: Final = "a day such as 2026-12-31, or a time with its zone such as 2026-12-31T18:00:00Z"
LAST_MS: Final = 253_402_300_799_999
"""The last instant that has a date, as Unix milliseconds: the end of 9999-12-31, which sheets write for "for ever"."""
_NAME_CHARACTERS_MAX: Final = 64
_SWITCH: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


class ExpectedError(ValueError):
    """A value is wrong, and the message says more exactly what was expected than the field's own description."""


class NotBuiltYetError(ExpectedError):
    """The value belongs to a capability that does not exist yet; the message names it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"something else: {what} is not built yet")


class KeyProblemError(ExpectedError):
    """Keys of one mapping contradict each other; the problem is reported at ``key``."""

    def __init__(self, key: str, expected: str) -> None:
        super().__init__(expected)
        self.key = key


class ValueForm(Enum):
    """Form of a single value, for programs that draw an input field for it."""

    TEXT = "text"
    SWITCH = "switch"
    CHOICE = "choice"
    NUMBER = "number"
    SECONDS = "seconds"
    AMOUNT = "amount"
    MOMENT = "moment"


@dataclass(frozen=True, slots=True)
class ValueShape:
    """Form of a value with its bounds, as they are written; ``expected`` says the same to people."""

    form: ValueForm = ValueForm.TEXT
    lowest: str = ""
    highest: str = ""
    """Bounds, both included; empty = none that the form does not have anyway."""
    unit: str = ""
    choices: tuple[str, ...] = ()
    names: str = ""
    """Section of the configuration whose objects it names, such as ``rate_groups``."""


_PLAIN: Final = ValueShape()


@dataclass(frozen=True, slots=True)
class FromText:
    """Reads one value; ``read`` raises ValueError, and its text is only shown if it is an ``ExpectedError``.

    The text of other errors quotes the value, which may be a secret.
    """

    expected: str
    read: Callable[[Any], object]
    write: Callable[[Any], str] = str
    """The inverse of ``read``, for defaults in the reference."""
    kind: type[str | dict[str, object] | list[object]] | tuple[type[str], type[dict[str, object]]] = str
    """Kind of value that is read: text, a mapping, a list, or text as well as a mapping."""
    shape: ValueShape = _PLAIN

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make this the field's only validation."""
        return core_schema.no_info_plain_validator_function(self._validate)

    def _validate(self, value: object) -> object:
        if not isinstance(value, self.kind):
            if self.kind is str:
                raise ExpectedError(f"{self.expected}, not a list and no keys")
            raise ValueError(self.expected)
        try:
            return self.read(value)
        except ExpectedError:
            raise
        except (ValueError, KeyError, OverflowError):  # the last: a time that is none in UTC, as in the year 1
            raise ValueError(self.expected) from None


ONE_OR_MANY: Final = BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
"""Mark of a list that may be written as a single item without brackets."""


def whole(lowest: int, highest: int, unit: str = "") -> FromText:
    """Read a whole number within bounds."""

    def read(text: str) -> int:
        if not WHOLE.match(text) or not lowest <= int(text) <= highest:
            raise ValueError
        return int(text)

    shape = ValueShape(ValueForm.NUMBER, str(lowest), str(highest), unit)
    return FromText(f"a whole number{unit and ' of ' + unit} from {lowest} to {highest}", read, shape=shape)


def limit() -> FromText:
    """Read a limit of calls; no limit is written by leaving the key out."""

    def read(text: str) -> int:
        if not WHOLE.match(text) or not 1 <= int(text) <= 1_000_000:
            raise ValueError
        return int(text)

    shape = ValueShape(ValueForm.NUMBER, "1", "1000000")
    return FromText("a whole number from 1 to 1000000; leave the key out for no limit", read, shape=shape)


def text_where(fits: Callable[[str], object], expected: str) -> FromText:
    """Read text that fits as it is."""

    def read(text: str) -> str:
        if not fits(text):
            raise ValueError
        return text

    return FromText(expected, read)


def milliseconds_of(text: str, lowest_ms: int, highest_ms: int) -> int:
    """Convert seconds with up to three decimals to whole milliseconds.

    Raises:
        ValueError: it is no such number, or out of bounds.
    """
    match = DECIMAL.match(text)
    if not match or len(match[2] or "") > 3 or not lowest_ms <= Decimal(text) * 1000 <= highest_ms:
        raise ValueError
    return int(Decimal(text) * 1000)


def milliseconds(lowest_ms: int, highest_ms: int) -> FromText:
    """Read seconds with up to three decimals as whole milliseconds."""

    def read(text: str) -> int:
        return milliseconds_of(text, lowest_ms, highest_ms)

    def write(ms: int) -> str:
        return plain(Decimal(ms) / 1000)

    lowest, highest = write(lowest_ms), write(highest_ms)
    shape = ValueShape(ValueForm.SECONDS, lowest, highest, "s")
    return FromText(f"seconds from {lowest} to {highest}, with at most 3 decimals", read, write, shape=shape)


def switch() -> FromText:
    """Read yes or no."""

    def read(text: str) -> bool:
        value = _SWITCH.get(text.lower())
        if value is None:
            raise ValueError
        return value

    shape = ValueShape(ValueForm.SWITCH, choices=("yes", "no"))
    return FromText("yes or no", read, lambda value: "yes" if value else "no", shape=shape)


def switch_or(kind: type[Enum]) -> FromText:
    """Read yes or no, as ``switch`` does, or another value of an enum that has both."""
    read = choice(kind).read

    def as_word(text: str) -> object:
        value = _SWITCH.get(text.lower())
        return read(text if value is None else "yes" if value else "no")

    return dataclasses.replace(choice(kind), read=as_word)


def choice(kind: type[Enum], later: frozenset[str] = frozenset()) -> FromText:
    """Read the value of an enum, without regard to case; values in ``later`` are not built yet."""
    members = {str(member.value): member for member in kind}

    def read(text: str) -> Enum:
        word = text.lower()
        if word in later:
            raise NotBuiltYetError(repr(word))
        if word not in members:
            near = suggestion(word, members)
            raise ExpectedError(f"{expected}; {near}" if near.endswith("?") else expected)
        return members[word]

    expected = f"one of {', '.join(members)}" if len(members) > 1 else next(iter(members))
    shape = ValueShape(ValueForm.CHOICE, choices=tuple(each for each in members if each not in later))
    return FromText(expected, read, lambda member: str(member.value), shape=shape)


def object_name(of: str = "") -> FromText:
    """Read the name of an object: short, printable, without blanks at its ends.

    ``of`` is the section of the configuration that has the object, where the key names another one.
    """

    def read(text: str) -> str:
        if not 1 <= len(text) <= _NAME_CHARACTERS_MAX or not text.isprintable() or text != text.strip():
            raise ValueError
        return text

    return FromText(f"a name of 1 to {_NAME_CHARACTERS_MAX} printable characters", read, shape=ValueShape(names=of))


def line_of_text(shortest: int, longest: int) -> FromText:
    """Read free text of one line."""

    def read(text: str) -> str:
        # Spreadsheets put no-break spaces into names of destinations.
        if not shortest <= len(text) <= longest or not text.replace("\u00a0", " ").isprintable():
            raise ValueError
        return text

    return FromText(f"{shortest} to {longest} printable characters", read)


def csv_delimiter() -> FromText:
    """Read a delimiter of CSV: one character, or the word ``tab``."""

    def read(text: str) -> str:
        found = "\t" if text.lower() == "tab" else text
        if len(found) != 1 or found.isalnum() or found in '"\r\n':
            raise ValueError
        return found

    return FromText("one character, or tab", read)


def mail_address() -> FromText:
    """Read an e-mail address without a name."""
    return text_where(_ADDRESS.match, "an address such as noc@example.com")


def moment() -> FromText:
    """Read a time with its zone as milliseconds since the Unix epoch."""
    expected = "a time with its zone, such as 2026-12-31T23:59:59Z"
    return FromText(expected, _with_zone, shape=ValueShape(ValueForm.MOMENT))


def first_instant() -> FromText:
    """Read the begin of a validity: a day of the machine's zone, or a time with its zone, as Unix milliseconds."""
    return FromText(_DAY_OR_TIME, lambda text: _instant(text, days=0))


def end_of_validity() -> FromText:
    """Read the end of a validity, as Unix milliseconds: a day is valid to its last instant."""
    return FromText(_DAY_OR_TIME, lambda text: _instant(text, days=1))


def end_after_begin(valid_from: int | None, valid_to: int | None) -> None:
    """Refuse a validity that is over when it begins.

    Raises:
        KeyProblemError: it is; at ``valid_to``.
    """
    if valid_from is not None and valid_to is not None and valid_to <= valid_from:
        raise KeyProblemError("valid_to", "an end after valid_from")


def _instant(text: str, days: int) -> int:
    """Return a time; of a day alone, the midnight that begins it or, with ``days`` 1, the one that ends it."""
    if not _DAY.match(text):
        return _with_zone(text)
    midnight = datetime.fromisoformat(text)
    if days and midnight.date() == date.max:
        return LAST_MS
    midnight += timedelta(days=days)
    return round(midnight.timestamp() * 1000)


def _with_zone(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return min(round(moment.timestamp() * 1000), LAST_MS)


def plain(number: Decimal) -> str:
    """Write a number without exponent and without trailing zeros."""
    return format(number.normalize(), "f")


class Keys(BaseModel):
    """The keys of one mapping: unknown ones are errors, values are converted from text."""

    # A model is built when a file has its section: to build them all takes a fifth of a start.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    not_built: ClassVar[frozenset[str]] = frozenset()
    """Keys of capabilities that do not exist yet: writing one is an error that says so."""
    aliases: ClassVar[Mapping[str, str]] = {}
    """Other spellings, and the key that each stands for."""
    names_elsewhere: ClassVar[Renamed] = {}
    """Names of VOS3000 for keys of ours: none is a key, but the mistake names ours."""
    apart: ClassVar[Mapping[str, str]] = {}
    """Keys that are read before the mapping is validated, with their documentation."""

    def model_post_init(self, _: object, /) -> None:
        """Judge the keys together: pydantic calls this once each has its value."""
        self._judge()

    def _judge(self) -> None:
        """Raise KeyProblemError where keys contradict each other."""

    @property
    def is_given(self) -> bool:
        """Whether any key of it is written."""
        return bool(self.model_fields_set)

    @classmethod
    @cache
    def by_key(cls) -> Mapping[str, FieldInfo]:
        """Return the fields by the key that the file has for each."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}
