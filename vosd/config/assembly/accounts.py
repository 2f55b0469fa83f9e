"""Accounts: from keys to the definitions of the catalogue."""

from typing import Final

from vosd.billing.accounts import Account
from vosd.billing.invoice_terms import InvoiceTerms
from vosd.billing.spending import SpendLimit
from vosd.catalogue.source import CURRENCY_OF_RATE_GROUP
from vosd.config.assembly.conversion import by_name, full_conversion
from vosd.config.assembly.destinations import destination_limit
from vosd.config.keys.accounts import AccountKeys, SpendLimitKeys
from vosd.config.keys.invoices import InvoiceTermKeys
from vosd.config.keys.parameters import ParameterKeys

_BY_HAND: Final = {
    **by_name("currency payment_extends_days rate_types rights spend_limits destination_limits timezone invoice"),
    "advance_minutes": "advance_s",
}
_ACCOUNT: Final = full_conversion(AccountKeys, Account, by_hand=_BY_HAND)
_INVOICE: Final = full_conversion(InvoiceTermKeys, InvoiceTerms, is_shared=True)
_NONE: Final[frozenset[str]] = frozenset()
"""One for all accounts: an empty set takes 216 bytes."""
_SPEND_LIMIT: Final = full_conversion(SpendLimitKeys, SpendLimit)


class Accounts:
    """Makes the accounts of one configuration."""

    def __init__(self, parameters: ParameterKeys) -> None:
        self._parameters = parameters
        self._usual: Account | None = None
        """Account without any key."""

    def account(self, keys: AccountKeys) -> Account:
        """Return an account; where it states no currency, the catalogue settles it."""
        if not _BY_HAND.keys().isdisjoint(keys.model_fields_set):
            return _ACCOUNT(keys, **self._by_hand(keys))
        if self._usual is None:
            self._usual = _ACCOUNT.usual(**self._by_hand(keys))
        return _ACCOUNT.varied(self._usual, keys)

    def _by_hand(self, keys: AccountKeys) -> dict[str, object]:
        """Return the values of the fields that are not copied."""
        parameters, days = self._parameters, keys.payment_extends_days
        return {
            "currency": keys.currency or CURRENCY_OF_RATE_GROUP,
            "payment_extends_days": parameters.payment_extends_days if days is None else days,
            "rate_types": frozenset(each.value for each in keys.rate_types) if keys.rate_types else _NONE,
            "rights": frozenset(keys.rights) if keys.rights else _NONE,
            "spend_limits": tuple(map(_SPEND_LIMIT, keys.spend_limits)),
            "destination_limits": tuple(map(destination_limit, keys.destination_limits)),
            "timezone": "UTC" if keys.timezone is None else str(keys.timezone),
            "invoice": _INVOICE(keys.invoice),
            "advance_s": 60 * (keys.advance_minutes or parameters.advance_minutes),
        }
