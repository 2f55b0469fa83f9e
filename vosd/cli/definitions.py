"""``vosd definitions``: objects of the configuration that the database defines, with every version of each."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import msgspec

from vosd.cdr.columns import iso_utc
from vosd.cli import output
from vosd.cli.arguments import AMOUNT, COMING, FOR_PEOPLE, Count, limit_option, operator_verb
from vosd.cli.command import DaemonAwayError, Family, Invocation, json_verb, pass_invocation
from vosd.cli.office import ordered
from vosd.cli.output import ScreenColumn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from decimal import Decimal

    from vosd.admin.office.definitions import ChangeSheet
    from vosd.admin.office.object_versions import KeysSheet
    from vosd.admin.office.office import Office
    from vosd.admin.office.planned_change import CallsUsing, DifferenceSheet
    from vosd.admin.office.principal import Principal
    from vosd.admin.office.template_users import OwnValues, TemplateUsers
    from vosd.catalogue.stored_objects import ObjectVersion

Order = TypeVar("Order")

_LISTED: Final = (
    ScreenColumn("kind"),
    ScreenColumn("name", narrowest=12),
    ScreenColumn("version", is_figure=True),
    ScreenColumn("since"),
    ScreenColumn("by", rank=2),
    ScreenColumn("memo", rank=1, narrowest=10),
)
_VERSIONS: Final = (
    ScreenColumn("version", is_figure=True),
    ScreenColumn("from"),
    ScreenColumn("made at", rank=3),
    ScreenColumn("by", rank=2),
    ScreenColumn("what", narrowest=16),
    ScreenColumn("memo", rank=1, narrowest=10),
)
_PLANNED: Final = (
    ScreenColumn("from"),
    ScreenColumn("kind"),
    ScreenColumn("name", narrowest=12),
    ScreenColumn("version", is_figure=True),
    ScreenColumn("by", rank=2),
    ScreenColumn("what", narrowest=16),
    ScreenColumn("memo", rank=1, narrowest=10),
)


_MANY: Final = 1_000
"""Objects from which on the check of the whole configuration with them takes seconds."""


class ObjectKind(click.ParamType[str]):
    """A kind of object that the database may define."""

    name = "kind"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the kind; another one is wrong usage."""
        from vosd.catalogue.stored_objects import BadObjectError, check_kind

        try:
            check_kind(value)
        except BadObjectError as error:
            self.fail(str(error), param, ctx)
        return value


_OBJECT_KIND: Final = ObjectKind()
_KIND: Final = click.argument("kind", type=_OBJECT_KIND)
_NAME: Final = click.argument("name")
_MEMO: Final = click.option("--memo", metavar="TEXT", help="Why; kept with the version.")
_AT: Final = click.option("--at", type=COMING, metavar="TIME", help="From when it holds; default: at once.")
_DRY: Final = click.option("--dry-run", "is_dry", is_flag=True, help="Show what would change, and change nothing.")
_YES: Final = click.option(
    "--yes", is_flag=True, help="Also where it removes what running calls use, or ends an account with a balance."
)


def change_options(command: Any) -> Any:
    """Add ``--memo``, ``--at``, ``--dry-run``, ``--yes`` and what ``operator_verb`` adds to a verb that changes."""
    for option in (operator_verb, _YES, _DRY, _AT, _MEMO):
        command = option(command)
    return command


@click.group(cls=Family)
def definitions() -> None:
    """Objects that the database defines: accounts, gateways, phones, rate groups ..."""


@definitions.command("list")
@click.argument("kind", type=_OBJECT_KIND, required=False)
@click.option("--planned", "is_planned", is_flag=True, help="List the versions that begin later instead (--at).")
@limit_option
@json_verb
def list_(invocation: Invocation, kind: str | None, limit: int | None, *, is_planned: bool) -> None:
    """List the objects in force, all or those of KIND, such as accounts."""
    from vosd.admin.office.object_versions import sheet_of
    from vosd.admin.office.shown_objects import ListObjects, list_objects

    most = limit or (None if output.wants_json() else FOR_PEOPLE)
    if is_planned:
        _list_planned(invocation, kind, most)
        return
    listed = ordered(invocation, list_objects, ListObjects(kind, None if most is None else most + 1))
    found = output.first(listed, most, "objects")
    if output.printed_as_json([sheet_of(each) for each in found]):
        return
    rows = map(_object_row, found)
    output.listing(_LISTED, rows, output.columns_of_screen() or 80, empty="the database defines none")


def _object_row(each: "ObjectVersion") -> tuple[object, ...]:
    return each.kind, each.name, each.version, iso_utc(each.begins_at), each.operator, each.memo or ""


