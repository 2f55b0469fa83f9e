"""Calls as lines of CSV or JSON by a profile. It does not know where lines go."""

import io
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import msgspec

from vosd.admin.export_profile import EXPORTED, ExportColumn, ExportProfile, Format, LineEnd, Quoting, TimeForm
from vosd.base.csv_text import CsvWriter
from vosd.base.money import format_amount, unit_of
from vosd.cdr.columns import ATTEMPTS, attempt_object, charge_object, iso_utc, nested
from vosd.cdr.kinds import Column, ColumnKind

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ENDS: Final = {LineEnd.LF: "\n", LineEnd.CRLF: "\r\n"}
_json: Final = msgspec.json.Encoder(order=None)

Notation = Callable[[Any], Any]


class ExportLines:
    """Writes calls by a profile; a call is a tuple of the values of ``columns``."""

    def __init__(self, profile: ExportProfile, columns: Sequence[str], *, for_people: bool = False) -> None:
        """``for_people`` as in ``CsvWriter``."""
        self._profile = profile
        self._for_people = for_people
        self._is_csv = profile.format is Format.CSV
        self._end = _ENDS[profile.line_end]
        self._titles = [column.title for column in profile.columns]
        self._cells: list[tuple[int, Notation | None, str]] = [
            (-1, None, column.constant)
            if column.source is None
            else (columns.index(column.source), _notation(profile, EXPORTED[column.source]), "")
            for column in profile.columns
        ]

    def head(self) -> bytes:
        """Return the header, where the profile wants one."""
        return self._csv([self._titles]) if self._is_csv and self._profile.header else b""

    def lines(self, calls: Iterable[Sequence[Any]]) -> bytes:
        """Return a line for each call."""
        if self._is_csv:
            return self._csv(map(self._row, calls))
        end = self._end.encode()
        return b"".join(_json.encode(dict(zip(self._titles, self._row(call), strict=True))) + end for call in calls)

    def _row(self, call: Sequence[Any]) -> list[Any]:
        cells = []
        for place, notation, constant in self._cells:
            if place < 0:
                cells.append(constant)
                continue
            value = call[place]
            cells.append(value if notation is None or value is None else notation(value))
        return cells

    def _csv(self, rows: Iterable[Sequence[Any]]) -> bytes:
        text = io.StringIO(newline="")
        profile = self._profile
        quotes_all = profile.quoting is Quoting.ALL
        CsvWriter(
            text, delimiter=profile.delimiter, quotes_all=quotes_all, end=self._end, for_people=self._for_people
        ).rows(rows)
        return text.getvalue().encode()


def columns_wanted(columns: Iterable[ExportColumn]) -> list[str]:
    """Return the names of the columns to read, each once."""
    return list(dict.fromkeys(column.source for column in columns if column.source is not None))


def _notation(profile: ExportProfile, column: Column) -> Notation | None:
    is_csv = profile.format is Format.CSV
    match column.kind:
        case ColumnKind.TIME:
            return _time(profile)
        case ColumnKind.AMOUNT:
            return _amount(profile)
        case ColumnKind.DOCUMENT:
            return None if is_csv else nested
        case ColumnKind.ROWS:
            row = attempt_object if column.name == ATTEMPTS.name else charge_object
            if is_csv:
                return lambda rows: msgspec.json.encode([row(each) for each in rows]).decode()
            return lambda rows: [row(each) for each in rows]
        case _:
            return None


def _time(profile: ExportProfile) -> Notation:
    form, zone = profile.time_form, profile.zone
    match form:
        case TimeForm.EPOCH_MS:
            return lambda wall_ms: wall_ms
        case TimeForm.EPOCH:
            return lambda wall_ms: wall_ms // 1_000
        case TimeForm.ISO if zone is None:
            return iso_utc
        case TimeForm.ISO:
            return lambda wall_ms: _moment(wall_ms, profile).isoformat(timespec="milliseconds")
    return lambda wall_ms: _moment(wall_ms, profile).strftime(form)


def _moment(wall_ms: int, profile: ExportProfile) -> datetime:
    return (_EPOCH + timedelta(milliseconds=wall_ms)).astimezone(profile.zone or UTC)


def _amount(profile: ExportProfile) -> Notation:
    if profile.decimals is None:
        exact: Callable[[Decimal], str] = format_amount
    else:
        unit = unit_of(profile.decimals)

        def exact(amount: Decimal) -> str:
            return format(amount.quantize(unit, rounding=ROUND_HALF_UP), "f")

    if not profile.decimal_comma:
        return exact
    return lambda amount: exact(amount).replace(".", ",")
