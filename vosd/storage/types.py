"""Column types for money, times, call ids, documents and text from the network.

Only here is it known that MySQL has decimals and dates and SQLite integers and text (ADR 5). It does not know tables
and statements.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BINARY, BigInteger, Dialect, LargeBinary, Numeric, String, Text
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMTEXT
from sqlalchemy.types import TypeDecorator, TypeEngine

from vosd.base.errors import VosError
from vosd.base.money import PLACES
from vosd.cdr.columns import iso_utc
from vosd.storage.documents import packed, unpacked

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS: Final = 86_400_000
_MOMENT_LENGTH: Final = len("2026-12-31T23:59:59.999Z")
_INT64_MAX: Final = 2**63 - 1
_DECIMAL_MAX: Final = Decimal("999999999999.99999999")
SUM_BITS: Final = 32
"""Bits of the lower part of a sum that fits in no int64."""
_NOT_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
"""Characters that some database refuses: NUL, and the lone surrogates that stand for undecodable bytes."""


class Unstorable(VosError):  # noqa: N818 - says what is wrong with the value
    """A value that no column can hold as it is; the message names it."""


def largest_money(dialect: str) -> Decimal:
    """Return the largest amount that a column of a database holds: that of SQLite ends with an int64."""
    return Decimal(_INT64_MAX).scaleb(-PLACES) if dialect == "sqlite" else _DECIMAL_MAX


def money_units(amount: Decimal) -> int:
    """Return an amount in units of 1e-8, as SQLite stores it.

    Raises:
        Unstorable: for more than eight decimals, or more than 92,233,720,368, where an int64 ends.
    """
    if not amount:
        return 0
    scaled = amount.scaleb(PLACES)
    units = int(scaled) if scaled.is_finite() else None
    if units is None or units != scaled or not -_INT64_MAX <= units <= _INT64_MAX:
        raise Unstorable(f"{amount} does not fit in 64 bits at {PLACES} decimals")
    return units


def sum_units(amount: Decimal) -> int | str:
    """Return a sum of amounts in units of 1e-8, as SQLite stores it: text of two parts where it fits in no int64.

    Raises:
        Unstorable: for more than eight decimals.
    """
    units = int(exact_money(amount).scaleb(PLACES))
    if -_INT64_MAX <= units <= _INT64_MAX:
        return units
    high, low = divmod(units, 2**SUM_BITS)
    return f"{high} {low}"


def exact_money(amount: Decimal) -> Decimal:
    """Return the amount unchanged if DECIMAL(20,8) holds it without rounding; the server checks its size.

    Raises:
        Unstorable: for more than eight decimals.
    """
    if amount and (not amount.is_finite() or amount.scaleb(PLACES) % 1):
        raise Unstorable(f"{amount} has more than {PLACES} decimals")
    return amount


def money_text(amount: Decimal) -> str:
    """Return an amount as DECIMAL(20,8) takes it without rounding; the server checks its size.

    Raises:
        Unstorable: for more than eight decimals.
    """
    text = str(amount)
    point = text.find(".")
    if point > 0 and len(text) - point <= PLACES + 1 and "E" not in text:
        return text
    return format(exact_money(amount), "f")  # it may be no number, or have zeros at its end


def call_key(call_id: str) -> bytes:
    """Return the sixteen bytes of a call id; raises Unstorable when it is not a UUID."""
    try:
        key = bytes.fromhex(call_id.replace("-", ""))
    except ValueError:
        key = b""
    if len(key) != 16:
        raise Unstorable(f"call id {call_id!r} is not a UUID")
    return key


def is_call_id(text: str) -> bool:
    """Return whether ``text`` has the form of a call id."""
    try:
        call_key(text)
    except Unstorable:
        return False
    return True


def moment_text(wall_ms: int) -> str:
    """Return a time as SQLite stores it: ISO 8601 UTC with milliseconds and ``Z``.

    Raises:
        Unstorable: for a time outside the calendar.
    """
    try:
        return iso_utc(wall_ms)
    except OverflowError as error:
        raise Unstorable(f"{wall_ms} ms since 1970 is outside the calendar") from error


def moment_literal(wall_ms: int) -> str:
    """Return a time as MySQL takes it, in quotes; raises Unstorable for a time outside the calendar."""
    seconds, ms = divmod(wall_ms, 1_000)
    return _quoted_second(seconds) + _QUOTED_MILLISECONDS[ms]


_QUOTED_MILLISECONDS: Final = tuple(f".{ms:03d}'" for ms in range(1_000))


@lru_cache(maxsize=4096)
def _quoted_second(seconds: int) -> str:
    return "'" + moment_text(1_000 * seconds)[:19]


@lru_cache(maxsize=4096)
def _second(text: str) -> int:
    """Return the second of a time as ``moment_text`` writes it: readers of many calls decode few different ones."""
    since = datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH
    return since.days * 86_400 + since.seconds


def moment_in(text: str) -> int:
    """Return the milliseconds of a time in SQLite."""
    if len(text) != _MOMENT_LENGTH:
        return _moment_of(datetime.fromisoformat(text))
    return _second(text[:19]) * 1_000 + int(text[20:23])


def _moment_of(time: datetime) -> int:
    since = time.replace(tzinfo=UTC) - _EPOCH
    return since.days * _DAY_MS + since.seconds * 1_000 + since.microseconds // 1_000


def descriptive(text: str, length: int) -> str:
    r"""Return text that any column can hold: cut to ``length``, never refused.

    NUL and lone surrogates are written as a backslash escape (``\x00``, ``\udcff``), so that received bytes stay
    readable.
    """
    if not text.isascii() or "\0" in text:
        text = _NOT_TEXT.sub(lambda match: ascii(match[0])[1:-1], text)
    return text if len(text) <= length else text[:length]


def identifying(text: str, length: int) -> str:
    """Return the name of an account or a posting unchanged, or refuse it.

    Raises:
        Unstorable: it is too long, not storable, or ends in a space (which MySQL ignores in comparisons), so it could
            name another account.
    """
    if descriptive(text, length) != text or text.endswith(" "):
        raise Unstorable(f"{text[:80]!r} cannot name anything here: at most {length} characters, no space at the end")
    return text


@lru_cache(maxsize=4096)
def _amount_of(units: int | str | None) -> Decimal | None:
    """Return an amount of SQLite: many balances are zero, and many calls cost the same."""
    if units is None:
        return None
    if isinstance(units, str):  # a sum in two parts
        high, low = map(int, units.split())
        units = (high << SUM_BITS) + low
    return Decimal(units).scaleb(-PLACES)


class Money(TypeDecorator[Decimal]):
    """An amount: DECIMAL(20,8) in MySQL, int64 of 1e-8 in SQLite, ``Decimal`` in Python."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type for the database."""
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else Numeric(20, PLACES))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Encode an amount; raises ``Unstorable`` if it would be rounded."""
        if value is None:
            return None
        return money_units(value) if dialect.name == "sqlite" else exact_money(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Decode an amount exactly."""
        if value is None:
            return None
        return _amount_of(value) if dialect.name == "sqlite" else Decimal(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Decimal | None] | None:
        """Return what decodes a column; that of SQLite itself, for a start reads 100,000 balances."""
        return _amount_of if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


