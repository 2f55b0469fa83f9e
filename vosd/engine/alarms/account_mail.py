"""Mails to the owners of accounts about their own alarms: little money is left, or the account expires soon.

What such a mail says is found out when it is sent: one that waits for the mail server says what holds then, and one
about a balance that was paid meanwhile is not sent.
"""

import asyncio
from collections.abc import Callable
from email.message import EmailMessage
from functools import partial
from typing import Final

from vosd.base.clock import Clock
from vosd.base.errors import VosError
from vosd.engine.alarms.mail import MailOutput
from vosd.engine.settings import MailSettings
from vosd.obs.alarms import AlarmChange
from vosd.obs.events import Event

ABOUT: Final = frozenset({Event.BALANCE_LOW, Event.ACCOUNT_EXPIRES})
"""Alarms that owners get by mail."""

Composer = Callable[[str, int], EmailMessage]
"""Makes a mail of its sender and the time, UTC milliseconds; it may read files, and raise VosError."""


class AccountMail(MailOutput):
    """Sends a mail for each alarm of an account that has addresses for it."""

    def __init__(
        self, clock: Clock, settings: MailSettings | None, composer: Callable[[Event, str], Composer | None]
    ) -> None:
        """``composer`` returns what makes the mail about an account; None = it gets none, or the alarm is over."""
        super().__init__("account_mail", clock, settings, has_own_recipients=True)
        self._composer = composer
        self.serves = asyncio.Event()
        """Set once the accounts and their balances are known."""

    async def run(self) -> None:
        """Send mails once the accounts are known; runs until cancelled."""
        await self.serves.wait()
        await super().run()

    def _receiving(self, settings: MailSettings | None) -> MailSettings | None:
        return settings  # whatever level the operators want

    def _wants(self, change: AlarmChange) -> bool:
        return self._settings is not None and change.is_raised and change.alarm.event in ABOUT

    async def _send_next(self) -> bool:
        settings = self._settings
        if settings is None:
            self._queued.clear()
            return True
        try:
            return await self._send(settings) or settings is not self._settings
        except VosError as error:  # words that cannot be read
            self._outage.found(str(error), waiting=len(self._changes))
            return False

    async def _next(self, settings: MailSettings) -> EmailMessage | None:
        while len(self._changes):
            (change,), _ = self._changes.taken(1)
            compose = self._composer(change.alarm.event, change.alarm.subject)
            if compose is not None:
                made = partial(compose, settings.sender, self._clock.now().wall)
                return await asyncio.get_running_loop().run_in_executor(self._threads, made)
            self._delivered()
        return None
