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
from vosd.billing.holds import Purse
from vosd.cdr.ports import Books, StoreUnavailable
from vosd.cdr.record import CallRecord
from vosd.engine.authentication import Authenticator
from vosd.engine.bookkeeping import OpenCall, lost
from vosd.engine.carried import Carried
from vosd.engine.catalogue import Catalogue
from vosd.engine.directory import Directory, means_of
from vosd.engine.inbox import Inbox
from vosd.engine.journal import Journal
from vosd.engine.keepalive import KeepAlives
from vosd.engine.lookup import Resolver
from vosd.engine.loop import TICK_S, HangUp, Loop, Transmit
from vosd.engine.onlookers import Onlookers
from vosd.engine.pings import Pings
from vosd.engine.recorder import Recorder
from vosd.engine.registrants import Registrants
from vosd.engine.registrar import Registrar
from vosd.engine.registration_writer import RegistrationWriter
from vosd.engine.registrations import EXPIRY_TICK_MS, Registrations
from vosd.engine.replay import Remains
from vosd.engine.settings import Settings
from vosd.engine.switch import Switch
from vosd.engine.tokens import TokenSource
from vosd.engine.trace import Trace
from vosd.routing.tables import Address, RoutingGateway
from vosd.sip.compose import Peer
from vosd.sip.endpoint import Endpoint
from vosd.sip.flows import Listener
from vosd.sip.glance import KEPT_ALIVE, Kind
from vosd.sip.ports import BindingStore

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


async def report_dropped(dropped: Counter[str]) -> None:
    """Tell from time to time how much came to nothing since the last time, and why; runs until cancelled."""
    told: Counter[str] = Counter()
    while True:
        await asyncio.sleep(REPORT_S)
        fresh = dropped - told
        told = dropped.copy()
        fresh.pop(KEPT_ALIVE, None)
        if fresh:
            _log.warning("traffic dropped", why=dict(fresh))


class _Keeper:
    """Journal and recorder, as the switch sees them."""

    def __init__(self, journal: Journal, recorder: Recorder) -> None:
        self._journal = journal
        self._recorder = recorder

    @property
    def refuses_calls(self) -> bool:
        return self._journal.is_overfull or self._recorder.is_overfull

    def answered(self, call: OpenCall) -> None:
        self._journal.answered(call)

    def ended(self, record: CallRecord) -> None:
        self._journal.ended(record)
        self._recorder.add(record)