class MoneySum(Money):
    """A sum of amounts, which in SQLite may be larger than an int64 (ADR 204); both databases end at twelve digits."""

    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Encode a sum; raises ``Unstorable`` if it would be rounded, or has more than twelve digits."""
        if value is None or dialect.name != "sqlite":
            return super().process_bind_param(value, dialect)
        if abs(value) > _DECIMAL_MAX:
            raise Unstorable(f"{value} has more than twelve digits before the point")
        return sum_units(value)


class Moment(TypeDecorator[int]):
    """A time: DATETIME(3) in MySQL, ISO text in SQLite, both UTC; milliseconds since the epoch in Python."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type for the database."""
        return dialect.type_descriptor(String(24) if dialect.name == "sqlite" else DATETIME(fsp=3))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        """Encode milliseconds."""
        if value is None:
            return None
        text = moment_text(value)
        return text if dialect.name == "sqlite" else text[:-1]

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Decode text or the driver's ``datetime`` to milliseconds."""
        if value is None:
            return None
        return moment_in(value) if isinstance(value, str) else _moment_of(value)


class CallKey(TypeDecorator[str]):
    """A call id: sixteen bytes in the database, canonical UUID text in Python."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type for the database."""
        return dialect.type_descriptor(LargeBinary() if dialect.name == "sqlite" else BINARY(16))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Encode a call id."""
        return None if value is None else call_key(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Decode a call id."""
        return None if value is None else str(UUID(bytes=bytes(value)))


class Document(TypeDecorator[str]):
    """A JSON document: packed in the database, its text in Python."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type for the database."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else MEDIUMTEXT())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Pack a document."""
        return None if value is None else packed(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Unpack a document."""
        return None if value is None else unpacked(value)
