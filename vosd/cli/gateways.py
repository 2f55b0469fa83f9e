"""``vosd gateway list`` and ``show``, also ``vosd status --gateways``: the gateways of the running switch."""

from typing import Any, Final

import click
from msgspec.structs import asdict

from vosd.cli import output
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import from_memory, ordered, principal
from vosd.cli.output import ScreenColumn
from vosd.control.peers import ListGateways

_ON_SCREEN: Final = {
    "gateway": ScreenColumn("gateway", narrowest=12),
    "kind": ScreenColumn("kind", rank=1),
    "state": ScreenColumn("state"),
    "calls": ScreenColumn("calls", is_figure=True),
    "attempts": ScreenColumn("tries", rank=2, is_figure=True),
    "asr": ScreenColumn("ASR %", is_figure=True),
    "acd_s": ScreenColumn("ACD s", is_figure=True),
    "pdd_ms": ScreenColumn("PDD ms", is_figure=True),
    "cost": ScreenColumn("cost/min", rank=3, is_figure=True),
    "currency": ScreenColumn("in", rank=4),
}


def show_gateways(invocation: Invocation) -> None:
    """Print every gateway: its state, its calls and their limit, and its figures of the last hour."""
    from vosd.admin.office.trunks import list_gateways

    listed = from_memory(invocation, lambda office: list_gateways(office, principal(), ListGateways()))
    if output.printed_as_json(listed):
        return
    rows = [*map(asdict, listed)]
    blocked = {row["gateway"]: row["blocked"] for row in rows if row["blocked"] is not None}
    resting = {row["gateway"]: row["rest"] for row in rows if row["rest"] is not None}
    for row in rows:
        row["state"] = _state(row)
        if row["kind"] == "group":
            row["attempts"] = None  # a group has no figures
        row["calls"] = f"{row['calls']}/{'-' if row['max_concurrent'] is None else row['max_concurrent']}"
    cells = [[row[key] for key in _ON_SCREEN] for row in rows]
    output.listing([*_ON_SCREEN.values()], cells, empty="no gateways")
    for name, why in blocked.items():
        output.remark(f"{name} is blocked {why}")
    for name, why in resting.items():
        output.remark(f"{name} rests: {why}")
    output.remark("figures of the last hour, or since the switch was started; cost: average of what a minute cost")


def _state(row: dict[str, Any]) -> str:
    """Return a state with its duration, past or remaining."""
    if row["since_s"] is not None:
        return f"{row['state']} for {row['since_s']} s"
    if row["rest_s"] is not None:
        return f"{row['state']}, {row['rest_s']} s left"
    return str(row["state"])


@click.command("list", cls=Verb)
@json_verb
def list_all(invocation: Invocation) -> None:
    """List every gateway of the running switch: state, calls of limit, ASR, ACD, PDD."""
    show_gateways(invocation)


@click.command("show", cls=Verb)
@click.argument("name")
@json_verb
def show(invocation: Invocation, name: str) -> None:
    """Show gateway or phone NAME: where and how it is defined, and how it is if the switch runs."""
    from vosd.admin.office.trunks import ShowTrunk, show_trunk

    found = ordered(invocation, show_trunk, ShowTrunk(name))
    if output.printed_as_json({"defined": found.defined, "running": found.running or []}):
        return
    for each in found.defined:
        output.line(f"{each.list}, defined at {each.at}")
        output.sheet({f"  {key}": value for key, value in each.keys.items()})
    for row in map(asdict, found.running or ()):
        output.line(f"{row['kind']}, as it runs")
        output.sheet({f"  {key}": value for key, value in row.items() if key not in {"gateway", "kind"}})
    if found.running is None:
        output.remark("no switch runs: this is what the files say")
