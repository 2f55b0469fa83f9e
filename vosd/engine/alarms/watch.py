"""Compare with the limits of ``alarms``, every few seconds and beside the calls; what is found is logged as events."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Container, Iterable, Mapping, Sequence
from decimal import Decimal
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, TypeVar

from vosd.base.clock import Clock, Instant
from vosd.catalogue.overrides import Override
from vosd.cdr.columns import iso_utc
from vosd.control.installation import MachineUse
from vosd.engine.alarms.call_rates import CallRates
from vosd.engine.alarms.machine import MACHINE, MachineMeter, disk_free_percent, memory_in_use
from vosd.engine.alarms.margins import MINUTES, Margins, Pair, PrefixMargins, PrefixPair, Takings
from vosd.engine.settings import AlarmSettings
from vosd.obs.events import BACK, GONE, Event, log as _log
from vosd.routing.calendar import Calendar
from vosd.routing.false_answers import ShortCalls
from vosd.routing.figures import LatestCalls
from vosd.routing.quality import QualityFigures
from vosd.stir.settings import TrustedFile

TICK_S: Final = 1.0
CHECK_TICKS: Final = 5
"""Values are compared with their limits every so many ticks."""
LAG_TICKS: Final = 10
"""The lag of the event loop is averaged over so many ticks."""
_ALL: Final = 100.0
"""The best share that there can be, in percent."""
CALENDAR_CHECKS: Final = 720
"""Calendars are looked at with every so many of these, once an hour."""
SETUP_CHECKS: Final = 60
"""The set-up of calls is averaged over so many of them, five minutes."""
MARGIN_CHECKS: Final = 12
"""The margin is looked at with every so many of them, once a minute."""
SLICES: Final = 2
"""A gateway is judged by the slice of its quality that runs and the one before."""
DAY_MS: Final = 86_400_000
CERTIFICATE_DAYS: Final = 14
"""Certificates should last longer."""
EXPIRY_DAYS: Final = (3, 1)
"""Days before its end at which an account is reported again, where ``alarms.expiry_days`` is more."""
CLOSE_MS: Final = 300_000
"""Longest time that the close of an account may take from its first step to the refund."""
SUBJECTS_AT_ONCE: Final = 100
"""Accounts, gateways or calls that are looked at before calls get their turn: a line of the log takes 15 µs."""

Subject = TypeVar("Subject")


async def _in_turns(subjects: Iterable[Subject]) -> AsyncIterator[Subject]:
    """Yield subjects; calls get their turn in between."""
    for count, each in enumerate(subjects, 1):
        yield each
        if count % SUBJECTS_AT_ONCE == 0:
            await asyncio.sleep(0)


class Threshold:
    """One limit, for one value or for one of each subject, with hysteresis.

    An event is logged when the limit is passed, another one when that is over.
    """

    def __init__(self, raised: Event, best: float = inf, *, is_floor: bool = False) -> None:
        """``raised`` has an opposite in ``BACK``; ``is_floor``: values below the limit are bad, not those above it.

        The ``best`` value that there can be is good however great the margin is.
        """
        self._raised: Final = raised
        self._is_floor = is_floor
        self._best = best
        self._bad: dict[str, dict[str, object]] = {}
        """Facts of the subjects whose value is bad."""

    def judge(
        self, value: float | None, limit: float, margin_percent: int, *, subject: str = "", **facts: object
    ) -> None:
        """Compare a value with its limit; a limit of 0, or no value, is never bad.

        A bad value is good again once it is better than the limit by ``margin_percent`` of it. ``facts`` name the
        subject in both lines.
        """
        is_known = subject in self._bad
        if value is None or not limit:
            is_bad = False
        else:
            margin = limit * margin_percent / 100 if is_known else 0
            is_bad = value < min(limit + margin, self._best) if self._is_floor else value >= limit - margin
        if is_bad and not is_known:
            self._bad[subject] = facts
            _log.warning(self._raised.value, **facts, value=None if value is None else round(value, 1), limit=limit)
        elif is_known and not is_bad:
            del self._bad[subject]
            shown = {} if value is None else {"value": round(value, 1)}
            _log.info(BACK[self._raised].value, **facts, **shown)

    def keep(self, subjects: Container[str], why: str = GONE) -> None:
        """End the state of all other subjects: they are gone, or for another reason."""
        for subject in self._others(subjects):
            self._end(subject, why)

    async def keep_of_many(self, subjects: Container[str]) -> None:
        """Do the same where there may be many; calls get their turn in between."""
        async for subject in _in_turns(self._others(subjects)):
            self._end(subject, GONE)

    def _others(self, subjects: Container[str]) -> Sequence[str]:
        return [each for each in self._bad if each not in subjects]

    def _end(self, subject: str, why: str) -> None:
        _log.info(BACK[self._raised].value, **self._bad.pop(subject), why=why)


class PortsUsed(NamedTuple):
    """The use of a range of ports for media, or of those of an rtpengine."""

    percent: float
    ports: str = ""
    rtpengine: str = ""

    @property
    def subject(self) -> str:
        """The range, or the name of the rtpengine."""
        return self.ports or self.rtpengine

    @property
    def facts(self) -> dict[str, str]:
        """The subject by its name in the event."""
        return {"ports": self.ports} if self.ports else {"rtpengine": self.rtpengine}


class LongCall(NamedTuple):
    """An answered call that lasts longer than ``alarms.call_seconds``."""

    call_id: str
    seconds: int
    account: str
    callee: str
    gateway: str


class Unbooked(NamedTuple):
    """Calls that have ended and are not in the database."""

    oldest_s: int
    """For how long the oldest call waits."""
    quarantined: int
    """Number of records that it has rejected."""


class Measures(Protocol):
    """Measured values of a switch."""

    def gateways(self) -> Iterable[str]:
        """Return the names of the routing gateways."""

    def quality(self, gateway: str, slices: int) -> QualityFigures:
        """Return the latest figures of a routing gateway."""

    def processes(self) -> Mapping[str, int]:
        """Return the ids of the processes whose use of a processor bounds what the switch carries, by their names."""

    def unbooked(self) -> Unbooked:
        """Return which calls are not in the database."""

    def addresses_gone(self) -> Collection[str]:
        """Return the addresses for SIP and media that the machine has no more."""

    def journal_sync_s(self) -> float:
        """Return how many seconds the journal's slowest sync took since this was asked last."""

    def long_calls(self, longer_than_s: int) -> Iterable[LongCall]:
        """Return the calls that last longer, without those of accounts that want no such alarm."""

    def calls_a_second(self) -> Iterable[tuple[str, int]]:
        """Return how many calls each mapping gateway has taken in the last second, those without any left out."""

    def callers(self) -> Container[str]:
        """Return the names of the mapping gateways that are configured."""

    def is_low(self, account: str) -> bool:
        """Return whether the balance of an account may still be low."""

    def setups(self) -> tuple[int, float]:
        """Return how many calls were answered since the start, and how many milliseconds their set-up took."""

    def customers(self) -> Iterable[str]:
        """Return the names of the mapping gateways that have had calls; phones are none."""

    def latest_calls(self, customer: str, at_least: int) -> LatestCalls:
        """Return the latest calls of a mapping gateway, of an hour at most where they are too few."""

    def media_losses(self) -> Iterable[tuple[str, float | None]]:
        """Return which percentage of the packets of each routing gateway is lost; None = too few to say."""

    def customer_media_losses(self) -> Iterable[tuple[str, float | None]]:
        """Return the same of each mapping gateway."""

    def media_ports_used(self) -> Iterable[PortsUsed]:
        """Return the use of each range of ports for media, and of the ports of each rtpengine."""

    def short_calls(self) -> Iterable[ShortCalls]:
        """Return the gateways, and destinations of gateways, with too many short calls."""

    def takings(self) -> Mapping[Pair, Takings]:
        """Return what calls have brought and cost since the start, by the currencies of both."""

    def prefix_takings(self) -> Mapping[PrefixPair, Takings]:
        """Return the same by prefix of the customer's rate, since it was asked last, of a limited number of them."""

    def calls_without_cdr(self) -> int:
        """Return how many calls have left no CDR since the start."""

    def overdrafts(self) -> Iterable[tuple[str, float | None]]:
        """Return which percentage of its overdraft limit each account has used; None = it has none, or owes nothing."""

    def exchange_rate(self, base: str, quote: str) -> Decimal | None:
        """Return what one unit of ``base`` is in ``quote`` now; None = there is no rate."""

    def calendars(self) -> Iterable[Calendar]:
        """Return the work calendars."""

    def signing_certificate(self) -> tuple[str, int] | None:
        """Return the address of our certificate for signing calls, and its end, UTC milliseconds; None = unknown."""

    def certificate_ends(self) -> Mapping[str, int]:
        """Return when our certificates for TLS end, by file, UTC milliseconds."""

    def trusted_files(self) -> Iterable[TrustedFile]:
        """Return the files by which callers' signatures are verified."""

    def expiries(self) -> Iterable[tuple[str, int | None]]:
        """Return when each account expires that is not disabled, UTC milliseconds; None = never."""

    def unfinished_closes(self) -> Iterable[tuple[str, Override]]:
        """Return the closed accounts that have a balance, each with what has closed it."""


