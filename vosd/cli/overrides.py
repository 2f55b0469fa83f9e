"""``vosd gateway`` and ``vosd overrides``: settings that win over the configuration until they are cleared or expire.

The overrides of accounts have the same options (``cli.accounts``).
"""

from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec.structs import asdict

from vosd.cli import gateways, output
from vosd.cli.arguments import COMING, DURATION, WholeNumber, as_option, operator_option, operator_verb
from vosd.cli.command import Family, Invocation, json_option, json_verb, pass_invocation
from vosd.cli.office import ordered
from vosd.cli.output import ScreenColumn
from vosd.wiring.office import now_ms

if TYPE_CHECKING:
    from vosd.admin.office.overrides import OverrideOutcome
    from vosd.catalogue.overrides import Setting

_ON_SCREEN: Final = {
    "target": ScreenColumn("target", rank=2),
    "name": ScreenColumn("name", narrowest=12),
    "setting": ScreenColumn("setting"),
    "value": ScreenColumn("value", is_figure=True),
    "until": ScreenColumn("until", rank=1),
    "operator": ScreenColumn("by", rank=3),
    "memo": ScreenColumn("memo", narrowest=10),
}
_CHANGES: Final = {"at": ScreenColumn("at"), "action": ScreenColumn("action"), **_ON_SCREEN}


def order_options(command: Any) -> Any:
    """Hand a verb that sets overrides its invocation; add ``--until``, ``--for``, ``--memo`` and those of orders."""
    command = json_option(operator_option(as_option(_with_end(pass_invocation(command)))))
    command = click.option("--memo", metavar="TEXT", help="Why; shown wherever the override is.")(command)
    help_text = "When it expires; default: it stays until it is cleared."
    command = click.option("--for", "for_ms", type=DURATION, metavar="8h", help="How long it holds.")(command)
    return click.option("--until", type=COMING, metavar="TIME", help=help_text)(command)


def _with_end(command: Any) -> Any:
    """Turn ``--for`` of a verb into ``until``."""

    @wraps(command)
    def with_until(*args: Any, until: int | None, for_ms: int | None, **others: Any) -> Any:
        if until is not None and for_ms is not None:
            raise click.UsageError("--until or --for, not both")
        return command(*args, until=until if for_ms is None else now_ms() + for_ms, **others)

    return with_until


@click.group(cls=Family)
def gateway() -> None:
    """Gateways and phones, and overrides of them: at once, without editing files, until cleared or expired.

    A name that a mapping gateway and a routing gateway have means both.
    """


gateway.add_command(gateways.list_all)
gateway.add_command(gateways.show)


@gateway.command("block")
@click.argument("name")
@order_options
def block(invocation: Invocation, /, name: str, **terms: Any) -> None:
    """Let gateway or phone NAME make and take no new calls; running calls go on."""
    from vosd.admin.office.overrides import BlockGateway, block_gateway

    order = BlockGateway(name=name, **terms)
    show_set(ordered(invocation, block_gateway, order))


@gateway.command("unblock")
@click.argument("name")
@operator_option
@as_option
@json_verb
def unblock(invocation: Invocation, /, name: str) -> None:
    """End the block of gateway or phone NAME; exit code 1 if there was none."""
    from vosd.admin.office.overrides import UnblockGateway, unblock_gateway

    outcome = ordered(invocation, unblock_gateway, UnblockGateway(name))
    show_unblocked(outcome, f"gateway {name}")


@gateway.command("set")
@click.argument("name")
@click.option("--priority", metavar="N", help="Of a routing gateway: lower is tried first.")
@click.option("--weight", metavar="N", help="Of a routing gateway: its share among those of equal priority.")
@click.option("--max-concurrent", metavar="N", help="Calls at the same time; none lifts the limit.")
@click.option("--max-cps", metavar="N", help="Calls a second; none lifts the limit.")
@order_options
def set_values(invocation: Invocation, /, name: str, **terms: Any) -> None:
    """Set values of gateway or phone NAME; each is an override of its own."""
    from vosd.admin.office.overrides import SetGateway, set_gateway
    from vosd.catalogue.overrides import Setting

    settings = (Setting.PRIORITY, Setting.WEIGHT, Setting.MAX_CONCURRENT, Setting.MAX_CPS)
    given = {setting: terms.pop(setting.value) for setting in settings}
    values = {setting: value for setting, value in given.items() if value is not None}
    order = SetGateway(name=name, values=values, **terms)
    show_set(ordered(invocation, set_gateway, order))


