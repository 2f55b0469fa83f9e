"""``currencies[]`` and ``exchange_rates[]``: decimals of fees by currency, and rates of exchange by date."""

from decimal import Decimal
from typing import Annotated

from vosd.base.money import unit_of
from vosd.config.reader.amounts import currency_code, exchange_rate, step
from vosd.config.reader.fields import KeyProblemError, Keys, first_instant, whole


class CurrencyKeys(Keys):
    """Rounding of fees and taxes in a currency, unless account or rate group say so. See docs/billing.md."""

    code: Annotated[str, currency_code()]
    """ISO 4217 code; each once."""
    fee_precision: Annotated[int, whole(0, 8)]
    """Decimals of fee and tax in this currency: 0 for JPY, 3 for KWD. Default of currencies that are not listed:
    SERVER_BILLING_FEE_PRECISTION."""
    fee_unit: Annotated[Decimal | None, step()] = None
    """Smallest step of fee and tax; not finer than the decimals. Default: as ``fee_precision`` says."""

    def _judge(self) -> None:
        if self.fee_unit is not None and self.fee_unit < unit_of(self.fee_precision):
            expected = f"at least {unit_of(self.fee_precision):f}, as fees have {self.fee_precision} decimals"
            raise KeyProblemError("fee_unit", expected)


class ExchangeRateKeys(Keys):
    """Value of one unit of a currency in another one. Only this direction; the other needs a rate of its own."""

    base: Annotated[str, currency_code()]
    """ISO 4217 code of the currency that is converted: that of the rate group, or of the vendor's account where routing
    compares costs."""
    quote: Annotated[str, currency_code()]
    """ISO 4217 code of the currency into which it is converted: that of the account which pays or is paid."""
    rate: Annotated[Decimal, exchange_rate()]
    """Units of ``quote`` for one of ``base``."""
    effective_from: Annotated[int | None, first_instant()] = None
    """When it comes into force; of several of a pair the latest one in force when the INVITE arrives holds for the
    call. Default: it has always been in force."""

    def _judge(self) -> None:
        if self.base == self.quote:
            raise KeyProblemError("quote", "another currency than base")
