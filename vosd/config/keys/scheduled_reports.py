"""``reports``: reports that the switch makes at fixed times, and sends by mail or writes to a directory."""

from datetime import tzinfo
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, model_validator

from vosd.config.reader.fields import FromText, KeyProblemError, choice, mail_address, object_name, one_or_many
from vosd.config.reader.files import file_path
from vosd.config.reader.model import Keys
from vosd.config.reader.times import start_of_hours, time_zone
from vosd.engine.settings import ReportForm
from vosd.traffic.ledger_reports import LEDGER_REPORTS
from vosd.traffic.reports import REPORTS
from vosd.traffic.schedule import ReportRhythm
from vosd.traffic.spans import Grouping


def _report_name() -> FromText:
    """Read the name of a report."""
    names = (*REPORTS, *LEDGER_REPORTS)

    def read(text: str) -> str:
        if text not in names:
            raise ValueError
        return text

    return FromText(f"one of {', '.join(names)}", read)


class ScheduledReportKeys(Keys):
    """A report at a fixed time about the day, week or month that is over. A reload changes all of it."""

    name: Annotated[str, object_name()]
    """Name of its files and mails; each once."""
    report: Annotated[str, _report_name()]
    """As `vosd report list` has them."""
    every: Annotated[ReportRhythm, choice(ReportRhythm)] = ReportRhythm.DAY
    """``day``, ``week`` or ``month``."""
    at: Annotated[int, start_of_hours()] = 21_600
    """Time of the day behind the period at which it is made."""
    timezone: Annotated[tzinfo | None, time_zone()] = None
    """The zone of ``at``, and of the periods. Default: UTC."""
    group: Annotated[Grouping | None, choice(Grouping)] = None
    """Spans into which it is divided. Default: as the report says."""
    account: Annotated[str | None, object_name()] = None
    """Calls of this account alone."""
    gateway: Annotated[str | None, object_name()] = None
    """Calls by this gateway or phone alone."""
    area: Annotated[str | None, object_name()] = None
    """Calls to this destination alone."""
    form: Annotated[ReportForm, choice(ReportForm)] = ReportForm.XLSX
    """``xlsx``, ``csv`` or ``pdf``."""
    directory: Annotated[Path | None, file_path()] = None
    """Directory that the file is written to."""
    mail: Annotated[tuple[Annotated[str, mail_address()], ...], BeforeValidator(one_or_many)] = ()
    """Addresses that it is sent to, by the server of ``alarms.mail``."""

    @model_validator(mode="after")
    def _goes_somewhere(self) -> "ScheduledReportKeys":
        if self.directory is None and not self.mail:
            raise KeyProblemError("directory", "this key, or mail, or both")
        groups = (REPORTS.get(self.report) or LEDGER_REPORTS[self.report]).groups
        if self.group is not None and self.group.value not in groups:
            raise KeyProblemError("group", f"one of {', '.join(groups)}, as the report says")
        return self