def _list_planned(invocation: Invocation, kind: str | None, most: int | None) -> None:
    from vosd.admin.office.planned_versions import ListPlanned, list_planned

    planned = ordered(invocation, list_planned, ListPlanned(kind))
    found = output.first(planned, most, "versions")
    if output.printed_as_json(found):
        return
    changed = (_changed(each.keys, is_end=not each.defined) for each in found)
    rows = [
        (each.begins_at, each.kind, each.name, each.version, each.operator, what, each.memo or "")
        for each, what in zip(found, changed, strict=True)
    ]
    output.listing(_PLANNED, rows, output.columns_of_screen() or 80, empty="no version is planned")


@definitions.command()
@_KIND
@_NAME
@click.option("--version", type=Count(1), metavar="N", help="This version; default: the one in force.")
@click.option("--secrets", is_flag=True, help="Show passwords too.")
@json_verb
def show(invocation: Invocation, kind: str, name: str, version: int | None, secrets: bool) -> None:
    """Show the keys of one object as YAML."""
    from vosd.admin.office.shown_objects import ShowObject, show_object
    from vosd.config.stored_text import yaml_of

    sheet = ordered(invocation, show_object, ShowObject(kind=kind, name=name, version=version, secrets=secrets))
    found = sheet.version
    if not output.printed_as_json(sheet.sheet()):
        output.remark(f"version {found.version} of {kind} {name}, from {iso_utc(found.begins_at)}, by {found.operator}")
        click.echo(yaml_of(sheet.keys), nl=False)


@definitions.command("set")
@_KIND
@_NAME
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    required=True,
    metavar="F|-",
    help="YAML or JSON with the keys of the object; - reads standard input.",
)
@change_options
def set_(invocation: Invocation, /, kind: str, name: str, file: Path, **terms: Any) -> None:
    """Define the object NAME by the keys in FILE, or change it; it has exactly these keys then.

    The whole configuration is validated with it first. A running switch uses it when the command returns.
    """
    from vosd.admin.office.definitions import SetObjects, set_objects
    from vosd.admin.office.planned_change import WantedObject
    from vosd.config.stored_text import read_object

    text, called = _text_of(file)
    found = WantedObject(*read_object(kind, name, text, called, os.environ))
    change_objects(invocation, set_objects, lambda **order: SetObjects(objects=(found,), **order), **terms)


@definitions.command()
@_KIND
@_NAME
@click.argument("more", nargs=-1, metavar="[KIND NAME]...")
@change_options
def delete(invocation: Invocation, /, kind: str, name: str, more: tuple[str, ...], **terms: Any) -> None:
    """End the object NAME; its versions stay, and revert brings it back.

    Several end at once, all of them or none: a customer's trunk with its account.
    """
    from vosd.admin.office.definitions import EndObject, SetObjects, end_object, set_objects
    from vosd.admin.office.planned_change import WantedObject

    if not more:
        change_objects(invocation, end_object, lambda **order: EndObject(kind=kind, name=name, **order), **terms)
        return
    if len(more) % 2:
        raise click.UsageError(f"{more[-1]}: expected a kind and a name of each object")
    pairs = ((kind, name), *zip(more[::2], more[1::2], strict=True))
    ended = tuple(WantedObject(*each, None) for each in pairs)
    change_objects(invocation, set_objects, lambda **order: SetObjects(objects=ended, **order), **terms)


@definitions.command()
@_KIND
@click.argument("name", required=False)
@limit_option
@json_verb
def history(invocation: Invocation, kind: str, name: str | None, limit: int | None) -> None:
    """List the versions of one object, newest first: what each changed, when, who made it and why.

    Without NAME those of all parameters, where KIND is parameters.
    """
    sheets = _versions_of(invocation, kind, name)
    found = output.first(sheets, limit or (None if output.wants_json() else FOR_PEOPLE), "versions")
    if output.printed_as_json(found):
        return
    columns, rows = [*_VERSIONS], [*map(_version_row, found)]
    if name is None:
        columns.insert(0, ScreenColumn("name", narrowest=12))
        rows = [(each.name, *row) for each, row in zip(found, rows, strict=True)]
    output.listing(columns, rows, output.columns_of_screen() or 80, empty="none")


def _versions_of(invocation: Invocation, kind: str, name: str | None) -> "list[KeysSheet]":
    """Return the versions of an object, or of all parameters."""
    from vosd.admin.office.object_versions import (
        ListParameterVersions,
        ListVersions,
        list_parameter_versions,
        list_versions,
    )

    if name is not None:
        return [each.sheet() for each in ordered(invocation, list_versions, ListVersions(kind, name))]
    if kind != "parameters":
        raise click.UsageError(f"say the name of one of the {kind}: only parameters have one list of all")
    return ordered(invocation, list_parameter_versions, ListParameterVersions())


def _version_row(each: "KeysSheet") -> tuple[object, ...]:
    changed = _changed(each.keys, is_end=not each.defined)
    return each.version, each.begins_at, each.made_at, each.operator, changed, each.memo or ""


