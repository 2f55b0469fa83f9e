"""Limits of the cost of gateways, as operators write them: ``off``, or keys such as ``{min_margin: 0.001}``."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from vosd.base.margin import LossGuard
from vosd.base.money import PLACES, format_amount, parse_amount
from vosd.config.reader.fields import FromText, KeyProblemError

OFF: Final = "off"
_AMOUNT: Final = f"an amount with at most {PLACES} decimals, such as 0.001"
_AMOUNTS: Final = ("min_margin", "max_price_per_second")
_BY: Final = {"call": False, "price": True}


def wanted_margin() -> FromText:
    """Read a loss guard."""

    def read(written: str | Mapping[str, object]) -> LossGuard:
        if isinstance(written, str):
            if written.lower() != OFF:
                raise ValueError
            return LossGuard(min_margin=None)
        for key in written:
            if key not in {*_AMOUNTS, "by"}:
                raise KeyProblemError(key, f"one of {', '.join((*_AMOUNTS, 'by'))}")
        by_price = _BY.get(str(written.get("by", "call")))
        if by_price is None:
            raise KeyProblemError("by", f"one of {', '.join(_BY)}")
        amounts = {key: _amount(key, value) for key, value in written.items() if key != "by"}
        guard = LossGuard(**amounts, by_price=by_price)
        if guard.max_price_per_second is not None and guard.max_price_per_second <= 0:
            raise KeyProblemError("max_price_per_second", "an amount above 0")
        return guard

    expected = f"{OFF}, or keys such as {{min_margin: 0.001, max_price_per_second: 0.01}}"
    return FromText(expected, read, _written, kind=(str, dict))


def _amount(key: str, value: object) -> Decimal:
    try:
        return parse_amount(str(value))
    except ValueError:
        raise KeyProblemError(key, _AMOUNT) from None


def _written(guard: LossGuard) -> str:
    by = ", by: price" if guard.by_price else ""
    return OFF if guard.min_margin is None else f"{{min_margin: {format_amount(guard.min_margin)}{by}}}"
