"""The only wiring: settings in, a daemon of introduced parts out, and its life from start to exit.

Everything that must be known to start vosd is on this page: which parts there are, what each is handed, in which
order they start. Their reasons are theirs.
"""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from random import randrange
from typing import Final

import uvloop

from vosd import __version__
from vosd.base.errors import VosError
from vosd.catalogue.losses import Busy
from vosd.cdr.lease import Claimant
from vosd.cdr.ports import StoreDamaged, StoreUnavailable
from vosd.config.kept import KeptCatalogue
from vosd.config.load import Loaded
from vosd.config.places import installation_of
from vosd.config.reader.collector import without_collector
from vosd.control.changes import CheckChange
from vosd.control.installation import ConfirmAlarm, ListAlarms, ListScheduledReports, Restart
from vosd.control.server import ControlServer
from vosd.daemon import systemd
from vosd.daemon.alarms import AlarmPart
from vosd.daemon.api_process import ApiProcess
from vosd.daemon.average_use import AverageUse
from vosd.daemon.bilateral import BilateralPart
from vosd.daemon.checks import Checks, ChecksForFronts, forked_from
from vosd.daemon.claim import EndOfClaim, StateDirectory, expected_usable, warning_to_root
from vosd.daemon.claimant import boot_id, claimant_of, has_ended, process_age_ms, worked_elsewhere
from vosd.daemon.commands import Commands
from vosd.daemon.definitions import DefinitionWatch, StoredDefinitions
from vosd.daemon.fraud import FraudPart
from vosd.daemon.handover import Handover, Predecessor
from vosd.daemon.late_database import KnownOutage, LateDatabase
from vosd.daemon.lifecycle import DaemonState, Lifecycle, Reloads, StartStep, note_reloads, signals_handled
from vosd.daemon.live_counter import LiveCounter
from vosd.daemon.live_events import LiveEventPart
from vosd.daemon.media_engines import MediaEngineParts
from vosd.daemon.metrics.exporter import Exporter
from vosd.daemon.metrics.readings import Readings, TimedLease
from vosd.daemon.nightly import DailyParts
from vosd.daemon.open_files import allow_files
from vosd.daemon.reload import Configuration
from vosd.daemon.scheduled_reports import CallsOutside, ScheduledReportPart
from vosd.daemon.silenced import Silenced
from vosd.daemon.start import Started, as_mistakes, load_at_start, login_as_mistake, report_warnings
from vosd.daemon.status import Status
from vosd.daemon.systemd import Notifier, Watchdog
from vosd.daemon.traffic import LAST_COUNTS_S, TrafficPart
from vosd.daemon.waiting import StillAway, until_database_answers
from vosd.engine.booking.balances import CurrencyChangedError
from vosd.engine.booking.database_watch import RELEASE_S
from vosd.engine.booking.known_database import was_used
from vosd.engine.calls.snapshots import accounts_of, gateways_of
from vosd.engine.clock import SystemClock
from vosd.engine.journal.files import is_removed
from vosd.engine.overload.load import Load
from vosd.engine.peers.directory import ConnectTimeouts, VendorPlaces
from vosd.engine.registration.writer import LAST_WRITING_S
from vosd.engine.reports.accounting import LAST_RECORD_S, CallAccounting, TalkingCall
from vosd.engine.reports.reporter import LAST_REPORTS_S, CallReports
from vosd.engine.reports.reporters import CallReporters
from vosd.engine.service import FINAL_BOOKING_S, LAST_ANSWERS_S, SwitchService
from vosd.engine.settings import LogLevel, OnSigterm, Settings
from vosd.net.entrance import Core
from vosd.net.resolve import NameServerResolver
from vosd.net.sockets import reachable_address
from vosd.net.transports import Transports
from vosd.obs import log
from vosd.obs.events import Event, log as _log
from vosd.processes.forked import ForkedProcess
from vosd.processes.memory import give_back
from vosd.processes.rights import withhold_network_rights
from vosd.processes.standard_streams import flush_streams, occupy_closed_streams
from vosd.relay.sockets import KnownReaches
from vosd.sip.flows import Listener
from vosd.sip.ports import BindingStore
from vosd.storage.database import COMMAND_PATIENCE_S, Database
from vosd.storage.database_clock import latest_call
from vosd.storage.decks import SqlDecks
from vosd.storage.driver_errors import DatabaseRefusesUs
from vosd.storage.last_known import LAST_KNOWN, LastKnown
from vosd.storage.lease import SqlLease, last_holder
from vosd.storage.overrides import SqlOverrides
from vosd.storage.registrations import SqlRegistrations
from vosd.storage.separate_books import SeparateBooks
from vosd.storage.stored_objects import SqlObjects