def _changed(keys: "Any", *, is_end: bool) -> str:
    """Return what a version changed: the keys, of a single one with a plain value also both values."""
    if is_end:
        return "ends"
    if len(keys) == 1:
        ((key, (before, after)),) = keys.items()
        if isinstance(before or "", str) and isinstance(after or "", str):
            return f"{key}: {_value(before)} -> {_value(after)}"
    return ", ".join(keys) or "nothing"


@definitions.command()
@_KIND
@_NAME
@click.option("--from", "first", type=Count(1), metavar="N", help="Default: the version before.")
@click.option("--to", "last", type=Count(1), metavar="N", help="Default: the newest version.")
@json_verb
def diff(invocation: Invocation, kind: str, name: str, first: int | None, last: int | None) -> None:
    """Show what differs between two versions of one object."""
    from vosd.admin.office.object_versions import CompareVersions, compare_versions

    found = ordered(invocation, compare_versions, CompareVersions(kind=kind, name=name, first=first, last=last))
    if not output.printed_as_json(
        {"kind": kind, "name": name, "from": found.first, "to": found.last, "keys": found.keys}
    ):
        _show_keys(found.keys)


@definitions.command()
@_KIND
@_NAME
@click.option("--to", "version", type=Count(1), required=True, metavar="N", help="The version to go back to.")
@change_options
def revert(invocation: Invocation, /, kind: str, name: str, version: int, **terms: Any) -> None:
    """Put the keys of an earlier version in force again, as a new version."""
    from vosd.admin.office.definitions import RevertObject, revert_object

    change_objects(
        invocation, revert_object, lambda **order: RevertObject(kind=kind, name=name, version=version, **order), **terms
    )


@definitions.command()
@click.argument("kind", type=_OBJECT_KIND, required=False)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Default: standard output."
)
@pass_invocation
def export(invocation: Invocation, kind: str | None, out: Path | None) -> None:
    """Write the objects of the database, none of the files, as YAML with passwords; check and import accept it."""
    from vosd.admin.office.shown_objects import ExportObjects, export_objects
    from vosd.cli.written_file import write_file
    from vosd.config.stored_text import yaml_of_objects

    found = ordered(invocation, export_objects, ExportObjects(kind))
    text = yaml_of_objects(found)
    if out is None:
        click.echo(text, nl=False)
        return
    write_file(out, text.encode())
    output.remark(f"{len(found)} objects of the database, none of the files, written to {out}; it may have passwords")


@definitions.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--map",
    "map_",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    metavar="MAP",
    help="FILE is a CSV or XLSX file, and MAP says what its columns mean.",
)
@change_options
def import_(invocation: Invocation, /, file: Path, map_: Path | None, **terms: Any) -> None:
    """Define or change the objects in FILE, all of them or none; objects that are not in it stay as they are.

    FILE has the sections of a configuration, such as accounts. To move a file that the configuration includes into the
    database, take it out of ``include`` first, do not reload, and import it: the switch takes both changes at once.

    With --map, FILE is a sheet of another switch: accounts, gateways, phones and the balances of the accounts.
    """
    from vosd.admin.office.definitions import SetObjects, set_objects
    from vosd.admin.office.planned_change import WantedObject

    if map_ is not None:
        _import_sheet(invocation, file, map_, **terms)
        return
    from vosd.config.stored_text import read_objects

    text, called = _text_of(file)
    found = tuple(WantedObject(*each) for each in read_objects(text, called, os.environ))
    _say_how_many(len(found), is_dry=terms["is_dry"])
    change_objects(invocation, set_objects, lambda **order: SetObjects(objects=found, **order), **terms)


@definitions.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--payment", type=AMOUNT, metavar="AMOUNT", help="The first payment, in the currency of the account.")
@click.option("--reference", metavar="TEXT", help="The order repeated with the same one changes nothing more.")
@change_options
def provision(
    invocation: Invocation, /, file: Path, payment: "Decimal | None", reference: str | None, **terms: Any
) -> None:
    """Make the customer in FILE and book its first payment, all of it or nothing.

    FILE has the sections of a configuration: one account, and its mapping gateways, phones and rate group, if any.
    """
    from vosd.admin.office.customers import FirstPayment, ProvisionCustomer, objects_of_customer, provision_customer
    from vosd.admin.office.planned_change import WantedObject
    from vosd.config.stored_text import read_objects

    text, called = _text_of(file)
    read = (WantedObject(*each) for each in read_objects(text, called, os.environ))
    parts = objects_of_customer(read, called)

    def order(**terms: Any) -> ProvisionCustomer:
        first = None if payment is None else FirstPayment(payment, terms["memo"])
        return ProvisionCustomer(**parts, payment=first, reference=reference, **terms)

    change_objects(invocation, provision_customer, order, **terms)


