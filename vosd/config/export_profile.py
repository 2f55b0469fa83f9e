"""The profile of an export of calls: columns, format, times, money (``vosd cdr export --profile``)."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from vosd.admin.export_profile import (
    EXPORTED,
    PLAIN,
    Compression,
    ExportColumn,
    ExportProfile,
    Format,
    LineEnd,
    Quoting,
    TimeForm,
)
from vosd.base.money import PLACES
from vosd.catalogue.problems import ProblemList, suggestion
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    ExpectedError,
    FromText,
    KeyProblemError,
    Keys,
    choice,
    csv_delimiter,
    line_of_text as line,
    switch,
    text_where,
    whole,
)
from vosd.config.reader.includes import read_files
from vosd.config.reader.reading import read_section
from vosd.config.reader.times import time_zone

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z", re.ASCII)
_ITEM: Final = "the name of a column, or {column: NAME, title: TEXT}, or {title: TEXT, value: TEXT}"
_SAMPLE: Final = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)
_SECONDS: Final = re.compile(r"%[-_0^#]*\d*[EO]?s")
"""``%s`` of the C library, also as ``%-s`` or ``%12s``: it takes the time for one of the machine's zone."""
_ACCOUNT: Final = line(1, 64)


def _file_name() -> FromText:
    return text_where(_NAME.match, "1 to 64 letters, digits and _ . - (no dot or hyphen at the beginning)")


def _column() -> FromText:
    def read(item: str | dict[str, object]) -> ExportColumn:
        if isinstance(item, str):
            return ExportColumn(item, _known(item))
        match {key: str(value) for key, value in item.items()}:
            case {"column": name, **rest} if set(rest) <= {"title"}:
                return ExportColumn(rest.get("title", name), _known(name))
            case {"title": title, "value": value, **rest} if not rest:
                return ExportColumn(title, None, value)
        raise ValueError

    return FromText(_ITEM, read, str, (str, dict))


def _known(name: str) -> str:
    if name not in EXPORTED:
        near = suggestion(name, EXPORTED)
        hint = near if near.endswith("?") else "docs/cdr.md lists them"
        raise ExpectedError(f"a column of calls, not {name!r}; {hint}")
    return name


def _time_form() -> FromText:
    words = {form.value: form for form in TimeForm}

    def read(text: str) -> TimeForm | str:
        if text in words:
            return words[text]
        if _SAMPLE.strftime(text) == text or _SECONDS.search(text.replace("%%", "")):
            raise ValueError
        return text

    return FromText(f"one of {', '.join(words)}, or a format such as %d.%m.%Y %H:%M:%S", read)


class TimeKeys(Keys):
    """Format of times."""

    format: Annotated[TimeForm | str, _time_form()] = TimeForm.ISO
    zone: Annotated[ZoneInfo | None, time_zone()] = None
    """Without one: UTC."""


class MoneyKeys(Keys):
    """Format of amounts."""

    decimals: Annotated[int | None, whole(0, PLACES)] = None
    """Without it: as exact as it is, with at least two decimals."""
    decimal_comma: Annotated[bool, switch()] = False


class ProfileKeys(Keys):
    """The profile of an export."""

    name: Annotated[str, _file_name()] = PLAIN.name
    format: Annotated[Format, choice(Format)] = PLAIN.format
    columns: tuple[Annotated[ExportColumn, _column()], ...] = PLAIN.columns
    delimiter: Annotated[str, csv_delimiter()] = PLAIN.delimiter
    quoting: Annotated[Quoting, choice(Quoting)] = PLAIN.quoting
    header: Annotated[bool, switch()] = PLAIN.header
    line_end: Annotated[LineEnd, choice(LineEnd)] = PLAIN.line_end
    times: TimeKeys = TimeKeys()
    money: MoneyKeys = MoneyKeys()
    answered_only: Annotated[bool, switch()] = False
    customers: Annotated[tuple[Annotated[str, _ACCOUNT], ...], ONE_OR_MANY] = ()
    vendors: Annotated[tuple[Annotated[str, _ACCOUNT], ...], ONE_OR_MANY] = ()
    max_rows: Annotated[int, whole(1, 10_000_000)] = PLAIN.max_rows
    compression: Annotated[Compression, choice(Compression)] = PLAIN.compression

    def _judge(self) -> None:
        titles = [column.title for column in self.columns]
        if not titles:
            raise KeyProblemError("columns", "at least one column")
        twice = next((title for title in titles if titles.count(title) > 1), None)
        if twice is not None:
            raise KeyProblemError("columns", f"each title once; {twice!r} stands twice")
        if self.money.decimal_comma and self.format is Format.CSV and self.delimiter == ",":
            raise KeyProblemError("money", "another delimiter than the comma of its amounts, such as ;")


def read_export_profile(path: Path, environ: Mapping[str, str]) -> ExportProfile:
    """Read a profile.

    Raises:
        ConfigError: with every mistake that was found.
    """
    problems = ProblemList()
    document = read_files(path, environ, problems)
    keys = problems.checked(read_section(ProfileKeys, document, "", problems))
    same: dict[str, Any] = {
        name: getattr(keys, name)
        for name in (
            *("name", "format", "columns", "delimiter", "quoting", "header", "line_end"),
            *("answered_only", "max_rows", "compression"),
        )
    }
    return ExportProfile(
        **same,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        time_form=keys.times.format,
        zone=keys.times.zone,
        decimals=keys.money.decimals,
        decimal_comma=keys.money.decimal_comma,
        customers=frozenset(keys.customers),
        vendors=frozenset(keys.vendors),
    )
