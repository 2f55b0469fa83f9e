"""A whole switch at work: the loop, the journal, the recorder and the view of money, from start to stop.

What people and signals ask of a running switch ends here. Owns the order in which an earlier life is wound up
before the first call is taken (DESIGN D9), and the poll that brings in what others have booked (D13).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import structlog

from vosd.base.cause import EndReason
from vosd.base.clock import Clock
from vosd.callcontrol.bookkeeping import OpenCall
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.lease import Lease
from vosd.cdr.ports import Books, StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.comparison import Comparison
from vosd.engine.booking.database_memo import MemoFile
from vosd.engine.booking.database_watch import DatabaseWatch
from vosd.engine.booking.recorder import Recorder
from vosd.engine.booking.restore import wind_up
from vosd.engine.booking.spool import Spool
from vosd.engine.calls.leftovers import Leftovers, Placements
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.snapshots import accounts_of
from vosd.engine.calls.switch import Switch
from vosd.engine.counting import census_of, totals_of
from vosd.engine.journal import Journal
from vosd.engine.loop import TICK_S, HangUp, Loop, Transmit
from vosd.engine.overload.inbox import Inbox
from vosd.engine.peers.directory import Directory, means_of
from vosd.engine.peers.gateways import Gateways
from vosd.engine.peers.lookup import Resolver
from vosd.engine.peers.options_ping import Pings
from vosd.engine.peers.signalling import SignallingLimits
from vosd.engine.registration.authentication import Authenticator
from vosd.engine.registration.bindings import EXPIRY_TICK_MS, Registrations
from vosd.engine.registration.keepalive import KeepAlives
from vosd.engine.registration.outbound import OutboundRegistrations
from vosd.engine.registration.phone_service import PhoneService
from vosd.engine.registration.registrar import Registrar
from vosd.engine.registration.writer import RegistrationWriter
from vosd.engine.settings import Settings
from vosd.engine.tokens import TokenSource
from vosd.engine.trace.followers import TraceFollowers
from vosd.engine.trace.messages import Trace
from vosd.obs.events import Event
from vosd.obs.outage import Outage
from vosd.sip.drops import Drop, Drops
from vosd.sip.endpoint import Endpoint
from vosd.sip.flows import Listener
from vosd.sip.ports import BindingStore
from vosd.sip.wire.classify import Kind
from vosd.sip.wire.compose import Peer
from vosd.trunks.gateways import Address, RoutingGateway

POLL_S: Final = 1.0
"""How often foreign bookings are looked for."""
MARK_S: Final = 1.0
"""How often time is marked while calls run: what a crash may take from an answered call."""
PARTING_S: Final = 2.0
"""How long a stop waits for peers to answer their BYE, and repeats it meanwhile."""
REPORT_S: Final = 60.0
"""How often the log tells what traffic came to nothing."""
FINAL_BOOKING_S: Final = 10.0
"""How long a stop waits for the database; what is not booked by then stays in the journal for the next start."""

_log = structlog.get_logger()


Work = Callable[[], Coroutine[Any, Any, None]]


async def kept_going(name: str, work: Work) -> None:
    """Run work that has no end, and begin it again after a mistake of ours: calls must be booked whatever happens."""
    while True:
        try:
            return await work()
        except Exception:  # noqa: BLE001  the boundary of a task: nobody else would hear of it
            _log.exception("a mistake of ours ended a task, it begins again", task=name)
            await asyncio.sleep(POLL_S)


async def report_dropped(dropped: Drops) -> None:
    """Tell from time to time how much came to nothing since the last time, and why; runs until cancelled."""
    told: Drops = Counter()
    while True:
        await asyncio.sleep(REPORT_S)
        fresh = dropped - told
        told = dropped.copy()
        fresh.pop(Drop.KEEP_ALIVE, None)
        if fresh:
            _log.warning("traffic dropped", why={str(reason): count for reason, count in fresh.items()})


class _Keeper:
    """Journal, recorder and the watch over the database, as the switch sees them."""

    def __init__(self, journal: Journal, recorder: Recorder, watch: DatabaseWatch) -> None:
        self._journal = journal
        self._recorder = recorder
        self._watch = watch

    @property
    def refuses_calls(self) -> bool:
        return self._watch.refuses_calls or self._journal.is_overfull or self._recorder.is_overfull

    def answered(self, call: OpenCall) -> bool:
        return self._journal.answered(call)

    def moved(self, call: OpenCall) -> None:
        self._journal.moved(call)

    def ended(self, record: CallRecord) -> None:
        self._journal.ended(record)
        self._recorder.add(record)


class SwitchService:
    """One node: ``learn`` and ``start`` before the listeners open, ``serve`` then, ``drain`` and ``stop`` at the end.

    ``database.begin`` comes before all of it, ``database.end`` after.
    ``listeners`` say what peers are told of each socket of ``settings.listen``, in the same order.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        books: Books,
        registered: BindingStore,
        lease: Lease,
        clock: Clock,
        listeners: Sequence[Listener],
        resolver: Resolver,
    ) -> None:
        self._clock = clock
        self.listeners = tuple(listeners)
        self._journal = Journal(settings.state_dir / "journal", settings.journal)
        self.balances = Balances(books)
        self._recorder = Recorder(books, self._journal, self.balances.credits, settings.cdr)
        self.spool = Spool(books, self._journal.quarantine, self.balances.credits, self._recorder.turn)
        self.gateways = Gateways(clock, catalogue)
        tokens = TokenSource()
        self.authenticator = Authenticator(
            catalogue, tokens.secret(), tokens.token, self.knows_host, lambda: self.registrations
        )
        self.directory = Directory(resolver, clock, means_of(settings.listen), settings.dns)
        self.signalling = SignallingLimits(catalogue, self.directory.name_at)
        placements = Placements(self._journal)
        self._endpoint = Endpoint(
            settings.sip, listeners, tokens.token, self._knows, self.directory.locate, self.authenticator, placements
        )
        trace = Trace(settings.trace, self._knows)
        self.followers = TraceFollowers(trace, listeners)
        flows = self._endpoint.flows
        self._registration_writer = RegistrationWriter(registered, flows, clock)
        self.phone_service = PhoneService(clock, settings.phone_service, lambda: self.registrations)
        self.registrations = Registrations(
            settings.sip.registrar,
            flows,
            self._registration_writer,
            self._endpoint.peer_moved,
            self.phone_service.changed,
        )
        comparison = Comparison(books, self.balances, self._recorder, self._journal)
        memo = MemoFile(settings.state_dir / "database.json")
        self.database = DatabaseWatch(
            lease, books, self.balances, comparison, memo, clock, self.registrations.write_again
        )
        self._registrar = Registrar(self._endpoint, self.registrations)
        self.switch = Switch(
            node=settings.node,
            endpoint=self._endpoint,
            catalogue=catalogue,
            sink=self.gateways.counting(_Keeper(self._journal, self._recorder, self.database)),
            entropy=tokens.entropy,
            credits=self.balances.credits,
            followers=self.followers,
            register=self._registrar.take_register,
            addresses_of=self.addresses_of,
        )
        self.outbound = OutboundRegistrations(self._endpoint, self.directory.resolved, self.switch.live.unregistered)
        self._pings = Pings(self._endpoint, self.directory.addresses, self.switch.live.health)
        self._loop = Loop(clock, self._endpoint, self.switch, self._journal, trace.message)
        patience_s = settings.sip.timers.transaction_ms / 1000
        self._leftovers = Leftovers(
            self._endpoint, self._journal, clock, self._loop.flush, lambda: self.switch.catalogue, patience_s
        )
        self.keep_alives = KeepAlives(clock, self.registrations, listeners, settings.keep_alive)
        self.dropped = self._endpoint.dropped
        """What came to nothing, by why."""
        self.inbox = Inbox(
            self._loop.datagram_received,
            self._loop.turn_away,
            settings.overload,
            self._endpoint.flows.refusal_tag,
            self.dropped,
        )
        self._tasks: list[asyncio.Task[None]] = []

    # -- life ---------------------------------------------------------------------------------------------------

    async def learn(self) -> None:
        """Read balances and registrations, before ``start``; call it again where it raises ``StoreUnavailable``."""
        await self.database.look()  # while an attempt waited, another switch may have taken the lease
        await self.balances.adopt(self.switch.catalogue.accounts)
        await self._registrar.restore(self.switch.catalogue)

    async def start(self) -> None:
        """Wind up the earlier life, and start the tasks; raises ``JournalUnusableError`` for a bad ``state_dir``."""
        remains = self._journal.open()
        wind_up(remains, self._journal, self._recorder, self.balances, self._leftovers)
        self.phone_service.begin()
        await self.directory.adopt(self.switch.catalogue.routing_gateways.values())
        self._run("booking", self._recorder.run)
        self._run("journal to disk", self._journal.keep_synced)
        self._run("time marks", self._mark_time)
        self._run("lease", self.database.keep)
        self._run("comparison with the journal", self.database.compare)
        self._run("watch over money", self._watch_money)
        self._run("watch over names", self.directory.run)
        self._run("registrations to database", self._registration_writer.run)
        self._run("ends of registrations", self._end_registrations)
        self._run("reports to the phone service", self.phone_service.run)
        self._run("report of dropped traffic", lambda: report_dropped(self.dropped))

    @property
    def belongs(self) -> Callable[[Kind, bytes], bool]:
        """What listeners ask of a stranger's message that looks as if it belonged to a call."""
        return self._endpoint.belongs

    @property
    def transport_failed(self) -> Callable[[int, str, int], None]:
        """What listeners call with (flow, host, port) where a connection was lost or could not be opened."""
        return self._loop.transport_failed

    @property
    def unsent(self) -> Callable[[bytes], None]:
        """What listeners call with a datagram that could not be sent."""
        return self._loop.unsent

    def connection_closed(self, flow: int, host: str, port: int) -> None:
        """Hear that a connection is gone: nobody is called on it any more."""
        self.registrations.connection_lost(Peer(flow, host, port))

    def serve(self, transmit: Sequence[Transmit], hang_up: HangUp) -> None:
        """Begin to talk through the given senders, one a listener."""
        self._loop.attach(transmit, hang_up)
        self._adopt_vendors(self.switch.catalogue)
        self._run("calls of an earlier life", self._leftovers.run)
        self.keep_alives.begin(transmit)
        self.inbox.attach(asyncio.get_running_loop())

    async def drain(self, grace_s: int) -> None:
        """Take no more calls, let the others go on for ``grace_s``, end what is left, book everything."""
        self.switch.takes_calls = False
        try:
            async with asyncio.timeout(grace_s):
                await self.switch.emptied()
        except TimeoutError:
            count = self.end_calls(self.switch.calls(), EndReason.SHUTDOWN)
            _log.warning("calls ended by the stop", calls=count, grace_s=grace_s)
            await self._parting()
        await self._take_leave()
        try:
            async with asyncio.timeout(FINAL_BOOKING_S):
                await self._recorder.drained()
        except TimeoutError:
            _log.error("calls stay in the journal until the next start", calls=self._journal.unbooked)
        self.keep_alives.stop()

    async def stop(self) -> None:
        """End the tasks and close the journal."""
        self.inbox.detach()
        self._loop.detach()
        self.keep_alives.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.registrations.part()
        self._journal.close()

    # -- people -------------------------------------------------------------------------------------------------

    def knows_host(self, host: str) -> bool:
        """Say whether a gateway may send from an address, whatever the port."""
        return self.switch.knows_host(host) or host in self.directory.hosts()

    def is_known_source(self, host: str) -> bool:
        """Say whether an address is a gateway's, or that of somebody who has proven himself: no stranger's."""
        is_phone = self.registrations.knows_host(host) or self.authenticator.has_proven(host, self._clock.now())
        return is_phone or self.knows_host(host)

    def census(self) -> dict[str, int]:
        """Count what is alive and what waits."""
        return census_of(self.switch, self.registrations, self._recorder, self._journal)

    def totals(self) -> dict[str, int]:
        """Return the counters since the start."""
        return totals_of(self.switch.notices, self.inbox)

    def addresses_of(self, gateway: RoutingGateway) -> Sequence[Address]:
        """Return where a gateway or a phone is right now."""
        if gateway.registers:
            return self.registrations.addresses(gateway.name)
        return self.outbound.routed(gateway.name, self.directory.addresses(gateway))

    def end_calls(self, chosen: Sequence[LiveCall], reason: EndReason) -> int:
        """End calls by order and tell their peers."""
        now = self._clock.now()
        ended = self.switch.end_calls(chosen, reason, now)
        self._loop.flush(now)
        return ended

    async def swap_catalogue(self, catalogue: Catalogue) -> None:
        """Put another catalogue in force once its accounts have credits.

        Raises:
            CurrencyChangedError: an account may not have its new currency; the old catalogue stays.
            StoreUnavailable: new accounts could not be opened; the old catalogue stays.
        """
        vendors = catalogue.routing_gateways.values()
        await self.directory.look_up(vendors)
        await self.balances.adopt(catalogue.accounts, lambda: accounts_of(self.switch.calls()))
        self.directory.keep_to(vendors)  # from here on nothing is awaited: no call begins in an old currency
        self.switch.swap_catalogue(catalogue)
        self.gateways.adopt(catalogue)
        self.authenticator.adopt(catalogue)
        self.signalling.adopt(catalogue)
        self._registrar.adopt(catalogue)
        self._adopt_vendors(catalogue)

    # -- inside -------------------------------------------------------------------------------------------------

    async def _parting(self) -> None:
        """Wait until the peers have answered our BYEs, so that one that was lost is sent again."""
        for _ in range(round(PARTING_S / TICK_S)):
            if not self._endpoint.awaits_answers:
                return
            await asyncio.sleep(TICK_S)
        _log.warning("a peer did not answer the last BYE; its side of the call may still be open")

    def _adopt_vendors(self, catalogue: Catalogue) -> None:
        """Register where that is wanted, and ask who is to be asked."""
        now, gateways = self._clock.now(), catalogue.routing_gateways.values()
        self.outbound.adopt(gateways, catalogue.parameters.challenges_max, now)
        self._pings.adopt(gateways, now)
        self._loop.flush(now)

    async def _take_leave(self) -> None:
        """Take our registrations back."""
        now = self._clock.now()
        self._pings.stop()
        self.outbound.leave(now)
        self._loop.flush(now)
        for _ in range(round(PARTING_S / TICK_S)):
            if self.outbound.have_left:
                return
            await asyncio.sleep(TICK_S)
        _log.warning("a vendor did not answer the end of our registration; there it runs out by itself")

    def _knows(self, host: str, port: int) -> bool:
        is_gateway = self.switch.knows(host, port) or host in self.directory.hosts()
        is_registered = is_gateway or self.registrations.knows(host, port)
        return is_registered or self.authenticator.has_proven(host, self._clock.now())

    def _run(self, name: str, work: Work) -> None:
        self._tasks.append(asyncio.create_task(kept_going(name, work), name=name))

    async def _end_registrations(self) -> None:
        """Let go of those whose time is over; runs until cancelled."""
        while True:
            await asyncio.sleep(EXPIRY_TICK_MS / 1_000)
            self.registrations.expire(self._clock.now())

    async def _mark_time(self) -> None:
        """Have the journal prove every second that the switch lives; runs until cancelled."""
        while True:
            await asyncio.sleep(MARK_S)
            self._journal.tick(self._clock.now(), has_calls=self.switch.has_calls)

    async def _watch_money(self) -> None:
        """Look for foreign bookings; runs until cancelled."""
        outage = Outage(Event.DATABASE_AWAY, part="balances")
        while True:
            await asyncio.sleep(POLL_S)
            self.balances.report_lows()
            try:
                await self.balances.refresh()
                outage.over()
            except StoreUnavailable as error:
                outage.found(error, means="the last known balances hold")
