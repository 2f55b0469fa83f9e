"""Decimals of currencies and rates of exchange: from keys to the definitions of the catalogue."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from vosd.base.money import EXACT, unit_of
from vosd.billing.currencies import FeeDecimals
from vosd.billing.exchange import ExchangeRate
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.catalogue.source import Definition, Definitions, exchange_name
from vosd.config.assembly.conversion import full_conversion
from vosd.config.assembly.inventory import read_list
from vosd.config.keys.currencies import CurrencyKeys, ExchangeRateKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.reader.document import Section
from vosd.config.reader.reading import items_of, read_section

CURRENCIES: Final = "currencies"
EXCHANGE_RATES: Final = "exchange_rates"
_INVERSE_FACTOR: Final = Decimal(2)
"""So much there and back may gain or lose: rates have margins and dates."""
_DECIMALS: Final = full_conversion(
    CurrencyKeys,
    FeeDecimals,
    renamed={"fee_precision": "precision"},
    by_hand={"fee_unit": "unit"},
    elsewhere={"code": "the key of the mapping"},
)
_EXCHANGE_RATE: Final = full_conversion(ExchangeRateKeys, ExchangeRate)


class ReadCurrencies(NamedTuple):
    """Currencies as the configuration defines them."""

    decimals: Mapping[str, FeeDecimals]
    """To which step fees are rounded, by currency."""
    exchange_rates: Definitions[ExchangeRate]


def read_currencies(document: Section, problems: ProblemList) -> ReadCurrencies:
    """Take the currencies and the rates of exchange out of the document."""
    read_items = read_list(document, CURRENCIES, CurrencyKeys, problems, "code")
    decimals = {name: _decimals(each.thing) for name, each in read_items.written.items()}
    return ReadCurrencies(decimals, _read_exchange_rates(document, problems))


def _read_exchange_rates(document: Section, problems: ProblemList) -> Definitions[ExchangeRate]:
    """Take the rates of exchange out of the document; of two for one pair and moment the later is reported."""
    found: Definitions[ExchangeRate] = Definitions("exchange rate")
    places: dict[str, SourceLine] = {}
    for index, section in enumerate(items_of(document, EXCHANGE_RATES, problems)):
        label = f"{EXCHANGE_RATES}[{index}]"
        keys = read_section(ExchangeRateKeys, section, label, problems)
        if keys is None:
            continue
        made = _EXCHANGE_RATE(keys)
        name = exchange_name(made)
        if name in places:
            expected = f"each pair once, or with another effective_from; it also stands at {places[name]}"
            problems.error(section.place, label, expected, f"{made.base} to {made.quote}")
            continue
        places[name] = section.place
        found.add(name, Definition(made, label, section))
    _warn_of_inverses(found, problems)
    return found


def _warn_of_inverses(rates: Definitions[ExchangeRate], problems: ProblemList) -> None:
    """Warn of rates whose product with the latest one of the opposite direction is far from 1."""
    opposite = {(each.value.base, each.value.quote): each for each in rates.sound.values()}
    for each in rates.sound.values():
        made, other = each.value, opposite.get((each.value.quote, each.value.base))
        if other is None or opposite[made.base, made.quote] is not each or made.base > made.quote:
            continue
        product = EXACT.multiply(made.rate, other.value.rate)
        if not 1 / _INVERSE_FACTOR <= product <= _INVERSE_FACTOR:
            expected = (
                f"about the inverse of {made.quote} to {made.base}, {other.value.rate:f} at {other.origin.place}: "
                f"there and back makes {product:f} of 1"
            )
            problems.warning(*each.at("rate"), expected, f"{made.rate:f}")


def default_decimals(parameters: ParameterKeys) -> FeeDecimals:
    """Return to which step fees are rounded in currencies that are not listed."""
    return FeeDecimals(parameters.fee_precision, parameters.fee_unit)


def _decimals(keys: CurrencyKeys) -> FeeDecimals:
    return _DECIMALS(keys, unit=unit_of(keys.fee_precision) if keys.fee_unit is None else keys.fee_unit)


NONE: Final[Mapping[str, FeeDecimals]] = {}
"""No currency has decimals of its own."""
