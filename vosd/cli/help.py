"""``vosd help``: the page of a verb, and all pages as manual pages for ``man``."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from vosd.cli import output
from vosd.cli.command import Verb
from vosd.cli.written_file import make_directory, write_file

_WIDTH: Final = 80


@click.command("help", cls=Verb)
@click.argument("words", nargs=-1, metavar="[VERB]...")
@click.option(
    "--man", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write manual pages for man there."
)
@click.pass_context
def show_help(ctx: click.Context, words: tuple[str, ...], man: Path | None) -> None:
    """Show the page of a verb, as --help does: vosd help, vosd help cdr list."""
    root = ctx.find_root()
    if man is not None:
        make_directory(man)
        pages = [*_pages(root.command, "vosd", None)]
        for name, text in pages:
            write_file(man / f"{name}.1", text.encode(), mode=0o644)
        output.line(f"{len(pages)} manual pages in {man}")
        return
    output.line(_context_of(root.command, words).get_help())


def _context_of(command: click.Command, words: tuple[str, ...]) -> click.Context:
    ctx = click.Context(command, info_name="vosd", max_content_width=_WIDTH)
    for word in words:
        found = ctx.command.get_command(ctx, word) if isinstance(ctx.command, click.Group) else None
        if found is None:
            raise click.UsageError(f"there is no {ctx.command_path} {word}; vosd help lists the verbs")
        ctx = click.Context(found, info_name=word, parent=ctx, max_content_width=_WIDTH)
    return ctx


def _pages(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of the page of a command, and of all below it."""
    ctx = click.Context(command, info_name=name, parent=parent, max_content_width=_WIDTH)
    yield ctx.command_path.replace(" ", "-"), _page(ctx)
    if isinstance(command, click.Group):
        for verb in command.list_commands(ctx):
            found = command.get_command(ctx, verb)
            if found is not None:
                yield from _pages(found, verb, ctx)


def _page(ctx: click.Context) -> str:
    """Return a page in the language of man(7)."""
    command, name = ctx.command, ctx.command_path
    said = inspect.cleandoc(command.help or "").partition("\f")[0]
    lines = [
        f'.TH "{name.replace(" ", "-").upper()}" 1 "" "vosd" "vosd"',
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(command.get_short_help_str(_WIDTH))}",
        ".SH SYNOPSIS",
        f".B {_escaped(name)}",
        _escaped(" ".join(command.collect_usage_pieces(ctx))),
        ".SH DESCRIPTION",
    ]
    for paragraph in said.split("\n\n"):
        lines += [_escaped(" ".join(paragraph.split())), ".PP"]
    for title, rows in (("OPTIONS", _options(ctx)), ("VERBS", _verbs(ctx))):
        lines += [f".SH {title}"] if rows else []
        for head, text in rows:
            lines += [".TP", f".B {_escaped(head)}", _escaped(text)]
    return "\n".join(lines) + "\n"


def _options(ctx: click.Context) -> list[tuple[str, str]]:
    return [row for each in ctx.command.get_params(ctx) if (row := each.get_help_record(ctx)) is not None]


def _verbs(ctx: click.Context) -> list[tuple[str, str]]:
    group = ctx.command
    if not isinstance(group, click.Group):
        return []
    found = ((verb, group.get_command(ctx, verb)) for verb in group.list_commands(ctx))
    return [(verb, each.get_short_help_str(_WIDTH)) for verb, each in found if each is not None]


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
