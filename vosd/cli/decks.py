"""``vosd rates``: rate groups, and decks of rates in the database: import, versions, roll back, look up, export."""

import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from msgspec.structs import astuple

from vosd.cli import output
from vosd.cli.arguments import COMING, Count, WholeNumber, as_option, operator_verb
from vosd.cli.command import Family, Invocation, OperationError, Verb, json_verb
from vosd.cli.office import in_office, ordered, principal
from vosd.cli.output import ScreenColumn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vosd.admin.office.decks import FoundRate, ImportReport
    from vosd.admin.office.rates import AreasSheet
    from vosd.billing.deck_content import Chunk
    from vosd.storage.deck_values import StoredDeck

_VERSIONS: Final = (
    ScreenColumn("version", is_figure=True),
    ScreenColumn("made at"),
    ScreenColumn("by", rank=2),
    ScreenColumn("how"),
    ScreenColumn("effective", rank=3),
    ScreenColumn("rates", is_figure=True),
    ScreenColumn("changes", rank=4),
    ScreenColumn("memo", rank=1, narrowest=10),
)
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_READ: Final = click.Path(exists=True, path_type=Path, dir_okay=False)
_GROUP: Final = click.argument("rate_group", metavar="GROUP")
_MEMO: Final = click.option("--memo", metavar="TEXT", help="Why; kept with the version.")


_GROUPS: Final = (
    ScreenColumn("group"),
    ScreenColumn("currency"),
    ScreenColumn("price per", rank=4),
    ScreenColumn("rates", is_figure=True),
    ScreenColumn("from", rank=3),
    ScreenColumn("base", rank=5),
    ScreenColumn("accounts", rank=1, is_figure=True),
    ScreenColumn("gateways", rank=2, is_figure=True),
    ScreenColumn("memo", rank=1, narrowest=10),
)
_AREAS: Final = (
    ScreenColumn("area", narrowest=12),
    ScreenColumn("rates", is_figure=True),
    ScreenColumn("closed", is_figure=True),
    ScreenColumn("lowest", is_figure=True),
    ScreenColumn("highest", is_figure=True),
    ScreenColumn("prefixes", narrowest=8),
)


@click.command("groups", cls=Verb)
@as_option
@json_verb
def groups(invocation: Invocation) -> None:
    """List the rate groups: how many rates each has and from where, who names it, and its memo.

    Accounts and gateways, which include phones, are those that name it as rate_group or private_rate_group. With --as
    only the groups are listed that the agent may give.
    """
    from vosd.admin.office.rates import ListRateGroups, list_rate_groups
    from vosd.processes.life import give_way

    give_way()  # rates that are not compiled yet are read for it
    found = ordered(invocation, list_rate_groups, ListRateGroups())
    if output.printed_as_json(found):
        return
    output.listing(_GROUPS, map(astuple, found), empty="no rate groups")


@click.command("areas", cls=Verb)
@click.argument("rate_group", metavar="GROUP")
@json_verb
def areas(invocation: Invocation, rate_group: str) -> None:
    """List the areas of rate group GROUP: their prefixes, and the lowest and highest price of a minute.

    Of the rates in force now, without tax; a first period and other additions are not in the price.
    """
    from vosd.admin.office.rates import ListAreas, list_areas
    from vosd.processes.life import give_way

    give_way()
    found = ordered(invocation, list_areas, ListAreas(rate_group))
    if not output.printed_as_json(found):
        _print_areas(found)


def _print_areas(found: "AreasSheet") -> None:
    rows = [
        (each.area or "(none)", each.rates, each.closed, each.lowest, each.highest, ", ".join(each.prefixes))
        for each in found.areas
    ]
    output.listing(_AREAS, rows, empty=f"rate group {found.rate_group} has no rates in force")
    output.remark(f"prices are of a minute, in {found.currency}")


@click.group(cls=Family)
def rates() -> None:
    """Rate groups, and their decks in the database: import, versions, look-up, export."""


rates.add_command(groups)
rates.add_command(areas)


@rates.command("import")
@_GROUP
@click.argument("file", type=_READ)
@click.option("--dry-run", "is_dry", is_flag=True, help="Show what would change, and change nothing.")
@click.option(
    "--effective",
    type=COMING,
    metavar="TIME",
    help="When the change comes into force; default: on the dates of the file, else at once.",
)
@click.option(
    "--mode",
    type=click.Choice(["full", "delta"]),
    default="full",
    show_default=True,
    help="full: the file is the whole deck; prefixes that it does not have are taken out, closed ones too, and their "
    "numbers have the rate of a shorter prefix, if there is one. delta: prefixes that are not in the file stay.",
)
@click.option(
    "--map",
    "map_file",
    type=_READ,
    metavar="MAP.yaml",
    help="What the columns of the file mean; default: as last time with this header.",
)
@click.option("--changes", "changes_file", type=_FILE, metavar="FILE.csv", help="Write every change to this file.")
@click.option(
    "--traffic",
    type=WholeNumber(1, 366),
    metavar="DAYS",
    help="With --dry-run: how the margin on the calls of the last DAYS would change.",
)
@click.option(
    "--force",
    "is_forced",
    is_flag=True,
    help="Import even if more than a fifth of the prefixes is closed or taken out.",
)
@_MEMO
@operator_verb
def import_(invocation: Invocation, /, rate_group: str, file: Path, **terms: Any) -> None:
    """Import the rates of FILE, CSV or XLSX, into the deck of rate group GROUP: all of them or none.

    Exit code 1 if a row of the file has a mistake, also with --dry-run. Running calls keep their rate; a running
    switch uses the new rates within seconds.
    """
    if terms["traffic"] is not None and not terms["is_dry"]:
        raise click.UsageError("--traffic is for --dry-run")
    document, report = _imported(invocation, rate_group, file, terms)
    if not output.printed_as_json(document):
        from vosd.cli.deck_report import show_import

        show_import(report, document)
    if document["invalid_rows"]:
        sys.exit(OperationError.exit_code)


