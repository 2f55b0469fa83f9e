"""``vosd cdr``: calls from the database; ``show`` also draws a running one."""

import asyncio
import csv
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

from vosd.cdr.columns import ATTEMPT_KEYS, KEYS, csv_row, json_object
from vosd.cli import output
from vosd.cli.arguments import CALL_ID, MOMENT, REASON
from vosd.cli.charges import charge_table, charges
from vosd.cli.command import Family, Invocation, OperationError, json_option, pass_invocation
from vosd.cli.corrections import correct, corrections
from vosd.cli.later import not_built_yet
from vosd.cli.output import Column
from vosd.cli.trace import CAPTURE, capture, ladder
from vosd.cli.why import show_why

if TYPE_CHECKING:
    from vosd.cdr.record import CallRecord
    from vosd.obs.traced import TracedCall
    from vosd.storage.ports import Queries, StoredCall

_SHOWN: Final = (
    "started_at", "mapping_gateway", "caller_in", "callee_in", "routing_gateway",
    "end_reason", "sip_code", "hold_time_s", "fee", "call_id",
)  # fmt: skip
"""Columns of the table in a file or a pipe; --json and --csv have all."""

_ON_SCREEN: Final = {
    "call_id": Column("id"),
    "started_at": Column("started, UTC"),
    "mapping_gateway": Column("from", rank=2, narrowest=8),
    "caller_in": Column("caller", narrowest=13),
    "callee_in": Column("callee", narrowest=13),
    "routing_gateway": Column("to", rank=1, narrowest=8),
    "end_reason": Column("reason", narrowest=8),
    "sip_code": Column("code", rank=3, is_figure=True),
    "hold_time_s": Column("s", is_figure=True),
    "fee": Column("fee", is_figure=True),
}
"""Columns of the listing on a terminal, one line for each call; they fit 80 characters."""

CORRECTED: Final = "*"
"""Stands behind the fee of a call whose charges were corrected."""
_CANDIDATES_SHOWN: Final = 5


@click.group(cls=Family)
def cdr() -> None:
    """Call detail records."""


cdr.add_command(not_built_yet("export"))
cdr.add_command(charges)
cdr.add_command(correct)
cdr.add_command(corrections)