@click.group(cls=Family)
def overrides() -> None:
    """Operational overrides of gateways, phones and accounts."""


@overrides.command("list")
@click.option("--history", "is_history", is_flag=True, help="List what was set, cleared and expired, newest first.")
@click.option("--name", metavar="NAME", help="Of objects of this name only.")
@click.option(
    "--limit", type=WholeNumber(1, 100_000), default=100, show_default=True, metavar="N", help="Most changes listed."
)
@json_verb
def list_all(invocation: Invocation, /, is_history: bool, name: str | None, limit: int) -> None:
    """List the overrides in force, with who set them, until when and why."""
    from vosd.admin.office.overrides import ShowOverrideChanges, ShowOverrides, show_override_changes, show_overrides

    if is_history:
        changes = ordered(invocation, show_override_changes, ShowOverrideChanges(limit=limit, name=name))
        _show([*map(asdict, changes)], _CHANGES)
        return
    found = ordered(invocation, show_overrides, ShowOverrides(name))
    _show([*map(asdict, found)], _ON_SCREEN)
    for each in () if output.wants_json() else found:
        if not each.applies:
            output.remark(f"{each.setting} of {each.target} {each.name} applies to nothing: it is not configured")


def _show(rows: list[dict[str, Any]], columns: dict[str, ScreenColumn]) -> None:
    if output.printed_as_json(rows):
        return
    cells = [[_cell(row, key) for key in columns] for row in rows]
    empty = "no overrides" if columns is _ON_SCREEN else "nothing was overridden"
    output.listing([*columns.values()], cells, empty=empty)


def _cell(row: dict[str, Any], key: str) -> Any:
    if key == "value":
        return row[key] or ""
    if key == "operator" and "by" in row:
        return row["by"] or ""
    if key == "until":
        return row[key] or "cleared"
    return row[key]


@overrides.command("clear")
@click.argument("name", required=False)
@click.option("--setting", metavar="KEY", help="This setting only, such as max_concurrent or blocked.")
@click.option("--yes", is_flag=True, help="Clear all overrides, where no NAME is given and there is more than one.")
@operator_verb
def clear_all(invocation: Invocation, /, name: str | None, setting: str | None, yes: bool) -> None:
    """Clear the overrides of everything called NAME, or all; the configuration holds again."""
    from vosd.admin.office.overrides import ClearOverrides, clear_overrides

    wanted = None if setting is None else _setting(setting)
    order = ClearOverrides(name=name, setting=wanted, clears_many=yes)
    outcome = ordered(invocation, clear_overrides, order)
    _remark(outcome)
    if output.printed_as_json(outcome.overrides):
        return
    for each in outcome.overrides:
        output.line(f"cleared {each.setting} of {each.target} {each.name}")


def _setting(text: str) -> "Setting":
    from vosd.catalogue.overrides import Setting

    try:
        return Setting(text)
    except ValueError:
        names = ", ".join(each.value for each in Setting)
        raise click.BadParameter(f"{text!r}: expected one of {names}", param_hint="--setting") from None


def show_set(outcome: "OverrideOutcome") -> None:
    """Print what was set."""
    _remark(outcome)
    if output.printed_as_json(outcome.overrides):
        return
    for each in outcome.overrides:
        value = "" if each.value is None else f" {each.value}"
        until = "until it is cleared" if each.until is None else f"until {each.until}"
        output.line(f"{each.target} {each.name}: {each.setting}{value} {until}")


def show_unblocked(outcome: "OverrideOutcome", what: str) -> None:
    """Print what was unblocked."""
    _remark(outcome)
    output.outcome(outcome.overrides, f"{what} is unblocked")


def _remark(outcome: "OverrideOutcome") -> None:
    if outcome.untold:
        output.remark(f"stored, but the running switch has not taken it yet: {outcome.untold}")