def _imported(
    invocation: Invocation, rate_group: str, file: Path, terms: dict[str, Any]
) -> "tuple[dict[str, Any], ImportReport]":
    from vosd.billing.decks import Mode
    from vosd.cli.progress import DeckProgress
    from vosd.processes.life import give_way
    from vosd.wiring.deck_import import DeckFile, import_deck

    give_way()
    wanted = DeckFile(rate_group=rate_group, file=file, name=str(file), **terms | {"mode": Mode(terms["mode"])})
    with DeckProgress() as steps:
        return in_office(invocation, lambda office: import_deck(invocation, office, principal(), wanted, steps))


@rates.command("versions")
@_GROUP
@json_verb
def versions(invocation: Invocation, rate_group: str) -> None:
    """List the versions of the deck of rate group GROUP, newest first."""
    from vosd.admin.office.decks import ListDeckVersions, list_versions

    found = ordered(invocation, list_versions, ListDeckVersions(rate_group))
    documents = [_document(deck) for deck in found]
    if output.printed_as_json(documents):
        return
    rows = map(_version_row, documents)
    output.listing(_VERSIONS, rows, empty=f"nothing was imported into deck {rate_group} yet")


def _version_row(each: dict[str, Any]) -> tuple[Any, ...]:
    from vosd.cli.deck_report import counts_in_words

    changes = counts_in_words({kind: count for kind, count in each["changes"].items() if count})
    how = each["mode"], each["effective"], each["rates"], changes
    return each["version"], each["made_at"], each["operator"], *how, each["memo"]


@rates.command("rollback")
@_GROUP
@click.option(
    "--to",
    "to",
    type=Count(0),
    metavar="N",
    help="The version; default: that before the last, unless that is a rollback; 0: no rates.",
)
@click.option("--force", is_flag=True, help="With --to 0: take all rates out.")
@_MEMO
@operator_verb
def rollback(invocation: Invocation, /, rate_group: str, to: int | None, **terms: Any) -> None:
    """Put the rates of an earlier version of deck GROUP in force again, as a new version."""
    from vosd.admin.office.decks import RollBackDeck, roll_back
    from vosd.processes.life import give_way

    give_way()
    made = ordered(invocation, roll_back, RollBackDeck(rate_group=rate_group, to=to, **terms))
    if not output.printed_as_json(_document(made)):
        rates = "without rates" if to == 0 else f"with the rates of {made.content}"
        output.line(f"version {made.version} of deck {rate_group} is in force, {rates}")


@rates.command("lookup")
@_GROUP
@click.argument("number")
@click.option("--at", type=COMING, metavar="TIME", help="The moment of the call; default: now.")
@json_verb
def lookup(invocation: Invocation, rate_group: str, number: str, at: int | None) -> None:
    """Show the rate of NUMBER in deck GROUP, of which version it is, and what shorter prefixes have.

    For a moment in the past the version that was in force then is asked.
    """
    from vosd.admin.office.decks import LookUpRate, look_up

    found = ordered(invocation, look_up, LookUpRate(rate_group, number, at))
    if not output.printed_as_json(found):
        _show_rate(found)
    if found.rate is None:
        sys.exit(OperationError.exit_code)


def _show_rate(found: "FoundRate") -> None:
    output.line(f"deck {found.rate_group}, version {found.version} of {found.made_at}")
    if found.rate is not None:
        output.sheet(found.rate)
    else:
        output.line(f"{found.number} is closed" if found.closed else f"no rate for {found.number}")
    for neighbour in found.neighbours:
        output.line(f"also {', '.join(f'{name} {value}' for name, value in neighbour.items())}")


@rates.command("export")
@_GROUP
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--version", type=Count(1), metavar="N", help="An earlier version; default: that in force.")
@json_verb
def export(invocation: Invocation, rate_group: str, file: Path, version: int | None) -> None:
    """Write the rates of deck GROUP to FILE as CSV, - for standard output; an import of it changes nothing."""
    from vosd.admin.office.decks import ReadDeck, read_deck
    from vosd.wiring.deck_import import write_content

    is_printed, order = str(file) == "-", ReadDeck(rate_group, version)
    if is_printed and output.wants_json():
        raise click.UsageError("--json or - as FILE, not both")
    deck, chunks = ordered(invocation, read_deck, order)
    if is_printed:
        _print_content(chunks)
        return
    write_content(file, chunks)
    output.outcome(_document(deck), f"{deck.rates} rates of version {deck.version} written to {file}")


def _print_content(chunks: "Iterable[Chunk]") -> None:
    for chunk in chunks:
        click.echo(zlib.decompress(chunk.compressed), nl=False)


def _document(deck: "StoredDeck") -> dict[str, Any]:
    from vosd.cdr.columns import iso_utc

    document = msgspec.structs.asdict(deck)
    document["mode"] = document.pop("way").value
    for name in ("made_at", "effective"):
        document[name] = None if document[name] is None else iso_utc(document[name])
    return document
