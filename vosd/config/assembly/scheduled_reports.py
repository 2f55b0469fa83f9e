"""Reports at fixed times: from keys to settings."""

from typing import Final

from vosd.catalogue.problems import ProblemList
from vosd.config.assembly.conversion import full_conversion
from vosd.config.assembly.inventory import Inventory, read_inventory
from vosd.config.keys.scheduled_reports import ScheduledReportKeys
from vosd.config.reader.document import Section
from vosd.config.reader.reading import items_of, read_section
from vosd.engine.settings import ScheduledReport

REPORTS: Final = "reports"
_DATABASE: Final = "database"
"""Source of a report that the database defines, as the lists of definitions have it."""

_REPORT: Final = full_conversion(ScheduledReportKeys, ScheduledReport, by_hand={"timezone": "zone", "group": "group"})


def read_scheduled_reports(document: Section, problems: ProblemList) -> Inventory[ScheduledReportKeys]:
    """Take the reports at fixed times out of the document."""

    def read(section: Section, label: str) -> ScheduledReportKeys | None:
        return read_section(ScheduledReportKeys, section, label, problems)

    return read_inventory(items_of(document, REPORTS, problems), REPORTS, "name", read, problems)


def check_mail_server(reports: Inventory[ScheduledReportKeys], *, has_server: bool, problems: ProblemList) -> None:
    """Refuse reports that go by mail where no server is configured that would send them."""
    for each in reports.written.values():
        if each.thing.mail and not has_server:
            expected = "alarms.mail as well, whose server sends it"
            problems.error(each.section.place_of("mail"), f"{each.label}.mail", expected)


def scheduled_reports(reports: Inventory[ScheduledReportKeys]) -> tuple[ScheduledReport, ...]:
    """Return the reports at fixed times that have no mistakes, in their order."""
    return tuple(
        _REPORT(
            keys,
            zone="UTC" if keys.timezone is None else str(keys.timezone),
            group=None if keys.group is None else keys.group.value,
            source=_source_of(each.section),
        )
        for each in reports.written.values()
        for keys in (each.thing,)
    )


def _source_of(section: Section) -> str:
    return str(section.place) if section.place.line else _DATABASE  # objects of the database have no lines
