"""Figures of a running switch for ``vosd status``; the metrics read the same figures."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from vosd import __version__
from vosd.base.clock import Clock
from vosd.cdr.columns import iso_utc
from vosd.control.installation import CatalogueState, MachineUse, SwitchStatus
from vosd.daemon.reload import Configuration
from vosd.daemon.silenced import Silenced
from vosd.engine.counting import Counting, census_of, totals_of
from vosd.engine.reports.accounting import CallAccounting
from vosd.engine.reports.reporter import CallReports
from vosd.engine.service import SwitchService
from vosd.obs import log
from vosd.obs.figures import Figure


class LogLines(Counting):
    """Lines of the log of this process."""

    def totals(self) -> Mapping[Figure, int]:
        """Count those that were lost."""
        return {Figure.LOG_LINES_LOST: log.lines_lost()}


class Status:
    """Process, live objects, counters and catalogue of one switch."""

    def __init__(
        self,
        service: SwitchService,
        configuration: Configuration,
        silenced: Silenced,
        call_reports: CallReports,
        accounting: CallAccounting,
        events: Counting,
        clock: Clock,
        machine: Callable[[], MachineUse],
    ) -> None:
        """``events`` counts those for webhooks; ``machine`` returns the use of processor, memory and disk."""
        self.machine = machine
        self.service = service
        self.configuration = configuration
        self.silenced = silenced
        self.call_reports = call_reports
        self.accounting = accounting
        self._events = events
        self.api_answers: Final = dict.fromkeys(("2xx", "3xx", "4xx", "5xx", "none"), 0)
        """Answers of the management API since the start, by the class of their status, as it has reported them."""
        self._started_at = clock.now().wall
        self._log_lines = LogLines()

    @property
    def parts(self) -> Sequence[Counting]:
        """All parts with figures."""
        outlets = (self.call_reports, self.accounting, self._events)
        return (*self.service.parts, self.silenced, *outlets, self._log_lines)

    def report(self) -> SwitchStatus:
        """Return the status of now."""
        configuration, parts, machine = self.configuration, self.parts, self.machine()
        return SwitchStatus(
            version=__version__,
            node=configuration.loaded.settings.node,
            id=configuration.installation.id,
            configuration=configuration.installation.configuration,
            pid=os.getpid(),
            started_at=iso_utc(self._started_at),
            figures={**census_of(parts), **totals_of(parts)},
            session_refresh_failed=dict(self.service.switch.notices.refreshes_failed),
            machine=_rounded(machine),
            database=self.service.database.report(),
            catalogue=CatalogueState(
                configuration.loaded.catalogue.version, iso_utc(configuration.loaded_at), configuration.last_error
            ),
            listen=[*map(str, configuration.loaded.settings.listen)],
        )


def _rounded(machine: MachineUse) -> MachineUse:
    return MachineUse(
        cpu_percent=_to(1, machine.cpu_percent),
        memory_percent=_to(1, machine.memory_percent),
        disk_free_percent=_to(1, machine.disk_free_percent),
        processes={name: round(percent, 1) for name, percent in machine.processes.items()},
        received_bytes=_to(0, machine.received_bytes),
        sent_bytes=_to(0, machine.sent_bytes),
    )


def _to(digits: int, value: float | None) -> float | None:
    return None if value is None else round(value, digits)
