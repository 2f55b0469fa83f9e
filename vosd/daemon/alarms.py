"""Alarms of the running switch: what is measured of it, the desk that keeps them, and ``vosd alarms`` (ADR 70)."""

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from vosd.base.clock import Clock
from vosd.billing.accounts import Account, LongCallAlarm
from vosd.catalogue.overrides import Override, Setting
from vosd.control.installation import AlarmList, ConfirmAlarm, ConfirmedAlarm, ListAlarms, MachineUse
from vosd.daemon.account_mail import AccountMailTexts
from vosd.engine.alarms.account_mail import AccountMail
from vosd.engine.alarms.desk import AlarmDesk, AlarmFile
from vosd.engine.alarms.machine import has_address
from vosd.engine.alarms.mail import Mail
from vosd.engine.alarms.margins import Pair, PrefixPair, Takings
from vosd.engine.alarms.watch import LongCall, PortsUsed, Unbooked, Watch
from vosd.engine.alarms.webhook import AlarmWebhook
from vosd.engine.booking.database_watch import Condition
from vosd.engine.calls.snapshots import snapshot
from vosd.engine.counting import census_of
from vosd.engine.reports.live_events import LiveEvents
from vosd.engine.service import SwitchService
from vosd.engine.settings import AlarmSettings, Settings, SipListener
from vosd.obs.events import Event
from vosd.obs.figures import Figure
from vosd.obs.stream import EventStream
from vosd.routing.calendar import Calendar
from vosd.routing.false_answers import ShortCalls
from vosd.routing.figures import LatestCalls
from vosd.routing.quality import QualityFigures
from vosd.stir.settings import TrustedFile
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.scope import LimitScope


class AlarmPart:
    """The alarms of one switch, from the start of the process to its end."""

    def __init__(
        self,
        service: SwitchService,
        settings: Settings,
        clock: Clock,
        stream: EventStream,
        events: LiveEvents,
        certificate_ends: Callable[[], Mapping[str, int]],
        processes: Callable[[], Mapping[str, int]],
        settings_now: Callable[[], Settings],
    ) -> None:
        """``certificate_ends`` returns when our certificates for TLS end, by file, UTC milliseconds.

        ``processes`` returns the ids of the processes of the switch by their names, ``settings_now`` the settings in
        force.
        """
        self._service: Final = service
        texts = AccountMailTexts(service, clock, settings_now)
        self._account_mail: Final = AccountMail(clock, settings.alarms.mail, texts.composer)
        self._desk: Final = AlarmDesk(
            stream,
            clock,
            settings.alarms,
            {
                "webhook": AlarmWebhook(settings.node, clock, settings.alarms.webhook),
                "mail": Mail(settings.node, clock, settings.alarms.mail),
                "account_mail": self._account_mail,
            },
            AlarmFile(settings.state_dir / "alarms.json"),
            events,
        )
        self._watch: Final = Watch(
            SwitchMeasures(service, clock, certificate_ends, processes, settings.listen),
            clock,
            settings.alarms,
            settings.state_dir,
            self._low_accounts,
        )

    async def begin(self) -> None:
        """Begin before the database is there, so that its absence is an alarm."""
        self._desk.begin(self._watch.run)

    def _low_accounts(self) -> Iterable[str]:
        """Return accounts with a balance that was reported as low; of those that were mailed some in turn."""
        low = Event.BALANCE_LOW
        return {*self._desk.subjects_of(low), *self._account_mail.mailed_of(low)}

    def serve(self) -> None:
        """Look at the values of the switch from now on: the start is over, and its state is known.

        Parts that hold a state of before the start, and report changes only, report it once more.
        """
        self._watch.serves_calls = True
        self._account_mail.serves.set()
        for event in (Event.GATEWAY_UNREGISTERED, Event.PHONE_OFFLINE):
            self._service.node.registrar.report_absent(self._desk.subjects_of(event))
        gateways = self._service.switch.catalogue.routing_gateways.values()
        pings = [(each.name, each.ping) for each in gateways if each.ping is not None]
        self._desk.await_causes(
            {(Event.GATEWAY_DOWN, name): ping.interval_ms * ping.down_after for name, ping in pings}
        )
        if self._service.database.condition is Condition.WELL:
            self.has_database()

    def has_database(self) -> None:
        """Take an outage of before the start for over: the database answers."""
        self._desk.await_no_longer(Event.DATABASE_AWAY)

    def compare_clock(self, latest_ms: int) -> None:
        """Report a clock that is behind the latest record of earlier runs (UTC milliseconds)."""
        self._watch.compare_clock(latest_ms)

    async def end(self) -> None:
        """End the tasks."""
        await self._desk.end()

    def adjust(self, settings: AlarmSettings) -> None:
        """Apply other settings."""
        self._watch.settings = settings
        self._desk.adjust(settings)

    def machine(self) -> MachineUse:
        """Return the use of processor, memory and disk as of the latest look at them."""
        return self._watch.machine

    def active(self) -> Counter[tuple[str, str]]:
        """Count the alarms that hold by name and level."""
        return self._desk.counted()

    async def confirmed(self, order: ConfirmAlarm) -> ConfirmedAlarm:
        """Note who has seen an alarm."""
        return self._desk.confirm(order)

    async def listed(self, question: ListAlarms) -> AlarmList:
        """List the alarms, for ``vosd alarms``."""
        return self._desk.rows(history=question.history)


