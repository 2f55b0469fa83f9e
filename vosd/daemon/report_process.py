"""Process that makes a scheduled report and delivers it.

``vosd.processes.entry vosd.daemon.report_process CHANNEL``.
"""

import asyncio
import hashlib
import smtplib
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.ledger_reports import AccountsBeside, AccountTerms
from vosd.admin.office.principal import Scope
from vosd.admin.office.reports import ReportSheet, ShowReport, report_of
from vosd.admin.report_pdf import report_pdf
from vosd.admin.spreadsheet import workbook_of
from vosd.base.errors import VosError
from vosd.base.mail import begun_mail
from vosd.daemon.daily import carry_out
from vosd.engine.alarms.mail import deliver, refusals, why_not_sent
from vosd.engine.daemon_threads import DaemonThreads
from vosd.engine.settings import MailSettings, ReportForm
from vosd.processes.whole_file import replace_file
from vosd.storage.database import Database
from vosd.storage.database_clock import check_has_come
from vosd.storage.stores import SqlStores
from vosd.traffic.spans import Grouping

_TYPES: Final = {
    ReportForm.XLSX: ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ReportForm.CSV: ("text", "csv"),
    ReportForm.PDF: ("application", "pdf"),
}


class ReportOrder(msgspec.Struct, frozen=True):
    """A report over a period, and where it goes; times are UTC milliseconds."""

    url: str
    node: str
    name: str
    period: str
    since: int
    until: int
    report: str
    zone: str
    group: str | None
    criteria: dict[str, str | int | bool]
    """Criteria of its calls, as orders name them."""
    form: ReportForm
    directory: str | None
    mail: MailSettings | None
    """The mail server, and who receives the report."""
    below: tuple[str, ...] = ()
    """Accounts that count with that of the criteria."""
    terms: dict[str, AccountTerms] = {}
    """Terms of the accounts, where the report shows them."""
    replica: str | None = None
    """URL of a copy of the database; None = there is none."""
    statement_s: int | None = None
    """Longest time of one statement, in MariaDB; None = any."""
    running: int = 0
    """Calls that began in the period or before and still run: they are missing."""


class ReportDelivery(msgspec.Struct, frozen=True):
    """Result of one report."""

    failed: str = ""
    """Why it was not delivered; empty = it was."""
    refused: tuple[str, ...] = ()
    """Recipients that the mail server has refused; the others have the mail."""


class ReportIncompleteError(VosError):
    """Calls of the period are not in the sums yet."""


def main() -> None:
    """Do what the switch orders."""
    carry_out(ReportOrder, lambda order: delivered(order, time.time_ns() // 1_000_000))


async def delivered(order: ReportOrder, now: int) -> ReportDelivery:
    """Make a report and deliver it; ``now`` is UTC milliseconds. The same order again replaces the file."""
    try:
        async with Database(
            order.url, statement_s=order.statement_s, replica=order.replica, was_used=lambda: True
        ) as database:
            await check_has_come(database, order.until)
            content, without = await _made(SqlStores(database), order, now)
        if order.directory is not None:
            await asyncio.to_thread(_write, Path(order.directory), order, content, without)
        if order.mail is not None:
            # a stop of the switch does not wait for the server: what is not answered by then is sent again
            thread = DaemonThreads(1, "mail of a report")
            message = report_mail(order, order.mail, content, now, without)
            refused = await asyncio.get_running_loop().run_in_executor(thread, deliver, order.mail, message)
            if refused:
                return ReportDelivery(refusals(refused), tuple(refused))
    except (OSError, smtplib.SMTPException) as error:
        return ReportDelivery(why_not_sent(error))
    except VosError as error:
        return ReportDelivery(str(error))
    return ReportDelivery()


async def _made(stores: SqlStores, order: ReportOrder, now: int) -> tuple[bytes, str]:
    """Return a report in its form, and which columns it lacks, and why."""
    missing = (await stores.traffic.missing(order.since, order.until)).calls
    if missing:
        raise ReportIncompleteError(f"{missing} calls of the period are not added up yet")
    times = {"since": order.since, "until": order.until, "group": order.group, "zone": order.zone}
    wanted = msgspec.convert({"name": order.report, **times, **order.criteria}, ShowReport)
    beside = AccountsBeside(order.terms.get, order.terms.keys())
    sheet = await report_of(stores, wanted, Scope(None), now, beside, order.below, is_inside=True, is_exact=True)
    if sheet.missing:
        raise ReportIncompleteError(f"{sheet.missing} calls of the period are not in the sums that were read")
    forms: dict[ReportForm, Callable[[ReportSheet], bytes]] = {
        ReportForm.XLSX: workbook_of, ReportForm.PDF: report_pdf, ReportForm.CSV: ReportSheet.csv,
    }  # fmt: skip
    return forms[order.form](sheet), sheet.without


def _write(directory: Path, order: ReportOrder, content: bytes, without: str) -> None:
    """Write a report into a directory, after a text that says which calls and columns are missing in it, if any are."""
    directory.mkdir(parents=True, exist_ok=True)
    name = _file_name(order)
    note = directory / f"{name}.missing.txt"
    is_whole = not (order.running or without)
    if not is_whole:
        replace_file(note, _text_of(order, without).encode(), synced=True)
    replace_file(directory / name, content, synced=True)
    if is_whole:
        note.unlink(missing_ok=True)


def _text_of(order: ReportOrder, without: str) -> str:
    """Return what the report is of, and which calls and columns are missing in it."""
    text = f"{order.report}, {order.period} ({order.zone}), divided by {order.group or Grouping.WHOLE.value}.\n"
    missing = f"{order.running} calls that began in it or before still run, and are missing.\n" if order.running else ""
    return text + missing + (f"Without {without}.\n" if without else "")


def _file_name(order: ReportOrder) -> str:
    name = order.name
    if "/" in name:
        name = f"{name.replace('/', '-')}-{_digest(name)}"  # else that of a report without the slash
    return f"{name}-{order.period}.{order.form.value}"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def report_mail(order: ReportOrder, mail: MailSettings, content: bytes, now: int, without: str = "") -> EmailMessage:
    """Return the mail; it names columns that are missing. A repeated one has the same Message-ID for the server."""
    digest = _digest(mail.sender, order.node, order.name)
    message = begun_mail(mail.sender, mail.recipients, f"<report-{digest}-{order.until}@vosd.invalid>", now)
    message["Subject"] = f"[vosd {order.node}] {order.name} {order.period}"
    message.set_content(_text_of(order, without))
    maintype, subtype = _TYPES[order.form]
    message.add_attachment(content, maintype=maintype, subtype=subtype, filename=_file_name(order))
    return message
