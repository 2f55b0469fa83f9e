"""Two verbs that write, for programs of their own: they import no more than a verb needs."""

import os
from typing import IO, Final

import click

from vosd.cli.command import VerbDirectory
from vosd.cli.output import columns_of_screen


@click.command()
@click.option("--out", type=click.File("w"))
@click.argument("letters", type=int)
def write(out: IO[str] | None, letters: int) -> None:
    """Write so many letters."""
    click.echo("x" * letters, file=out)


@click.command()
@click.argument("path")
def note(path: str) -> None:
    """Write to both streams, then the descriptor that a file gets into that file."""
    columns_of_screen()
    click.echo("noted")
    click.echo("a remark", err=True)
    noted = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(noted, str(noted).encode())


WRITING: Final = VerbDirectory(
    name="vosd",
    table={"write": f"{__name__}:write", "note": f"{__name__}:note"},
    summaries={"write": "Write.", "note": "Note."},
)