GC_THRESHOLDS: Final = (50_000, 20, 100)
"""A call makes and drops some hundred objects and hardly a cycle; the interpreter's 700 would collect all the time."""

GC_THRESHOLDS_OF_A_START: Final = (500_000, 20, 100)
"""A start makes millions of objects that stay: to look through them again and again takes a fifth of its time."""

DEFINITIONS: Final = StoredDefinitions(SqlDecks, SqlObjects)

Greet = Callable[[Loaded], None]


def run_switch(config: Path, greet: Greet) -> None:
    """Run the switch on a configuration until a stop is requested; ``greet`` is called once it takes calls.

    Raises:
        ConfigError: the configuration is bad.
        VosError: something that is needed to start is not there; the message says what to do.
    """
    occupy_closed_streams()
    gc.set_threshold(*GC_THRESHOLDS_OF_A_START)
    has_reload_come = note_reloads()
    withhold_network_rights()
    notifier, watchdog = systemd.from_environment()
    predecessor = Predecessor.from_environment()
    log.configure(LogLevel.INFO.value)
    try:
        telling = notifier if predecessor is None else Notifier(None)
        with telling.extending("reading the configuration"), without_collector():
            start = [load_at_start(config, DEFINITIONS.read)]
            # A collection would look at all of it: that takes a second for 100,000 accounts, and it writes to each
            # object, whose memory a copy of this process would share no more.
            gc.freeze()
    except VosError as error:
        if predecessor is not None:
            predecessor.refuse(error)
        raise
    log.configure(start[0].loaded.settings.log_level.value)
    report_warnings(start[0].loaded.problems)
    give_back()
    check_process = forked_from(config, start)
    state_dir = start[0].loaded.settings.state_dir
    with expected_usable(state_dir), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_live(config, start, greet, notifier, watchdog, predecessor, has_reload_come, check_process))
        _leave()


def _leave() -> None:
    """End the process at once: all is closed, and the next one may begin.

    The interpreter would free millions of objects one by one, and wait for threads; the loop would wait for open
    questions to the machine's name servers, which may take as long as a silent server.
    """
    try:
        log.finish()
        flush_streams()
    finally:  # an error would be printed to a log that may be full, and wait for its reader
        os._exit(0)


async def _live(
    config: Path,
    start: list[Started],
    greet: Greet,
    notifier: Notifier,
    watchdog: Watchdog,
    predecessor: Predecessor | None,
    has_reload_come: Callable[[], bool],
    check_process: ForkedProcess | None,
) -> None:
    # No variable of this function has the start: it runs as long as the switch, and a later configuration replaces it.
    daemon = Daemon(config, start.pop(), notifier, check_process)
    life = Lifecycle(daemon.steps(), daemon.drain, daemon.leave, notifier, watchdog)
    daemon.state = lambda: life.state
    daemon.ask_to_stop = life.ask_to_stop
    if predecessor is not None:
        try:
            await daemon.prepare()
        except VosError as error:
            predecessor.refuse(error)
            raise
        daemon.inherit(await predecessor.sockets())
    reloads = Reloads(daemon.reload_by_operator)

    def when_ready() -> None:
        _settle_garbage_collector()
        loaded = daemon.configuration.loaded
        _log.info(
            "ready",
            version=__version__,
            node=loaded.settings.node,
            listen=[*map(str, loaded.settings.listen)],
            after_ms=process_age_ms(),
            steps_ms={name: ms for name, ms in life.lasted_ms.items() if ms},
        )
        notifier.ready(daemon.configuration.summary())
        daemon.begin_watching()
        greet(loaded)
        if has_reload_come():  # the files may have been read before
            reloads.ask()

    with signals_handled(reload=reloads.ask, stop=life.ask_to_stop):
        await life.run(when_ready)
    _log.info("stopped")


