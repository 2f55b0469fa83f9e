"""``vosd definitions``: objects of the configuration that the database defines, with every version of each."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import msgspec

from vosd.cdr.columns import iso_utc
from vosd.cli import output
from vosd.cli.arguments import COMING, operator_option
from vosd.cli.command import Family, Invocation, OperationError, json_option, pass_invocation
from vosd.cli.output import Column

if TYPE_CHECKING:
    from vosd.admin.definitions import Prepared, Wanted
    from vosd.catalogue.stored_objects import ObjectStore, ObjectVersion

Result = TypeVar("Result")

_RELOAD_S: Final = 600.0
"""Longest time until the switch has taken a change."""
_LISTED: Final = (
    Column("kind"),
    Column("name", narrowest=12),
    Column("version", is_figure=True),
    Column("since"),
    Column("by", rank=2),
    Column("memo", rank=1, narrowest=10),
)
_VERSIONS: Final = (
    Column("version", is_figure=True),
    Column("from"),
    Column("made at", rank=3),
    Column("by", rank=2),
    Column("what", narrowest=16),
    Column("memo", rank=1, narrowest=10),
)
_KIND: Final = click.argument("kind")
_NAME: Final = click.argument("name")
_MEMO: Final = click.option("--memo", metavar="TEXT", help="Why; kept with the version.")
_AT: Final = click.option("--at", type=COMING, metavar="TIME", help="From when it holds; default: at once.")
_DRY: Final = click.option("--dry-run", "is_dry", is_flag=True, help="Show what would change, and change nothing.")
_YES: Final = click.option("--yes", is_flag=True, help="Also where it removes what running calls use.")


def _terms(command: Any) -> Any:
    """Add ``--memo``, ``--at``, ``--dry-run``, ``--yes``, ``--operator`` and ``--json`` to a verb that changes."""
    for option in (json_option, operator_option, _YES, _DRY, _AT, _MEMO):
        command = option(command)
    return command


@click.group(cls=Family)
def definitions() -> None:
    """Objects that the database defines: accounts, gateways, phones, rate groups ..."""


@definitions.command("list")
@click.argument("kind", required=False)
@json_option
@pass_invocation
def list_(invocation: Invocation, kind: str | None, as_json: bool) -> None:
    """List the objects in force, all or those of KIND, such as accounts."""
    from vosd.admin.definitions import listed

    _check(kind)
    found = _stored(invocation, lambda store: listed(store, _now(), kind))
    if as_json:
        output.document([_shown(each) for each in found])
        return
    rows = [
        (each.kind, each.name, each.version, iso_utc(each.begins_at), each.operator, each.memo or "") for each in found
    ]
    output.listing(_LISTED, rows, output.columns_of_screen() or 80, empty="the database defines none")


@definitions.command()
@_KIND
@_NAME
@click.option("--version", type=click.IntRange(1), metavar="N", help="This version; default: the one in force.")
@click.option("--secrets", is_flag=True, help="Show passwords too.")
@json_option
@pass_invocation
def show(invocation: Invocation, kind: str, name: str, version: int | None, secrets: bool, as_json: bool) -> None:
    """Show the keys of one object as YAML."""
    from vosd.admin.definitions import version_of
    from vosd.config.stored_text import keys_of, yaml_of

    _check(kind)
    found = _stored(invocation, lambda store: version_of(store, kind, name, version, _now()))
    keys = keys_of(found.body or "")
    document = _shown(found) | {"keys": keys if secrets else _hidden(keys)}
    if as_json:
        output.document(document)
    else:
        output.remark(f"version {found.version} of {kind} {name}, from {iso_utc(found.begins_at)}, by {found.operator}")
        click.echo(yaml_of(document["keys"]), nl=False)


@definitions.command("set")
@_KIND
@_NAME
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), required=True, metavar="F|-")
@_terms
@pass_invocation
def set_(invocation: Invocation, /, kind: str, name: str, file: Path, **terms: Any) -> None:
    """Define the object NAME by the keys in FILE, or change it; it has exactly these keys then.

    The whole configuration is validated with it first. A running switch uses it when the command returns.
    """
    from vosd.admin.definitions import Wanted
    from vosd.config.stored_text import read_object

    text, called = _text_of(file)
    found = read_object(kind, name, text, called, os.environ)
    _change(invocation, [Wanted(kind, name, found.body)], **terms)


@definitions.command()
@_KIND
@_NAME
@_terms
@pass_invocation
def delete(invocation: Invocation, /, kind: str, name: str, **terms: Any) -> None:
    """End the object NAME; its versions stay, and revert brings it back."""
    from vosd.admin.definitions import Wanted

    _check(kind)
    _change(invocation, [Wanted(kind, name, None)], **terms)


@definitions.command()
@_KIND
@_NAME
@json_option
@pass_invocation
def history(invocation: Invocation, kind: str, name: str, as_json: bool) -> None:
    """List the versions of one object, newest first: what each changed, when, who made it and why."""
    from vosd.admin.definitions import differing
    from vosd.admin.definitions import history as versions_of

    _check(kind)
    found = _stored(invocation, lambda store: versions_of(store, kind, name))
    before = [each.body for each in found[1:]] + [None]
    changes = [differing(old, each.body) for each, old in zip(found, before, strict=True)]
    if as_json:
        output.document([_shown(each) | {"keys": keys} for each, keys in zip(found, changes, strict=True)])
        return
    rows = [
        (
            each.version,
            iso_utc(each.begins_at),
            iso_utc(each.made_at),
            each.operator,
            "ends" if each.body is None else ", ".join(keys) or "nothing",
            each.memo or "",
        )
        for each, keys in zip(found, changes, strict=True)
    ]
    output.listing(_VERSIONS, rows, output.columns_of_screen() or 80, empty="none")


@definitions.command()
@_KIND
@_NAME
@click.option("--from", "first", type=click.IntRange(1), metavar="N", help="Default: the version before.")
@click.option("--to", "last", type=click.IntRange(1), metavar="N", help="Default: the newest version.")
@json_option
@pass_invocation
def diff(invocation: Invocation, kind: str, name: str, first: int | None, last: int | None, as_json: bool) -> None:
    """Show what differs between two versions of one object."""
    from vosd.admin.definitions import differing, numbered
    from vosd.admin.definitions import history as versions_of

    _check(kind)
    versions = _stored(invocation, lambda store: versions_of(store, kind, name))
    after = versions[0] if last is None else numbered(versions, last)
    earlier = after.version - 1 if first is None else first
    keys = differing(numbered(versions, earlier).body if earlier else None, after.body)
    if as_json:
        output.document({"kind": kind, "name": name, "from": earlier, "to": after.version, "keys": keys})
    else:
        _show_keys(keys)


@definitions.command()
@_KIND
@_NAME
@click.option("--to", "version", type=click.IntRange(1), required=True, metavar="N", help="The version to go back to.")
@_terms
@pass_invocation
def revert(invocation: Invocation, /, kind: str, name: str, version: int, **terms: Any) -> None:
    """Put the keys of an earlier version in force again, as a new version."""
    from vosd.admin.definitions import Wanted, numbered
    from vosd.admin.definitions import history as versions_of

    _check(kind)
    versions = _stored(invocation, lambda store: versions_of(store, kind, name))
    _change(invocation, [Wanted(kind, name, numbered(versions, version).body)], **terms)


@definitions.command()
@click.argument("kind", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Default: standard output."
)
@pass_invocation
def export(invocation: Invocation, kind: str | None, out: Path | None) -> None:
    """Write the objects in force as YAML, passwords included: vosd check accepts it, and import takes it back."""
    from vosd.admin.definitions import listed
    from vosd.config.stored_text import yaml_of_objects

    _check(kind)
    found = _stored(invocation, lambda store: listed(store, _now(), kind))
    text = yaml_of_objects(found)
    if out is None:
        click.echo(text, nl=False)
        return
    with open(out, "w", encoding="utf-8", opener=_for_owner) as file:
        file.write(text)
    output.remark(f"{len(found)} objects written to {out}, which may have passwords")


@definitions.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@_terms
@pass_invocation
def import_(invocation: Invocation, /, file: Path, **terms: Any) -> None:
    """Define or change the objects in FILE, all of them or none; objects that are not in it stay as they are.

    FILE has the sections of a configuration, such as accounts. To move a file that the configuration includes into the
    database, take it out of ``include`` first, do not reload, and import it: the switch takes both changes at once.
    """
    from vosd.admin.definitions import Wanted
    from vosd.config.stored_text import read_objects

    text, called = _text_of(file)
    found = read_objects(text, called, os.environ)
    _change(invocation, [Wanted(each.kind, each.name, each.body) for each in found], **terms)


def _change(
    invocation: Invocation,
    objects: "Sequence[Wanted]",
    *,
    memo: str | None,
    at: int | None,
    is_dry: bool,
    yes: bool,
    operator: str,
    as_json: bool,
) -> None:
    """Carry out a change, have the running switch take it, and show what it does."""
    from vosd.admin.definitions import Order, change

    now = _now()
    order = Order(objects=objects, operator=operator, now=now, at=at, memo=memo)
    prepared = _stored(invocation, lambda store: change(store, order, _checked(invocation), is_dry=is_dry))
    taken = None
    if prepared.versions and not is_dry and at is None:
        taken = _taken(invocation, is_confirmed=yes)
    document = {
        "dry_run": is_dry,
        "in_force": taken,
        "changes": [
            msgspec.to_builtins(each) | {"begins_at": iso_utc(each.begins_at)} for each in prepared.differences
        ],
    }
    if as_json:
        output.document(document)
    else:
        _show(prepared, is_dry=is_dry)


def _checked(invocation: Invocation) -> "Callable[[Sequence[ObjectVersion]], object]":
    """Return what validates the configuration with a change, and raises ConfigError."""
    from vosd.config.load import load
    from vosd.config.stored_text import overlaid

    def check(versions: "Sequence[ObjectVersion]") -> object:
        return load(
            invocation.config_path(),
            tables=invocation.tables,
            definitions=lambda wanted: overlaid(invocation.definitions(wanted), versions),
        )

    return check


def _taken(invocation: Invocation, *, is_confirmed: bool) -> bool:
    """Have the running switch take the change; false where none runs.

    Raises:
        OperationError: it does not take it.
        DaemonUnreachableError: it runs and does not answer.
    """
    from vosd.control.client import DaemonRefusedError, DaemonUnreachableError
    from vosd.control.installation import Reload

    try:
        answer = asyncio.run(invocation.running_switch(_RELOAD_S).ask_if_running(Reload(is_confirmed=is_confirmed)))
    except DaemonRefusedError as refused:
        reasons = "\n".join((str(refused), *refused.problems))
        message = f"the change is in the database, and the running switch does not take it:\n{reasons}"
        raise OperationError(message) from refused
    except DaemonUnreachableError:
        output.remark("the change is in the database; a running switch reads it within a second of its own accord")
        raise
    if answer is None:
        output.remark("no switch runs: the change holds from its next start")
    return answer is not None


def _show(prepared: "Prepared", *, is_dry: bool) -> None:
    would = "would be " if is_dry else ""
    for each in prepared.differences:
        version = "" if each.version is None else f": version {each.version}, from {iso_utc(each.begins_at)}"
        output.line(f"{each.kind} {each.name} {would}{each.action.value}{version}")
        if len(prepared.differences) == 1:
            _show_keys(each.keys)
        for planned in each.planned:
            output.remark(f"{each.kind} {each.name}: version {planned} is planned and replaces this one")


def _show_keys(keys: "Any") -> None:
    for key, (before, after) in keys.items():
        output.line(f"  {key}: {_value(before)} -> {_value(after)}")


def _value(value: Any) -> str:
    return "(not set)" if value is None else str(value)


def _shown(each: "ObjectVersion") -> dict[str, Any]:
    document = msgspec.to_builtins(each)
    del document["body"]
    return {
        **document,
        "begins_at": iso_utc(each.begins_at),
        "made_at": iso_utc(each.made_at),
        "defined": each.body is not None,
    }


def _hidden(keys: Any) -> Any:
    from vosd.admin.definitions import hidden

    return hidden("", keys)


def _check(kind: str | None) -> None:
    from vosd.config.stored_text import check_kind

    if kind is not None:
        check_kind(kind)


def _text_of(file: Path) -> tuple[str, str]:
    """Return the text of a file, and what messages call it; ``-`` is standard input."""
    if str(file) == "-":
        return sys.stdin.read(), "standard input"
    try:
        return file.read_text(encoding="utf-8"), str(file)
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file}: {error}"
        raise OperationError(message) from error


def _stored(invocation: Invocation, use: "Callable[[ObjectStore], Awaitable[Result]]") -> Result:
    from vosd.cli.database import database_of
    from vosd.storage.stored_objects import SqlObjects

    async def run() -> Result:
        async with database_of(invocation.database_url) as database:
            return await use(SqlObjects(database))

    return asyncio.run(run())


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _now() -> int:
    return time.time_ns() // 1_000_000