class Watch:
    """Watches one switch. ``tick`` and ``check`` are its steps, ``run`` does them in time."""

    _gone: frozenset[str] = frozenset()
    """Addresses that the machine has no more."""
    _closes: Mapping[str, Mapping[str, object]] = MappingProxyType({})
    """Facts that were reported of the closed accounts that have a balance."""

    def __init__(
        self,
        measures: Measures,
        clock: Clock,
        settings: AlarmSettings,
        state_dir: Path,
        low_accounts: Callable[[], Iterable[str]],
    ) -> None:
        """``low_accounts`` returns those for which the alarm holds."""
        self._measures = measures
        self._clock = clock
        self.settings = settings
        self.serves_calls = False
        """Whether the start is over: until then values of the switch are not known, only those of the machine."""
        self._state_dir = state_dir
        self._low_accounts = low_accounts
        self._meter = MachineMeter()
        self._lags: deque[int] = deque(maxlen=LAG_TICKS)
        """Milliseconds."""
        self._before: Instant | None = None
        self._asr = Threshold(Event.ASR_LOW, _ALL, is_floor=True)
        self._customer_asr = Threshold(Event.CUSTOMER_ASR_LOW, _ALL, is_floor=True)
        self._pdd = Threshold(Event.PDD_HIGH)
        self._age = Threshold(Event.BOOKING_LATE)
        self._sync = Threshold(Event.JOURNAL_SLOW)
        self._quarantine = Threshold(Event.QUARANTINE_FILLED)
        self._disk = Threshold(Event.DISK_LOW, _ALL, is_floor=True)
        self._cpu = Threshold(Event.CPU_HIGH)
        self._memory = Threshold(Event.MEMORY_HIGH)
        self._lag = Threshold(Event.LOOP_LATE)
        self._calls = Threshold(Event.CALL_TOO_LONG)
        self._cps = Threshold(Event.CPS_HIGH)
        self._rates = CallRates()
        self._acd = Threshold(Event.ACD_LOW, is_floor=True)
        self._short = Threshold(Event.SHORT_CALLS)
        self._loss = Threshold(Event.MEDIA_LOSS_HIGH)
        self._customer_loss = Threshold(Event.CUSTOMER_MEDIA_LOSS_HIGH)
        self._ports = Threshold(Event.RTP_PORTS_LOW)
        self._setup = Threshold(Event.SETUP_SLOW)
        self._setups: deque[tuple[int, float]] = deque(maxlen=SETUP_CHECKS + 1)
        self._margins = Margins()
        self._margin = Threshold(Event.MARGIN_LOW, _ALL, is_floor=True)
        self._prefix_margins = PrefixMargins()
        self._prefix_margin = Threshold(Event.PREFIX_MARGIN_LOW, _ALL, is_floor=True)
        self._without_cdr = Threshold(Event.WITHOUT_CDR_HIGH)
        self._left_none: deque[int] = deque(maxlen=MINUTES + 1)
        """Calls that have left no CDR since the start, as they were at each minute of the last hour."""
        self._overdraft = Threshold(Event.OVERDRAFT_HIGH)
        self._holidays = Threshold(Event.HOLIDAYS_MISSING, is_floor=True)
        self._expiries: dict[str, dict[str, object]] = {}
        """Facts that were reported of the accounts that expire soon."""
        self._certificate = Threshold(Event.SIGNING_CERTIFICATE_ENDS, is_floor=True)
        self._certificates = Threshold(Event.CERTIFICATE_ENDS, is_floor=True)
        self._trust = Threshold(Event.TRUST_ENDS, is_floor=True)
        self._checks = 0
        self.machine = MachineUse()
        """As of the latest check."""

    async def run(self) -> None:
        """Tick every second; runs until cancelled."""
        self._meter.look(self._measures.processes())
        ticks = 0
        while True:
            self._before = self._clock.now()
            await asyncio.sleep(TICK_S)
            self.tick(self._clock.now())
            ticks += 1
            if ticks % CHECK_TICKS == 0:
                await self.check()

    def tick(self, now: Instant) -> None:
        """Note how late a tick comes, and whether the clock was set since the one before."""
        before, self._before = self._before, now
        if before is None:
            return
        passed_ms = now.mono - before.mono
        self._lags.append(max(0, passed_ms - round(1_000 * TICK_S)))
        jump_ms = now.wall - before.wall - passed_ms
        if self.settings.clock_jump_ms and abs(jump_ms) > self.settings.clock_jump_ms:
            _log.warning(
                Event.CLOCK_JUMPED.value,
                seconds=jump_ms / 1_000,
                means="records that follow have the new time; durations are not affected",
                do="keep the clock by NTP, which does not set it back",
            )

    def compare_clock(self, latest_ms: int) -> None:
        """Report a clock that is behind the latest record of earlier runs (UTC milliseconds)."""
        behind_ms = latest_ms - self._clock.now().wall
        if self.settings.clock_jump_ms and behind_ms > self.settings.clock_jump_ms:
            _log.warning(
                Event.CLOCK_JUMPED.value,
                seconds=-behind_ms / 1_000,
                latest_record=iso_utc(latest_ms),
                means="the clock is behind records of before the start, and new calls are listed behind them",
                do="set the clock right; keep it by NTP",
            )

    async def check(self) -> None:
        """Compare all values with their limits."""
        settings, margin = self.settings, self.settings.hysteresis
        lags = self._lags
        lag_ms = sum(lags) / len(lags) if len(lags) == LAG_TICKS else None
        self._lag.judge(lag_ms, settings.loop_lag_ms, margin, unit="ms")
        memory, meter = memory_in_use(), self._meter
        meter.look(self._measures.processes())
        self._cpu.keep(frozenset(meter.processors))
        for name, use in meter.processors.items():
            percent = use.percent if use.is_of_a_minute else None
            self._cpu.judge(percent, settings.cpu, margin, subject=name, process=name, unit="%")
        self._memory.judge(memory, settings.memory, margin, unit="%")
        free = await disk_free_percent(self._state_dir)
        self._disk.judge(free, settings.disk_free, margin, unit="%", directory=str(self._state_dir))
        processes = {name: use.percent for name, use in meter.processors.items()}
        self.machine = MachineUse(processes.pop(MACHINE, None), memory, free, processes, *meter.network)
        if self.serves_calls:
            await self.check_switch()

    async def check_switch(self) -> None:
        """Compare the values of the switch with their limits."""
        self.check_addresses()
        self.check_books()
        await self.check_calls()
        now = self._clock.now()
        await self.check_call_rates(now.mono)
        self.check_setups()
        await self.check_media()
        if self._checks % MARGIN_CHECKS == 0:
            self.check_short_calls()
            self.check_margins()
            self.check_prefix_margins()
            self.check_without_cdr()
            self.check_certificates(now.wall)
            self.check_signing_certificate(now.wall)
            self.check_trust(now.wall)
            self.check_closes(now.wall)
            await self.check_overdrafts()
            await self.check_customers()
        if self._checks % CALENDAR_CHECKS == 0:
            self.keep_call_rates()
            self.check_calendars(now.wall)
            await self.check_expiries(now.wall)
        self._checks += 1
        await self.check_gateways()

    def check_addresses(self) -> None:
        """Report the addresses that the machine has no more, and those that it has again."""
        gone = frozenset(self._measures.addresses_gone())
        for address in sorted(gone - self._gone):
            _log.error(Event.ADDRESS_GONE.value, address=address)
        for address in sorted(self._gone - gone):
            _log.info(Event.ADDRESS_BACK.value, address=address)
        self._gone = gone

    def check_books(self) -> None:
        """Look at the disk of the journal, at what waits for the database, and at the balances that were low."""
        settings, measures = self.settings, self._measures
        unbooked = measures.unbooked()
        self._age.judge(unbooked.oldest_s, settings.booking_age_s, settings.hysteresis, unit="s")
        sync_ms = round(1_000 * measures.journal_sync_s())
        self._sync.judge(sync_ms, settings.journal_sync_ms, settings.hysteresis, unit="ms")
        self._quarantine.judge(unbooked.quarantined, 1, 0, unit="calls")
        for account in self._low_accounts():
            if not measures.is_low(account):
                _log.info(BACK[Event.BALANCE_LOW].value, account=account)

    async def check_calls(self) -> None:
        """Look for calls that last very long; others get their turn in between."""
        limit_s = self.settings.call_seconds
        found = self._measures.long_calls(limit_s) if limit_s else ()
        long = {each.call_id: each async for each in _in_turns(found)}
        await self._calls.keep_of_many(long)
        async for each in _in_turns(long.values()):
            self._calls.judge(
                each.seconds,
                limit_s,
                0,
                subject=each.call_id,
                call_id=each.call_id,
                account=each.account,
                callee=each.callee,
                gateway=each.gateway,
            )

    async def check_call_rates(self, mono_ms: int) -> None:
        """Look at the calls a second of the mapping gateways; other calls get their turn in between."""
        settings = self.settings
        counted = self._measures.calls_a_second() if settings.cps_factor else ()
        fast = self._rates.note(counted, mono_ms, settings.cps_factor, settings.cps_floor)
        async for gateway, rate, limit in _in_turns(fast):
            if limit is not None and settings.cps_factor:
                self._cps.judge(rate, limit, settings.hysteresis, subject=gateway, gateway=gateway)
        if not settings.cps_factor:
            self._cps.keep(frozenset())

    def keep_call_rates(self) -> None:
        """Forget the calls a second of gateways that reloads have removed."""
        configured = self._measures.callers()
        self._rates.keep(configured)
        self._cps.keep(configured)

    def check_setups(self) -> None:
        """Look at the time from the INVITE to the answer of the calls of the last minutes."""
        settings, seen = self.settings, self._setups
        seen.append(self._measures.setups())
        calls, total_ms = seen[-1][0] - seen[0][0], seen[-1][1] - seen[0][1]
        mean_ms = total_ms / calls if calls >= settings.min_calls else None
        self._setup.judge(mean_ms, settings.setup_ms, settings.hysteresis, unit="ms")

    async def check_media(self) -> None:
        """Look at the ports for media that are in use, and at the packets that gateways lose.

        Calls get their turn in between: where our own network loses packets, all gateways do.
        """
        settings, measures = self.settings, self._measures
        used = {each.subject: each for each in measures.media_ports_used()}
        self._ports.keep(frozenset(used))
        for subject, each in used.items():
            self._ports.judge(
                each.percent, settings.media_ports, settings.hysteresis, subject=subject, **each.facts, unit="%"
            )
        for threshold, limit, losses in (
            (self._loss, settings.media_loss, dict(measures.media_losses())),
            (self._customer_loss, settings.customer_media_loss, dict(measures.customer_media_losses())),
        ):
            await threshold.keep_of_many(losses)
            async for gateway, percent in _in_turns(losses.items()):
                threshold.judge(percent, limit, settings.hysteresis, subject=gateway, gateway=gateway, unit="%")

    def check_short_calls(self) -> None:
        """Look for vendors whose answered calls are short; they are judged where they are counted."""
        found = {f"{each.gateway} {each.destination}": each for each in self._measures.short_calls()}
        self._short.keep(frozenset(found), why="fewer calls are short")
        for subject, each in found.items():
            figures = each.figures
            self._short.judge(
                figures.percent,
                each.limit,
                0,
                subject=subject,
                gateway=each.gateway,
                destination=each.destination or "*",
                answered=figures.answered,
                unrung=figures.unrung,
                same=figures.same,
                again=figures.again,
                unit="%",
            )

    def check_margins(self) -> None:
        """Look at what is left of what the calls of the last hour have brought."""
        settings, measures = self.settings, self._measures
        found = dict(self._margins.note(measures.takings(), measures.exchange_rate))
        self._margin.keep(frozenset(found))
        for currency, taken in found.items():
            percent = taken.margin_percent if taken.calls >= settings.min_calls else None
            self._margin.judge(
                percent, settings.margin, settings.hysteresis, subject=currency, currency=currency, unit="%"
            )

    def check_prefix_margins(self) -> None:
        """Look at the margin of each prefix; it is counted also while there is no limit, so that one holds at once."""
        settings, measures = self.settings, self._measures
        found = self._prefix_margins.note(measures.prefix_takings(), measures.exchange_rate)
        judged = {key: taken for key, taken in found.items() if taken.calls >= settings.min_calls}
        self._prefix_margin.keep(frozenset(f"{prefix} {currency}" for prefix, currency in judged))
        for (prefix, currency), taken in judged.items():
            self._prefix_margin.judge(
                taken.margin_percent,
                settings.prefix_margin,
                settings.hysteresis,
                subject=f"{prefix} {currency}",
                prefix=prefix,
                currency=currency,
                calls=taken.calls,
                unit="%",
            )

    def check_without_cdr(self) -> None:
        """Look at how many calls of the last hour have left no CDR."""
        settings, seen = self.settings, self._left_none
        seen.append(self._measures.calls_without_cdr())
        self._without_cdr.judge(seen[-1] - seen[0], settings.without_cdr, settings.hysteresis, unit="calls")

    async def check_overdrafts(self) -> None:
        """Look at how much of their overdraft limits accounts have used; calls get their turn in between."""
        settings, used = self.settings, dict[str, float]()
        async for account, percent in _in_turns(self._measures.overdrafts() if settings.overdraft_used else ()):
            if percent is not None:
                used[account] = percent
        await self._overdraft.keep_of_many(used)
        async for account, percent in _in_turns(used.items()):
            self._overdraft.judge(
                percent, settings.overdraft_used, settings.hysteresis, subject=account, account=account, unit="%"
            )

    def check_calendars(self, wall_ms: int) -> None:
        """Look for calendars whose holidays are not kept up."""
        outdated = frozenset(each.name for each in self._measures.calendars() if not each.has_holidays_ahead(wall_ms))
        self._holidays.keep(outdated)
        for name in outdated:
            self._holidays.judge(0, 1, 0, subject=name, calendar=name, unit="holidays")

    def check_signing_certificate(self, wall_ms: int) -> None:
        """Look whether our certificate for signing calls ends soon."""
        found = self._measures.signing_certificate()
        self._certificate.keep(frozenset() if found is None else frozenset({found[0]}))
        if found is not None:
            days = (found[1] - wall_ms) / DAY_MS
            self._certificate.judge(days, CERTIFICATE_DAYS, 0, subject=found[0], certificate=found[0], unit="days")

    def check_certificates(self, wall_ms: int) -> None:
        """Look whether our certificates for TLS end soon."""
        ends = self._measures.certificate_ends()
        self._certificates.keep(frozenset(ends))
        for name, ends_ms in ends.items():
            days = (ends_ms - wall_ms) / DAY_MS
            self._certificates.judge(days, CERTIFICATE_DAYS, 0, subject=name, file=name, unit="days")

    def check_trust(self, wall_ms: int) -> None:
        """Look whether roots end soon, and whether a list of revoked certificates is out of date."""
        found = {each.file: each for each in self._measures.trusted_files()}
        self._trust.keep(frozenset(found))
        for name, each in found.items():
            days = (each.ends_ms - wall_ms) / DAY_MS
            value = None if each.is_list and days >= 0 else days  # a list ends with each that follows it
            self._trust.judge(value, CERTIFICATE_DAYS, 0, subject=name, file=name, unit="days")

    async def check_expiries(self, wall_ms: int) -> None:
        """Report accounts that expire soon, and again when few days are left; calls get their turn in between."""
        limit_ms = self.settings.expiry_days * DAY_MS
        stages = sorted(
            {self.settings.expiry_days, *(each for each in EXPIRY_DAYS if each < self.settings.expiry_days)}
        )
        soon: dict[str, dict[str, object]] = {}
        async for account, expires_at in _in_turns(self._measures.expiries() if limit_ms else ()):
            if expires_at is not None and 0 < expires_at - wall_ms <= limit_ms:
                days = next(each for each in stages if expires_at - wall_ms <= each * DAY_MS)
                soon[account] = {"account": account, "expires_at": iso_utc(expires_at), "days": days}
        async for account in _in_turns(self._expiries.keys() - soon.keys()):
            _log.info(Event.ACCOUNT_EXPIRY_OVER.value, **self._expiries[account], why=GONE)
        async for account, facts in _in_turns(soon.items()):
            if self._expiries.get(account) != facts:
                _log.warning(Event.ACCOUNT_EXPIRES.value, **facts)
        self._expiries = soon

    def check_closes(self, wall_ms: int) -> None:
        """Report closed accounts that have a balance: a close that was killed leaves it, or a payment comes late."""
        found: dict[str, Mapping[str, object]] = {}
        for account, close in self._measures.unfinished_closes():
            if wall_ms - close.since >= CLOSE_MS or account in self._closes:
                found[account] = {"account": account, "closed_at": iso_utc(close.since), "operator": close.operator}
        for account in self._closes.keys() - found.keys():
            _log.info(Event.ACCOUNT_CLOSE_FINISHED.value, **self._closes[account])
        for account in found.keys() - self._closes.keys():
            _log.warning(Event.ACCOUNT_CLOSE_UNFINISHED.value, **found[account])
        self._closes = found

    async def check_customers(self) -> None:
        """Look at the answers to calls of the mapping gateways; calls get their turn in between."""
        settings, names = self.settings, tuple(self._measures.customers())
        self._customer_asr.keep(frozenset(names))
        async for name in _in_turns(names):
            latest = self._measures.latest_calls(name, settings.min_calls)
            asr = latest.asr if latest.calls >= settings.min_calls else None
            self._customer_asr.judge(
                asr,
                settings.customer_asr,
                settings.hysteresis,
                subject=name,
                gateway=name,
                calls=latest.calls,
                unit="%",
            )

    async def check_gateways(self) -> None:
        """Look at answers and post-dial delay of the routing gateways; calls get their turn in between."""
        settings, names = self.settings, tuple(self._measures.gateways())
        configured = frozenset(names)
        self._asr.keep(configured)
        self._pdd.keep(configured)
        self._acd.keep(configured)
        async for name in _in_turns(names):
            figures = self._measures.quality(name, SLICES)
            is_enough = figures.attempts >= settings.min_calls
            asr = figures.asr if is_enough else None
            pdd_ms = figures.mean_pdd_ms if figures.rang >= settings.min_calls else None
            acd_s = figures.acd_s if figures.talks >= settings.min_calls else None
            margin = settings.hysteresis
            self._acd.judge(acd_s, settings.acd_s, margin, subject=name, gateway=name, unit="s")
            self._asr.judge(asr, settings.asr, margin, subject=name, gateway=name, attempts=figures.attempts, unit="%")
            self._pdd.judge(pdd_ms, settings.pdd_ms, margin, subject=name, gateway=name, unit="ms")
