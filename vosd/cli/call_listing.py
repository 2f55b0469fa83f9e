"""Forms of a listing of calls: CSV, JSON, a table in a file, one line for each call on a terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from vosd.base.csv_text import CsvWriter
from vosd.cdr.columns import KEYS, csv_row, json_object
from vosd.cli import output
from vosd.cli.output import ScreenColumn

if TYPE_CHECKING:
    from vosd.cdr.record import CallRecord
    from vosd.storage.ports import StoredCall

_SHOWN: Final = (
    "started_at", "mapping_gateway", "caller_in", "callee_in", "routing_gateway",
    "end_reason", "sip_code", "hold_time_s", "fee", "call_id",
)  # fmt: skip
"""Columns of the table in a file or a pipe; --json and --csv have all."""

_ON_SCREEN: Final = {
    "call_id": ScreenColumn("id"),
    "started_at": ScreenColumn("started, UTC"),
    "mapping_gateway": ScreenColumn("from", rank=2, narrowest=8),
    "caller_in": ScreenColumn("caller", narrowest=13),
    "callee_in": ScreenColumn("callee", narrowest=13),
    "routing_gateway": ScreenColumn("to", rank=1, narrowest=8),
    "end_reason": ScreenColumn("reason", narrowest=8),
    "sip_code": ScreenColumn("code", rank=3, is_figure=True),
    "hold_time_s": ScreenColumn("s", is_figure=True),
    "fee": ScreenColumn("fee", is_figure=True),
}
"""Columns of the listing on a terminal, one line for each call; they fit 80 characters."""

CORRECTED: Final = "*"
"""Stands behind the fee of a call whose charges were corrected."""


class CsvForm:
    """CSV with a header."""

    call_ids = ()

    def __init__(self, keys: Sequence[str], writer: CsvWriter) -> None:
        """``keys`` are the columns."""
        self._keys = keys
        self._writer = writer
        self._has_header = False

    def add(self, call: "StoredCall") -> None:
        """Add the next call."""
        self._begin()
        cells = dict(zip(KEYS, csv_row(call.record, call.export_seq), strict=True))
        self._writer.row([cells[key] for key in self._keys])

    def finish(self, short: Mapping[str, str]) -> None:  # noqa: ARG002
        """Print the rest."""
        self._begin()

    def _begin(self) -> None:
        if not self._has_header:
            self._writer.row(self._keys)
            self._has_header = True


class JsonForm:
    """One array of objects."""

    call_ids = ()

    def __init__(self, keys: Sequence[str]) -> None:
        """``keys`` are those of each object."""
        self._keys = keys
        self._array = output.Documents()

    def add(self, call: "StoredCall") -> None:
        """Add the next call."""
        values = json_object(call.record, call.export_seq)
        self._array.add({key: values[key] for key in self._keys})

    def finish(self, short: Mapping[str, str]) -> None:  # noqa: ARG002
        """Print the rest."""
        self._array.close()


class TableForm:
    """One line for each call: on a terminal the columns that fit, else ``_SHOWN``."""

    def __init__(self, limit: object, keys: Sequence[str]) -> None:
        """``keys`` are the columns that may be shown, ``limit`` is the number of calls that was asked for."""
        self._limit = limit
        self._width = output.columns_of_screen()
        self._keys = [key for key in (_SHOWN if self._width is None else _ON_SCREEN) if key in keys]
        self._rows: list[list[Any]] = []
        self._has_corrected = False

    def add(self, call: "StoredCall") -> None:
        """Add the next call."""
        shown = json_object(call.record, call.export_seq)
        if self._width is not None:
            shown["started_at"] = _to_the_second(shown["started_at"])
            if is_corrected(call.record):
                shown["fee"] += CORRECTED
                self._has_corrected = True
        self._rows.append([shown[key] for key in self._keys])

    @property
    def call_ids(self) -> tuple[str, ...]:
        """Calls whose ids are shown by their beginnings."""
        return () if self._width is None else tuple(row[self._keys.index("call_id")] for row in self._rows)

    def finish(self, short: Mapping[str, str]) -> None:
        """Print the rest, with those beginnings."""
        if self._width is None:
            output.table(self._keys, self._rows, empty="no calls")
            return
        place = self._keys.index("call_id")
        for row in self._rows:
            row[place] = short[row[place]]
        output.listing([_ON_SCREEN[key] for key in self._keys], self._rows, self._width, empty="no calls")
        if self._has_corrected:
            output.remark(f"{CORRECTED} = a charge was corrected afterwards: vosd cdr corrections CALL_ID")
        if len(self._rows) == self._limit:
            output.remark(f"older calls, if there are any: add --before {self._rows[-1][place]}")


def is_corrected(record: "CallRecord") -> bool:
    """Return whether a charge of the call was corrected after it was booked."""
    return any(charge.corrected for charge in record.charges)


def _to_the_second(moment: str) -> str:
    """Return month, day and time of a time in ISO 8601: a listing is seldom longer than a year."""
    return f"{moment[5:10]} {moment[11:19]}"
