"""``vosd report``: reports over calls, and the sums that they are made of."""

import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from vosd.cdr.columns import iso_utc
from vosd.cli import output
from vosd.cli.arguments import ANSWERED, MOMENT, REASON, ZONE, WholeNumber, as_option
from vosd.cli.command import Family, Invocation, OperationError, Verb, json_option, json_verb, pass_invocation
from vosd.cli.csv_form import csv_option, csv_writer
from vosd.cli.office import in_office_or_kept, in_reporting_office, ordered, principal
from vosd.cli.progress import meter
from vosd.cli.written_file import write_file
from vosd.processes import loops
from vosd.traffic.counted import DIGITS_SUMMED, TrafficKind
from vosd.traffic.ledger_reports import LEDGER_REPORTS, LedgerReport
from vosd.traffic.reports import DIGITS_MAX, READ_MAX, REPORTS, Report
from vosd.wiring.office import office_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from vosd.admin.office.office import Office
    from vosd.admin.office.principal import Principal
    from vosd.admin.office.reports import ReportSheet, ShowReport

Command = TypeVar("Command", bound=Any)
_SINCE: Final = click.option(
    "--since", type=MOMENT, metavar="TIME", help="Begin of the time, in whole quarters of an hour; default: midnight."
)
_UNTIL: Final = click.option("--until", type=MOMENT, metavar="TIME", help="End of it, likewise; default: now.")
_FIRST: Final = click.option("--since", type=MOMENT, required=True, metavar="TIME", help="Begin of the first hour.")
_LAST: Final = click.option("--until", type=MOMENT, required=True, metavar="TIME", help="End of the last hour.")

_HOUR_MS: Final = 3_600_000
_DIFFERENCE: Final = ("at", "figure", "stored", "counted", "of")
_SCHEDULED: Final = (
    "name", "report", "every", "timezone", "form", "directory", "mail", "done_until", "period", "due_at", "why",
    "retry_at", "source",
)  # fmt: skip


@click.group(cls=Family)
def report() -> None:
    """Reports over calls: revenue, gateways, destinations, quality, profit ...

    A report is about the calls that began in a time. Hours, days, weeks and months begin in --zone. Calls are added up
    for reports a few seconds after they were booked.
    """


def _of_account(shown: Report | LedgerReport) -> str:
    if isinstance(shown, LedgerReport):
        return "Entries of this account only."
    others = {"vendor_account": "Calls whose costs are booked on this account only.", "party": "This agent only."}
    return others.get(shown.account, "Calls that this account pays for only.")


def _criterion(shown: Report | LedgerReport, name: str, *flags: str, **terms: Any) -> "Callable[[Command], Command]":
    """Return what adds the option of a criterion to a verb; one that the report does not know is refused, not shown."""
    return click.option(*(flags or (f"--{name}",)), hidden=name not in shown.criteria, **terms)


def _number_options(shown: Report | LedgerReport) -> "Callable[[Command], Command]":
    """Return what adds the options about numbers to the verb of a report."""

    def added(command: Command) -> Command:
        for side, who, kind in (("callee", "called", TrafficKind.CALLEES), ("caller", "calling", TrafficKind.CALLERS)):
            reads = f"with more than {DIGITS_SUMMED[kind]} digits every call is read, {READ_MAX:,} at most."
            text = f"Rows by so many first digits of the {who} numbers; {reads}"
            digits = _criterion(
                shown, f"{side}_digits", f"--{side}-digits", type=WholeNumber(1, DIGITS_MAX), metavar="N", help=text
            )
            text = f"Calls whose {who} number begins so only; {reads}"
            command = _criterion(shown, side, metavar="NUMBER", help=text)(digits(command))
        return command

    return added