class SwitchMeasures:
    """Measured values of a switch; of a gateway that is not configured any more, or disabled, there are none."""

    def __init__(
        self,
        service: SwitchService,
        clock: Clock,
        certificate_ends: Callable[[], Mapping[str, int]],
        processes: Callable[[], Mapping[str, int]],
        listen: Iterable[SipListener],
    ) -> None:
        self._service = service
        self._clock = clock
        self._listen = listen
        self._certificate_ends = certificate_ends
        self.processes = processes

    def gateways(self) -> Iterable[str]:
        """Return the names of the routing gateways."""
        return [name for name, each in self._service.switch.catalogue.routing_gateways.items() if each.enabled]

    def quality(self, gateway: str, slices: int) -> QualityFigures:
        """Return the latest figures of a routing gateway."""
        return self._service.switch.live.quality.latest(gateway, self._clock.now().mono, slices)

    def unbooked(self) -> Unbooked:
        """Return which calls are not in the database."""
        service = self._service
        figures = census_of(part for part in service.parts if part is not service.switch)
        return Unbooked(figures[Figure.SPOOL_OLDEST_S], figures[Figure.QUARANTINED])

    def addresses_gone(self) -> Collection[str]:
        """Return the addresses for SIP and media that the machine has no more."""
        wanted, media = {each.host for each in self._listen}, self._service.node.media
        if media is not None and media.parts.relay is not None:
            wanted.update(each.bind for addresses in media.parts.addresses for each in addresses)
        return [each for each in wanted if not has_address(each)]

    def journal_sync_s(self) -> float:
        """Return how many seconds the journal's slowest sync took since this was asked last."""
        return self._service.take_slowest_sync()

    def long_calls(self, longer_than_s: int) -> Iterator[LongCall]:
        """Yield the calls that last longer, without those of accounts that want no such alarm."""
        now = self._clock.now()
        before, accounts = now.mono - 1_000 * longer_than_s, self._service.switch.catalogue.accounts
        for each in self._service.switch.calls():
            if each.is_over:  # while others had their turn
                continue
            answered_at = each.call.journey.answered_at
            account = each.call_request.account
            if answered_at is None or answered_at.mono > before:
                continue
            if account is not None and not self._reports_long_calls(accounts.get(account.id, account), now.wall):
                continue
            shown = snapshot(each, now)
            yield LongCall(
                shown.call_id,
                shown.talk_s or 0,
                shown.customer_account or "",
                shown.callee,
                shown.routing_gateway or "",
            )

    def _reports_long_calls(self, account: Account, wall_ms: int) -> bool:
        """Return whether a long call of an account is an alarm now; an account without calendar never rests."""
        if account.long_call_alarm is not LongCallAlarm.OUTSIDE_WORKING_HOURS:
            return account.long_call_alarm is LongCallAlarm.YES
        calendar = self._service.switch.catalogue.calendars.get(account.calendar or "")
        return calendar is None or not calendar.is_working_time(wall_ms, account.calendar_use)

    def calls_a_second(self) -> Iterable[tuple[str, int]]:
        """Return how many calls each mapping gateway has taken in the last second, those without any left out."""
        return self._service.switch.live.occupancy.lately(LimitScope.MAPPING, self._clock.now().mono)

    def callers(self) -> Container[str]:
        """Return the names of the mapping gateways that are configured."""
        return self._service.switch.catalogue.mapping_gateways

    def setups(self) -> tuple[int, float]:
        """Return how many calls were answered since the start, and how many milliseconds their set-up took."""
        seen = self._service.gateways.call_totals.setups
        return sum(seen.counts), seen.total_ms

    def short_calls(self) -> Iterable[ShortCalls]:
        """Return the gateways, and destinations of gateways, with too many short calls."""
        configured = self._service.switch.catalogue.routing_gateways
        found = self._service.switch.live.false_answers.look(self._clock.now().mono)
        return (each for each in found if _is_used(each.gateway, configured))

    def takings(self) -> Mapping[Pair, Takings]:
        """Return what calls have brought and cost since the start, by the currencies of both."""
        traded = self._service.gateways.call_totals.traded
        return {pair: Takings(sums.calls, sums.income, sums.cost) for pair, sums in traded.items()}

    def customers(self) -> Iterable[str]:
        """Return the names of the mapping gateways that have had calls; phones are none."""
        configured = self._service.switch.catalogue.mapping_gateways
        return (each for each in self._service.gateways.customers() if _is_used(each, configured))

    def latest_calls(self, customer: str, at_least: int) -> LatestCalls:
        """Return the latest calls of a mapping gateway, of an hour at most where they are too few."""
        return self._service.gateways.latest_calls(customer, at_least)

    def media_losses(self) -> Iterator[tuple[str, float | None]]:
        """Yield which percentage of the packets of each routing gateway is lost; None = too few to say."""
        media, configured = self._service.node.media, self._service.switch.catalogue.routing_gateways
        if media is not None:
            losses = media.parts.losses.percents(self._clock.now().mono)
            yield from (each for each in losses if _is_used(each[0], configured))

    def customer_media_losses(self) -> Iterator[tuple[str, float | None]]:
        """Yield the same of each mapping gateway."""
        media, configured = self._service.node.media, self._service.switch.catalogue.mapping_gateways
        if media is not None:
            losses = media.parts.customer_losses.percents(self._clock.now().mono)
            yield from (each for each in losses if _is_used(each[0], configured))

    def media_ports_used(self) -> Iterator[PortsUsed]:
        """Yield the use of each range of ports for media, and of the ports of each rtpengine."""
        media = self._service.node.media
        if media is not None and media.parts.relays:
            for ports, percent in media.used_percents(self._clock.now()).items():
                yield PortsUsed(percent, ports=str(ports))
            for name, percent in media.rtpengine_ports_used():
                yield PortsUsed(percent, rtpengine=name)

    def prefix_takings(self) -> Mapping[PrefixPair, Takings]:
        """Return the same by prefix of the customer's rate, since it was asked last, of a limited number of them."""
        totals = self._service.gateways.call_totals
        traded, totals.traded_by_prefix = totals.traded_by_prefix, {}
        return {key: Takings(sums.calls, sums.income, sums.cost) for key, sums in traded.items()}

    def calls_without_cdr(self) -> int:
        """Return how many calls have left no CDR since the start."""
        return self._service.switch.notices.counted[Figure.CALLS_WITHOUT_CDR]

    def overdrafts(self) -> Iterator[tuple[str, float | None]]:
        """Yield which percentage of its overdraft limit each account has used; None = it has none, or owes nothing.

        Left out are accounts that are disabled; those that have left the configuration keep their credits.
        """
        credits = self._service.balances.credits
        for account in self._service.switch.catalogue.accounts.values():
            credit = credits.get(account.id)
            if credit is not None and account.enabled:
                limit, owed = credit.own_limit, -(credit.balance + credit.unbooked)
                yield account.id, float(owed * 100 / limit) if limit and owed > 0 else None

    def exchange_rate(self, base: str, quote: str) -> Decimal | None:
        """Return what one unit of ``base`` is in ``quote`` now; None = there is no rate."""
        return self._service.switch.catalogue.currencies.rate(base, quote, self._clock.now().wall)

    def calendars(self) -> Iterable[Calendar]:
        """Return the work calendars."""
        return self._service.switch.catalogue.calendars.values()

    def signing_certificate(self) -> tuple[str, int] | None:
        """Return the address of our certificate for signing calls, and when it ends; None = unknown."""
        stir = self._service.switch.catalogue.parameters.stir
        signer = None if stir is None else stir.signer
        return None if signer is None or signer.ends_ms is None else (signer.certificate_url, signer.ends_ms)

    def certificate_ends(self) -> Mapping[str, int]:
        """Return when our certificates for TLS end, by file, UTC milliseconds."""
        return self._certificate_ends()

    def trusted_files(self) -> Sequence[TrustedFile]:
        """Return the files by which callers' signatures are verified."""
        stir = self._service.switch.catalogue.parameters.stir
        return () if stir is None else stir.trusted

    def expiries(self) -> Iterator[tuple[str, int | None]]:
        """Yield when each account expires that is not disabled or closed, UTC milliseconds; None = never."""
        credits, blocks = self._service.balances.credits, self._service.switch.live.blocks.accounts
        for account in self._service.switch.catalogue.accounts.values():
            credit, block = credits.get(account.id), blocks.get(account.id)
            if account.enabled and (block is None or block.setting is not Setting.CLOSED):
                yield account.id, (credit.expires_at if credit is not None else None) or account.expires_at

    def unfinished_closes(self) -> Iterator[tuple[str, Override]]:
        """Yield the closed accounts that have a balance, each with what has closed it; those that are gone left out."""
        credits, configured = self._service.balances.credits, self._service.switch.catalogue.accounts
        for name, block in self._service.switch.live.blocks.accounts.items():
            credit = credits.get(name) if block.setting is Setting.CLOSED and name in configured else None
            if credit is not None and credit.balance + credit.unbooked:
                yield name, block

    def is_low(self, account: str) -> bool:
        """Return whether the balance of an account may still be low."""
        credit = self._service.balances.credits.get(account)
        return credit is not None and (credit.is_low or credit.awaits_use)


def _is_used(name: str, configured: Mapping[str, MappingGateway] | Mapping[str, RoutingGateway]) -> bool:
    """Return whether a gateway is among the configured ones, and enabled."""
    return name in configured and configured[name].enabled
