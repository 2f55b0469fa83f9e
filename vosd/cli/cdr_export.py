"""``vosd cdr export``: calls in the order of their booking, for other programs."""

import asyncio
import os
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vosd.cli import output
from vosd.cli.command import Invocation, OperationError, Verb, json_option, pass_invocation

if TYPE_CHECKING:
    from vosd.admin.export_files import Manifest
    from vosd.admin.export_profile import ExportProfile

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIRECTORY: Final = click.Path(file_okay=False, path_type=Path)


@click.command("export", cls=Verb)
@click.option(
    "--after", type=click.IntRange(0), metavar="SEQ", help="Calls booked after that export_seq; default 0, all."
)
@click.option(
    "--profile", "profile_file", type=_FILE, metavar="FILE", help="Columns and format (docs/operations/exports.md)."
)
@click.option("--out", type=_DIRECTORY, metavar="DIR", help="Write files there, each call once; go on at the next run.")
@json_option
@pass_invocation
def export(
    invocation: Invocation, /, after: int | None, profile_file: Path | None, out: Path | None, as_json: bool
) -> None:
    """Write calls in the order in which they were booked, each after the ones before it.

    Without --out they are printed. With --out each run writes what was booked since the run before to new files, each
    with a manifest; --after says where the first run begins. A call that is corrected afterwards comes again.
    """
    from vosd.admin.export_profile import PLAIN
    from vosd.config.export_profile import read_export_profile

    profile = PLAIN if profile_file is None else read_export_profile(profile_file, os.environ)
    if out is None:
        asyncio.run(_print(invocation, profile, after or 0, as_json=as_json))
        return
    try:
        written = asyncio.run(_write(invocation, profile, out, after))
    except OSError as error:
        message = f"{out} cannot be written: {error.strerror}; the next run goes on where this one ended"
        raise OperationError(message) from error
    if as_json:
        output.document(written)
    else:
        rows = [[each.file, each.first, each.last, each.rows, each.corrected_rows] for each in written]
        output.table(("file", "first", "last", "calls", "corrected"), rows, empty="nothing new")


async def _print(invocation: Invocation, profile: "ExportProfile", after: int, *, as_json: bool) -> None:
    from dataclasses import replace

    from vosd.admin.export import Export
    from vosd.admin.export_profile import Format
    from vosd.cli.database import database_of
    from vosd.storage.export import SqlExport

    if as_json:
        profile = replace(profile, format=Format.JSON_LINES)
    async with database_of(invocation.database_url) as database:
        export = Export(SqlExport(database), profile)
        array = output.Documents()
        if not as_json:
            sys.stdout.write(export.lines.head().decode())
        async with aclosing(export.calls(after)) as pages:
            async for page in pages:
                if not as_json:
                    sys.stdout.write(export.lines.lines(page).decode())
                    continue
                for call in page:
                    array.add(export.lines.object(call))
        if as_json:
            array.close()


async def _write(invocation: Invocation, profile: "ExportProfile", out: Path, after: int | None) -> "list[Manifest]":
    from vosd.admin.export import Export
    from vosd.admin.export_files import opened
    from vosd.cli.database import database_of
    from vosd.storage.export import SqlExport

    with opened(out, profile.name) as directory:
        async with database_of(invocation.database_url) as database:
            export = Export(SqlExport(database), profile)
            async with aclosing(export.to_files(directory, after or 0, _now)) as manifests:
                written = [manifest async for manifest in manifests]
        if after is not None and not directory.is_new:
            output.remark(f"{out} goes on where its last run ended: --after {after} is for the first run only")
    return written


def _now() -> int:
    return time.time_ns() // 1_000_000
