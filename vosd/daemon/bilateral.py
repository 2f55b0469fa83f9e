"""Every five minutes the calls of the last hour are compared with those of partners' switches, by a process beside.

What differs is logged, so that it is an alarm, until a later comparison agrees.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from vosd.admin.partner_totals import Partner, PartnerOutcome
from vosd.base.clock import Clock
from vosd.catalogue.catalogue import Catalogue
from vosd.clearing.bilateral import DELAY_MS, PERIOD_MS, SPAN_MS
from vosd.daemon.bilateral_process import BilateralOrder, BilateralOutcome
from vosd.daemon.daily import answer_of, why_failed
from vosd.engine.background import BackgroundTasks
from vosd.engine.settings import BilateralSettings
from vosd.obs.events import GONE, Event, log as _log

PROCESS: Final = "vosd.daemon.bilateral_process"
LOOK_S: Final = 1.0
RUN_S: Final = 180.0
"""Longest comparison of all partners."""


def due_after(wall_ms: int) -> int:
    """Return the next moment of a comparison; UTC milliseconds."""
    return ((wall_ms - DELAY_MS) // PERIOD_MS + 1) * PERIOD_MS + DELAY_MS


class BilateralPart:
    """The comparison with partners, while the switch runs."""

    def __init__(
        self, database: str, settings: tuple[BilateralSettings, ...], clock: Clock, catalogue: Callable[[], Catalogue]
    ) -> None:
        """``database`` is its URL."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._catalogue = catalogue
        self._over: dict[Event, set[str]] = {Event.BILATERAL_DIFFERS: set(), Event.BILATERAL_AWAY: set()}
        """Accounts without an alarm; of the others there is one, or an earlier run of the switch may have raised it."""
        self._named = {each.account for each in settings}
        self._tasks = BackgroundTasks()

    async def begin(self) -> None:
        """Begin to compare; without partners nothing is done."""
        self._tasks.run("bilateral", self._keep)

    async def end(self) -> None:
        """End a comparison that goes on."""
        await self._tasks.stop()

    def adjust(self, database: str, settings: tuple[BilateralSettings, ...]) -> None:
        """Apply other settings, from the next comparison on; a partner that is taken out has no alarm."""
        self._database, self._settings = database, settings
        named = {each.account for each in settings}
        for event, over in _OVER.items():
            for account in sorted(self._named - named - self._over[event]):
                _log.info(over.value, account=account, why=GONE)
            self._over[event] &= named
        self._named = named

    async def _keep(self) -> None:
        due = due_after(self._clock.now().wall)
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._clock.now().wall
            if now >= due:
                await self.run(due)
            if now >= due or due - now > PERIOD_MS + DELAY_MS:  # the clock may have been set back
                due = due_after(self._clock.now().wall)

    async def run(self, due: int) -> None:
        """Compare the hour before a moment with every partner; what fails, for whatever reason, is an alarm."""
        order = self.order(due - DELAY_MS)
        compared = [each.settings.account for each in order.partners]
        for name in sorted({each.account for each in self._settings} - {*compared}):
            self._report(PartnerOutcome(name, failed="the account is not configured"))
        if not order.partners:
            return
        try:
            async with asyncio.timeout(RUN_S):
                outcome = await answer_of(PROCESS, order, BilateralOutcome)
        except Exception as error:  # noqa: BLE001  the boundary: else a comparison that is not made would be silent
            why = f"not compared within {RUN_S:.0f} s" if isinstance(error, TimeoutError) else why_failed(error)
            outcome = BilateralOutcome(tuple(PartnerOutcome(name, failed=why) for name in compared))
        present = {each.account for each in self._settings}  # a reload may have taken a partner out meanwhile
        for each in outcome.partners:
            if each.account in present:
                self._report(each)

    def order(self, until: int) -> BilateralOrder:
        """Return the order to compare the hour that ends at ``until``."""
        accounts = self._catalogue().accounts
        partners = tuple(
            Partner(each, accounts[each.account].currency) for each in self._settings if each.account in accounts
        )
        return BilateralOrder(self._database, until - SPAN_MS, until, partners)

    def _report(self, found: PartnerOutcome) -> None:
        account = found.account
        if found.failed:
            self._over[Event.BILATERAL_AWAY].discard(account)
            _log.warning(Event.BILATERAL_AWAY.value, account=account, why=found.failed)
            return
        self._end_alarm(Event.BILATERAL_AWAY, account)
        for each in found.deviations:
            self._over[Event.BILATERAL_DIFFERS].discard(account)
            _log.error(
                Event.BILATERAL_DIFFERS.value,
                account=account,
                what=each.what,
                since=each.since,
                until=each.until,
                prefixes=", ".join(each.prefixes),
                gateways=", ".join(each.gateways),
                their_gateways=", ".join(each.their_gateways),
            )
        if not found.deviations:
            self._end_alarm(Event.BILATERAL_DIFFERS, account)

    def _end_alarm(self, event: Event, account: str) -> None:
        if account not in self._over[event]:
            self._over[event].add(account)
            _log.info(_OVER[event].value, account=account)


_OVER: Final = {Event.BILATERAL_DIFFERS: Event.BILATERAL_AGREES, Event.BILATERAL_AWAY: Event.BILATERAL_BACK}
