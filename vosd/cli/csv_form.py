"""``--csv`` and ``--csv-raw`` of listings: CSV for people, or with the cells as they are for programs."""

from typing import Any, Final

import click

from vosd.base.csv_text import CsvWriter
from vosd.cli.output import output_of_files

_FOR_PEOPLE: Final = "people"
_RAW: Final = "raw"


def csv_option(command: Any) -> Any:
    """Add ``--csv`` and ``--csv-raw`` to a verb; its ``as_csv`` is None where neither is given."""
    raw = click.option(
        "--csv-raw",
        "as_csv",
        flag_value=_RAW,
        help="Print CSV for programs: cells as they are, also those of formulas.",
    )
    people = click.option(
        "--csv",
        "as_csv",
        flag_value=_FOR_PEOPLE,
        help="Print CSV with a header; a ' stands before what a spreadsheet would take for a formula.",
    )
    return people(raw(command))


def csv_writer(as_csv: str | None) -> CsvWriter:
    """Return the writer of a listing to standard output, as ``csv_option`` says."""
    return CsvWriter(output_of_files(), for_people=as_csv != _RAW)
