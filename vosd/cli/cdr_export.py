"""``vosd cdr export``: calls in the order of their booking, for other programs."""

import asyncio
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from vosd.cli import output
from vosd.cli.arguments import Count
from vosd.cli.command import Invocation, OperationError, Verb, json_verb
from vosd.cli.office import ordered, outcome_of, principal
from vosd.wiring.office import office_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vosd.admin.export_files import ExportManifest

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIRECTORY: Final = click.Path(file_okay=False, path_type=Path)


@click.command("export", cls=Verb)
@click.option("--after", type=Count(0), metavar="SEQ", help="Calls booked after that export_seq; default 0, all.")
@click.option(
    "--profile", "profile_file", type=_FILE, metavar="FILE", help="Columns and format (docs/operations/exports.md)."
)
@click.option("--out", type=_DIRECTORY, metavar="DIR", help="Write files there, each call once; go on at the next run.")
@json_verb
def export(invocation: Invocation, /, after: int | None, profile_file: Path | None, out: Path | None) -> None:
    """Write calls in the order in which they were booked, each after the ones before it.

    Without --out they are printed. With --out each run writes what was booked since the run before to new files, each
    with a manifest; --after says where the first run begins. A call that is corrected afterwards comes again.
    """
    from vosd.admin.office.export import WriteExport, write_export

    profile = None if profile_file is None else str(profile_file)
    if out is None:
        asyncio.run(_print(invocation, after or 0, profile))
        return
    order = WriteExport(out=str(out), after=after, profile=profile)
    with _said_of(out):
        written = outcome_of(ordered(invocation, write_export, order))
    if after is not None and written.goes_on:
        output.remark(f"{out} goes on where its last run ended: --after {after} is for the first run only")
    if not output.printed_as_json(written.files):
        _print_files(written.files)


@contextmanager
def _said_of(out: Path) -> "Iterator[None]":
    """Say of an error of the disk where the next run goes on."""
    try:
        yield
    except OSError as error:
        advice = "the next run goes on where this one ended"
        if isinstance(error, PermissionError):
            advice = f"give all of {out} to the user that exports (chown -R)"
        raise OperationError(f"{error.filename or out} cannot be written: {error.strerror}; {advice}") from error


def _print_files(files: "Iterable[ExportManifest]") -> None:
    rows = [[each.file, each.first, each.last, each.rows, each.corrected_rows] for each in files]
    output.table(("file", "first", "last", "calls", "corrected"), rows, empty="nothing new")


async def _print(invocation: Invocation, after: int, profile: str | None) -> None:
    from vosd.admin.office.export import ReadExport, read_export

    order, array = ReadExport(after=after, profile=profile, as_json=output.wants_json()), output.Documents()
    async with office_of(invocation) as office, aclosing(read_export(office, principal(), order)) as parts:
        async for part in parts:
            if not output.wants_json():
                output.output_of_files().write(part.decode())
                continue
            for line in part.splitlines():
                array.add(msgspec.Raw(line))
    if output.wants_json():
        array.close()
