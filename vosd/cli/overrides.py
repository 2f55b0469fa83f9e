"""``vosd gateway`` and ``vosd overrides``: settings that win over the configuration until they are cleared or expire.

The overrides of accounts have the same options (``cli.accounts``).
"""

import asyncio
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from vosd.cli import gateways, output
from vosd.cli.acting import as_option, authority, recorded_operator, refuse
from vosd.cli.arguments import COMING, DURATION, operator_option
from vosd.cli.command import Family, Invocation, OperationError, json_option, pass_invocation
from vosd.cli.office import now_ms
from vosd.cli.output import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vosd.admin.overrides import Configured, Outcome, OverrideOrder, Selection
    from vosd.billing.authority import Authority
    from vosd.catalogue.overrides import Setting, Target

HIGHEST: Final = 1_000_000
"""Of priorities and limits, as in the configuration."""
_NONE: Final = "none"
_ON_SCREEN: Final = {
    "target": Column("target", rank=2),
    "name": Column("name", narrowest=12),
    "setting": Column("setting"),
    "value": Column("value", is_figure=True),
    "until": Column("until", rank=1),
    "operator": Column("by", rank=3),
    "memo": Column("memo", narrowest=10),
}


class Limit(click.ParamType[str]):
    """A limit of calls, or ``none``; the value is text as it is stored."""

    name = "limit"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Accept 1 to ``HIGHEST`` and ``none``: what shall take no calls is blocked."""
        if value == _NONE:
            return value
        if not (value.isascii() and value.isdigit() and 1 <= int(value) <= HIGHEST):
            self.fail(f"{value!r} is neither a whole number from 1 to {HIGHEST} nor {_NONE}", param, ctx)
        return str(int(value))


_PRIORITY: Final = click.IntRange(1, HIGHEST)
_WEIGHT: Final = click.IntRange(0, HIGHEST)
_LIMIT: Final = Limit()


def order_options(command: Any) -> Any:
    """Add ``--until``, ``--for``, ``--memo``, ``--operator``, ``--as`` and ``--json`` to a verb that sets overrides."""
    command = json_option(operator_option(as_option(_with_end(command))))
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
@pass_invocation
def block(invocation: Invocation, /, name: str, as_json: bool, acting: str | None, **terms: Any) -> None:
    """Let gateway or phone NAME make and take no new calls; running calls go on."""
    from vosd.catalogue.overrides import Setting

    order = order_of({Setting.BLOCKED: ""}, acting, **terms)
    show_set(asyncio.run(_set(invocation, name, order, acting)), as_json=as_json)


@gateway.command("unblock")
@click.argument("name")
@operator_option
@as_option
@json_option
@pass_invocation
def unblock(invocation: Invocation, /, name: str, operator: str, acting: str | None, as_json: bool) -> None:
    """End the block of gateway or phone NAME; exit code 1 if there was none."""
    from vosd.admin.overrides import Selection
    from vosd.catalogue.overrides import Setting, Target

    may = authority(invocation, acting)
    if may is not None:
        _require_trunk(invocation, name, [Setting.BLOCKED], may)
    targets = (Target.MAPPING, Target.ROUTING) if may is None else (Target.MAPPING,)
    fitting = Selection(targets, name, Setting.BLOCKED)
    outcome = asyncio.run(clear(invocation, fitting, recorded_operator(operator, acting), may=may))
    show_unblocked(outcome, f"gateway {name}", as_json=as_json)


@gateway.command("set")
@click.argument("name")
@click.option("--priority", type=_PRIORITY, help="Of a routing gateway: lower is tried first.")
@click.option("--weight", type=_WEIGHT, help="Of a routing gateway: its share among those of equal priority.")
@click.option("--max-concurrent", type=_LIMIT, metavar="N", help=f"Calls at the same time; {_NONE} lifts the limit.")
@click.option("--max-cps", type=_LIMIT, metavar="N", help=f"Calls a second; {_NONE} lifts the limit.")
@order_options
@pass_invocation
def set_values(invocation: Invocation, /, name: str, as_json: bool, acting: str | None, **terms: Any) -> None:
    """Set values of gateway or phone NAME; each is an override of its own."""
    from vosd.catalogue.overrides import Setting

    settings = (Setting.PRIORITY, Setting.WEIGHT, Setting.MAX_CONCURRENT, Setting.MAX_CPS)
    given = {setting: terms.pop(setting.value) for setting in settings}
    values = {setting: str(value) for setting, value in given.items() if value is not None}
    if not values:
        raise click.UsageError("say what to set, such as --max-concurrent 20")
    refuse(acting, priority=given[Setting.PRIORITY] is not None, weight=given[Setting.WEIGHT] is not None)
    outcome = asyncio.run(_set(invocation, name, order_of(values, acting, **terms), acting))
    show_set(outcome, as_json=as_json)


@click.group(cls=Family)
def overrides() -> None:
    """Operational overrides of gateways, phones and accounts."""


@overrides.command("list")
@click.option("--history", "is_history", is_flag=True, help="List what was set, cleared and expired, newest first.")
@click.option("--name", metavar="NAME", help="Of objects of this name only.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Most changes listed.")
@json_option
@pass_invocation
def list_all(invocation: Invocation, /, is_history: bool, name: str | None, limit: int, as_json: bool) -> None:
    """List the overrides in force, with who set them, until when and why."""
    rows = asyncio.run(_history(invocation, limit, name) if is_history else _list(invocation, name))
    if as_json:
        output.document(rows)
        return
    columns = {"at": Column("at"), "action": Column("action"), **_ON_SCREEN} if is_history else _ON_SCREEN
    cells = [[_cell(row, key) for key in columns] for row in rows]
    width = output.columns_of_screen() or output.UNFOLDED
    output.listing([*columns.values()], cells, width, empty="nothing was overridden" if is_history else "no overrides")
    for row in rows:
        if row.get("applies") is False:
            output.remark(f"{row['setting']} of {row['target']} {row['name']} applies to nothing: it is not configured")


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
@operator_option
@json_option
@pass_invocation
def clear_all(
    invocation: Invocation, /, name: str | None, setting: str | None, yes: bool, operator: str, as_json: bool
) -> None:
    """Clear the overrides of everything called NAME, or all; the configuration holds again."""
    from vosd.admin.overrides import Selection

    fitting = Selection(name=name, setting=None if setting is None else _setting(setting))
    outcome = asyncio.run(clear(invocation, fitting, operator, at_most=None if yes or name is not None else 1))
    if not outcome.overrides:
        message = "there is no such override; vosd overrides list shows all"
        raise OperationError(message)
    _remark(outcome)
    if as_json:
        output.document(outcome.overrides)
    for each in () if as_json else outcome.overrides:
        output.line(f"cleared {each.setting} of {each.target} {each.name}")


def _setting(text: str) -> "Setting":
    from vosd.catalogue.overrides import Setting

    try:
        return Setting(text)
    except ValueError:
        names = ", ".join(each.value for each in Setting)
        raise click.BadParameter(f"{text!r}: expected one of {names}", param_hint="--setting") from None


# -- what the overrides of accounts need as well ------------------------------------------------------------------


def order_of(
    values: "Mapping[Setting, str]", acting: str | None, *, operator: str, until: int | None, memo: str | None
) -> "OverrideOrder":
    """Return what an operator, or the agent ``acting``, wants from now on."""
    from vosd.admin.overrides import OverrideOrder

    return OverrideOrder(values, recorded_operator(operator, acting), now_ms(), until, memo)


async def put(
    invocation: Invocation,
    name: str,
    targets: "Sequence[Target]",
    order: "OverrideOrder",
    may: "Authority | None" = None,
) -> "Outcome":
    """Set overrides of an object of the configuration; an agent replaces none that others have set."""
    from vosd.admin.agents import require_own
    from vosd.admin.overrides import set_overrides
    from vosd.catalogue.overrides import Key
    from vosd.cli.database import database_of
    from vosd.storage.overrides import SqlOverrides

    async with database_of(invocation.database_url) as database:
        store = SqlOverrides(database)
        if may is not None:
            keys = [Key(target, name, setting) for target in targets for setting in order.values]
            require_own((await store.load()).at(order.now), keys, may)
        return await set_overrides(name, targets, order, store, invocation.running_switch())


async def clear(
    invocation: Invocation,
    fitting: "Selection",
    operator: str,
    *,
    at_most: int | None = None,
    may: "Authority | None" = None,
) -> "Outcome":
    """Clear overrides; an agent clears none that others have set."""
    from vosd.admin.agents import require_own
    from vosd.admin.overrides import OverrideOrder, clear_overrides
    from vosd.cli.database import database_of
    from vosd.storage.overrides import SqlOverrides

    order = OverrideOrder({}, operator, now_ms())
    async with database_of(invocation.database_url) as database:
        store = SqlOverrides(database)
        if may is not None:
            in_force = (await store.load()).at(order.now)
            require_own(in_force, filter(fitting.has, in_force.by_key), may)
        return await clear_overrides(fitting, order, store, invocation.running_switch(), at_most=at_most)


def show_set(outcome: "Outcome", *, as_json: bool) -> None:
    """Print what was set."""
    _remark(outcome)
    if as_json:
        output.document(outcome.overrides)
    for each in () if as_json else outcome.overrides:
        value = "" if each.value is None else f" {each.value}"
        until = "until it is cleared" if each.until is None else f"until {each.until}"
        output.line(f"{each.target} {each.name}: {each.setting}{value} {until}")


def show_unblocked(outcome: "Outcome", what: str, *, as_json: bool) -> None:
    """Print what was unblocked; fail if nothing was."""
    if not outcome.overrides:
        message = f"{what} is not blocked; vosd overrides list shows what is"
        raise OperationError(message)
    _remark(outcome)
    if as_json:
        output.document(outcome.overrides)
    else:
        output.line(f"{what} is unblocked")


def _remark(outcome: "Outcome") -> None:
    if outcome.untold:
        output.remark(f"stored, but the running switch has not taken it yet: {outcome.untold}")


def _configured(invocation: Invocation, *, with_accounts: bool) -> "Configured":
    """Return the names of the configuration that can be overridden."""
    from vosd.admin.overrides import Configured

    names = invocation.excerpt.gateways_by_list()
    accounts = invocation.excerpt.accounts() if with_accounts else ()
    destinations = invocation.excerpt.destination_classes() if with_accounts else ()
    return Configured(accounts, names["mapping_gateways"] | names["phones"], names["routing_gateways"], destinations)


async def _set(invocation: Invocation, name: str, order: "OverrideOrder", acting: str | None) -> "Outcome":
    from vosd.admin.overrides import gateway_targets
    from vosd.catalogue.overrides import Target

    may = authority(invocation, acting)
    if may is not None:
        _require_trunk(invocation, name, order.values, may)
        return await put(invocation, name, (Target.MAPPING,), order, may)
    return await put(invocation, name, gateway_targets(name, _configured(invocation, with_accounts=False)), order)


def _require_trunk(invocation: Invocation, name: str, settings: "Iterable[Setting]", may: "Authority") -> None:
    """Check that an agent may change a mapping gateway or phone: it is of an account below the agent."""
    from vosd.admin.agents import require_trunk

    is_phone = name in invocation.excerpt.gateways_by_list()["phones"]
    require_trunk(name, invocation.excerpt.payers().get(name), settings, may, is_phone=is_phone)


async def _list(invocation: Invocation, name: str | None) -> list[dict[str, Any]]:
    from vosd.admin.overrides import listed
    from vosd.cli.database import database_of
    from vosd.storage.overrides import SqlOverrides

    async with database_of(invocation.database_url) as database:
        found = await SqlOverrides(database).load()
    return [
        row
        for row in listed(found, _configured(invocation, with_accounts=True), now_ms())
        if name in {None, row["name"]}
    ]


async def _history(invocation: Invocation, limit: int, name: str | None) -> list[dict[str, Any]]:
    from vosd.admin.overrides import history
    from vosd.cli.database import database_of
    from vosd.storage.overrides import SqlOverrides

    async with database_of(invocation.database_url) as database:
        return history(await SqlOverrides(database).changes(limit, name))