@cdr.command("list")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N")
@click.option("--since", type=MOMENT, help="Calls whose INVITE came then or later.")
@click.option("--until", type=MOMENT, help="Calls whose INVITE came before.")
@click.option("--account", metavar="ID", help="The customer's or the vendor's.")
@click.option("--gateway", metavar="NAME", help="The mapping or the routing one.")
@click.option("--caller", metavar="NUMBER", help="Beginning of the calling number.")
@click.option("--callee", metavar="NUMBER", help="Beginning of the called number.")
@click.option("--reason", type=REASON, metavar="R", help="Why the call ended, such as Busy.")
@click.option("--sip-call-id", metavar="ID", help="Call-ID of the caller's leg, or of the last vendor's.")
@click.option("--before", type=CALL_ID, metavar="CALL_ID", help="Continue after this call: older calls only.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header.")
@json_option
@pass_invocation
def list_calls(
    invocation: Invocation, /, as_csv: bool, as_json: bool, before: str | None, **criteria: str | int | None
) -> None:
    """List calls, newest first.

    On a terminal the columns that fit are shown, with the beginning of each call id, which other verbs accept.
    Longer listings: page by page with --before, or at once with --csv or --json and a high --limit.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv or --json, not both")
    form = _Csv() if as_csv else _Json() if as_json else _Table(criteria["limit"])
    asyncio.run(_list(invocation, before, criteria, form))


class _Form(Protocol):
    """A form of a listing."""

    def add(self, call: "StoredCall") -> None:
        """Add the next call."""
        ...

    async def finish(self, queries: "Queries") -> None:
        """Print the rest."""
        ...


class _Csv:
    def __init__(self) -> None:
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._has_header = False

    def add(self, call: "StoredCall") -> None:
        self._begin()
        self._writer.writerow(csv_row(call.record, call.export_seq))

    async def finish(self, queries: "Queries") -> None:  # noqa: ARG002
        self._begin()

    def _begin(self) -> None:
        if not self._has_header:
            self._writer.writerow(KEYS)
            self._has_header = True


class _Json:
    def __init__(self) -> None:
        self._array = output.Documents()

    def add(self, call: "StoredCall") -> None:
        self._array.add(json_object(call.record, call.export_seq))

    async def finish(self, queries: "Queries") -> None:  # noqa: ARG002
        self._array.close()


class _Table:
    """One line for each call: on a terminal the columns that fit, else ``_SHOWN``."""

    def __init__(self, limit: object) -> None:
        self._limit = limit
        self._width = output.columns_of_screen()
        self._keys = _SHOWN if self._width is None else (*_ON_SCREEN,)
        self._rows: list[list[Any]] = []
        self._has_corrected = False

    def add(self, call: "StoredCall") -> None:
        shown = json_object(call.record, call.export_seq)
        if self._width is not None:
            shown["started_at"] = _to_the_second(shown["started_at"])
            if is_corrected(call.record):
                shown["fee"] += CORRECTED
                self._has_corrected = True
        self._rows.append([shown[key] for key in self._keys])

    async def finish(self, queries: "Queries") -> None:
        if self._width is None:
            output.table(_SHOWN, self._rows, empty="no calls")
            return
        place = self._keys.index("call_id")
        short = await queries.short_ids([row[place] for row in self._rows])
        for row in self._rows:
            row[place] = short[row[place]]
        output.listing([*_ON_SCREEN.values()], self._rows, self._width, empty="no calls")
        if self._has_corrected:
            output.remark(f"{CORRECTED} = a charge was corrected afterwards: vosd cdr corrections CALL_ID")
        if len(self._rows) == self._limit:
            output.remark(f"older calls, if there are any: add --before {self._rows[-1][place]}")


def is_corrected(record: "CallRecord") -> bool:
    """Return whether a charge of the call was corrected after it was booked."""
    return any(charge.corrected for charge in record.charges)


def _to_the_second(moment: str) -> str:
    """Return month, day and time of a time in ISO 8601: a listing is seldom longer than a year."""
    return f"{moment[5:10]} {moment[11:19]}"


async def _list(invocation: Invocation, before: str | None, criteria: dict[str, Any], form: _Form) -> None:
    """Print the calls that fit, as they are read from the database.

    Raises:
        VosError: a name in the filter is unknown, or the database is away.
    """
    from vosd.admin.names import check_names
    from vosd.cli.database import database_of
    from vosd.storage.books import SqlBooks
    from vosd.storage.ports import CallFilter
    from vosd.storage.queries import SqlQueries

    async with database_of(invocation.settings) as database:
        queries = SqlQueries(database)
        position = None if before is None else (await _booked(queries, before)).position
        wanted = CallFilter(**criteria, before=position)
        is_empty = True
        async with aclosing(queries.stream(wanted)) as calls:
            async for call in calls:
                is_empty = False
                form.add(call)
        if is_empty:
            await check_names(wanted, invocation.excerpt, queries, SqlBooks(database))
        await form.finish(queries)


@cdr.command("show")
@click.argument("call_id", type=CALL_ID)
@click.option("--ladder", "as_ladder", is_flag=True, help="Draw what was said instead, if the switch still has it.")
@click.option("--pcap", type=CAPTURE, metavar="FILE", help="Write what was said to a capture for Wireshark.")
@click.option("--why", "as_why", is_flag=True, help="Say why it went where it did, and which gateways were left out.")
@json_option
@pass_invocation
def show(invocation: Invocation, call_id: str, as_ladder: bool, pcap: Path | None, as_why: bool, as_json: bool) -> None:
    """Show everything about one call; the first digits of CALL_ID are enough.

    In ladder, capture and the messages of --ladder --json, digest credentials and media keys are blanked. With
    --ladder or --pcap the call may still run.
    """
    if as_why and (as_ladder or pcap is not None):
        raise click.UsageError("--why or --ladder with --pcap, not both")
    call = asyncio.run(_find(invocation, call_id))
    if call is not None and as_why:
        show_why(call.record, as_json=as_json)
        return
    if call is None:
        _show_running(invocation, call_id, pcap, as_ladder=as_ladder, as_json=as_json)
        return
    shown = json_object(call.record, call.export_seq)
    if as_ladder or pcap is not None:
        traced = _traced(invocation, call.record)
        with capture(pcap) as file:
            file.add(traced.messages)
        if as_ladder and not as_json:
            ladder(traced)
            return
        if as_ladder:
            shown["messages"] = _messages(traced)
    if as_json:
        output.document(shown)
    else:
        _show_sheets(shown)


def _show_running(invocation: Invocation, call_id: str, pcap: Path | None, *, as_ladder: bool, as_json: bool) -> None:
    """Draw a call that is not booked yet.

    Raises:
        OperationError: the running switch does not have it either, or neither a ladder nor a capture is wanted.
    """
    from vosd.admin.control import NoDaemonError
    from vosd.admin.tracing import call_json, running_call

    try:
        found = asyncio.run(running_call(invocation.running_switch(), call_id))
    except NoDaemonError:
        found = None
    if found is None:
        message = f"no call {call_id} in the database, and none runs; a call is booked a moment after it ends"
        raise OperationError(message)
    if not as_ladder and pcap is None:
        hint = "--ladder draws what was said so far, vosd calls lists it"
        message = f"call {found.call_id} still runs and has no CDR yet: {hint}"
        raise OperationError(message)
    with capture(pcap) as file:
        file.add(found.messages)
    if as_json:
        output.document(call_json(found))
    elif as_ladder:
        ladder(found)


def _show_sheets(shown: dict[str, Any]) -> None:
    attempts, paid, breakdown = (shown.pop(key) for key in ("attempts", "charges", "fee_breakdown"))
    del shown["verdicts"]  # --why shows them
    output.sheet(shown)
    output.line("")
    output.table(ATTEMPT_KEYS, [[*attempt.values()] for attempt in attempts], empty="no gateway was tried")
    if paid:
        output.line("")
        charge_table(paid)
    parts = breakdown if isinstance(breakdown, dict) else {}
    said = {name: value for name, value in parts.items() if not isinstance(value, list)}
    if said:  # of a call whose peer vanished
        output.line("")
        output.sheet(said)
    for party, steps in parts.items():
        if party in said:
            continue
        output.line("")
        output.table((party, "figures"), output.figures(steps), empty="no steps")


def _traced(invocation: Invocation, record: "CallRecord") -> "TracedCall":
    from vosd.admin.tracing import messages_of, traced_call

    found = asyncio.run(messages_of(invocation.running_switch(), record))
    if found.left_out:
        output.remark(f"{found.left_out} later messages are left out: there is a bound to an answer")
    return traced_call(record, found.messages)


def _messages(call: "TracedCall") -> list[dict[str, Any]]:
    from vosd.admin.tracing import messages_json

    return messages_json(call.messages)


async def _find(invocation: Invocation, beginning: str) -> "StoredCall | None":
    from vosd.cli.database import database_of
    from vosd.storage.queries import SqlQueries

    async with database_of(invocation.settings) as database:
        return await the_one(SqlQueries(database), beginning)


async def _booked(queries: "Queries", beginning: str) -> "StoredCall":
    call = await the_one(queries, beginning)
    if call is None:
        message = f"no call {beginning} in the database: say the id of a call that was listed"
        raise OperationError(message)
    return call


async def the_one(queries: "Queries", beginning: str) -> "StoredCall | None":
    """Return the call whose id begins with ``beginning``, or None.

    Raises:
        OperationError: several do; the message lists them.
    """
    found = await queries.calls_beginning(beginning, _CANDIDATES_SHOWN + 1)
    if len(found) <= 1:
        return found[0] if found else None
    listed = [
        f"  {call.record.call_id}  {output.printable(f'{call.record.caller_in} -> {call.record.callee_in}')}"
        for call in found[:_CANDIDATES_SHOWN]
    ]
    more = ["  ..."] if len(found) > _CANDIDATES_SHOWN else []
    message = "\n".join([f"several calls begin with {beginning}, say more of the id:", *listed, *more])
    raise OperationError(message)