def _verb_of(shown: Report | LedgerReport) -> click.Command:
    @click.command(shown.name, cls=Verb, help=shown.meaning)
    @_SINCE
    @_UNTIL
    @click.option(
        "--group",
        type=click.Choice(shown.groups),
        default=shown.group,
        show_default=True,
        help="Spans of time that have rows of their own.",
    )
    @click.option("--zone", type=ZONE, help="Zone in which days begin. Default: UTC; with --as that of the account.")
    @click.option("--account", metavar="ID", help=_of_account(shown))
    @click.option("--below", is_flag=True, help="Also the accounts below that one.")
    @_criterion(shown, "vendor", metavar="ID", help="Calls whose costs are booked on this account only.")
    @_criterion(shown, "gateway", metavar="NAME", help="Calls by this gateway or phone, of either side, only.")
    @_criterion(shown, "area", metavar="AREA", help="Calls to this area only; a prefix where rates have no areas.")
    @_criterion(shown, "reason", type=REASON, metavar="R", help="Calls that ended so only, such as Busy.")
    @_criterion(shown, "answered", "--answered/--unanswered", default=None, help=ANSWERED)
    @_number_options(shown)
    @click.option("--xlsx", type=click.Path(path_type=Path, dir_okay=False), help="Write a spreadsheet.")
    @click.option("--pdf", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with a chart.")
    @as_option
    @csv_option
    @json_option
    @pass_invocation
    def show(invocation: Invocation, /, zone: "ZoneInfo | None", **given: Any) -> None:
        from vosd.admin.office.reports import ShowReport

        forms = {name: given.pop(name) for name in ("as_csv", "xlsx", "pdf")}
        if sum(map(bool, (*forms.values(), output.wants_json()))) > 1:
            raise click.UsageError("--csv, --xlsx, --pdf or --json: one of them")
        order = ShowReport(name=shown.name, zone="" if zone is None else zone.key, **given)
        made = _made(invocation, order)
        _print(made, **forms)
        if any(given[name] is not None and iso_utc(given[name]) != getattr(made, name) for name in ("since", "until")):
            output.remark(f"from {made.since} to {made.until}: reports are of whole quarters of an hour")

    return show


for _each in REPORTS.values():
    report.add_command(_verb_of(_each))
for _other in LEDGER_REPORTS.values():
    report.add_command(_verb_of(_other))


@report.command("list")
@as_option
@json_verb
def list_all(invocation: Invocation) -> None:
    """List the reports with their columns."""
    from vosd.admin.office.reports import ListReports, list_reports

    found = ordered(invocation, list_reports, ListReports())
    if output.printed_as_json(found):
        return
    output.table(
        ("report", "meaning", "columns"),
        [(each.name, each.meaning, " ".join(column.name for column in each.columns)) for each in found],
        empty="no reports",
    )


@report.command("scheduled")
@json_verb
def scheduled(invocation: Invocation) -> None:
    """List the reports that the switch makes at fixed times, and why one has failed."""
    from vosd.admin.office.reports import list_scheduled_reports
    from vosd.control.installation import ListScheduledReports
    from vosd.wiring.kept_state import kept_schedule

    who = principal()
    found = in_office_or_kept(
        invocation,
        lambda office: list_scheduled_reports(office, who, ListScheduledReports()),
        lambda state_dir: kept_schedule(state_dir, invocation.settings.reports, time.time_ns() // 1_000_000),
    )
    output.records(_SCHEDULED, found, empty="no report is made at a fixed time: reports of the configuration")


@report.command("verify")
@_FIRST
@_LAST
@json_verb
def verify(invocation: Invocation, since: int, until: int) -> None:
    """Count the calls of a time again; exit code 1 where a sum differs. Needs the calls: none that were dropped."""
    found, missing = loops.run(_differences(invocation, since, until))
    if not output.printed_as_json(found):
        said = [each | {"of": ", ".join(f"{key} {value}" for key, value in each["of"].items())} for each in found]
        output.table(_DIFFERENCE, [[each[name] for name in _DIFFERENCE] for each in said], empty="all sums agree")
    if missing:
        output.remark(f"{missing} calls of this time are not compared: they are not added up yet; vosd report rebuild")
    if found:
        raise OperationError(f"{len(found)} sums differ from their calls: vosd report rebuild makes them anew")


@report.command("rebuild")
@_SINCE
@_UNTIL
@json_verb
def rebuild(invocation: Invocation, since: int | None, until: int | None) -> None:
    """Add up the calls that are missing in the sums; with --since and --until then make the sums of that time anew.

    It may be interrupted, and be repeated: what is done stays.
    """
    if (since is None) != (until is None):
        raise click.UsageError("--since and --until, or neither")
    done = loops.run(_rebuilt(invocation, since, until))
    output.printed_as_json(done)


def _made(invocation: Invocation, order: "ShowReport") -> "ReportSheet":
    from vosd.admin.office.reports import show_report

    who = principal()
    return in_reporting_office(invocation, lambda office: show_report(office, who, order))


def _print(sheet: "ReportSheet", as_csv: str | None, xlsx: Path | None, pdf: Path | None) -> None:
    if xlsx is not None:
        from vosd.admin.spreadsheet import workbook_of

        write_file(xlsx, workbook_of(sheet))
        output.remark(f"{output.rows(len(sheet.rows))}: {xlsx}")
    elif pdf is not None:
        from vosd.admin.report_pdf import report_pdf

        write_file(pdf, report_pdf(sheet))
        output.remark(f"{output.rows(len(sheet.rows))}: {pdf}")
    elif output.wants_json():
        output.document(sheet)
    elif as_csv:
        csv_writer(as_csv).rows(sheet.table())
    else:
        columns, rows = [column.name for column in sheet.columns], [*sheet.rows, *sheet.total_rows()]
        added_up = " that is added up" if sheet.missing else ""
        empty = f"no call of that time{added_up} belongs to this report"
        output.table(columns, [[row.get(name) for name in columns] for row in rows], empty=empty)
    if sheet.without:
        output.remark(f"without {sheet.without}")
    if late := sheet.missing_in_replica:
        output.remark(f"{late} calls are missing: the replica of the database does not have them yet")
    if waiting := sheet.missing - late:
        output.remark(f"{waiting} calls are missing: they are not added up yet; vosd report rebuild adds them up")


async def _differences(invocation: Invocation, since: int, until: int) -> tuple[list[dict[str, Any]], int]:
    """Return the sums that differ, and how many calls are in none."""
    from vosd.admin.office.report_sums import CheckReports, check_reports, count_not_added
    from vosd.processes.life import give_way

    give_way()
    order, who = CheckReports(since, until), principal()
    with meter("hours") as shown:
        async with office_of(invocation) as office, aclosing(check_reports(office, who, order, shown.show)) as found:
            differences = [{name: getattr(each, name) for name in _DIFFERENCE} async for each in found]
            return differences, await count_not_added(office, who, order)


async def _rebuilt(invocation: Invocation, since: int | None, until: int | None) -> dict[str, int | str | None]:
    """Make sums, with progress on standard error; return how many calls were added, or until when sums are new.

    The missing calls are added up first, also those of a time that is made anew, and those that a broken sum of that
    time has kept out after it.

    Raises:
        OperationError: calls could not be added; the time was made anew.
    """
    from vosd.admin.office.report_sums import CheckReports, RebuildReports, count_not_added, rebuild_reports
    from vosd.processes.life import give_way
    from vosd.storage.driver_errors import ContentRefused

    give_way()
    async with office_of(invocation, remark=invocation.remark) as office:
        who = principal()
        if since is None or until is None:
            return {"calls_added": await _added(office, who)}
        try:
            await _added(office, who)
            is_added = True
        except ContentRefused:
            is_added = False
        done_until, hours = None, 0
        with meter("hours") as shown:
            async with aclosing(rebuild_reports(office, who, RebuildReports(since, until))) as ends:
                async for end in ends:
                    done_until, hours = end, hours + 1
                    shown.show(hours * _HOUR_MS / (until - since), hours)
        if done_until is not None:
            output.remark(f"done until {done_until}")
        if not is_added:
            try:
                await _added(office, who)
            except ContentRefused as error:
                count = await count_not_added(office, who, CheckReports(0, office.now()))
                raise OperationError(f"{count} calls could not be added: {error}") from error
        return {"done_until": done_until}


async def _added(office: "Office", who: "Principal") -> int:
    """Add up the calls that are missing, with progress on standard error; return how many they were."""
    from vosd.admin.office.report_sums import AddUpCalls, add_up_calls

    calls = 0
    async with aclosing(add_up_calls(office, who, AddUpCalls())) as added:
        async for count in added:
            if count != calls:  # else a day was added up
                output.remark(f"{count} calls added")
            calls = count
    return calls
