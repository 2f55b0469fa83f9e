"""The file that says what the columns of a vendor's sheet mean."""

import codecs
from collections.abc import Mapping
from datetime import tzinfo
from enum import Enum
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from vosd.catalogue.problems import ProblemList, SourceLine, suggestion
from vosd.config.decks.instants import DATE_FORMAT_EXPECTED, is_date_format
from vosd.config.keys.rates import RateKeys
from vosd.config.reader.document import parse_document
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    ExpectedError,
    FromText,
    KeyProblemError,
    Keys,
    line_of_text,
    text_where,
    whole,
)
from vosd.config.reader.includes import FILE_BYTES_MAX, read_text
from vosd.config.reader.reading import read_section
from vosd.config.reader.times import time_zone

HEADER_LINE_MAX: Final = 1_000


class StatusMeaning(Enum):
    """Meaning of a word in a column of status for its row."""

    CLOSE = "close"
    REMOVE = "remove"
    KEEP = "keep"


def our_column(written: str) -> str:
    """Return the key of a column by any of its names; raises ExpectedError where there is none."""
    known = {**{name: name for name in RateKeys.by_key()}, **RateKeys.aliases}
    name = known.get(written.lower())
    if name is None:
        raise ExpectedError(f"a column of rates, not {written!r}; {suggestion(written, known)}")
    return name


def _columns() -> FromText:
    expected = "our columns with theirs, such as {prefix: Code, billing_rate: Rate}"

    def read(written: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for ours, theirs in written.items():
            names = tuple(theirs) if isinstance(theirs, list) else (theirs,)
            if not names or not all(isinstance(name, str) and name.strip() for name in names):
                raise ValueError
            name = our_column(ours)
            if len(names) > 1 and name != "prefix" and (name, len(names)) != ("interval", 2):
                raise ExpectedError(f"one column for {name}; only prefix may be made of several, and interval of two")
            found[name] = tuple(str(each).strip() for each in names)
        return found

    return FromText(expected, read, kind=dict)


def _constants() -> FromText:
    def read(written: Mapping[str, object]) -> dict[str, str]:
        if not all(isinstance(value, str) for value in written.values()):
            raise ValueError
        return {our_column(ours): str(value) for ours, value in written.items()}

    return FromText("our columns with a value, such as {rate_type: international}", read, kind=dict)


def _date_format() -> FromText:
    return text_where(is_date_format, DATE_FORMAT_EXPECTED)


def text_encoding() -> FromText:
    """Read the name of an encoding."""

    def read(text: str) -> str:
        try:
            return TextIOWrapper(BytesIO(), codecs.lookup(text).name).encoding  # refuses others than of text, as hex
        except LookupError:
            raise ValueError from None

    return FromText("an encoding of text, such as cp1251", read)


def decimal_mark() -> FromText:
    """Read a decimal mark."""
    return text_where(lambda text: text in {".", ","}, "'.' or ','")


Words = tuple[Annotated[str, line_of_text(1, 100)], ...]


class StatusKeys(Keys):
    """A column that says what becomes of a code, and what its words mean; an empty cell means nothing."""

    column: Annotated[str | None, line_of_text(1, 200)] = None
    """Name of the column in the sheet."""
    close: Annotated[Words, ONE_OR_MANY] = ()
    """The prefix is closed: calls to it are refused, whatever a shorter one says."""
    remove: Annotated[Words, ONE_OR_MANY] = ()
    """The prefix is taken out, from the date of the row on: its numbers have the rate of a shorter one."""
    keep: Annotated[Words, ONE_OR_MANY] = ()
    """The row is a rate as any other, such as ``New`` or ``Increase``."""

    @property
    def meanings(self) -> Mapping[str, StatusMeaning]:
        """Meaning of each word, in lower case."""
        words = zip(StatusMeaning, (self.close, self.remove, self.keep), strict=True)
        return {word.lower(): meaning for meaning, each in words for word in each}

    def _judge(self) -> None:
        words = [word.lower() for word in (*self.close, *self.remove, *self.keep)]
        if self.column is None and self.model_fields_set:
            raise KeyProblemError("column", "what the sheet calls the column")
        if len(set(words)) < len(words):
            raise KeyProblemError("keep", "each word once in close, remove and keep")


class SheetMapKeys(Keys):
    """Meaning of the columns of a sheet."""

    columns: Annotated[dict[str, tuple[str, ...]], _columns()]
    """Our column with theirs; ``prefix`` may be a list, whose cells are joined, and ``interval`` one of two columns,
    first and following seconds."""
    status: StatusKeys = StatusKeys()
    ignored: Annotated[Words, ONE_OR_MANY] = ()
    """Columns that are not read, whatever they have. Others that no key names are listed, and refused where they look
    like a status."""
    constants: Annotated[Mapping[str, str], _constants()] = Field(default_factory=dict)
    """Values of columns that the sheet does not have, or has empty cells in."""
    date_format: Annotated[str | None, _date_format()] = None
    """Format of dates, as in ``strptime``: ``%d.%m.%Y``. Default: ISO 8601, such as 2026-12-31."""
    timezone: Annotated[tzinfo | None, time_zone()] = None
    """The zone of dates that name none. Default: the machine's, as in rate files."""
    decimal: Annotated[str, decimal_mark()] = "."
    """The decimal mark of amounts."""
    header_line: Annotated[int, whole(1, HEADER_LINE_MAX)] = 1
    """The line with the names of the columns; what stands above is ignored."""
    encoding: Annotated[str | None, text_encoding()] = None
    """Encoding of a CSV file. Default: UTF-8 or UTF-16, else Windows-1252."""
    sheet: Annotated[str | None, line_of_text(1, 100)] = None
    """The sheet of an XLSX file. Default: the first that is visible."""

    def _judge(self) -> None:
        for name in ("prefix", "billing_rate"):
            if name not in self.columns:
                raise KeyProblemError("columns", f"a column for {name}")
        if "prefix" in self.constants or "billing_rate" in self.constants:
            raise KeyProblemError("constants", "no prefix and no price: each row has its own")


def read_map(path: Path) -> SheetMapKeys:
    """Read the file.

    Raises:
        ConfigError: with every mistake.
    """
    problems = ProblemList()
    text = read_text(path, SourceLine(str(path), 0), "", problems, FILE_BYTES_MAX)
    return parse_map(problems.checked(text), str(path))


def parse_map(text: str, name: str) -> SheetMapKeys:
    """Read the text of a map; ``name`` is that of its file.

    Clients of the API send maps: variables of the environment are not read for them.

    Raises:
        ConfigError: with every mistake.
    """
    problems = ProblemList()
    document = parse_document(text, name, None, problems)
    return problems.checked(None if document is None else read_section(SheetMapKeys, document, "", problems))
