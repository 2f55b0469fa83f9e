"""``vosd why``: the calls to a number, of an account or of a gateway, or one call, on one page."""

from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from vosd.cli import output
from vosd.cli.arguments import MOMENT, WholeNumber
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import ordered
from vosd.cli.trace import ladder

if TYPE_CHECKING:
    from vosd.admin.office.why import EndedCall, GoingOn, WhyPage
    from vosd.cdr.record import Attempt

_SHOWN_OF_CALL: Final = (
    "callee_out", "source_address", "customer_account", "reason_text", "refusal", "signature", "plan",
)  # fmt: skip
_NO_DAEMON: Final = "no switch answers: this is from the database alone, without running calls and without ladders"


@click.command(cls=Verb)
@click.option("--callee", metavar="NUMBER", help="Beginning of the called number.")
@click.option("--caller", metavar="NUMBER", help="Beginning of the calling number.")
@click.option("--account", metavar="ID", help="The customer's or the vendor's.")
@click.option("--gateway", metavar="NAME", help="The mapping or the routing one.")
@click.option("--call-id", metavar="ID", help="One call: its id or the beginning of it, or a Call-ID of its messages.")
@click.option("--since", type=MOMENT, help="Calls whose INVITE came then or later; default: the last 24 hours.")
@click.option("--until", type=MOMENT, help="Calls whose INVITE came before.")
@click.option("--limit", type=WholeNumber(1, 100), default=5, show_default=True, metavar="N", help="Newest calls.")
@json_verb
def why(invocation: Invocation, /, **wanted: Any) -> None:
    """Say why calls ended as they did: what to read first, then every detail, newest call first.

    Running calls and the messages of calls are shown if the switch runs; in ladders credentials are blanked.
    """
    from vosd.admin.office.why import ExplainCalls, explain_calls, page_json

    page = ordered(invocation, explain_calls, ExplainCalls(**wanted))
    if page.unaudited:
        output.remark(f"the audit has no line of it: {page.unaudited}")
    if not output.printed_as_json(page_json(page)):
        show(page)


def show(page: "WhyPage") -> None:
    """Print a page for people."""
    from vosd.admin.office.why import MORE_COUNTED

    for going_on in page.running:
        _show_running(going_on)
    for ended in page.ended:
        _show_ended(ended)
    if not page.running and not page.ended:
        output.line("no calls; a call whose source is not known leaves none: the log says so")
    if page.more:
        count = f"{page.more} or more" if page.more == MORE_COUNTED else str(page.more)
        output.remark(f"older calls that fit: {count}; say --limit, --until, or more of the call")
    if not page.is_live:
        output.remark(_NO_DAEMON)


def _show_running(call: "GoingOn") -> None:
    output.line(f"RUNNING  call {call.shown.call_id}: {call.shown.state}")
    output.sheet(msgspec.structs.asdict(call.shown))
    output.line("")
    if call.traced is not None:
        ladder(call.traced)


def _show_ended(call: "EndedCall") -> None:
    from vosd.admin.office.why import call_json, source_of
    from vosd.admin.why import final_of

    found: dict[str, Any] = call_json(call)
    record = call.record
    numbers = output.printable(f"{record.caller_in} -> {record.callee_in}")
    output.line(f"{found['started_at']}  {numbers}  from {source_of(record)}")
    output.line(f"  {output.printable(found['headline'])}")
    if found["todo"]:
        output.line(f"  To do: {found['todo']}.")
    output.line("")
    output.sheet({"call_id": record.call_id} | {key: found[key] for key in _SHOWN_OF_CALL if found[key] is not None})
    output.line("")
    rows = [
        [each.gateway, final_of(each), each.ms, each.pdd_ms, _media_of(each), each.reason] for each in record.attempts
    ]
    output.table(("tried", "code", "ms", "rang after ms", "media", "reason"), rows, empty="no gateway was tried")
    if found["left"]:
        output.line("")
        output.table(("left out", "reason"), [[*each.values()] for each in found["left"]], empty="")
    if found["more_left"]:
        output.line(f"{found['more_left']} more gateways were left out")
    if record.answered_at is not None and found["charges"]:
        output.line("")
        output.table(tuple(found["charges"][0]), [[*each.values()] for each in found["charges"]], empty="")
    output.line("")
    if call.traced is not None:
        ladder(call.traced)
    output.line(f"log: {found['log']}")
    output.line("")


def _media_of(attempt: "Attempt") -> str:
    """Return by which way the media of an attempt would go, and by which step (docs/media.md)."""
    path = attempt.media_path
    return "" if path is None else f"{path} (step {attempt.media_step})"
