"""Gather all figures of the switch, in steps short enough for calls to be served in between (ADR 69).

Nothing is counted here: the parts of the switch have their counts already.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from vosd import __version__
from vosd.b2bua.states import CallState
from vosd.base.clock import Clock
from vosd.base.histogram import Histogram
from vosd.cdr.lease import Claimant, DatabaseState, Lease
from vosd.cdr.ports import StoreUnavailable
from vosd.daemon.lifecycle import DaemonState
from vosd.daemon.status import Status
from vosd.engine.booking.database_watch import Condition
from vosd.engine.counting import census_of, totals_of
from vosd.engine.overload.load import Load
from vosd.engine.peers.gateways import MAPPING, ROUTING, GatewayLoad, GatewayState
from vosd.engine.reports.queue import ReportOutcome
from vosd.metrics.declared import Metric
from vosd.metrics.reading import Distribution, ExporterAnswer, GatewayReading, Sample
from vosd.obs.figures import Figure
from vosd.routing.figures import CLASSES
from vosd.sip.drops import Drop
from vosd.storage.separate_books import SeparateBooks

STEP_S: Final = 0.0005
"""Longest step of work before calls get their turn."""
CALLS_AT_ONCE: Final = 250
"""Calls counted before the clock is read."""
OTHERS: Final = "others"
"""Stands for all phones, and for gateways that are configured no more, where a label names a gateway."""

_BY_STATE: Final = frozenset({Figure.LEGS, Figure.HOLDS})
"""Figures of calls, which are counted here by state."""
_FIGURES: Final = tuple(figure for figure in Figure if figure.metric and figure not in _BY_STATE)
_MIB: Final = 1024 * 1024

_STATES: Final = {
    CallState.SETUP: "setup",
    CallState.HUNTING: "hunting",
    CallState.RINGING: "ringing",
    CallState.ANSWERED: "answered",
    CallState.TALKING: "talking",
    CallState.ANNOUNCING: "announcing",
}
_UP: Final = frozenset({GatewayState.UP, GatewayState.REGISTERED})
_APART: Final = frozenset({Drop.WRONG_CREDENTIALS, Drop.KEEP_ALIVE})
"""Counted like dropped messages, and none: challenges have a metric of their own, keep-alives are meant to be."""
TIMES_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)


class SwitchReadiness(NamedTuple):
    """The answer; lines of a switch that is ready are warnings."""

    is_ready: bool
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "".join(f"{line}\n" for line in self.lines)


def readiness(status: Status, state: Callable[[], DaemonState]) -> SwitchReadiness:
    """Return whether calls are taken: the listeners are open, no stop was asked for, nothing refuses calls."""
    match state():
        case DaemonState.STARTING:
            return SwitchReadiness(False, ("the switch is starting",))
        case DaemonState.DRAINING | DaemonState.STOPPED:
            return SwitchReadiness(False, ("the switch is stopping",))
        case DaemonState.RUNNING:
            pass
    service, condition = status.service, status.service.database.condition
    if service.database.refuses_calls:
        return SwitchReadiness(False, (f"the database is {condition.value}: no new call is taken (vosd status)",))
    if service.journal_is_short:
        return SwitchReadiness(False, ("the disk of state_dir is full or fails: no new call is taken (vosd alarms)",))
    if service.switch.services.sink.refuses_calls:
        return SwitchReadiness(False, ("the database refuses too many calls: no new call is taken (vosd spool list)",))
    return SwitchReadiness(True, tuple(_warnings(status, condition)))


def _warnings(status: Status, condition: Condition) -> list[str]:
    found = []
    if condition is not Condition.WELL:
        found.append(f"the database is {condition.value}: calls are taken and wait in the journal")
    if status.service.inbox.load is Load.OVERLOADED:
        found.append("overload: calls that have waited too long are refused")
    if status.configuration.last_error is not None:
        found.append("the latest configuration was not taken, an older one is in force (vosd status)")
    return found


class TimedLease:
    """A ``Lease`` whose renewals are timed: once a second the latency of the database."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self.times = Histogram(TIMES_MS)
        """Durations of the renewals, those that failed included."""
        self.failures = 0
        """Renewals that the database did not answer, since the start."""

    async def hold(self, claimant: Claimant) -> DatabaseState:
        """Take or renew the lease; raises what ``Lease.hold`` raises."""
        began = time.monotonic()
        try:
            return await self._lease.hold(claimant)
        except StoreUnavailable:
            self.failures += 1
            raise
        finally:
            self.times.add(1_000 * (time.monotonic() - began))

    async def release(self, claimant: Claimant) -> None:
        """Release the lease; raises what ``Lease.release`` raises."""
        await self._lease.release(claimant)


