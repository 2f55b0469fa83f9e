"""``reports``: reports that the switch makes at fixed times, and sends by mail or writes to a directory."""

from collections.abc import Collection
from datetime import tzinfo
from pathlib import Path
from typing import Annotated

from vosd.base.cause import EndReason
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    FromText,
    KeyProblemError,
    Keys,
    ValueForm,
    ValueShape,
    choice,
    mail_address,
    object_name,
    switch,
    whole,
)
from vosd.config.reader.files import file_path
from vosd.config.reader.numbers import telephone_number
from vosd.config.reader.times import start_of_hours, time_zone
from vosd.engine.settings import ReportForm
from vosd.traffic.ledger_reports import LEDGER_REPORTS
from vosd.traffic.reports import CRITERIA, DIGITS_MAX, REPORTS
from vosd.traffic.schedule import ReportRhythm
from vosd.traffic.spans import Grouping


def _one_of(names: Collection[str]) -> FromText:
    """Read a name of several."""

    def read(text: str) -> str:
        if text not in names:
            raise ValueError
        return text

    shape = ValueShape(ValueForm.CHOICE, choices=tuple(names))
    return FromText(f"one of {', '.join(names)}", read, shape=shape)


class ScheduledReportKeys(Keys):
    """A report at a fixed time about the day, week or month that is over. A reload changes all of it."""

    name: Annotated[str, object_name()]
    """Name of its files and mails; each once."""
    report: Annotated[str, _one_of((*REPORTS, *LEDGER_REPORTS))]
    """Name of the report, as ``vosd report list`` has it."""
    every: Annotated[ReportRhythm, choice(ReportRhythm)] = ReportRhythm.DAY
    """``day``, ``week`` or ``month``."""
    at: Annotated[int, start_of_hours()] = 21_600
    """Time of the day behind the period at which it is made."""
    timezone: Annotated[tzinfo | None, time_zone()] = None
    """The zone of ``at``, and of the periods. Default: UTC."""
    group: Annotated[Grouping | None, choice(Grouping)] = None
    """Spans into which it is divided. Default: as the report says."""
    account: Annotated[str | None, object_name("accounts")] = None
    """Calls of this account alone."""
    below: Annotated[bool | None, switch()] = None
    """``yes``: also the calls of the accounts below ``account``. Default: its own alone."""
    gateway: Annotated[str | None, object_name()] = None
    """Calls by this gateway or phone alone."""
    area: Annotated[str | None, object_name()] = None
    """Calls to this destination alone."""
    vendor: Annotated[str | None, object_name("accounts")] = None
    """Calls whose costs are booked on this account alone."""
    reason: Annotated[str | None, _one_of([each.text for each in EndReason])] = None
    """Calls that ended so alone, such as ``Busy``."""
    answered: Annotated[bool | None, switch()] = None
    """``yes``: answered calls alone; ``no``: unanswered ones. Default: both."""
    callee: Annotated[str | None, telephone_number()] = None
    """Calls alone whose called number begins so, as it was rated. More than four digits have every call read."""
    caller: Annotated[str | None, telephone_number()] = None
    """Calls alone whose calling number begins so, as it was received. More than three have every call read."""
    callee_digits: Annotated[int | None, whole(1, DIGITS_MAX)] = None
    """Rows by so many first digits of the called numbers."""
    caller_digits: Annotated[int | None, whole(1, DIGITS_MAX)] = None
    """Rows by so many first digits of the calling numbers."""
    form: Annotated[ReportForm, choice(ReportForm)] = ReportForm.XLSX
    """``xlsx``, ``csv`` or ``pdf``."""
    directory: Annotated[Path | None, file_path()] = None
    """Directory that the file is written to."""
    mail: Annotated[tuple[Annotated[str, mail_address()], ...], ONE_OR_MANY] = ()
    """Addresses that it is sent to, by the server of ``alarms.mail``."""

    def _judge(self) -> None:
        if self.directory is None and not self.mail:
            raise KeyProblemError("directory", "this key, or mail, or both")
        if self.below is not None and self.account is None:
            raise KeyProblemError("below", "account beside it")
        report = REPORTS.get(self.report) or LEDGER_REPORTS[self.report]
        for name in CRITERIA:
            if getattr(self, name) is not None and name not in report.criteria:
                raise KeyProblemError(name, f"no {name}: {self.report} knows {', '.join(report.criteria)}")
        groups = report.groups
        if self.group is not None and self.group.value not in groups:
            raise KeyProblemError("group", f"one of {', '.join(groups)}, as the report says")
