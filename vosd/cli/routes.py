"""``vosd route``: the route of a call, explained."""

from typing import TYPE_CHECKING, Any, Final

import click
from msgspec import UNSET

from vosd.cli import output
from vosd.cli.arguments import MOMENT
from vosd.cli.command import Family, Invocation, json_verb
from vosd.cli.office import ordered
from vosd.cli.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from vosd.control.routes import CandidateSheet, MediaStepSheet, RouteSheet

_BY_COST: Final = {"cost", "price", "blend"}
"""Criteria of a plan for which prices are shown."""


_NOT_KEPT: Final = (
    "Not kept, hence not considered: quality, registrations, gateways that were down or full, balances. The "
    "configuration is that of now; vosd why CALL_ID says how a call of then was routed"
)


@click.group(cls=Family)
def route() -> None:
    """Routes."""


route.add_command(simulate)


@route.command("explain")
@click.option("--gateway", required=True, metavar="NAME", help="Mapping gateway that the call comes from.")
@click.option("--caller", required=True, metavar="NUMBER", help="Calling number.")
@click.option(
    "--callee",
    required=True,
    metavar="NUMBER",
    help="Called number, as it is dialled; a context is written behind it: 1234;phone-context=+49.",
)
@click.option("--at", type=MOMENT, help="When; default now.")
@click.option("--forwarded", is_flag=True, help="Its INVITE has a Diversion header.")
@click.option("--withheld", is_flag=True, help="The caller withholds its number, by Privacy or Remote-Party-ID.")
@click.option(
    "--anonymous", is_flag=True, help="From is anonymous: the number is in P-Asserted-Identity or another header."
)
@click.option("--source", metavar="ADDRESS", help="Address that it comes from; default one that may call.")
@click.option("--user-agent", metavar="TEXT", help="Its User-Agent; default one that is allowed.")
@click.option("--plan", metavar="NAME", help="Routing plan by which it goes; default that of its gateway or account.")
@click.option("--live", is_flag=True, help="Ask the running switch, with the calls that it has now.")
@json_verb
def explain(invocation: Invocation, /, **wanted: Any) -> None:
    """Show the outcome of a call: accepted or refused, which gateways are tried, why others are not."""
    from vosd.admin.office.routes import ExplainCall, explain_call

    found = ordered(invocation, explain_call, ExplainCall(**wanted))
    if found.without_database:
        output.remark(f"balances are not judged: {found.without_database}")
        output.remark("overrides are not considered")
    if found.is_past:
        output.remark(f"as at that moment: overrides, calendars, validity, rates by their dates. {_NOT_KEPT}")
    if not output.printed_as_json(found.sheet):
        _show(found.sheet)


def _show_comparison(answer: "RouteSheet") -> None:
    """Say by which call the costs of gateways are compared, and what the customer pays."""
    measured = "as long as such calls lately" if answer.typical_seconds_measured else "routing.typical_seconds"
    output.line(f"plan {answer.plan}: {', '.join(answer.order or ())}; costs of a minute in a call of")
    output.line(f"{answer.typical_seconds} s ({measured})")
    rate = answer.rate
    if rate:
        output.line(f"sold for {rate.effective_price} {rate.currency} (price {rate.price_per_minute})")


_OTHERWISE: Final = 8
"""The step of the decision about media behind all questions."""


def _media(candidate: "CandidateSheet") -> str:
    encryption = f" (encryption: {candidate.encryption})" if candidate.encryption is not UNSET else ""
    if candidate.relayed is None:
        return f"by steps 6 to 8{encryption}"
    how = "relayed" if candidate.relayed else "direct"
    by = f"step {candidate.media_step}" if candidate.media_step else "by SS_MEDIAPROXYMODE"
    return f"{how}, {by}{encryption}"


def _show_media_steps(answer: "RouteSheet") -> None:
    """Say how networks and NAT decide about media, once for all gateways with the same answers."""
    found: dict[tuple[MediaStepSheet, ...], list[str]] = {}
    for candidate in answer.candidates:
        if candidate.media_steps is not UNSET:
            found.setdefault((*candidate.media_steps,), []).append(candidate.routing_gateway)
    for steps, gateways in found.items():
        output.line("")
        output.line(f"media of {', '.join(gateways)} by networks and NAT:")
        for each in steps:
            known = "relayed" if each.relayed else "direct" if each.step == _OTHERWISE else "no"
            output.line(f"  step {each.step}: {'not known' if each.relayed is None else known}, {each.reason}")


def _columns_beside(answer: "RouteSheet") -> "dict[str, Callable[[CandidateSheet], str]]":
    """Return the columns that gateways have in some answers alone, each with the function that makes its cells."""
    columns: dict[str, Callable[[CandidateSheet], str]] = {}
    if any(each.media_step is not UNSET for each in answer.candidates):
        columns["media"] = _media
    if any(each.attestation is not UNSET for each in answer.candidates):
        columns["attestation"] = lambda each: "-" if each.attestation is UNSET else each.attestation
    if addresses := answer.addresses:  # only the running switch resolves names
        columns["addresses"] = lambda each: " ".join(addresses[each.routing_gateway])
    return columns


def _show(answer: "RouteSheet") -> None:
    detail = f": {answer.detail}" if answer.detail else ""
    output.line(f"{answer.result}{detail} (number billed: {answer.callee_billed})")
    rate = answer.rate
    if rate and rate.candidates:
        rates = ["source", "rate_group", "rate_prefix", "price_per_minute"]
        output.line("may be priced by, the first line at admission:")
        rows = [rate, *(each for each in rate.candidates if each.source != rate.source)]
        output.records(rates, rows, empty="no rates")
    columns = ["position", "routing_gateway", "callee_out", "caller_out", "reason"]
    if _BY_COST & {*(answer.order or ())}:
        _show_comparison(answer)
        columns[2:4] = ["cost", "effective_cost", "currency", "margin"]
    beside = _columns_beside(answer)
    cells = [
        [*(getattr(candidate, column) for column in columns), *(cell_of(candidate) for cell_of in beside.values())]
        for candidate in answer.candidates
    ]
    output.table([*columns, *beside], cells, empty="no gateway would be tried")
    _show_media_steps(answer)
    if answer.agents:
        output.line("charged to its agents as well:")
        levels = ["level", "account", "rate_group", "rate_prefix", "price_per_minute"]
        output.records(levels, answer.agents, empty="no agents")
    if answer.left:
        output.line("")
        output.table(("left out", "reason"), [(each.routing_gateway, each.reason) for each in answer.left], empty="")
    if answer.unfit:
        has = "gateway has" if answer.unfit == 1 else "gateways have"
        output.line(f"{answer.unfit} more {has} no prefix for the number")