class Readings:
    """Makes readings of one switch."""

    def __init__(
        self,
        status: Status,
        state: Callable[[], DaemonState],
        books: SeparateBooks,
        lease: TimedLease,
        clock: Clock,
        alarms: Callable[[], Mapping[tuple[str, str], int]],
        seconds: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``alarms`` counts those that hold by name and level; ``seconds`` is what steps are kept short by."""
        self._alarms = alarms
        self._status = status
        self._service = status.service
        self._state = state
        self._books = books
        self._lease = lease
        self._clock = clock
        self._seconds = seconds

    async def parts(self, number: int, max_gateways: int) -> AsyncIterator[ExporterAnswer]:
        """Yield the parts of a reading; calls are served between any two, and the counts go on."""
        yield ExporterAnswer(number, is_last=False, samples=self._of_the_switch(), distributions=self._distributions())
        await asyncio.sleep(0)
        yield ExporterAnswer(number, is_last=False, samples=await self._of_calls())
        await asyncio.sleep(0)
        yield ExporterAnswer(number, is_last=False, samples=self._of_ends())
        await asyncio.sleep(0)
        processes = [("", os.getpid())]
        if self._books.pid is not None:
            processes.append(("vosd_bookkeeper", self._books.pid))
        samples = [*self._of_groups(max_gateways), *self._of_media(max_gateways), *self._of_machine()]
        yield ExporterAnswer(number, is_last=False, samples=samples, processes=tuple(processes))
        await asyncio.sleep(0)
        states: Counter[tuple[str, str]] = Counter()
        rows: list[GatewayReading] = []
        count, until = 0, self._seconds() + STEP_S
        for load in self._loads():
            if load is not None:
                states[load.kind, load.state.value] += 1
                count += 1
                if count <= max_gateways:
                    rows.append(self._of_gateway(load))
            if self._seconds() >= until:
                if rows:
                    yield ExporterAnswer(number, is_last=False, gateways=rows)
                    rows = []
                await asyncio.sleep(0)
                until = self._seconds() + STEP_S
        samples = [Sample(Metric.GATEWAYS, total, labels) for labels, total in states.items()]
        samples.append(Sample(Metric.GATEWAYS_LEFT_OUT, max(0, count - max_gateways)))
        yield ExporterAnswer(number, samples=samples, gateways=rows, outcomes=CLASSES)

    def _of_the_switch(self) -> list[Sample]:
        """Return what the process, the configuration and the parts of the switch are like."""
        service, configuration = self._service, self._status.configuration
        catalogue, condition = configuration.loaded.catalogue, service.database.condition
        notices, store = service.switch.notices, service.node.endpoint.store
        ends = configuration.loaded.certificate_ends
        switch, parts = service.switch, self._status.parts
        figures = census_of(each for each in parts if each is not switch)
        figures |= {figure.value: count for figure, count in switch.sip_census().items()}
        figures |= totals_of(parts)
        return [
            Sample(Metric.BUILD, 1, (__version__, configuration.loaded.settings.node)),
            Sample(Metric.READY, int(readiness(self._status, self._state).is_ready)),
            Sample(Metric.OVERLOADED, int(service.inbox.load is Load.OVERLOADED)),
            Sample(Metric.CATALOGUE, 1, (catalogue.version,)),
            Sample(Metric.CATALOGUE_LOADED, configuration.loaded_at / 1_000),
            Sample(Metric.RELOAD_FAILED, int(configuration.last_error is not None)),
            *(Sample(Metric.CERTIFICATE_END, at / 1_000, (file,)) for file, at in ends.items()),
            *(Sample(figure.metric, figures[figure]) for figure in _FIGURES),
            Sample(Metric.UNBOOKED_BYTES, figures[Figure.SPOOL_MB] * _MIB),
            *(Sample(Metric.DATABASE_STATE, int(each is condition), (each.value,)) for each in Condition),
            Sample(Metric.DATABASE_FAILURES, self._books.failures, ("booking",)),
            Sample(Metric.DATABASE_FAILURES, self._lease.failures, ("lease",)),
            Sample(Metric.RETRANSMISSIONS, store.sent_again, ("sent",)),
            Sample(Metric.RETRANSMISSIONS, store.received_again, ("received",)),
            Sample(Metric.AUTHENTICATION_FAILURES, service.dropped[Drop.WRONG_CREDENTIALS]),
            Sample(Metric.BYES_UNANSWERED, notices.byes_unanswered),
            Sample(Metric.CALL_REPORTS_FAILURES, self._status.call_reports.failures),
            Sample(Metric.KEEPALIVE_SWEEP, service.keep_alives.latest_sweep_ms / 1_000),
        ]

    def _distributions(self) -> list[Distribution]:
        totals = self._service.gateways.call_totals
        return [
            Distribution.of(Metric.SETUP, totals.setups),
            Distribution.of(Metric.POST_DIAL_DELAY, totals.post_dial_delays),
            Distribution.of(Metric.DURATION, totals.durations),
            Distribution.of(Metric.LOOP_LAG, self._service.inbox.lags),
            Distribution.of(Metric.BOOKING, self._books.times),
            Distribution.of(Metric.LEASE, self._lease.times),
        ]

    async def _of_calls(self) -> list[Sample]:
        """Count the calls by state, their legs, and those that hold money; a call that ends meanwhile is left out."""
        states: Counter[CallState] = Counter()
        legs = holds = 0
        until = self._seconds() + STEP_S
        for place, each in enumerate(self._service.switch.calls()):
            if not each.is_over:
                call = each.call
                states[call.state] += 1
                legs += len(call.conversation.all_legs)
                holds += each.call_request.hold is not None
            if place % CALLS_AT_ONCE == 0 and self._seconds() >= until:
                await asyncio.sleep(0)
                until = self._seconds() + STEP_S
        return [
            *(Sample(Metric.CALLS, states[state], (name,)) for state, name in _STATES.items()),
            Sample(Figure.LEGS.metric, legs),
            Sample(Figure.HOLDS.metric, holds),
        ]

    def _of_ends(self) -> list[Sample]:
        """Return why calls ended, what gateways said, why messages were dropped, whose refreshes failed."""
        service = self._service
        gateways, notices, reports = service.gateways, service.switch.notices, self._status.call_reports
        totals = gateways.call_totals
        reasons = totals.reasons + Counter({reason.text: count for reason, count in notices.unrecorded.items()})
        refreshes: Counter[str] = Counter()
        for name, count in notices.refreshes_failed.items():
            refreshes[name if gateways.has(name) else OTHERS] += count
        dropped = [(why, count) for why, count in service.dropped.items() if why not in _APART]
        return [
            *(Sample(Metric.ENDED, count, (reason,)) for reason, count in reasons.items()),
            *(Sample(Metric.ATTEMPTS, count, (str(code),)) for code, count in totals.codes.items()),
            *(Sample(Metric.DROPPED, count, (why.label,)) for why, count in dropped),
            *(Sample(Metric.ALARMS, count, labels) for labels, count in self._alarms().items()),
            *(Sample(Metric.CALL_REPORTS_DONE, reports.counted[each], (each.value,)) for each in ReportOutcome),
            *(Sample(Metric.API_ANSWERS, count, (code,)) for code, count in self._status.api_answers.items()),
            *(Sample(Metric.REFRESHES_FAILED, count, (name,)) for name, count in refreshes.items()),
        ]

    def _of_groups(self, at_most: int) -> Iterator[Sample]:
        """Yield the calls of gateway groups with limits, and their limits."""
        for load in islice(self._service.gateways.group_loads(self._service.switch.live), at_most):
            yield Sample(Metric.GROUP_CALLS, load.calls, (load.gateway,))
            if load.max_concurrent is not None:
                yield Sample(Metric.GROUP_LIMIT, load.max_concurrent, (load.gateway,))

    def _of_media(self, at_most: int) -> Iterator[Sample]:
        """Yield the loss of the packets of gateways, of so many of each kind at most."""
        media, catalogue, mono = self._service.node.media, self._service.switch.catalogue, self._clock.now().mono
        if media is None:
            return
        for kind, losses, configured in (
            (ROUTING, media.parts.losses, catalogue.routing_gateways),
            (MAPPING, media.parts.customer_losses, catalogue.mapping_gateways),
        ):
            for gateway, percent in islice(losses.percents(mono), at_most):
                if percent is not None and gateway in configured:
                    yield Sample(Metric.GATEWAY_LOSS, percent / 100, (gateway, kind))

    def _of_machine(self) -> Iterator[Sample]:
        """Yield the use of processors and network."""
        machine = self._status.machine()
        for name, percent in {"machine": machine.cpu_percent, **machine.processes}.items():
            if percent is not None:
                yield Sample(Metric.PROCESSOR_USE, percent / 100, (name,))
        for direction, rate in (("received", machine.received_bytes), ("sent", machine.sent_bytes)):
            if rate is not None:
                yield Sample(Metric.NETWORK, rate, (direction,))

    def _loads(self) -> Iterator[GatewayLoad | None]:
        service = self._service
        registrations, silenced = service.registrations, self._status.silenced.sources()
        return service.gateways.loads(service.switch.live, registrations.names(), registrations.departed(), silenced)

    def _of_gateway(self, load: GatewayLoad) -> GatewayReading:
        totals, window = load.totals, None
        if load.kind == ROUTING:
            window = self._service.switch.live.quality.figures(load.gateway, self._clock.now().mono)
        return GatewayReading(
            gateway=load.gateway,
            kind=load.kind,
            is_up=None if load.state is GatewayState.DISABLED else load.state in _UP,
            calls=load.calls,
            limit=load.max_concurrent,
            attempts=tuple(totals.attempts),
            rang=totals.rang,
            pdd_ms=totals.pdd_ms,
            talk_ms=totals.talk_ms,
            asr=window and window.asr,
            ner=window and window.ner,
            acd_s=window and window.acd_s,
            window_pdd_ms=window and window.mean_pdd_ms,
        )
