"""Reports at fixed times: from keys to settings."""

from typing import Final

from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.problems import ProblemList
from vosd.config.assembly.conversion import full_conversion
from vosd.config.assembly.inventory import Inventory, read_list
from vosd.config.keys.scheduled_reports import ScheduledReportKeys
from vosd.config.reader.document import Section
from vosd.engine.settings import ScheduledReport

REPORTS: Final = "reports"
_DATABASE: Final = "database"
"""Source of a report that the database defines, as the lists of definitions have it."""

_REPORT: Final = full_conversion(ScheduledReportKeys, ScheduledReport, by_hand={"timezone": "zone", "group": "group"})


def read_scheduled_reports(document: Section, problems: ProblemList) -> Inventory[ScheduledReportKeys]:
    """Take the reports at fixed times out of the document."""
    return read_list(document, REPORTS, ScheduledReportKeys, problems)


def check_mail_server(reports: Inventory[ScheduledReportKeys], *, has_server: bool, problems: ProblemList) -> None:
    """Refuse reports that go by mail where no server is configured that would send them."""
    for each in reports.written.values():
        if each.thing.mail and not has_server:
            expected = "alarms.mail as well, whose server sends it"
            problems.error(each.section.place_of("mail"), f"{each.label}.mail", expected)


def warn_of_names(reports: Inventory[ScheduledReportKeys], catalogue: Catalogue, problems: ProblemList) -> None:
    """Warn of reports about accounts and gateways that are not defined: they have calls of removed ones at most."""
    gateways = (catalogue.routing_gateways, catalogue.mapping_gateways)
    for each in reports.written.values():
        for key in ("account", "vendor"):
            name = getattr(each.thing, key)
            if name is not None and name not in catalogue.accounts:
                expected = "an account that is defined: the report has what is booked on a removed one at most"
                problems.warning(each.section.place_of(key), f"{each.label}.{key}", expected, name)
        name = each.thing.gateway
        if name is not None and not any(name in names for names in gateways):
            expected = "a gateway or phone that is defined: the report has calls of a removed one at most"
            problems.warning(each.section.place_of("gateway"), f"{each.label}.gateway", expected, name)


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
