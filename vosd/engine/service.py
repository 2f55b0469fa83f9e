"""A whole switch at work: a node with its loop, journal, recorder and view of money, from start to stop.

Owns the order in which an earlier run is completed before the first call is taken, and the order of a stop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import replace
from typing import Final

from vosd.base.cause import EndReason
from vosd.base.clock import Clock, Instant
from vosd.billing.accounts import Account
from vosd.callcontrol.questions import Asker, Step
from vosd.callcontrol.setup import STEPS
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import Blocks, Overrides, overlaid
from vosd.catalogue.ports import NoOverrides, SwitchOverrides
from vosd.cdr.lease import Lease
from vosd.cdr.ports import Books
from vosd.cdr.record import CallRecord
from vosd.cdr.retention import KeepSettings
from vosd.control.peers import OutboundRow
from vosd.engine.background import BackgroundTasks, every, report_dropped
from vosd.engine.booking.away_terms import AwayTerms
from vosd.engine.booking.balances import ACCOUNTS_AT_ONCE, Balances
from vosd.engine.booking.call_keeper import CallKeeper
from vosd.engine.booking.comparison import JournalComparison
from vosd.engine.booking.database_watch import MEMO, Condition, DatabaseWatch, MemoFile
from vosd.engine.booking.last_standings import LastStandings, NoLastStandings, StandingsCopier
from vosd.engine.booking.overrides import OverrideWatch
from vosd.engine.booking.recorder import Recorder
from vosd.engine.booking.spool import Owing, Spool
from vosd.engine.calls.leftovers import Leftovers, Placements
from vosd.engine.calls.live_call import LiveCall
from vosd.engine.calls.snapshots import accounts_of
from vosd.engine.counting import Counting
from vosd.engine.earlier_run import hand_on, recover, resume
from vosd.engine.journal import Journal
from vosd.engine.lookups.asker import Lookups
from vosd.engine.lookups.sip_question import Wiring
from vosd.engine.loop import ENDED_AT_ONCE, TICK_S, Loop
from vosd.engine.media.media_parts import MediaParts
from vosd.engine.media.recordings import CallRecordings
from vosd.engine.media.rtpengine_calls import POLL_TICK_S, RtpEngineCalls
from vosd.engine.media.switch_media import MediaFigures, SwitchMedia
from vosd.engine.node import Node, Surroundings
from vosd.engine.overload.inbox import Inbox
from vosd.engine.peers.countries import Countries
from vosd.engine.peers.directory import NamedGateway, NameDirectory, SignallingLimits, means_of
from vosd.engine.peers.gateways import Gateways
from vosd.engine.peers.kept_names import NamesFile
from vosd.engine.peers.lookup import Resolver
from vosd.engine.peers.named_sources import NamedSources
from vosd.engine.registration.authentication import HeldRequest, PasswordVerdict
from vosd.engine.registration.bindings import EXPIRY_TICK_MS
from vosd.engine.registration.keepalive import KeepAlives
from vosd.engine.registration.phone_service import PhoneService
from vosd.engine.registration.remote_passwords import RemotePasswords
from vosd.engine.senders import CloseConnection, HasConnection, Transmit
from vosd.engine.settings import HepSettings, Settings
from vosd.engine.state_files import StateFiles
from vosd.engine.tokens import TokenSource
from vosd.engine.trace.hep_mirror import HepMirror
from vosd.engine.trace.hep_sender import HepSender
from vosd.engine.without_database import WithoutDatabase
from vosd.media.relay import MediaRelay
from vosd.obs.events import log as _log
from vosd.sip.auth_gate import Accepted
from vosd.sip.door.door import WAIT_MAX_MS
from vosd.sip.flows import IsHere, Listener, is_on_loopback
from vosd.sip.ports import BindingStore
from vosd.sip.settings import Timers
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.media import PortRange

MARK_S: Final = 1.0
"""Interval at which time is marked while calls run: what a crash may take from an answered call."""
LAST_ANSWERS_S: Final = 2.0
"""Time that a stop waits for peers to answer their BYE, and repeats it meanwhile."""
FINAL_BOOKING_S: Final = 10.0
"""Time that a stop waits for the database; what is not booked by then stays in the journal for the next start."""


class SwitchService:
    """One node: ``learn`` and ``start`` before the listeners open, ``serve`` then, ``drain`` and ``stop`` at the end.

    ``database.begin`` comes before all of it, ``database.end`` after.
    ``listeners`` are the sockets of ``settings.listen`` as announced to peers, in the same order.
    """

    _hep: HepSettings | None = None
    """The capture server; None = there is none."""
    latest_wall: int = 0
    """Time of the latest record of the journal at the start, UTC milliseconds."""
    _is_removing = False
    """Whether registrations that have ended are removed in the next turn of the event loop."""

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
        *,
        overrides: SwitchOverrides | None = None,
        last_standings: LastStandings | None = None,
        boot: str = "",
        steps: tuple[Step, ...] = STEPS,
        asker: Asker | None = None,
        relay: MediaRelay | None = None,
        rtpengines: RtpEngineCalls | None = None,
        relays_new_calls: bool = True,
        is_here: IsHere = is_on_loopback,
    ) -> None:
        """``steps`` set calls up; what they ask is answered by ``asker``, at once or through ``take_answer``.

        ``overrides`` are those of the database, ``last_standings`` a copy of its balances; None = there are none.
        ``boot`` identifies the boot of the machine; empty = it is not known. ``relay`` is that of media; None = they go
        from party to party. ``rtpengines`` relay in place of it, while one of them works. Without ``relays_new_calls``
        the relay is for calls of the run before alone.
        """
        # Called when a database that has lost commits is mended: its definitions are other ones, too.
        self.doubt_definitions: Callable[[], Awaitable[None]] = _doubt_nothing
        self._clock, self._boot = clock, boot
        self._books = books
        self._resume_within_s = settings.resume_within_s
        self.served_mono = 0
        """Time at which the earlier run was last known to serve its calls, in milliseconds of the monotonic clock."""
        self._configured = catalogue
        """The catalogue without overrides."""
        kept = settings.state_dir / "overrides.json"
        self.overrides = OverrideWatch(overrides or NoOverrides(), clock, self._override, kept)
        self.listeners = tuple(listeners)
        self._journal = Journal(settings.state_dir / "journal", settings.journal)
        self.balances = Balances(books, clock)
        self.recorder = Recorder(books, self._journal, self.balances.credits, settings.cdr, clock=clock)
        self.recorder.booked_elsewhere, self.recorder.booked_on = (
            self.balances.tell_of_others,
            self.balances.note_changed,
        )
        self.spool = Spool(
            books, self._journal.quarantine, self.balances.credits, self.recorder.turn,
            Owing(self.recorder.waiting, self.balances.add_owed),
        )  # fmt: skip
        self.gateways = Gateways(clock, catalogue)
        self.directory = NameDirectory(resolver, clock, means_of(settings.listen), settings.dns)
        self.signalling = SignallingLimits(catalogue, self.directory.names_at)
        self._names_file, self._named_sources, self.directory.sources_moved = (
            NamesFile(settings.state_dir, self.directory, clock),
            NamedSources(self.directory.sources),
            self._relocate,
        )
        memo, copy = (
            MemoFile(settings.state_dir / MEMO, settings.database_url.reveal()),
            last_standings or NoLastStandings(),
        )
        comparison = JournalComparison(books, self.balances, self.recorder, self._journal, copy)
        self.database = DatabaseWatch(lease, books, self.balances, comparison, memo, clock, self._mend_the_rest)
        self.phone_service = PhoneService(clock, settings.phone_service, lambda: self.registrations)
        self.lookups, self.countries, self.passwords = (
            Lookups(clock, settings.lookups),
            Countries(),
            RemotePasswords(clock, settings.radius, self._password_judged),
        )
        surroundings = Surroundings(
            clock=clock,
            tokens=TokenSource(),
            names=self.directory,
            sink=CallKeeper(self._journal, self.recorder, self.database, self.gateways.note),
            credits=self.balances.credits,
            registered=registered,
            placed=(placements := Placements(self._journal)),
            presence=self.phone_service.changed,
            steps=steps,
            asker=asker or self.lookups,
            country_of=self.countries.of,
            is_here=is_here,
            ask_others=self.passwords.ask,
            media=self._new_media(relay, rtpengines, settings, catalogue, relays_new_calls=relays_new_calls),
        )
        self.node = Node(settings.node, settings.sip, settings.trace, listeners, catalogue, surroundings)
        self.switch, self.registrations = self.node.switch, self.node.registrations
        self._away_terms = AwayTerms(self.switch.live, lambda: self.switch.catalogue, self.recorder, clock)
        self.database.set_away, self.database.note_used = self._away_terms.set_away, self._away_terms.note_used
        self._copier = StandingsCopier(self.balances, copy, lambda: self.database.is_compared)
        self.without_database = WithoutDatabase(
            self.balances, self.overrides, self.recorder, self.database, self._away_terms, self._copier, self.node,
            clock, settings.start_without_age_s,
        )  # fmt: skip
        self._state_files = StateFiles(settings.state_dir, self.switch.live, clock)
        self._journal.describe, placements.services = self.switch.continuation.describe, self.switch.services
        self._endpoint = self.node.endpoint
        self.loop = Loop(clock, self._endpoint, self.switch, self._journal, self.node.trace, self.recorder.when_booked)
        self.lookups.connect(
            Wiring(self._endpoint, self.switch.take_answer, self.loop.take_answer, self.switch.terms.vendors_at)
        )
        self._rtpengines, self._tasks, self.hep_sender = rtpengines, BackgroundTasks(), HepSender()
        self._leftovers = Leftovers(
            self.node.endpoint, self._journal, clock, self.loop.flush, self.switch.services, self._keep_left_over
        )
        self.keep_alives = KeepAlives(clock, self.registrations, listeners, settings.keep_alive)
        self.dropped = self._endpoint.dropped
        """Number of dropped messages by reason."""
        self.inbox = Inbox(
            self.loop.datagram_received,
            self.loop.refuse_overload,
            settings.overload,
            self._endpoint.flows.refusal_tag,
            self.dropped,
        )
        node, switch = self.node, self.switch
        bookkeepers = (self.recorder, self._journal, self.spool, self.balances, self.database, self.overrides)
        registrations = (self.registrations, node.registrar, node.authenticator, self.phone_service, self.keep_alives)
        peers = (
            self.gateways, self.directory, self.signalling, node.vendors, self.lookups, self.passwords, self.hep_sender,
            node.messages,
        )  # fmt: skip
        self.parts: Final[tuple[Counting, ...]] = (
            switch, switch.notices, self.inbox, *bookkeepers, *registrations, *peers, MediaFigures(node.media),
        )  # fmt: skip
        """Parts that have figures for ``vosd status``."""

    def _keep_left_over(self, record: CallRecord) -> None:
        """Keep the record of a call of an earlier run: nothing is held for it, and its accounts may be gone."""
        self.balances.add_owed(record.postings, record.ended_at)
        self.switch.services.sink.ended(record)

    def _new_media(
        self,
        relay: MediaRelay | None,
        rtpengines: RtpEngineCalls | None,
        settings: Settings,
        catalogue: Catalogue,
        *,
        relays_new_calls: bool,
    ) -> SwitchMedia:
        terms, addresses = catalogue.parameters.media, settings.media.addresses
        media = SwitchMedia(MediaParts(relay, self.listeners, addresses, terms, self._clock.now(), rtpengines))
        media.parts.use_sounds(catalogue.parameters.sounds)
        media.calls.late = self.recorder.late
        media.parts.takes_calls = media.parts.relays and relays_new_calls
        if relay is not None:
            media.parts.recordings = CallRecordings(relay, settings.state_dir / "recordings")
            relay.spare((each.host, PortRange(each.port, each.port)) for each in settings.listen)
        return media

    def _watch_media(self, media: SwitchMedia) -> None:
        """Move calls that have lost their ports; ask rtpengines for figures; let what waits for them leave."""
        rtpengines = self._rtpengines
        if rtpengines is not None:
            rtpengines.in_turn = self.loop.in_turn

        def tick() -> None:
            if rtpengines is not None:
                rtpengines.poll()
            now = self._clock.now()
            if not self.loop.stands_still() and media.moves.go_on(now):
                self.loop.flush(now)

        self._tasks.run("media", lambda: every(POLL_TICK_S, tick))

    def adjust(self, timers: Timers, kept_files: KeepSettings) -> None:
        """Send requests again by other timers, and keep booked files of the journal by other settings, from now on."""
        self._endpoint.store.timers = timers
        self._journal.adjust(kept_files)

    @property
    def journal_is_short(self) -> bool:
        """Whether the disk of the journal is full or fails, so that no new call is taken."""
        return self._journal.is_short

    def take_slowest_sync(self) -> float:
        """Return how many seconds the journal's slowest sync took since this was asked last."""
        return self._journal.take_slowest_sync()

    async def adjust_hep(self, settings: HepSettings | None) -> None:
        """Copy messages to this capture server; None = to none."""
        if settings == self._hep:
            return
        self._hep = settings
        if self.node.hep is not None:
            self.node.hep.make_all()
        await self.hep_sender.end()
        mirror = None
        if settings is not None:
            mirror = HepMirror(settings, self.listeners, self.hep_sender.send, asyncio.get_running_loop())
            self.hep_sender.begin(settings.server)
        self.node.copy_messages(mirror, self.switch.catalogue)

    # -- life ---------------------------------------------------------------------------------------------------

    async def learn(self) -> None:
        """Read what the database knows, before ``start``; call it again where it raises ``StoreUnavailable``."""
        await self.database.look()  # while an attempt waited, another switch may have taken the lease
        renewing = BackgroundTasks()
        renewing.run("lease", self.database.keep)  # what many accounts have spent is read for longer than it holds
        try:
            await self.balances.adopt(self.switch.catalogue.accounts)
            await self.overrides.refresh()  # sets limits of accounts, which must be known by now
            await self.node.registrar.restore(self.switch.catalogue)
        finally:
            await renewing.stop()
        if self.switch.live.is_database_away:  # since before all accounts were known
            await self._away_terms.set_away(True)

    async def start(self) -> None:
        """Recover the earlier run, and start the tasks; raises ``JournalUnusableError`` for a bad ``state_dir``."""
        self._tasks.run("lease", self.database.keep)  # from now on: a long journal is read for longer than it holds
        async with self._tasks.stopped_on_failure():
            self._names_file.restore()
            await self.directory.adopt(_named_gateways(self._configured))
            self._relocate()
            remains = await resume(
                self._journal, self.switch, self._books, self.balances, self._copier, self._endpoint.flows, self._boot,
                self._resume_within_s, self._clock, self.directory.look_up_earlier,
                is_away=self.database.condition is Condition.AWAY,
            )  # fmt: skip
            self.served_mono = remains.last_mono
            self.latest_wall = remains.latest_wall
            recover(
                remains,
                self._journal,
                self.recorder,
                self.balances,
                self._leftovers.adopt,
                self.switch.continuation.report_closed,
            )
            self.balances.owed_of = self.recorder.owed_of
        if self.node.media is not None:
            calls = self.node.media.calls
            calls.all_resumed(self._clock.now())
            calls.listen(self.loop.key_pressed, self.loop.sound_failed, self.loop.source_found)
        self._state_files.restore()
        self.phone_service.begin()
        self.recorder.wake()
        self._away_terms.note_owed()
        self._tasks.run("booking", self.recorder.run)
        self._tasks.run("journal to disk", self._journal.keep_synced)
        self._tasks.run("ends of the journal's files", self._journal.sealing.run)
        self._tasks.run("comparison with the journal", self.database.compare)
        self._tasks.run("bookings of others", self.balances.run)
        self._tasks.run("watch over money", self.balances.watch)
        self._tasks.run("copy of balances", self._copier.run)
        self._tasks.run("age of the copy", self.without_database.run)
        self._tasks.run("overrides", self.overrides.run)
        self._tasks.run("ends of overrides", self.overrides.keep_time)
        self._tasks.run("watch over names", self.directory.run)
        self._tasks.run("names to disk", self._names_file.run)
        self._tasks.run("countries of addresses", self.countries.run)
        self._tasks.run("registrations to database", self.registrations.keep_written)
        self._tasks.run("ends of registrations", self._end_registrations)
        self._tasks.run("reports to the phone service", self.phone_service.run)
        self._tasks.run("live state to disk", self._state_files.run)
        if self.node.media is not None and self.node.media.parts.relays:
            self._watch_media(self.node.media)
        self._tasks.run("report of dropped traffic", lambda: report_dropped(self.dropped))

    def begin_turn(self) -> Instant | None:
        """Return the instant of a turn of messages that are processed as they are read; None = they must be queued."""
        return self._clock.now() if self.inbox.is_idle() else None

    def connection_closed(self, flow: int, host: str, port: int) -> None:
        """Remove the registrations that are reached by a connection which was closed; calls go on over others."""
        peer = Peer(flow, host, port)
        self.node.authenticator.certificates.closed(peer)
        self.registrations.note_lost(peer)
        if not self._is_removing:
            self._remove_registrations()

    def _remove_registrations(self) -> None:
        """Remove registrations that have ended together; messages have their turns in between.

        A host that is gone may have had hundreds of connections: those that close in the same turn wait for the next.
        """
        are_left, was_removing = self.registrations.remove_some(), self._is_removing
        if self.loop.is_attached:
            self.loop.flush(self._clock.now())
        self._is_removing = are_left or not was_removing
        if self._is_removing:
            asyncio.get_running_loop().call_soon(self._remove_registrations)

    def connection_certified(self, flow: int, host: str, port: int, names: frozenset[str]) -> None:
        """Note the names in the certificate of a peer that has connected to us; none = it has shown no certificate."""
        self.node.authenticator.certificates.opened(Peer(flow, host, port), names)

    def serve(
        self,
        transmit: Sequence[Transmit],
        hang_up: CloseConnection,
        has_connection: HasConnection,
        has_accepted: HasConnection,
    ) -> None:
        """Begin to talk through the given senders, one a listener."""
        self.registrations.has_connection = lambda peer: has_connection(*peer)
        self.registrations.has_accepted = lambda peer: has_accepted(*peer)
        self.loop.attach(transmit, hang_up)
        now = self._clock.now()
        self.node.vendors.adopt(self.switch.catalogue, now)
        self.loop.flush(now)
        self._tasks.run("calls of an earlier run", self._leftovers.run)
        self._tasks.run("time marks", lambda: every(MARK_S, self._mark_time))
        self.keep_alives.begin(transmit)
        self.database.standstill.connect(self.loop, self.inbox, resume=self.inbox.serve)
        self.loop.is_behind = self.inbox.is_behind
        self.inbox.attach(asyncio.get_running_loop())

    async def drain(self, grace_s: int) -> None:
        """Take no more calls, let the others go on for ``grace_s``, end what is left, book everything."""
        self.switch.takes_calls = False
        try:
            async with asyncio.timeout(grace_s):
                await self.switch.services.running.emptied()
        except TimeoutError:
            count = await self.end_in_turns(self.switch.calls(), EndReason.SHUTDOWN)
            _log.warning("calls_ended_by_stop", calls=count, grace_s=grace_s)
            await self._await_bye_answers()
        await self._end_vendor_registrations()
        try:
            async with asyncio.timeout(FINAL_BOOKING_S):
                await self.recorder.drained()
        except TimeoutError:
            _log.error("calls_left_in_journal", calls=self._journal.unbooked)
        self._leftovers.note_over(self._clock.now())
        self.keep_alives.stop()

    async def keep(self) -> None:
        """Write all calls down exactly as they are, for the next process; nothing is processed from then on.

        A message that waits at its door has its answer first: without it the call ends whose other side has accepted
        the change that it answers. What comes meanwhile, as over connections that are open, is processed as ever.
        """
        if self.loop.is_attached:
            await self._await_doors()
        self.switch.takes_calls = False
        now = self._clock.now()
        self.switch.continuation.open_doors(now)
        self.loop.flush(now)
        kept = self.switch.continuation.keep()
        # a start that has served no call does not count, or starts that fail would keep calls beyond resume_within
        at = now if self.loop.is_attached else now.plus(self.served_mono - now.mono)
        if kept.left:
            left = {call.arrival.call_id for call in kept.left}
            _log.warning("calls_ended_by_stop", calls=len(left), why="they cannot be described")
            self.end_calls([each for each in self.switch.calls() if each.call_id in left], EndReason.SHUTDOWN)
            kept = self.switch.continuation.keep()
        self._leftovers.note_over(now)
        self.inbox.detach()
        self.loop.detach()
        self.keep_alives.stop()
        hand_on(self._journal, kept, at)

    async def stop(self) -> None:
        """End the tasks and close the journal."""
        self.lookups.stop()
        self.passwords.stop()
        self.inbox.detach()
        self.loop.detach()
        self.keep_alives.stop()
        await self._tasks.stop()
        await self.without_database.copy_all()  # a task is cancelled again and again until it has ended
        await self.registrations.write_all()
        self._journal.close()
        self._state_files.write_last()
        self._names_file.write_last()

    # -- people -------------------------------------------------------------------------------------------------

    def end_calls(self, chosen: Sequence[LiveCall], reason: EndReason) -> int:
        """End calls by order and tell their peers; none any more once they are written for the next process."""
        return self.loop.end_calls(chosen, reason)

    async def end_in_turns(self, chosen: Sequence[LiveCall], reason: EndReason) -> int:
        """End calls as ``end_calls`` does, some in each turn of the event loop; return how many, once that is done."""
        count = 0
        for first in range(0, len(chosen), ENDED_AT_ONCE):
            count += self.end_calls(chosen[first : first + ENDED_AT_ONCE], reason)
            await asyncio.sleep(0)
        return count

    def hang_up(self, chosen: Sequence[LiveCall]) -> int:
        """End calls by order of the fraud watch, while others go on; return how many there are."""
        return self.loop.end_in_turns(chosen, EndReason.ADMINISTRATIVE)

    async def swap_catalogue(self, catalogue: Catalogue) -> None:
        """Put another catalogue in force once its accounts have credits.

        Raises:
            CurrencyChangedError: an account may not have its new currency; the old catalogue stays.
            StoreUnavailable: new accounts could not be opened; the old catalogue stays.
        """
        named = _named_gateways(catalogue)
        await self.directory.look_up(named)
        other = catalogue.changes_since(self._configured).accounts
        changed = await self._accounts_with_other_terms(catalogue, other)
        await self.balances.adopt(catalogue.accounts, lambda: accounts_of(self.switch.calls()), other)
        self.directory.keep_to(named)  # from here on nothing is awaited: no call begins in an old currency
        self._configured = catalogue
        catalogue = self._in_force(self.overrides.in_force)
        self.gateways.adopt(catalogue)
        self.signalling.adopt(catalogue)
        now = self._clock.now()
        self.node.swap_catalogue(catalogue, now, changed)
        self.loop.flush(now)
        if not self._is_removing:
            self._remove_registrations()
        for _ in self.switch.terms.recount():
            await asyncio.sleep(0)  # let calls run

    def retry_registrations(self) -> None:
        """Have registrations with vendors that back off after failures ask at once."""
        now = self._clock.now()
        self.node.vendors.registrations.retry(now)
        self.loop.flush(now)

    def retry_registration(self, gateway: str) -> OutboundRow | None:
        """Have the registration of one gateway with its vendor asked for at once; None = it has none."""
        now = self._clock.now()
        row = self.node.vendors.registrations.retry_of(gateway, now)
        self.loop.flush(now)
        return row

    async def check_catalogue(self, catalogue: Catalogue) -> None:
        """Raise the errors with which ``swap_catalogue`` would refuse a catalogue, and change nothing."""
        await self.balances.check_currencies(catalogue.accounts, lambda: accounts_of(self.switch.calls()))

    async def _accounts_with_other_terms(self, catalogue: Catalogue, other: Set[str]) -> list[Account]:
        """Return the accounts that are not in the configured catalogue, or have another limit there.

        ``other`` has all that may differ from the configured ones.
        """
        before, changed = self._configured.accounts, []
        for count, name in enumerate(other & catalogue.accounts.keys(), 1):
            account, was = catalogue.accounts[name], before.get(name)
            if was is not account and (
                was is None or was.overdraft_limit != account.overdraft_limit or was.low_terms != account.low_terms
            ):
                changed.append(account)
            if count % ACCOUNTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let calls run
        return changed

    def overridden_at(self, wall_ms: int) -> tuple[Catalogue, Blocks]:
        """Return the catalogue and the blocks with those overrides of now that have not expired at a time."""
        overrides = self.overrides.in_force.at(wall_ms)
        if overrides.by_key == self.overrides.in_force.by_key:
            return self.switch.catalogue, self.switch.live.blocks
        blocks = Blocks()
        blocks.set(overrides, self._configured)
        return self._in_force(overrides), blocks

    # -- inside -------------------------------------------------------------------------------------------------

    def _password_judged(self, held: HeldRequest, verdict: PasswordVerdict, terms: Accepted) -> None:
        """Take the verdict of a server on a password, and process its request."""
        self.node.authenticator.judged(held, verdict, terms, self._clock.now())
        self.loop.take_again(bytes(held.request), held.source, held.came)

    async def _await_doors(self) -> None:
        """Wait until no message waits at a door any more that would fail, no longer than any may wait."""
        for _ in range(round(WAIT_MAX_MS / 1_000 / TICK_S)):
            if not self.switch.continuation.awaits_at_doors:
                return
            await asyncio.sleep(TICK_S)

    async def _await_bye_answers(self) -> None:
        """Wait until the peers have answered our BYEs, so that one that was lost is sent again."""
        for _ in range(round(LAST_ANSWERS_S / TICK_S)):
            if not self._endpoint.awaits_answers:
                return
            await asyncio.sleep(TICK_S)
        _log.warning("last_bye_unanswered", means="its side of the call may still be open")

    async def _end_vendor_registrations(self) -> None:
        now = self._clock.now()
        self.node.vendors.end(now)
        self.loop.flush(now)
        for _ in range(round(LAST_ANSWERS_S / TICK_S)):
            if self.node.vendors.have_ended:
                return
            await asyncio.sleep(TICK_S)
        _log.warning("registration_end_unanswered", means="it expires there")

    def _override(self, overrides: Overrides) -> None:
        catalogue = self._in_force(overrides)
        self.gateways.override(catalogue)
        self.switch.terms.override(catalogue, overrides)

    def _in_force(self, overrides: Overrides) -> Catalogue:
        """Return the configured catalogue with overrides, and with the present addresses of customers' names."""
        catalogue = overlaid(self._configured, overrides)
        sources = self._named_sources.locate(self._configured.sources)
        return catalogue if sources is catalogue.sources else replace(catalogue, sources=sources)

    def _relocate(self) -> None:
        """Put the present addresses of customers' names in force."""
        if self._named_sources.locate(self._configured.sources) is self.switch.terms.sources:
            return
        catalogue = self._in_force(self.overrides.in_force)
        self.gateways.override(catalogue)
        self.signalling.adopt(catalogue)
        self.node.relocate(catalogue)

    async def _mend_the_rest(self) -> None:
        self.overrides.forget_version()
        await self.doubt_definitions()
        await self.registrations.write_again()

    async def _end_registrations(self) -> None:
        are_more = False
        while True:
            await asyncio.sleep(0 if are_more else EXPIRY_TICK_MS / 1_000)  # packets have their turn before the rest
            are_more = self.registrations.expire(self._clock.now())

    def _mark_time(self) -> None:
        """Have the journal prove that the switch lives, and report when too much waits for the database."""
        now = self._clock.now()
        self._leftovers.note_over(now)
        self._journal.tick(now, has_calls=self.switch.has_calls)
        self.recorder.watch_length(self.switch.catalogue.parameters.cdr_pending)
        self._away_terms.report()


async def _doubt_nothing() -> None:
    """Have no definitions to read again."""


def _named_gateways(catalogue: Catalogue) -> list[NamedGateway]:
    """Return the gateways that may have names to look up."""
    return [*catalogue.routing_gateways.values(), *catalogue.sources.named.values()]