class Daemon:
    """The parts, introduced to each other."""

    _begins_empty = False
    """Whether the ``state_dir`` had no journal when this process has claimed it."""
    _are_calls_over = False
    """Whether all calls have come to their end before this stop."""
    _start_without_at: float | None = None
    """Time of the event loop at which this start goes on without the database; None = it waits on."""
    _latest_call: int = 0
    """Beginning of the latest call in the database, UTC milliseconds; 0 = not known."""
    _obstacle: str | None = None
    """Why it waits on, where that is not configured."""

    def __init__(
        self, config: Path, started: Started, notifier: Notifier, check_process: ForkedProcess | None = None
    ) -> None:
        loaded, clock = started.loaded, SystemClock()
        settings = loaded.settings
        self._settings, self._clock, self._notifier = settings, clock, notifier
        self._state_directory = StateDirectory(
            settings.state_dir, installation_of(config, settings.node, settings.control_socket, settings.database_url)
        )
        self._database = Database(
            settings.database_url.reveal(),
            was_used=partial(was_used, settings.state_dir, settings.database_url.reveal()),
        )
        self._books = SeparateBooks(self._database)
        lease = TimedLease(SqlLease(self._database, partial(has_ended, state_dir=settings.state_dir)))
        dns = settings.dns
        resolver = NameServerResolver(dns.servers, dns.timeout_ms, dns.attempts)
        self._media = MediaEngineParts(loaded, clock)
        self._last_known = LastKnown(settings.state_dir / LAST_KNOWN, settings.node)
        registered: BindingStore = SqlRegistrations(self._database, settings.node)
        if not self._database.is_sqlite:
            registered = self._last_known.beside(registered, lambda: not self.service.database.was_held_elsewhere)
        self.service = SwitchService(
            settings,
            loaded.catalogue,
            self._books,
            registered,
            lease,
            clock,
            _known_as(settings, asks_for_reuse=loaded.transports.connections.alias),
            resolver,
            overrides=SqlOverrides(self._database),
            last_standings=self._last_known,
            boot=boot_id(),
            relay=self._media.relay,
            rtpengines=self._media.at_rtpengines,
            relays_new_calls=not self._media.is_for_earlier_calls,
            is_here=KnownReaches().is_here,
        )
        places = VendorPlaces(self.service.switch.terms.vendors_at, self.service.directory.names_to)
        core = Core(
            begin=self.service.begin_turn,
            process=self.service.loop.process,
            flush=self.service.loop.flush,
            take=self.service.inbox.take,
            refuse=self.service.inbox.refuse,
            serve=self.service.inbox.serve,
            belongs=self.service.node.endpoint.belongs,
            has_dialog=self.service.node.endpoint.dialogs.owners.__contains__,
            dialog_of=self.service.node.endpoint.dialog_of,
            dropped=self.service.dropped,
            failed=self.service.loop.transport_failed,
            unsent=self.service.loop.unsent,
            undelivered=self.service.loop.undelivered,
            closed=self.service.connection_closed,
            certified=self.service.connection_certified,
            identity_at=places.identity_at,
            is_vendor_at=places.is_vendor_at,
            is_gateway=self.service.node.knows_host,
            is_known_source=self.service.node.is_known_source,
            allowance_at=self.service.signalling.allowance_at,
            name_of=places.name_at,
            server_name_of=self.service.node.endpoint.server_name_of,
            ends_call=self.service.node.endpoint.ends_call,
            connects_within=ConnectTimeouts(
                self.service.switch.terms.vendors_at, self.service.directory
            ).connects_within,
            is_denied=self.service.node.is_denied,
            report_denied=self.service.node.report_denied,
        )
        self._still_away: StillAway | None = None
        self._outage = KnownOutage(settings.state_dir, boot_id())
        attempts = (self._database.check_schema, self._begin_lease, self.service.without_database.catch_up)
        self._late = LateDatabase((*attempts, self._end_outage), self.service.database.note_held)
        self._handed = handed = systemd.handed_over()
        self._transports = Transports(settings.listen, loaded.transports, loaded.tls, settings.sip.limits, core, handed)
        self.configuration = Configuration(
            config, started, self._put_in_force, self._check, notifier, clock, self._busy, DEFINITIONS.read
        )
        self._definitions = DefinitionWatch(
            SqlDecks(self._database), lambda: self.configuration.stored, self.configuration.reload_on_signal
        )
        self.service.doubt_definitions = self._doubt_definitions
        silenced = Silenced(self.service.node.authenticator, self._transports, clock)
        reporters = CallReporters(self.service.switch.report_calls)
        self._events = LiveEventPart(settings, self.service, reporters, clock)
        self._call_reports = CallReports(
            settings.node,
            clock,
            settings.call_reports,
            settings.state_dir,
            reporters.place(),
            lambda: self.service.inbox.load is Load.OVERLOADED,
        )
        self._accounting = CallAccounting(
            clock,
            settings.accounting,
            settings.state_dir,
            reporters.place(),
            self._talking_calls,
            lambda: self.service.inbox.load is Load.OVERLOADED,
        )
        self._alarms = AlarmPart(
            self.service,
            settings,
            clock,
            log.events,
            self._events.events,
            lambda: self.configuration.loaded.certificate_ends,
            self._busy_processes,
            lambda: self.configuration.loaded.settings,
        )
        status = Status(
            self.service,
            self.configuration,
            silenced,
            self._call_reports,
            self._accounting,
            self._events,
            clock,
            self._alarms.machine,
        )
        commands = Commands(status, clock)
        self._trials = commands.trials
        self.state: Callable[[], DaemonState] = lambda: DaemonState.STARTING
        self.ask_to_stop: Callable[[signal.Signals], None] = lambda _signal: None
        self._handover = Handover(
            notifier, lambda: self.ask_to_stop(signal.SIGTERM), self.service.switch.continuation.for_trial
        )
        self._daily = DailyParts(settings, clock, lambda: self.service.switch.catalogue)
        self._traffic = TrafficPart(
            self._database,
            LiveCounter(self.service.switch, clock, lambda: randrange(1, 2**62)),
            clock,
            self._zones_of_reports,
        )
        self._bilateral = BilateralPart(
            settings.database_url.reveal(), settings.bilateral, clock, lambda: self.service.switch.catalogue
        )
        self._reports = ScheduledReportPart(
            settings, clock, lambda: self.service.switch.catalogue.accounts, self._calls_outside
        )
        self._fraud = FraudPart(self.service, self._database, settings.alarms, clock)
        self._average_use = AverageUse(
            self.service.balances, lambda: self.service.switch.catalogue.accounts, self._database
        )
        readings = Readings(status, self._state, self._books, lease, clock, self._alarms.active)
        self._exporter = Exporter(readings, status, self._state, settings.metrics)
        self._api = ApiProcess(config, settings.api)
        self._checks = ChecksForFronts(config, Checks(forked=check_process))
        handlers = (
            *commands.handlers(),
            *self._events.handlers(),
            ListAlarms.answered_by(self._alarms.listed),
            ConfirmAlarm.answered_by(self._alarms.confirmed),
            ListScheduledReports.answered_by(self._reports.listed),
            Restart.answered_by(self._handover.restart),
            CheckChange.answered_by(self._checks.check),
        )
        self._control = ControlServer(settings.control_socket, handlers)

    def steps(self) -> tuple[StartStep, ...]:
        """Return the order of the start: listeners open when calls can be processed, commands last."""
        return (
            StartStep("state directory", self._claim, self._release),
            StartStep("alarms", self._alarms.begin, self._alarms.end),
            StartStep("live events", self._events.begin, self._events.end),
            StartStep("metrics", self._exporter.begin, self._exporter.end),
            StartStep("call reports", self._call_reports.begin, self._call_reports.end),
            StartStep("accounting", self._accounting.begin, self._accounting.end),
            StartStep("last known state", self._last_known.open, self._last_known.close),
            StartStep("database", self._open_database, self._database.close),
            StartStep("lease", self._take_lease, self.service.database.end),
            StartStep("bookkeeper", self._books.start, self._books.close),
            StartStep("media relay", self._media.start, self._end_media),
            StartStep("switch", self._start_switch, self.service.stop),
            StartStep("watch over destinations", self._fraud.begin, self._fraud.end),
            StartStep("average use of accounts", self._average_use.begin, self._average_use.end),
            StartStep("late database", self._await_database, self._late.end),
            StartStep("definitions", self._begin_definitions, self._definitions.end),
            StartStep("daily work", self._daily.begin, self._daily.end),
            StartStep("sums for reports", self._traffic.begin, self._traffic.end),
            StartStep("scheduled reports", self._reports.begin, self._reports.end),
            StartStep("totals of partners", self._bilateral.begin, self._bilateral.end),
            StartStep("copies of messages", self._begin_copies, self._end_copies),
            StartStep("listeners", self._listen, self._transports.close),
            StartStep("checks of changes", self._begin_checks, self._checks.close),
            StartStep("control socket", self._control.open, self._control.close),
            StartStep("management API", self._api.begin, self._api.end),
            StartStep("reloads", self.configuration.begin, self.configuration.end),
        )

    async def _begin_checks(self) -> None:
        await self._checks.keep_ready(sum(map(len, self.configuration.loaded.stored.objects.values())))

    async def prepare(self) -> None:
        """Do what can be done beside the switch that this one takes over from.

        Raises:
            DatabaseRefusesUs, StoreDamaged: the start of this process would end by it, and leave no switch.
        """
        try:
            await self._database.check_schema(COMMAND_PATIENCE_S)
            await self._books.start()
        except (DatabaseRefusesUs, StoreDamaged):
            await self._database.close()
            raise
        except StoreUnavailable:  # the start waits for it, or goes on without it
            pass
        gc.freeze()

    def inherit(self, sockets: Mapping[str, socket.socket]) -> None:
        """Take the listening sockets of the switch that this one takes over from."""
        self._handed.update(sockets)
        self._transports.inherit(sockets)

    async def drain(self, received: signal.Signals) -> None:
        """Let the calls come to their end, for as long as the configuration in force says, or keep them."""
        await self.configuration.kept()  # no process reads the sockets between a pause and the next start
        settings = self.configuration.loaded.settings
        self._trials.stop()
        if self._handover.is_due:
            self._transports.pause()
            await self.service.keep()
            self._handover.send(self._transports.sockets())
            return
        self._notifier.stopping("ending calls", self._stop_within_s())
        if received is signal.SIGTERM and settings.on_sigterm is OnSigterm.KEEP:
            self._transports.pause()  # what arrives from now on waits in the sockets, which the service manager keeps
            await self.service.keep()
        else:
            self._notifier.forget(self._transports.sockets())
            await self.service.drain(self._grace_s())
            self._are_calls_over = True

    async def leave(self) -> None:
        """Keep the calls that this start has taken over: it fails or is stopped, and the next one goes on with them."""
        self._trials.stop()
        if self.service.switch.has_calls:
            self._transports.pause()
            await self.service.keep()

    def begin_watching(self) -> None:
        """Take the alarms of before the start for over where nothing reports them: all parts have started."""
        self._alarms.serve()
        self._alarms.compare_clock(max(self.service.latest_wall, self._latest_call))

    def _stop_within_s(self) -> float:
        """Return how long a stop may take."""
        last = LAST_WRITING_S + RELEASE_S + 2 * LAST_REPORTS_S + LAST_RECORD_S + LAST_COUNTS_S
        return self._grace_s() + 2 * LAST_ANSWERS_S + FINAL_BOOKING_S + last

    def _grace_s(self) -> int:
        return self.configuration.loaded.settings.shutdown_grace_s

    def _zones_of_reports(self) -> Iterable[str]:
        """Return the zones by whose days reports are asked for: that of the invoices, those of scheduled reports."""
        settings = self.configuration.loaded.settings
        return [settings.invoices.zone, *(each.zone for each in settings.reports)]

    def _state(self) -> DaemonState:
        return self.state()

    async def _claim(self) -> None:
        if (do := warning_to_root(self._settings.state_dir)) is not None:
            _log.warning("state_dir_of_another_user", do=do)
        self._state_directory.claim()
        self._begins_empty = is_removed(self._settings.state_dir / "journal")

    async def _release(self) -> None:
        if self._state() is DaemonState.STARTING:
            self._state_directory.release(EndOfClaim.OF_START)
        else:
            self._state_directory.release(EndOfClaim.HANDED_OVER if self._handover.is_due else EndOfClaim.IN_ORDER)
        self._handover.release()

    async def _open_database(self) -> None:
        if not self._database.is_sqlite and self._settings.start_without_s > 0:
            self._obstacle = await self.service.without_database.obstacle()
            if self._obstacle is None:
                wait_s = self._outage.shortened(self._settings.start_without_s)
                self._start_without_at = asyncio.get_running_loop().time() + wait_s
        try:
            await self._until_answered(self._database.check_schema)
        except (VosError, asyncio.CancelledError):  # the latter by a stop meanwhile
            await self._database.close()
            raise

    async def _take_lease(self) -> None:
        if self._still_away is None:
            await self._until_answered(self._begin_lease)

    async def _until_answered(self, check: Callable[[], Awaitable[None]], *, reads_much: bool = False) -> None:
        """Wait for the database, or note that this start goes on without it."""
        try:
            await until_database_answers(
                check, self._notifier, deadline=self._start_without_at, reads_much=reads_much, obstacle=self._obstacle
            )
        except StillAway as error:
            self._still_away = error
            self._outage.found()

    @cached_property
    def _claimant(self) -> Claimant:
        """This process, the same in all attempts: one whose answer was lost may have taken the lease."""
        return claimant_of(self._settings.node, self._settings.state_dir)

    async def _begin_lease(self) -> None:
        before = await last_holder(self._database, self._settings.node)
        await self.service.database.begin(self._claimant)
        if before is not None and self._begins_empty and worked_elsewhere(before, self._settings.state_dir):
            means = "the switch of before had another state_dir: stop this one, move the files from there, start it"
            _log.error(Event.JOURNAL_REMOVED, file="journal", means=means)

    async def _start_switch(self) -> None:
        self.service.loop.give_orders = self._media.give_orders
        await self._start_service()
        self._accounting.serve()

    async def _start_service(self) -> None:
        await self.service.countries.adjust(self._settings.country_file)  # registrations are restored by it
        if self._begins_empty and KeptCatalogue(self._settings.state_dir).manifest().files:  # a switch was ready here
            means = "calls that ran, or waited for the database, are lost"
            _log.error(Event.JOURNAL_REMOVED, file="journal", means=means)
        if self._still_away is None:
            try:
                await self._until_answered(self.service.learn, reads_much=True)
            except CurrencyChangedError as error:
                raise as_mistakes(error, self.configuration.loaded) from error
        if self._still_away is None:
            await self._outage.over()
            with suppress(StoreUnavailable):
                self._latest_call = await latest_call(self._database)
        else:
            with self._last_known.instead():
                await self.service.without_database.begin()
        await self.service.start()

    async def _end_outage(self) -> None:
        await self._outage.over()
        self._alarms.has_database()

    def _talking_calls(self) -> Iterator[TalkingCall]:
        for each in self.service.switch.calls():
            if not each.is_over:
                yield TalkingCall(each.call.arrival, each.call.journey, each.call_request)

    def _calls_outside(self, until: int) -> CallsOutside:
        calls = self.service.switch.calls()
        running = sum(not each.is_over and each.call.arrival.at.wall < until for each in calls)
        return CallsOutside(running, self.service.recorder.begun_before(until))

    async def _begin_copies(self) -> None:
        await self.service.adjust_hep(self._settings.hep)

    async def _end_copies(self) -> None:
        await self.service.adjust_hep(None)

    def _busy_processes(self) -> dict[str, int]:
        """Return the ids of the processes that calls and media keep busy, by their names."""
        links = () if self._media.relay is None else self._media.relay.links
        bookkeeper = {} if self._books.pid is None else {"bookkeeper": self._books.pid}
        return (
            {"switch": os.getpid()}
            | bookkeeper
            | {f"media worker {number}": each.pid for number, each in enumerate(links, 1) if each.pid}
        )

    async def _end_media(self) -> None:
        """Leave the workers of the relay to the next start, unless there are no calls: this one may have taken none."""
        await self._media.stop(keep=not self._are_calls_over)

    async def _await_database(self) -> None:
        if self._still_away is not None:
            self._late.begin(self._still_away)

    async def _begin_definitions(self) -> None:
        await self._definitions.begin(is_away=self._still_away is not None)

    async def _listen(self) -> None:
        allow_files(self.configuration.loaded, relays=self._media.relay is not None)
        await self._transports.open(self.service.served_mono / 1_000)
        sockets = self._transports.sockets()
        self._notifier.forget(self._handed.keys() - sockets.keys())
        self._notifier.keep(sockets)
        opened = self._transports
        self.service.serve(opened.transmit, opened.hang_up, opened.has_connection, opened.has_accepted)
        opened.take_waiting()

    def _busy(self) -> Busy:
        calls = self.service.switch.calls()
        return Busy(accounts_of(calls), gateways_of(calls))

    async def reload_by_operator(self) -> None:
        """Load the configuration after a signal; registrations with vendors that back off ask at once behind it."""
        await self.configuration.reload_on_signal()
        if self.configuration.last_error is None:
            self.service.retry_registrations()

    async def _doubt_definitions(self) -> None:
        self.configuration.doubt_stored()
        self._definitions.forget_tries()
        await SqlDecks(self._database).advance_beyond(self.configuration.loaded.stored.version or 0)

    async def _check(self, loaded: Loaded) -> None:
        """Raise the errors with which ``_put_in_force`` would refuse a configuration, and change nothing."""
        await self._check_login(loaded)
        try:
            await self.service.check_catalogue(loaded.catalogue)
        except CurrencyChangedError as error:
            raise as_mistakes(error, loaded) from error

    async def _check_login(self, loaded: Loaded) -> None:
        """Raise ConfigError where the database refuses another user or password: the switch goes on by its own."""
        url = loaded.settings.database_url.reveal()
        if not self._database.is_other_login(url):
            return
        try:
            async with Database(url, patience_s=COMMAND_PATIENCE_S) as tried:
                await tried.check_schema()
        except DatabaseRefusesUs as error:
            raise login_as_mistake(error, loaded) from error
        except StoreUnavailable:
            pass

    async def _put_in_force(self, loaded: Loaded) -> None:
        await self._check_login(loaded)
        await self.service.countries.adjust(loaded.settings.country_file)
        if self._database.log_in_by(loaded.settings.database_url.reveal()):
            await self._traffic.log_in_anew()
        try:
            await self.service.swap_catalogue(loaded.catalogue)
        except (CurrencyChangedError, StoreUnavailable) as error:
            await self.service.countries.adjust(self.configuration.loaded.settings.country_file)
            if isinstance(error, CurrencyChangedError):
                raise as_mistakes(error, loaded) from error
            raise
        allow_files(loaded, relays=self._media.relay is not None, before=self.configuration.loaded)
        self._transports.adjust(loaded.transports, loaded.tls)
        self.service.adjust(loaded.settings.sip.timers, loaded.settings.journal)
        self.service.keep_alives.adjust(loaded.settings.keep_alive)
        self.service.lookups.adjust(loaded.settings.lookups)
        self.service.passwords.adjust(loaded.settings.radius)
        self.service.phone_service.adjust(loaded.settings.phone_service)
        self.service.inbox.adjust(loaded.settings.overload)
        await self.service.adjust_hep(loaded.settings.hep)
        await self._exporter.adjust(loaded.settings.metrics)
        await self._api.adjust(loaded.settings.api)
        self._alarms.adjust(loaded.settings.alarms)
        self._fraud.adjust(loaded.settings.alarms)
        await self._daily.adjust(loaded.settings)
        self._bilateral.adjust(loaded.settings.database_url.reveal(), loaded.settings.bilateral)
        self._reports.adjust(loaded.settings)
        await self._call_reports.adjust(loaded.settings.call_reports)
        await self._accounting.adjust(loaded.settings.accounting)
        await self._events.adjust(loaded.settings.webhooks)


def _known_as(settings: Settings, *, asks_for_reuse: bool) -> list[Listener]:
    """Return each listening socket as it is announced to peers; over TLS they may be asked to reuse our connections."""
    return [
        Listener(
            announced or reachable_address(each.host),
            each.port,
            each.transport,
            str(each),
            asks_for_reuse and each.transport == "tls",
            each.host,
        )
        for each, announced in zip(settings.listen, settings.advertise, strict=True)
    ]


def _settle_garbage_collector() -> None:
    """Put what a start has made, and no call will free, out of the collector's sight.

    It is not searched for garbage once more: that takes 0.3 s, while calls wait, to find a thousand objects.
    """
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