class SwitchService:
    """One node: ``start`` before the listeners open, ``serve`` once they are, ``drain`` and ``stop`` at the end.

    ``listeners`` say what peers are told of each socket of ``settings.listen``, in the same order.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        books: Books,
        registered: BindingStore,
        clock: Clock,
        listeners: Sequence[Listener],
        resolver: Resolver,
    ) -> None:
        self._books = books
        self._clock = clock
        self.listeners = tuple(listeners)
        self._journal = Journal(settings.state_dir / "journal")
        purses: dict[str, Purse] = {}
        self._recorder = Recorder(books, self._journal, purses, settings.cdr)
        tokens = TokenSource()
        self.authenticator = Authenticator(
            catalogue, tokens.secret(), tokens.token, self.knows_host, lambda: self.registrations
        )
        self.directory = Directory(resolver, clock, means_of(settings.listen), settings.dns)
        self._endpoint = Endpoint(
            settings.sip, listeners, tokens.token, self._knows, self.directory.locate, self.authenticator
        )
        trace = Trace(settings.trace, self._knows)
        self.onlookers = Onlookers(trace, listeners)
        flows = self._endpoint.flows
        self._registration_writer = RegistrationWriter(registered, flows, clock)
        self.registrations = Registrations(
            settings.sip.registrar, flows, self._registration_writer, self._endpoint.peer_moved
        )
        self._registrar = Registrar(self._endpoint, self.registrations)
        self.switch = Switch(
            node=settings.node,
            endpoint=self._endpoint,
            catalogue=catalogue,
            ledger=_Keeper(self._journal, self._recorder),
            entropy=tokens.entropy,
            purses=purses,
            onlookers=self.onlookers,
            register=self._registrar.take_register,
            addresses_of=self.addresses_of,
        )
        self.registrants = Registrants(self._endpoint, self.directory.resolved, self.switch.live.unregistered)
        self._pings = Pings(self._endpoint, self.directory.addresses, self.switch.live.health)
        self._loop = Loop(clock, self._endpoint, self.switch, self._journal, trace.message)
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
        self._mark = 0
        self._refreshing = asyncio.Lock()

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Wind up the earlier life and learn what every account has.

        Raises:
            JournalUnusableError: ``state_dir`` cannot be used.
            StoreUnavailable: the database is away.
        """
        remains = self._journal.open()
        await self.adopt_accounts(self.switch.catalogue)
        self._wind_up(remains)
        await self._registrar.restore(self.switch.catalogue)
        await self.directory.adopt(self.switch.catalogue.routing_gateways.values())
        self._run("booking", self._recorder.run)
        self._run("journal to disk", self._journal.keep_synced)
        self._run("time marks", self._mark_time)
        self._run("watch over money", self._watch_money)
        self._run("watch over names", self.directory.run)
        self._run("registrations to database", self._registration_writer.run)
        self._run("ends of registrations", self._end_registrations)
        self._run("report of dropped traffic", lambda: report_dropped(self.dropped))

    @property
    def belongs(self) -> Callable[[Kind, bytes], bool]:
        """What listeners ask of a stranger's message that looks as if it belonged to a call."""
        return self._endpoint.belongs

    @property
    def transport_failed(self) -> Callable[[int, str, int], None]:
        """What listeners call with (flow, host, port) where a connection was lost or could not be opened."""
        return self._loop.transport_failed

    def connection_closed(self, flow: int, host: str, port: int) -> None:
        """Hear that a connection is gone: nobody is called on it any more."""
        self.registrations.connection_lost(Peer(flow, host, port))

    def serve(self, transmit: Sequence[Transmit], hang_up: HangUp) -> None:
        """Begin to talk through the given senders, one a listener."""
        self._loop.attach(transmit, hang_up)
        self._adopt_vendors(self.switch.catalogue)
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

    def heeds(self, host: str) -> bool:
        """Say whether an address is a gateway's, or that of somebody who has proven himself: no stranger's."""
        is_phone = self.registrations.knows_host(host) or self.authenticator.has_proven(host, self._clock.now())
        return is_phone or self.knows_host(host)

    def census(self) -> dict[str, int]:
        """Count what is alive and what waits."""
        waiting = {"cdr_queue": len(self._recorder), "spool_rows": self._journal.unbooked}
        return {**self.switch.census(), **self.registrations.census(), **waiting}

    def addresses_of(self, gateway: RoutingGateway) -> Sequence[Address]:
        """Return where a gateway or a phone is right now."""
        if gateway.is_phone:
            return self.registrations.addresses(gateway.name)
        return self.registrants.routed(gateway.name, self.directory.addresses(gateway))

    def end_calls(self, chosen: Sequence[Carried], reason: EndReason) -> int:
        """End calls by order and tell their peers."""
        now = self._clock.now()
        ended = self.switch.end_calls(chosen, reason, now)
        self._loop.flush(now)
        return ended

    async def swap_catalogue(self, catalogue: Catalogue) -> None:
        """Put another catalogue in force once its accounts have purses.

        Raises:
            StoreUnavailable: new accounts could not be opened; the old catalogue stays.
        """
        await self.adopt_accounts(catalogue)
        await self.directory.adopt(catalogue.routing_gateways.values())
        self.switch.swap_catalogue(catalogue)
        self.authenticator.adopt(catalogue)
        self._registrar.adopt(catalogue)
        self._adopt_vendors(catalogue)

    async def refresh_money(self) -> None:
        """Take in what others have booked since the last look.

        Raises:
            StoreUnavailable: the balances stay as they were known.
        """
        async with self._refreshing:
            changes = await self._books.standings(self._mark)
            self._mark = changes.mark
            for account, standing in changes.standings.items():
                purse = self.switch.live.purses.get(account)
                if purse is not None:
                    purse.committed(standing.balance, standing.seq)

    async def adopt_accounts(self, catalogue: Catalogue) -> None:
        """Open a row and a purse for every account that has none, and learn all balances anew."""
        purses = self.switch.live.purses
        missing = [account for account in catalogue.accounts if account not in purses]
        if missing:
            await self._books.open_accounts(missing)
            standings = (await self._books.standings()).standings
            for account in missing:
                balance, seq = standings[account]
                purses[account] = Purse(account, catalogue.accounts[account].overdraft_limit, balance, seq)

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
        self.registrants.adopt(gateways, catalogue.parameters.challenges_max, now)
        self._pings.adopt(gateways, now)
        self._loop.flush(now)

    async def _take_leave(self) -> None:
        """Take our registrations back."""
        now = self._clock.now()
        self._pings.stop()
        self.registrants.leave(now)
        self._loop.flush(now)
        for _ in range(round(PARTING_S / TICK_S)):
            if self.registrants.have_left:
                return
            await asyncio.sleep(TICK_S)
        _log.warning("a vendor did not answer the end of our registration; there it runs out by itself")

    def _knows(self, host: str, port: int) -> bool:
        is_gateway = self.switch.knows(host, port) or host in self.directory.hosts()
        is_registered = is_gateway or self.registrations.knows(host, port)
        return is_registered or self.authenticator.has_proven(host, self._clock.now())

    def _run(self, name: str, work: Work) -> None:
        self._tasks.append(asyncio.create_task(kept_going(name, work), name=name))

    def _wind_up(self, remains: Remains) -> None:
        """Close the calls that the earlier life left running, and book everything it did not."""
        if remains.open_calls or remains.unbooked:
            _log.warning(
                "winding up an earlier life", lost_calls=len(remains.open_calls), unbooked=len(remains.unbooked)
            )
        left = [*remains.unbooked.values()]
        left += [lost(call, remains.last_mono) for call in remains.open_calls.values()]
        for record in left:
            self._journal.ended(record)
            self._recorder.add(record)
            for posting in record.postings:
                if posting.account in self.switch.live.purses:
                    self.switch.live.purses[posting.account].post(posting.amount)
        self._journal.settle()

    async def _end_registrations(self) -> None:
        """Let go of those whose time is over; runs until cancelled."""
        while True:
            await asyncio.sleep(EXPIRY_TICK_MS / 1_000)
            self.registrations.expire(self._clock.now())

    async def _mark_time(self) -> None:
        """Prove every second, while calls run, that the switch lives; runs until cancelled."""
        while True:
            await asyncio.sleep(MARK_S)
            if self.switch.has_calls:
                self._journal.mark(self._clock.now())
                self._journal.flush()

    async def _watch_money(self) -> None:
        """Look for foreign bookings; runs until cancelled."""
        reachable = True
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.refresh_money()
                reachable = True
            except StoreUnavailable as error:
                if reachable:
                    _log.warning("balances cannot be read, the last known ones hold", error=str(error))
                reachable = False
