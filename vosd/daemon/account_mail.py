"""Texts of mails to owners of accounts, taken of the running switch when a mail is sent."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Final
from zoneinfo import ZoneInfo

from vosd.admin.account_mail import MailParties, account_mail
from vosd.admin.invoice_pdf import words_now
from vosd.base.clock import Clock
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account
from vosd.catalogue.overrides import Setting
from vosd.engine.alarms.account_mail import Composer
from vosd.engine.alarms.watch import DAY_MS
from vosd.engine.service import SwitchService
from vosd.engine.settings import Settings
from vosd.invoicing.settlement import whole_units
from vosd.obs.events import Event


class AccountMailTexts:
    """Makes the mails about the accounts of one switch."""

    def __init__(self, service: SwitchService, clock: Clock, settings: Callable[[], Settings]) -> None:
        """``settings`` returns those in force."""
        self._service: Final = service
        self._clock: Final = clock
        self._settings: Final = settings

    def composer(self, event: Event, name: str) -> Composer | None:
        """Return what makes the mail about an alarm of an account; None = it gets none, or the alarm is over."""
        accounts = self._service.switch.catalogue.accounts
        account = accounts.get(name)
        if account is None or not account.enabled or self._is_closed(name):
            return None
        agent = accounts.get(account.agent or "")
        copies = () if agent is None else tuple(each for each in agent.alarm_mail if each not in account.alarm_mail)
        values = self._low(account) if event is Event.BALANCE_LOW else self._expiring(account)
        if values is None or not (account.alarm_mail or copies):
            return None
        invoices = self._settings().invoices
        issuer = invoices.terms_of(account.agent or "", None if agent is None else agent.name)
        language = account.invoice.language or issuer.language
        values["account"] = name if account.name is None else f"{account.name} ({name})"

        def composed(sender: str, now: int) -> EmailMessage:
            words = words_now(invoices, language)
            for amount in ("left", "least"):
                if amount in values:
                    values[amount] = values[amount].replace(".", words["decimal"])
            parties = MailParties(sender, account.alarm_mail, copies, issuer)
            return account_mail(event.value, values, words, parties, now)

        return composed

    def _is_closed(self, name: str) -> bool:
        block = self._service.switch.live.blocks.accounts.get(name)
        return block is not None and block.setting is Setting.CLOSED

    def _low(self, account: Account) -> dict[str, str] | None:
        balances = self._service.balances
        credit = balances.credits.get(account.id)
        if credit is None or not credit.is_low:
            return None
        currency = balances.currencies.get(account.id, account.currency)
        return {
            "left": format_amount(whole_units(credit.left, currency)),
            "least": format_amount(credit.low_below or ZERO),
            "currency": currency,
        }

    def _expiring(self, account: Account) -> dict[str, str] | None:
        credit = self._service.balances.credits.get(account.id)
        expires_at = (credit.expires_at if credit is not None else None) or account.expires_at
        soon_ms = self._settings().alarms.expiry_days * DAY_MS
        if expires_at is None or not 0 < expires_at - self._clock.now().wall <= soon_ms:
            return None
        local = datetime.fromtimestamp(expires_at / 1_000, UTC).astimezone(ZoneInfo(account.timezone))
        return {"date": f"{local:%Y-%m-%d %H:%M} ({account.timezone})"}