def _import_sheet(invocation: Invocation, file: Path, map_: Path, **terms: Any) -> None:
    from vosd.admin.office.sheet_import import import_sheet
    from vosd.config.object_sheets import read_object_sheet

    read = read_object_sheet(file, map_, os.environ)
    if read.unread:
        output.remark(f"columns that the map does not name: {', '.join(read.unread)}")
    for each in read.assumed:
        output.remark(f"assumed: {each}")
    _say_how_many(len(read.order.objects), is_dry=terms["is_dry"])
    change_objects(invocation, import_sheet, lambda **order: msgspec.structs.replace(read.order, **order), **terms)


def _say_how_many(number: int, *, is_dry: bool) -> None:
    """Say what is done now, where it takes seconds."""
    if number < _MANY:
        return
    end = "nothing is stored" if is_dry else "and all of them are stored, or none"
    output.remark(f"{number:,} objects read: the whole configuration is checked with them, {end}")


def change_objects(
    invocation: Invocation,
    act: "Callable[[Office, Principal, Order], Awaitable[ChangeSheet]]",
    make: "Callable[..., Order]",
    *,
    is_dry: bool,
    yes: bool,
    **terms: Any,
) -> None:
    """Carry out the order that ``make`` makes of the terms, and show what it changes."""
    changed = ordered(invocation, act, make(is_trial=is_dry, is_confirmed=yes, **terms))
    if changed.in_force is False and not changed.untold:
        output.remark("no switch runs: the change holds from its next start")
    for warning in changed.warnings:
        output.remark(warning)
    if not output.printed_as_json(changed):
        _show(changed)
        if len(changed.changes) > 1:
            counts = Counter(each.action.value for each in changed.changes)
            done = ", ".join(f"{count:,} {'would be ' if is_dry else ''}{action}" for action, count in counts.items())
            output.remark(f"{len(changed.changes):,} objects: {done}")
    if changed.untold:
        raise DaemonAwayError(f"stored, but the running switch has not taken it yet: {changed.untold}")


def _show(changed: "ChangeSheet") -> None:
    would = "would be " if changed.dry_run else ""
    for each in changed.changes:
        version = "" if each.version is None else f": version {each.version}, from {each.begins_at}"
        output.line(f"{each.kind} {each.name} {would}{each.action.value}{version}")
        if len(changed.changes) == 1:
            _show_keys(each.keys)
        if each.calls is not None and each.calls.number:
            output.line(f"  {_calls_using(each)}")
        for users in each.users:
            output.line(f"  {users.kind} that take it: {users.number:,} ({_first(users)})")
            for key, own in users.own.items():
                output.line(f"    with {key} of their own: {own.number:,} ({_first(own)})")
        for planned in each.planned:
            output.remark(f"{each.kind} {each.name}: version {planned} is planned and replaces this one")
    if changed.calls_unknown:
        output.remark(f"which running calls use them is not known: {changed.calls_unknown}")
    elif changed.dry_run and not any(each.calls and each.calls.number for each in changed.changes):
        output.remark("no running call is concerned: calls keep the rates, plans and numbers that they began with")
    if (first := getattr(changed, "payment", None)) is not None:
        output.line(f"first payment, reference {first.reference}: {first.amount} {first.currency}, {first.outcome}")
    for balance in getattr(changed, "balances", ()):
        amount = f"{balance.amount} {balance.currency or ''}".rstrip()
        output.line(f"balance of {balance.account}, line {balance.line}: {amount}, {balance.outcome}")


def _calls_using(change: "DifferenceSheet") -> str:
    calls = change.calls
    assert calls is not None
    said = f"running calls that use it: {calls.number} ({_first(calls)})"
    return (
        f"{said}; they go on, and a running switch takes it with --yes only" if change.action.value == "ended" else said
    )


def _first(found: "CallsUsing | OwnValues | TemplateUsers") -> str:
    return ", ".join(found.first) + (" ..." if found.number > len(found.first) else "")


def _show_keys(keys: "Any") -> None:
    for key, (before, after) in keys.items():
        output.line(f"  {key}: {_value(before)} -> {_value(after)}")


def _value(value: Any) -> str:
    return "(not set)" if value is None else str(value)


def _text_of(file: Path) -> tuple[str, str]:
    """Return the text of a file, and what messages call it; ``-`` is standard input."""
    is_input = str(file) == "-"
    called = "standard input" if is_input else str(file)
    try:
        return (sys.stdin.buffer.read() if is_input else file.read_bytes()).decode(), called
    except OSError as error:
        raise click.UsageError(f"{called}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        message = f"{called} is no text in UTF-8 (byte {error.start + 1}): a workbook is imported with --map"
        raise click.UsageError(message) from error
