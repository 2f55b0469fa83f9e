"""Mails to the owners of accounts about these: little money is left, or the account expires soon.

They follow from the events of the log and not from the alarms, of which a limited number is kept: there may be many
accounts. Which events were mailed is kept over a restart, after which all that still hold are logged again. What such
a mail says is found out when it is sent: one that waits for the mail server says what holds then, and one about a
balance that was paid meanwhile is not sent.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from email.message import EmailMessage
from functools import partial
from typing import Final

import msgspec

from vosd.base.clock import Clock
from vosd.base.errors import VosError
from vosd.engine.alarms.mail import MailOutput
from vosd.engine.alarms.output import KeptOutput
from vosd.engine.settings import AlarmSettings, MailSettings
from vosd.obs.alarms import KINDS, Alarm, AlarmChange
from vosd.obs.events import BACK, Event

ABOUT: Final = (Event.BALANCE_LOW, Event.ACCOUNT_EXPIRES)
"""Events that owners get by mail."""
AT_ONCE: Final = 1_000
"""Accounts that ``mailed_of`` returns at a time."""
_ENDS: Final = {BACK[event]: event for event in ABOUT}

_STAGE: Final = ("expires_at", "days")
"""Facts that say in which stage an event is."""

Composer = Callable[[str, int], EmailMessage]
"""Makes a mail of its sender and the time, UTC milliseconds; it may read files, and raise VosError."""


class AccountMail(MailOutput):
    """Sends a mail for each alarm of an account that has addresses for it."""

    def __init__(
        self, clock: Clock, settings: MailSettings | None, composer: Callable[[Event, str], Composer | None]
    ) -> None:
        """``composer`` returns what makes the mail about an account; None = it gets none, or its event is over."""
        super().__init__("account_mail", clock, settings, has_own_recipients=True, most=sys.maxsize)
        self._composer = composer
        self._mailed: dict[str, str] = {}
        """Events with their accounts that were queued, or mailed, and are not over, with the stage of each."""
        self._waiting: set[str] = set()
        """Events with their accounts of which a mail waits: it will say what holds then, and a second one the same."""
        self._taken = ""
        """One of these, which is being sent."""
        self._turns: dict[Event, list[str]] = {}
        """Mailed accounts, by event, that ``mailed_of`` has not returned yet."""
        self.serves = asyncio.Event()
        """Set once the accounts and their balances are known."""

    async def run(self) -> None:
        """Send mails once the accounts are known; runs until cancelled."""
        await self.serves.wait()
        await super().run()

    def _receiving(self, settings: MailSettings | None) -> MailSettings | None:
        return settings  # whatever level the operators want

    def put(self, change: AlarmChange) -> None:
        """Leave alarms alone: the events say what is to be mailed."""

    def noted(self, event: Event, facts: Mapping[str, object], at: int) -> None:
        """Queue a mail about an event that was not mailed in this stage, and forget those that are over."""
        account = str(facts.get("account"))
        if event in _ENDS:
            self._mailed.pop(_key(_ENDS[event], account), None)
            self.on_delivery()
        elif event in ABOUT and self._settings is not None:
            key, stage = _key(event, account), " ".join(str(facts[name]) for name in _STAGE if name in facts)
            if self._mailed.get(key) != stage:
                self._mailed[key] = stage
                self._queue([AlarmChange(Alarm(event, account, KINDS[event].level, at, at, 1, ""), is_raised=True)])
                self.on_delivery()

    def mailed_of(self, event: Event) -> Iterable[str]:
        """Return accounts whose owners were mailed about an event that is not over: all in turn, some at a time.

        To look at all of very many at once would delay calls.
        """
        turn = self._turns.setdefault(event, [])
        prefix = _key(event, "")
        if not turn:
            turn.extend(each for each in self._mailed if each.startswith(prefix))
        some = [turn.pop() for _ in range(min(len(turn), AT_ONCE))]
        return [each.removeprefix(prefix) for each in some if each in self._mailed]

    def kept(self) -> KeptOutput:
        """Return what the next start goes on with."""
        return msgspec.structs.replace(super().kept(), mailed=dict(self._mailed))

    def restore(self, kept: KeptOutput) -> None:
        """Go on with the mails that were not sent before the start; without a mail server they count as not mailed."""
        self._mailed = dict(kept.mailed)
        if self._settings is not None:
            self._queue(kept.changes)
        else:
            self._forget(_key(each.alarm.event, each.alarm.subject) for each in kept.changes)

    def adjust(self, settings: AlarmSettings) -> None:
        """Apply other settings; without a mail server, what waits counts as not mailed."""
        super().adjust(settings)
        if self._settings is None:
            self._forget(self._waiting)
            self._waiting.clear()

    def _forget(self, unsent: Iterable[str]) -> None:
        for key in unsent:
            self._mailed.pop(key, None)

    def _queue(self, changes: Iterable[AlarmChange]) -> None:
        for each in changes:
            key = _key(each.alarm.event, each.alarm.subject)
            if key not in self._waiting:
                self._waiting.add(key)
                self._changes.put(each)
                self._queued.set()

    def _delivered(self) -> None:
        self._waiting.discard(self._taken)
        super()._delivered()

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
            self._taken = _key(change.alarm.event, change.alarm.subject)
            compose = self._composer(change.alarm.event, change.alarm.subject)
            if compose is not None:
                made = partial(compose, settings.sender, self._clock.now().wall)
                return await asyncio.get_running_loop().run_in_executor(self._threads, made)
            self._mailed.pop(self._taken, None)
            self._delivered()
            await asyncio.sleep(0)  # after a start there may be many accounts without an address
        return None


def _key(event: Event, account: str) -> str:
    return f"{event.value} {account}"
