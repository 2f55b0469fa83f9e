"""Once a day a process beside the switch verifies the books, books minimums and looks for overdue invoices.

What it finds is logged, so that it is an alarm. Minimums are booked on the first days of a month, or in the first night
behind a stop that was longer: a call that is corrected later changes no minimum that was reached.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from vosd.admin.ledger import Month
from vosd.admin.office.minimum import MinimumOutcome
from vosd.base.clock import Clock
from vosd.base.money import format_amount
from vosd.base.parts import in_parts
from vosd.billing.accounts import AccountType
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.columns import iso_utc
from vosd.daemon.daily import Daily, answer_of, next_run, why_failed
from vosd.daemon.nightly_process import Minimum, NightlyOrder, NightlyOutcome
from vosd.daemon.retention import RetentionPart
from vosd.engine.settings import InvoiceSettings, NightlySettings, Settings
from vosd.obs.events import GONE, Event, log as _log

PROCESS: Final = "vosd.daemon.nightly_process"
_SHOWN: Final = 5
_PAID: Final = "its overdue invoices are paid"
_OTHER_DAYS: Final = "invoices.lock_after_days is another one"
_NOT_WANTED: Final = "nightly.invoices is off"
_LINES_AT_ONCE: Final = 100
DAY_MS: Final = 86_400_000
LAST_DAY: Final = 7
"""The last day of a month on which the minimums of the month before are booked, unless no night of it was before."""
_MADE_UP_MS: Final = 366 * DAY_MS
"""The first night behind a stop that was not longer is made up for."""


def month_before(wall_ms: int, zone: ZoneInfo) -> Month | None:
    """Return the month whose minimums are booked on a day (UTC milliseconds); None = on that day none are."""
    today = datetime.fromtimestamp(wall_ms / 1_000, UTC).astimezone(zone)
    if today.day > LAST_DAY:
        return None
    return Month.before(wall_ms, zone)


class NightlyPart:
    """The work of the night of one switch."""

    def __init__(self, settings: Settings, clock: Clock, catalogue: Callable[[], Catalogue]) -> None:
        self.database_url = settings.database_url
        self._installation = settings
        self._settings = settings.nightly
        self._invoices = settings.invoices
        self._catalogue = catalogue
        self._is_begun = False
        self._daily = Daily("nightly", clock, self.run, settings.state_dir, _MADE_UP_MS)

    async def begin(self) -> None:
        """Begin to wait for the time."""
        self._is_begun = True
        self._daily.begin(self._settings.at_s, self._settings.zone)

    async def end(self) -> None:
        """End the work; what it has booked stays booked."""
        await self._daily.end()

    async def adjust(self, settings: NightlySettings, invoices: InvoiceSettings) -> None:
        """Apply other settings; work that goes on is ended."""
        self._invoices = invoices
        if settings == self._settings:
            return
        gone = _works(self._settings) - _works(settings)
        self._settings = settings
        if self._is_begun:
            await self.end()
            _forget(gone)
            self._daily.begin(self._settings.at_s, self._settings.zone, is_anew=True)

    async def run(self, now: int) -> None:
        """Do the work at a time (UTC milliseconds); work that fails, for whatever reason, is an alarm."""
        order = self.order(now)
        works = order.works
        try:
            outcome = await answer_of(PROCESS, order, NightlyOutcome)
        except Exception as error:  # noqa: BLE001  the boundary: else it would be silent until the next day
            outcome = NightlyOutcome(failed=dict.fromkeys(works, why_failed(error)))
        following = next_run(now, self._settings.at_s or 0, self._settings.zone)
        is_last = month_before(following, ZoneInfo(order.zone)) is None
        await self.report(outcome, works, is_last=is_last)

    def order(self, now: int) -> NightlyOrder:
        """Return what is to be done at a time."""
        settings = self._settings
        zone = self._invoices.zone
        month = self._month(now, ZoneInfo(zone)) if settings.minimum else None
        alike: dict[tuple[AccountType, str, Decimal | None], list[str]] = {}
        for each in self._catalogue().accounts.values() if month is not None else ():
            alike.setdefault((each.type, each.currency, each.minimum_consumption), []).append(each.id)
        minimums = tuple(Minimum(*terms, tuple(accounts)) for terms, accounts in alike.items())
        installation = self._installation
        return NightlyOrder(
            self.database_url.reveal(),
            str(installation.state_dir),
            str(installation.control_socket),
            now,
            settings.verify,
            minimums,
            str(month) if month is not None and minimums else "",
            zone,
            settings.invoices,
            self._invoices.lock_after_days if settings.invoices else None,
        )

    def _month(self, now: int, zone: ZoneInfo) -> Month | None:
        """Return the month whose minimums are booked at a time; None = none are."""
        before, last = Month.before(now, zone), self._daily.last()
        is_first = last is not None and last < before.bounds(zone)[1]
        return before if is_first else month_before(now, zone)

    async def report(self, outcome: NightlyOutcome, works: list[str], *, is_last: bool = False) -> None:
        """Log what was found and booked; ``is_last``: the next night books no minimums of the month."""
        for work in works:
            why = outcome.failed.get(work, "")
            if work == "minimum" and not why:
                why = self._report_minimums(outcome, is_last=is_last)
            if why:
                _log.error(Event.NIGHTLY_FAILED.value, work=work, why=why)
                continue
            _log.info(Event.NIGHTLY_DONE.value, work=work)
        if "invoices" in works and "invoices" not in outcome.failed:
            self._report_overdue(outcome)
        if "verify" in works and "verify" not in outcome.failed:
            self._report_differences(outcome)
        await self._report_accounts(outcome, is_looked_for="invoices" in works)

    def _report_differences(self, outcome: NightlyOutcome) -> None:
        if outcome.differences:
            what = "; ".join(outcome.shown)
            _log.error(Event.LEDGER_DIFFERS.value, count=outcome.differences, what=what, do="vosd ledger verify")
        else:
            _log.info(Event.LEDGER_AGREES.value)

    def _report_overdue(self, outcome: NightlyOutcome) -> None:
        if outcome.overdue:
            shown = "; ".join(
                f"{each.account}: {format_amount(each.amount)} {each.currency} since {iso_utc(each.due_at)[:10]}"
                for each in outcome.overdue[:_SHOWN]
            )
            count, do = len(outcome.overdue), "vosd invoice list --state overdue"
            _log.warning(Event.INVOICES_OVERDUE.value, accounts=count, what=shown, do=do)
        else:
            _log.info(Event.INVOICES_PAID.value)

    async def _report_accounts(self, outcome: NightlyOutcome, *, is_looked_for: bool) -> None:
        """Log each account that was charged, blocked or unblocked; there may be thousands, and calls go on.

        ``is_looked_for``: overdue invoices were looked for.
        """
        for some in in_parts(outcome.sheets, _LINES_AT_ONCE):
            for sheet in some:
                if sheet.outcome == MinimumOutcome.BOOKED.value:
                    facts = {"month": sheet.month, "minimum": sheet.minimum, "consumed": sheet.consumed}
                    _log.info("minimum_booked", account=sheet.account, charged=sheet.charged, **facts)
            await asyncio.sleep(0)
        for names in in_parts(outcome.locked, _LINES_AT_ONCE):
            for name in names:
                _log.warning("account_locked", account=name, why="an invoice is overdue")
            await asyncio.sleep(0)
        overdue = {each.account for each in outcome.overdue}
        for names in in_parts(outcome.opened, _LINES_AT_ONCE):
            for name in names:
                why = _NOT_WANTED if not is_looked_for else _OTHER_DAYS if name in overdue else _PAID
                _log.info("account_opened", account=name, why=why)
            await asyncio.sleep(0)

    def _report_minimums(self, outcome: NightlyOutcome, *, is_last: bool) -> str:
        """Log which minimums cannot be booked; return why others were not, empty if all were."""
        unbooked = {MinimumOutcome.NOT_BEGUN.value, MinimumOutcome.UNKNOWN.value}
        absent = [sheet.account for sheet in outcome.sheets if sheet.outcome in unbooked]
        if absent:
            shown = ", ".join(absent[:_SHOWN])
            _log.info("minimum_not_begun", month=outcome.sheets[0].month, count=len(absent), accounts=shown)
        waiting = [sheet.account for sheet in outcome.sheets if sheet.outcome == MinimumOutcome.WAITING.value]
        if not waiting:
            return ""
        shown = ", ".join(waiting[:_SHOWN])
        if is_last:
            by_hand = f"vosd ledger minimum --month {outcome.sheets[0].month}"
            return f"calls of {len(waiting)} accounts are not booked yet ({shown}), and no night tries again: {by_hand}"
        return f"calls of {len(waiting)} accounts are not booked yet ({shown}): the next night tries again"


def _works(settings: NightlySettings) -> set[str]:
    """Return the works that are done every night."""
    if settings.at_s is None:
        return set()
    wanted = {"verify": settings.verify, "minimum": settings.minimum, "invoices": settings.invoices}
    return {name for name, is_wanted in wanted.items() if is_wanted}


def _forget(works: set[str]) -> None:
    """Log that works are not done any more: what they have found is no alarm, also if it was in an earlier run."""
    for work in sorted(works):
        _log.info(Event.NIGHTLY_DONE.value, work=work, why=GONE)
    if "verify" in works:
        _log.info(Event.LEDGER_AGREES.value, why=GONE)
    if "invoices" in works:
        _log.info(Event.INVOICES_PAID.value, why=GONE)


class DailyParts:
    """All work that the switch does once a day: old records, and the books."""

    def __init__(self, settings: Settings, clock: Clock, catalogue: Callable[[], Catalogue]) -> None:
        self._retention = RetentionPart(settings, clock)
        self._nightly = NightlyPart(settings, clock, catalogue)

    async def begin(self) -> None:
        """Begin to wait for the times."""
        await self._retention.begin()
        await self._nightly.begin()

    async def end(self) -> None:
        """End what goes on."""
        await self._nightly.end()
        await self._retention.end()

    async def adjust(self, settings: Settings) -> None:
        """Apply other settings, and another user or password of the database, from the next work on."""
        self._retention.database_url = self._nightly.database_url = settings.database_url
        await self._retention.adjust(settings.retention)
        await self._nightly.adjust(settings.nightly, settings.invoices)
