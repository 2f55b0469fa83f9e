"""``vosd route simulate``: what other routes would have done to the calls of a span."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from vosd.cli import output
from vosd.cli.arguments import MOMENT, Count
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import in_office, principal
from vosd.cli.progress import SpanMeter, meter

ALL_CALLS: Final = sys.maxsize
_SIDES: Final = ("before", "after")
_COUNTS: Final = ("calls", "answered", "minutes", "cost")
_MONEY: Final = ("cost", "margin")
_OF_VENDORS: Final = ("calls", "cost", "margin", "loss_calls", "loss")


@click.command("simulate", cls=Verb)
@click.option("--since", type=MOMENT, required=True, help="Calls whose INVITE came then or later.")
@click.option("--until", type=MOMENT, required=True, help="Calls whose INVITE came before.")
@click.option(
    "--with",
    "other",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Another configuration whose routes and rates are tried; default the one of -c.",
)
@click.option("--account", metavar="ID", help="The customer's or the vendor's.")
@click.option("--limit", type=Count(1), default=ALL_CALLS, metavar="N", help="At most so many, the newest.")
@click.option("--currency", metavar="CODE", help="Of fees, costs and margins; default that of most customers.")
@click.option(
    "--top",
    type=Count(1),
    default=20,
    show_default=True,
    metavar="N",
    help="Rows of destinations, and of areas and vendors.",
)
@json_verb
def simulate(invocation: Invocation, /, other: Path | None, **wanted: Any) -> None:
    """Route the calls of a span again, and show what would change by vendor, gateway and destination.

    Nothing is booked. The calls pass the steps of a real call, without live state: no limit is reached, no gateway is
    down, quality is unknown, money is not checked, overrides do not hold. A gateway that failed a call fails it again.

    "before" is what was booked. "after" is what the routes and rates say: simulate with those of now, once calls have
    passed them, to see what was foreseen beside what came.
    """
    from vosd.admin.office.routes import SimulateRoutes, simulate_routes

    order = SimulateRoutes(other=None if other is None else str(other), **wanted)
    with meter("calls") as shown:
        passed = SpanMeter(shown, order.since, order.until)
        answer = in_office(invocation, lambda office: simulate_routes(office, principal(), order, passed.passed))
    if not output.printed_as_json(answer):
        _show(answer)


def _show(answer: Mapping[str, Any]) -> None:
    output.line(f"{answer['calls']} calls, {answer['changed']} would go elsewhere")
    for left_out in answer["left_out"]:
        output.line(
            f"{left_out['calls']} calls that ended as {left_out['reason']} are left out: no route was looked for"
        )
    if answer["unasked"]:
        output.line(f"{answer['unasked']} calls would ask a redirect server, which counts as not answering")
    output.line("")
    output.table(
        ("", *_SIDES), [(name, *(answer[side][name] for side in _SIDES)) for name in answer["before"]], empty=""
    )
    for each in answer["currencies"]:
        output.line("")
        rows = [(name, *(each[side][name] for side in _SIDES)) for name in each["before"]]
        output.table((each["currency"] or "", *_SIDES), rows, empty="")
    for each in answer["unconverted"]:
        output.line(
            f"{each['amounts']} amounts in {each['currency']} are left out of these sums: no exchange rate is known"
        )
    for kind, title in (("vendors", "vendor"), ("gateways", "routing_gateway")):
        output.line("")
        _show_groups(answer[kind], title)
    output.line("")
    _show_margins(answer)
    if answer["without_route"]:
        output.line("")
        rows = [tuple(each.values()) for each in answer["without_route"]]
        output.table(("without route", *_SIDES), rows, empty="")
    output.line("")
    _show_destinations(answer["destinations"])
    if answer["destinations_changed"] > len(answer["destinations"]):
        output.remark(f"of {answer['destinations_changed']} destinations that change; --top N lists more")


def _show_groups(groups: Sequence[Mapping[str, Any]], title: str) -> None:
    rows = [[each[title], each["currency"], *_beside(each, _COUNTS)] for each in groups]
    output.table((title, "currency", *_titles(_COUNTS)), rows, empty="no gateway was called")


def _show_margins(answer: Mapping[str, Any]) -> None:
    own = ("area", "vendor", "currency")
    rows = [[*(each[name] for name in own), *_beside(each, _OF_VENDORS)] for each in answer["margins"]]
    output.table((*own, *_titles(_OF_VENDORS)), rows, empty="no call was carried")
    if answer["margins_in_all"] > len(rows):
        output.remark(f"of {answer['margins_in_all']} areas and vendors; --top N lists more")


def _show_destinations(destinations: Sequence[Mapping[str, Any]]) -> None:
    own = ("prefix", "area", "currency", "changed")
    rows = [[*(each[name] for name in own), each["before"]["calls"], *_beside(each, _MONEY)] for each in destinations]
    output.table((*own, "of calls", *_titles(_MONEY)), rows, empty="no destination would change")


def _titles(names: Sequence[str]) -> list[str]:
    return [f"{name} {side}" for name in names for side in _SIDES]


def _beside(row: Mapping[str, Any], names: Sequence[str]) -> list[object]:
    """Return each figure before and after."""
    return [row[side][name] for name in names for side in _SIDES]
