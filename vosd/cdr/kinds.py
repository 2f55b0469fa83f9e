"""Kinds of values that a CDR holds, and how a field of a record declares that it is a column.

A field is a column when its type is ``Annotated`` with a ``ColumnForm``. It does not know JSON, CSV and SQL: each
reader of ``vosd.cdr.columns`` translates the kinds into its own notation.
"""

from enum import Enum
from typing import Any, Final, NamedTuple, get_args, get_type_hints

import msgspec

ACCOUNT_LENGTH: Final = 64
NAME_LENGTH: Final = 64
NUMBER_LENGTH: Final = 64
ADDRESS_LENGTH: Final = 64
SIP_CALL_ID_LENGTH: Final = 255
CURRENCY_LENGTH: Final = 3
REASON_LENGTH: Final = 32


class ColumnKind(Enum):
    """The kind of a value: decides its notation in JSON and CSV, its column type, and whether it may be cut."""

    CALL_ID = "id of a call"
    ACCOUNT = "name of an account: stored unchanged or refused"
    WORD = "text with few distinct values: names, codes, reasons"
    TEXT = "any text, cut where it is too long"
    NUMBER = "whole number"
    AMOUNT = "money"
    TIME = "UTC milliseconds since the epoch"
    DOCUMENT = "JSON document as text"
    ROWS = "rows of a table of their own"


class Masking(Enum):
    """A way to mask the telephone numbers of an old call in a column (``vosd.cdr.masking``)."""

    NONE = "holds no telephone number"
    NUMBER = "is a number of the call: its first digits are kept"
    NAME = "name of a gateway: a phone's is its number"
    TEXT = "text in which every number of the call is masked"
    DOCUMENT = "JSON document in whose texts every number of the call is masked"


class ColumnForm(NamedTuple):
    """The column that a field declares.

    ``size`` is the maximum length of text in characters and the width of a number in bits.
    """

    kind: ColumnKind
    size: int
    meaning: str
    masking: Masking = Masking.NONE


class Column(NamedTuple):
    """A column as declared by a field of a record."""

    name: str
    kind: ColumnKind
    size: int
    is_optional: bool
    """Whether the value is None where the thing did not happen."""
    meaning: str
    masking: Masking = Masking.NONE


def call_identity(meaning: str) -> ColumnForm:
    """Declare the id of a call, a UUID."""
    return ColumnForm(ColumnKind.CALL_ID, 0, meaning)


def account_name(meaning: str) -> ColumnForm:
    """Declare the id of an account."""
    return ColumnForm(ColumnKind.ACCOUNT, ACCOUNT_LENGTH, meaning)


def word(length: int, meaning: str) -> ColumnForm:
    """Declare text of which there are few different ones; it holds nothing that a peer or a phone wrote."""
    return ColumnForm(ColumnKind.WORD, length, meaning)


def gateway_name(meaning: str) -> ColumnForm:
    """Declare the name of a gateway or phone."""
    return ColumnForm(ColumnKind.WORD, NAME_LENGTH, meaning, Masking.NAME)


def phone_number(meaning: str) -> ColumnForm:
    """Declare a telephone number of the call."""
    return ColumnForm(ColumnKind.TEXT, NUMBER_LENGTH, meaning, Masking.NUMBER)


def address(meaning: str) -> ColumnForm:
    """Declare host and port of a peer."""
    return ColumnForm(ColumnKind.TEXT, ADDRESS_LENGTH, meaning)


def text(length: int, meaning: str) -> ColumnForm:
    """Declare any other text: a number may stand in it, so it is searched for those of the call and masked."""
    return ColumnForm(ColumnKind.TEXT, length, meaning, Masking.TEXT)


def number(bits: int, meaning: str) -> ColumnForm:
    """Declare a whole number of 16, 32 or 64 bits."""
    return ColumnForm(ColumnKind.NUMBER, bits, meaning)


def amount(meaning: str) -> ColumnForm:
    """Declare money."""
    return ColumnForm(ColumnKind.AMOUNT, 0, meaning)


def time(meaning: str) -> ColumnForm:
    """Declare a point in time."""
    return ColumnForm(ColumnKind.TIME, 0, meaning)


def steps(length: int, meaning: str) -> ColumnForm:
    """Declare a JSON document of prices and amounts, which names no telephone number beyond the prefix of its rate."""
    return ColumnForm(ColumnKind.DOCUMENT, length, meaning)


def document(length: int, meaning: str) -> ColumnForm:
    """Declare any other text that is a JSON document."""
    return ColumnForm(ColumnKind.DOCUMENT, length, meaning, Masking.DOCUMENT)


def columns_of(record: type[msgspec.Struct]) -> tuple[Column, ...]:
    """Return the columns that the fields of a record declare, in the order of the fields."""
    hints = get_type_hints(record, include_extras=True)
    declared = []
    for name in record.__struct_fields__:
        form = next((each for each in getattr(hints[name], "__metadata__", ()) if isinstance(each, ColumnForm)), None)
        if form is not None:
            declared.append(Column(name, form.kind, form.size, _takes_none(hints[name]), form.meaning, form.masking))
    return tuple(declared)


def _takes_none(annotated: Any) -> bool:
    return type(None) in get_args(get_args(annotated)[0])
